"""The registers of purposes and of partners' contracts as arrays: does an access fit what was agreed?

Place in the flow: part of the directory's index, asked by `enrich` for whole batches. A list that the register leaves
empty allows everything; a value that the event leaves out cannot be held against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pipeline import events
from pipeline.column_batch import TextColumn
from pipeline.directory.snapshot import PartnerRow, PurposeRow
from pipeline.directory.text_map import TextMap

_PURPOSE_FIT = events.codes(events.PURPOSE_FITS)
_CONTRACT_FIT = events.codes(events.CONTRACT_FITS)
_LIMITS = np.iinfo(np.int32)
UNLIMITED = -1

I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


class _Allowed:
    """Which words each row of a register allows: row 0 stands for no row; word 0 for any other, 1 for none given."""

    def __init__(self, lists: Sequence[Iterable[str]]) -> None:
        places: dict[str, int] = {"": 1}
        for words in lists:
            for word in words:
                places.setdefault(word, len(places) + 1)
        self.numbers = TextMap(np.int32, lambda word: places.get(word, 0))
        self.table: Bools = np.zeros((len(lists) + 1, len(places) + 1), np.bool_)
        self.table[:, 1] = True
        for row, words in enumerate(lists, start=1):
            wanted = list(words)
            self.table[row, [places[word] for word in wanted] if wanted else slice(None)] = True


class PurposeRegister:
    """purposes.csv: which departments may use which kinds of data for a purpose."""

    def __init__(self, rows: Sequence[PurposeRow]) -> None:
        self._empty = not rows
        places = {row.purpose: place for place, row in enumerate(rows, start=1)}
        self._purposes = TextMap(np.int32, lambda name: places.get(name, 0) if name else -1)
        self._departments = _Allowed([row.departments for row in rows])
        self._types = _Allowed([row.resource_types for row in rows])

    def fits(self, purposes: TextColumn, departments: TextColumn, types: TextColumn) -> U8:
        """Code of PURPOSE_FITS for each event; 0 where it names no purpose or there is no register."""
        fit = np.zeros(len(purposes.ids), np.uint8)
        if self._empty or not purposes.ids.any():
            return fit
        named = self._purposes.of(purposes)
        row = np.maximum(named, 0)
        fit[:] = _PURPOSE_FIT["fits"]
        fit[~self._types.table[row, self._types.numbers.of(types)]] = _PURPOSE_FIT["other_resource"]
        fit[~self._departments.table[row, self._departments.numbers.of(departments)]] = _PURPOSE_FIT["other_department"]
        fit[named == 0] = _PURPOSE_FIT["unregistered"]
        fit[named < 0] = 0
        return fit


class ContractRegister:
    """partners.csv: what each partner organisation may do, when, and for how many data subjects a day."""

    def __init__(self, rows: Sequence[PartnerRow]) -> None:
        self._empty = not rows
        by_org: dict[str, list[int]] = {}
        for place, row in enumerate(rows, start=1):
            by_org.setdefault(row.org, []).append(place)
        orgs = {org: place for place, org in enumerate(by_org, start=1)}
        self._orgs = TextMap(np.int32, lambda name: orgs.get(name, 0))
        most = max(map(len, by_org.values()), default=1)
        self._contracts = np.zeros((len(by_org) + 1, most), np.int32)
        for org, places in by_org.items():
            self._contracts[orgs[org], : len(places)] = places
        self._from = np.array([_LIMITS.max, *(_or(row.valid_from, _LIMITS.min) for row in rows)], np.int32)
        self._to = np.array([_LIMITS.min, *(_or(row.valid_to, _LIMITS.max) for row in rows)], np.int32)
        self._limits = np.array([UNLIMITED, *(_or(row.daily_subject_limit, _LIMITS.max) for row in rows)], np.int32)
        self._types = _Allowed([row.resource_types for row in rows])
        self._purposes = _Allowed([row.purposes for row in rows])

    def fits(
        self, partners: Bools, orgs: TextColumn, types: TextColumn, purposes: TextColumn, local_day: I32
    ) -> tuple[U8, I32]:
        """Code of CONTRACT_FITS and the daily limit (-1: none) of each event; only `partners` (n,) are looked at.

        With several contracts in force, one that covers the access is enough; the largest of their limits counts.
        """
        fit, limit = np.zeros(len(partners), np.uint8), np.full(len(partners), UNLIMITED, np.int32)
        rows = np.flatnonzero(partners)
        if self._empty or not len(rows):
            return fit, limit
        contracts = self._contracts[self._orgs.of(orgs, rows)]  # (p, contracts of one organisation)
        day = local_day[rows][:, None]
        in_force = (self._from[contracts] <= day) & (day <= self._to[contracts])
        of_type = in_force & self._types.table[contracts, self._types.numbers.of(types, rows)[:, None]]
        covered = of_type & self._purposes.table[contracts, self._purposes.numbers.of(purposes, rows)[:, None]]
        found = np.full(len(rows), _CONTRACT_FIT["out_of_period"], np.uint8)
        found[in_force.any(axis=1)] = _CONTRACT_FIT["other_resource"]
        found[of_type.any(axis=1)] = _CONTRACT_FIT["other_purpose"]
        found[covered.any(axis=1)] = _CONTRACT_FIT["within"]
        found[contracts[:, 0] == 0] = _CONTRACT_FIT["no_contract"]
        largest = np.where(in_force, self._limits[contracts], UNLIMITED).max(axis=1)
        fit[rows], limit[rows] = found, np.where(largest == _LIMITS.max, UNLIMITED, largest)
        return fit, limit


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
