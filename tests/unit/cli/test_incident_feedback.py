"""Which events no model should learn from: named alerts, windows, whole disputed times; each event once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.breach_counts import AlertPlace, KnownIncident, Scope
from pipeline.breach.record import Period
from pipeline.cli.incident_feedback import _joined, exclusion_lines

KEY = "acme:" + "ab" * 16


@dataclass
class Asked:
    """A store in memory that notes what it is asked."""

    incidents: Sequence[KnownIncident]
    places: dict[str, list[AlertPlace]]
    asked: list[Scope] = field(default_factory=list)

    def teaching_nothing(self) -> Sequence[KnownIncident]:
        return self.incidents

    def alerts(self, incident_id: str) -> Sequence[AlertPlace]:
        return self.places.get(incident_id, [])

    def event_ids(self, scopes: Sequence[Scope]) -> Sequence[str]:
        self.asked += scopes
        return [f"{one.period.from_us}-{one.period.to_us}" for one in scopes]


def incident(name: str, verdict: str = "", state: str = "open") -> KnownIncident:
    return KnownIncident(name, "acme", KEY, "resolved" if verdict else state, verdict, "")


def _said(store: Asked) -> dict[str, str]:
    lines = [json.loads(line) for line in exclusion_lines(store)]
    assert len({one["event_id"] for one in lines}) == len(lines)
    return {one["event_id"]: one["why"] for one in lines}


def test_a_true_positive_excludes_its_events_and_windows_but_not_the_time_between() -> None:
    places = [AlertPlace("a", Period(1, 1)), AlertPlace("b", Period(100, 200)), AlertPlace("c", Period(150, 300))]
    store = Asked([incident("one", "true_positive")], {"one": places})
    assert _said(store) == dict.fromkeys(("a", "b", "c", "100-300"), "true_positive")


def test_an_incident_that_nobody_has_judged_excludes_all_of_its_time() -> None:
    store = Asked([incident("one")], {"one": [AlertPlace("a", Period(1, 1)), AlertPlace("b", Period(100, 200))]})
    assert _said(store) == dict.fromkeys(("a", "b", "1-200"), "disputed")
    assert [one.incident_key for one in store.asked] == [KEY]


def test_what_is_confirmed_goes_before_what_is_disputed() -> None:
    places = {"open": [AlertPlace("a", Period(1, 1))], "closed": [AlertPlace("a", Period(1, 1))]}
    store = Asked([incident("open"), incident("closed", "true_positive")], places)
    assert _said(store)["a"] == "true_positive"


def test_without_alerts_nothing_is_said() -> None:
    store = Asked([incident("one")], {})
    assert _said(store) == {}
    assert store.asked == []


_PERIODS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda one: Period(one[0], one[0] + one[1])))


@given(_PERIODS)
def test_joined_periods_hold_the_same_moments_apart_from_each_other(periods: list[Period]) -> None:
    joined = _joined(periods)
    moments = {at for one in periods for at in range(one.from_us, one.to_us + 1)}
    assert {at for one in joined for at in range(one.from_us, one.to_us + 1)} == moments
    assert all(one.to_us < other.from_us for one, other in itertools.pairwise(joined))


def test_a_scope_says_what_an_incident_is_about() -> None:
    named = {key: Scope("acme", f"acme:{key}", Period(0, 0)) for key in ("ab" * 16, "subject:cd", "source:crm/eu:1")}
    assert [(one.kind, one.value) for one in named.values()] == [
        ("actor", "ab" * 16), ("subject", "cd"), ("source", "crm/eu:1"),
    ]  # fmt: skip
