"""Which judged events become alerts: thresholds, suppression, caps; and the threshold that keeps an alert budget.

Place in the flow: first half of `decide`. A finding is an event whose strength (model and rules together) is at or
above the threshold, or under a rule of at least the rules' threshold. The first one opens an alert; findings that
follow join it, as long as no pause of 48 hours comes between them and for at most seven days. The open alert fires
again when the strength rises to twice what was told last and by 20 at least, or where a *kind* of reason leads that was
not told yet, at no lower strength. An account is told twice a day at most, but a rule that was not told yet and reaches
the rules' threshold by itself is told up to five times: cheap alerts of a morning must not silence a grave one of the
evening.
All of it lives in the actor's own profile and counts event time only, so that a replay fires the same alerts. Nothing
here looks at other actors: the overall number is held by the thresholds, which a budget sets on history
(`policy_for_budget`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import EXCEPTION_CODE, I64, U16, U64, Assessment, EventArrays
from detectors.features import KIND_OF, KINDS
from detectors.profile import Profiles
from detectors.strength import pressed, strength
from pipeline.compiled import compiled

OPEN_US = 48 * 3600 * 1_000_000
LONGEST_US = 7 * 24 * 3600 * 1_000_000
RISE = 2000
RISE_PERCENT = 100
MAX_A_DAY = 2
MAX_A_DAY_BY_RULE = 5
NEVER = 65_535
"""A threshold that nothing reaches: no alerts at all, rules included."""
RULE_THRESHOLD = 8000
DEFAULT_BUDGET_PER_DAY = 10.0
BUDGET_ACTORS = 500
LOWEST_THRESHOLD, HIGHEST_THRESHOLD = 3500, 60_000
"""Between them lies every threshold that means something: reasons are kept from the one on, the model's level ends at
20 × 30. In quiet companies a budget is used up at 36 only."""

_FIRST_RULE_BIT = 24
_FIRST_RULE = np.uint64(1 << _FIRST_RULE_BIT)
_EXCEPTION = EXCEPTION_CODE.removesuffix(":")
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers alerts are decided by; immutable, part of the version set. Levels in hundredths of risk.

    `threshold` is compared with the strength, which has no upper end (risk is pressed together from 9,800 on).
    """

    threshold: int
    rule_threshold: int = RULE_THRESHOLD
    open_us: int = OPEN_US
    longest_us: int = LONGEST_US
    rise: int = RISE
    rise_percent: int = RISE_PERCENT
    max_a_day: int = MAX_A_DAY
    max_a_day_by_rule: int = MAX_A_DAY_BY_RULE

    @property
    def least_risk(self) -> int:
        """The lowest risk (hundredths) of an event that could alert."""
        return pressed(min(self.threshold, self.rule_threshold))

    def content(self) -> bytes:
        """Canonical JSON, kept as an artefact."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_content(cls, content: bytes) -> Policy:
        """The policy whose `content()` this is."""
        return cls(**json.loads(content))


SEEKING = Policy(LOWEST_THRESHOLD)
"""What could ever fire: for whoever is yet to find a threshold."""


def kind_bits(reason_codes: Sequence[str]) -> U64:
    """The kind of each reason code as one bit, uint64 (codes,): features by group, every rule its own, exceptions 0."""
    bits = np.zeros(len(reason_codes), np.uint64)
    rule = _FIRST_RULE_BIT
    for index, code in enumerate(reason_codes):
        kind, _, name = code.partition(":")
        if kind == "feature":
            bits[index] = np.uint64(1) << np.uint64(KIND_OF[name])
        elif kind != _EXCEPTION:
            bits[index] = np.uint64(1) << np.uint64(min(rule, 63))
            rule += 1
    return bits


def reaches(level: U16 | I64, floor: U16 | I64, policy: Policy) -> npt.NDArray[np.bool_]:
    """Which events the policy's thresholds let through, (n,); `level`: the model's, `floor`: of the rules that hold.

    Where the budget took from a rule the right to fire by itself, it has none by its floor either: only the model's
    level is heard. Else one rule that holds everywhere would raise the threshold beyond all that the model finds.
    """
    is_silenced = (floor >= RULE_THRESHOLD) & (floor < policy.rule_threshold)
    heard = np.where(is_silenced, level, strength(level, floor))
    return np.asarray((heard >= policy.threshold) | (floor >= policy.rule_threshold))


@dataclass(frozen=True, slots=True)
class Findings:
    """What firing looks at, (n,) each, in log order: actors as small integers, UTC µs, levels in hundredths of risk."""

    actors: I64
    time_us: I64
    level: I64
    """The model's, without an upper end."""
    floor: I64
    """The highest floor of the rules that hold, else 0."""
    first: U64
    """The kind of the leading reason, one bit."""
    kinds: U64
    """The kinds of all reasons."""

    def at(self, rows: I64) -> Findings:
        """Some of them."""
        return Findings(
            self.actors[rows],
            self.time_us[rows],
            self.level[rows],
            self.floor[rows],
            self.first[rows],
            self.kinds[rows],
        )

    def reach(self, policy: Policy) -> I64:
        """The rows that the policy's thresholds let through."""
        if policy.threshold == NEVER:
            return np.zeros(0, np.int64)
        return np.flatnonzero(reaches(self.level, self.floor, policy)).astype(np.int64)


def joined(parts: Sequence[Findings]) -> Findings:
    """Findings of one batch after the other as one."""
    columns = zip(
        *((one.actors, one.time_us, one.level, one.floor, one.first, one.kinds) for one in parts), strict=True
    )
    return Findings(*(np.concatenate(column) for column in columns))


def findings_of(assessment: Assessment, actors: I64, time_us: I64) -> Findings:
    """The assessment as firing sees it."""
    bits = kind_bits(assessment.reason_codes)
    first, kinds = np.zeros((2, len(assessment.reason_ends)), np.uint64)
    sizes = np.diff(assessment.reason_ends, prepend=0)
    stand = bits[assessment.reasons]
    stand[_taken_away(assessment, sizes)] = 0
    np.bitwise_or.at(kinds, np.repeat(np.arange(len(sizes)), sizes), stand)
    told = np.flatnonzero(sizes)
    first[told] = stand[assessment.reason_ends[told] - sizes[told]]
    scored = assessment.status == 1
    level = np.where(scored, assessment.level, 0).astype(np.int64)
    floor = np.where(scored, assessment.floor, 0).astype(np.int64)
    return Findings(actors, time_us, level, floor, first, kinds)


def _taken_away(assessment: Assessment, sizes: I64) -> I64:
    """Places of reasons that stand behind an exception's code: no alert tells them, so no alert has told them."""
    marks = np.array([code.startswith(EXCEPTION_CODE) for code in assessment.reason_codes], bool)
    if not marks.any():
        return np.zeros(0, np.int64)
    before = np.concatenate(([0], np.cumsum(marks[assessment.reasons])))
    of_row = np.repeat(before[assessment.reason_ends - sizes], sizes)
    return np.flatnonzero(before[1:] > of_row).astype(np.int64)


_ALERT_STATE = (
    "alert_opened_us",
    "last_alert_us",
    "last_alert_risk",
    "last_alert_reasons",
    "alert_day",
    "alerts_today",
)


@compiled
def _fire(
    actors: I64, time_us: I64, level: I64, by_rule: npt.NDArray[np.bool_], first: U64, kinds: U64, opened_us: I64,
    last_us: I64, highest: I64, seen: U64, day: I64, today: I64, open_us: int, longest_us: int, rise: int, share: int,
    max_a_day: int, max_by_rule: int,
    fired: npt.NDArray[np.uint8],
) -> None:  # fmt: skip
    """Marks which findings (in log order, all at or above a threshold) fire; updates the actors' alert state."""
    for i in range(actors.shape[0]):
        actor, now = actors[i], time_us[i]
        if now // 86_400_000_000 > day[actor]:  # an event of yesterday counts today: it resets nothing
            day[actor], today[actor] = now // 86_400_000_000, 0
        is_open = last_us[actor] != 0 and now - last_us[actor] < open_us and now - opened_us[actor] < longest_us
        is_untold = (first[i] & ~seen[actor]) != 0
        is_new_kind = is_untold and level[i] >= highest[actor]
        if is_open:
            last_us[actor] = max(last_us[actor], now)
            if not is_new_kind and level[i] < highest[actor] + max(rise, highest[actor] * share // 100):
                continue
        if today[actor] >= (max_by_rule if by_rule[i] and is_untold else max_a_day):
            continue
        fired[i] = 1
        today[actor] += 1
        if not is_open:
            opened_us[actor] = last_us[actor] = now
            seen[actor], highest[actor] = np.uint64(0), level[i]
        seen[actor] |= kinds[i]
        highest[actor] = max(highest[actor], level[i])


def _fired(findings: Findings, state: dict[str, npt.NDArray[Any]], policy: Policy) -> npt.NDArray[np.bool_]:
    """Which of the findings fire; `state`: the actors' alert state, changed in place."""
    fired = np.zeros(len(findings.actors), np.uint8)
    opened, last, highest, seen, day, today = (state[name] for name in _ALERT_STATE)
    by_rule = (findings.floor >= policy.rule_threshold) & (findings.first >= _FIRST_RULE)
    together = strength(findings.level, findings.floor)
    _fire(
        findings.actors, findings.time_us, together, by_rule, findings.first, findings.kinds, opened, last, highest,
        seen, day, today, policy.open_us, policy.longest_us, policy.rise, policy.rise_percent, policy.max_a_day,
        policy.max_a_day_by_rule, fired,
    )  # fmt: skip
    marked: npt.NDArray[np.bool_] = fired == 1
    return marked


def fire(events: EventArrays, assessment: Assessment, profiles: Profiles, policy: Policy) -> I64:
    """Rows of the events that raise an alert, int64, in log order; remembers it in the actors' profiles."""
    if policy.threshold == NEVER:
        return np.zeros(0, np.int64)
    slots = profiles.slot_of(events.actor_keys)
    findings = findings_of(assessment, slots, events.event_time_us)
    rows = findings.reach(policy)
    if not len(rows):
        return rows
    used, local = np.unique(slots[rows], return_inverse=True)
    kept = profiles.state
    state = {name: kept[name][used].astype(_wide(name)) for name in _ALERT_STATE}
    here = replace(findings.at(rows), actors=local.astype(np.int64))
    fired = _fired(here, state, policy)
    for name in _ALERT_STATE:
        kept[name][used] = state[name]
    chosen: I64 = rows[fired]
    return chosen


def _wide(name: str) -> type[np.uint64] | type[np.int64]:
    return np.uint64 if name == "last_alert_reasons" else np.int64


class AlertMemory:
    """The alert state of actors without their profiles, none open at first: for findings that were kept."""

    def __init__(self, findings: Findings) -> None:
        """For the actors of these findings."""
        size = int(findings.actors.max()) + 1 if len(findings.actors) else 1
        self._state = {name: np.zeros(size, _wide(name)) for name in _ALERT_STATE}

    def fire(self, findings: Findings, policy: Policy) -> I64:
        """Rows of the findings that raise an alert, int64, in log order; the next call goes on from there."""
        rows = findings.reach(policy)
        chosen: I64 = rows[_fired(findings.at(rows), self._state, policy)]
        return chosen


def count_fired(findings: Findings, policy: Policy) -> int:
    """How many alerts would have fired on history under this policy, suppression included."""
    return len(fired_rows(findings, policy))


def fired_rows(findings: Findings, policy: Policy) -> I64:
    """Which findings of history would have fired under this policy, suppression included; int64, in order."""
    return AlertMemory(findings).fire(findings, policy)


def _counted(findings: Findings, policy: Policy, most_a_day: float) -> float:
    """As `count_fired`, but a day (UTC) counts at most so much."""
    rows = AlertMemory(findings).fire(findings, policy)
    _, counts = np.unique(findings.time_us[rows] // _DAY_US, return_counts=True)
    return float(np.minimum(counts, most_a_day).sum())


def policy_for_budget(findings: Findings, fired_at_most: float) -> Policy:
    """The lowest thresholds under which at most this many alerts fire on this history.

    Rules come first: their threshold rises only where they alone would fire more often; the model has the rest.
    """
    rules = Policy(NEVER - 1, lowest_rule_threshold(findings, fired_at_most, Policy(NEVER - 1)))
    return replace(rules, threshold=lowest_threshold(findings, fired_at_most, rules))


def lowest_rule_threshold(
    findings: Findings, fired_at_most: float, policy: Policy, most_a_day: float = math.inf
) -> int:
    """The lowest threshold of the rules under which they alone fire at most so often; all else as in `policy`.

    `most_a_day`: a day (UTC) counts at most so much, whatever fired on it.
    """
    floors: list[int] = sorted(
        {RULE_THRESHOLD, *(floor + 1 for floor in findings.floor.tolist() if floor >= RULE_THRESHOLD)}
    )
    alone = replace(policy, threshold=NEVER - 1)
    for floor in floors[:-1]:
        if _counted(findings, replace(alone, rule_threshold=floor), most_a_day) <= fired_at_most:
            return floor
    return floors[-1]


def lowest_threshold(findings: Findings, fired_at_most: float, policy: Policy, most_a_day: float = math.inf) -> int:
    """The lowest threshold of the model under which at most so many alerts fire in all; all else as in `policy`.

    `most_a_day`: as in `lowest_rule_threshold`.
    """
    low, high = LOWEST_THRESHOLD, NEVER - 1
    while low < high:
        middle = (low + high) // 2
        if _counted(findings, replace(policy, threshold=middle), most_a_day) <= fired_at_most:
            high = middle
        else:
            low = middle + 1
    return low


def level_in_words(level: int) -> str:
    """A level of the model (hundredths) for people: what it is called, and how rare it is."""
    if level >= NEVER - 1:
        return "never" if level == NEVER else "by rules alone"
    return f"from level {level / 100:g} (1 event in {float(f'{10 ** (level / 2000):.2g}'):,.0f})"


def budget_for(active_actors: float) -> float:
    """Alerts a day that a team accepts for this many active actors: 10 for 500, at least one a week."""
    return max(DEFAULT_BUDGET_PER_DAY * active_actors / BUDGET_ACTORS, 1.0 / 7.0)


assert len(KINDS) <= _FIRST_RULE_BIT  # noqa: S101  every kind has a bit
