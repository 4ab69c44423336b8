"""Parsing of `access.incidents`: total, limited, and what it refuses is named by a code."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.incidents.records import (
    COMMANDS,
    MAX_VALUE_BYTES,
    UNREADABLE,
    AlertRecord,
    Command,
    Tick,
    Unreadable,
    encode_command,
    parse_record,
    seen_digest,
)
from tests.incident_logs import KEY, OTHER_KEY, TENANT, alert, command, encoded, uuid_of

OTHER = {"other_key": OTHER_KEY, "other_incident_id": str(uuid_of(2))}
FIELDS: dict[str, dict[str, Any]] = {
    "acknowledge": {},
    "assign": {"assignee": "li.wei"},
    "comment": {"severity": "low"},
    "contain": {"expires_us": 5, "account_token": "ab"},
    "contain_result": {"contain_id": str(uuid_of(1)), "succeeded": True},
    "resolve": {"verdict": "benign"},
    "reopen": {},
    "link": OTHER,
    "unlink": OTHER,
    "absorb": {"child_key": OTHER_KEY, "child_incident_id": str(uuid_of(2))},
    "merged_into": {"parent_key": OTHER_KEY, "parent_incident_id": str(uuid_of(2))},
    "suspect_breach": {"known_at_us": 7},
    "breach_step": {"step": "counted", "detail": {"subjects_all": 9, "facts": ["harm"]}},
    "tick": {},
}


def plain(record: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encoded(record))
    return document


def code_of(document: Any, key: str | None = KEY) -> str:
    found = parse_record(None if key is None else key.encode(), json.dumps(document).encode())
    assert isinstance(found, Unreadable)
    return found.code


def test_every_command_has_a_case_here() -> None:
    assert set(FIELDS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_survives_the_way_through_bytes_and_is_canonical(name: str) -> None:
    given_one = command(name, **FIELDS[name])
    value = encode_command(given_one)
    assert parse_record(KEY.encode(), value) == given_one
    assert isinstance(given_one, COMMANDS[name])
    assert value == json.dumps(json.loads(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_an_alert_as_it_is_published_is_read_and_may_carry_fields_to_come() -> None:
    found = parse_record(KEY.encode(), json.dumps({**plain(alert(risk=71.23)), "later": [1]}).encode())
    assert isinstance(found, AlertRecord)
    assert (found, found.risk_hundredths) == (alert(risk=71.23), 7123)


def test_the_numbers_that_an_alert_shows_have_one_digest_whatever_their_order_and_another_for_the_least_change() -> (
    None
):
    seen = {"subjects_1h": 410.0, "night": 0.1, "window_start_us": 1_795_000_000_000_000}
    assert seen_digest(dict(reversed(seen.items()))) == seen_digest(seen)
    others = [
        {**seen, "night": 0.1 + 2**-56},
        {**seen, "night": -0.1},
        {**seen, "nights": 0.1},
        {"night": 0.1},
        {},
        {"a=1\0b": 2.0},
        {"a": 1.0, "b": 2.0},
    ]
    assert len({seen_digest(one) for one in [seen, *others]}) == 8
    assert seen_digest({"a": 1.0}) == sha256(b"1:a=4607182418800017408").hexdigest()


def test_a_withdrawn_finding_is_seen_by_its_stage_or_its_reason() -> None:
    assert alert(stage="withdrawn").is_withdrawn
    assert alert(stage="final", reasons=("scheduled:withdrawn",)).is_withdrawn
    assert not alert(stage="provisional", reasons=("scheduled:provisional",)).is_withdrawn


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"type": "other"}, "unknown_type"),
        ({"command": "explode"}, "unknown_command"),
        ({"command": None}, "bad_value"),
        ({"surprise": 1}, "unknown_field"),
        ({"assignee": "x" * 129}, "bad_value"),
        ({"by": ""}, "bad_value"),
        ({"at_us": -1}, "bad_value"),
        ({"at_us": 10**40}, "bad_value"),
        ({"command_id": "no uuid"}, "bad_value"),
        ({"incident_key": OTHER_KEY}, "key_mismatch"),
        ({"tenant_id": "acm"}, "tenant_mismatch"),
        ({"why": "x" * 2001}, "bad_value"),
    ],
)
def test_what_is_wrong_with_a_command_is_named(changed: dict[str, Any], code: str) -> None:
    assert code_of({**plain(command("assign", assignee="li.wei")), **changed}) == code


@pytest.mark.parametrize("name", ["command_id", "tenant_id", "incident_key", "by", "at_us", "assignee"])
def test_a_missing_field_is_named_as_such(name: str) -> None:
    document = plain(command("assign", assignee="li.wei"))
    del document[name]
    assert code_of(document) == "missing_field"


@pytest.mark.parametrize("changed", [{"risk": 100.5}, {"risk": "60"}, {"severity": "dire"}, {"explanation": {}}])
def test_an_alert_out_of_bounds_is_refused(changed: dict[str, Any]) -> None:
    assert code_of({**plain(alert()), **changed}) in ("bad_value", "missing_field")


def test_keys_and_sizes_are_checked_before_anything_is_parsed() -> None:
    assert code_of(plain(alert()), key=None) == "bad_key"
    assert code_of(plain(alert()), key="k" * 513) == "bad_key"
    assert parse_record(b"\xff", b"{}") == Unreadable("bad_key")
    assert parse_record(KEY.encode(), None) == Unreadable("no_value", KEY)
    assert parse_record(KEY.encode(), b" " * (MAX_VALUE_BYTES + 1)) == Unreadable("too_large", KEY)
    padded = encoded(alert()) + b" " * (MAX_VALUE_BYTES - len(encoded(alert())))
    assert isinstance(parse_record(KEY.encode(), padded), AlertRecord)


@pytest.mark.parametrize(
    "value", [b"", b"[", b"\xff", b"[" * 200_000, b'{"type":"alert","x":' + b"[" * 200_000, b"null"]
)
def test_bytes_that_are_no_object_stop_nothing(value: bytes) -> None:
    found = parse_record(KEY.encode(), value)
    assert isinstance(found, Unreadable)
    assert found.code in ("bad_json", "bad_value")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
)


@given(st.binary() | st.none(), st.binary() | st.none())
def test_any_bytes_give_a_record_or_a_known_code(key: bytes | None, value: bytes | None) -> None:
    found = parse_record(key, value)
    assert isinstance(found, Unreadable)
    assert found.code in UNREADABLE


@given(
    st.sampled_from(sorted(FIELDS)), st.dictionaries(st.sampled_from(["by", "why", "command_id", "x", "at_us"]), JSON)
)
def test_any_value_in_any_field_gives_a_command_or_a_known_code(name: str, changed: dict[str, Any]) -> None:
    value = json.dumps({**plain(command(name, **FIELDS[name])), **changed}).encode()
    found = parse_record(KEY.encode(), value)
    assert isinstance(found, Command) or (isinstance(found, Unreadable) and found.code in UNREADABLE)


def test_a_person_is_whoever_is_not_the_system() -> None:
    assert command("acknowledge").is_by_person
    assert not command("acknowledge", by="system:anything").is_by_person
    assert isinstance(command("tick"), Tick)
    assert command("tick").tenant_id == TENANT
