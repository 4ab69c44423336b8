"""Files of the state folder: private folders, secrets of mode 0600, and replacement in one step."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import LocalStackError

MINIMUM_FREE_BYTES = 1 << 30


def private_folder(path: Path) -> Path:
    """Makes a folder that only its owner may enter (0700); an existing one is narrowed to that.

    Raises: LocalStackError: it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as exc:
        raise unwritable(path, exc) from exc
    return path


def write_text(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replaces a file in one step: a reader sees the old content or the new, never a part.

    Raises: LocalStackError: it cannot be written.
    """
    temporary = _temporary(path)
    try:
        _write_durably(temporary, text, mode)
        os.replace(temporary, path)
    except OSError as exc:
        _remove(temporary)
        raise unwritable(path, exc) from exc


def write_secret(path: Path, secret: str) -> None:
    """Writes a new secret, 0600 from the first byte, nothing but the secret; one that is there is kept.

    It appears whole or not at all: half a password, or an empty one, would be accepted by the next start.

    Raises: LocalStackError: it cannot be written.
    """
    temporary = _temporary(path)
    try:
        _write_durably(temporary, secret, 0o600)
        # Unlike a replacement, a link refuses where another process was faster.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        _sync_folder(path.parent)
    except OSError as exc:
        raise unwritable(path, exc) from exc
    finally:
        _remove(temporary)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _write_durably(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Makes a new name durable, not only the bytes behind it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Replaces a JSON file in one step."""
    write_text(path, json.dumps(document, indent=2) + "\n")


def read_json(path: Path) -> dict[str, object] | None:
    """A JSON object, or None where there is none (absent, or not ours)."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def require_space(path: Path, minimum_bytes: int = MINIMUM_FREE_BYTES) -> None:
    """Raises: LocalStackError: the disk below `path` has less than `minimum_bytes` free."""
    free = shutil.disk_usage(path).free
    if free < minimum_bytes:
        raise LocalStackError(
            f"only {free / 1e9:.1f} GB are free where {path} lies; the local stack needs {minimum_bytes / 1e9:.1f} GB "
            "to start. Make room, or use another --state",
            code="disk_full",
        )


def unwritable(path: Path, exc: OSError) -> LocalStackError:
    """What to do about a file that cannot be written."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return LocalStackError(
            f"the disk is full: {path} cannot be written. Make room, then start again", code="disk_full"
        )
    return LocalStackError(f"{path} cannot be written: {exc.strerror}. Use a --state folder that you may write to")
