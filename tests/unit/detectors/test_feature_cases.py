"""Features in single cases, with the numbers that their definitions give, worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from detectors import kernel
from detectors.base import F32, NO_LOCATION
from detectors.features import INDEX, compute
from detectors.profile import ACTION_CODES, CHANNEL_CODES, Profiles
from pipeline.events import ACTIONS, CHANNELS, DAY_KINDS, EXPLAINED, NETWORK_KINDS, OUTCOMES, codes
from tests.arrays import DAY_US, START_US, event_arrays

MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
MIDNIGHT_US = START_US - START_US % DAY_US
ACTION, OUTCOME, NETWORK, DAY = codes(ACTIONS), codes(OUTCOMES), codes(NETWORK_KINDS), codes(DAY_KINDS)
FRANKFURT = {"latitude": 50.1, "longitude": 8.7}


def told(*steps: tuple[float, dict[str, Any]], which: int = 0) -> F32:
    """Features (0), usual values (1) or deviations (2) of open events so many days after a midnight."""
    profiles, rows = Profiles(), []
    for day, fields in steps:
        time_us = MIDNIGHT_US + round(day * DAY_US)
        clock = {"local_hour": time_us // HOUR_US % 24, "time_us": [time_us], "explained": 3}
        unlisted = fields.get("unlisted", 0)
        events = event_arrays(1, **clock | {name: one for name, one in fields.items() if name != "unlisted"})
        events.subject_count += unlisted
        profiles.begin()
        rows.append(compute(events, profiles)[which])
        profiles.commit()
    return np.concatenate(rows)


def column(rows: F32, name: str) -> list[float]:
    return [float(value) for value in rows[:, INDEX[name]]]


def counts(rows: F32, name: str) -> list[float]:
    """A feature on the scale of log1p as the number it stands for."""
    return [math.expm1(value) for value in column(rows, name)]


def test_the_codes_of_the_kernel_are_those_of_the_events() -> None:
    names = {"SUCCESS": OUTCOME["success"], "DENIED": OUTCOME["denied"], "IS_EXPLAINED": codes(EXPLAINED)["explained"]}
    names |= {name.upper(): DAY[name] for name in ("workday", "make_up_workday")}
    names |= {name.upper(): NETWORK[name] for name in ("vpn", "cloud")}
    names |= {name.upper(): ACTION[name] for name in ("search", "update", "delete", "audit_query", "audit_export")}
    names |= {"FIRST_EXPORT": ACTION["export"], "LAST_EXPORT": ACTION["print"]}
    assert {name: getattr(kernel, name) for name in names} == names
    exports = set(range(kernel.FIRST_EXPORT, kernel.LAST_EXPORT + 1))
    assert exports == {ACTION[word] for word in ("export", "download", "share", "print")}
    assert max(ACTION.values()) < ACTION_CODES
    assert max(codes(CHANNELS).values()) < CHANNEL_CODES


def test_a_first_day_has_no_deviation_and_a_second_has_that_of_two() -> None:
    rows = told((0, {"records": 7}), (1, {"records": 1}), (2, {}), which=2)
    two_days = abs(math.log1p(7) - math.log1p(1)) / 2
    assert column(rows, "records_day_own") == pytest.approx([math.nan, 0, two_days], nan_ok=True)


def test_nothing_is_called_usual_before_it_is_known() -> None:
    own = ("records_own", "subjects_1h_own", "records_day_own", "records_day", "all_subjects_day")
    rows = told((0, {}), (0.1, {}), (1, {}), (2, {}), (3, {}), which=1)
    assert [sum(map(math.isnan, column(rows, name))) for name in own] == [1, 2, 2, 4, 4]


def test_an_event_of_the_hour_before_joins_the_running_hour() -> None:
    lists = [[1], [2], [3], [4]]
    hours = (9.99, 10.01, 9.98, 10.02)
    rows = told(*((hour / 24, {"subject_lists": [one]}) for hour, one in zip(hours, lists, strict=True)))
    assert counts(rows, "subjects_1h") == pytest.approx([1, 1, 2, 3], rel=0.01)


def test_an_hour_does_not_go_on_where_a_time_zone_moves_back() -> None:
    rows = told((0.5, {}), (0.5, {"local_hour": 8}), (0.5, {"local_hour": 8, "subject_lists": [[2]]}))
    assert counts(rows, "subjects_1h") == pytest.approx([1, 1, 2], rel=0.01)


def test_the_table_of_customers_keeps_the_newest_and_those_who_were_visited_again() -> None:
    steps = [(0.0, {"subject_lists": [[7]]}), (0.2, {"subject_lists": [[7]]})]
    strangers = [(0.3 + 0.001 * turn, {"subject_lists": [[100 + turn]]}) for turn in range(60)]
    again = [(0.5, {"subject_lists": [[customer]]}) for customer in (7, 159, 121, 120)]
    looks = counts(told(*steps, *strangers, *again), "repeat_subject")
    assert looks[-4:] == pytest.approx([3, 2, 2, 1], rel=0.1)


def test_visits_are_looks_at_least_two_hours_apart_and_the_first_is_no_return() -> None:
    hours = (0, 1, 2.9, 5, 7.1)
    rows = told(*((hour / 24, {"subject_lists": [[7]]}) for hour in hours))
    assert counts(rows, "repeat_subject") == pytest.approx([1, 2, 3, 4, 5], rel=0.05)
    assert counts(rows, "return_visits") == pytest.approx([0, 0, 0, 1, 2], abs=0.05)


@pytest.mark.parametrize(
    "fields",
    [
        {"explained": 1}, {"approved": 1}, {"outcome": OUTCOME["denied"]}, {"own_subject": 1},
        {"subject_lists": [[7, 1, 2, 3, 4]]},
    ],
    ids=["explained", "approved", "refused", "own record", "a page"],
)  # fmt: skip
def test_looks_with_a_reason_and_pages_are_no_repeated_looks(fields: dict[str, Any]) -> None:
    rows = told(*((day, {"subject_lists": [[7]]} | fields) for day in range(4)), (4, {"subject_lists": [[7]]}))
    assert counts(rows, "repeat_subject") == pytest.approx([0, 0, 0, 0, 1])


def test_a_customer_listed_twice_is_one_customer_and_one_look() -> None:
    rows = told((0, {"subject_lists": [[7, 7, 7]]}), (0.1, {"subject_lists": [[7, 7]]}))
    assert counts(rows, "repeat_subject") == pytest.approx([1, 2], rel=0.02)
    assert counts(rows, "subjects_day") == pytest.approx([1, 1], rel=0.01)
    assert counts(rows, "subjects_1h") == pytest.approx([1, 0 + 1], rel=0.01)


def test_listed_customers_count_beside_unlisted_ones() -> None:
    rows = told((0, {"subject_lists": [[1, 2]]}), (0.1, {"subject_lists": [[3]], "unlisted": 10}), (0.2, {}))
    assert counts(rows, "subjects_day") == pytest.approx([2, 13, 14], rel=0.01)


def test_what_was_refused_was_not_handed_out() -> None:
    handed = {"external": 1, "records": 50}
    rows = told((0, handed | {"outcome": OUTCOME["denied"]}), (0.1, handed), (0.2, handed | {"records": 0}))
    assert counts(rows, "external_day") == pytest.approx([0, 50, 51])


def test_a_week_is_measured_against_the_days_before_it_also_when_late_events_come_in_between() -> None:
    """10 a day for 28 days, then 70 a day for a week; events of weeks ago neither add to the days nor shift them."""
    steps = [(float(day), {"records": 10 if day < 28 else 70}) for day in range(35)]
    late = [(15.5, {"records": 9999}), (1.5, {"records": 9999})]
    rows = told(*steps, *late, (34.5, {"records": 0}))
    week = [math.exp(value) for value in column(rows, "records_week")]
    assert week[27] == pytest.approx(1)
    assert week[34:] == pytest.approx([71 / 11] * 4)


def test_days_without_a_trace_count_as_empty_in_week_and_fortnight() -> None:
    quiet = {"sensitivity": 4, "records": 13}
    rows = told((0, quiet), (20, quiet), (21, quiet), (40, quiet), (100, quiet))
    assert [math.exp(value) for value in column(rows, "records_week")] == pytest.approx(
        [1, (13 / 7 + 1) / (13 / 14 + 1), (26 / 7 + 1) / (13 / 15 + 1), (13 / 7 + 1) / (26 / 28 + 1), 13 / 7 + 1]
    )
    assert counts(rows, "unexplained_2w") == pytest.approx([1, 1, 2, 1, 1])
    assert counts(rows, "subjects_2w") == pytest.approx([1, 1, 2, 1, 1], rel=0.01)


def test_a_pause_is_told_for_a_day_and_never_to_a_late_event() -> None:
    days = (0, 10, 9.9, 10.5, 11.01, 20)
    rows = told(*((day, {}) for day in days))
    assert counts(rows, "gap_days") == pytest.approx([0, 10, 0, 10, 0, 8.99], abs=1e-3)


def test_public_holidays_are_no_silence() -> None:
    """A week of holidays makes nobody return from a pause; a month of silence with a week of them is 23 days."""
    rows = told((0, {"holidays": 5}), (8, {"holidays": 12}), (38, {"holidays": 19}), (39, {"holidays": 19}))
    assert counts(rows, "gap_days") == pytest.approx([0, 0, 23, 0], abs=1e-3)


def test_a_late_event_of_a_day_before_the_holidays_leaves_them_counted_out() -> None:
    rows = told((0, {"holidays": 0}), (8, {"holidays": 7}), (7.5, {"holidays": 6}), (14, {"holidays": 12}))
    assert counts(rows, "gap_days") == pytest.approx([0, 0, 0, 0], abs=1e-3)


@pytest.mark.parametrize("kind", ["vpn", "cloud"])
def test_nobody_travels_to_where_a_vpn_or_a_cloud_ends(kind: str) -> None:
    away = FRANKFURT | {"network_kind": NETWORK[kind]}
    rows = told((0, {}), (0.01, away), (0.02, {}), (0.03, FRANKFURT), (0.04, away), (0.05, FRANKFURT))
    assert [speed > 0 for speed in column(rows, "travel")] == [False, False, False, True, False, False]


def test_a_journey_is_the_distance_over_the_time_since_the_last_place() -> None:
    nowhere = {"latitude": NO_LOCATION, "longitude": NO_LOCATION}
    rows = told((0, {}), (0.25, nowhere), (0.5, FRANKFURT), (0.5, {}), (3, FRANKFURT))
    flight_km = 8830.0
    assert counts(rows, "travel") == pytest.approx([0, 0, flight_km / 12, flight_km / 0.05, 0], rel=0.01)


def test_an_hour_is_as_rare_as_the_share_of_days_it_was_used_on_and_a_neighbour_counts_half() -> None:
    """After eight working days at 10: the same hour, its neighbour, the rest of the day, the same hour of a Sunday."""
    eight: list[tuple[float, dict[str, Any]]] = [(day, {"local_hour": 10}) for day in range(8)]
    off = {"local_hour": 10, "day_kind": DAY["offday"]}
    last = [(8, {"local_hour": 10}), (8, {"local_hour": 11}), (8, {"local_hour": 3}), (8, off)]
    damped = 8 / 13
    assert column(told(*eight, *last), "hour_rarity")[-4:] == pytest.approx(
        [-math.log2(8.5 / 9) * damped, -math.log2(4.5 / 9) * damped, *[-math.log2(0.5 / 9) * damped] * 2]
    )


def test_what_is_new_stays_new_to_the_end_of_its_first_day() -> None:
    other = {"device": 99}
    rows = told(*((float(day), {}) for day in range(6)), *((6 + turn / 100, other) for turn in range(50)), (7, other))
    assert column(rows, "new_device")[6:] == pytest.approx([6 / 9] * 50 + [7 / 10 / 2])


def test_a_record_of_120_days_is_halved_and_means_the_same_thereafter() -> None:
    """Used on half of the days before and after: as rare as before."""
    steps = [(float(day), {"action": ACTION["list"] if day % 2 else 1}) for day in range(122)]
    rarity = column(told(*steps), "rare_action")
    assert rarity[119] == pytest.approx(rarity[121], abs=0.08)
