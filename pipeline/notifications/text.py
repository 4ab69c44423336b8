"""Text that leaves the system: made harmless, cut at the border of a character, fitted to a channel's limit.

Place in the flow: below the templates and below every sender of `pipeline/adapters/channels`. What a message quotes may
have been written by whoever attacks (names of endpoints, purposes, devices), so it is one line without control
characters, without characters that turn the direction of writing (Unicode UAX #9), and without a link of its own.
Markup is a matter of each channel and escaped there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

ELLIPSIS = "…"
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_JOINER = "\u200d"
_TOKEN = re.compile(r"(?<![0-9a-f])([0-9a-f]{8})[0-9a-f]{24}(?:[0-9a-f]{32})?(?![0-9a-f])", re.IGNORECASE)

Size = Callable[[str], int]
Escape = Callable[[str], str]


def plain(text: str) -> str:
    """One line of visible characters. Links lose their colon, so that no client makes them one to click on."""
    shown = "".join(" " if unicodedata.category(one) in _UNSEEN and one != _JOINER else one for one in text)
    return " ".join(shown.split()).replace("://", "：//")


def short_tokens(text: str) -> str:
    """Keyed tokens (32 or 64 hexadecimal digits) by their first eight digits, as people compare them."""
    return _TOKEN.sub(lambda found: found.group(1) + ELLIPSIS, text)


def utf8_size(text: str) -> int:
    """Bytes of the text as it is sent."""
    return len(text.encode())


def cut(text: str, limit: int, size: Size = utf8_size) -> str:
    """The text, or as much of its beginning as fits together with an ellipsis; "" where not even that does.

    What belongs to the character before it (accents, joined emoji) goes with it.
    """
    if size(text) <= limit:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if size(text[:middle] + ELLIPSIS) <= limit:
            low = middle
        else:
            high = middle - 1
    while low and _belongs_to_the_one_before(text, low):
        low -= 1
    return text[:low].rstrip() + ELLIPSIS if low else ""


def _belongs_to_the_one_before(text: str, index: int) -> bool:
    one = text[index]
    is_modifier = "\U0001f3fb" <= one <= "\U0001f3ff" or "\ufe00" <= one <= "\ufe0f"
    return is_modifier or one == _JOINER or text[index - 1] == _JOINER or unicodedata.category(one) in ("Mn", "Me")


def fitted(
    head: str, lines: Sequence[str], tail: str, limit: int, *, escape: Escape, size: Size = utf8_size, join: str = "\n"
) -> str:
    """Head, as many lines as fit, and tail, which is never cut: it holds the link.

    Head and tail are already escaped; lines are escaped here, after they were cut, so that no escape is torn apart.
    Raises: ValueError: head and tail alone are more than the limit, which their own limits exclude.
    """
    ends = [part for part in (head, tail) if part]
    if size(join.join(ends)) > limit:
        raise ValueError(f"head and tail of a message take more than its {limit} bytes")

    def with_next(text: str) -> int:
        return size(_joined(head, [*kept, escape(text)], tail, join))

    kept: list[str] = []
    for line in lines:
        shorter = cut(line, limit, with_next)
        if shorter:
            kept.append(escape(shorter))
        if shorter != line:
            break
    return _joined(head, kept, tail, join)


def _joined(head: str, lines: Sequence[str], tail: str, join: str) -> str:
    return join.join([part for part in (head, *lines, tail) if part])
