"""Secrets that pass through files: read only where nobody else can, written 0600 and never over something.

Place in the flow: below everything that holds a password, a token or a key in a file. An argument of a command would
show in the list of processes and in the shell's history; a value of the configuration, wherever that is copied to.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

LONGEST_BYTES = 4096


def line_in(path: Path) -> tuple[str, str]:
    """The one line of a small file without its end and "", or "" and what is wrong with it; never a part of it.

    A pipe (`<(…)`, standard input) has no owner worth asking; a file must be readable by its owner alone.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(LONGEST_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError):
        return "", "is no file"
    except OSError as exc:
        return "", f"cannot be read: {exc.strerror}"
    if stat.S_ISREG(mode) and stat.S_IMODE(mode) & 0o077:
        return "", "can be read by others: run chmod 600 on it"
    return _line(content)


def _line(content: bytes) -> tuple[str, str]:
    if len(content) > LONGEST_BYTES:
        return "", f"is longer than {LONGEST_BYTES:,} bytes"
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return "", "is no UTF-8 text"
    if not text.strip():
        return "", "is empty"
    if not text.isprintable():
        return "", "must hold one line: nothing but the secret"
    return text, ""


def write_new(path: Path, text: str, mode: int = 0o600) -> None:
    """A new file with this mode from the first byte, on the disk when this returns; never over an existing one.

    Raises: FileExistsError; OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Returns when names that were made or replaced in a folder are on the disk. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
