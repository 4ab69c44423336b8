"""Decode: the poison corpus, the words of the reasons, and the parts that a property cannot show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipeline.errors import InvalidEvent
from pipeline.events import AccessEvent, LogPosition, RecordBatch
from pipeline.stages.decode import MAX_VALUE_BYTES, REASONS, decode, decode_event, decode_values
from tests.corpus.make_poison import LIMIT_BYTES, VALID, event, main, poison, text

DAY_US = 24 * 3600 * 1_000_000
RECEIVED_AT_US = 1_800_000_000_000_000
CORPUS = poison()


def batch(values: Sequence[bytes | None]) -> RecordBatch:
    count = len(values)
    return RecordBatch(
        position=LogPosition("access.events", "incarnation", 3),
        offsets=np.arange(1000, 1000 + count),
        received_at_us=np.full(count, RECEIVED_AT_US),
        keys=[b"key"] * count,
        values=list(values),
    )


@pytest.fixture(scope="module")
def fates() -> dict[int, str]:
    """Reason by index of the whole corpus decoded as one batch."""
    return {one.index: one.reason for one in decode(batch([record.value for record in CORPUS])).rejected}


@pytest.mark.parametrize("row", range(len(CORPUS)), ids=[record.name for record in CORPUS])
def test_each_poison_meets_its_fate(row: int, fates: dict[int, str]) -> None:
    assert fates.get(row, VALID) == CORPUS[row].expected


def test_the_corpus_knows_every_reason_and_names_each_record_once() -> None:
    assert {record.expected for record in CORPUS} == {*REASONS, VALID}
    assert len({record.name for record in CORPUS}) == len(CORPUS) >= 60
    assert LIMIT_BYTES == MAX_VALUE_BYTES


def test_the_corpus_can_be_written(tmp_path: Path) -> None:
    main(tmp_path / "poison.ndjson")
    lines = (tmp_path / "poison.ndjson").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == [record.name for record in CORPUS]


def test_a_batch_without_records_gives_nothing() -> None:
    decoded = decode(batch([]))
    assert decoded.events == []
    assert decoded.rejected == []
    assert decoded.rows.dtype == decoded.event_time_us.dtype == np.int64
    assert len(decoded.rows) == len(decoded.event_time_us) == 0


def test_a_batch_of_nothing_but_tombstones_gives_only_reasons() -> None:
    decoded = decode(batch([None] * 3))
    assert [(one.index, one.reason) for one in decoded.rejected] == [(row, "tombstone") for row in range(3)]
    assert decoded.events == []


def test_places_are_those_of_the_batch_across_long_runs() -> None:
    values = [b"broken" if row % 700 == 0 else text(event(str(row), resource_id=f"r-{row}")) for row in range(1500)]
    decoded = decode(batch(values))
    assert [one.index for one in decoded.rejected] == [0, 700, 1400]
    assert [event_.resource_id for event_ in decoded.events] == [f"r-{row}" for row in decoded.rows.tolist()]
    assert len(decoded.events) == 1497


def test_time_is_compared_with_the_records_own_arrival() -> None:
    value = text(event("arrival", event_time="2024-05-06T00:00:00Z"))
    event_time_us = decode_event(value, RECEIVED_AT_US).event_time_us
    received = np.array([event_time_us - DAY_US, event_time_us - DAY_US - 1, event_time_us + 1000 * DAY_US])
    decoded = decode_values([value] * 3, received)
    assert [(one.index, one.reason) for one in decoded.rejected] == [(1, "time_out_of_range")]


def test_the_error_says_what_is_wrong_and_never_what_was_sent() -> None:
    secret = "zhang.wei@example.com"
    for fields in ({secret: "x"}, {"channel": secret}, {"event_id": secret}, {"src_ip": secret}, {"mfa": secret}):
        with pytest.raises(InvalidEvent) as caught:
            decode_event(json.dumps({**event("leak"), **fields}).encode(), RECEIVED_AT_US)
        assert secret not in str(caught.value)
        assert str(caught.value) == REASONS[caught.value.code]


@pytest.mark.parametrize("tenant", [{}, {"tenant_id": "default"}, {"tenant_id": "t"}])
def test_a_default_tenant_hides_no_duplicate_key(tenant: dict[str, str]) -> None:
    value = text(event("tenant", **tenant))
    assert decode_event(value, RECEIVED_AT_US).tenant_id == tenant.get("tenant_id", "default")
    with pytest.raises(InvalidEvent) as caught:
        decode_event(value[:-1] + b',"actor_id":"other"}', RECEIVED_AT_US)
    assert caught.value.code == "duplicate_key"


@pytest.mark.parametrize("fields", [{}, {"tenant_id": "default"}, {"attrs": {"a": "b", "c": "d"}}, {"mfa": False}])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" , ", "\t: ")])
def test_an_ordinary_event_is_parsed_only_once(
    fields: dict[str, Any], separators: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def parsed_again(value: bytes) -> bool:
        raise AssertionError

    monkeypatch.setattr("pipeline.stages.event_checks._has_duplicate_key", parsed_again)
    value = json.dumps(event("once", src_ip="2001:db8::1", **fields), separators=separators).encode()
    assert decode_event(value, RECEIVED_AT_US).src_ip == "2001:db8::1"


def test_ids_come_out_in_small_letters_whatever_their_neighbours() -> None:
    upper = "0192F3C4-7A31-7CC2-9D50-2B4F6F0F8A11"
    digits = "00000000-0000-4000-8000-000000000000"
    decoded = decode(batch([text(event("x", event_id=one)) for one in (upper, digits, upper.lower())]))
    assert [one.event_id for one in decoded.events] == [upper.lower(), digits, upper.lower()]


def test_an_event_written_again_is_the_same_event() -> None:
    decoded = decode_event(text(event("again", attrs={"a": "b"}, subject_ids=["c"], subject_count=1)), RECEIVED_AT_US)
    fields = {name: value for name, value in msgspec.structs.asdict(decoded).items() if value is not None}
    assert decode_event(json.dumps(fields).encode(), RECEIVED_AT_US) == decoded


def test_the_struct_has_the_fields_of_the_stored_columns_and_no_other() -> None:
    from pipeline.columns import WIRE_TREATMENTS

    assert tuple(WIRE_TREATMENTS) == AccessEvent.__struct_fields__
