"""The decoder against the JSON Schema, both ways, and against any bytes at all.

The oracle is jsonschema's Draft 2020-12 validator with formats asserted; events are drawn from the schema itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.errors import InvalidEvent
from pipeline.events import AccessEvent
from pipeline.stages.decode import REASONS, STRICTER, Decoded, decode_event, decode_values
from tests.corpus.make_poison import event, poison, text

Schema = dict[str, Any]
Event = dict[str, Any]

RECEIVED_AT_US = 1_795_000_000_000_000  # 2026-11-18
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="session")
def schema() -> Schema:
    """The wire schema, which lies beside the folder of real records."""
    folder = os.environ.get("ACCESSTRAIL_TEST_DATA", str(Path(__file__).parents[3] / "shared" / "data"))
    path = Path(folder).parent / "access-event.schema.json"
    if not path.is_file():
        pytest.skip("the wire schema is not here: set ACCESSTRAIL_TEST_DATA to the folder of real records beside it")
    loaded: Schema = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="session")
def accepted_by_schema(schema: Schema) -> Callable[[object], bool]:
    """Whether the JSON Schema, formats asserted, accepts a value."""
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    return lambda value: bool(validator.is_valid(value))


def reason_of(value: bytes, received_at_us: int = RECEIVED_AT_US) -> str | None:
    """The decoder's reason, or None where it accepts."""
    try:
        decode_event(value, received_at_us)
    except InvalidEvent as exc:
        return exc.code
    return None


# Strategies, drawn from the schema


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TIMES = st.datetimes(min_value=datetime(2000, 1, 2), max_value=datetime(2026, 11, 17))  # noqa: DTZ001  zone is added


@st.composite
def rfc3339(draw: st.DrawFn) -> str:
    """A time in every spelling that RFC 3339 knows."""
    moment = draw(TIMES)
    spelt = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    fraction = draw(st.sampled_from(["", ".", ".", "."]))
    if fraction:
        fraction += draw(st.text("0123456789", min_size=1, max_size=9))
    hours, minutes = draw(st.integers(0, 23)), draw(st.integers(0, 59))
    zone = draw(st.sampled_from(["Z", "z", f"+{hours:02}:{minutes:02}", f"-{hours:02}:{minutes:02}"]))
    spelt += fraction + zone
    return spelt.replace("T", draw(st.sampled_from("TTTt")))


def texts(spec: Schema) -> st.SearchStrategy[str]:
    low, high = spec.get("minLength", 0), spec.get("maxLength", 64)
    short = st.text(CHARACTERS, min_size=low, max_size=min(high, 24))
    return st.one_of(short, st.sampled_from(["x" * high, "😀" * high, '":' * (high // 2)]))


def values(spec: Schema) -> st.SearchStrategy[Any]:
    """Values that one property accepts."""
    if "const" in spec:
        return st.just(spec["const"])
    if "enum" in spec:
        return st.sampled_from(spec["enum"])
    if spec.get("format") == "uuid":
        return st.uuids().map(str).flatmap(lambda one: st.sampled_from([one, one.upper()]))
    if spec.get("format") == "date-time":
        return rfc3339()
    if "anyOf" in spec:
        return st.ip_addresses().map(str)
    if "pattern" in spec:
        return st.text("ABCXYZ", min_size=2, max_size=2)
    if spec["type"] == "array":
        return st.lists(values(spec["items"]), max_size=min(spec["maxItems"], 4))
    if spec["type"] == "object":
        return st.dictionaries(st.text(CHARACTERS, max_size=8), texts(spec["additionalProperties"]), max_size=3)
    if spec["type"] == "integer":
        return st.integers(spec["minimum"], spec["maximum"])
    return st.booleans() if spec["type"] == "boolean" else texts(spec)


@st.composite
def valid_events(draw: st.DrawFn, schema: Schema) -> Event:
    """An event with any subset of the optional fields, counts consistent."""
    properties: Schema = schema["properties"]
    optional = draw(st.sets(st.sampled_from(sorted(set(properties) - set(schema["required"])))))
    drawn = {
        name: draw(values(properties[name])) for name in properties if name in schema["required"] or name in optional
    }
    if "subject_count" in drawn:
        subjects = drawn.get("subject_ids", [])
        most = 2**63 - 1 if "subject_manifest" in drawn else len(subjects)
        drawn["subject_count"] = draw(st.integers(len(set(subjects)), most))
    names = draw(st.permutations(list(drawn)))
    return {name: drawn[name] for name in names}


@st.composite
def spelt(draw: st.DrawFn, value: object) -> bytes:
    """One of the many ways to write a value as JSON."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :"), ("\n,\t", "\r\n:\n")]))
    ascii_only = draw(st.booleans())
    return json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode()


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**64 + 1),
    st.sampled_from([0.5, 1.0, 1e300, 2**63, 2**63 - 1, 99999999999999999999, -1, 0, 599, 600]),
    st.text(CHARACTERS, max_size=6),
    st.sampled_from(
        ["x" * 65, "x" * 129, "x" * 257, "x" * 513, "x" * 2001, "", "default", "READ", "cn", "CN\n", "1.2.3"]
    ),
    st.sampled_from(["2024-05-06 10:15:30Z", "2024-05-06T10:15:60Z", "1999-01-01T00:00:00Z", "2024-02-30T00:00:00Z"]),
    st.lists(st.one_of(st.none(), st.text(CHARACTERS, max_size=3), st.integers()), max_size=40),
    st.dictionaries(
        st.text(CHARACTERS, max_size=3), st.one_of(st.text(CHARACTERS, max_size=3), st.none()), max_size=40
    ),
)


@st.composite
def mutated_events(draw: st.DrawFn, schema: Schema) -> Event:
    """A valid event with one to three things changed; some stay valid."""
    changed = draw(valid_events(schema))
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(schema["properties"])))
        kind = draw(st.sampled_from(["odd", "odd", "borrowed", "remove", "unknown"]))
        if kind == "odd":
            changed[name] = draw(ODD)
        elif kind == "borrowed":
            changed[name] = draw(values(schema["properties"][draw(st.sampled_from(sorted(schema["properties"])))]))
        elif kind == "remove":
            changed.pop(name, None)
        else:
            changed[draw(st.text(CHARACTERS, max_size=4))] = draw(ODD)
    return changed


# Properties


@QUICK
@given(data=st.data())
def test_a_valid_event_is_accepted_and_kept_field_by_field(
    data: st.DataObject, schema: Schema, accepted_by_schema: Callable[[object], bool]
) -> None:
    sent = data.draw(valid_events(schema))
    assert accepted_by_schema(sent)
    decoded = decode_event(data.draw(spelt(sent)), RECEIVED_AT_US)
    expected = {**dict.fromkeys(AccessEvent.__struct_fields__), "tenant_id": "default", **sent}
    expected["event_id"] = sent["event_id"].lower()
    assert {name: getattr(decoded, name) for name in AccessEvent.__struct_fields__} == expected
    assert decoded.event_time_us == microseconds(sent["event_time"])


def microseconds(text: str) -> int:
    """The standard library's reading of an RFC 3339 time, digits finer than a microsecond cut off."""
    head, _, rest = text.upper().replace("Z", "+00:00").partition(".")
    if rest:
        sign = max(rest.find("+"), rest.find("-"))
        head += "." + rest[:sign][:6].ljust(6, "0") + rest[sign:]
    return (datetime.fromisoformat(head) - EPOCH) // timedelta(microseconds=1)


@QUICK
@given(data=st.data())
def test_what_the_schema_refuses_is_refused_and_the_rest_only_for_a_stated_reason(
    data: st.DataObject, schema: Schema, accepted_by_schema: Callable[[object], bool]
) -> None:
    value = data.draw(spelt(data.draw(mutated_events(schema))))
    reason = reason_of(value)
    if accepted_by_schema(json.loads(value)):
        assert reason is None or reason in STRICTER
    else:
        assert reason in REASONS


def edges(spec: Schema) -> list[Any]:
    """Values at each bound of a property and one beyond."""
    if "minimum" in spec:
        return [spec["minimum"] - 1, spec["minimum"], spec["maximum"], spec["maximum"] + 1]
    if spec.get("type") == "array":
        item = next(iter(spec["items"].get("enum", "x")))
        inner = [[edge] for edge in edges(spec["items"])]
        return [[], [item] * spec["maxItems"], [item] * (spec["maxItems"] + 1), *inner]
    if spec.get("type") == "object":
        most = {str(number): "x" for number in range(spec["maxProperties"])}
        return [{}, most, {**most, "more": "x"}, *({"k": edge} for edge in edges(spec["additionalProperties"]))]
    if "maxLength" in spec and "anyOf" not in spec:
        return ["", "x", "x" * spec["maxLength"], "x" * (spec["maxLength"] + 1), "😀" * spec["maxLength"]]
    if "pattern" in spec:
        return ["", "A", "AB", "ABC", "aB", "A1", "ÄB"]
    return [*spec.get("enum", []), "", "other", 1, 2, True, False, None]


def test_every_bound_of_the_schema_is_the_decoders_bound(
    schema: Schema, accepted_by_schema: Callable[[object], bool]
) -> None:
    tried = 0
    for name, spec in schema["properties"].items():
        for edge in edges(spec):
            one = event("bounds", **{"subject_manifest": "m", name: edge})
            reason = reason_of(json.dumps(one).encode())
            if reason is None or reason not in {"count_too_small", "count_without_manifest"}:
                assert (reason is None) == accepted_by_schema(one), (name, edge)
                tried += 1
    assert tried > 250


@QUICK
@given(data=st.data())
def test_damaged_bytes_never_raise_and_never_slip_past_the_schema(
    data: st.DataObject, schema: Schema, accepted_by_schema: Callable[[object], bool]
) -> None:
    value = bytearray(data.draw(spelt(data.draw(valid_events(schema)))))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(value)))
        removed = data.draw(st.integers(0, 3))
        value[place : place + removed] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b":", b"{", b"\\u0000"])
        )
    reason = reason_of(bytes(value))
    assert reason in REASONS or accepted_by_schema(json.loads(bytes(value)))


@settings(max_examples=300)
@given(value=st.binary(max_size=200))
@example(value=b'{"a":' * 5000)
@example(value=b"[" * 921_600)
def test_any_bytes_give_a_reason(value: bytes) -> None:
    assert reason_of(value) in REASONS


@settings(max_examples=60)
@given(data=st.data())
def test_a_record_fares_the_same_alone_and_in_any_batch(data: st.DataObject) -> None:
    records = data.draw(st.lists(st.sampled_from(CORPUS), min_size=1, max_size=40))
    decoded = decode_values([record.value for record in records], np.full(len(records), RECEIVED_AT_US))
    assert_partition(decoded, len(records))
    fates = {one.index: one.reason for one in decoded.rejected}
    assert [fates.get(row, "valid") for row in range(len(records))] == [record.expected for record in records]
    for row, accepted in zip(decoded.rows.tolist(), decoded.events, strict=True):
        assert accepted == decode_event(records[row].value or b"", RECEIVED_AT_US)


CORPUS = [record for record in poison() if len(record.value or b"") < 10_000]


def assert_partition(decoded: Decoded, count: int) -> None:
    """Every record is exactly one event or one refusal, in order, with its time."""
    refused = [one.index for one in decoded.rejected]
    assert sorted([*decoded.rows.tolist(), *refused]) == list(range(count))
    assert refused == sorted(refused)
    assert decoded.event_time_us.tolist() == [accepted.event_time_us for accepted in decoded.events]


# Each reason in STRICTER has an example that the schema accepts


BASE = json.dumps(event("stricter"))


def with_underscore(place: int) -> str:
    """A UUID that Python's own parser takes: `_` may stand between the digits of a number."""
    return "0192f3c4-7a31-7cc2-9d50-2b4f6f0f8a11"[:place] + "_".ljust(36 - place, "1")


def with_member(member: str) -> bytes:
    return f"{BASE[:-1]},{member}}}".encode()


EXAMPLES: dict[str, st.SearchStrategy[bytes]] = {
    "too_large": st.integers(921_601, 930_000).map(BASE.encode().ljust),
    "wrong_type": st.sampled_from(["1.0", "1e2", "0.0"]).map(lambda number: with_member(f'"source_seq":{number}')),
    "out_of_bounds": st.text("0123456789", min_size=44, max_size=80).map(
        lambda digits: json.dumps(event("x", event_time=f"2024-05-06T10:15:30.{digits}Z")).encode()
    ),
    "lone_surrogate": st.integers(0xD800, 0xDFFF).map(lambda half: with_member(f'"purpose":"\\u{half:04x}"')),
    "duplicate_key": st.sampled_from(sorted(event("x"))).map(
        lambda name: with_member(f"{json.dumps(name)}:{json.dumps(event('stricter')[name])}")
    ),
    "nul_character": st.text(CHARACTERS, max_size=5).map(
        lambda start: with_member(f'"purpose":{json.dumps(start + chr(0))}')
    ),
    "bad_uuid": st.integers(25, 34).map(
        lambda place: text(event("x", event_id=with_underscore(place)))
    ),
    "bad_time": st.sampled_from(["2024-05-06T10:15:30Z\n", "2024-05-06t10:15:30.5+08:00\n"]).map(
        lambda spelt_time: json.dumps(event("x", event_time=spelt_time)).encode()
    ),
    "time_out_of_range": st.integers(1900, 1999).map(
        lambda year: json.dumps(event("x", event_time=f"{year}-01-01T00:00:00Z")).encode()
    ),
    "count_without_manifest": st.integers(1, 2**63 - 1).map(lambda count: with_member(f'"subject_count":{count}')),
    "count_too_small": st.integers(0, 2).map(
        lambda count: with_member(f'"subject_ids":["a","b","c"],"subject_count":{count}')
    ),
}  # fmt: skip


def test_every_stricter_reason_has_an_example() -> None:
    assert set(EXAMPLES) == set(STRICTER) <= set(REASONS)


@pytest.mark.parametrize("reason", sorted(STRICTER))
@settings(max_examples=15)
@given(data=st.data())
def test_a_stricter_reason_refuses_what_the_schema_accepts(
    reason: str, data: st.DataObject, accepted_by_schema: Callable[[object], bool]
) -> None:
    value = data.draw(EXAMPLES[reason])
    assert accepted_by_schema(json.loads(value))
    assert reason_of(value) == reason
