"""The matrix of roles and actions: separation of duties, two-person actions, refusals that say what to do."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.accounts.model import checked_name, checked_password, checked_roles
from pipeline.accounts.permissions import (
    ACTIONS,
    ALWAYS,
    CONFLICTS,
    IF_CONFIGURED,
    NEVER,
    ROLES,
    conflicts_in,
    may,
    needs_second_person,
    refuse_conflicts,
    require,
    require_second,
)
from pipeline.errors import EXIT_FORBIDDEN, Forbidden, UsageError

ROLE_SETS = st.frozensets(st.sampled_from(sorted(ROLES)))
READS_EVIDENCE = {
    "read_incidents", "search_evidence", "query_evidence", "export_evidence", "export_incident", "export_bulk",
    "audit_report", "see_masked_identity",
}  # fmt: skip
REVEALS = {"reveal_identity", "reveal_identities", "subject_report"}
LOOKS_ONLY = {
    "read_status",
    "read_holds",
    "plan_retention",
    "verify_ledger",
    "read_account_changes",
    "manage_own_account",
}
GRANTS = {"manage_accounts", "manage_roles"}


def _allowed(roles: frozenset[str]) -> set[str]:
    return {name for name in ACTIONS if may(roles, name)}


@given(ROLE_SETS)
def test_no_allowed_combination_breaks_separation(roles: frozenset[str]) -> None:
    if conflicts_in(roles):
        with pytest.raises(UsageError) as caught:
            refuse_conflicts(roles)
        assert caught.value.code == "separation_of_duties"
        return
    refuse_conflicts(roles)
    can = _allowed(roles)
    if can & GRANTS:
        assert can <= GRANTS | LOOKS_ONLY, "who hands out roles does nothing else"
    if "export_evidence" in can:
        assert can <= READS_EVIDENCE | LOOKS_ONLY, "an auditor changes nothing"
    if can & REVEALS:
        assert "resolve_incident" not in can, "who reveals does not investigate"
    if "run_system" in can:
        assert not can & (REVEALS | {"resolve_incident", "waive_breach_duty", "export_bulk"})


@given(ROLE_SETS, ROLE_SETS)
def test_more_roles_never_take_a_conflict_or_a_permission_away(some: frozenset[str], more: frozenset[str]) -> None:
    assert set(conflicts_in(some)) <= set(conflicts_in(some | more))
    assert _allowed(some) <= _allowed(some | more)


def test_every_duty_has_a_role_and_every_pair_of_duties_conflicts_somewhere() -> None:
    duties = {role.duty for role in ROLES.values()}
    assert duties == {"operate", "secure", "audit", "grant"}
    apart = {frozenset((ROLES[one.first].duty, ROLES[one.second].duty)) for one in CONFLICTS}
    assert {frozenset((a, b)) for a in duties for b in duties if a < b} <= apart


def test_no_pair_is_listed_twice() -> None:
    assert len({frozenset((one.first, one.second)) for one in CONFLICTS}) == len(CONFLICTS)


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_whole(name: str) -> None:
    action = ACTIONS[name]
    assert action.roles
    assert set(action.roles) | set(action.seconders) <= set(ROLES)
    assert action.second in (NEVER, ALWAYS, IF_CONFIGURED)
    assert bool(action.seconders) == (action.second != NEVER)
    assert action.english.endswith(".")
    assert action.chinese.endswith("。")
    assert re.fullmatch("[a-z_]+", name)


def test_two_person_actions() -> None:
    always = {name for name in ACTIONS if needs_second_person(name)}
    assert always == {
        "export_bulk",
        "reveal_identities",
        "close_breach_unnotified",
        "waive_breach_duty",
        "report_actors",
    }
    assert needs_second_person("contain_actor", ["contain_actor"])
    assert not needs_second_person("acknowledge_incident", ["acknowledge_incident"]), "only where it may be asked"


def test_a_refusal_says_which_role_and_who_grants_it() -> None:
    with pytest.raises(Forbidden, match=r"needs the role analyst.*holds soc.*role admin can grant it") as caught:
        require("li.wei", {"soc"}, "manage_models")
    assert (caught.value.exit_code, caught.value.code) == (EXIT_FORBIDDEN, "forbidden")
    require("li.wei", {"analyst"}, "manage_models")


def test_nobody_seconds_themselves_or_without_the_role() -> None:
    with pytest.raises(Forbidden, match="cannot second what it asked for itself"):
        require_second("waive_breach_duty", "a.b", "a.b", {"dpo"})
    with pytest.raises(Forbidden, match="takes the role dpo or responder"):
        require_second("waive_breach_duty", "a.b", "c.d", {"auditor"})
    require_second("waive_breach_duty", "a.b", "c.d", {"responder"})


@pytest.mark.parametrize(
    "name", ["a", "A.b", "1ab", "li wei", "x" * 33, "lï.wei", "li.wei\n", "", "system", "system:x"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError):
        checked_name(name)


def test_names_roles_and_passwords_that_are_fine() -> None:
    assert checked_name("li.wei-2_x") == "li.wei-2_x"
    assert checked_roles(["soc", "soc"]) == {"soc"}
    assert checked_password("correct horse battery", "li.wei") == "correct horse battery"


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaa", "my-Li.Wei-password", "x" * 1025])
def test_weak_passwords_are_refused_without_being_quoted(password: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_password(password, "li.wei")
    assert password not in str(caught.value)


@pytest.mark.parametrize("roles", [[], ["root"]])
def test_roles_that_are_none(roles: list[str]) -> None:
    with pytest.raises(UsageError):
        checked_roles(roles)
