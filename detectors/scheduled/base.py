"""What a scheduled detector is: SQL over sealed rows with typed parameters, and rows in, findings out. Pure.

Place in the flow: beside the stream. `pipeline/schedule/` asks the store (live) or the embedded engine (offline) and
hands the rows to `findings`. Time is event time, cut into *slots*: hours (UTC) or days (of the deployment's time zone).
A detector's window is its slot and, where `reach` is larger than one, the slots before it. The SQL judges every slot
from `first_slot` to `last_slot`, each by itself: asking for many slots at once gives what asking one by one gives.

Every query returns the columns of `sql.PICKED` (the event that contributed most) and `tenant_id`, `slot`, `key`;
whatever else it returns are the numbers that a verdict is made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]
Value = str | int | Sequence[str] | Sequence[int]
LOWEST_RISK, HIGHEST_RISK = 7000, 9500
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
_DAY_ZERO = date(1970, 1, 1)
_EVENT_COLUMNS = frozenset(
    ("tenant_id", "slot", "key", "event_time_us", "received_at_us", "event_id", "actor", "topic", "incarnation",
     "partition", "offset", "sensitivity")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """The same words in English and Chinese; `{name}` stands for a number of the verdict."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row that is a finding: risk in hundredths, what was seen, and the numbers behind it."""

    risk: int
    seen: Words
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value the SQL needs besides the slots; `about` says where it comes from."""

    name: str
    type: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """Which time a detector looks at: slots of one `unit`, windows of `reach` slots, `history_days` to compare with.

    A window is final `lateness_s` after its end. Until then, also while the slot runs, a detector with `early_s` is
    asked that often and its results are provisional; None: what is not there yet would look like a finding. A key that
    raised an alert stays silent for `quiet_slots` unless its risk rises much.
    """

    unit: Literal["hour", "day"]
    lateness_s: int
    history_days: int
    quiet_slots: int
    reach: int = 1
    early_s: int | None = 1800

    def slot_of(self, at_us: int, zone: ZoneInfo) -> int:
        """The slot a moment lies in."""
        if self.unit == "hour":
            return at_us // HOUR_US
        return (datetime.fromtimestamp(at_us / 1e6, UTC).astimezone(zone).date() - _DAY_ZERO).days

    def start_us(self, slot: int, zone: ZoneInfo) -> int:
        """When a slot begins, UTC microseconds; a day begins at midnight of the time zone."""
        if self.unit == "hour":
            return slot * HOUR_US
        day = _DAY_ZERO + timedelta(days=slot)
        return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000

    def window(self, slot: int, zone: ZoneInfo) -> tuple[int, int]:
        """Start and end (exclusive) of the window that ends with a slot."""
        return self.start_us(slot - self.reach + 1, zone), self.start_us(slot + 1, zone)


@dataclass(frozen=True, slots=True)
class Contributor:
    """The event of a window that contributed most: alerts name it. Tokens in hexadecimal, times UTC microseconds."""

    event_id: str
    event_time_us: int
    received_at_us: int
    actor: str
    topic: str
    incarnation: str
    partition: int
    offset: int
    sensitivity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a detector found about one key in one window. Risk in hundredths; numbers never hold identifiers."""

    detector: str
    tenant_id: str
    key: str
    slot: int
    window_start_us: int
    window_end_us: int
    risk: int
    numbers: Mapping[str, float]
    contributor: Contributor
    explanation_en: str
    explanation_zh: str

    @property
    def reasons(self) -> tuple[str, ...]:
        """Reason codes as alerts carry them."""
        return (f"scheduled:{self.detector}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledDetector:
    """One detector whose state is not keyed by the actor of a single event."""

    name: str
    scenarios: tuple[str, ...]
    attack_ids: tuple[str, ...]
    articles: tuple[str, ...]
    state_key: str
    cadence: Cadence
    cold_start: Words
    title: Words
    next_step: Words
    runbook: Words
    sql: str
    judge: Callable[[Row], Verdict | None]
    parameters: tuple[Parameter, ...] = ()
    look_alikes: tuple[str, ...] = field(default=())
    of_absence: bool = False
    """What is not there is the finding: where a file ends, nothing is absent."""

    def findings(self, rows: Iterable[Row], zone: ZoneInfo) -> list[Finding]:
        """The findings among the rows of the SQL, by slot, then by key."""
        found = []
        for row in rows:
            verdict = self.judge(row)
            if verdict is not None:
                found.append(self._finding(row, verdict, zone))
        return sorted(found, key=lambda one: (one.slot, one.tenant_id, one.key))

    def _finding(self, row: Row, verdict: Verdict, zone: ZoneInfo) -> Finding:
        start_us, end_us = self.cadence.window(int(row["slot"]), zone)
        english, chinese = self._explained(verdict)
        return Finding(
            detector=self.name,
            tenant_id=str(row["tenant_id"]),
            key=str(row["key"]),
            slot=int(row["slot"]),
            window_start_us=start_us,
            window_end_us=end_us,
            risk=verdict.risk,
            numbers=dict(verdict.numbers),
            contributor=_contributor(row),
            explanation_en=english,
            explanation_zh=chinese,
        )

    def _explained(self, verdict: Verdict) -> tuple[str, str]:
        """At most three sentences: what it is and what was seen, what is usual, what to do next."""
        shown = {name: _shown(number) for name, number in verdict.numbers.items()}
        english = f"{self.title.en}: {verdict.seen.en.format(**shown)} Next: {self.next_step.en}"
        return english, f"{self.title.zh}：{verdict.seen.zh.format(**shown)}下一步：{self.next_step.zh}"


def _contributor(row: Row) -> Contributor:
    return Contributor(
        event_id=str(row["event_id"]),
        event_time_us=int(row["event_time_us"]),
        received_at_us=int(row["received_at_us"]),
        actor=str(row["actor"]).lower(),
        topic=str(row["topic"]),
        incarnation=str(row["incarnation"]),
        partition=int(row["partition"]),
        offset=int(row["offset"]),
        sensitivity=int(row["sensitivity"]),
    )


def numbers_of(row: Row) -> dict[str, float]:
    """The numbers of a row: every numeric column that does not describe its event."""
    return {
        name: float(value)
        for name, value in row.items()
        if name not in _EVENT_COLUMNS and isinstance(value, int | float) and not math.isnan(value)
    }


def beyond(seen: float, bound: float, *, floor: int = LOWEST_RISK, doubling: int = 1200) -> int:
    """Risk in hundredths by how far a count lies beyond its bound: the floor at it, `doubling` more each time twice."""
    ratio = max(1.0, seen / max(bound, 1.0))
    return min(HIGHEST_RISK, floor + round(doubling * math.log2(ratio)))


def _shown(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:,.1f}"
