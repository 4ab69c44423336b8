"""`make tamper`: changes of every kind, by an all-powerful user on the running engine and in bundles; none may pass.

    python -m tests.tamper --each 200 [--seed N] [--state FOLDER]

Of each kind so many changes are made, each verified and taken back (partitions are put back from a copy), and every
twentieth time the honest store is verified: a finding there is a false alarm. Prints one JSON line a kind.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from deploy.local.configuration import settings as state_settings
from pipeline.cli.stack_run import StackOptions, end, launch
from pipeline.migrations.runner import apply_all
from tests.tamper.bundles import bundle_changes
from tests.tamper.changes import KINDS, Change
from tests.tamper.history import TamperedStore

_HONEST_EVERY = 20


def run_kind(kind: str, store: TamperedStore, each: int, seed: int) -> dict[str, object]:
    """So many changes of one kind."""
    chance, missed, false_alarms = random.Random(f"{seed}/{kind}"), [], 0
    codes: Counter[str] = Counter()
    begun_s = time.monotonic()
    for number in range(each):
        change: Change = KINDS[kind](store, chance)
        change.do()
        findings = store.verify()
        if not findings.has_differences:
            missed.append(change.about)
        codes.update(findings.counts)
        store.put_back(change.tables)
        if number % _HONEST_EVERY == 0:
            told = store.verify()
            false_alarms += bool(told.counts)
            if told.counts:
                print(json.dumps({"false_alarm_after": change.about, "codes": dict(told.counts)}), flush=True)
    return {
        "kind": kind, "changes": each, "missed": len(missed), "examples": missed[:5], "false_alarms": false_alarms,
        "codes": dict(codes), "seconds": round(time.monotonic() - begun_s),
    }  # fmt: skip


def main() -> int:
    """Runs all kinds; 1 where a change passed or an honest history did not."""
    parser = argparse.ArgumentParser(prog="tests.tamper", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--each", type=int, default=200, help="changes of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, help="folder of the stack; a temporary one otherwise")
    parser.add_argument("--kind", action="append", choices=[*KINDS, "bundle"], help="only this kind; repeatable")
    given = parser.parse_args()
    kinds = given.kind or [*KINDS, "bundle"]
    with tempfile.TemporaryDirectory() as folder:
        state = given.state or Path(folder) / "state"
        stack = launch(state, StackOptions(worker=False, partitions=3), say=lambda text: None, tied=True)
        try:
            settings = state_settings(state, {})
            apply_all(settings)
            store = TamperedStore.made(settings.clickhouse)
            results = [run_kind(kind, store, given.each, given.seed) for kind in kinds if kind != "bundle"]
            if "bundle" in kinds:
                results.append(bundle_changes(store, Path(folder), given.each, given.seed))
        finally:
            end(stack)
    for one in results:
        print(json.dumps(one), flush=True)
    return 1 if any(one["missed"] or one["false_alarms"] for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
