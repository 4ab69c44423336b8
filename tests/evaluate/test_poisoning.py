"""What an attacker can teach the detection, through the real offline chain; the limits stand in docs/guides/models.md.

The story's numbers: forty accounts, four weeks of history, an alert budget of one a day; the attacker is a support
representative who looks at customers without a ticket. The attacker knows everything but cannot touch the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from detectors.policy import MAX_A_DAY, Findings, Policy, _fired
from pipeline.kept_findings import FiredAlert
from pipeline.training_exclusions import Exclusions
from tests.poisoning import ATTACKER, HISTORY_DAYS, Event, clean_model, company, fired, of, trained, watched

DAY_US = 86_400_000_000
BURST, AGAIN = 300, 30
"""Customers in half an hour, and the day of the last burst, after the training."""


# -- one who rises slowly


def _rise(first: float, percent: float, first_day: int = 8) -> list[Event]:
    """So many looks on the first day at work, so many percent more each day at work, spread over four hours."""
    planted: list[Event] = []
    days = [day for day in company().workdays() if day >= first_day]
    for turn, day in enumerate(days):
        looks = round(first * (1 + percent / 100) ** turn)
        each = -(-looks // 4)
        for part, hour in enumerate((10, 11, 14, 15)):
            count = max(0, min(each, looks - part * each))
            planted += company().looks(day, count, hour=hour, every_s=3500 / max(1, each))
    return planted


@pytest.mark.parametrize("percent", [0, 10, 20])
def test_five_customers_a_day_are_found_by_the_slow_drip_however_slowly_they_rise(percent: float) -> None:
    """Within nine days at work, in the second week after the beginning."""
    planted = _rise(5, percent)
    drip = [one for one in of(watched(planted, 8), planted) if one.alert.detector == "slow_drip"]
    assert [one.actor_id for one in drip] == [ATTACKER]
    assert drip[0].event_time < "2026-09-20"


def test_two_a_day_stay_below_the_slow_drip_and_are_told_by_the_sum_of_rises_once_they_rise() -> None:
    """Ten percent a day: from two to twelve. Without the rise, 38 customers in four weeks raise no drip at all."""
    ordinary, still, rising = (watched(planted, 8) for planted in ([], _rise(2, 0), _rise(2, 10)))
    assert not [one for one in (*still, *rising) if one.alert.detector == "slow_drip" and one.actor_id == ATTACKER]

    def risen(alerts: list[FiredAlert]) -> int:
        return sum(one.actor_id == ATTACKER and "feature:slow_rise" in one.alert.reasons for one in alerts)

    assert risen(ordinary) == 0
    assert risen(rising) > risen(still)


# -- one who trains the model on their own burst


_SENSITIVE: dict[str, Any] = {
    "resource_type": "traveller", "endpoint": "/traveller/{id}", "sensitivity": 3,
    "data_categories": ["mobile", "id_number", "contact"],
}  # fmt: skip


def _bursts(days: int, **fields: Any) -> list[Event]:
    """A burst on each of the last days at work before the training."""
    at_work = [day for day in company().workdays() if day < HISTORY_DAYS][-days:]
    return [one for day in at_work for one in company().looks(day, BURST, **fields)]


def _known(events: list[Event]) -> Exclusions:
    return Exclusions({one["event_id"]: "true_positive" for one in events})


def test_a_burst_is_found_by_a_model_of_ordinary_history() -> None:
    again = company().looks(AGAIN, BURST)
    assert of(fired(clean_model(), again), again)


@pytest.mark.parametrize("days", [3, 5])
def test_without_a_guard_days_of_bursts_weigh_as_days_and_do_not_hide_the_next_one(days: int) -> None:
    """A day weighs as any other day of an account, however many events it has."""
    before, again = _bursts(days), company().looks(AGAIN, BURST)
    assert of(fired(trained(before), again, before), again)


def test_without_a_guard_seven_days_of_bursts_hide_the_next_one() -> None:
    """Why there are guards: nobody named the bursts, and no model in use was given."""
    before, again = _bursts(7), company().looks(AGAIN, BURST)
    assert not of(fired(trained(before), again, before), again)


def test_named_as_known_three_bursts_teach_the_model_nothing() -> None:
    before, again = _bursts(3), company().looks(AGAIN, BURST)
    model = trained(before, _known(before))
    assert model.about["excluded"] == {"true_positive": len(before)}
    assert of(fired(model, again, before), again)


@pytest.mark.parametrize("days", [3, 5, 7])
def test_nobody_named_them_but_the_model_in_use_found_them_strange(days: int) -> None:
    before, again = _bursts(days), company().looks(AGAIN, BURST)
    model = trained(before, champion=clean_model())
    assert model.about["left_out"]["strangest_events"] >= 0.9 * len(before)
    assert of(fired(model, again, before), again)


def test_ten_days_of_bursts_that_were_named_do_not_hide_the_next_one() -> None:
    before, again = _bursts(10), company().looks(AGAIN, BURST)
    assert of(fired(trained(before, _known(before)), again, before), again)


def test_after_eighteen_days_of_bursts_the_next_one_is_the_accounts_own_habit_whatever_the_model_was_taught() -> None:
    """The limit that no training removes: the profile learns from every day, at most two deviations of each."""
    before, again = _bursts(18), company().looks(AGAIN, BURST)
    assert not of(fired(trained(before, _known(before)), again, before), again)


def test_a_rule_on_sensitive_data_is_taken_away_by_no_training() -> None:
    """Five days without any guard: the model knows the bursts by then, the rule on mass look-ups still holds."""
    before, again = _bursts(5, **_SENSITIVE), company().looks(AGAIN, BURST, **_SENSITIVE)
    found = of(fired(trained(before), again, before), again)
    assert "mass_lookup" in {one.alert.detector for one in found}


# -- one who floods cheap alerts to hide one


def _findings(*rows: tuple[int, float, int, int], rules: Sequence[tuple[int, float, int, int]] = ()) -> Findings:
    """Findings of (account, day, level, kind); `rules`: of (account, day, floor, bit of the rule) behind them."""
    actors, days, levels, kinds = (np.array(column) for column in zip(*rows, *rules, strict=True))
    by_rule = np.arange(len(actors)) >= len(rows)
    bits = np.uint64(1) << kinds.astype(np.uint64)
    return Findings(
        actors.astype(np.int64), (days * DAY_US).astype(np.int64) + DAY_US * 20_000, np.where(by_rule, 0, levels),
        np.where(by_rule, levels, 0), bits, bits,
    )  # fmt: skip


def _fires(findings: Findings) -> list[int]:
    size = int(findings.actors.max()) + 1
    state = {
        name: np.zeros(size, np.uint64 if name == "last_alert_reasons" else np.int64)
        for name in (
            "alert_opened_us", "last_alert_us", "last_alert_risk", "last_alert_reasons", "alert_day", "alerts_today",
        )
    }  # fmt: skip
    return np.flatnonzero(_fired(findings, state, Policy(4000))).tolist()


def test_a_thousand_cheap_findings_of_one_kind_are_one_alert_and_the_grave_one_still_fires() -> None:
    flood = [(0, 0.1 + number / 10_000, 4500, 1) for number in range(1000)]
    assert _fires(_findings(*flood, (0, 0.9, 9000, 1))) == [0, 1000]


def test_a_flood_of_different_kinds_ends_at_two_a_day_and_what_goes_on_is_told_the_next_day() -> None:
    """The limit: on an account that was told twice today, what the model finds next is told tomorrow; one is open."""
    flood = [(0, 0.1 + number / 100, 4500, number) for number in range(20)]
    hidden = [(0, 0.9, 9000, 21), (0, 1.1, 9000, 21)]
    assert _fires(_findings(*flood, *hidden)) == [*range(MAX_A_DAY), 21]


def test_a_flood_of_different_kinds_hides_no_rule_that_alerts_by_itself() -> None:
    flood = [(0, 0.1 + number / 100, 4500, number) for number in range(20)]
    assert _fires(_findings(*flood, rules=[(0, 0.9, 9000, 30)])) == [*range(MAX_A_DAY), 20]


def test_a_flood_from_other_accounts_hides_nothing() -> None:
    """Firing looks at one account alone: two hundred flooded accounts change nothing for the hidden one."""
    flood = [(account, 0.1 + number / 100, 4500, number) for account in range(1, 201) for number in range(20)]
    order = sorted([*flood, (0, 0.25, 4100, 3)], key=lambda one: one[1])
    fires = _fires(_findings(*order))
    assert order.index((0, 0.25, 4100, 3)) in fires
    assert len(fires) == 200 * MAX_A_DAY + 1


def test_bursts_of_six_other_accounts_on_the_same_day_change_no_alert_of_the_hidden_one() -> None:
    again = company().looks(AGAIN, BURST)
    others = ("wei_zhu13", "bo_xu14", "hao_tan19", "qiang_luo24", "min_hu27", "xin_liu0")
    flood = [one for account in others for one in company().looks(AGAIN, 60, actor_id=account, hour=9)]
    alone, hidden = (of(fired(clean_model(), planted), again) for planted in (again, [*flood, *again]))
    assert [(one.event_id, one.alert.risk) for one in hidden] == [(one.event_id, one.alert.risk) for one in alone]
    assert alone
