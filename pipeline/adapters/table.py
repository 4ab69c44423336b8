"""Strict reading of one CSV file with a header line: every fault with file, line and column, never with its value.

Place in the flow: under the directory reader. RFC 4180 with a header; UTF-8, a byte order mark is passed over.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfoNotFoundError

from pipeline.directory.calendar_cn import epoch_day
from pipeline.errors import DirectoryError
from pipeline.privacy.keys import normalised
from pipeline.time_zones import zone_data

MAXIMUM_CELL_CHARACTERS = 8192
_YES = frozenset(("true", "yes", "1", "y"))
_NO = frozenset(("false", "no", "0", "n", ""))

Row = TypeVar("Row")


@dataclass(slots=True)
class Faults:
    """What is wrong in a folder of files, in reading order."""

    messages: list[str] = field(default_factory=list)

    def add(self, place: str, what: str) -> None:
        """Notes one fault at file, file:line or file:line:column."""
        self.messages.append(f"{place}: {what}")

    def raise_if_any(self) -> None:
        """Raises: DirectoryError: naming every fault."""
        if self.messages:
            lines = "\n".join(f"  - {message}" for message in self.messages)
            raise DirectoryError(f"the directory has {len(self.messages)} fault(s):\n{lines}")


@dataclass(slots=True)
class Cells:
    """One row by column name; each method takes one cell in one type and notes a fault where it does not fit."""

    place: str
    values: Mapping[str, str]
    faults: Faults

    def fault(self, column: str, what: str) -> None:
        """Notes a fault of this row in this column."""
        self.faults.add(f"{self.place}:{column}", what)

    def text(self, column: str) -> str:
        """The cell as it is, without surrounding spaces; "" where empty or the column is absent."""
        return self.values.get(column, "").strip()

    def needed(self, column: str) -> str:
        """A cell that must not be empty."""
        text = self.text(column)
        if not text:
            self.fault(column, "must not be empty")
        return text

    def word(self, column: str, words: Sequence[str], *, empty_ok: bool = False) -> str:
        """One of the words."""
        text = self.text(column)
        if text not in words and not (empty_ok and not text):
            self.fault(column, f"must be one of {', '.join(words)}")
        return text

    def texts(self, column: str, words: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list separated by `;`, without repetitions, in the order given."""
        items = tuple(dict.fromkeys(item.strip() for item in self.text(column).split(";") if item.strip()))
        if words is not None and not set(items) <= set(words):
            self.fault(column, f"may list only {', '.join(words)}")
        return items

    def flag(self, column: str) -> bool:
        """true/false, yes/no, 1/0; empty is false."""
        text = self.text(column).lower()
        if text not in _YES and text not in _NO:
            self.fault(column, "must be true or false")
        return text in _YES

    def day(self, column: str) -> int | None:
        """A date YYYY-MM-DD as days since 1970-01-01; None where empty."""
        text = self.text(column)
        if not text:
            return None
        try:
            return epoch_day(date.fromisoformat(text))
        except ValueError:
            self.fault(column, "must be a date YYYY-MM-DD")
            return None

    def whole(self, column: str, low: int, high: int, empty: int | None = None) -> int | None:
        """A whole number; `empty` where the cell is empty."""
        text = self.text(column)
        if not text:
            return empty
        if not (text.isascii() and text.isdigit()) or len(text) > len(str(high)) or not low <= int(text) <= high:
            self.fault(column, f"must be a whole number from {low} to {high}")
            return empty
        return int(text)

    def degrees(self, column: str, limit: float) -> float | None:
        """Degrees from -limit to limit; None where empty."""
        text = self.text(column)
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not -limit <= number <= limit:
            self.fault(column, f"must be degrees from -{limit:g} to {limit:g}")
            return None
        return number

    def cidr(self, column: str) -> str:
        """An address range in its shortest form; an address alone is a range of one."""
        try:
            return ip_network(self.text(column)).compressed
        except ValueError:
            self.fault(column, "must be a network such as 10.20.0.0/16, without host bits")
            return ""

    def country(self, column: str) -> str:
        """An ISO 3166-1 alpha-2 code in capitals; "" where empty."""
        text = self.text(column)
        if text and not (len(text) == 2 and text.isascii() and text.isalpha() and text.isupper()):
            self.fault(column, "must be a two-letter country code in capitals")
        return text

    def time_zone(self, column: str) -> str:
        """A name of the IANA time zone database; "" where empty."""
        text = self.text(column)
        if text:
            try:
                zone_data(text)
            except ZoneInfoNotFoundError:
                self.fault(column, "must be a time zone such as Asia/Shanghai")
                return ""
        return text


def read_table(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str],
    key: Sequence[str],
    make: Callable[[Cells], Row],
    faults: Faults,
) -> tuple[Row, ...]:
    """The rows of one file, none where there is no file; faults are noted, rows with faults left out.

    `key`: the columns whose values together must not repeat.
    """
    rows: list[Row] = []
    seen: dict[tuple[str, ...], int] = {}
    with _opened(path, faults) as lines:
        header = next(lines, (1, None))[1]
        if header is None and path.exists():
            faults.add(f"{path.name}:1", "has no header line; remove the file where there is nothing to say")
        if header is None or not _header_fits(path, header, required, optional, faults):
            return ()
        for line, values in lines:
            place = f"{path.name}:{line}"
            if len(values) != len(header):
                faults.add(place, f"has {len(values)} cells, the header {len(header)}")
                continue
            cells = Cells(place, dict(zip(header, values, strict=True)), faults)
            before = len(faults.messages)
            row = make(cells)
            identity = tuple(_identity(row, cells, column) for column in key)
            if identity in seen:
                cells.fault(key[0], f"repeats line {seen[identity]}")
            seen.setdefault(identity, line)
            if len(faults.messages) == before:
                rows.append(row)
    return tuple(rows)


def _identity(row: object, cells: Cells, column: str) -> str:
    """What a cell of the key names: two ways of writing one range or one account are a repetition."""
    return str(getattr(row, column, "") or normalised(cells.text(column)))


@contextmanager
def _opened(path: Path, faults: Faults) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """The lines of a CSV file as (line number, cells), empty lines left out; reading faults are noted."""
    line = 0

    def lines() -> Iterator[tuple[int, list[str]]]:
        nonlocal line
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for values in reader:
                line = reader.line_num
                if values:
                    yield line, values

    if not path.exists():
        yield iter(())
        return
    try:
        yield lines()
    except OSError as exc:
        faults.add(path.name, f"cannot be read: {exc.strerror}")
    except UnicodeDecodeError:
        faults.add(f"{path.name}:{line + 1}", "is not UTF-8")
    except csv.Error:
        faults.add(f"{path.name}:{line + 1}", "is not valid CSV (a quote is open or misplaced, or a cell too long)")


def _header_fits(
    path: Path, header: Sequence[str], required: Sequence[str], optional: Sequence[str], faults: Faults
) -> bool:
    """Notes missing, unknown and repeated columns."""
    before = len(faults.messages)
    for column in required:
        if column not in header:
            faults.add(f"{path.name}:1:{column}", "this column is missing")
    for place, column in enumerate(header, start=1):
        if column not in required and column not in optional:
            # Only its place: in a file without a header line the first line is data.
            faults.add(f"{path.name}:1", f"column {place} is unknown; known are {', '.join((*required, *optional))}")
    if len(set(header)) < len(header):
        faults.add(f"{path.name}:1", "a column is named twice")
    return len(faults.messages) == before
