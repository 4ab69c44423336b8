"""Rows for a person or a program: values as plain JSON types, and tables aligned by display width.

Bytes become hexadecimal, times ISO 8601 in UTC with `Z`, UUIDs and addresses text; control characters in stored texts
are shown escaped, so that nothing stored can steer a terminal. East Asian wide characters count as two columns.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

_LONGEST_CELL = 60


def plain_row(row: Sequence[Any], types: Sequence[str]) -> list[Any]:
    """One row as JSON types; `types`: the store's column types, which tell bytes from text."""
    return [_plain(value, kind) for value, kind in zip(row, types, strict=True)]


def moment_of(at_us: int) -> str:
    """A time as people read it: ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def _plain(value: Any, kind: str) -> Any:  # noqa: ANN401  any value a store can give
    if isinstance(value, bytes):
        return _fixed_bytes(value, kind) if "FixedString(" in kind else value.decode(errors="replace")
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        key_kind, item_kind = inner_types(kind)
        return {str(_plain(key, key_kind)): _plain(item, item_kind) for key, item in value.items()}
    if isinstance(value, list | tuple):
        kinds = inner_types(kind)
        each = kinds if kind.startswith("Tuple(") else kinds[:1] * len(value)
        return [_plain(item, one) for item, one in zip(value, each, strict=True)]
    if isinstance(value, date | UUID | IPv4Address | IPv6Address | Decimal):
        return str(value)
    return value


def _fixed_bytes(value: bytes, kind: str) -> str:
    """Hexadecimal in full length: the driver leaves out zero bytes at the end."""
    return value.ljust(int(kind.split("FixedString(")[1].split(")")[0]), b"\0").hex()


def inner_types(kind: str) -> list[str]:
    """The types inside a container type: `Map(String, Array(UInt8))` → `String`, `Array(UInt8)`."""
    found, depth, quoted, start = [], 0, False, kind.find("(") + 1
    for place, character in enumerate(kind):
        if character == "'" and kind[place - 1] != "\\":
            quoted = not quoted
        depth += 0 if quoted else (character == "(") - (character == ")")
        if not quoted and ((character == "," and depth == 1) or (character == ")" and depth == 0)):
            found.append(kind[start:place].strip())
            start = place + 1
    return found or [kind]


def aligned(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Lines of a table with a header; long cells are cut with an ellipsis."""
    lines = [[_cell(value) for value in row] for row in (names, *rows)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(names))]
    for line in lines:
        padded = (text + " " * (width - _width(text)) for text, width in zip(line, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _cell(value: Any) -> str:  # noqa: ANN401  any plain value
    if isinstance(value, list):
        text = ", ".join(map(str, value))
    elif isinstance(value, dict):
        text = ", ".join(f"{key}={item}" for key, item in value.items())
    else:
        text = "" if value is None else str(value)
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return shown if len(shown) <= _LONGEST_CELL else shown[: _LONGEST_CELL - 1] + "…"


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )
