"""Alerts of a simulated company, made once a test session: history trains a model, the rest is judged offline."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import msgspec

from detectors.model import Model
from detectors.policy import LOWEST_THRESHOLD, NEVER, Policy
from detectors.rules.rule import LOWEST_FLOOR
from pipeline.adapters.directory import read_directory
from pipeline.batch import JudgedEvents
from pipeline.directory import DirectorySnapshot
from pipeline.events import Alert
from pipeline.offline import EventFile, OfflineChain, read_events, train_model
from pipeline.privacy.keys import Keyring
from pipeline.sources.simulate import Labelled, Simulation, draw_company, write_directory
from pipeline.training_exclusions import Exclusions

TIME_ZONE = "Asia/Shanghai"
_COMPANY_SEED, _ACTORS, _DAYS, _SEED = 3, 60, 30, 5
_HISTORY_SHARE = 0.6
TALKATIVE = Policy(LOWEST_THRESHOLD, LOWEST_FLOOR, open_us=3_600_000_000)
"""Fires far more often than a team would bear: for tests that read alerts."""


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert and the batch that it was raised in."""

    alert: Alert
    judged: JudgedEvents


@dataclass(frozen=True, slots=True)
class Company:
    """A company after its history: a model, profiles, and the events that follow."""

    directory: DirectorySnapshot
    model: Model
    rest: EventFile
    profiles: tuple[Sequence[bytes], Sequence[bytes]]
    labelled: frozenset[str]

    def chain(self, policy: Policy) -> OfflineChain:
        """A chain that knows everybody's history."""
        chain = OfflineChain(self.directory, Keyring.offline(), self.model, policy, TIME_ZONE)
        chain.profiles.restore(*self.profiles)
        return chain


@cache
def company() -> Company:
    """Thirty days of a company of sixty, with every scenario in every strength."""
    simulation = Simulation(draw_company(_COMPANY_SEED, _ACTORS), date(2026, 9, 1), _DAYS, _SEED)
    sent = list(simulation.events())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_directory(simulation.company, folder / "directory", simulation.desk.work_items)
        directory = read_directory(folder / "directory", Keyring.offline())
        events = _read(sent, folder / "events.ndjson")
    cut = int(len(events) * _HISTORY_SHARE)
    history, rest = _part(events, 0, cut), _part(events, cut, len(events))
    labelled = frozenset(str(one.event["event_id"]) for one in sent if one.attack_id)
    model = train_model(history, directory, TIME_ZONE, exclude=Exclusions(dict.fromkeys(labelled, "known")))
    chain = OfflineChain(directory, Keyring.offline(), model, Policy(NEVER), TIME_ZONE)
    for _ in chain.run(history):
        pass
    keys = chain.profiles.dirty()
    return Company(directory, model, rest, (keys, chain.profiles.export(keys)), labelled)


def _read(sent: Sequence[Labelled], path: Path) -> EventFile:
    path.write_bytes(b"".join(msgspec.json.encode(one.event) + b"\n" for one in sent))
    return read_events([str(path)])


def _part(events: EventFile, first: int, end: int) -> EventFile:
    return EventFile(events.lines[first:end], events.time_us[first:end], events.ids[first:end])


@cache
def fired() -> tuple[Fired, ...]:
    """Every alert of the days after history."""
    return tuple(_fired())


def _fired() -> Iterator[Fired]:
    for one in company().chain(TALKATIVE).run(company().rest):
        for alert in one.judged.alerts:
            yield Fired(alert, one.judged)
