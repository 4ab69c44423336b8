"""Secrets of channels: read from files of their owner alone, and never shown by accident.

Place in the flow: `config.py` reads them, the senders reveal them to sign and to log in.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

LONGEST_SECRET_BYTES = 4096


class Secret:
    """A text that shows itself only to who asks for it: not in repr, formatted texts, logs or pickles."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, for the one place that sends or signs with it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a secret is not pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def secret_in(path: Path) -> tuple[str, str]:
    """The file's text and "", or "" and what is wrong with it; never a part of the text."""
    if not path.is_file():
        return "", "is no file"
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return "", "can be read by others: run chmod 600 on it"
    if path.stat().st_size > LONGEST_SECRET_BYTES:
        return "", f"is longer than {LONGEST_SECRET_BYTES:,} bytes"
    text = path.read_text(encoding="utf-8").strip()
    if not text:
        return "", "is empty"
    if not text.isprintable():
        return "", "must hold one line: nothing but the secret"
    return text, ""
