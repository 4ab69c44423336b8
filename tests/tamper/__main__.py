"""`make tamper`: changes of every kind, by an all-powerful user of the engine and in bundles; none may pass.

    python -m tests.tamper --each 200 [--seed N] [--state FOLDER] [--kind K]...

Of each kind so many changes are made, to each table in turn, each verified and taken back (partitions are put back from
a copy); one that no reader would see is drawn again. Every twentieth time the honest store is verified: a finding there
is a false alarm. Honest histories (merges, crashes, retention, a restore and so on) are gone through a tenth as often.
Prints one JSON line a kind, as soon as it is done: changes, found, missed, false alarms; ends with 1 where a change was
missed or an alarm was false.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.tamper.bundles import bundle_changes
from tests.tamper.changes import KINDS
from tests.tamper.engine import Engine
from tests.tamper.history import TamperedStore
from tests.tamper.honest import HONEST, Honest
from tests.tamper.part_folders import HONEST as OUT_AND_IN
from tests.tamper.part_folders import PartFolders, Swap, honest_of, swap_of
from tests.tamper.result import Result
from tests.tamper.tables import TABLES

PART_FOLDERS, BUNDLE = "part directories", "bundle"
ALL_KINDS = (*KINDS, PART_FOLDERS, BUNDLE, *(f"honest {one}" for one in HONEST))
_HONEST_EVERY = 20
_HONEST_IN_A_BATCH = 2


def run_kind(kind: str, store: TamperedStore, each: int, seed: int) -> Result:
    """So many changes of one kind on the running engine."""
    make, tables = KINDS[kind]
    chance, result = random.Random(f"{seed}/{kind}"), Result(kind)
    while result.changes < each:
        number, table = result.changes, tables[result.changes % len(tables)]
        change, before = make(store, chance, table), store.shown(table)
        change.do()
        if store.shown(table) == before:
            result.unseen += 1
        else:
            result.look(store, table, change.about, is_seen_alone=change.is_seen_alone)
        store.put_back(change.tables)
        if number % _HONEST_EVERY == 0:
            result.look_at_honest(store, f"after {change.about}")
    return result


def run_part_folders(engine: Engine, store: TamperedStore, each: int, seed: int, tables: Sequence[str]) -> Result:
    """So many changes of part directories; a start of the engine for each batch of them."""
    chance, result = random.Random(f"{seed}/{PART_FOLDERS}"), Result(PART_FOLDERS)
    folders, number = PartFolders(engine, store), 0
    while result.changes < each:
        batch = _batch(number, min(each - result.changes, len(tables)), chance, tables)
        folders.batch(batch)
        for swap in batch:
            before = store.shown(swap.table)
            folders.put_in(swap)
            if swap.variant == OUT_AND_IN:
                result.look_at_honest(store, swap.about)
            elif store.shown(swap.table) == before:
                result.unseen += 1
            else:
                result.look(store, swap.table, swap.about)
            store.put_back([swap.table])
        folders.clear(batch)
        number += 1
    result.codes["starts of the engine"] = folders.starts
    return result


def _batch(number: int, most: int, chance: random.Random, tables: Sequence[str]) -> list[Swap]:
    """Each table once; other ones out and in each time."""
    first = number * _HONEST_IN_A_BATCH
    honest = {tables[(first + one) % len(tables)] for one in range(_HONEST_IN_A_BATCH)}
    changed = [one for one in tables if one not in honest][:most]
    swaps = [swap_of(number, one, chance) for one in changed]
    return [*swaps, *(honest_of(one, chance) for one in sorted(honest))]


def run_honest(name: str, engine: Engine, store: TamperedStore, each: int, seed: int) -> Result:
    """Honest histories of one kind."""
    chance, result = random.Random(f"{seed}/{name}"), Result(f"honest {name}")
    for _ in range(each):
        one = Honest(engine, store, chance)
        HONEST[name](one)
        result.honest += 1
        result.false_alarms += one.alarms[:1]
        store.put_back(TABLES)
    return result


def run(kinds: Sequence[str], state: Path, each: int, seed: int) -> bool:
    """All these kinds on one engine; whether none was missed. Prints a line a kind."""
    with Engine(state) as engine, tempfile.TemporaryDirectory() as folder:
        store, is_good = TamperedStore.made(engine.settings), True
        for kind in kinds:
            if kind == BUNDLE:
                result = bundle_changes(store, Path(folder), each, seed, Result(BUNDLE))
            elif kind == PART_FOLDERS:
                result = run_part_folders(engine, store, each, seed, TABLES)
            elif kind in KINDS:
                result = run_kind(kind, store, each, seed)
            else:
                result = run_honest(kind.removeprefix("honest "), engine, store, max(1, each // 10), seed)
            print(json.dumps(result.line()), flush=True)
            is_good &= result.is_good
    return is_good


def main() -> int:
    """Runs all kinds; 1 where a change passed or an honest history did not."""
    parser = argparse.ArgumentParser(prog="tests.tamper", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--each", type=int, default=200, help="changes of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, help="new folder of the engine; a temporary one otherwise")
    parser.add_argument("--kind", action="append", choices=ALL_KINDS, help="only this kind; repeatable")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        is_good = run(given.kind or ALL_KINDS, given.state or Path(folder) / "state", given.each, given.seed)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
