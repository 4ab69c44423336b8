"""What an evaluation looks at, as columns: scored events, fired alerts, attacks and their benign twins.

First file of the package to read. n = scored events (one for each distinct event id), m = fired alerts. A *story* is an
attack or a benign twin; it counts here when at least one of its events was scored, because nobody can find what was not
looked at. A *false alert* fired on an event that belongs to no attack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

from detectors.base import F64, I64
from pipeline.errors import UsageError

DAY_US = 86_400_000_000
NONE = -1
_SCORED = np.dtype([("risk", "f8"), ("anomaly", "f8"), ("actor", "i8"), ("time_us", "i8")])


@dataclass(frozen=True, slots=True)
class Label:
    """One event that belongs to an attack (or, in a list of twins, to a benign twin)."""

    event_id: str
    scenario: str
    attack_id: str


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """One scored event; actor and time (UTC µs) are empty where the events were not given."""

    event_id: str
    risk: float
    anomaly_score: float
    actor_id: str
    time_us: int


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """One fired alert: the event that it hits, and the actor and time (UTC µs) of the one that raised it.

    `named`: the event that raised it where that is another one (alerts about a source); `risk`: 0–100, as it tells.
    """

    event_id: str
    actor_id: str
    time_us: int
    risk: float = 0.0
    named: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """What the directory says of an actor; empty where it says nothing."""

    department: str = ""
    role: str = ""
    site: str = ""
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """One odd but harmless stretch of one actor's life: first and last local day, both included."""

    kind: str
    first_day: date
    last_day: date
    actor_id: str


@dataclass(frozen=True, slots=True)
class Stories:
    """The stories of which at least one event was scored, s of them."""

    ids: tuple[str, ...]
    scenarios: tuple[str, ...]
    """(s,) the scenario of each."""
    of_event: I64
    """(n,) the story each event belongs to, else −1."""
    unseen: int = 0
    """How many stories had no scored event."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known of one scored stretch of time."""

    risk: F64
    """(n,) 0–100."""
    anomaly: F64
    """(n,) 0–1: breaks ties of risk."""
    actor: I64
    """(n,) index into `actors`, −1 where the event itself was not given."""
    time_us: I64
    """(n,) UTC."""
    alert_row: I64
    """(m,) the event that raised the alert, −1 where it was not among the scored ones."""
    alert_actor: I64
    """(m,) index into `actors`."""
    alert_time_us: I64
    """(m,) UTC."""
    actors: tuple[str, ...]
    attacks: Stories
    twins: Stories
    strengths: Mapping[str, str] = field(default_factory=dict)
    """Attack id → strength."""
    named_row: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    """(a,) the event that each alert names, of alerts that name a scored one."""
    named_risk: F64 = field(default_factory=lambda: np.zeros(0))
    """(a,) what that alert tells, 0–100."""

    @property
    def placed(self) -> I64:
        """The events whose actor and time are known."""
        return np.flatnonzero(self.actor >= 0).astype(np.int64)

    @property
    def is_false(self) -> npt.NDArray[np.bool_]:
        """(m,) which alerts fired on an event of no attack."""
        story = np.full(len(self.alert_row), NONE, np.int64)
        known = self.alert_row >= 0
        story[known] = self.attacks.of_event[self.alert_row[known]]
        return np.asarray(story < 0)

    @property
    def days(self) -> float | None:
        """Days between the first and the last event (without events: alert), at least one; None without any."""
        rows = self.placed
        times = self.time_us[rows] if len(rows) else self.alert_time_us
        return max(1.0, float(times.max() - times.min()) / DAY_US) if len(times) else None


def gather(
    scores: Iterable[ScoreRecord],
    alerts: Iterable[AlertRecord],
    labels: Iterable[Label],
    strengths: Mapping[str, str] | None = None,
    twins: Iterable[Label] = (),
) -> Evidence:
    """Columns from records; the order of none of them matters to any measure.

    Raises: UsageError: an event is scored twice.
    """
    row_of: dict[str, int] = {}
    actor_of: dict[str, int] = {}

    def rows() -> Iterator[tuple[float, float, int, int]]:
        for score in scores:
            if score.event_id in row_of:
                raise UsageError("the scores hold an event twice: one line for each distinct event id is expected")
            row_of[score.event_id] = len(row_of)
            actor = actor_of.setdefault(score.actor_id, len(actor_of)) if score.actor_id else NONE
            yield score.risk, score.anomaly_score, actor, score.time_us

    columns = np.fromiter(rows(), _SCORED)
    kept = list(alerts)
    fired = [
        (row_of.get(alert.event_id, NONE), actor_of.setdefault(alert.actor_id, len(actor_of)), alert.time_us)
        for alert in kept
    ]
    alert_table = np.array(fired, np.int64).reshape(-1, 3)
    named = [(row_of.get(alert.named or alert.event_id, NONE), alert.risk) for alert in kept]
    told = np.array([pair for pair in named if pair[0] != NONE], np.float64).reshape(-1, 2)
    return Evidence(
        columns["risk"], columns["anomaly"], columns["actor"], columns["time_us"], alert_table[:, 0],
        alert_table[:, 1], alert_table[:, 2], tuple(actor_of), stories(labels, row_of), stories(twins, row_of),
        dict(strengths or {}), told[:, 0].astype(np.int64), told[:, 1],
    )  # fmt: skip


def stories(labels: Iterable[Label], row_of: Mapping[str, int]) -> Stories:
    """The stories that these labels name; `row_of`: scored event id → its row."""
    scenario_of: dict[str, str] = {}
    rows: dict[str, list[int]] = {}
    for label in labels:
        scenario_of[label.attack_id] = label.scenario
        row = row_of.get(label.event_id)
        if row is not None:
            rows.setdefault(label.attack_id, []).append(row)
    ids = tuple(sorted(rows))
    of_event = np.full(len(row_of), NONE, np.int64)
    for number, story in enumerate(ids):
        of_event[rows[story]] = number
    return Stories(ids, tuple(scenario_of[story] for story in ids), of_event, len(scenario_of) - len(ids))
