"""Rows of `rows.bin` and their evidence columns (sections 1 and 6, check 6): read by the bundle's lists of columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import takewhile
from operator import contains
from struct import Struct
from typing import Any, Final

from .bundle import MAX_NUMBER, Bundle, Columns
from .findings import Malformed

MAX_ROW_BYTES = 1 << 28

_FIXED_BYTES = {"8": 1, "16": 2, "32": 4, "64": 8}
_INTEGER = re.compile(r"(U?)Int(8|16|32|64)")
_FIXED_STRING = re.compile(r"FixedString\(([1-9][0-9]{0,3})\)")
_ENUM = re.compile(r"Enum8\(('[^'\\]*' = -?[0-9]{1,3}(?:, '[^'\\]*' = -?[0-9]{1,3})*)\)")
_TEXTS = ("String", "LowCardinality(String)")
_MAPS = frozenset(f"Map({key}, {value})" for key in _TEXTS for value in _TEXTS)
_ENUM_WORD = re.compile(r"'([^'\\]*)' = (-?[0-9]{1,3})")

KNOWN_LISTS: Final[Mapping[tuple[str, int], str]] = {
    ("access_events", 2): "4d254c38c089d90a534fd790a158c299df3e605641ac798bf9c6c91b97c29ca9",
    ("dead_letters", 2): "dd46215b446f83b7969693db436b111dd82987b38544eb4ac995fe8877b57177",
    ("incident_log", 1): "d46d4bc1618edf24badcfddee0ed8c7223cab6a02b3dbf79b6e2731d8f7e325f",
}
"""Digest of each list of columns that the document names: a bundle cannot give them other names or types."""


class Unreadable(Exception):
    """A row cannot be read by its columns."""


@dataclass(slots=True)
class Row:
    """What verification needs of a row."""

    table: str
    leaf: bytes
    leaf_kind: int = 0
    canon_version: int = 0
    partition: int = 0
    offset: int = 0
    last_offset: int = 0
    received_at: int = 0
    topic: bytes = b""
    incarnation: bytes = b""
    is_unscored: bool = False
    subjects: int = 0
    source: tuple[bytes, bytes, bytes] = (b"", b"", b"")
    source_seq: int = -1
    problem: str = ""

    @property
    def is_hidden(self) -> bool:
        """Pruned or unreadable: only its hash is known."""
        return self.table == "P" or bool(self.problem)


# A type is a tuple: ("fixed", bytes, is_signed_number or None), ("enum", {byte: word}), ("string",),
# ("items", bytes of an item) or ("texts", texts of an item): arrays and maps.
ColumnType = tuple[Any, ...]


def parse_type(text: str) -> ColumnType:
    """A column's type from the words of the document's table; `Malformed` for any other."""
    if match := _INTEGER.fullmatch(text):
        return ("fixed", _FIXED_BYTES[match[2]], not match[1])
    if text == "DateTime64(6, 'UTC')":
        return ("fixed", 8, True)
    if match := _FIXED_STRING.fullmatch(text):
        return ("fixed", int(match[1]), None)
    if text in ("UUID", "IPv6"):
        return ("fixed", 16, None)
    if match := _ENUM.fullmatch(text):
        return ("enum", _enum_words(match[1]))
    if text in _TEXTS:
        return ("string",)
    if text.startswith("Array(") and text.endswith(")"):
        item = text[len("Array(") : -1]
        if item in _TEXTS:
            return ("texts", 1)
        if not item.startswith("Array(") and (kind := parse_type(item))[0] == "fixed":
            return ("items", kind[1])
    if text in _MAPS:
        return ("texts", 2)
    raise Malformed(f"manifest.json: unknown type {ascii(text)[:80]}")


def _enum_words(text: str) -> dict[int, str]:
    """Byte to word; `Malformed` where a number is not of 8 bits, or a word or number is there twice."""
    pairs = [(word, int(number), number) for word, number in _ENUM_WORD.findall(text)]
    if any(not -128 <= number < 128 or str(number) != written for _, number, written in pairs):
        raise Malformed("manifest.json: a number of an Enum8 is none of 8 bits")
    words = {number & 0xFF: word for word, number, _ in pairs}
    if not len(words) == len(set(words.values())) == len(pairs):
        raise Malformed("manifest.json: an Enum8 has a word or a number twice")
    return words


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A LEB128 number and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (byte == 0 and shift) or number > MAX_NUMBER:
                raise Unreadable("a length is written too long")
            return number, at
        shift += 7
        if shift > 63:
            raise Unreadable("a length is written too long")


_STRUCT = {(1, False): "B", (2, False): "H", (4, False): "I", (8, False): "Q"}
_STRUCT |= {(size, True): letter.lower() for (size, _), letter in _STRUCT.items()}


def _width(kind: ColumnType) -> int:
    return int(kind[1]) if kind[0] == "fixed" else 1


class Layout:
    """Reads the columns that verification needs, and finds the end of every other, from one list of columns.

    Columns of fixed width that stand first, the head, are read at once; what is not needed of it is passed over.
    """

    def __init__(self, columns: Columns, needed: Mapping[str, str]) -> None:
        self.types = {name: parse_type(text) for name, text in columns}
        for name, text in needed.items():
            if dict(columns).get(name) not in text.split("|"):
                raise Malformed(f"manifest.json: a list of columns lacks {name} {text}")
        kinds = list(self.types.items())
        head = list(takewhile(lambda one: one[1][0] in ("fixed", "enum"), kinds))
        tail = kinds[len(head) :]
        if any(kind[0] == "enum" for _, kind in tail):
            raise Malformed("manifest.json: an Enum8 behind a column of variable width")
        self._words = tuple(kind[1] for _, kind in head if kind[0] == "enum")
        self._enums = Struct("<" + "".join("B" if kind[0] == "enum" else f"{_width(kind)}x" for _, kind in head))
        letters = [_letter(kind) if name in _WANTED else "" for name, kind in head]
        self._names = tuple(name for (name, _), letter in zip(head, letters, strict=True) if letter)
        self._head = Struct(
            "<" + "".join(letter or f"{_width(kind)}x" for (_, kind), letter in zip(head, letters, strict=True))
        )
        self._tail = tuple((name if name in _WANTED else "", *kind, *[0] * (3 - len(kind))) for name, kind in tail)

    def read(self, data: bytes) -> dict[str, Any]:
        """The columns needed; `Unreadable` where the data are not exactly those columns."""
        if len(data) < self._head.size:
            raise Unreadable("the data end before the columns")
        if not all(map(contains, self._words, self._enums.unpack_from(data))):
            raise Unreadable("a number stands for no word")
        values: dict[str, Any] = dict(zip(self._names, self._head.unpack_from(data), strict=True))
        try:
            end = self._read_tail(data, values)
        except IndexError:
            end = -1
        if end != len(data):
            raise Unreadable("the data are longer or shorter than the columns")
        return values

    def _read_tail(self, data: bytes, values: dict[str, Any]) -> int:
        """What follows the head, value by value; where it ends. `IndexError` where the data end before."""
        at = self._head.size
        for name, form, size, signed in self._tail:
            if form == "fixed":
                if name:
                    values[name] = int.from_bytes(data[at : at + size], "little", signed=bool(signed))
                at += size
                continue
            count = data[at]
            at += 1
            if count >= 0x80:
                count, at = varint(data, at - 1)
            if form == "string":
                if name:
                    values[name] = data[at : at + count]
                at += count
                continue
            if name:
                values[name] = count
            if form == "items":
                at += count * size
                continue
            for _ in range(count * size):
                length = data[at]
                at += 1
                if length >= 0x80:
                    length, at = varint(data, at - 1)
                at += length
        return at


def _letter(kind: ColumnType) -> str:
    """How `struct` calls a number; empty for bytes."""
    if kind[0] == "enum":
        return "B"
    return "" if kind[2] is None else _STRUCT[kind[1], kind[2]]


_TEXT = "String|LowCardinality(String)"
_POSITION = {
    "partition": "UInt32",
    "offset": "UInt64",
    "received_at": "DateTime64(6, 'UTC')",
    "topic": _TEXT,
    "incarnation": _TEXT,
}
_NEEDED: Mapping[str, Mapping[str, str]] = {
    "access_events": {
        **_POSITION,
        "canon_version": "UInt8",
        "source_seq": "Int64",
        "tenant_id": _TEXT,
        "source_system": _TEXT,
        "source_instance": _TEXT,
        "subject_tokens": "Array(FixedString(16))",
    },
    "dead_letters": {**_POSITION, "canon_version": "UInt8", "last_offset": "UInt64"},
    "incident_log": _POSITION,
}
_WANTED = frozenset((*_NEEDED["access_events"], "last_offset", "leaf_kind", "score_status"))
_UNSCORED = 2
_KINDS = {1: "event", 2: "dead_letter", 3: "gap"}
_WORDS: Mapping[str, Mapping[str, Mapping[int, str]]] = {
    "access_events": {"leaf_kind": _KINDS, "score_status": {_UNSCORED: "unscored"}},
    "dead_letters": {"leaf_kind": _KINDS},
    "incident_log": {},
}
_TABLE_OF_KIND = {"E": "access_events", "D": "dead_letters", "I": "incident_log"}
_LEAF_KINDS = {"E": (1,), "D": (2, 3), "I": (0,)}


def _has_words(kind: ColumnType | None, words: Mapping[int, str]) -> bool:
    """Whether a column, where there is one, is an Enum8 in which these words have these numbers."""
    return kind is None or (kind[0] == "enum" and words.items() <= kind[1].items())


class RowReader:
    """Rows of a tree, each read by the list of columns of its own version."""

    def __init__(self, columns: Mapping[tuple[str, int], Columns]) -> None:
        self._layouts: dict[tuple[str, int], Layout] = {}
        self.unknown_lists: list[str] = []
        for (table, version), pairs in columns.items():
            self._check_list(table, version, pairs)
            layout = Layout(pairs, _NEEDED[table])
            if table != "incident_log" and [name for name, _ in pairs[:2]] != ["leaf_kind", "canon_version"]:
                raise Malformed(f"manifest.json: columns of {table}/{version} begin otherwise")
            if not all(_has_words(layout.types.get(name), words) for name, words in _WORDS[table].items()):
                raise Malformed(f"manifest.json: words of {table}/{version} have other numbers")
            self._layouts[table, version if table != "incident_log" else 0] = layout

    def _check_list(self, table: str, version: int, pairs: Columns) -> None:
        known = KNOWN_LISTS.get((table, version))
        if known is None:
            self.unknown_lists.append(f"{table}/{version}")
        elif known != digest_of_list(pairs):
            raise Malformed(f"manifest.json: columns of {table}/{version} are not those of the document")

    def rows(self, bundle: Bundle, path: str) -> Iterator[Row]:
        """Each row; `Malformed` where the file's own form breaks."""
        with bundle.open(path) as file:
            while head := file.read(5):
                length = int.from_bytes(head[1:], "little")
                if len(head) < 5 or length > MAX_ROW_BYTES:
                    raise Malformed(f"{path}: a row's head is cut off or its length beyond all bounds")
                data = file.read(length)
                if len(data) < length:
                    raise Malformed(f"{path} is cut off in a row")
                yield self._row(chr(head[0]), data, path)

    def _row(self, table: str, data: bytes, path: str) -> Row:
        if table == "P":
            if len(data) != 32:
                raise Malformed(f"{path}: the hash of a pruned row has not 32 bytes")
            return Row("P", data)
        if table not in _TABLE_OF_KIND:
            raise Malformed(f"{path}: a row of no known table")
        leaf = sha256(b"\x00" + data).digest()
        try:
            return self._read(table, data, leaf)
        except Unreadable as why:
            return Row(table, leaf, problem=str(why))

    def _read(self, table: str, data: bytes, leaf: bytes) -> Row:
        if table == "I":
            version = 0
        elif len(data) < 2:
            raise Unreadable("the data end before the columns")
        else:
            version = data[1]
        layout = self._layouts.get((_TABLE_OF_KIND[table], version))
        if layout is None:
            raise Unreadable("no columns are known for its version")
        values = layout.read(data)
        offset = values["offset"]
        kind = 0 if table == "I" else values["leaf_kind"]
        if kind not in _LEAF_KINDS[table]:
            raise Unreadable("its leaf_kind belongs in another table")
        last_offset = values["last_offset"] if table == "D" else offset
        if not offset <= last_offset <= MAX_NUMBER or (kind == 2 and last_offset != offset):
            raise Unreadable("its last_offset cannot be")
        return _row_of(table, leaf, values, kind, last_offset)


def _row_of(table: str, leaf: bytes, values: Mapping[str, Any], kind: int, last_offset: int) -> Row:
    return Row(
        table,
        leaf,
        kind,
        0 if table == "I" else values["canon_version"],
        values["partition"],
        values["offset"],
        last_offset,
        values["received_at"],
        values["topic"],
        values["incarnation"],
        *(_of_event(values) if table == "E" else ()),
    )


def _of_event(values: Mapping[str, Any]) -> tuple[bool, int, tuple[bytes, bytes, bytes], int]:
    return (
        values.get("score_status") == _UNSCORED,
        values["subject_tokens"],
        (values["tenant_id"], values["source_system"], values["source_instance"]),
        values["source_seq"],
    )


def digest_of_list(columns: Columns) -> str:
    """SHA-256 of a list of columns: a line `name type` each."""
    return sha256("".join(f"{name} {kind}\n" for name, kind in columns).encode(errors="surrogatepass")).hexdigest()
