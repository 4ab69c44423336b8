"""Secrets that pass through files: read only where nobody else can, written 0600 and never over something.

Place in the flow: used by `accesstrail users` and `acting.py`; an argument of a command would show in the list of
processes and in the shell's history.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pipeline.errors import UsageError

_LONGEST_BYTES = 4096


def read_private(path: Path, what: str) -> str:
    """The first line of a small file without its end. `what`: for messages, e.g. "token file".

    Raises: UsageError: missing, empty, too long, no text, or others can read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            content = b"" if stat.S_ISDIR(status.st_mode) else file.read(_LONGEST_BYTES + 1)
    except OSError as exc:
        raise UsageError(f"the {what} {path} cannot be read: {exc.strerror}") from None
    if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077:
        raise UsageError(f"the {what} {path} can be read by others: run chmod 600 on it")
    try:
        line = content.decode().split("\n", 1)[0].rstrip("\r")
    except UnicodeDecodeError:
        line = ""
    if not line or len(content) > _LONGEST_BYTES:
        raise UsageError(f"the {what} {path} must hold one line of text, at most {_LONGEST_BYTES:,} bytes")
    return line


def refuse_existing(path: Path) -> None:
    """Before something is made that could then not be kept. Raises: UsageError: it exists, or its folder does not."""
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists and is not overwritten")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")


def write_private(path: Path, text: str) -> None:
    """A new file, 0600 from the first byte, on the disk when this returns. Raises: UsageError: it cannot be made."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise UsageError(f"{path} cannot be written: {exc.strerror}") from None
