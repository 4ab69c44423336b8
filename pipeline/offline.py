"""The stream's stages without servers: what `accesstrail train` and `accesstrail score` run.

Place in the flow: instead of Kafka and ClickHouse; decode to decide are the very same code (`flow.Chain`), in batches,
over one set of profiles. The default order is (event_time, event_id); order "input" keeps the files' order. A repeated
event id is judged once, at its first place in that order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from detectors.base import Assessment, EventArrays
from detectors.budget import SCHEDULED_MOST, BudgetNight
from detectors.exceptions import AlertException
from detectors.model import Model
from detectors.policy import NEVER, AlertMemory, Findings, Policy, policy_for_budget
from detectors.profile import Profiles
from detectors.rules import all_rules
from detectors.train import train
from pipeline.batch import JudgedEvents, Judgement, PartitionMemory
from pipeline.directory import DirectorySnapshot
from pipeline.events import LogPosition, RecordBatch
from pipeline.flow import Chain
from pipeline.kept_findings import MOST_ROWS, FiredAlert, Given, KeptFindings
from pipeline.nights import Activity, Decided, run_nights
from pipeline.packed_lines import PackedLines
from pipeline.privacy.keys import Keyring
from pipeline.privacy.protected import Protected
from pipeline.privacy.protector import Protectors
from pipeline.reading import protect_events
from pipeline.schedule.simulated import Candidate, Collector, within_budget
from pipeline.sources.records import Line, read_lines
from pipeline.stages.assess import reasons_of
from pipeline.stages.decode import RUN_VALUES, decode_valid, decode_values
from pipeline.stages.duplicates import DuplicateWindow
from pipeline.training_exclusions import NOTHING_EXCLUDED, Exclusions
from pipeline.version_sets.sets import VersionSet

BATCH = 5000
_ANY_TIME_US = 4_102_444_800_000_000  # 2100: a file has no receiving time, only its own lower bound is checked
_POSITION = LogPosition("offline", "offline", 0)
_DAY_US = 86_400_000_000

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class EventFile:
    """All valid events of some files: raw lines, times (UTC µs) and ids, in the order they are judged in."""

    lines: Sequence[bytes]
    time_us: npt.NDArray[np.int64]
    ids: list[str]
    faults: list[tuple[str, int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def days(self) -> float:
        """Days the events span, at least one."""
        if not len(self.time_us):
            return 1.0
        return max(1.0, float(self.time_us.max() - self.time_us.min()) / _DAY_US)


def read_events(paths: Iterable[str], *, order: str = "event-time", progress: Progress | None = None) -> EventFile:
    """Reads and checks events; invalid lines are listed in `faults` (path, line number, reason), never raised.

    A repeated event id keeps its first line. Raises: UsageError: a file cannot be read.
    """
    lines = PackedLines()
    ids: list[str] = []
    times: list[npt.NDArray[np.int64]] = []
    faults: list[tuple[str, int, str]] = []
    seen: set[str] = set()
    for chunk in _chunks(paths):
        values = [line.data for line in chunk]
        decoded = decode_values(values, np.full(len(values), _ANY_TIME_US, np.int64))
        faults += [(chunk[bad.index].path, chunk[bad.index].number, bad.reason) for bad in decoded.rejected]
        kept = [place for place, event in enumerate(decoded.events) if _first(event.event_id, seen)]
        lines.extend([values[row] or b"" for row in decoded.rows[kept].tolist()])
        ids += [decoded.events[place].event_id for place in kept]
        times.append(decoded.event_time_us[kept])
        if progress is not None:
            progress("read", len(lines))
    time_us = np.concatenate(times) if times else np.zeros(0, np.int64)
    if order == "input":
        return EventFile(lines, time_us, ids, faults)
    places = np.lexsort((np.array(ids, "S36"), time_us))
    return EventFile(lines.ordered(places), time_us[places], [ids[i] for i in places.tolist()], faults)


def _first(event_id: str, seen: set[str]) -> bool:
    if event_id in seen:
        return False
    seen.add(event_id)
    return True


def _chunks(paths: Iterable[str]) -> Iterator[list[Line]]:
    """Lines, as many at a time as decode together: the events of more would leave the processor's cache unused."""
    lines = read_lines(paths)
    while chunk := list(islice(lines, RUN_VALUES)):
        yield chunk


class OfflineChain:
    """One run of the stages over files: profiles go on from call to call."""

    def __init__(
        self, directory: DirectorySnapshot, keyring: Keyring, model: Model | None, policy: Policy, time_zone: str,
        exceptions: Sequence[AlertException] = (),
    ) -> None:  # fmt: skip
        self._protectors = Protectors(keyring)
        self._chain = Chain(self._protectors)
        self._judgement = Judgement(
            VersionSet({"offline": "1"}), directory, model, all_rules(), policy, time_zone, exceptions=exceptions
        )
        self._memory = PartitionMemory(_POSITION, None, Profiles(), DuplicateWindow())
        self._offset = 0

    def run(self, events: EventFile, *, batch: int = BATCH, progress: Progress | None = None) -> Iterator[JudgedBatch]:
        """Judges the events batch by batch, in their order."""
        for start in range(0, len(events), batch):
            values, time_us = events.lines[start : start + batch], events.time_us[start : start + batch]
            count = len(values)
            offsets = np.arange(self._offset, self._offset + count)
            records = RecordBatch(_POSITION, offsets, time_us, [None] * count, list(values))
            self._memory.profiles.begin()
            protected, given = self._protected(values, time_us)
            judged = self._chain.judge(protected, np.arange(count), records, self._memory, self._judgement)
            self._memory.profiles.commit()
            self._memory.window.commit()
            self._offset += count
            yield JudgedBatch(start, given, judged)
            if progress is not None:
                progress("judged", start + count)

    def _protected(self, values: Sequence[bytes], time_us: npt.NDArray[np.int64]) -> tuple[Protected, list[Given]]:
        """`decode` and `protect`, a run at a time as the stream does it (`reading.py`)."""
        protector = self._protectors.of(self._judgement.protection)
        parts: list[Protected] = []
        given: list[Given] = []
        for first in range(0, len(values), RUN_VALUES):
            run = slice(first, first + RUN_VALUES)
            decoded = decode_valid(values[run], time_us[run])
            given += [(event.event_id, event.event_time, event.actor_id) for event in decoded.events]
            parts.append(protect_events(decoded, self._judgement, protector))
        return Protected.joined(parts), given

    def set_policy(self, policy: Policy) -> None:
        """From here on, alerts fire by this policy."""
        self._judgement = replace(self._judgement, policy=policy)

    @property
    def profiles(self) -> Profiles:
        """The actors' profiles as they stand."""
        return self._memory.profiles


@dataclass(slots=True)
class JudgedBatch:
    """One judged batch: `start` is the place of its first event in the file's order, `given` what its events said."""

    start: int
    given: list[Given]
    judged: JudgedEvents


def train_model(
    history: EventFile,
    directory: DirectorySnapshot,
    time_zone: str,
    *,
    exclude: Exclusions = NOTHING_EXCLUDED,
    budget_per_day: float | None = None,
    progress: Progress | None = None,
    champion: Model | None = None,
) -> Model:
    """Fits a model to history; what `exclude` names teaches it nothing, and is counted by why in the manifest.

    `champion`: the model in use, by whose judgement the strangest account-days are not fitted to.
    """
    chain = OfflineChain(directory, Keyring.offline(), None, Policy(NEVER), time_zone)
    excluded: Counter[str] = Counter()

    def batches() -> Iterator[
        tuple[EventArrays, npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]
    ]:
        for one in chain.run(history, progress=progress):
            arrays = one.judged.arrays
            ids, _, actors = zip(*one.given, strict=True)
            why = exclude.why(ids, actors, arrays.event_time_us)
            excluded.update(word for word in why if word)
            left_out = np.array([word is not None for word in why], bool)
            yield arrays, one.judged.assessment.features, chain.profiles.slot_of(arrays.actor_keys), left_out

    first_us, last_us = (int(history.time_us[0]), int(history.time_us.max())) if len(history) else (0, 0)
    model = train(
        batches(), first_us, last_us, all_rules(), reasons_of, budget_per_day=budget_per_day, champion=champion
    )
    return replace(model, about={**model.about, "excluded": dict(sorted(excluded.items()))})


@dataclass(frozen=True, slots=True)
class Score:
    """One scored event, as the command writes it."""

    event_id: str
    anomaly_score: float
    risk: float
    reasons: tuple[str, ...]


class Scores:
    """One score an event, in the events' order; held as numbers, since two million objects take half a gigabyte."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids
        self._parts: list[_ScoredBatch] = []

    def add(self, assessment: Assessment) -> None:
        """The scores of the next batch."""
        codes = np.min_scalar_type(max(1, len(assessment.reason_codes)))
        self._parts.append(
            _ScoredBatch(
                assessment.anomaly_score.copy(), assessment.risk.copy(),
                np.diff(assessment.reason_ends, prepend=0).astype(np.uint8),
                assessment.reasons.astype(codes), assessment.reason_codes,
            )
        )  # fmt: skip

    def __len__(self) -> int:
        return sum(len(part.risk) for part in self._parts)

    def __iter__(self) -> Iterator[Score]:
        place = 0
        for part in self._parts:
            begin, names, reasons = 0, part.names, part.reasons.tolist()
            rows = zip(part.anomaly_score.tolist(), part.risk.tolist(), part.counts.tolist(), strict=True)
            for anomaly_score, risk, count in rows:
                found = tuple(names[index] for index in reasons[begin : begin + count])
                yield Score(self._ids[place], anomaly_score / 1e6, risk / 100, found)
                begin += count
                place += 1


@dataclass(frozen=True, slots=True)
class _ScoredBatch:
    anomaly_score: npt.NDArray[np.uint32]
    risk: npt.NDArray[np.uint16]
    counts: npt.NDArray[np.uint8]
    reasons: npt.NDArray[np.unsignedinteger]
    names: Sequence[str]


@dataclass(slots=True)
class Scored:
    """What a scoring run gives."""

    scores: Scores
    alerts: list[FiredAlert]
    threshold: int
    nights: list[BudgetNight] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ScoringRun:
    """What a scoring run stands on; every pass over the events begins anew with it."""

    events: EventFile
    warm_up: EventFile | None
    directory: DirectorySnapshot
    keyring: Keyring
    model: Model
    time_zone: str
    batch: int = BATCH
    progress: Progress | None = None
    exceptions: Sequence[AlertException] = ()

    def judged(
        self, policy: Policy, collector: Collector | None = None, activity: Activity | None = None
    ) -> Iterator[tuple[JudgedBatch, npt.NDArray[np.int64]]]:
        """One pass: profiles are warmed up, then events judged; each batch with its actors' places."""
        chain = OfflineChain(self.directory, self.keyring, self.model, Policy(NEVER), self.time_zone, self.exceptions)
        for one in chain.run(self.warm_up, batch=self.batch, progress=self.progress) if self.warm_up else ():
            if collector is not None:
                collector.add(one.judged.columns)
            if activity is not None:
                activity.add(one.judged.arrays, chain.profiles.slot_of(one.judged.arrays.actor_keys))
        chain.set_policy(policy)
        for one in chain.run(self.events, batch=self.batch, progress=self.progress):
            slots = chain.profiles.slot_of(one.judged.arrays.actor_keys)
            if collector is not None:
                collector.add(one.judged.columns)
            if activity is not None:
                activity.add(one.judged.arrays, slots)
            yield one, slots

    @property
    def first_offset(self) -> int:
        """The offset that the first scored event has."""
        return len(self.warm_up) if self.warm_up is not None else 0


def score_events(
    events: EventFile,
    warm_up: EventFile | None,
    directory: DirectorySnapshot,
    keyring: Keyring,
    model: Model,
    time_zone: str,
    *,
    budget_per_day: float | None = None,
    nightly: bool = False,
    batch: int = BATCH,
    progress: Progress | None = None,
    collector: Collector | None = None,
    exceptions: Sequence[AlertException] = (),
    most_kept: int = MOST_ROWS,
) -> Scored:
    """Scores events after warming profiles up; a budget sets the thresholds so that it really fires that many.

    `collector`: where scheduled detectors run too. Of a budget their alerts take their share first, the stream has the
    rest. Alerts: the stream's in its order, then the scheduled ones by event time. `nightly`: the budget is kept as a
    running system keeps it, see `nights.py`; events in the order of event time.
    `most_kept`: how many events are kept whole until it is known which of them fire; where more could, those that fire
    beyond it are judged a second time. `exceptions`: hold alerts back; an event of a file counts as received at its own
    time.
    """
    run = ScoringRun(events, warm_up, directory, keyring, model, time_zone, batch, progress, exceptions)
    if budget_per_day is not None:
        return _by_budget(run, collector, budget_per_day, KeptFindings(most_kept), nightly=nightly)
    scores = Scores(events.ids)
    alerts: list[FiredAlert] = []
    for one, _ in run.judged(model.policy, collector):
        scores.add(one.judged.assessment)
        alerts += _alerts(one)
    alerts += [_scheduled_alert(events, one) for one in _candidates(run, collector)]
    return Scored(scores, alerts, model.policy.threshold)


def _by_budget(
    run: ScoringRun, collector: Collector | None, budget_per_day: float, kept: KeptFindings, *, nightly: bool
) -> Scored:
    """Judges everything once, firing nothing; then it is known what fires, and only that is explained."""
    events, scores = run.events, Scores(run.events.ids)
    activity = Activity(run.time_zone) if nightly else None
    for one, slots in run.judged(Policy(NEVER), collector, activity):
        scores.add(one.judged.assessment)
        kept.add(one.start, one.judged, one.given, slots)
    scheduled, findings = _candidates(run, collector), kept.findings
    if activity is not None:
        beside_us = events.time_us[np.array([one.row for one in scheduled], np.int64)]
        first = run.model.policy
        decided = run_nights(findings, events.time_us, beside_us, budget_per_day, first, activity, run.time_zone)
    else:
        decided, scheduled = _over_the_whole(findings, events, scheduled, budget_per_day)
    missing = kept.missing(decided.fired)
    if len(missing):  # a flood: more could fire than is kept
        for one, _ in run.judged(Policy(NEVER)):
            kept.again(missing, one.start, one.judged, one.given)
    alerts = kept.alerts(decided.fired, run.model, all_rules())
    alerts += [_scheduled_alert(events, one) for one in scheduled]
    return Scored(scores, alerts, decided.policy.threshold, decided.nights)


def _over_the_whole(
    findings: Findings, events: EventFile, candidates: list[Candidate], budget_per_day: float
) -> tuple[Decided, list[Candidate]]:
    """One policy that keeps the budget over the whole input; of too many scheduled alerts the gravest, at most half."""
    fired_at_most = budget_per_day * events.days
    scheduled = within_budget(candidates, fired_at_most * SCHEDULED_MOST)
    policy = policy_for_budget(findings, fired_at_most - len(scheduled)) if len(events) else Policy(NEVER)
    return Decided(AlertMemory(findings).fire(findings, policy), policy), scheduled


def _candidates(run: ScoringRun, collector: Collector | None) -> list[Candidate]:
    return collector.candidates(run.events.time_us, run.first_offset) if collector is not None else []


def _scheduled_alert(events: EventFile, candidate: Candidate) -> FiredAlert:
    event = decode_values([events.lines[candidate.row]], np.full(1, _ANY_TIME_US, np.int64)).events[0]
    return FiredAlert(candidate.alert(), event.event_id, event.event_time, event.actor_id)


def _alerts(one: JudgedBatch) -> Iterator[FiredAlert]:
    for alert in one.judged.alerts:
        yield FiredAlert(alert, *one.given[alert.row])
