"""The flood guard: at most so many messages a minute, a digest beyond, nothing dropped, the worst named."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import SEVERITIES
from pipeline.incidents.effects import Notify
from pipeline.incidents.escalate import Escalation, Plan
from pipeline.incidents.flood import MINUTE_US, Digest, FloodGuard, FloodItem, FloodLimits, Single
from pipeline.incidents.rules import Rules
from tests.incident_logs import START_US, TENANT, World, alert

BASE_US = START_US - START_US % MINUTE_US
LIMITS = FloodLimits(per_minute=5, reserved=2, worst=3)


def item(number: int, severity: str = "medium", action: str = "trigger", risk: int = 5000) -> FloodItem[str]:
    return FloodItem(f"incident-{number:05d}", action, severity, risk, 1, f"message {number}")


def run(items: list[tuple[FloodItem[str], int]], limits: FloodLimits = LIMITS) -> list[Single[str] | Digest[str]]:
    guard: FloodGuard[str] = FloodGuard(limits)
    out = [one for given_item, at_us in items for one in guard.offer(given_item, at_us)]
    if guard.due_us and (last := guard.flush(guard.due_us)) is not None:
        out.append(last)
    assert guard.due_us == 0
    return out


def test_few_messages_go_out_as_they_are() -> None:
    assert run([(item(one), BASE_US + one) for one in range(3)]) == [Single(item(one)) for one in range(3)]


def test_beyond_the_limit_one_digest_names_the_worst_and_counts_the_rest() -> None:
    out = run([(item(one, risk=one), BASE_US + one) for one in range(1000)])
    digest = out[-1]
    assert [type(one) for one in out] == [Single] * 3 + [Digest]
    assert isinstance(digest, Digest)
    assert (digest.messages, digest.incidents, digest.alerts) == (997, 997, 997)
    assert [one.risk for one in digest.worst] == [999, 998, 997]
    assert (digest.per_severity, digest.per_action) == ({"medium": 997}, {"trigger": 997})
    assert (digest.from_us, digest.until_us) == (BASE_US, BASE_US + MINUTE_US)


def test_a_critical_incident_finds_room_in_a_flood_of_lesser_ones() -> None:
    flood = [(item(one), BASE_US) for one in range(100)]
    out = run([*flood, *((item(one, "critical"), BASE_US + 1) for one in range(200, 204))])
    singles = [one.item.incident_id for one in out if isinstance(one, Single)]
    assert singles[3:] == ["incident-00200", "incident-00201"]
    digest = out[-1]
    assert isinstance(digest, Digest)
    assert [one.severity for one in digest.worst] == ["critical", "critical", "medium"]


def test_the_next_minute_begins_with_the_digest_and_new_room() -> None:
    first = [(item(one), BASE_US) for one in range(9)]
    out = run([*first, (item(50), BASE_US + MINUTE_US)])
    assert [type(one) for one in out] == [Single] * 3 + [Digest, Single]


def test_what_an_incident_says_later_is_in_its_digest_too() -> None:
    limits = FloodLimits(per_minute=1, reserved=0)
    out = run([(item(1), BASE_US), (item(2), BASE_US), (item(2, action="resolve"), BASE_US + 1)], limits)
    digest = out[-1]
    assert isinstance(digest, Digest)
    assert (digest.messages, digest.incidents, digest.worst[0].action) == (2, 1, "resolve")


def test_an_incident_that_becomes_critical_does_not_wait_for_the_digest_it_is_in() -> None:
    flood = [(item(one), BASE_US) for one in range(9)]
    out = run([*flood, (item(8, "critical", "update"), BASE_US + 1)])
    assert [one.item.action for one in out if isinstance(one, Single)] == ["trigger"] * 3 + ["update"]
    assert isinstance(out[-1], Digest)
    assert out[-1].messages == 6


def test_a_pager_hears_what_it_must_hear_in_any_flood() -> None:
    limits = FloodLimits(per_minute=1, reserved=0, always=frozenset({"resolve"}))
    offers = [(item(one, action=action), BASE_US) for action in ("trigger", "resolve") for one in range(5)]
    out = run(offers, limits)
    assert [one.item.action for one in out if isinstance(one, Single)] == ["trigger", *["resolve"] * 5]


@pytest.mark.parametrize("told", range(7))
def test_what_went_out_before_a_restart_has_taken_its_room(told: int) -> None:
    guard: FloodGuard[str] = FloodGuard(LIMITS, {BASE_US // MINUTE_US: told})
    offers = [item(one, severity) for severity in ("low", "critical") for one in range(9)]
    singles = [one.item for given in offers for one in guard.offer(given, BASE_US) if isinstance(one, Single)]
    assert len(singles) == max(0, 5 - told)
    assert [one.severity for one in singles].count("low") == max(0, 3 - told)
    (single,) = guard.offer(item(50), BASE_US + MINUTE_US)[1:]
    assert isinstance(single, Single), "the next minute has its own"


@pytest.mark.parametrize(("per_minute", "reserved", "worst"), [(1, 1, 1), (0, 0, 1), (5, -1, 1), (5, 1, 0)])
def test_limits_without_room_are_refused(per_minute: int, reserved: int, worst: int) -> None:
    with pytest.raises(ValueError, match="at least one message"):
        FloodLimits(per_minute, reserved, worst=worst)


OFFERS = st.lists(
    st.tuples(
        st.builds(item, st.integers(0, 20), st.sampled_from(SEVERITIES), st.sampled_from(["trigger", "update"])),
        st.integers(0, 4 * MINUTE_US).map(lambda at: BASE_US + at),
    ),
    max_size=80,
)


@given(OFFERS)
def test_every_message_comes_out_exactly_once_and_no_minute_has_too_many(
    offers: list[tuple[FloodItem[str], int]],
) -> None:
    guard: FloodGuard[str] = FloodGuard(LIMITS)
    minute, per_minute, told = 0, Counter[int](), 0
    for given_item, at_us in offers:
        minute = max(minute, at_us // MINUTE_US)
        for one in guard.offer(given_item, at_us):
            told += 1 if isinstance(one, Single) else one.messages
            per_minute[minute] += isinstance(one, Single)
    last = guard.flush(guard.due_us)
    assert told + (last.messages if last else 0) == len(offers)
    assert max(per_minute.values(), default=0) <= LIMITS.per_minute


@given(OFFERS)
def test_the_same_items_give_the_same_messages(offers: list[tuple[FloodItem[str], int]]) -> None:
    assert run(offers) == run(offers)


# -- with the engine

RULES = Rules(escalation=Escalation(plans={one: Plan(channels=("chat",)) for one in SEVERITIES}, most_updates=4))


def told_of(world: World) -> list[Single[Notify] | Digest[Notify]]:
    guard: FloodGuard[Notify] = FloodGuard(FloodLimits())
    out = []
    for one in world.told():
        incident = one.incident
        offered = FloodItem(incident.incident_id, one.action, incident.severity, incident.risk, incident.alerts, one)
        out += guard.offer(offered, one.at_us)
    if (last := guard.flush(guard.due_us)) is not None:
        out.append(last)
    return out


def test_ten_thousand_alerts_of_one_actor_in_a_minute_are_one_incident_and_few_messages() -> None:
    world = World(RULES, at_us=BASE_US)
    for number in range(10_000):
        detector, risk = f"d{number % 7}", float(number % 101)
        severity = SEVERITIES[min(3, number // 3000)]
        world.put(alert(number, detector=detector, risk=risk, severity=severity), step_us=6000)
    (incident,) = world.states[alert().incident_key].incidents
    assert (incident.alerts, len(incident.detectors)) == (10_000, 7)
    assert len(world.told()) <= 1 + 3 + 4, "the opening, each severity, the configured updates"
    assert all(len(row.changes) < 1000 for row in world.rows), "rows do not grow with the flood"


def test_ten_thousand_alerts_of_a_thousand_actors_are_a_digest_that_drops_nothing() -> None:
    world = World(RULES, at_us=BASE_US)
    for number in range(10_000):
        key = f"{TENANT}:{number % 1000:032x}"
        world.put(alert(number, incident_key=key, risk=40 + number % 1000 / 20), step_us=6000)
    out = told_of(world)
    singles = [one for one in out if isinstance(one, Single)]
    digests = [one for one in out if isinstance(one, Digest)]
    assert len(singles) <= 7
    assert len(singles) + sum(one.messages for one in digests) == len(world.told()) >= 1000
    named = {one.item.incident_id for one in singles}
    assert len(named) + sum(one.incidents for one in digests) >= 1000
    assert max(one.risk for one in digests[0].worst) == 8995
    assert sum(len(state.incidents) for state in world.states.values()) == 1000
