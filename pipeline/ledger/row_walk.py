"""Walks over the rows of a bundle in compiled code: as `ledger/rowbinary.py`, for rows that are as they must be.

Place in the flow: under `ledger/bundle_blocks.py`. It takes in a row only where everything about it is in order and
stops at the first that is not, whatever may be wrong with it: to say what, is left to the code that reads one row at a
time. So this code has no words and no second opinion, only a narrower door.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.compiled import compiled
from pipeline.ledger.rowbinary import enum_words, fixed_format, is_text, items_of

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
FIXED = (
    "leaf_kind",
    "canon_version",
    "offset",
    "last_offset",
    "received_at",
    "score_status",
    "source_seq",
    "partition",
)
"""Columns of fixed width that are read, by their place in a layout's table and in what is found of a row."""
TEXTS = ("topic", "incarnation", "tenant_id", "source_system", "source_instance")
ITEMS = "subject_tokens"
_SIZES = dict(zip(FIXED, (1, 1, 8, 8, 8, 1, 8, 4), strict=True))
"""Their bytes: another layout is left out."""
KIND, VERSION, OFFSET, LAST_OFFSET, RECEIVED, STATUS, SEQUENCE, PARTITION = range(len(FIXED))
SUBJECTS, START, FOUND = len(FIXED), len(FIXED) + 1, len(FIXED) + 2
"""What is found of a row: FIXED, the number of subjects, where its data begin."""
MORE, OTHER, FULL = range(3)
"""Why a walk ended: the rest is an unfinished row; the next row is for others to read; there is no room for more."""
_TEXT, _FIXED, _WIDE_ITEMS, _TEXT_ITEMS = range(4)
_NONE, _SUBJECTS = -1, len(TEXTS)
HEAD_BYTES, _LARGEST_BYTES = 5, 1 << 24
"""A row's table and length; larger rows are left to others, so that little is read twice."""


@dataclass(frozen=True, slots=True)
class Program:
    """Layouts as numbers. `fixed` (layouts, 9): bytes of the head, then where each of FIXED stands in it, -1 nowhere.

    `steps` (n, 3): what follows the head: kind of step, width or number, what is noted. `enums` (n, 2): place in the
    head, number of its words; `words` (n, 256): 1 where the byte stands for a word. `begins` (layouts + 1, 2): where
    the steps and enums of each layout begin. `of_version` (2, 256): layout of events and dead letters by version, -1
    none. `kinds` (2, 256): 1 where a leaf kind belongs into that table.
    """

    fixed: I64
    steps: I64
    begins: I64
    enums: I64
    words: U8
    of_version: I64
    kinds: U8


def program_of(layouts: Mapping[tuple[int, int], Sequence[tuple[str, str]]], kinds: Sequence[Sequence[int]]) -> Program:
    """The program of layouts: (0 event or 1 dead letter, version) to columns. One that this cannot read is left out."""
    fixed, steps, enums = list[list[int]](), list[list[int]](), list[list[int]]()
    begins, numbers = [[0, 0]], dict[str, int]()
    of_version = np.full((2, 256), -1, np.int64)
    for (table, version), columns in layouts.items():
        head = 0
        while head < len(columns) and fixed_format(columns[head][1]) is not None:
            head += 1
        names = [name for name, _ in columns[:head]]
        sizes = [struct.calcsize("<" + str(fixed_format(kind))) for _, kind in columns[:head]]
        at = dict(zip(names, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        size_of = dict(zip(names, sizes, strict=True))
        if any(size_of.get(name, 0) != size for name, size in _SIZES.items() if name in dict(columns)):
            continue
        own = [_step(name, kind) for name, kind in columns[head:]]
        of_version[table, version] = len(fixed)
        fixed.append([sum(sizes), *(at.get(name, -1) for name in FIXED)])
        for name, kind in columns[:head]:
            if kind.startswith("Enum8("):
                enums.append([at[name], numbers.setdefault(kind, len(numbers))])
        steps += own
        begins.append([len(steps), len(enums)])
    words = [_table({value & 0xFF for value in enum_words(kind).values()}) for kind in numbers]
    return Program(
        np.array(fixed, np.int64).reshape(-1, 1 + len(FIXED)), np.array(steps, np.int64).reshape(-1, 3),
        np.array(begins, np.int64), np.array(enums, np.int64).reshape(-1, 2),
        np.array(words, np.uint8).reshape(-1, 256), of_version, np.array([_table(set(one)) for one in kinds], np.uint8),
    )  # fmt: skip


def _table(members: set[int]) -> U8:
    table = np.zeros(256, np.uint8)
    table[sorted(members)] = 1
    return table


def _step(name: str, kind: str) -> list[int]:
    if is_text(kind):
        return [_TEXT, 0, TEXTS.index(name) if name in TEXTS else _NONE]
    width = fixed_format(kind)
    if width is not None:
        return [_FIXED, struct.calcsize("<" + width), _NONE]
    width_bytes, texts = items_of(kind)
    noted = _SUBJECTS if name == ITEMS else _NONE
    return [_TEXT_ITEMS, texts, noted] if texts else [_WIDE_ITEMS, width_bytes, noted]


def walk(
    data: U8, at: int, program: Program, place: tuple[U8, U8, int], last_offset: int, most: int, dead_letter: int
) -> tuple[I64, I64, int, int]:
    """At most so many rows from `at` on, of one tree (topic, incarnation, partition), behind `last_offset`.

    `dead_letter`: the leaf kind of a row that stands for one offset. What is found (n, FOUND), where TEXTS lie
    (n, 5, 2), where the walk ended, and why.
    """
    found, spans = np.empty((most, FOUND), np.int64), np.zeros((most, len(TEXTS), 2), np.int64)
    count, at, why = _walk(
        data, at, program.fixed, program.steps, program.begins, program.enums, program.words, program.of_version,
        program.kinds, *place, last_offset, dead_letter, found, spans,
    )  # fmt: skip
    return found[:count], spans[:count], at, why


@compiled
def _number(data: U8, at: int, size: int) -> int:
    """A little-endian number of 1, 4 or 8 bytes; one of 8 bytes is signed."""
    value = np.int64(0)
    for place in range(size):
        value |= np.int64(data[at + place]) << np.int64(8 * place)
    return int(value)


@compiled
def _length(data: U8, at: int, end: int) -> tuple[int, int]:
    """Where a LEB128 number before `end` ends and what it is; (-1, 0): not there, too long, or not the shortest."""
    value = np.int64(0)
    for place in range(5):
        if at >= end:
            return -1, 0
        byte = np.int64(data[at])
        at += 1
        value |= (byte & np.int64(0x7F)) << np.int64(7 * place)
        if byte < 0x80:
            return (-1, 0) if place and not byte else (at, int(value))
    return -1, 0


@compiled
def _is_at(data: U8, begin: int, end: int, text: U8) -> bool:
    if end - begin != len(text):
        return False
    for number in range(len(text)):  # noqa: SIM110  compiled code knows no generators
        if data[begin + number] != text[number]:
            return False
    return True


@compiled
def _behind_head(data: U8, at: int, end: int, steps: I64, spans: I64, found: I64) -> int:
    """Walks over what follows the head of one row; where it ends, -1 where something is wrong."""
    for step in range(len(steps)):
        kind, size, noted = steps[step]
        if kind == _FIXED:
            at += size
            continue
        at, count = _length(data, at, end)
        if at < 0 or count > end - at:
            return -1
        if kind == _TEXT:
            if noted >= 0:
                spans[noted, 0], spans[noted, 1] = at, at + count
            at += count
            continue
        if noted == _SUBJECTS:
            found[SUBJECTS] = count
        if kind == _WIDE_ITEMS:
            at += size * count
            continue
        for _ in range(size * count):
            at, length = _length(data, at, end)
            if at < 0 or length > end - at:
                return -1
            at += length
    return at


@compiled
def _read_head(data: U8, begin: int, fixed: I64, found: I64) -> None:
    found[SUBJECTS], found[START] = 0, begin
    for name in range(len(FIXED)):
        at = fixed[1 + name]
        size = 1 if name in (KIND, VERSION, STATUS) else 4 if name == PARTITION else 8
        found[name] = _number(data, begin + at, size) if at >= 0 else -1


@compiled
def _stand_for_words(data: U8, begin: int, enums: I64, words: U8) -> bool:
    for number in range(len(enums)):  # noqa: SIM110
        if not words[enums[number, 1], data[begin + enums[number, 0]]]:
            return False
    return True


@compiled
def _walk(
    data: U8, at: int, fixed: I64, steps: I64, begins: I64, enums: I64, words: U8, of_version: I64, kinds: U8,
    topic: U8, incarnation: U8, partition: int, last_offset: int, dead_letter: int, found: I64, spans: I64,
) -> tuple[int, int, int]:  # fmt: skip
    count = 0
    while at + HEAD_BYTES <= len(data):
        if count == len(found):
            return count, at, FULL
        begin = at + HEAD_BYTES
        end = begin + _number(data, at + 1, 4)
        table = 0 if data[at] == ord("E") else 1 if data[at] == ord("D") else 2
        if end - begin > _LARGEST_BYTES or table == 2 or end - begin < 2:
            return count, at, OTHER
        if end > len(data):
            return count, at, MORE
        layout = int(of_version[table, data[begin + 1]])
        if layout < 0 or end - begin < fixed[layout, 0]:
            return count, at, OTHER
        row, texts = found[count], spans[count]
        _read_head(data, begin, fixed[layout], row)
        behind = begin + fixed[layout, 0]
        own, following = begins[layout], begins[layout + 1]
        if _behind_head(data, behind, end, steps[own[0] : following[0]], texts, row) != end:
            return count, at, OTHER
        if table == 0:
            row[LAST_OFFSET] = row[OFFSET]
        if (
            not kinds[table, row[KIND]]
            or not last_offset < row[OFFSET] <= row[LAST_OFFSET]
            or (row[KIND] == dead_letter and row[LAST_OFFSET] != row[OFFSET])
            or row[PARTITION] != partition
            or not _is_at(data, texts[0, 0], texts[0, 1], topic)
            or not _is_at(data, texts[1, 0], texts[1, 1], incarnation)
            or not _stand_for_words(data, begin, enums[own[1] : following[1]], words)
        ):
            return count, at, OTHER
        last_offset = int(row[LAST_OFFSET])
        count, at = count + 1, end
    return count, at, MORE
