"""Which judged events become alerts: one open alert, what reopens it, the daily cap, the thresholds of a budget."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import I64, Assessment
from detectors.features import KINDS, N_FEATURES, NAMES
from detectors.policy import (
    LOWEST_THRESHOLD,
    MAX_A_DAY,
    MAX_A_DAY_BY_RULE,
    NEVER,
    RULE_THRESHOLD,
    Findings,
    Policy,
    budget_for,
    count_fired,
    findings_of,
    fire,
    joined,
    kind_bits,
    policy_for_budget,
)
from detectors.profile import Profiles
from pipeline.events import SCORE_STATUSES, codes
from tests.arrays import DAY_US, START_US, event_arrays

HOUR_US = 3_600_000_000
MIDNIGHT_US = START_US - START_US % DAY_US
POLICY = Policy(threshold=6000)
STATUS = codes(SCORE_STATUSES)
RULES = ("enumeration", "bulk_export", *(f"rule_{number}" for number in range(8)))
CODES = [*(f"feature:{name}" for name in NAMES), *(f"rule:{name}" for name in RULES)]
BREADTH, MORE_BREADTH, NETWORK = (CODES.index(f"feature:{name}") for name in ("subjects_day", "subjects_1h", "travel"))
ENUMERATION, EXPORT = CODES.index("rule:enumeration"), CODES.index("rule:bulk_export")


@dataclass(frozen=True)
class Judged:
    """One judged event of a history: the model's level, the floor of the rules that hold, the leading reason first."""

    hours: float
    level: int
    reasons: tuple[int, ...] = (BREADTH,)
    actor: int = 0
    status: int = STATUS["scored"]
    floor: int = 0


def assessment_of(history: list[Judged]) -> Assessment:
    count = len(history)
    numbers = np.zeros((count, N_FEATURES), np.float32)
    level, floor = ([getattr(one, name) for one in history] for name in ("level", "floor"))
    return Assessment(
        status=np.array([one.status for one in history], np.uint8),
        anomaly_score=np.zeros(count, np.uint32),
        top3_surprisal=np.zeros(count, np.uint16),
        risk=np.minimum(np.maximum(level, floor), 10_000).astype(np.uint16),
        level=np.array(level, np.uint16),
        floor=np.array(floor, np.uint16),
        reason_ends=np.cumsum([len(one.reasons) for one in history]).astype(np.int64),
        reasons=np.array([code for one in history for code in one.reasons], np.int32),
        reason_codes=CODES,
        features=numbers,
        surprisals=numbers,
        usual=numbers,
        spread=numbers,
    )


def times_of(history: list[Judged]) -> I64:
    return MIDNIGHT_US + np.array([int(one.hours * HOUR_US) for one in history], np.int64)


def findings(history: list[Judged]) -> Findings:
    actors = np.array([one.actor for one in history], np.int64)
    return findings_of(assessment_of(history), actors, times_of(history))


def fired(history: list[Judged], policy: Policy = POLICY, *, split: int | None = None) -> list[int]:
    """Which events fire, in batches of `split`."""
    profiles, rows = Profiles(), []
    split = split or max(1, len(history))
    for start in range(0, len(history), split):
        part = history[start : start + split]
        events = event_arrays(len(part), actors=[one.actor for one in part], time_us=times_of(part))
        profiles.begin()
        profiles.slots(events.actor_keys)
        rows += (start + fire(events, assessment_of(part), profiles, policy)).tolist()
        profiles.commit()
    return rows


def at(*hours: float, level: int = 7000) -> list[Judged]:
    return [Judged(hour, level) for hour in hours]


def by_rule(hours: float, floor: int, rule: int = ENUMERATION, actor: int = 0) -> Judged:
    return Judged(hours, 0, (rule,), actor, floor=floor)


def test_only_scored_events_at_or_above_the_threshold_fire() -> None:
    loud = Judged(0, 6000)
    assert fired([replace(loud, level=5999)]) == []
    assert fired([loud]) == [0]
    for status in ("unscored", "duplicate", "not_scored"):
        assert fired([replace(loud, status=STATUS[status], floor=9000)]) == []


def test_a_rule_fires_from_its_own_threshold_on_whatever_the_models_is() -> None:
    policy = Policy(threshold=9900, rule_threshold=8000)
    assert fired([by_rule(0, 7999)], policy) == []
    assert fired([by_rule(0, 8000)], policy) == [0]


def test_rule_and_model_reach_the_threshold_together() -> None:
    """A rule that history lowered fires where the threshold has come down to it, or half of it lifts the model."""
    assert fired([by_rule(0, 6500)], Policy(threshold=6501)) == []
    assert fired([by_rule(0, 6500)], Policy(threshold=6500)) == [0]
    assert fired([Judged(0, 4750, (ENUMERATION,), floor=6500)], Policy(threshold=8000)) == [0]
    assert fired([Judged(0, 4749, (ENUMERATION,), floor=6500)], Policy(threshold=8000)) == []


def test_a_rule_that_the_budget_silenced_raises_no_level() -> None:
    """One rule that holds everywhere must not be heard through the model's threshold either."""
    policy = Policy(threshold=6000, rule_threshold=8501)
    assert fired([by_rule(0, 8500), Judged(0, 5999, (ENUMERATION,), 1, floor=8500)], policy) == []
    assert fired([Judged(0, 6000, (ENUMERATION,), floor=8500)], policy) == [0]


def test_a_threshold_beyond_risk_100_tells_rarer_from_rare() -> None:
    assert fired([Judged(0, 11_999, actor=1), Judged(0, 12_000, actor=2)], Policy(threshold=12_000)) == [1]


def test_never_means_never_rules_included() -> None:
    loud = [Judged(0, 60_000), by_rule(50, 10_000)]
    assert fired(loud, Policy(NEVER)) == []
    assert fired(loud, Policy(NEVER - 1)) == [1]


def test_an_alert_stays_open_while_findings_follow_within_48_hours() -> None:
    assert fired(at(1, 2, 24, 48.9, 49, 50)) == [0]
    assert fired(at(1, 48.99, 96.9, 145)) == [0, 3]


def test_an_alert_stays_open_for_seven_days_at_most() -> None:
    every_twelve_hours = at(*range(0, 15 * 24, 12))
    assert fired(every_twelve_hours) == [0, 14, 28]


def test_actors_do_not_suppress_each_other() -> None:
    assert fired([Judged(0, 7000, actor=0), Judged(0, 7000, actor=1), Judged(1, 7000, actor=0)]) == [0, 1]


@pytest.mark.parametrize(("first", "from_"), [(1500, 3500), (4000, 8000), (10_000, 20_000)])
def test_an_alert_reopens_when_the_level_rises_to_twice_and_by_20(first: int, from_: int) -> None:
    policy = Policy(threshold=1000)
    assert fired([Judged(0, first), Judged(1, from_ - 1)], policy) == [0]
    assert fired([Judged(0, first), Judged(1, from_)], policy) == [0, 1]


def test_after_reopening_the_higher_level_counts() -> None:
    assert fired([Judged(0, 6000), Judged(1, 12_000), Judged(25, 23_999), Judged(26, 24_000)]) == [0, 1, 3]


def test_a_rise_in_small_steps_is_measured_from_what_was_told_last() -> None:
    assert fired([Judged(hour, 6000 + 1000 * hour) for hour in range(9)]) == [0, 6]


def test_an_alert_reopens_where_another_kind_leads_at_no_lower_level() -> None:
    assert fired([Judged(0, 7000, (BREADTH,)), Judged(1, 7000, (NETWORK,))]) == [0, 1]
    assert fired([Judged(0, 7000, (BREADTH,)), Judged(1, 6999, (NETWORK,))]) == [0]
    assert fired([Judged(0, 7000, (BREADTH,)), by_rule(1, 8000)]) == [0, 1]


def test_a_new_kind_that_does_not_lead_reopens_nothing() -> None:
    assert fired([Judged(0, 7000, (BREADTH,)), Judged(1, 7000, (BREADTH, NETWORK))]) == [0]


def test_another_reason_of_the_same_kind_does_not_reopen() -> None:
    assert fired([Judged(0, 7000, (BREADTH,)), Judged(1, 7000, (MORE_BREADTH,))]) == [0]


def test_a_kind_that_was_told_is_no_news_later_one_that_was_suppressed_is() -> None:
    told = [(BREADTH, NETWORK), (NETWORK,)]
    assert fired([Judged(hour, 7000, reasons) for hour, reasons in enumerate(told)]) == [0]
    suppressed = [(BREADTH,), (BREADTH, NETWORK), (NETWORK,)]
    assert fired([Judged(hour, 7000, reasons) for hour, reasons in enumerate(suppressed)]) == [0, 2]


def test_every_rule_is_a_kind_of_its_own() -> None:
    assert fired([by_rule(0, 9000, ENUMERATION), by_rule(1, 9000, EXPORT)]) == [0, 1]


def test_an_actor_is_told_twice_a_day_at_most() -> None:
    loud = [Judged(hour, 6000, (reason,)) for hour, reason in enumerate(one_of_each_kind())]
    assert fired(loud[:20]) == [0, 1]
    assert fired([*loud[:10], Judged(24.5, 6000, (ENUMERATION,))]) == [0, 1, 10]


def test_cheap_alerts_do_not_silence_a_grave_rule_of_the_same_day() -> None:
    cheap = [Judged(hour, 6000, (reason,)) for hour, reason in enumerate([BREADTH, NETWORK])]
    assert fired([*cheap, by_rule(3, 9000)]) == [0, 1, 2]
    assert fired([*cheap, by_rule(3, 7999)]) == [0, 1], "one that cannot fire by itself waits for tomorrow"
    assert fired([*cheap, by_rule(3, 9000), by_rule(4, 9500)]) == [0, 1, 2], "the same rule again is no news"


def test_rules_are_told_five_times_a_day_at_most() -> None:
    assert fired([by_rule(hour / 2, 9000, ENUMERATION + hour) for hour in range(9)]) == [0, 1, 2, 3, 4]


def test_going_back_and_forth_over_midnight_does_not_lift_the_daily_cap() -> None:
    """Late events of yesterday between today's: the count of today goes on."""
    reasons = one_of_each_kind()
    history = [Judged(25 if index % 2 else 23, 6000, (reason,)) for index, reason in enumerate(reasons)]
    assert len(fired(history)) <= 1 + MAX_A_DAY


def test_a_late_alert_does_not_close_the_open_one() -> None:
    late = Judged(1, 7000, (NETWORK,))
    assert fired([*at(24), late, *at(24.5, 25.5, 47)]) == [0, 1]
    assert fired([*at(60), late, *at(61)]) == [0, 1]


def one_of_each_kind() -> list[int]:
    return list({bit: index for index, bit in reversed(list(enumerate(kind_bits(CODES).tolist())))}.values())[::-1]


def test_every_feature_and_rule_has_exactly_one_kind() -> None:
    bits = kind_bits(CODES).tolist()
    assert all(bit.bit_count() == 1 for bit in bits)
    assert bits[ENUMERATION] != bits[EXPORT]
    assert not set(bits[:N_FEATURES]) & set(bits[N_FEATURES:])
    for _, names in KINDS:
        assert len({bits[CODES.index(f"feature:{name}")] for name in names}) == 1
    assert len(set(bits[:N_FEATURES])) == len(KINDS)


def test_more_rules_than_bits_share_the_last_one() -> None:
    bits = kind_bits([f"rule:{number}" for number in range(60)]).tolist()
    assert all(bit.bit_count() == 1 for bit in bits)
    assert len(set(bits)) == 40


def test_findings_carry_the_kind_that_leads_and_all_kinds_of_their_reasons() -> None:
    rows = [Judged(0, 1, ()), Judged(0, 1), Judged(0, 1, ()), Judged(0, 1, (NETWORK, BREADTH, MORE_BREADTH))]
    bits = kind_bits(CODES)
    both = int(bits[BREADTH] | bits[NETWORK])
    found = findings([*rows, Judged(0, 1, ())])
    assert found.kinds.tolist() == [0, int(bits[BREADTH]), 0, both, 0]
    assert found.first.tolist() == [0, int(bits[BREADTH]), 0, int(bits[NETWORK]), 0]


def test_joined_findings_are_those_of_the_whole() -> None:
    history = [Judged(hour, 6000 + hour, (BREADTH, NETWORK)[: hour % 3], hour % 2) for hour in range(9)]
    whole, parts = findings(history), joined([findings(history[:4]), findings(history[4:])])
    for name in ("actors", "time_us", "level", "floor", "first", "kinds"):
        assert getattr(whole, name).tolist() == getattr(parts, name).tolist()


def test_a_policy_comes_back_from_its_bytes() -> None:
    policy = Policy(threshold=6543, rise=100)
    assert Policy.from_content(policy.content()) == policy
    assert policy.content() == Policy(6543, rise=100).content()


def test_rollback_makes_an_alert_fire_again() -> None:
    profiles, history = Profiles(), at(1)
    events = event_arrays(1, time_us=times_of(history))
    for _ in range(2):
        profiles.begin()
        profiles.slots(events.actor_keys)
        assert fire(events, assessment_of(history), profiles, POLICY).tolist() == [0]
        profiles.rollback()


@pytest.mark.parametrize(("actors", "budget"), [(500, 10.0), (50, 1.0), (5000, 100.0), (0, 1 / 7), (3, 1 / 7)])
def test_the_budget_is_ten_a_day_for_500_actors_and_at_least_one_a_week(actors: int, budget: float) -> None:
    assert budget_for(actors) == pytest.approx(budget)


REASONS = [BREADTH, NETWORK, ENUMERATION, EXPORT, 0, 1]
HISTORIES = st.lists(
    st.builds(
        Judged,
        hours=st.floats(0, 400, width=32),
        level=st.integers(3900, 13_000) | st.sampled_from([4000, 7000, 9100, 60_000]),
        reasons=st.lists(st.sampled_from(REASONS), max_size=3).map(tuple),
        actor=st.integers(0, 3),
        floor=st.sampled_from([0, 0, 0, 6500, 7999, 8000, 9000, 10_000]),
    ),
    max_size=60,
)


@given(HISTORIES, st.integers(4000, 14_000), st.integers(8000, 10_001))
def test_history_is_counted_as_the_stream_fires(history: list[Judged], threshold: int, rule_threshold: int) -> None:
    policy = Policy(threshold, rule_threshold)
    assert len(fired(history, policy)) == count_fired(findings(history), policy)


@given(HISTORIES, st.sampled_from([1, 2, 7]))
def test_how_the_log_is_cut_into_batches_changes_no_alert(history: list[Judged], split: int) -> None:
    assert fired(history, split=split) == fired(history)


@dataclass
class Alert:
    """The open alert of one actor, plainly."""

    opened_us: int = 0
    newest_us: int | None = None
    told: int = 0
    kinds: set[int] = field(default_factory=set)

    def holds(self, time_us: int) -> bool:
        """Whether a finding at this time joins it."""
        if self.newest_us is None:
            return False
        return time_us - self.newest_us < 2 * DAY_US and time_us - self.opened_us < 7 * DAY_US

    def join(self, time_us: int) -> None:
        """What a finding leaves behind, whether it fires or not."""
        self.newest_us = max(self.newest_us or 0, time_us)

    def tell(self, strength: int, kinds: set[int]) -> None:
        """What a finding that fires leaves behind."""
        self.told = max(self.told, strength)
        self.kinds |= kinds


def together(one: Judged) -> int:
    """A rule's floor, or the model's level and half of the floor, whichever is more."""
    return max(one.floor, one.level + one.floor // 2)


def plainly_fired(history: list[Judged]) -> list[int]:
    """Which events fire under `POLICY`, from the words at the head of the module."""
    alerts: dict[int, Alert] = {}
    a_day: Counter[tuple[int, int]] = Counter()
    newest_day: dict[int, int] = {}
    rows, bits = [], kind_bits(CODES).tolist()
    for row, (one, time_us) in enumerate(zip(history, times_of(history).tolist(), strict=True)):
        strength, kinds = together(one), [bits[reason] for reason in one.reasons]
        if strength < POLICY.threshold and one.floor < POLICY.rule_threshold:
            continue
        newest_day[one.actor] = max(newest_day.get(one.actor, 0), time_us // DAY_US)
        alert = alerts.setdefault(one.actor, Alert())
        is_open = alert.holds(time_us)
        is_untold = bool(kinds) and kinds[0] not in alert.kinds
        if is_open:
            leads_anew = is_untold and strength >= alert.told
            rises = strength - alert.told >= max(2000, alert.told)
            alert.join(time_us)
            if not leads_anew and not rises:
                continue
        day = (one.actor, newest_day[one.actor])
        by_rule = bool(one.reasons) and CODES[one.reasons[0]].startswith("rule:")
        is_grave = by_rule and is_untold and one.floor >= POLICY.rule_threshold
        if a_day[day] >= (MAX_A_DAY_BY_RULE if is_grave else MAX_A_DAY):
            continue
        a_day[day] += 1
        rows.append(row)
        if is_open:
            alert.tell(strength, set(kinds))
        else:
            alerts[one.actor] = Alert(time_us, time_us, strength, set(kinds))
    return rows


@settings(max_examples=300)
@given(HISTORIES, st.booleans())
def test_alerts_are_those_of_the_words(history: list[Judged], in_order: bool) -> None:
    history = sorted(history, key=lambda one: one.hours) if in_order else history
    assert fired(history) == plainly_fired(history)


@given(HISTORIES, st.floats(0, 30))
def test_the_thresholds_keep_the_budget_and_one_less_would_not(history: list[Judged], budget: float) -> None:
    found = findings(history)
    policy = policy_for_budget(found, budget)
    assert count_fired(found, policy) <= budget
    assert policy.threshold == LOWEST_THRESHOLD or count_fired(found, lower(policy)) > budget
    assert LOWEST_THRESHOLD <= policy.threshold < NEVER


def lower(policy: Policy) -> Policy:
    return replace(policy, threshold=policy.threshold - 1)


@given(HISTORIES, st.floats(0, 30))
def test_rules_are_held_back_only_where_they_alone_exceed_the_budget(history: list[Judged], budget: float) -> None:
    found = findings(history)
    policy = policy_for_budget(found, budget)
    rules_alone = Policy(NEVER - 1)
    if count_fired(found, rules_alone) <= budget:
        assert policy.rule_threshold == RULE_THRESHOLD
    else:
        assert policy.rule_threshold > RULE_THRESHOLD
        assert count_fired(found, replace(rules_alone, rule_threshold=policy.rule_threshold)) <= budget


def test_the_model_has_what_the_rules_leave_of_the_budget() -> None:
    """Ten actors under a rule, a hundred told by the model alone, each at a level of its own."""
    rules = [by_rule(1, 9000, actor=actor) for actor in range(10)]
    model = [Judged(1, 5000 + 10 * actor, (BREADTH,), 10 + actor) for actor in range(100)]
    found = findings([*rules, *model])
    policy = policy_for_budget(found, 30)
    assert (policy.threshold, policy.rule_threshold) == (5000 + 10 * 79 + 1, RULE_THRESHOLD)
    assert count_fired(found, policy) == 30
    assert policy_for_budget(found, 7).rule_threshold == 9001
    assert count_fired(found, policy_for_budget(found, 7)) == 7


def test_a_budget_of_nothing_fires_nothing() -> None:
    loud = findings(at(1, 50, level=60_000))
    assert policy_for_budget(loud, 0.5).threshold == 60_001
    assert policy_for_budget(loud, 2.0).threshold == LOWEST_THRESHOLD
    assert policy_for_budget(findings([]), 0.0).threshold == LOWEST_THRESHOLD
