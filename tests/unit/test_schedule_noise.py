"""What drowns: a finding of a scheduled detector against the week before it, the same whatever comes beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.budget import LEAST_OF_ONE_DETECTOR, most_of_one_detector
from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import Cadence, Finding
from pipeline.schedule.noise import Week, slots_before, told_of
from tests.unit.test_simulated_time import finding

DAY = next(one.cadence for one in SCHEDULED if one.name == "slow_drip")
HOUR = next(one.cadence for one in SCHEDULED if one.cadence.unit == "hour")
MOST = 3

drawn_findings = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from("abcdefgh"), st.integers(7000, 7010)),
    unique_by=lambda one: one[:2], max_size=40,
)  # fmt: skip


def drawn(triples: Sequence[tuple[int, str, int]]) -> list[Finding]:
    return [finding(risk, key, slot) for slot, key, risk in sorted(triples)]


def plainly_told(found: Sequence[Finding], one: Finding, cadence: Cadence) -> bool:
    """The definition, word by word."""
    week = range(one.slot - slots_before(cadence), one.slot)
    return len({other.key for other in found if other.slot in week and other.key != one.key
                and other.risk >= one.risk and other.tenant_id == one.tenant_id}) < MOST  # fmt: skip


@given(drawn_findings, st.sampled_from([DAY, HOUR]))
def test_told_is_what_fewer_others_of_the_week_before_were_as_grave_as(
    triples: list[tuple[int, str, int]], cadence: Cadence
) -> None:
    found = drawn(triples)
    assert told_of(found, cadence, MOST) == [one for one in found if plainly_told(found, one, cadence)]


@given(drawn_findings, drawn_findings)
def test_another_tenants_noise_drowns_nothing(
    triples: list[tuple[int, str, int]], others: list[tuple[int, str, int]]
) -> None:
    found = drawn(triples)
    beside = [dataclasses.replace(one, tenant_id="other") for one in drawn(others)]
    mixed = told_of([*found, *beside], DAY, MOST)
    assert [one for one in mixed if one.tenant_id == "default"] == told_of(found, DAY, MOST)


@given(drawn_findings)
def test_the_runners_question_about_one_slot_is_the_same_as_that_about_all(triples: list[tuple[int, str, int]]) -> None:
    found = drawn(triples)
    for one in found:
        week = Week(other for other in found if one.slot - slots_before(DAY) <= other.slot < one.slot)
        assert (one in told_of(found, DAY, MOST)) == (not week.drowns(one, MOST))


def test_noise_of_every_day_is_told_at_about_its_share_and_what_is_graver_every_time() -> None:
    """Seven findings a day for eight weeks, as of teams that share every customer."""
    noise = [finding(7000 + (37 * (7 * day + n)) % 101, f"{day}/{n}", day) for day in range(56) for n in range(7)]
    real = [finding(9000, f"real{day}", day) for day in range(10, 56, 9)]
    told = told_of(sorted([*noise, *real], key=lambda one: one.slot), DAY, LEAST_OF_ONE_DETECTOR)
    assert [one for one in told if one.risk == 9000] == real
    later = [one for one in told if one.slot >= 7 and one.risk < 9000]
    assert len(later) <= 1.5 * LEAST_OF_ONE_DETECTOR * 7


@pytest.mark.parametrize(("accounts", "most"), [(0, 7), (100, 7), (250, 7), (500, 14), (5000, 140)])
def test_a_detectors_share_grows_with_the_company(accounts: int, most: int) -> None:
    assert most_of_one_detector(accounts) == most
