"""Reads a row's evidence columns back from its canonical bytes: ClickHouse's RowBinary.

Place in the flow: under verification of bundles, on an auditor's laptop. The types are those of
`docs/reference/evidence.md` section 1; the columns are what a bundle lists. Only the few that verification needs are
taken out, but every byte is walked over, so that no row passes that has too many or too few.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

_FIXED = {
    "UInt8": "B", "UInt16": "H", "UInt32": "I", "UInt64": "Q", "Int8": "b", "Int16": "h", "Int32": "i", "Int64": "q",
    "DateTime64(6, 'UTC')": "q", "UUID": "16s", "IPv6": "16s",
}  # fmt: skip
_STRINGS = ("String", "LowCardinality(String)")
_ENUM = re.compile(r"Enum8\((?P<words>.*)\)", re.DOTALL)
_WORD = re.compile(r"'(?P<word>[^'\\]*)' = (?P<number>-?\d{1,3})(?:, |$)")
_FIXED_STRING = re.compile(r"FixedString\((?P<bytes>[1-9]\d{0,3})\)")
_LONGEST_VARINT = 9
_MOST_KNOWN = 100_000
Found = dict[str, int | bytes]
_Step = Callable[[bytes, int, Found], int]
"""Walks over a part of a row from where it begins, notes what is wanted, returns where it ends."""


class Layout:
    """The columns of one kind of row. Fixed columns that stand first are read at once, the others one by one."""

    def __init__(self, columns: Sequence[tuple[str, str]], wanted: Sequence[str]) -> None:
        """`wanted`: which are returned, of those that there are. Raises: ValueError: a type is unknown."""
        names = [name for name, _ in columns]
        head = 0
        while head < len(columns) and fixed_format(columns[head][1]) is not None:
            head += 1
        self._head = struct.Struct("<" + "".join(str(fixed_format(kind)) for _, kind in columns[:head]))
        self._names = [name for name in wanted if name in names[:head]]
        self._numbers = _picked([names.index(name) for name in self._names])
        enums = [(at, frozenset(enum_words(kind).values())) for at, (_, kind) in enumerate(columns) if _is_enum(kind)]
        if any(at >= head for at, _ in enums):
            raise ValueError("an Enum8 behind a column of variable width")
        self._enums, self._words = tuple(enums), _picked([at for at, _ in enums])
        self._known_words: set[tuple[object, ...]] = set()
        self._steps = tuple(_steps(columns[head:], frozenset(wanted)))

    def read(self, data: bytes) -> Found:
        """The wanted columns: numbers, bytes, of arrays the number of items. Raises: ValueError: no such row."""
        try:
            head = self._head.unpack_from(data)
            words = self._words(head)
            if words not in self._known_words:
                self._check_words(words)
            found: Found = dict(zip(self._names, self._numbers(head), strict=True))
            at = self._head.size
            for step in self._steps:
                at = step(data, at, found)
        except (struct.error, IndexError):
            raise ValueError("the row is too short") from None
        if at != len(data):
            raise ValueError("the row is too long or too short")
        return found

    def _check_words(self, words: tuple[object, ...]) -> None:
        """Each number stands for a word; what was seen once is not looked at again. Raises: ValueError."""
        if any(word not in numbers for word, (_, numbers) in zip(words, self._enums, strict=True)):
            raise ValueError("a number stands for no word")
        if len(self._known_words) < _MOST_KNOWN:
            self._known_words.add(words)


def _picked(places: Sequence[int]) -> Callable[[tuple[int, ...]], tuple[int, ...]]:
    """Takes values by their places: always as a tuple, also of one or none."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[place] for place in places)


def _is_enum(kind: str) -> bool:
    return kind.startswith("Enum8(")


def fixed_format(kind: str) -> str | None:
    """The struct format of a type of fixed width, None for others."""
    if kind in _FIXED:
        return _FIXED[kind]
    if _ENUM.fullmatch(kind):
        return "b"
    match = _FIXED_STRING.fullmatch(kind)
    return f"{match['bytes']}s" if match else None


def enum_words(kind: str) -> Mapping[str, int]:
    """The words of an `Enum8` type and their numbers. Raises: ValueError."""
    match = _ENUM.fullmatch(kind)
    text = match["words"] if match else ""
    words = {found["word"]: int(found["number"]) for found in _WORD.finditer(text)}
    if ", ".join(f"'{word}' = {number}" for word, number in words.items()) != text or not words:
        raise ValueError("an Enum8 of unknown form")
    if len(set(words.values())) != len(words) or not all(-128 <= number < 128 for number in words.values()):
        raise ValueError("an Enum8 whose numbers are not 8 bits each, or not different")
    return words


def _steps(columns: Sequence[tuple[str, str]], wanted: frozenset[str]) -> list[_Step]:
    """Texts that follow each other are one step. Raises: ValueError: a type is unknown."""
    steps, texts = list[_Step](), list[str]()
    for name, kind in columns:
        noted = name if name in wanted else ""
        if kind in _STRINGS:
            texts.append(noted)
            continue
        if texts:
            steps.append(_texts(texts))
            texts = []
        steps.append(_other(noted, kind))
    return [*steps, _texts(texts)] if texts else steps


def is_text(kind: str) -> bool:
    """Whether a type is a text."""
    return kind in _STRINGS


def items_of(kind: str) -> tuple[int, int]:
    """Of an array or map: bytes of an item of fixed width, 0 for others; texts of an item. Raises: ValueError."""
    if kind.startswith("Array(") and kind.endswith(")"):
        item = kind.removeprefix("Array(")[:-1]
        width = fixed_format(item)
        if width is not None and not _is_enum(item):
            return struct.calcsize("<" + width), 0
        if item in _STRINGS:
            return 0, 1
    if kind.startswith("Map(") and kind.endswith(")"):
        key, gap, value = kind.removeprefix("Map(")[:-1].partition(", ")
        if gap and key in _STRINGS and value in _STRINGS:
            return 0, 2
    raise ValueError("a column of an unknown type")


def _other(noted: str, kind: str) -> _Step:
    fixed = fixed_format(kind)
    if fixed is not None:
        return _fixed(noted, fixed)
    width, texts = items_of(kind)
    return _items_of_texts(noted, texts) if texts else _items_of_width(noted, width)


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Where a LEB128 number ends and what it is. Raises: ValueError: too long, or not the shortest form; IndexError."""
    value = 0
    for place in range(_LONGEST_VARINT):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            if place and not byte:
                raise ValueError("a length is not in its shortest form")
            return at, value
    raise ValueError("a length is too long")


def _texts(names: Sequence[str]) -> _Step:
    """What lies beyond the row's end is seen by the next byte that is not there, or by the row's length."""
    every = tuple(names)

    def step(data: bytes, at: int, found: Found) -> int:
        for name in every:
            length = data[at]
            at += 1
            if length >= 0x80:
                at, length = varint(data, at - 1)
            if name:
                found[name] = data[at : at + length]
            at += length
        return at

    return step


def _fixed(noted: str, form: str) -> _Step:
    layout = struct.Struct("<" + form)

    def step(data: bytes, at: int, found: Found) -> int:
        [value] = layout.unpack_from(data, at)
        if noted:
            found[noted] = value
        return at + layout.size

    return step


def _count(data: bytes, at: int) -> tuple[int, int]:
    """Where the number of items ends, and what it is. Raises: ValueError: more items than bytes; IndexError."""
    count = data[at]
    if count < 0x80:
        return at + 1, count
    at, count = varint(data, at)
    if count > len(data):
        raise ValueError("the row is too short")
    return at, count


def _items_of_width(noted: str, width: int) -> _Step:
    def step(data: bytes, at: int, found: Found) -> int:
        at, count = _count(data, at)
        if noted:
            found[noted] = count
        return at + width * count

    return step


def _items_of_texts(noted: str, texts: int) -> _Step:
    """An array (one text an item) or a map (two)."""

    def step(data: bytes, at: int, found: Found) -> int:
        at, count = _count(data, at)
        if noted:
            found[noted] = count
        for _ in range(count * texts):
            length = data[at]
            at += 1
            if length >= 0x80:
                at, length = varint(data, at - 1)
            at += length
        return at

    return step
