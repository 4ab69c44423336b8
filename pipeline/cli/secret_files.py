"""Secrets that commands are given and hand over in files: faults told as a wrong use of the command.

Place in the flow: used by `accesstrail users` and `acting.py`; the files themselves are `pipeline/private_files.py`.
"""

from __future__ import annotations

from pathlib import Path

from pipeline import private_files
from pipeline.errors import UsageError


def read_private(path: Path, what: str) -> str:
    """The one line of a small file. `what`: for messages, e.g. "token file". Raises: UsageError: none to be had."""
    text, fault = private_files.line_in(path)
    if fault:
        raise UsageError(f"the {what} {path} {fault}")
    return text


def refuse_existing(path: Path) -> None:
    """Before something is made that could then not be kept. Raises: UsageError: it exists, or its folder does not."""
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists and is not overwritten")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")


def write_private(path: Path, text: str) -> None:
    """A new file, 0600. Raises: UsageError: it cannot be made."""
    try:
        private_files.write_new(path, text)
    except OSError as exc:
        raise UsageError(f"{path} cannot be written: {exc.strerror}") from None
