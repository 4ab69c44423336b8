"""The jars of Apache Kafka: fetched once into a cache, and checked against the lock file at every start.

Place in the flow: before the broker starts. `kafka-jars.lock` names every jar with its SHA-256 and size; nothing is
resolved transitively, so what runs is what was locked. The cache is one flat folder of `artifact-version.jar`, so that
a machine without a network can be given the jars by copying that folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from jgo.maven import MavenContext

from pipeline.errors import LocalStackError

KAFKA_VERSION = "4.1.1"
LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
CACHE_VARIABLE = "ACCESSTRAIL_CACHE"
MIRROR_VARIABLE = "ACCESSTRAIL_MAVEN_MIRROR"
_THREADS = 8
_TRIES = 3
_TIMEOUT_S = 30
_CHUNK_BYTES = 1 << 20

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str
    size_bytes: int

    @property
    def coordinate(self) -> str:
        """Maven's name of it, `group:artifact:version`."""
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        """Its name in the cache folder."""
        return f"{self.artifact}-{self.version}.jar"


class ChangedJar(LocalStackError):
    """A jar is not the one that was locked."""

    code = "jar_changed"


class UnfetchedJars(LocalStackError):
    """Jars are missing and cannot be fetched."""

    code = "jars_unfetched"


def read_lock(path: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """Every jar of the lock file, in its order."""
    jars = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        coordinate, sha256, size = line.split()
        group, artifact, version = coordinate.split(":")
        jars.append(Jar(group, artifact, version, sha256, int(size)))
    return tuple(jars)


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where jars are kept: `ACCESSTRAIL_CACHE`, else the user's cache folder; a sub-folder a version."""
    given = environment.get(CACHE_VARIABLE)
    if given:
        return Path(given).absolute() / f"kafka-{KAFKA_VERSION}"
    base = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "accesstrail" / f"kafka-{KAFKA_VERSION}"


def ensure(
    folder: Path, jars: Sequence[Jar], environment: Mapping[str, str], *, progress: Progress = lambda text: None
) -> list[Path]:
    """The jars' paths in `folder`, each present and with the locked hash; missing ones are fetched.

    Two processes may do this at once: each fetches into a folder of its own and moves finished jars into place.

    Raises: UnfetchedJars: missing and no repository answers; ChangedJar: another hash, the file was removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        present = [jar for jar in jars if (folder / jar.file_name).is_file()]
        for _ in pool.map(lambda jar: _check(jar, folder / jar.file_name), present):
            pass
        missing = [jar for jar in jars if jar not in present]
        if missing:
            _fetch_all(pool, folder, missing, environment, progress)
    return [folder / jar.file_name for jar in jars]


def _check(jar: Jar, path: Path) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() == jar.sha256:
        return
    path.unlink(missing_ok=True)
    raise ChangedJar(
        f"the jar {jar.coordinate} is not the locked one: expected SHA-256 {jar.sha256}, got {digest.hexdigest()}. "
        f"{path} was removed; run the command again to fetch it anew. If it happens again, the repository or the "
        "mirror serves another file: do not use it"
    )


def _fetch_all(
    pool: ThreadPoolExecutor, folder: Path, missing: Sequence[Jar], environment: Mapping[str, str], progress: Progress
) -> None:
    total_mb = sum(jar.size_bytes for jar in missing) / 1e6
    progress(f"fetching {len(missing)} jars of Apache Kafka {KAFKA_VERSION} ({total_mb:.0f} MB, once) into {folder}")
    mirror = environment.get(MIRROR_VARIABLE)
    # jgo reports by logging, which would end in a person's terminal as a stack trace; our message says it once.
    logging.getLogger("jgo").setLevel(logging.CRITICAL)
    workspace = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder))
    try:
        context = MavenContext(
            repo_cache=workspace,
            local_repos=[],
            remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
            timeout=_TIMEOUT_S,
        )
        futures = [pool.submit(_fetch, context, jar, folder) for jar in missing]
        done_bytes = 0
        for done, future in enumerate(as_completed(futures), start=1):
            try:
                done_bytes += future.result()
            except BaseException:
                for other in futures:
                    other.cancel()
                raise
            if done % 10 == 0 or done == len(missing):
                progress(f"fetched {done} of {len(missing)} jars ({done_bytes / 1e6:.0f} of {total_mb:.0f} MB)")
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def _fetch(context: MavenContext, jar: Jar, folder: Path) -> int:
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for attempt in range(1, _TRIES + 1):
        try:
            path = Path(artifact.resolve())
            break
        except (OSError, RuntimeError, AssertionError, ValueError) as exc:
            # A broken transfer leaves a part of the file, which the next try would take for the whole.
            if artifact.cached_path:
                Path(artifact.cached_path).unlink(missing_ok=True)
            if attempt == _TRIES:
                raise UnfetchedJars(_unfetched(jar, folder, type(exc).__name__)) from exc
    _check(jar, path)
    os.replace(path, folder / jar.file_name)
    return jar.size_bytes


def _unfetched(jar: Jar, folder: Path, cause: str) -> str:
    return (
        f"the jar {jar.coordinate} of Apache Kafka cannot be fetched ({cause}). The first start needs a Maven "
        f"repository: check the network, or set {MIRROR_VARIABLE} to the address of a mirror you trust, or copy the "
        f"jars from a machine that has them into {folder} (as {jar.file_name}; {CACHE_VARIABLE} names another folder). "
        "Every jar is checked against its locked hash, wherever it comes from"
    )
