"""Secrets of channels, never shown by accident.

Place in the flow: `config.py` reads them, the senders reveal them to sign and to log in.
"""

from __future__ import annotations

from typing import Any


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
