"""Every severe rule: cases where it holds, cases where it does not, and the innocent look-alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from detectors.features import INDEX, N_FEATURES, compute
from detectors.profile import Profiles
from detectors.rules import all_rules
from pipeline.events import ACTIONS, ACTOR_STATUSES, ACTOR_TYPES, EXPLAINED, NETWORK_KINDS, OUTCOMES, codes
from tests.arrays import START_US, event_arrays

ACTION, ACTOR, OUTCOME = codes(ACTIONS), codes(ACTOR_TYPES), codes(OUTCOMES)
STATUS, NETWORK, WORK = codes(ACTOR_STATUSES), codes(NETWORK_KINDS), codes(EXPLAINED)
RULES = {rule.name: rule for rule in all_rules()}
FLOORS = {
    "bulk_export": 9000, "enumeration": 8500, "external_share": 8500, "impossible_travel": 8000,
    "inactive_account": 9000, "mass_unmask": 8500, "service_misuse": 8500,
}  # fmt: skip

EXPORT = {"action": ACTION["export"], "records": 500, "explained": WORK["not_yet_explained"]}
WALK = {"sequence": 0.5, "events_10m": np.log1p(21.0)}
SHARE = {"external": 1, "sensitivity": 3, "explained": WORK["not_yet_explained"]}
JOURNEY = {"travel": np.log1p(1001.0)}
LEFT = {"actor_status": STATUS["left"]}
LOOKS = {"unmasked_day": np.log1p(41.0), "unexplained_day": np.log1p(21.0)}
LOOK = {"unmasked": 1, "explained": WORK["not_yet_explained"]}
STOLEN = {"new_network": 0.9, "new_agent": 0.9}
SERVICE = {"actor_type": ACTOR["service"]}
ADMIN, PARTNER, AGENT = ({"actor_type": ACTOR[name]} for name in ("admin", "partner", "ai_agent"))

# (rule, what it is, fields of the event, features)
TRUE: list[tuple[str, str, Mapping[str, Any], Mapping[str, float]]] = [
    ("bulk_export", "an export of 500", EXPORT, {}),
    ("bulk_export", "a download of 20,000", {**EXPORT, "action": ACTION["download"], "records": 20_000}, {}),
    ("bulk_export", "printed by a partner", {**EXPORT, "action": ACTION["print"], **PARTNER}, {}),
    ("bulk_export", "a claimed work item only", {**EXPORT, "explained": WORK["claimed"]}, {}),
    ("bulk_export", "shared by an AI agent", {**EXPORT, "action": ACTION["share"], **AGENT}, {}),
    ("enumeration", "half in order, fast", {}, WALK),
    ("enumeration", "all in order, very fast", {}, {"sequence": 1.0, "events_10m": np.log1p(400.0)}),
    ("enumeration", "by a service", SERVICE, WALK),
    ("external_share", "sensitive, to an outsider", SHARE, {}),
    ("external_share", "highly sensitive", {**SHARE, "sensitivity": 4}, {}),
    ("external_share", "by an administrator, claimed", {**SHARE, **ADMIN, "explained": WORK["claimed"]}, {}),
    ("impossible_travel", "from an office", {"network_kind": NETWORK["office"]}, JOURNEY),
    ("impossible_travel", "from an unlisted network", {"network_kind": NETWORK["unlisted"]}, JOURNEY),
    ("impossible_travel", "a partner from home", {"network_kind": NETWORK["home"], **PARTNER}, JOURNEY),
    ("inactive_account", "left", LEFT, {}),
    ("inactive_account", "on leave", {"actor_status": STATUS["on_leave"]}, {}),
    ("inactive_account", "left, with a work item", {**LEFT, "explained": WORK["explained"]}, {}),
    ("mass_unmask", "forty-one looks", LOOK, LOOKS),
    ("mass_unmask", "by an administrator", {**LOOK, **ADMIN}, LOOKS),
    ("mass_unmask", "claimed only", {**LOOK, "explained": WORK["claimed"]}, LOOKS),
    ("service_misuse", "both new", SERVICE, STOLEN),
    ("service_misuse", "both entirely new", SERVICE, {"new_network": 1.0, "new_agent": 1.0}),
    ("service_misuse", "from a cloud", {**SERVICE, "network_kind": NETWORK["cloud"]}, STOLEN),
]  # fmt: skip
FALSE: list[tuple[str, str, Mapping[str, Any], Mapping[str, float]]] = [
    ("bulk_export", "499 records", {**EXPORT, "records": 499}, {}),
    ("bulk_export", "approved", {**EXPORT, "approved": 1}, {}),
    ("bulk_export", "refused", {**EXPORT, "outcome": OUTCOME["denied"]}, {}),
    ("bulk_export", "a search that lists 500", {**EXPORT, "action": ACTION["search"]}, {}),
    ("bulk_export", "look-alike: the nightly export of a service", {**EXPORT, **SERVICE}, {}),
    ("bulk_export", "look-alike: ordered by a work item", {**EXPORT, "explained": WORK["explained"]}, {}),
    ("enumeration", "fast, out of order", {}, {"sequence": 0.45, "events_10m": np.log1p(60.0)}),
    ("enumeration", "in order, slowly", {}, {"sequence": 1.0, "events_10m": np.log1p(19.0)}),
    ("enumeration", "neither", {}, {}),
    ("enumeration", "look-alike: a short list in order", {}, {"sequence": 1.0, "events_10m": np.log1p(10.0)}),
    ("external_share", "hardly sensitive", {**SHARE, "sensitivity": 2}, {}),
    ("external_share", "inside", {**SHARE, "external": 0}, {}),
    ("external_share", "failed", {**SHARE, "outcome": OUTCOME["error"]}, {}),
    ("external_share", "look-alike: approved", {**SHARE, "approved": 1}, {}),
    ("external_share", "look-alike: customers fetch their own", {**SHARE, "actor_type": ACTOR["customer"]}, {}),
    ("impossible_travel", "an aeroplane", {}, {"travel": np.log1p(900.0)}),
    ("impossible_travel", "a service in two data centres", SERVICE, JOURNEY),
    ("impossible_travel", "an AI agent", AGENT, JOURNEY),
    ("impossible_travel", "look-alike: dialled into the VPN", {"network_kind": NETWORK["vpn"]}, JOURNEY),
    ("impossible_travel", "look-alike: a desktop in the cloud", {"network_kind": NETWORK["cloud"]}, JOURNEY),
    ("inactive_account", "active", {"actor_status": STATUS["active"]}, {}),
    ("inactive_account", "not in the directory", {"actor_status": STATUS["unlisted"]}, {}),
    ("inactive_account", "no directory", {"actor_status": 0}, {}),
    ("inactive_account", "look-alike: the lock held", {**LEFT, "outcome": OUTCOME["denied"]}, {}),
    ("mass_unmask", "thirty-nine looks", LOOK, {**LOOKS, "unmasked_day": np.log1p(39.0)}),
    ("mass_unmask", "this one is masked", {**LOOK, "unmasked": 0}, LOOKS),
    ("mass_unmask", "a service", {**LOOK, **SERVICE}, LOOKS),
    ("mass_unmask", "this one is explained", {**LOOK, "explained": WORK["explained"]}, LOOKS),
    ("mass_unmask", "look-alike: a busy day with tickets", LOOK, {**LOOKS, "unexplained_day": np.log1p(3.0)}),
    ("service_misuse", "a person", {}, STOLEN),
    ("service_misuse", "a new program only", SERVICE, {"new_network": 0.0, "new_agent": 1.0}),
    ("service_misuse", "a new network only", SERVICE, {"new_network": 1.0, "new_agent": 0.1}),
    ("service_misuse", "look-alike: moved last week, now known", SERVICE, {"new_network": 0.05, "new_agent": 0.05}),
]  # fmt: skip


def risk_of(rule: str, fields: Mapping[str, Any], features: Mapping[str, float]) -> int:
    row = np.zeros((1, N_FEATURES), np.float32)
    for name, value in features.items():
        row[0, INDEX[name]] = value
    (risk,) = RULES[rule].risk(event_arrays(1, **fields), row, np.zeros((1, N_FEATURES + 3), np.float32))
    return int(risk)


def named(cases: list[tuple[str, str, Mapping[str, Any], Mapping[str, float]]]) -> list[Any]:
    return [pytest.param(rule, fields, row, id=f"{rule}: {name}") for rule, name, fields, row in cases]


@pytest.mark.parametrize(("rule", "fields", "features"), named(TRUE))
def test_the_rule_holds(rule: str, fields: Mapping[str, Any], features: Mapping[str, float]) -> None:
    assert risk_of(rule, fields, features) == FLOORS[rule]


@pytest.mark.parametrize(("rule", "fields", "features"), named(FALSE))
def test_the_rule_does_not_hold(rule: str, fields: Mapping[str, Any], features: Mapping[str, float]) -> None:
    assert risk_of(rule, fields, features) == 0


@pytest.mark.parametrize(("rule", "fields", "features"), named(TRUE))
def test_no_rule_judges_what_is_not_scorable(
    rule: str, fields: Mapping[str, Any], features: Mapping[str, float]
) -> None:
    assert risk_of(rule, {**fields, "scorable": 0}, features) == 0


def test_every_rule_has_its_cases() -> None:
    for name in RULES:
        assert sum(case[0] == name for case in TRUE) >= 3
        assert sum(case[0] == name and not case[1].startswith("look-alike") for case in FALSE) >= 3
        assert any(case[0] == name and case[1].startswith("look-alike") for case in FALSE)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_judges_each_row_alone(rule: str) -> None:
    """A mixed batch gives the same risks as its rows one by one."""
    cases = [case for case in TRUE + FALSE if case[0] == rule]
    names = sorted({name for case in cases for name in case[2]})
    defaults = {name: getattr(event_arrays(1), name)[0] for name in names}
    mixed = event_arrays(len(cases), **{name: [case[2].get(name, defaults[name]) for case in cases] for name in names})
    rows = np.zeros((len(cases), N_FEATURES), np.float32)
    for index, case in enumerate(cases):
        for name, value in case[3].items():
            rows[index, INDEX[name]] = value
    risks = RULES[rule].risk(mixed, rows, np.zeros((len(cases), N_FEATURES + 3), np.float32))
    assert risks.tolist() == [FLOORS[rule] if case in TRUE else 0 for case in cases]
    assert risks.dtype == np.uint16


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_says_its_reason_in_both_languages(rule: str) -> None:
    assert list(RULES[rule].reasons) == [f"rule:{rule}"]
    (reason,) = RULES[rule].reasons.values()
    assert reason.code == f"rule:{rule}"
    for english, chinese in ((reason.title_en, reason.title_zh), (reason.next_step_en, reason.next_step_zh)):
        assert english.isascii()
        assert any("\u4e00" <= character <= "\u9fff" for character in chinese)
    assert reason.articles


def test_the_order_of_the_rules_is_fixed() -> None:
    assert [rule.name for rule in all_rules()] == sorted(FLOORS)


@pytest.mark.parametrize("kind", ["vpn", "cloud"])
def test_coming_back_from_a_tunnel_to_the_office_is_no_journey(kind: str) -> None:
    """Look-alike: the tunnel ends in Frankfurt, its user sits in Shanghai all day."""
    events = event_arrays(
        3,
        time_us=START_US + np.array([0, 10, 20]) * 60_000_000,
        network_kind=[NETWORK["office"], NETWORK[kind], NETWORK["office"]],
        latitude=[31.2, 50.1, 31.2],
        longitude=[121.5, 8.7, 121.5],
    )
    features, _, _ = compute(events, Profiles())
    risks = RULES["impossible_travel"].risk(events, features, np.zeros((3, N_FEATURES + 3), np.float32))
    assert risks.tolist() == [0, 0, 0]
