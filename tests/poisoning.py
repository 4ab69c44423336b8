"""A small company and an attacker who writes their own events into it, judged by the real offline chain.

Forty accounts, five weeks without any attack: four are history, the fifth is judged. The attacker is a support
representative; what they do is a copy of their own ordinary look at a customer, without a ticket, each at another
customer.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from detectors.model import Model
from pipeline.adapters.directory import read_directory
from pipeline.adapters.embedded import EmbeddedEngine
from pipeline.directory import DirectorySnapshot
from pipeline.kept_findings import FiredAlert
from pipeline.offline import EventFile, score_events, train_model
from pipeline.privacy.keys import Keyring
from pipeline.schedule.simulated import Collector
from pipeline.sources.simulate import Simulation, draw_company, write_directory
from pipeline.timestamps import utc_us
from pipeline.training_exclusions import NOTHING_EXCLUDED, Exclusions

TIME_ZONE = "Asia/Shanghai"
FIRST_DAY, HISTORY_DAYS, DAYS = date(2026, 8, 31), 28, 35
_COMPANY_SEED, _ACTORS, _SEED = 11, 40, 3
ATTACKER = "bo_gao12"
BUDGET_PER_DAY = 1.0
_NAMESPACE = uuid.UUID("6d9c0f0e-5c0e-4d3b-9a77-0d1f6a1f2b11")
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Company:
    """What is ordinary in it."""

    directory: DirectorySnapshot
    history: tuple[Event, ...]
    rest: tuple[Event, ...]

    def template(self, actor_id: str) -> Event:
        """An ordinary look of this account at one customer."""
        return next(
            one
            for one in self.history
            if one["actor_id"] == actor_id and one["action"] == "read" and one.get("subject_count") == 1
        )

    def workdays(self, actor_id: str = ATTACKER) -> list[int]:
        """The days on which this account is at work, counted from the first."""
        dates = {one["event_time"][:10] for one in (*self.history, *self.rest) if one["actor_id"] == actor_id}
        return sorted((date.fromisoformat(one) - FIRST_DAY).days for one in dates)

    def looks(
        self, day: int, count: int, *, actor_id: str = ATTACKER, hour: int = 10, every_s: float = 6.0, **fields: Any
    ) -> list[Event]:
        """So many looks without a ticket on one day, counted from the first, each at another customer."""
        plain = {
            name: value for name, value in self.template(actor_id).items() if name not in ("case_ref", "source_seq")
        }
        start = f"{FIRST_DAY + timedelta(days=day)}T{hour:02d}"
        found = []
        for number in range(count):
            second = int(number * every_s)
            name = f"{actor_id} {day} {hour} {number}"
            subject = f"K{6_000_000 + uuid.uuid5(_NAMESPACE, name).int % 900_000}"
            found.append(
                {
                    **plain, "event_id": str(uuid.uuid5(_NAMESPACE, name)),
                    "event_time": f"{start}:{second // 60:02d}:{second % 60:02d}+08:00", "subject_ids": [subject],
                    "resource_id": subject, **fields,
                }
            )  # fmt: skip
        return found


@cache
def company() -> Company:
    """The same for every test."""
    simulation = Simulation(draw_company(_COMPANY_SEED, _ACTORS), FIRST_DAY, DAYS, _SEED, attacks_per_scenario=0)
    events = [one.event for one in simulation.events()]
    with tempfile.TemporaryDirectory() as name:
        write_directory(simulation.company, Path(name), simulation.desk.work_items)
        directory = read_directory(Path(name), Keyring.offline())
    end = f"{FIRST_DAY + timedelta(days=HISTORY_DAYS)}"
    return Company(
        directory,
        tuple(one for one in events if one["event_time"] < end),
        tuple(one for one in events if one["event_time"] >= end),
    )


def event_file(events: Iterable[Event]) -> EventFile:
    """The events as the offline chain reads them: by time, each once."""
    distinct = {one["event_id"]: one for one in events}
    timed = sorted((utc_us(one["event_time"]), name, msgspec.json.encode(one)) for name, one in distinct.items())
    return EventFile(
        [line for _, _, line in timed],
        np.array([time_us for time_us, _, _ in timed], np.int64),
        [name for _, name, _ in timed],
    )


def trained(
    planted: Iterable[Event] = (), exclude: Exclusions = NOTHING_EXCLUDED, champion: Model | None = None
) -> Model:
    """A model of the company's history with these events in it."""
    history = event_file([*company().history, *planted])
    return train_model(
        history, company().directory, TIME_ZONE, exclude=exclude, budget_per_day=BUDGET_PER_DAY, champion=champion
    )


@cache
def clean_model() -> Model:
    """A model of the history as it was."""
    return trained()


def fired(model: Model, planted: Iterable[Event] = (), before: Iterable[Event] = ()) -> list[FiredAlert]:
    """The stream's alerts of the fifth week with planted events in it, `before`: planted in the history."""
    scored = score_events(
        event_file([*company().rest, *planted]), event_file([*company().history, *before]), company().directory,
        Keyring.offline(), model, TIME_ZONE,
    )  # fmt: skip
    return scored.alerts


def watched(planted: Iterable[Event], first_day: int) -> list[FiredAlert]:
    """All alerts from one day on, those of scheduled detectors too; the days before are warm-up."""
    begin = f"{FIRST_DAY + timedelta(days=first_day)}"
    ordinary = [*company().history, *company().rest]
    before = event_file(one for one in ordinary if one["event_time"] < begin)
    judged = event_file([*(one for one in ordinary if one["event_time"] >= begin), *planted])
    with EmbeddedEngine() as engine:
        collector = Collector(engine, company().directory, ZoneInfo(TIME_ZONE))
        scored = score_events(
            judged, before, company().directory, Keyring.offline(), clean_model(), TIME_ZONE, collector=collector
        )
    return scored.alerts


def of(alerts: Iterable[FiredAlert], events: Iterable[Event]) -> list[FiredAlert]:
    """The alerts that fired on these events."""
    names = {one["event_id"] for one in events}
    return [one for one in alerts if one.event_id in names]
