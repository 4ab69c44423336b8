"""Whether a worker lives, is ready, and gets on: decided from what was seen, without a clock or a socket of its own.

Place in the flow: beside it. `monitor.py` shows `Health.tick` once a second what partitions, broker and store say;
`/livez`, `/readyz`, `/metrics` and the status file tell its `Report`. Three judgements:

- *live*: the loop makes turns and the partitions' threads run.
- *ready*: partitions are assigned, none recovers or waits, and Kafka and the store answer.
- *getting on* (watchdog): where records wait, a sealed offset stands still too long and the partition's thread does
  nothing either, although store and broker answer, the fetcher or the thread is stuck, and only a new process helps.
  A log that is idle, a partition that moves slowly or looks for rows the store refuses, one that is stopped or away,
  and a process that was itself suspended are no such case.

Times are added up from tick to tick, so that a suspended process or machine does not count as time in which nothing
happened: a tick that comes late begins all of them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.health.troubles import AWAY_CODES
from pipeline.partition.status import BATCH_SIZES, STEPS, PartitionStatus

STORE, KAFKA = "store", "kafka"
NO_PROGRESS, LOOP_STUCK, THREAD_ENDED = "no_progress", "loop_stuck", "thread_ended"
_SUSPENDED_AFTER_S = 5.0
_LOOP_SILENT_S = 10.0
_LAGS_S = 10.0
# Reading a ledger of millions of entries takes its time; the ranges formed again afterwards each count as progress.
_RECOVERY_PATIENCE = 10


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """When something is said: seconds."""

    away_alert_after_s: float = 60
    stalled_after_s: float = 120


@dataclass(frozen=True, slots=True)
class LogEnds:
    """What the broker holds of one partition: first offset, and the offset of the next record."""

    first_offset: int
    end_offset: int


@dataclass(frozen=True, slots=True)
class Probe:
    """What a dependency answered when it was last asked: `code` is empty where all is well; `asked`: at all yet."""

    code: str = ""
    asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that is seen at one tick. `now_s`: seconds since 1970; `monotonic_s`: never set back.

    `positions`: the next offset to fetch, for partitions that `Report.suspects` named; `loop_turns` None: the loop does
    not run yet.
    """

    monotonic_s: float
    now_s: float
    loop_turns: int | None
    assigned: bool
    partitions: tuple[PartitionStatus, ...] = ()
    ended_threads: frozenset[int] = frozenset()
    store: Probe = Probe()
    kafka: Probe = Probe()
    ends: Mapping[int, LogEnds] = field(default_factory=dict)
    positions: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is not as it should be."""

    code: str
    partition: int | None = None
    since_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AwaySpan:
    """A dependency that is away long enough to be said; `until_s` None: still."""

    dependency: str
    code: str
    since_s: float
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What all partitions that this process ever owned did: it only grows, also when a partition goes elsewhere."""

    records: int = 0
    batch_sizes: tuple[int, ...] = (0,) * (len(BATCH_SIZES) + 1)
    step_seconds: tuple[float, ...] = (0.0,) * len(STEPS)

    def plus(self, status: PartitionStatus) -> Totals:
        """With one partition more."""
        sizes = zip(self.batch_sizes, status.batch_sizes, strict=True)
        steps = zip(self.step_seconds, (status.step_seconds[step] for step in STEPS), strict=True)
        return Totals(self.records + status.records, tuple(map(sum, sizes)), tuple(map(sum, steps)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one tick found."""

    now_s: float = 0.0
    live: bool = True
    not_live: tuple[Reason, ...] = ()
    ready: bool = False
    not_ready: tuple[Reason, ...] = ()
    partitions: tuple[PartitionStatus, ...] = ()
    lags: Mapping[int, int] = field(default_factory=dict)
    stalled_s: Mapping[int, float] = field(default_factory=dict)
    away: tuple[AwaySpan, ...] = ()
    away_total_s: Mapping[str, float] = field(default_factory=dict)
    said: tuple[AwaySpan, ...] = ()
    """Outages that must be said now: begun long enough ago, or ended after they were said."""
    stopped: tuple[PartitionStatus, ...] = ()
    """Partitions that have stopped since the tick before."""
    suspects: tuple[int, ...] = ()
    fatal: tuple[Reason, ...] = ()
    """Why the process must end with a non-zero status."""
    lag_since_s: Mapping[int, float] = field(default_factory=dict)
    totals: Totals = Totals()


@dataclass(slots=True)
class _Outage:
    """One dependency: since when it is away and for how long."""

    code: str = ""
    since_s: float = 0.0
    counted_s: float = 0.0
    total_s: float = 0.0
    said: bool = False


@dataclass(slots=True)
class _Standing:
    """One partition: its last sign of progress, and for how long there was none although records wait."""

    sign: tuple[object, ...] = ()
    still_s: float = 0.0
    lag_since_s: float = 0.0


class Health:
    """Remembers what must be remembered from tick to tick. One thread at a time."""

    def __init__(self, limits: HealthLimits) -> None:
        self._limits = limits
        self._last_s: float | None = None
        self._loop_turns: int | None = None
        self._loop_silent_s = 0.0
        self._outages = {STORE: _Outage(), KAFKA: _Outage()}
        self._standings: dict[int, _Standing] = {}
        self._stopped: set[tuple[int, str, str]] = set()
        self._owned: dict[int, PartitionStatus] = {}
        self._left = Totals()

    def tick(self, seen: Observation) -> Report:
        """Takes one observation, about a second after the one before, and says what it means."""
        passed_s = 0.0 if self._last_s is None else seen.monotonic_s - self._last_s
        self._last_s = seen.monotonic_s
        suspended = passed_s > _SUSPENDED_AFTER_S
        counted_s = 0.0 if suspended else passed_s
        self._note_loop(seen, counted_s, suspended)
        # An outage goes on while nobody looks; what must not happen is that one late look makes a minute of it.
        outage_s = min(passed_s, _SUSPENDED_AFTER_S)
        said = [span for name in self._outages for span in self._note_outage(name, seen, outage_s)]
        lags = {one.partition: lag for one in seen.partitions if (lag := _lag(one, seen.ends)) is not None}
        self._note_standings(seen, lags, counted_s, suspended)
        fatal, not_live = self._faults(seen)
        not_ready = self._not_ready(seen)
        return Report(
            now_s=seen.now_s, live=not not_live, not_live=not_live, ready=not not_ready, not_ready=not_ready,
            partitions=seen.partitions, lags=lags,
            stalled_s={number: one.still_s for number, one in self._standings.items()},
            away=tuple(
                AwaySpan(name, one.code, one.since_s) for name, one in self._outages.items() if one.code
            ),
            away_total_s={name: one.total_s for name, one in self._outages.items()},
            said=tuple(said), stopped=self._newly_stopped(seen), suspects=self._suspects(seen.now_s), fatal=fatal,
            lag_since_s={number: one.lag_since_s for number, one in self._standings.items()},
            totals=self._totals(seen),
        )  # fmt: skip

    # -- what is remembered

    def _note_loop(self, seen: Observation, counted_s: float, suspended: bool) -> None:
        if suspended or seen.loop_turns is None or seen.loop_turns != self._loop_turns:
            self._loop_silent_s = 0.0
        else:
            self._loop_silent_s += counted_s
        self._loop_turns = seen.loop_turns

    def _note_outage(self, name: str, seen: Observation, counted_s: float) -> list[AwaySpan]:
        outage, code = self._outages[name], _away_code(name, seen)
        if code:
            if not outage.code:
                outage.since_s, outage.counted_s = seen.now_s, 0.0
            else:
                outage.counted_s += counted_s
                outage.total_s += counted_s
            outage.code = code
            if not outage.said and outage.counted_s >= self._limits.away_alert_after_s:
                outage.said = True
                return [AwaySpan(name, code, outage.since_s)]
            return []
        ended = [AwaySpan(name, outage.code, outage.since_s, seen.now_s)] if outage.said else []
        outage.code, outage.said, outage.counted_s = "", False, 0.0
        return ended

    def _note_standings(self, seen: Observation, lags: Mapping[int, int], counted_s: float, suspended: bool) -> None:
        ours = {one.partition: one for one in seen.partitions}
        for number in [number for number in self._standings if number not in ours]:
            del self._standings[number]
        is_away = any(outage.code for outage in self._outages.values())
        for number, status in ours.items():
            standing = self._standings.setdefault(number, _Standing())
            lag = lags.get(number, 0)
            idle = _has_nothing_to_read(status, seen)
            standing.lag_since_s = (standing.lag_since_s or seen.now_s) if lag and not idle else 0.0
            sign = (status.state, status.incarnation, status.sealed_offset, status.turns)
            waits = status.state in ("running", "recovering") and lag > 0 and not is_away
            if suspended or not waits or sign != standing.sign or idle:
                standing.still_s = 0.0
            else:
                standing.still_s += counted_s
            standing.sign = sign

    # -- what follows

    def _faults(self, seen: Observation) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
        """(why the process must end, why it is not live)."""
        fatal = [Reason(THREAD_ENDED, number) for number in sorted(seen.ended_threads)]
        for status in seen.partitions:
            patience = _RECOVERY_PATIENCE if status.state == "recovering" else 1
            if self._standings[status.partition].still_s >= self._limits.stalled_after_s * patience:
                fatal.append(Reason(NO_PROGRESS, status.partition))
        not_live = list(fatal)
        if self._loop_silent_s >= min(_LOOP_SILENT_S, self._limits.stalled_after_s):
            not_live.append(Reason(LOOP_STUCK))
        if self._loop_silent_s >= self._limits.stalled_after_s:
            fatal.append(Reason(LOOP_STUCK))
        return tuple(fatal), tuple(not_live)

    def _not_ready(self, seen: Observation) -> tuple[Reason, ...]:
        found = [Reason(one.code, None, one.since_s) for one in self._outages.values() if one.code]
        found += [Reason(one.code) for one in (seen.kafka, seen.store) if one.code and one.code not in AWAY_CODES]
        if not seen.assigned:
            found.append(Reason("not_assigned"))
        for status in seen.partitions:
            if status.state == "away":
                found.append(Reason(status.code, status.partition, status.away_since))
            elif status.state == "recovering":
                found.append(Reason("recovering", status.partition))
        stopped = [one for one in seen.partitions if one.state == "stopped"]
        if stopped and len(stopped) == len(seen.partitions):
            found += [Reason(one.code, one.partition) for one in stopped]
        return tuple(found)

    def _newly_stopped(self, seen: Observation) -> tuple[PartitionStatus, ...]:
        now = {(one.partition, one.incarnation, one.code): one for one in seen.partitions if one.state == "stopped"}
        new = [one for key, one in now.items() if key not in self._stopped]
        self._stopped = set(now)
        return tuple(new)

    def _totals(self, seen: Observation) -> Totals:
        ours = {one.partition: one for one in seen.partitions}
        for number, last in self._owned.items():
            # Gone, or taken over anew: its counters began again.
            if number not in ours or ours[number].batches < last.batches:
                self._left = self._left.plus(last)
        self._owned = ours
        total = self._left
        for one in seen.partitions:
            total = total.plus(one)
        return total

    def _suspects(self, now_s: float) -> tuple[int, ...]:
        """Partitions whose fetch position is worth asking for: perhaps they only lag behind a transaction's mark."""
        still_s = self._limits.stalled_after_s / 2
        return tuple(
            number
            for number, one in self._standings.items()
            if one.still_s >= still_s or (one.lag_since_s and now_s - one.lag_since_s > _LAGS_S)
        )


def _away_code(name: str, seen: Observation) -> str:
    probe = seen.store if name == STORE else seen.kafka
    if AWAY_CODES.get(probe.code) is not None:
        return probe.code
    codes = (one.code for one in seen.partitions if one.state == "away" and AWAY_CODES.get(one.code, STORE) == name)
    return next(codes, "")


def _lag(status: PartitionStatus, ends: Mapping[int, LogEnds]) -> int | None:
    """Records in Kafka that the ledger has not sealed; None: not known, before the ledger or the broker was read."""
    known = ends.get(status.partition)
    if known is None or not status.incarnation:
        return None
    return max(0, known.end_offset - max(status.sealed_offset + 1, known.first_offset))


def _has_nothing_to_read(status: PartitionStatus, seen: Observation) -> bool:
    """Whether all was fetched and handled: a producer's transaction marks take offsets but are no records."""
    known, position = seen.ends.get(status.partition), seen.positions.get(status.partition)
    held = status.inbox_records or status.oldest_received_at
    return known is not None and position is not None and position >= known.end_offset and not held
