"""One company from its seed to its result: simulate, split, train, score, evaluate, ablation, a process each.

So memory is given back between the steps, and what a command costs (user and system time, peak memory) is that of the
command. The result is plain JSON; the folder with events and model is removed when it is written.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import chinese_calendar

from detectors.features import FEATURE_VERSION
from detectors.model import MODEL_VERSION
from pipeline.version_sets.rules_source import rules_content
from tests.evaluate.companies import STRENGTHS, CompanyPlan

ROOT = Path(__file__).resolve().parents[2]
_CODE = ("detectors/**/*.py", "pipeline/**/*.py", "tests/evaluate/[abcs]*.py")
"""All that can change a result: not the table, which only shows it."""
_SHOWN_ERROR_CHARACTERS = 3000
_ZONE = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command took. `cpu_s`: user and system."""

    cpu_s: float
    wall_s: float
    peak_mib: float


def versions() -> dict[str, str]:
    """What the figures stand on; `code` is the hash of all sources that can change them."""
    digest = sha256()
    for pattern in _CODE:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return {
        "features": FEATURE_VERSION,
        "model": str(MODEL_VERSION),
        "rules": sha256(rules_content()).hexdigest()[:12],
        "code": digest.hexdigest()[:12],
        "python": platform.python_version(),
    }


def run_company(plan: CompanyPlan, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything about one company; `folder` is made anew and removed at the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    here = Commands(folder, say)
    here.accesstrail("simulate", *simulated_words(plan), "--out", str(folder))
    here.module("tests.evaluate.split", str(folder), plan.first_scored.isoformat())
    place = ("--directory", str(folder / "directory"), "--model", str(folder / "model"))
    history, rest = str(folder / "history.ndjson.zst"), str(folder / "rest.ndjson.zst")
    trained = here.accesstrail("train", history, *place, "--budget", f"{plan.budget_per_day:.4f}", "--json")
    found = ("--output", str(folder / "scores.ndjson"), "--alerts", str(folder / "alerts.ndjson"))
    budget = f"{plan.budget_per_day:.4f}"
    scored = here.accesstrail("score", rest, *place, "--warm-up", history, *found, "--budget", budget, "--json")
    weekly = folder / "nightly.ndjson"
    words = (rest, *place, "--warm-up", history, "--output", os.devnull, "--alerts", str(weekly), "--budget", budget)
    here.accesstrail("score", *words, "--nightly", "--json", called="score nightly")
    report = here.accesstrail("evaluate", *_truth(folder), "--events", rest, "--json")
    ablation = here.module("tests.evaluate.ablation", str(folder), budget)
    weeks = weeks_of(weekly.read_text(encoding="utf-8").splitlines(), plan)
    shutil.rmtree(folder)
    events = int(trained["events"]) + int(scored["events"])
    return {
        "plan": {**asdict(plan), "start": plan.start.isoformat(), "budget_per_day": plan.budget_per_day},
        "date": datetime.now(UTC).date().isoformat(),
        "versions": versions(),
        "report": report,
        "variants": ablation["variants"],
        "weeks": weeks,
        "events": events,
        "costs": {name: asdict(cost) for name, cost in here.costs.items()},
        "speed": {
            "score_events_per_cpu_s": round(events / here.costs["score"].cpu_s),
            "train_events_per_cpu_s": round(int(trained["events"]) / here.costs["train"].cpu_s),
            "judged_per_cpu_s": ablation["judged_per_s"],
        },
    }


def weeks_of(lines: Sequence[str], plan: CompanyPlan) -> list[dict[str, Any]]:
    """Alerts of each scored week where thresholds move at night, and what they are of the budget."""
    days = [datetime.fromisoformat(json.loads(line)["event_time"]).astimezone(_ZONE).date() for line in lines]
    found = []
    for number in range((plan.days - plan.train_days) // 7):
        monday = plan.first_scored + timedelta(weeks=number)
        week = [monday + timedelta(days=place) for place in range(7)]
        alerts = sum(day in week for day in days)
        # A weekday off or a weekend day worked: what makes a week unlike others.
        is_unlike = any((day.weekday() < 5) == chinese_calendar.is_holiday(day) for day in week)
        found.append(
            {
                "monday": monday.isoformat(), "alerts": alerts, "holiday": is_unlike,
                "ratio": round(alerts / (7 * plan.budget_per_day), 3),
            }
        )  # fmt: skip
    return found


def simulated_words(plan: CompanyPlan) -> list[str]:
    words = [
        "--days", str(plan.days), "--actors", str(plan.actors), "--seed", str(plan.seed), "--company-seed",
        str(plan.seed), "--start", plan.start.isoformat(), "--attacks-per-scenario", str(STRENGTHS), "--json",
    ]  # fmt: skip
    return [*words, *(word for name in plan.scenarios for word in ("--scenario", name))]


def _truth(folder: Path) -> list[str]:
    names = {"scores": "scores.ndjson", "alerts": "alerts.ndjson", "directory": "directory"}
    names |= {name: f"{name}.csv" for name in ("labels", "attacks", "twins", "lookalikes")}
    return [word for name, file in names.items() for word in (f"--{name}", str(folder / file))]


class Commands:
    """Runs commands one after the other and keeps what each cost, by its name."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.costs: dict[str, Cost] = {}
        self._folder, self._say = folder, say

    def accesstrail(self, name: str, *words: str, called: str = "") -> Any:
        """A command of the product; its JSON."""
        return self._run(called or name, ["pipeline.cli", name, *words])

    def module(self, name: str, *words: str) -> Any:
        """A module of this evaluation; its JSON, if it prints any."""
        return self._run(name.rpartition(".")[2], [name, *words])

    def _run(self, name: str, words: Sequence[str]) -> Any:
        out, err, begun = self._folder / f"{name}.out", self._folder / f"{name}.err", time.monotonic()
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, stdout=stdout, stderr=stderr)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{name} failed ({process.returncode}):\n{err.read_text()[-_SHOWN_ERROR_CHARACTERS:]}")
        cost = Cost(
            round(usage.ru_utime + usage.ru_stime, 1), round(time.monotonic() - begun, 1), round(usage.ru_maxrss / 1024)
        )
        self.costs[name] = cost
        self._say(f"{name}: {cost.cpu_s:.0f} s CPU, {cost.wall_s:.0f} s, {cost.peak_mib:.0f} MiB")
        content = out.read_bytes()
        return json.loads(content) if content.strip() else None
