"""Lines of a file in compressed runs: two million events as text are more than a gigabyte, packed a tenth of it.

Place in the flow: holds what `offline.read_events` has read. Reading runs of neighbouring lines is cheap; another order
is made once, a group of runs at a time, so that no step holds all lines at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt
import zstandard

_RUN_LINES = 5000
_GROUP_RUNS = 40


class PackedLines(Sequence[bytes]):
    """A sequence of lines without line ends, in runs of `_RUN_LINES`."""

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        self._runs: list[bytes] = []
        self._waiting: list[bytes] = []
        self._unpacked: tuple[int, list[bytes]] = (-1, [])
        self.extend(lines)

    def extend(self, lines: Iterable[bytes]) -> None:
        """Appends lines."""
        self._waiting += lines
        while len(self._waiting) >= _RUN_LINES:
            self._runs.append(zstandard.ZstdCompressor(level=1).compress(b"\n".join(self._waiting[:_RUN_LINES])))
            del self._waiting[:_RUN_LINES]

    def __len__(self) -> int:
        return len(self._runs) * _RUN_LINES + len(self._waiting)

    def __iter__(self) -> Iterator[bytes]:
        for run in range(self._count()):
            yield from self._lines(run)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> list[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | list[bytes]:
        if isinstance(place, int):
            place = range(len(self))[place]
            return self._lines(place // _RUN_LINES)[place % _RUN_LINES]
        start, stop, step = place.indices(len(self))
        found: list[bytes] = []
        for run in range(start // _RUN_LINES, -(-stop // _RUN_LINES)):
            first = run * _RUN_LINES
            found += self._lines(run)[max(0, start - first) : max(0, stop - first)]
        return found[::step]

    def ordered(self, places: npt.NDArray[np.int64]) -> PackedLines:
        """The same lines in another order: `places` (n,) says which line comes at each place."""
        if (places == np.arange(len(places))).all():
            return self
        made, group = PackedLines(), _GROUP_RUNS * _RUN_LINES
        for first in range(0, len(places), group):
            made.extend(self._picked(places[first : first + group]))
        return made

    def _picked(self, places: npt.NDArray[np.int64]) -> list[bytes]:
        picked: list[bytes] = [b""] * len(places)
        runs = places // _RUN_LINES
        order = np.argsort(runs, kind="stable")
        for run in np.unique(runs).tolist():
            lines = self._lines(run)
            here = order[
                np.searchsorted(runs, run, "left", sorter=order) : np.searchsorted(runs, run, "right", sorter=order)
            ]
            for target, source in zip(here.tolist(), (places[here] % _RUN_LINES).tolist(), strict=True):
                picked[target] = lines[source]
        return picked

    def _count(self) -> int:
        return len(self._runs) + bool(self._waiting)

    def _lines(self, run: int) -> list[bytes]:
        if run == len(self._runs):
            return self._waiting
        if self._unpacked[0] != run:
            packed = self._runs[run]
            self._unpacked = (run, zstandard.ZstdDecompressor().decompress(packed).split(b"\n"))
        return self._unpacked[1]
