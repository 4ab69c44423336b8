"""The jars of Kafka: what runs is what was locked, and every failure says what to do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.local.jars import ChangedJar, Jar, UnfetchedJars, cache_folder, ensure, read_lock

CONTENT = b"not really a jar"
JAR = Jar("org.example.audit", "broker", "1.2.3", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
NOWHERE = {"ACCESSTRAIL_MAVEN_MIRROR": "http://127.0.0.1:9"}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """A Maven repository of one jar: the environment that names it, and the served file."""
    root = tmp_path / "mirror"
    served = root / "org/example/audit/broker/1.2.3/broker-1.2.3.jar"
    served.parent.mkdir(parents=True)
    served.write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield {"ACCESSTRAIL_MAVEN_MIRROR": f"http://127.0.0.1:{server.server_port}/"}, served
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_lock_file_names_every_jar_once_with_its_hash() -> None:
    jars = read_lock()
    assert len(jars) == 46
    assert len({jar.file_name for jar in jars}) == 46
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.size_bytes > 0 for jar in jars)
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.1.1"}


def test_a_missing_jar_is_fetched_from_the_named_mirror_and_then_kept(
    tmp_path: Path, mirror: tuple[dict[str, str], Path]
) -> None:
    environment, served = mirror
    said: list[str] = []
    (path,) = ensure(tmp_path / "cache", [JAR], environment, progress=said.append)
    assert path.read_bytes() == CONTENT
    assert any("1 of 1" in line for line in said)
    served.unlink()
    assert ensure(tmp_path / "cache", [JAR], NOWHERE) == [path]
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == [JAR.file_name]


def test_a_jar_with_another_hash_is_named_removed_and_fetched_anew_by_the_next_try(
    tmp_path: Path, mirror: tuple[dict[str, str], Path]
) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / JAR.file_name).write_bytes(b"something else")
    with pytest.raises(ChangedJar) as caught:
        ensure(folder, [JAR], mirror[0])
    message = str(caught.value)
    assert JAR.coordinate in message
    assert JAR.sha256 in message
    assert hashlib.sha256(b"something else").hexdigest() in message
    assert not (folder / JAR.file_name).exists()
    assert ensure(folder, [JAR], mirror[0])[0].read_bytes() == CONTENT


def test_a_mirror_that_serves_another_file_is_not_believed(tmp_path: Path, mirror: tuple[dict[str, str], Path]) -> None:
    environment, served = mirror
    served.write_bytes(b"a stranger's file")
    with pytest.raises(ChangedJar, match=JAR.coordinate):
        ensure(tmp_path / "cache", [JAR], environment)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("case", ["no server", "no such file"])
def test_an_unfetchable_jar_says_what_to_do(tmp_path: Path, mirror: tuple[dict[str, str], Path], case: str) -> None:
    environment, served = mirror
    served.unlink()
    folder = tmp_path / "cache"
    with pytest.raises(UnfetchedJars) as caught:
        ensure(folder, [JAR], NOWHERE if case == "no server" else environment)
    message = str(caught.value)
    for word in (JAR.coordinate, JAR.file_name, str(folder), "ACCESSTRAIL_MAVEN_MIRROR", "ACCESSTRAIL_CACHE"):
        assert word in message
    assert list(folder.iterdir()) == []


def test_the_cache_folder_can_be_named(tmp_path: Path) -> None:
    assert cache_folder({"ACCESSTRAIL_CACHE": str(tmp_path)}).parent == tmp_path
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}).parent == tmp_path / "accesstrail"
