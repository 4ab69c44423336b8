"""The rows of a bundle: `rows.bin` read row by row, each with its leaf hash and what verification asks of it.

Place in the flow: between `ledger/bundle_form.py` and `ledger/bundle_check.py`. A row is read by the list of columns of
its own version; where this program knows that version, the bundle cannot give its columns other names or types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import BinaryIO

from pipeline.columns import ACCESS_EVENT_COLUMNS, CANON_VERSION, DEAD_LETTER_COLUMNS, ColumnSpec, evidence
from pipeline.errors import BundleMalformed
from pipeline.events import LEAF_KINDS, SCORE_STATUSES, codes
from pipeline.incident_columns import INCIDENT_LOG_CANON_VERSION, INCIDENT_LOG_COLUMNS
from pipeline.ledger.bundle_form import LARGEST_NUMBER, BundleFolder, Columns
from pipeline.ledger.leaf import LEAF_PREFIX
from pipeline.ledger.row_walk import Program, program_of
from pipeline.ledger.rowbinary import Layout, enum_words
from pipeline.ledger.verify import HIDDEN

LARGEST_ROW_BYTES = 1 << 28
_HEAD_BYTES, _HASH_BYTES = 5, 32
EVENT_ROW, DEAD_LETTER_ROW, INCIDENT_ROW, PRUNED_ROW = "E", "D", "I", "P"
TABLE_OF = {EVENT_ROW: "access_events", DEAD_LETTER_ROW: "dead_letters", INCIDENT_ROW: "incident_log"}
_KINDS = codes(LEAF_KINDS)
_UNSCORED = codes(SCORE_STATUSES)["unscored"]
_KINDS_OF = {EVENT_ROW: (_KINDS["event"],), DEAD_LETTER_ROW: (_KINDS["dead_letter"], _KINDS["gap"])}
INCIDENT = 200
"""Stands for the leaf kind of a row of the log of incidents, which has none."""
_TEXT = ("String", "LowCardinality(String)")
_PLACE: Mapping[str, tuple[str, ...]] = {
    "topic": _TEXT, "incarnation": _TEXT, "partition": ("UInt32",), "offset": ("UInt64",),
    "received_at": ("DateTime64(6, 'UTC')",),
}  # fmt: skip
_NEEDED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "access_events": {
        **_PLACE, "canon_version": ("UInt8",), "source_seq": ("Int64",), "tenant_id": _TEXT, "source_system": _TEXT,
        "source_instance": _TEXT, "subject_tokens": ("Array(FixedString(16))",),
    },
    "dead_letters": {**_PLACE, "canon_version": ("UInt8",), "last_offset": ("UInt64",)},
    "incident_log": _PLACE,
}  # fmt: skip
_WORDS: Mapping[str, Mapping[str, Mapping[str, int]]] = {
    "access_events": {"leaf_kind": _KINDS, "score_status": {"unscored": _UNSCORED}},
    "dead_letters": {"leaf_kind": _KINDS},
    "incident_log": {},
}
"""Words that verification goes by, where there is such a column: in every list they have these numbers."""
_WANTED = (*_NEEDED["access_events"], "last_offset", "leaf_kind", "score_status")


def listed(specs: Sequence[ColumnSpec]) -> Columns:
    """Evidence columns as a bundle lists them."""
    return tuple((spec.name, spec.type) for spec in evidence(tuple(specs)))


KNOWN: Mapping[tuple[str, int], Columns] = {
    ("access_events", CANON_VERSION): listed(ACCESS_EVENT_COLUMNS),
    ("dead_letters", CANON_VERSION): listed(DEAD_LETTER_COLUMNS),
    ("incident_log", INCIDENT_LOG_CANON_VERSION): listed(INCIDENT_LOG_COLUMNS),
}
"""The lists of columns that this program has made itself."""


@dataclass(slots=True)
class BundleRow:
    """One row. `kind` HIDDEN: only its hash is known, it is pruned or cannot be read (`problem` says why)."""

    table: str
    leaf: bytes
    kind: int = HIDDEN
    version: int = 0
    place: tuple[bytes, bytes, int] = (b"", b"", -1)
    """Topic, incarnation, partition."""
    offset: int = -1
    last_offset: int = -1
    received_at_us: int = 0
    unscored: bool = False
    subjects: int = 0
    source: tuple[bytes, bytes, bytes] = (b"", b"", b"")
    """Tenant, source system, source instance."""
    source_seq: int = -1
    problem: str = ""


class BundleRows:
    """Reads rows by the columns of a manifest."""

    def __init__(self, columns: Mapping[tuple[str, int], Columns]) -> None:
        """Raises: BundleMalformed: a list of columns is none, or not the one that this program knows."""
        self.columns = columns
        self._layouts: dict[tuple[str, int], Layout] = {}
        for (table, version), pairs in columns.items():
            if KNOWN.get((table, version), pairs) != pairs:
                raise BundleMalformed(f"its columns of {table}/{version} are not those of that version")
            self._layouts[table, 0 if table == "incident_log" else version] = _layout(table, pairs)

    @cached_property
    def program(self) -> Program:
        """The same columns for compiled code; made once, for all trees."""
        numbers = {TABLE_OF[letter]: number for number, letter in enumerate(_KINDS_OF)}
        own = {(numbers[table], version): pairs for (table, version), pairs in self.columns.items() if table in numbers}
        return program_of(own, tuple(_KINDS_OF.values()))

    def read(self, folder: BundleFolder, path: str) -> Iterator[BundleRow]:
        """The rows in order. Raises: BundleMalformed: the file is cut off, or a row is of no known table."""
        with folder.open(path) as file:
            yield from self.read_on(file, path)

    def read_on(self, file: BinaryIO, path: str) -> Iterator[BundleRow]:
        """The rows from where an open file stands. Raises: BundleMalformed."""
        while head := file.read(_HEAD_BYTES):
            length = int.from_bytes(head[1:], "little")
            if len(head) < _HEAD_BYTES or length > LARGEST_ROW_BYTES:
                raise BundleMalformed(f"{path}: a row is cut off or too long")
            data = file.read(length)
            if len(data) < length:
                raise BundleMalformed(f"{path}: a row is cut off")
            yield self._row(chr(head[0]), data, path)

    def _row(self, table: str, data: bytes, path: str) -> BundleRow:
        if table == PRUNED_ROW and len(data) == _HASH_BYTES:
            return BundleRow(table, data)
        if table not in TABLE_OF:
            raise BundleMalformed(f"{path}: a row of no known table")
        leaf = sha256(LEAF_PREFIX + data).digest()
        try:
            return self._opened(table, data, leaf)
        except ValueError as exc:
            return BundleRow(table, leaf, problem=str(exc))

    def _opened(self, table: str, data: bytes, leaf: bytes) -> BundleRow:
        """Raises: ValueError: the row cannot be read, or contradicts itself."""
        if table != INCIDENT_ROW and len(data) < 2:
            raise ValueError("the row is too short")
        layout = self._layouts.get((TABLE_OF[table], 0 if table == INCIDENT_ROW else data[1]))
        if layout is None:
            raise ValueError("the columns of its version are not listed")
        found = layout.read(data)
        offset = _number(found["offset"])
        last = _number(found.get("last_offset", offset)) if table == DEAD_LETTER_ROW else offset
        kind = INCIDENT if table == INCIDENT_ROW else _number(found["leaf_kind"])
        if table != INCIDENT_ROW and kind not in _KINDS_OF[table]:
            raise ValueError("its leaf_kind belongs in another table")
        if not offset <= last <= LARGEST_NUMBER or (kind == _KINDS["dead_letter"] and last != offset):
            raise ValueError("its last_offset cannot be")
        is_event = table == EVENT_ROW
        return BundleRow(
            table, leaf, kind, 0 if table == INCIDENT_ROW else _number(found["canon_version"]),
            (_text(found["topic"]), _text(found["incarnation"]), _number(found["partition"])),
            offset, last, _number(found["received_at"]),
            unscored=is_event and found.get("score_status") == _UNSCORED,
            subjects=_number(found["subject_tokens"]) if is_event else 0,
            source=(_text(found["tenant_id"]), _text(found["source_system"]), _text(found["source_instance"]))
            if is_event else (b"", b"", b""),
            source_seq=_number(found["source_seq"]) if is_event else -1,
        )  # fmt: skip


def _layout(table: str, pairs: Columns) -> Layout:
    types = dict(pairs)
    if any(types.get(name) not in kinds for name, kinds in _NEEDED[table].items()):
        raise BundleMalformed(f"its columns of {table} lack one that verification needs")
    if table != "incident_log" and [name for name, _ in pairs[:2]] != ["leaf_kind", "canon_version"]:
        raise BundleMalformed(f"its columns of {table} do not begin with leaf_kind and canon_version")
    try:
        for name, words in _WORDS[table].items():
            if name in types and not words.items() <= enum_words(types[name]).items():
                raise ValueError(f"{name} has other words")
        return Layout(pairs, _WANTED)
    except ValueError as exc:
        raise BundleMalformed(f"its columns of {table}: {exc}") from None


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("a number is none")
    return value


def _text(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a text is none")
    return value
