"""The fault suite: every fault at every gap, and random combinations, on one stack; a table of what was found.

One JSON line a run goes to `--resume FILE`; a run whose line is there is not repeated. Runs of single faults go side by
side; runs whose fault everybody feels (a killed server) go in waves that share one kill.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tests.faults import plan as faults
from tests.faults.calm import Calm
from tests.faults.fleet import Zygote
from tests.faults.plan import DISK_FULL, FAULTS, GAPS, Plan
from tests.faults.proxy import Proxies
from tests.faults.records import Company
from tests.faults.run import Bench, Outcome, Run, Wave
from tests.faults.sabotage import SABOTAGES
from tests.faults.stack import CannotMount, FaultStack

_RUNS_BETWEEN_CLEANINGS = 60
DISK_MIB = 400
_SERVERS = {faults.STORE_KILL: "clickhouse", faults.BROKER_KILL: "kafka"}


class Suite:
    """Runs plans on a bench and keeps what came out."""

    def __init__(self, bench: Bench, jobs: int, record: Path | None) -> None:
        self._bench, self._jobs, self._record = bench, jobs, record
        self._sabotaged = f" --sabotage {bench.sabotage}" if bench.sabotage else ""
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.outcomes: list[Outcome] = []

    def run(self, plans: Iterable[Plan]) -> None:
        """Runs all, in blocks; between two blocks the store is emptied."""
        waiting = list(plans)
        for place in range(0, len(waiting), _RUNS_BETWEEN_CLEANINGS):
            block = waiting[place : place + _RUNS_BETWEEN_CLEANINGS]
            with ThreadPoolExecutor(self._jobs) as pool:
                list(pool.map(self._one, [plan for plan in block if not plan.is_wave]))
            for fault in faults.WAVE_FAULTS:
                self._waves([plan for plan in block if any(act.fault == fault for act in plan.acts)], fault)
            if not any(one.finding for one in self.outcomes):  # what was found stays to be looked at
                self._bench.stack.clean()

    def _waves(self, plans: Sequence[Plan], fault: str) -> None:
        for place in range(0, len(plans), self._jobs):
            part = plans[place : place + self._jobs]
            wave = Wave(len(part), lambda: self._bench.stack.kill(_SERVERS[fault]), part[0].chance)
            with ThreadPoolExecutor(len(part)) as pool:
                list(pool.map(lambda plan, wave=wave: self._one(plan, wave), part))
            self._bench.stack.await_ready(_SERVERS[fault])

    def _one(self, plan: Plan, wave: Wave | None = None) -> None:
        outcome = Run(plan, self._bench, next(self._numbers), wave).execute()
        with self._lock:
            self.outcomes.append(outcome)
            if self._record is not None:
                with self._record.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(asdict(outcome)) + "\n")
            word = "ok" if not outcome.finding else "FOUND"
            missed = f" missed {','.join(outcome.missed)}" if outcome.missed else ""
            print(f"{len(self.outcomes):5} {word:5} {outcome.seconds:5.1f} s {outcome.name}{missed}", flush=True)
            if outcome.finding:
                print(
                    f"      repeat: python -m tests.faults{self._sabotaged} --only '{plan.name}'\n"
                    f"{_indented(outcome.finding)}",
                    flush=True,
                )


def _indented(text: str) -> str:
    return "\n".join(f"      | {line}" for line in text.splitlines())


def table(outcomes: Sequence[Outcome]) -> str:
    """What was injected, cell by cell, and what was found."""
    cells = Counter(word.rpartition("x")[0] for outcome in outcomes for word in outcome.injected)
    faults_done = (*FAULTS, DISK_FULL)
    head = f"{'gap after':<14}" + "".join(f"{fault:>15}" for fault in faults_done)
    lines = [head]
    for sequence, step in GAPS:
        row = "".join(f"{cells[f'{fault}@{sequence}{step}']:>15}" for fault in faults_done)
        lines.append(f"{sequence + ' ' + str(step):<14}{row}")
    found = [outcome for outcome in outcomes if outcome.finding]
    died = Counter(status for outcome in outcomes for status in outcome.died)
    lines += [
        "",
        f"runs {len(outcomes)}, faults injected {sum(cells.values())}, gaps not reached "
        f"{sum(len(outcome.missed) for outcome in outcomes)}, offsets checked "
        f"{sum(outcome.offsets for outcome in outcomes):,}, alerts compared {sum(one.alerts for one in outcomes):,}",
        f"workers that ended by themselves and were started again, by exit status: {dict(died) or 'none'}",
        f"seconds a run: mean {sum(one.seconds for one in outcomes) / max(1, len(outcomes)):.1f}",
        f"runs that broke a promise: {len(found)}",
        *(f"  {one.name}: {one.finding.splitlines()[0]}" for one in found),
    ]
    return "\n".join(lines)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20, help="how often each cell of the matrix (default 20)")
    parser.add_argument("--random", type=int, default=200, help="random combinations of faults (default 200)")
    parser.add_argument("--runs", type=int, help="at most so many runs, the first of the list")
    parser.add_argument("--sample", action="store_true", help="the short form only: every gap once")
    parser.add_argument("--no-full-disks", action="store_true", help="leave the runs out that need to mount a disk")
    parser.add_argument("--only", action="append", help="exactly this run, SEED:FAULT@GAPxN,…; may be repeated")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only these faults of the matrix")
    parser.add_argument("--jobs", type=int, default=6, help="runs side by side (default 6)")
    parser.add_argument("--resume", type=Path, help="file of finished runs, one JSON line each; goes on where it ends")
    parser.add_argument("--state", type=Path, help="folder of the stack (default: a temporary one)")
    parser.add_argument("--sabotage", choices=sorted(SABOTAGES), default="", help="break the workers on purpose")
    return parser.parse_args(words)


def chosen(arguments: argparse.Namespace) -> list[Plan]:
    """The plans that the arguments name."""
    if arguments.only:
        return [faults.parse(name) for name in arguments.only]
    if arguments.sample:
        return faults.sample(arguments.seed)[: arguments.runs]
    kept = tuple(arguments.fault or FAULTS)
    plans = list(faults.matrix(arguments.seed, arguments.rounds, kept))
    plans += list(faults.combinations(arguments.seed, arguments.random))
    return plans[: arguments.runs]


def finished(record: Path | None) -> list[Outcome]:
    """Outcomes of an earlier, interrupted run of the suite."""
    if record is None or not record.is_file():
        return []
    return [Outcome(**json.loads(line)) for line in record.read_text(encoding="utf-8").splitlines()]


def main(words: Sequence[str]) -> int:
    """Runs the suite; exit status 0 where everything was tried and nothing was found."""
    arguments = _arguments(words)
    for chatty in ("clickhouse_driver", "kafka"):  # servers that do not answer are what this is about
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    before = finished(arguments.resume)
    done = {outcome.name for outcome in before}
    plans = [plan for plan in chosen(arguments) if plan.name not in done]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="accesstrail-faults-") as temporary:
        state = (arguments.state or Path(temporary) / "stack").absolute()
        print(f"{len(plans)} runs to do, {len(before)} done before; logs of what is found: {state}/runs", flush=True)
        fills_disk = any(act.fault == DISK_FULL for plan in plans for act in plan.acts)
        with BenchAt(state, arguments.sabotage, DISK_MIB if fills_disk else 0) as bench:
            suite = Suite(bench, 1 if fills_disk else arguments.jobs, arguments.resume)
            try:
                suite.run(plans)
                suite.run(missed_ones(before + suite.outcomes))
            except KeyboardInterrupt:
                print("interrupted", file=sys.stderr)
        outcomes = [*before, *suite.outcomes]
        said = "" if arguments.only or arguments.sample or arguments.no_full_disks else full_disks(arguments, outcomes)
        never = never_reached(chosen(arguments), outcomes)
        print(f"\n{table(outcomes)}\n{said}\nnever reached: {', '.join(never) or 'none'}", flush=True)
        print(f"in {time.monotonic() - began:.0f} s", flush=True)
    return 1 if never or any(outcome.finding for outcome in outcomes) else 0


def never_reached(plans: Iterable[Plan], outcomes: Iterable[Outcome]) -> list[str]:
    """The faults at gaps that were wanted and came about in no run: they were not tested."""
    wanted = {str(act).rpartition("x")[0] for plan in plans for act in plan.acts}
    return sorted(wanted - {word.rpartition("x")[0] for outcome in outcomes for word in outcome.injected})


def missed_ones(outcomes: Sequence[Outcome]) -> list[Plan]:
    """The runs once more that did not reach a gap in time, as happens on a busy machine."""
    done = {outcome.name for outcome in outcomes}
    again = [f"again {one.name}" for one in outcomes if one.missed and not one.name.startswith("again ")]
    return [faults.parse(name) for name in again if name not in done]


def full_disks(arguments: argparse.Namespace, outcomes: list[Outcome]) -> str:
    """The runs in which the store's disk fills up, on a stack of their own; one line about them."""
    done = {outcome.name for outcome in outcomes}
    plans = [plan for plan in faults.full_disks(arguments.seed) if plan.name not in done]
    with tempfile.TemporaryDirectory(prefix="accesstrail-faults-disk-") as temporary:
        try:
            with BenchAt(Path(temporary), disk_mib=DISK_MIB) as bench:
                suite = Suite(bench, 1, arguments.resume)
                suite.run(plans)
        except CannotMount as exc:
            return f"full disks: NOT TESTED: {exc}"
    outcomes += suite.outcomes
    return f"full disks: {len(plans)} runs, {sum(bool(one.finding) for one in suite.outcomes)} broke a promise"


class BenchAt:
    """A bench with a stack in this folder; everything ends with the block."""

    def __init__(self, state: Path, sabotage: str = "", disk_mib: int = 0) -> None:
        self._state, self._sabotage = state, sabotage
        self._stack = FaultStack(state, disk_mib)
        self._proxies = Proxies()
        self._zygote: Zygote | None = None

    def __enter__(self) -> Bench:
        self._stack.__enter__()
        company = Company(self._state / "company")
        runs = self._state / "runs"
        runs.mkdir(exist_ok=True)
        self._zygote = Zygote(self._state, company.folder, runs).__enter__()
        self._proxies.__enter__()
        calm = Calm(self._stack.settings, company.folder)
        calm.judgement()
        return Bench(self._stack, self._zygote, self._proxies, company, calm, runs, self._sabotage)

    def __exit__(self, *exc: object) -> None:
        self._proxies.__exit__(*exc)
        if self._zygote is not None:
            self._zygote.__exit__(*exc)
        self._stack.__exit__(*exc)
