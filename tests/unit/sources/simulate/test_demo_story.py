"""The demo's story: valid events in the order of sending, three attacks at the size of the published cases, and around
them the company's ordinary day."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any

import pytest

from detectors.scheduled.partner_over_contract_day import PARTNER_OVER_CONTRACT_DAY
from pipeline.sources.simulate import Chapter, Story, demo_story, draw_company, goes_on, live
from pipeline.sources.simulate.machines import standing_contract
from tests.unit.sources.simulate.checks import rejected

_COMPANY = draw_company(7, 50)
_NOON, _NIGHT = datetime(2026, 9, 9, 4, tzinfo=UTC), datetime(2026, 9, 9, 19, tzinfo=UTC)
_EARLY, _LATE = datetime(2026, 9, 9, 17, 5, tzinfo=UTC), datetime(2026, 9, 9, 16, 40, tzinfo=UTC)


@cache
def told(start_at: datetime) -> Story:
    return demo_story(_COMPANY, start_at, 1)


def chapter(story: Story, scenario: str) -> Chapter:
    return next(one for one in story.chapters if one.scenario == scenario)


def times(events: tuple[dict[str, Any], ...], actor_id: str = "") -> list[datetime]:
    chosen = [one for one in events if not actor_id or one["actor_id"] == actor_id]
    return [datetime.fromisoformat(one["event_time"]) for one in chosen]


@pytest.mark.parametrize("start_at", [_NOON, _NIGHT])
def test_every_event_is_valid_and_in_the_order_of_its_account(start_at: datetime) -> None:
    story = told(start_at)
    assert rejected([*story.past, *story.live]) == []
    assert times(story.past) == sorted(times(story.past))
    for one in story.chapters:
        assert times(story.live, one.actor_id) == sorted(times(story.live, one.actor_id))
    assert len({one["event_id"] for one in (*story.past, *story.live)}) == len(story.past) + len(story.live)


@pytest.mark.parametrize("start_at", [_NOON, _NIGHT])
def test_the_partners_agent_harvests_in_the_last_night_that_is_over_or_until_now(start_at: datetime) -> None:
    story = told(start_at)
    harvest = chapter(story, "partner_harvest")
    assert harvest.events == 12_432
    calls = [one for one in story.live if one.get("query_fingerprint") == "q-name-id-phone"]
    assert len(calls) == 12_432
    assert {one["actor_id"] for one in calls} == {harvest.actor_id}
    assert len({one["src_ip"] for one in calls}) > 50, "addresses rotate"
    assert sum(one["action"] == "unmask" for one in calls) > 9_000, "answers are in clear text"
    first, last = (datetime.fromtimestamp(at / 1000, UTC) for at in (harvest.first_ms, harvest.last_ms))
    assert last < start_at
    assert start_at - first < timedelta(hours=34)
    assert timedelta(hours=5) < last - first < timedelta(hours=6, minutes=30)
    assert (first + timedelta(hours=8)).hour in (0, 1) or start_at - last < timedelta(minutes=1), "China's night"


def test_the_story_knows_when_the_detector_of_contracts_closes_a_day() -> None:
    assert PARTNER_OVER_CONTRACT_DAY.cadence.lateness_s * 1_000 == live._DAY_IS_FINAL_MS


@pytest.mark.parametrize("start_at", [_NOON, _NIGHT, _EARLY, _LATE])
def test_a_day_that_is_still_judged_holds_more_of_the_harvest_than_the_contract_allows(start_at: datetime) -> None:
    """A demo begun in the small hours told of no breach of contract: yesterday is final an hour after midnight."""
    story = told(start_at)
    harvester = chapter(story, "partner_harvest").actor_id
    local = start_at + timedelta(hours=8)
    judged = {local.date()} | ({local.date() - timedelta(days=1)} if local.hour < 1 else set())
    customers = {
        subject
        for one in story.live
        if one["actor_id"] == harvester
        and (datetime.fromisoformat(one["event_time"]).astimezone(UTC) + timedelta(hours=8)).date() in judged
        for subject in one.get("subject_ids") or ()
    }
    org = next(one.org for one in _COMPANY.partners if one.actor_id == harvester)
    assert len(customers) > 1.2 * standing_contract(_COMPANY, org).daily_subject_limit


def test_an_insider_takes_a_few_more_each_day_for_weeks() -> None:
    story = told(_NOON)
    drip = chapter(story, "slow_drip")
    days = Counter((at + timedelta(hours=8)).date() for at in times(story.past, drip.actor_id))
    assert len(days) >= 12
    assert drip.events >= 400
    assert max(days.values()) < 200, "no single day stands out"


def test_somebody_looks_up_one_customer_again_and_again_to_this_day() -> None:
    story = told(_NOON)
    snooping = chapter(story, "snooping")
    assert snooping.subject_id is not None
    looks = [one for one in story.live if one["actor_id"] == snooping.actor_id]
    assert any(one.get("subject_ids") == [snooping.subject_id] for one in looks)


def test_what_is_live_and_no_harvest_lies_in_the_minutes_of_the_demo() -> None:
    story = told(_NOON)
    rest = [one for one in story.live if one.get("query_fingerprint") != "q-name-id-phone"]
    assert rest
    for at in times(tuple(rest)):
        assert _NOON <= at <= _NOON + timedelta(minutes=3)


def test_the_harvest_and_the_rest_run_side_by_side() -> None:
    live = told(_NOON).live
    rest = [place for place, one in enumerate(live) if one.get("query_fingerprint") != "q-name-id-phone"]
    assert rest[0] < len(live) / 10
    assert rest[-1] > len(live) * 9 / 10


def test_ordinary_work_is_that_of_its_time_of_day_and_of_today() -> None:
    """At three in the morning in China the office sleeps: what looks like an attack then would be the demo's fault."""
    attackers = {one.actor_id for one in told(_NOON).chapters}
    office = {one.actor_id for one in _COMPANY.people if one.department.duty != "service"} - attackers

    def at_work(start_at: datetime) -> int:
        return sum(one["actor_id"] in office for one in told(start_at).live)

    assert at_work(_NOON) > 5
    assert at_work(_NIGHT) <= 2
    ordinary = [one for one in told(_NOON).past if one["actor_id"] not in attackers]
    assert {(at + timedelta(hours=8)).date() for at in times(tuple(ordinary))} == {date(2026, 9, 9)}
    assert times(told(_NOON).past)[-1] <= _NOON


def test_the_days_work_items_are_given_along() -> None:
    assert any(item["actor_id"] for item in told(_NOON).work_items)


def test_work_goes_on_after_the_story_over_midnight_in_order() -> None:
    late = datetime(2026, 9, 9, 14, tzinfo=UTC)
    due = list(islice(goes_on(_COMPANY, late, 1), 400))
    assert rejected([event for _, event in due]) == []
    moments = [at_ms for at_ms, _ in due]
    assert moments == sorted(moments)
    assert moments[0] >= late.timestamp() * 1000
    assert len({(datetime.fromtimestamp(at / 1000, UTC) + timedelta(hours=8)).date() for at in moments}) == 2
