"""An alert meets its key: one incident, counted once, reopened or opened anew, as grave as its detectors allow."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.incidents.alert_book import GENERATION, STANDS, AlertBook
from pipeline.incidents.fold import apply
from pipeline.incidents.model import EMPTY, KEPT_INCIDENTS, MOST_DETECTORS, OTHER_DETECTORS, Position, incident_id_of
from pipeline.incidents.records import Explanation, Unreadable
from pipeline.incidents.rules import Rules
from tests.incident_logs import HOUR_US, INCARNATION, KEY, TENANT, TOPIC, World, alert, command, uuid_of


def closed(verdict: str, **rules: Any) -> World:
    """A world whose incident of risk 60 was closed with this verdict."""
    world = World(Rules(**rules))
    world.put(alert(1), command("resolve", verdict=verdict))
    return world


def test_the_first_alert_opens_an_incident_whose_id_follows_from_its_position() -> None:
    world = World()
    row = world.put(alert(1)).log_row
    assert row is not None
    incident = world.incident()
    assert incident.incident_id == incident_id_of(TENANT, KEY, Position(TOPIC, INCARNATION, 0, 0)) == row.incident_id
    assert (row.kind, row.transition, row.state_before, row.state_after) == ("alert", "opened", "", "open")
    assert (incident.risk, incident.severity, incident.alerts) == (6000, "medium", 1)


def test_an_id_differs_by_every_part_it_is_made_of() -> None:
    at = Position(TOPIC, INCARNATION, 0, 0)
    ids = {
        incident_id_of(TENANT, KEY, at),
        incident_id_of("other", KEY, at),
        incident_id_of(TENANT, KEY + "0", at),
        *(incident_id_of(TENANT, KEY, one) for one in (
            Position("t", INCARNATION, 0, 0), Position(TOPIC, "i", 0, 0), Position(TOPIC, INCARNATION, 1, 0),
            Position(TOPIC, INCARNATION, 0, 1),
        )),
    }  # fmt: skip
    assert len(ids) == 7


def test_alerts_join_the_open_incident_and_the_gravest_explains_it() -> None:
    world = World()
    world.put(
        alert(1, risk=50, event_time_us=5), alert(2, risk=80, event_time_us=3), alert(3, risk=70, event_time_us=9)
    )
    incident = world.incident()
    assert (incident.alerts, incident.risk, incident.first_event_us, incident.last_event_us) == (3, 8000, 3, 9)
    assert (incident.explanation_en, incident.gravest_alert_id) == ("Alert 2.", str(uuid_of(2)))
    assert [row.transition for row in world.rows] == ["opened", "joined", "joined"]


def test_one_noisy_detector_never_drives_the_risk_beyond_its_own_highest() -> None:
    world = World()
    world.put(*(alert(number, risk=60) for number in range(500)))
    assert world.incident().risk == 6000
    world.put(alert("other", detector="bulk_export", risk=50))
    assert world.incident().risk == 6500


def test_a_capped_detector_counts_no_more_than_its_cap() -> None:
    world = World(Rules(detector_caps={"isolation_forest": 4000}))
    world.put(alert(1, risk=95))
    assert (world.incident().risk, world.incident().detectors["isolation_forest"].risk) == (4000, 4000)


def test_the_same_alert_again_changes_nothing_but_a_graver_version_of_it_counts() -> None:
    world = World()
    world.put(alert(1, stage="provisional"))
    again = world.put(alert(1, stage="provisional")).log_row
    assert again is not None
    assert (again.transition, again.code, again.changes) == ("no_change", "known", "{}")
    world.put(alert(1, risk=90, severity="high", stage="final"))
    incident = world.incident()
    assert (incident.alerts, incident.risk, incident.severity) == (1, 9000, "high")
    world.put(alert(1, risk=10, severity="low", stage="final"))
    assert (world.incident().risk, world.incident().severity) == (9000, "high")


def test_an_alert_that_is_taken_back_stays_counted_as_such_and_lowers_nothing() -> None:
    world = World()
    world.put(alert(1), alert(2, risk=90, severity="critical"), alert(2, stage="withdrawn"))
    incident = world.incident()
    assert (incident.alerts, incident.withdrawn, incident.risk, incident.severity) == (2, 1, 9000, "critical")
    world.put(alert(2, stage="withdrawn"))
    assert world.incident().withdrawn == 1
    world.put(alert(2, stage="final"))
    assert world.incident().withdrawn == 0, "it stands again"


def test_taking_back_an_alert_that_never_came_opens_nothing() -> None:
    world = World()
    row = world.put(alert(1, stage="withdrawn")).log_row
    assert row is not None
    assert (row.transition, row.code, world.states[KEY].incidents) == ("no_change", "never_told", ())


@pytest.mark.parametrize(
    ("verdict", "values", "reopens"),
    [
        ("true_positive", {}, True),
        ("true_positive", {"risk": 10.0}, True),
        ("test", {}, True),
        ("benign", {}, False),
        ("false_positive", {"risk": 74.99}, False),
        ("false_positive", {"risk": 75.0}, True),
        ("benign", {"detector": "bulk_export", "risk": 10.0}, True),
    ],
)
def test_what_reopens_a_closed_incident(verdict: str, values: dict[str, Any], reopens: bool) -> None:
    world = closed(verdict)
    row = world.put(alert(2, **values)).log_row
    assert row is not None
    assert row.transition == ("reopened" if reopens else "opened")
    assert len(world.states[KEY].incidents) == (1 if reopens else 2)
    assert (world.incident().reopened, world.incident().state) == (int(reopens), "open")


def test_after_the_time_to_reopen_even_a_true_positive_opens_a_new_incident() -> None:
    for late_us, reopened in ((HOUR_US, 1), (HOUR_US + 1, 0)):
        world = closed("true_positive", reopen_within_us=HOUR_US)
        world.put(alert(2), step_us=late_us)
        assert world.incident().reopened == reopened


def test_an_incident_that_reopens_has_to_be_acknowledged_again() -> None:
    world = World()
    world.put(alert(1), command("acknowledge"), command("resolve", verdict="true_positive"), alert(2))
    incident = world.incident()
    assert (incident.acknowledged_us, incident.acknowledged_by, incident.verdict, incident.resolved_us) == (
        0,
        "",
        "",
        0,
    )


def test_a_replayed_alert_of_a_closed_incident_opens_and_reopens_nothing() -> None:
    world = closed("true_positive")
    world.put(alert(1), alert(1))
    assert [one.state for one in world.states[KEY].incidents] == ["resolved"]


def test_a_known_alert_that_grew_much_graver_reopens_what_was_closed() -> None:
    world = closed("false_positive")
    world.put(alert(1, risk=70))
    assert world.incident().state == "resolved"
    world.put(alert(1, risk=75))
    assert (world.incident().state, world.incident().alerts) == ("open", 1)


def test_a_known_alert_reopens_nothing_while_another_incident_is_open() -> None:
    world = closed("benign")
    world.put(alert(2), alert(1, risk=100))
    assert [one.state for one in world.states[KEY].incidents] == ["resolved", "open"]


def test_a_key_holds_so_many_incidents_and_still_knows_the_alerts_of_older_ones() -> None:
    world = World()
    for number in range(KEPT_INCIDENTS + 3):
        world.put(alert(number), command("resolve", verdict="benign"))
    state = world.states[KEY]
    assert [one.ordinal for one in state.incidents] == list(range(4, KEPT_INCIDENTS + 4))
    row = world.put(alert(0)).log_row
    assert row is not None
    assert (row.transition, row.code) == ("no_change", "known")


def test_detectors_beyond_the_limit_count_together() -> None:
    world = World()
    world.put(*(alert(number, detector=f"d{number}") for number in range(MOST_DETECTORS + 5)))
    detectors = world.incident().detectors
    assert (len(detectors), detectors[OTHER_DETECTORS].alerts) == (MOST_DETECTORS + 1, 5)


def test_explanations_are_cut_and_rows_stay_small() -> None:
    world = World()
    row = world.put(alert(1, explanation=Explanation("\x00" * 100_000, "长" * 80_000))).log_row
    assert row is not None
    assert (len(world.incident().explanation_en), len(world.incident().explanation_zh)) == (1200, 1200)
    assert len(row.changes.encode()) < 16_384


def test_a_record_that_was_read_already_leaves_no_second_row() -> None:
    world = World()
    outcome = world.put(alert(1))
    again = apply(outcome.state, alert(2), Position(TOPIC, INCARNATION, 0, 0), world.at_us, world.rules)
    assert (again.state, again.log_row, again.effects) == (outcome.state, None, ())


def test_a_record_that_cannot_be_read_is_a_row_and_nothing_else() -> None:
    outcome = apply(EMPTY, Unreadable("bad_json", KEY), Position(TOPIC, INCARNATION, 0, 7), 5, Rules())
    row = outcome.log_row
    assert row is not None
    assert (row.kind, row.transition, row.code, row.incident_key) == ("unreadable", "refused", "bad_json", KEY)
    assert (outcome.state.incidents, outcome.state.position, outcome.effects) == ((), row.position, ())


def test_the_alert_book_forgets_only_what_is_a_generation_old() -> None:
    book = AlertBook()
    ids = [number.to_bytes(16, "big") for number in range(2 * GENERATION + 1)]
    for one in ids:
        book = book.with_alert(one, (1, STANDS))
    assert book.place(ids[0]) is None
    assert book.place(ids[GENERATION]) == (1, STANDS) == book.place(ids[-1])
    assert len(book.as_map()) == GENERATION + 1


def test_alert_books_are_equal_by_what_they_know() -> None:
    one = AlertBook().with_alert(b"a" * 16, (1, 0)).with_alert(b"b" * 16, (1, 0))
    other = AlertBook().with_alert(b"b" * 16, (1, 0)).with_alert(b"a" * 16, (1, 1)).with_alert(b"a" * 16, (1, 0))
    assert one == other
    assert hash(one) == hash(other)
    assert one != other.with_alert(b"a" * 16, (2, 0))
