"""How near the nightly budget comes, week by week, over a public holiday with its worked weekends, and attacks.

Part of `make evaluate`; alone: `python -m tests.evaluate.weeks`. Companies of the tuning set, moved to the same days:
eight weeks of history, then four weeks that begin before China's National Day. Each is scored by `score --nightly`
under its default budget (10 alerts a day for 500 active accounts). Printed is what fired in a week as a share of seven
days' budget, and as a share of what the budget allows for the week's work: the accounts active in it, against the mean
of the history. A company of 70 accounts has seven alerts a week, so single weeks of single companies scatter by a
third and more; the last line adds the companies up.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import msgspec
import numpy as np

from detectors.policy import budget_for
from pipeline.sources.records import read_lines
from pipeline.timestamps import utc_us
from tests.evaluate.companies import HELD_OUT, TUNING, CompanyPlan, drawn
from tests.evaluate.company_run import ROOT, Commands, simulated_words
from tests.evaluate.split import CHINA_H

START = date(2026, 7, 27)
WEEKS = 4
_HOUR_US, _DAY_US = 3_600_000_000, 86_400_000_000


@dataclass(frozen=True, slots=True)
class Weeks:
    """One company's scored weeks, (4,) each: alerts fired, budget of seven days, budget for the week's work."""

    seed: int
    fired: Sequence[int]
    budget: Sequence[float]
    budget_of_work: Sequence[float]

    def line(self) -> str:
        """The week's shares, against the plain budget and against that of its work."""
        shares = [
            " ".join(f"{one / of:5.2f}" for one, of in zip(self.fired, budget, strict=True))
            for budget in (self.budget, self.budget_of_work)
        ]
        whole = [sum(self.fired) / sum(budget) for budget in (self.budget, self.budget_of_work)]
        return f"{shares[0]}  all {whole[0]:4.2f} | by work {shares[1]}  all {whole[1]:4.2f}"


class _Access(msgspec.Struct):
    event_time: str
    actor_id: str


def plan_of(seed: int, actors: int | None) -> CompanyPlan:
    """The seed's company on the days of this measurement."""
    if seed in HELD_OUT:
        raise SystemExit("held-out companies are for `python -m tests.evaluate` alone")
    plan = replace(drawn(seed), start=START)
    return plan if actors is None else replace(plan, actors=actors)


def weeks_of(plan: CompanyPlan, folder: Path) -> Weeks:
    """Simulates, trains and scores one company; `folder` is made and left."""
    folder.mkdir(parents=True, exist_ok=True)
    run = Commands(folder, lambda text: print(f"  {text}", flush=True))
    run.accesstrail("simulate", *simulated_words(plan), "--out", str(folder))
    run.module("tests.evaluate.split", str(folder), plan.first_scored.isoformat())
    history, rest = str(folder / "history.ndjson.zst"), str(folder / "rest.ndjson.zst")
    place = ("--directory", str(folder / "directory"), "--model", str(folder / "model"))
    trained = run.accesstrail("train", history, *place, "--json")
    budget = budget_for(float(trained["actors_active_a_day"]))
    alerts = folder / "alerts.ndjson"
    run.accesstrail(
        "score", rest, *place, "--warm-up", history, "--output", str(folder / "scores.ndjson"), "--alerts", str(alerts),
        "--budget", f"{budget:.4f}", "--nightly", "--json",
    )  # fmt: skip
    fired = [0] * WEEKS
    for line in alerts.read_bytes().splitlines():
        fired[_day(json.loads(line)["event_time"], plan) // 7] += 1
    active = _active([history, rest], plan)
    ordinary = active[: plan.train_days].mean()
    of_work = [active[plan.train_days + 7 * week :][:7].sum() / ordinary * budget for week in range(WEEKS)]
    return Weeks(plan.seed, fired, [7 * budget] * WEEKS, of_work)


def _day(time: str, plan: CompanyPlan) -> int:
    """Local days since the first scored one; what a wrong clock moved out of the weeks counts at their ends."""
    local_day = (utc_us(time) + CHINA_H * _HOUR_US) // _DAY_US
    return min(max(local_day - (plan.first_scored - date(1970, 1, 1)).days, 0), 7 * WEEKS - 1)


def _active(files: Sequence[str], plan: CompanyPlan) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """How many accounts were seen on each day of the plan."""
    read, first = msgspec.json.Decoder(_Access).decode, (plan.start - date(1970, 1, 1)).days
    seen: list[set[str]] = [set() for _ in range(plan.days)]
    for line in read_lines(files):
        try:
            event = read(line.data or b"{}")
        except msgspec.MsgspecError:
            continue  # the simulator's faulty lines
        day = (utc_us(event.event_time) + CHINA_H * _HOUR_US) // _DAY_US - first
        if 0 <= day < plan.days:
            seen[day].add(event.actor_id)
    return np.array([len(one) for one in seen], np.float64)


def main() -> None:
    """Measures the companies and prints a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate.weeks", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(TUNING), metavar="SEED")
    parser.add_argument("--actors", type=int, help="accounts [default: the company's own]")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "evaluate" / "weeks", help="where files are put")
    options = parser.parse_args()
    found = []
    for seed in options.seeds:
        found.append(weeks_of(plan_of(seed, options.actors), options.work / str(seed)))
        print(f"company {seed}: {found[-1].line()}", flush=True)
    columns = [[getattr(one, name) for one in found] for name in ("fired", "budget", "budget_of_work")]
    fired, budget, of_work = (np.sum(column, axis=0).tolist() for column in columns)
    print(f"all companies: {Weeks(0, fired, budget, of_work).line()}")


if __name__ == "__main__":
    main()
