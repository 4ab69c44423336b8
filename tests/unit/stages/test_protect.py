"""Protect: every field has its treatment, and what must not be stored is in no column, not even in bytes."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from pipeline.column_batch import ArrayColumn, Column, ColumnBatch, FixedColumn, MapColumn, TextColumn
from pipeline.columns import ACCESS_EVENT_COLUMNS, DEAD_LETTER_COLUMNS, WIRE_TREATMENTS, evidence
from pipeline.events import ACTIONS, AccessEvent, LogPosition, RecordBatch, Rejected, codes
from pipeline.partitioning import partition_of
from pipeline.privacy.keys import Keyring
from pipeline.privacy.sealing import open_sealed, position_bytes, record_parts
from pipeline.stages.protect import Protector, protect, protect_dead_letters

KEYRING = Keyring.offline()
PARTITIONS = 24
NOT_FROM_THE_WIRE = ("position", "enrich", "assess", "row")

REQUIRED: dict[str, Any] = {
    "schema_version": 1,
    "event_id": "0192f3c4-7a31-7cc2-9d50-2b4f6f0f8a11",
    "event_time": "2026-11-20T10:15:30.123+08:00",
    "source_system": "crm",
    "channel": "ui",
    "action": "read",
    "outcome": "success",
    "actor_id": "zhang.wei",
    "actor_type": "employee",
    "resource_type": "customer_profile",
    "resource_id": "r-18823",
}
OPTIONAL: dict[str, Any] = {
    "tenant_id": "acme",
    "source_instance": "crm-web-3",
    "source_seq": 918273,
    "http_status": 200,
    "denial_reason": "no ticket",
    "actor_org": "acme",
    "actor_dept": "customer_service",
    "actor_role": "agent",
    "on_behalf_of": "li.na",
    "credential_id": "AKIA-77-credential",
    "session_id": "session-771",
    "mfa": True,
    "device_id": "device-1042",
    "user_agent": "Mozilla/5.0 Chrome/120.0 special-build-9",
    "src_ip": "10.20.3.7",
    "src_country": "CN",
    "src_city": "Shanghai",
    "app_id": "crm",
    "endpoint": "/customers/{id}",
    "data_categories": ["mobile", "contact"],
    "sensitivity": 2,
    "fields_accessed": ["name", "mobile"],
    "fields_unmasked": ["mobile"],
    "records_returned": 1,
    "records_matched": 3,
    "bytes_out": 812,
    "subject_ids": ["c-18823", "c-18824"],
    "subject_count": 7,
    "subject_manifest": "manifest-55",
    "subject_region": "Shanghai",
    "subject_flags": ["vip", "minor"],
    "recipient_id": "courier-9",
    "recipient_type": "partner",
    "dst_country": "SG",
    "purpose": "support",
    "legal_basis": "contract",
    "case_ref": "T-55120",
    "approval_ref": "AP-31",
    "justification": "customer called from 13812341234",
    "break_glass": False,
    "query_fingerprint": "f00dfeed",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "attrs": {"role": "admin", "note": "dropped entirely"},
}


def event(**fields: Any) -> AccessEvent:
    return msgspec.json.decode(json.dumps({**REQUIRED, **fields}), type=AccessEvent)


def protector(**options: Any) -> Protector:
    return Protector(KEYRING, partitions=PARTITIONS, **options)


def texts(column: Column) -> list[str]:
    assert isinstance(column, TextColumn)
    return [column.interner.texts[number] for number in column.ids]


def lists(column: Column) -> list[list[Any]]:
    assert isinstance(column, ArrayColumn)
    items = texts(column.items) if isinstance(column.items, TextColumn) else column.items.values.tolist()
    starts = [0, *column.ends.tolist()]
    return [items[start:end] for start, end in zip(starts, column.ends, strict=False)]


def pieces(column: Column) -> Iterator[bytes]:
    """Every byte that a column would store."""
    if isinstance(column, FixedColumn):
        yield column.values.tobytes()
    elif isinstance(column, TextColumn):
        yield "\n".join(texts(column)).encode()
    elif isinstance(column, ArrayColumn):
        yield from pieces(column.items)
    elif isinstance(column, MapColumn):
        yield from pieces(column.keys)
        yield from pieces(column.values)


def everything(batch: ColumnBatch) -> bytes:
    return b"\n".join(piece for column in batch.columns.values() for piece in pieces(column))


def test_every_wire_field_has_a_treatment_and_every_treatment_a_field() -> None:
    assert set(AccessEvent.__struct_fields__) == set(WIRE_TREATMENTS)


@pytest.mark.parametrize("fields", [{}, OPTIONAL], ids=["required only", "everything"])
def test_every_column_that_comes_from_the_wire_is_filled_in_its_own_type(fields: dict[str, Any]) -> None:
    columns = protect([event(**fields), event()], protector()).columns
    expected = [spec for spec in ACCESS_EVENT_COLUMNS if spec.origin not in NOT_FROM_THE_WIRE]
    assert {spec.name for spec in expected} == set(columns.columns)
    for spec in expected:
        column = columns.columns[spec.name]
        if spec.kind == "fixed":
            assert columns.fixed(spec.name).dtype == spec.dtype, spec.name
            assert columns.fixed(spec.name).shape == (2,), spec.name
        elif spec.kind == "text":
            assert len(texts(column)) == 2, spec.name
        elif spec.kind == "map":
            assert isinstance(column, MapColumn), spec.name
            assert len(column.ends) == 2
        else:
            assert len(lists(column)) == 2, spec.name
            assert isinstance(column, ArrayColumn)
            assert isinstance(column.items, FixedColumn) == (spec.kind == "array_fixed")


@pytest.mark.parametrize("field", [name for name, (treatment, _) in WIRE_TREATMENTS.items() if treatment == "token"])
def test_a_tokenised_field_leaves_its_token_and_nothing_else(field: str) -> None:
    _, kind = WIRE_TREATMENTS[field]
    planted = "Planted-Identifier-4711"
    value = [planted] if field == "subject_ids" else planted
    found = everything(protect([event(**{field: value})], protector()).columns)
    assert planted.encode() not in found
    assert b"Planted" not in found
    assert KEYRING.token("default", kind, planted) in found


@pytest.mark.parametrize("field", [name for name, (treatment, _) in WIRE_TREATMENTS.items() if treatment == "mask"])
def test_a_masked_field_loses_personal_numbers_and_keeps_the_rest(field: str) -> None:
    found = everything(protect([event(**{field: "about 13812345678 ok"})], protector()).columns)
    assert b"13812345678" not in found
    assert b"about 138****5678 ok" in found


@pytest.mark.parametrize("field", [name for name, (treatment, _) in WIRE_TREATMENTS.items() if treatment == "clear"])
def test_a_clear_field_arrives_as_it_was(field: str) -> None:
    value = OPTIONAL.get(field, REQUIRED.get(field))
    columns = protect([event(**{field: value})], protector()).columns
    name = {"subject_flags": "subject_flags"}.get(field, field)
    column = columns.columns[name]
    if isinstance(column, TextColumn):
        assert texts(column) == [value]
    elif isinstance(column, ArrayColumn):
        assert lists(column) == [value]
    elif field in ("source_seq", "http_status", "sensitivity", "subject_count") or field.startswith(
        ("records", "bytes")
    ):
        assert columns.fixed(name).tolist() == [value]
    else:
        assert np.any(columns.fixed(name).view("u1") != 0), "words, times, ids and addresses have tests of their own"


def test_the_user_agent_leaves_a_family_and_a_keyed_hash() -> None:
    columns = protect([event(user_agent=OPTIONAL["user_agent"])], protector()).columns
    assert texts(columns.columns["user_agent_family"]) == ["chrome"]
    assert columns.fixed("user_agent_hash").tolist() == [KEYRING.token("default", "user_agent", OPTIONAL["user_agent"])]
    assert b"special-build" not in everything(columns)


def test_only_allowed_attributes_are_kept_masked_and_in_order() -> None:
    attrs = {"role": "admin", "note": "secret", "a": "tel 13812345678"}
    kept = protect([event(attrs=attrs), event(), event(attrs={"x": "y"})], protector(attrs_allowed=["role", "a"]))
    column = kept.columns.columns["attrs"]
    assert isinstance(column, MapColumn)
    assert column.ends.tolist() == [2, 2, 2]
    assert texts(column.keys) == ["a", "role"]
    assert texts(column.values) == ["tel 138****5678", "admin"]
    assert b"secret" not in everything(kept.columns)


def test_words_ids_times_and_addresses_take_their_stored_form() -> None:
    columns = protect(
        [event(src_ip="10.20.3.7", mfa=True), event(mfa=False, action="log_control")], protector()
    ).columns
    assert columns.fixed("action").tolist() == [codes(ACTIONS)["read"], codes(ACTIONS)["log_control"]]
    assert columns.fixed("mfa").tolist() == [2, 1]
    assert columns.fixed("break_glass").tolist() == [0, 0]
    assert columns.fixed("event_time").tolist() == [1795140930123000] * 2
    assert columns.fixed("src_ip").tolist() == [b"\0" * 10 + b"\xff\xff\x0a\x14\x03\x07", bytes(16)]
    number = uuid.UUID(REQUIRED["event_id"]).int
    halves = (number >> 64).to_bytes(8, "little") + (number & (1 << 64) - 1).to_bytes(8, "little")
    assert columns.fixed("event_id").tolist()[0] == halves
    assert columns.fixed("source_seq").tolist() == [-1, -1]
    assert columns.fixed("http_status").tolist() == [0, 0]


def test_numbers_that_only_some_events_carry_keep_their_rows() -> None:
    columns = protect([event(records_returned=5), event(), event(records_returned=0)], protector()).columns
    assert columns.fixed("records_returned").tolist() == [5, -1, 0]
    assert columns.fixed("subject_count").tolist() == [0, 0, 0]


def test_the_largest_numbers_of_the_wire_fit() -> None:
    columns = protect([event(bytes_out=2**63 - 1, source_seq=2**63 - 1)], protector()).columns
    assert columns.fixed("bytes_out").tolist() == [2**63 - 1]


def test_a_resource_that_is_a_subject_shares_its_token() -> None:
    columns = protect(
        [
            event(resource_id="c-1", subject_ids=["c-0", "c-1"]),
            event(resource_id="c-1", subject_ids=["c-2"]),
            event(resource_id="c-1"),
            event(resource_id="７-1", subject_ids=["7-1"]),
        ],
        protector(),
    ).columns
    subject, resource = KEYRING.token("default", "subject", "c-1"), KEYRING.token("default", "resource", "c-1")
    seven = KEYRING.token("default", "subject", "7-1")
    assert columns.fixed("resource_token").tolist() == [subject, resource, resource, seven]
    assert lists(columns.columns["subject_tokens"])[0] == [KEYRING.token("default", "subject", "c-0"), subject]
    assert lists(columns.columns["subject_tokens"])[2] == []


def test_a_resource_id_is_clear_only_for_declared_object_types_and_never_a_subject() -> None:
    events = [
        event(resource_type="invoice", resource_id="inv-1"),
        event(resource_type="customer", resource_id="c-1"),
        event(resource_type="invoice", resource_id="c-1", subject_ids=["c-1"]),
        event(resource_type="invoice", resource_id="export of 13812345678"),
    ]
    columns = protect(events, protector(), frozenset(["invoice"])).columns
    assert texts(columns.columns["resource_id"]) == ["inv-1", "", "", "export of 138****5678"]
    assert texts(protect(events, protector()).columns.columns["resource_id"]) == [""] * 4


def test_tenants_of_one_batch_have_their_own_tokens() -> None:
    tenants = ["a", "b", "a", "b"]
    events = [
        event(tenant_id=tenant, subject_ids=["s"] * (row + 1), session_id=f"s{row % 2}", resource_id="s")
        for row, tenant in enumerate(tenants)
    ]
    columns = protect(events, protector()).columns
    for row, tenant in enumerate(tenants):
        assert columns.fixed("actor_token").tolist()[row] == KEYRING.token(tenant, "actor", "zhang.wei")
        assert columns.fixed("session_token").tolist()[row] == KEYRING.token(tenant, "session", f"s{row % 2}")
        assert lists(columns.columns["subject_tokens"])[row] == [KEYRING.token(tenant, "subject", "s")] * (row + 1)
        assert columns.fixed("resource_token").tolist()[row] == KEYRING.token(tenant, "subject", "s")
    assert texts(columns.columns["tenant_id"]) == tenants


def test_a_batch_of_tenants_equals_its_events_one_by_one() -> None:
    events = [event(**{**OPTIONAL, "tenant_id": tenant}) for tenant in ("b", "a", "b")]
    together = protect(events, protector())
    for row, one in enumerate(events):
        alone = protect([one], protector())
        for name, column in alone.columns.columns.items():
            if isinstance(column, FixedColumn):
                assert together.columns.fixed(name)[row] == column.values[0], name
            elif isinstance(column, TextColumn):
                assert texts(together.columns.columns[name])[row] == texts(column)[0], name
        assert together.sequence[row] == alone.sequence[0]


def test_sequence_keeps_differences_within_an_actor_and_hides_the_number() -> None:
    ids = ["c-100", "c-101", "c-105", "no number"]
    protected = protect([event(resource_id=name) for name in ids], protector())
    first = int(protected.sequence[0])
    assert [(int(value) - first) % 2**32 for value in protected.sequence[:3]] == [0, 1, 5]
    assert protected.sequence[3] == 0
    assert first not in (100, 101)
    other = protect([event(resource_id="c-100", actor_id="li.na")], protector())
    assert other.sequence[0] != first


def test_sequence_falls_back_to_the_first_subject() -> None:
    by_subject = protect([event(resource_id="list", subject_ids=["c-7", "c-9"])], protector())
    by_resource = protect([event(resource_id="c-7")], protector())
    assert by_subject.sequence[0] == by_resource.sequence[0] != 0


def test_misrouted_marks_records_of_another_partition() -> None:
    actors = [f"u{number}" for number in range(30)]
    protected = protect([event(actor_id=actor) for actor in actors], protector())
    protected.mark_misrouted(5)
    homes = [partition_of(actor.encode(), PARTITIONS) for actor in actors]
    assert protected.home_partitions.tolist() == homes
    assert protected.columns.fixed("misrouted").tolist() == [int(home != 5) for home in homes]
    assert protected.columns.fixed("misrouted").dtype == np.dtype("u1")


def test_memory_changes_nothing() -> None:
    shared = protector()
    events = [event(**OPTIONAL), event(subject_ids=["c-1"])]
    first = everything(protect(events, shared).columns)
    for number in range(5):
        protect([event(actor_id=f"u{number}", justification=f"text {number}")], shared)
        shared.renew_if_full()
    assert everything(protect(events, shared).columns) == first == everything(protect(events, protector()).columns)


def test_the_search_for_leaks_finds_a_planted_identifier() -> None:
    batch = protect([event()], protector()).columns
    batch.columns["actor_org"] = protect([event(actor_org="zhang.wei")], protector()).columns.columns["actor_org"]
    assert b"zhang.wei" in everything(batch)


def records() -> RecordBatch:
    values = [b'{"actor_id": "zhang.wei", "phone": "13812345678"}', None, b""]
    return RecordBatch(
        LogPosition("access.events", "life", 3),
        np.array([10, 11, 15]),
        np.array([1000, 2000, 3000]),
        [b"zhang.wei", None, b"k"],
        list(values),
    )


def test_dead_letters_fill_every_evidence_column_and_hold_no_payload_in_clear() -> None:
    rejected = [Rejected(0, "bad_json"), Rejected(1, "tombstone"), Rejected(2, "empty")]
    batch = protect_dead_letters(records(), rejected, protector(), b"v" * 32)
    for spec in evidence(DEAD_LETTER_COLUMNS):
        if spec.kind == "fixed":
            assert batch.fixed(spec.name).dtype == spec.dtype, spec.name
            assert len(batch.fixed(spec.name)) == 3
        else:
            assert len(texts(batch.columns[spec.name])) == 3
    found = everything(batch)
    assert b"zhang" not in found
    assert b"13812345678" not in found
    assert batch.fixed("offset").tolist() == batch.fixed("last_offset").tolist() == [10, 11, 15]
    assert batch.fixed("payload_bytes").tolist() == [49, 0, 0]
    assert texts(batch.columns["reason"]) == ["bad_json", "tombstone", "empty"]


def test_a_dead_letter_opens_to_the_very_record() -> None:
    source = records()
    batch = protect_dead_letters(source, [Rejected(2, "empty"), Rejected(0, "bad_json")], protector(), bytes(32))
    for row, index in enumerate([2, 0]):
        sealed = base64.b64decode(texts(batch.columns["payload"])[row])
        place = position_bytes(source.position, int(source.offsets[index]))
        assert record_parts(open_sealed(KEYRING, sealed, place)) == (source.keys[index], source.values[index])


def test_dead_letters_of_a_replay_are_identical() -> None:
    rejected = [Rejected(0, "bad_json")]
    first = everything(protect_dead_letters(records(), rejected, protector(), bytes(32)))
    assert everything(protect_dead_letters(records(), rejected, protector(), bytes(32))) == first
