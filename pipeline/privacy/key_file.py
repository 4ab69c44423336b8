"""The key file of a running process: read again when it changes, so that a rotation needs no restart; and written.

Place in the flow: made by the composition root of whatever runs for long (worker, console, scheduler) in place of a
`Keyring`. What cannot be read leaves the keys as they are: a file that is being replaced must stop nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pipeline.errors import ConfigError
from pipeline.privacy.keys import FILE_VERSION, Key, Keyring, keys_of_file
from pipeline.private_files import sync_folder, write_new

_NEW_SUFFIX = ".new"


class Keys(Protocol):
    """Where token keys come from: a keyring that stays as it is, or a file that may be given another key."""

    @property
    def current(self) -> Keyring:
        """Every key there is now."""
        ...

    def signing_with(self, version_id: str, canonical_id: str = "") -> Keyring:
        """As `Keyring.signing_with`. Raises: ConfigError."""
        ...


class KeyFile:
    """The keys of one file; safe between threads. Role `Keys`."""

    def __init__(self, path: Path) -> None:
        """Raises: ConfigError: it cannot be read now."""
        self._path, self._lock = path, threading.Lock()
        self._seen = _facts(path)
        self._keyring = Keyring.load(path)

    @property
    def current(self) -> Keyring:
        """Every key that the file holds now; where it cannot be read, those that it held."""
        with self._lock:
            seen = _facts(self._path)
            if seen != self._seen and seen is not None:
                # Half of a replacement, or a fault that `doctor` tells: asked again next time.
                with contextlib.suppress(ConfigError):
                    self._keyring, self._seen = Keyring.load(self._path), seen
            return self._keyring

    def signing_with(self, version_id: str, canonical_id: str = "") -> Keyring:
        """As `Keyring.signing_with`, of the file as it is now. Raises: ConfigError."""
        return self.current.signing_with(version_id, canonical_id)


def _facts(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def add_key(path: Path) -> Key:
    """Writes another key into the file, 0600, in one step; those that it holds stay. The new key signs nothing yet.

    Raises: ConfigError: the file has faults or cannot be written, or a rotation was cut off in it.
    """
    with _alone(path.parent):  # else a key that somebody adds at the same moment is lost
        return _add_key(path)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While it lasts nobody else changes a key file of this folder. Raises: ConfigError: it cannot be opened."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError as exc:
        raise ConfigError([f"token keys: {folder} cannot be opened: {exc.strerror}"]) from exc
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _add_key(path: Path) -> Key:
    text, present = keys_of_file(path)
    document = json.loads(text)
    key = Key(max(one.key_id for one in present) + 1, secrets.token_bytes(32))
    document["keys"].append(
        {
            "id": key.key_id,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "secret_hex": key.secret.hex(),
        }
    )
    assert document["version"] == FILE_VERSION  # noqa: S101  it was read as such
    _replace(path, json.dumps(document, indent=2) + "\n")
    return key


def _replace(path: Path, text: str) -> None:
    """The file with another content and the same owner, in one step. Raises: ConfigError: it stays as it is."""
    beside = path.with_name(path.name + _NEW_SUFFIX)
    try:
        owner = path.stat()
        write_new(beside, text)
    except FileExistsError:
        raise ConfigError(
            [f"token keys: {beside} exists: a rotation was cut off while it wrote it: remove it"]
        ) from None
    except OSError as exc:
        raise ConfigError([f"token keys: {path} cannot be written: {exc.strerror}"]) from exc
    try:
        if owner.st_uid != os.geteuid():  # else the processes that read it could do so no more
            os.chown(beside, owner.st_uid, owner.st_gid)
        os.replace(beside, path)
        sync_folder(path.parent)
    except OSError as exc:
        beside.unlink(missing_ok=True)
        raise ConfigError([f"token keys: {path} cannot be replaced (run as its owner): {exc.strerror}"]) from exc
