"""Part directories changed while the engine is stopped: nothing of it stands in any log of the engine.

A start of the engine takes seconds, so one batch is a change to each of several tables: before the stop, what goes in
is made beside them (another state, a forged twin); then the engine ends, the directories of one partition of each table
are replaced, and the engine starts again. What it loaded is kept beside, all is put back, and then each loaded table
alone takes its place and is verified, so that no change hides behind another. Some tables of each batch only have their
directories moved out and in again: there nothing may be found.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import AccesstrailError
from tests.tamper.changes import copied_row, drop_row, forge
from tests.tamper.engine import Engine
from tests.tamper.history import TamperedStore, sweep
from tests.tamper.tables import RAW, TABLES, WHOLE

HONEST = "out and in"
_LOSSES = ("removed", "all removed", "older copy", "other state", "detached")
_FORGERIES = ("forged twin", "copied in")
VARIANTS: Mapping[str, tuple[str, ...]] = {
    one: (*_LOSSES, *_FORGERIES) if one in WHOLE else _FORGERIES for one in TABLES
}
"""What may be done to a table's directories. One without rows cannot have an older copy of them."""
_NOT_IN_THE_OLDER = ("pruned_leaves", "retention_runs")
_ALL_OR_NOTHING = ("retention_runs",)
"""Each stage is a row that says the same, and may be a part: a run is gone where all of them are."""


class Part(NamedTuple):
    """One directory of an active part."""

    partition: str
    path: Path


@dataclass(slots=True)
class Swap:
    """One table's directories and what becomes of them."""

    table: str
    variant: str
    about: str
    chance: random.Random
    partition: str = ""
    before: list[Path] = field(default_factory=list)
    """Directories of the partition before the stop."""
    other: list[Path] = field(default_factory=list)
    """Directories of the table that was made beside."""

    @property
    def beside(self) -> str:
        """The table that holds what goes in."""
        return f"{self.table}_older" if self.variant == "older copy" else f"{self.table}_twin"

    def do(self) -> None:
        """On the disk, the engine stopped."""
        folder = self.before[0].parent
        free = _free_number(folder)
        gone = self.chance.choice(self.before)
        match self.variant:
            case "removed":
                shutil.rmtree(gone)
            case "detached":
                away = folder / "detached" / gone.name
                shutil.rmtree(away, ignore_errors=True)  # the one of an earlier batch
                gone.rename(away)
            case "copied in":
                pass
            case "out and in":
                for one in self.before:
                    shutil.copytree(one, folder.parent / f"{one.name}-aside")
                    shutil.rmtree(one)
                    (folder.parent / f"{one.name}-aside").rename(one)
            case _:
                for one in self.before:
                    shutil.rmtree(one)
        for number, one in enumerate(self.other, free):
            shutil.copytree(one, folder / f"{self.partition}_{number}_{number}_0")


def _free_number(folder: Path) -> int:
    """Of a block behind every part and mutation: to an older one the engine would do its mutations again."""
    names = [re.findall("[0-9]+", one.name.partition("_")[2]) for one in folder.iterdir()]
    return 1 + max(int(number) for found in names for number in found)


@dataclass(slots=True)
class PartFolders:
    """Batches of swaps on one engine."""

    engine: Engine
    store: TamperedStore
    starts: int = 0

    def batch(self, swaps: list[Swap]) -> None:
        """Stops, swaps, starts; what was loaded lies beside each table afterwards, and all is as it was."""
        for one in swaps:
            self._prepare(one)
        for one in swaps:
            self._look(one)
        folders = self.store.folders()
        self.engine.stop()
        sweep(folders)
        for one in swaps:
            one.do()
        self.engine.start()
        self.starts += 1
        self.store.connect()
        for one in swaps:
            self.store.do(f"CREATE TABLE {RAW}.{one.table}_loaded AS {RAW}.{one.table}")
            self.store.copy(one.table, f"{one.table}_loaded")
        self.store.put_back(one.table for one in swaps)

    def put_in(self, swap: Swap) -> None:
        """The table as the engine loaded it."""
        self.store.copy(f"{swap.table}_loaded", swap.table)

    def clear(self, swaps: list[Swap]) -> None:
        """Removes what was beside."""
        for one in swaps:
            for name in ("twin", "loaded"):
                with suppress(AccesstrailError):
                    self.store.do(f"DROP TABLE {RAW}.{one.table}_{name} SYNC")

    def _prepare(self, swap: Swap) -> None:
        """Makes what goes in."""
        table, twin = swap.table, f"{swap.table}_twin"
        swap.partition = swap.chance.choice(self.store.partitions(table))
        if swap.variant not in ("other state", *_FORGERIES):
            return
        self.store.do(f"CREATE TABLE {RAW}.{twin} AS {RAW}.{table}")
        if swap.variant == "copied in":
            name, sql = copied_row(self.store, swap.chance, table, twin)
        else:
            self.store.copy(table, twin)
            name, sql = "", drop_row(self.store, swap.chance, table, twin)
            if swap.variant == "forged twin":
                name, sql = forge(self.store, swap.chance, table, twin)
        self.store.do(sql)
        swap.about += f" {name}" if name else ""

    def _look(self, swap: Swap) -> None:
        """Where its directories are, nothing merged any more."""
        for table in (swap.table, swap.beside):
            with suppress(AccesstrailError):
                self.store.do(f"SYSTEM STOP MERGES {RAW}.{table}")
        swap.before = [one.path for one in self._parts(swap.table) if one.partition == swap.partition]
        if swap.variant in ("older copy", "other state", *_FORGERIES):
            swap.other = [one.path for one in self._parts(swap.beside) if one.partition == swap.partition]

    def _parts(self, table: str) -> list[Part]:
        sql = (
            f"SELECT partition_id, path FROM system.parts WHERE database = '{RAW}' AND active AND rows > 0 "
            "AND table = {t:String} ORDER BY min_block_number"
        )
        return [Part(partition, Path(path)) for partition, path in self.store.do(sql, {"t": table})]


def swap_of(number: int, table: str, chance: random.Random) -> Swap:
    """The change of a table in a batch: each variant in turn, and other ones of other tables."""
    possible = [
        one
        for one in VARIANTS[table]
        if not (one == "older copy" and table in _NOT_IN_THE_OLDER)
        and not (one in ("removed", "detached") and table in _ALL_OR_NOTHING)
    ]
    variant = possible[(number + TABLES.index(table)) % len(possible)]
    return Swap(table, variant, f"{variant}: {table}", chance)


def honest_of(table: str, chance: random.Random) -> Swap:
    """The same directories out and in again."""
    return Swap(table, HONEST, f"{HONEST}: {table}", chance)
