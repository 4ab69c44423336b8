"""Enrich: does an access fit the purpose register and the partner's contract, and what only the raw event shows."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from detectors.base import EventArrays
from pipeline import events as words
from pipeline.directory.calendar_cn import epoch_day
from pipeline.directory.snapshot import PartnerRow, PurposeRow, SubjectRow
from pipeline.events import AccessEvent
from pipeline.privacy.protected import CONSENT_WITHDRAWN, SELF_GRANT, Protected
from pipeline.stages.protect import Protector, protect
from tests.enriching import KEYRING, REQUIRED, actor, run, token

PURPOSES = (
    PurposeRow("support", ("service",), ("customer_profile", "order"), "contract"),
    PurposeRow("marketing", (), (), "consent"),
)
TODAY = epoch_day(date(2026, 11, 20))
PARTNERS = (
    PartnerRow("acme-calls", "K-1", ("customer_profile",), ("support",), 200, TODAY - 10, TODAY + 10),
    PartnerRow("acme-calls", "K-2", ("order",), (), None, TODAY - 10, None),
    PartnerRow("lapsed", "K-3", (), (), 50, None, TODAY - 1),
)
PARTNER = {"actor_type": "partner", "actor_id": "agent-7", "actor_org": "acme-calls", "purpose": "support"}


def fits(field: str, vocabulary: tuple[str, ...], *given: dict[str, Any], **directory: Any) -> list[str]:
    arrays, _ = run(*given, **directory)
    return [("", *vocabulary)[code] for code in getattr(arrays, field)]


def test_a_purpose_fits_the_departments_and_kinds_of_data_of_the_register() -> None:
    found = fits(
        "purpose_fit",
        words.PURPOSE_FITS,
        {"purpose": "support"},
        {"purpose": "support", "resource_type": "payment"},
        {"purpose": "marketing", "resource_type": "payment"},
        {"purpose": "fun"},
        {},
        actors=(actor(),),
        purposes=PURPOSES,
    )
    assert found == ["fits", "other_resource", "fits", "unregistered", ""]


def test_another_department_does_not_fit_and_an_unknown_one_is_not_held_against_anybody() -> None:
    sales, unknown = actor("sales-1", department="sales"), actor("new-1", department="")
    events = [{"purpose": "support", "actor_id": name} for name in ("sales-1", "new-1")]
    found = fits("purpose_fit", words.PURPOSE_FITS, *events, actors=(sales, unknown), purposes=PURPOSES)
    assert found == ["other_department", "fits"]


def test_without_a_register_no_purpose_is_judged() -> None:
    assert fits("purpose_fit", words.PURPOSE_FITS, {"purpose": "fun"}) == [""]


def contract(*given: dict[str, Any]) -> tuple[list[str], list[int]]:
    arrays, _ = run(*[{**PARTNER, **one} for one in given], partners=PARTNERS)
    return [("", *words.CONTRACT_FITS)[code] for code in arrays.contract], arrays.contract_limit.tolist()


def test_one_contract_in_force_that_covers_the_access_is_enough() -> None:
    fit, _ = contract({}, {"resource_type": "order", "purpose": "anything"})
    assert fit == ["within", "within"]


def test_kind_of_data_purpose_and_period_outside_the_contract_are_told_apart() -> None:
    fit, limit = contract(
        {"resource_type": "payment"}, {"purpose": "marketing"}, {"actor_org": "lapsed"}, {"actor_org": "unheard-of"}
    )
    assert fit == ["other_resource", "other_purpose", "out_of_period", "no_contract"]
    assert limit[2:] == [-1, -1]


def test_a_contract_without_a_limit_lifts_the_limit_of_the_others() -> None:
    assert contract({})[1] == [-1]
    arrays, _ = run(PARTNER, partners=PARTNERS[:1])
    assert arrays.contract_limit.tolist() == [200]


def test_a_value_that_the_event_leaves_out_is_not_held_against_it() -> None:
    without = {name: value for name, value in PARTNER.items() if name != "purpose"}
    arrays, _ = run(without, partners=PARTNERS[:1])
    assert words.CONTRACT_FITS[arrays.contract[0] - 1] == "within"


@pytest.mark.parametrize("kind", ["employee", "service", "customer"])
def test_contracts_are_for_partners_only(kind: str) -> None:
    arrays, _ = run({**PARTNER, "actor_type": kind}, partners=PARTNERS)
    assert (arrays.contract[0], arrays.contract_limit[0]) == (0, -1)


def arrays_of(**event: Any) -> EventArrays:
    return run(event, actors=(actor(),))[0]


def test_rights_granted_to_the_own_account_are_marked() -> None:
    grant = {"action": "grant", "resource_type": "account", "actor_id": "zhang.wei"}
    assert arrays_of(**grant, resource_id="zhang.wei").grant_to_self[0] == 1
    assert arrays_of(**grant, resource_id="ｚhang.wei").grant_to_self[0] == 1  # full width, the same account
    assert arrays_of(**grant, resource_id="li.na").grant_to_self[0] == 0
    assert arrays_of(**{**grant, "resource_type": "role"}, resource_id="zhang.wei").grant_to_self[0] == 0
    assert arrays_of(**{**grant, "action": "read"}, resource_id="zhang.wei").grant_to_self[0] == 0


def test_withdrawn_consent_is_seen_though_the_attribute_is_dropped() -> None:
    assert arrays_of(attrs={"consent_state": "withdrawn"}).consent_withdrawn[0] == 1
    assert arrays_of(attrs={"consent_state": "given"}).consent_withdrawn[0] == 0
    assert arrays_of().consent_withdrawn[0] == 0


def test_marks_of_joined_batches_stay_with_their_events() -> None:
    protector = Protector(KEYRING, partitions=4)
    grant = {"action": "grant", "resource_type": "account", "resource_id": "zhang.wei"}
    events: list[dict[str, Any]] = [{}, grant, {"attrs": {"consent_state": "withdrawn"}}]
    parts = [protect([msgspec.convert({**REQUIRED, **more}, AccessEvent)], protector) for more in events]
    assert Protected.joined(parts).marks.tolist() == [0, SELF_GRANT, CONSENT_WITHDRAWN]


def test_the_household_is_that_of_the_actors_own_records() -> None:
    home, elsewhere = token("household", "h-1"), token("household", "h-2")
    subjects = (
        SubjectRow(token("subject", "c-1"), "", (), home),
        SubjectRow(token("subject", "c-2"), "", (), home),
        SubjectRow(token("subject", "c-3"), "", (), elsewhere),
        SubjectRow(token("subject", "c-4"), "", ()),
    )
    owner = actor(own_subjects=(token("subject", "c-1"),))
    events = [{"subject_ids": [name]} for name in ("c-1", "c-2", "c-3", "c-4", "c-5")]
    arrays, _ = run(*events, {"subject_ids": ["c-3", "c-2"]}, {}, subjects=subjects, actors=(owner,))
    assert arrays.own_subject.tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert arrays.household_subject.tolist() == [0, 1, 0, 0, 0, 1, 0]


def test_two_people_without_a_household_do_not_live_together() -> None:
    subjects = (SubjectRow(token("subject", "c-1"), "", ()), SubjectRow(token("subject", "c-2"), "", ()))
    arrays, _ = run(
        {"subject_ids": ["c-2"]}, subjects=subjects, actors=(actor(own_subjects=(token("subject", "c-1"),)),)
    )
    assert arrays.household_subject.tolist() == [0]


def test_abroad_is_measured_from_the_actors_own_country() -> None:
    here = actor(site="sh")
    arrays, _ = run(
        {"dst_country": "SG", "src_country": "CN"}, {"dst_country": "CN", "src_country": "NL"}, {}, actors=(here,)
    )
    assert arrays.destination_abroad.tolist() == [1, 0, 0]
    assert arrays.source_abroad.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("user_agent", "kind"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", "browser"),
        ("DBeaver 24.1", "database_client"),
        ("curl/8.9.1", "script"),
        ("okhttp/4.12", "service"),
        ("Dalvik/2.1.0 (Linux; Android 14)", "mobile_app"),
        ("MicroMessenger/8.0", "office_app"),
        ("something new", "other"),
        (None, ""),
    ],
)
def test_the_program_is_known_by_its_kind(user_agent: str | None, kind: str) -> None:
    arrays = arrays_of(**({"user_agent": user_agent} if user_agent else {}))
    assert ("", *words.AGENT_KINDS)[arrays.agent_kind[0]] == kind
