"""The rows of a bundle by the thousand, as long as they are as they must be; from the first that is not, one by one.

Place in the flow: beside `batches` of `ledger/bundle_walk.py`, whose answers it gives: an entry with its rows at a
time. An entry is taken at once where its rows are whole, of its tree, in order and as many as it says, and the next row
lies behind it: just then the slow way has nothing to say either. Else that way goes on from the entry's first row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pipeline.events import LEAF_KINDS, SCORE_STATUSES, codes
from pipeline.ledger import row_walk as walked
from pipeline.ledger.bundle_form import BundleFolder
from pipeline.ledger.bundle_rows import BundleRows
from pipeline.ledger.bundle_walk import RowJudge, batches
from pipeline.ledger.leaf import leaf_hash
from pipeline.ledger.row_walk import FOUND, I64, MORE, TEXTS, U8, Program, walk
from pipeline.ledger.verify import Leaves
from pipeline.ports import LedgerEntry

CHUNK_BYTES = 4 * 1024 * 1024
_ROWS_AT_ONCE = 16_384
_KINDS = codes(LEAF_KINDS)
_UNSCORED = codes(SCORE_STATUSES)["unscored"]
_SOURCE = slice(TEXTS.index("tenant_id"), TEXTS.index("source_instance") + 1)
Source = tuple[bytes, bytes, bytes]
_NO_SOURCE: Source = (b"", b"", b"")


@dataclass(slots=True)
class _Rows:
    """Rows that were read ahead, from number `first` on. `begins`: where each begins in the file."""

    found: I64 = field(default_factory=lambda: np.zeros((0, FOUND), np.int64))
    begins: list[int] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    first: int = 0

    def __len__(self) -> int:
        return len(self.leaves) - self.first

    def offset(self, number: int) -> int:
        """The offset of a row, counted from the first that is left."""
        return int(self.found[self.first + number, walked.OFFSET])

    def begin(self, otherwise: int) -> int:
        """Where the first row that is left begins; `otherwise` where none is."""
        return self.begins[self.first] if len(self) else otherwise

    def taken(self, count: int) -> tuple[I64, Sequence[bytes], Sequence[Source]]:
        """Takes the first rows out."""
        part = slice(self.first, self.first + count)
        self.first += count
        return self.found[part], self.leaves[part], self.sources[part]

    @classmethod
    def joined(cls, parts: Sequence[_Rows]) -> _Rows:
        """Those that are left of each part, one behind the other. Copies: so all parts at once, not one by one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.found[part.first :] for part in parts]),
            list(chain.from_iterable(part.begins[part.first :] for part in parts)),
            list(chain.from_iterable(part.leaves[part.first :] for part in parts)),
            list(chain.from_iterable(part.sources[part.first :] for part in parts)),
        )


class _Ahead:
    """Reads ahead in `rows.bin`. `at`: where the first byte that was not walked over stands."""

    def __init__(self, file: BinaryIO, how: Program, place: tuple[bytes, bytes, int]) -> None:
        self._file, self._how = file, how
        topic, incarnation, partition = place
        self._place = _bytes_of(topic), _bytes_of(incarnation), partition
        self._last_offset, self._rest = -1, b""
        self.at, self.is_whole, self.is_over = 0, True, False
        """`is_whole`: nothing was met that is not as it must be; `is_over`: there are no more rows."""

    def more(self) -> _Rows:
        """The next rows; none where the file is over or the next row is for others to read."""
        chunk = self._file.read(CHUNK_BYTES)
        data = self._rest + chunk
        if not chunk:
            self.is_over, self.is_whole = True, self.is_whole and not data
            return _Rows()
        made, begin = list[_Rows](), 0
        while True:
            found, spans, end, why = walk(
                _bytes_of(data), begin, self._how, self._place, self._last_offset, _ROWS_AT_ONCE, _KINDS["dead_letter"]
            )
            made.append(self._taken(data, found, spans, begin, end))
            if why == walked.FULL:
                begin = end
                continue
            self.at, self._rest = self.at + end, data[end:]
            self.is_whole = why == MORE
            return _Rows.joined(made)

    def _taken(self, data: bytes, found: I64, spans: I64, begin: int, end: int) -> _Rows:
        if not len(found):
            return _Rows()
        self._last_offset = int(found[-1, walked.LAST_OFFSET])
        starts = found[:, walked.START].tolist()
        ends = [start - walked.HEAD_BYTES for start in starts[1:]] + [end]
        leaves = [leaf_hash(data[start:stop]) for start, stop in zip(starts, ends, strict=True)]
        sources = [_NO_SOURCE] * len(found)
        if (found[:, walked.SEQUENCE] >= 0).any():
            sources = [(data[a:b], data[c:d], data[e:f]) for (a, b), (c, d), (e, f) in spans[:, _SOURCE].tolist()]
        return _Rows(found, [self.at + start - walked.HEAD_BYTES for start in starts], leaves, sources)


def _bytes_of(text: bytes) -> U8:
    return np.frombuffer(text, np.uint8)


def fast_batches(
    folder: BundleFolder, path: str, reading: BundleRows, entries: Sequence[LedgerEntry], judge: RowJudge,
    first_leaf: int, where: str,
) -> Iterator[tuple[LedgerEntry, Leaves]]:  # fmt: skip
    """Each entry with the rows of a file, as `batches`. Raises: BundleMalformed."""
    with folder.open(path) as file:
        ahead, waiting, at = _Ahead(file, reading.program, judge.place), _Rows(), 0
        while at < len(entries):
            entry = entries[at]
            waiting = _filled(waiting, ahead, entry)
            size, is_end = entry.tree_size - entry.tree_size_before, ahead.is_over and ahead.is_whole
            if not _are_its(waiting, size, entry, is_last=at + 1 == len(entries), is_end=is_end):
                break
            found, hashes, sources = waiting.taken(size)
            _judge(judge, found, sources)
            yield entry, _leaves(entry, found, hashes)
            at += 1
        file.seek(waiting.begin(otherwise=ahead.at))
        yield from batches(entries[at:], reading.read_on(file, path), judge, first_leaf, where)


def _filled(waiting: _Rows, ahead: _Ahead, entry: LedgerEntry) -> _Rows:
    """Reads on until it can be said which rows are the entry's: one lies behind it, or there are more than it has."""
    parts, count, size = [waiting], len(waiting), entry.tree_size - entry.tree_size_before
    while ahead.is_whole and not ahead.is_over and count <= size:
        last = parts[-1]
        if len(last) and last.offset(len(last) - 1) > entry.last_offset:
            break
        parts += [more] if len(more := ahead.more()) else []
        count += len(more)
    return _Rows.joined(parts)


def _are_its(waiting: _Rows, size: int, entry: LedgerEntry, *, is_last: bool, is_end: bool) -> bool:
    """Whether just the first rows are the entry's: as many as it says, up to its end, the next one behind it."""
    if not 0 <= size <= len(waiting) or (size and waiting.offset(size - 1) > entry.last_offset):
        return False
    if len(waiting) == size:
        return is_end
    return not is_last and waiting.offset(size) > entry.last_offset


def _judge(judge: RowJudge, found: I64, sources: Sequence[Source]) -> None:
    numbered = np.flatnonzero((found[:, walked.KIND] == _KINDS["event"]) & (found[:, walked.SEQUENCE] >= 0)).tolist()
    counters = zip((sources[row] for row in numbered), found[numbered, walked.SEQUENCE].tolist(), strict=True)
    judge.look_at_good(
        Counter(found[:, walked.KIND].tolist()), int(_unscored(found).sum()), found[:, walked.OFFSET],
        found[:, walked.LAST_OFFSET], counters,
    )  # fmt: skip


def _unscored(found: I64) -> npt.NDArray[np.bool_]:
    return np.asarray((found[:, walked.KIND] == _KINDS["event"]) & (found[:, walked.STATUS] == _UNSCORED))


def _leaves(entry: LedgerEntry, found: I64, hashes: Sequence[bytes]) -> Leaves:
    is_event = found[:, walked.KIND] == _KINDS["event"]
    return Leaves(
        found[:, walked.OFFSET], found[:, walked.LAST_OFFSET], found[:, walked.RECEIVED],
        found[:, walked.KIND].astype(np.uint8), found[:, walked.VERSION].astype(np.uint8),
        _unscored(found).astype(np.uint8), found[:, walked.SUBJECTS] * is_event,
        np.full(len(found), entry.batch_id, np.uint64), hashes,
    )  # fmt: skip
