"""Decode: from the bytes of Kafka records to access events, or to a reason why a record is none.

First stage of the flow: what it refuses becomes a dead letter with the reason code, never an exception. Total: any
bytes give an event or one of `REASONS`. Wire format: accesstrail/access-event/1 (JSON Schema 2020-12, formats asserted,
RFC 8259 JSON, RFC 3339 times, RFC 9562 UUIDs). Everything the schema refuses is refused; where more is refused, the
reason stands in `STRICTER`. Pure: times are compared with the record's own `received_at`, never with a clock, so a
replay refuses the same records.

Two speeds. Valid events, nearly all, take typed msgspec decoding and then column-wise checks (`event_checks`).
A refused record is looked at again, slowly, to name the reason; which checks come first is fixed, because the reason is
evidence and must not depend on the batch around a record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline.errors import InvalidEvent
from pipeline.events import EVENT_FIELDS, AccessEvent, RecordBatch, Rejected, fields_of
from pipeline.stages.event_checks import canonical_ids, event_faults
from pipeline.timestamps import utc_us_column

__all__ = [
    "MAX_VALUE_BYTES",
    "REASONS",
    "RUN_VALUES",
    "STRICTER",
    "Decoded",
    "decode",
    "decode_event",
    "decode_valid",
    "decode_values",
    "syntax_fault",
]

MAX_VALUE_BYTES = 900 * 1024
MAX_DEPTH = 32

REASONS: dict[str, str] = {
    "tombstone": "the record has no value; access events are never deleted",
    "too_large": "the value is larger than 900 KiB; send a large export as several events with one trace_id",
    "empty": "the value is empty or only white space",
    "bad_utf8": "the value is not valid UTF-8",
    "too_deep": f"objects or lists are nested deeper than {MAX_DEPTH}",
    "bad_json": "the value is not one JSON value (syntax, NaN, byte order mark, or text after the end)",
    "lone_surrogate": "a text holds half of a UTF-16 surrogate pair",
    "unknown_field": "a field is not in the schema",
    "missing_field": "a required field is absent",
    "wrong_type": "a value has another JSON type than the schema says (null and 1.0 for an integer included)",
    "out_of_bounds": "a text, list or number is shorter, longer, smaller or larger than the schema allows",
    "bad_word": "a value is not one of the words the schema lists",
    "schema_version": "schema_version is not 1",
    "duplicate_key": "a key occurs twice in one object",
    "nul_character": "a text holds the character U+0000",
    "bad_uuid": "event_id is not a UUID in its 36-character form",
    "bad_time": "event_time is no RFC 3339 time with an offset (leap seconds, :60, are refused)",
    "time_out_of_range": "event_time lies before the year 2000 or more than one day after the record arrived",
    "bad_address": "src_ip is no IPv4 or IPv6 address",
    "count_without_manifest": "subject_count is larger than the list of subject_ids, and no subject_manifest is given",
    "count_too_small": "subject_count is smaller than the number of different subject_ids",
}
"""Reason code → what is wrong, in words fit for a sender; the codes are of low cardinality and stay as they are."""

STRICTER: dict[str, str] = {
    "too_large": "JSON Schema cannot bound the size of the whole value",
    "wrong_type": "JSON Schema takes 1.0 and 1e2 for integers; here an integer is written as one",
    "out_of_bounds": "event_id and event_time have a format but no length; here at most 64 characters",
    "lone_surrogate": "JSON Schema sees decoded text and says nothing about halves of pairs",
    "duplicate_key": "JSON Schema sees the object after one of the two was dropped",
    "nul_character": "JSON allows U+0000; stores, files and other programs cut texts there",
    "bad_uuid": "format uuid as commonly checked takes signs, spaces and underscores inside",
    "bad_time": "RFC 3339 allows a leap second (:60); format date-time as commonly checked, a line feed at the end",
    "time_out_of_range": "JSON Schema cannot compare with the time of arrival",
    "count_without_manifest": "JSON Schema cannot compare a number with the length of a list",
    "count_too_small": "as above",
}
"""Reasons for which an event is refused although the JSON Schema accepts it → why."""


@dataclass(slots=True)
class Decoded:
    """What came out of one batch.

    `rows` int64 (n,): index in the batch of each event, increasing; `event_time_us` int64 (n,): UTC microseconds of
    each event; `rejected`: the other records, by increasing index. `fields`: `fields_of(events)` where it is known.
    """

    events: list[AccessEvent]
    rows: npt.NDArray[np.int64]
    rejected: list[Rejected]
    event_time_us: npt.NDArray[np.int64]
    fields: Mapping[str, Sequence[Any]] | None = None


def decode(batch: RecordBatch) -> Decoded:
    """Decodes and checks every record of a batch; never raises for bad input."""
    return decode_values(batch.values, batch.received_at_us)


def decode_event(value: bytes, received_at_us: int) -> AccessEvent:
    """Decodes one value; for many, `decode_values` costs far less each.

    Raises: InvalidEvent: `code` is the reason, the message its explanation.
    """
    decoded = decode_values([value], np.array([received_at_us], np.int64))
    if decoded.rejected:
        reason = decoded.rejected[0].reason
        raise InvalidEvent(REASONS[reason], code=reason)
    return decoded.events[0]


def decode_values(values: Sequence[bytes | None], received_at_us: npt.NDArray[np.int64]) -> Decoded:
    """Decodes values that arrived at these times (UTC microseconds, int64 (n,))."""
    parts = [
        _decode_run(values[first : first + RUN_VALUES], received_at_us[first : first + RUN_VALUES], first)
        for first in range(0, len(values), RUN_VALUES)
    ]
    if len(parts) == 1:
        return parts[0]
    nothing = np.zeros(0, np.int64)
    return Decoded(
        events=[event for part in parts for event in part.events],
        rows=np.concatenate([nothing, *(part.rows for part in parts)]),
        rejected=[rejected for part in parts for rejected in part.rejected],
        event_time_us=np.concatenate([nothing, *(part.event_time_us for part in parts)]),
        fields=_joined_fields([part.fields for part in parts]),
    )


def decode_valid(values: Sequence[bytes], event_time_us: npt.NDArray[np.int64]) -> Decoded:
    """Decodes at most `RUN_VALUES` values that `decode_values` accepted, with the times it gave (int64 (n,)).

    Why: who reads events twice, as a file that must be put in order first, pays for the checks once.
    """
    events = list(map(_decoder.decode, values))
    fields = fields_of(events)
    good = canonical_ids(events, fields["event_id"])
    return Decoded(good, np.arange(len(values)), [], event_time_us, fields if good is events else None)


def _joined_fields(parts: Sequence[Mapping[str, Sequence[Any]] | None]) -> Mapping[str, Sequence[Any]] | None:
    """The fields of all runs, where each knows its own: joining lists costs a tenth of asking the events again."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    return {name: list(chain.from_iterable(part[name] for part in known)) for name in EVENT_FIELDS}


RUN_VALUES = 512  # about 300 kB of 600-byte events: the checks find them still in the processor's cache


def _decode_run(values: Sequence[bytes | None], received_at_us: npt.NDArray[np.int64], first: int) -> Decoded:
    """Decodes one run of values; `first` is the index of the first of them in the whole batch."""
    events, rows, reasons = _typed(values)
    rows_array = np.array(rows, np.int64)
    texts = [values[row] or b"" for row in rows] if reasons else cast("Sequence[bytes]", values)
    fields = fields_of(events)
    times = utc_us_column(fields["event_time"])
    faults = event_faults(events, fields, texts, times, received_at_us[rows_array])
    kept_events = events
    if faults:
        kept = [place for place in range(len(events)) if place not in faults]
        reasons.update((rows[place], reason) for place, reason in faults.items())
        kept_events = [events[place] for place in kept]
        rows_array, times = rows_array[kept], times[kept]
    rejected = [Rejected(first + row, reasons[row]) for row in sorted(reasons)]
    good = canonical_ids(kept_events, fields["event_id"])
    return Decoded(good, rows_array + first, rejected, times, fields if good is events else None)


# Typed decoding


_decoder = msgspec.json.Decoder(AccessEvent)


_TYPED_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _typed(values: Sequence[bytes | None]) -> tuple[list[AccessEvent], Sequence[int], dict[int, str]]:
    """Events with their places, and the reasons of the values that do not even have the right types."""
    if None not in values and max(map(len, cast("Sequence[bytes]", values)), default=0) <= MAX_VALUE_BYTES:
        with suppress(*_TYPED_ERRORS):  # one that cannot be read: look at each
            return list(map(_decoder.decode, cast("Sequence[bytes]", values))), range(len(values)), {}
    return _typed_one_by_one(values)


def _typed_one_by_one(values: Sequence[bytes | None]) -> tuple[list[AccessEvent], Sequence[int], dict[int, str]]:
    read = _decoder.decode
    events: list[AccessEvent] = []
    rows: list[int] = []
    reasons: dict[int, str] = {}
    for row, value in enumerate(values):
        if value is None:
            reasons[row] = "tombstone"
        elif len(value) > MAX_VALUE_BYTES:
            reasons[row] = "too_large"
        else:
            try:
                events.append(read(value))
                rows.append(row)
            except _TYPED_ERRORS as exc:
                reasons[row] = syntax_fault(value) or _type_fault(str(exc))
    return events, rows, reasons


_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEP = np.zeros(256, np.int8)
_STEP[list(b"[{")] = 1
_STEP[list(b"]}")] = -1


def _depth(value: bytes) -> int:
    """Deepest nesting; counted here because a parser's own limit depends on the stack it happens to run on."""
    steps = _STEP[np.frombuffer(_STRING.sub(b"", value), np.uint8)]
    return int(np.cumsum(steps, dtype=np.int64).max(initial=0))


def syntax_fault(value: bytes) -> str | None:
    """Why a value is no JSON that can be kept, or None where only types or bounds are wrong."""
    if not value.strip(b" \t\r\n"):
        return "empty"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "bad_utf8"
    if _depth(value) > MAX_DEPTH:
        return "too_deep"
    try:
        msgspec.json.decode(value)
    except msgspec.MsgspecError:
        return _finer_syntax_fault(text)
    return None


def _finer_syntax_fault(text: str) -> str:
    """Tells lone surrogates and numbers without end from bad syntax: the standard library's parser accepts both."""
    try:
        parsed = json.loads(text, parse_int=_zero, parse_float=_zero, parse_constant=_refuse)
    except ValueError:
        return "bad_json"
    try:
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "lone_surrogate"
    return "out_of_bounds"


def _zero(_: str) -> int:
    return 0


def _refuse(_: str) -> int:
    raise ValueError


_TYPE_FAULTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"Object contains unknown field", "unknown_field"),
        (r"Object missing required field", "missing_field"),
        (r"Invalid enum value .* - at `\$\.schema_version`$", "schema_version"),
        (r"Invalid enum value", "bad_word"),
        (r"(Integer value|Number) out of range", "out_of_bounds"),
        (r"Expected `\w+` (of length|matching regex|>=|<=)", "out_of_bounds"),
    )
)


def _type_fault(message: str) -> str:
    """The reason behind a message of msgspec; what is none of the others is a wrong type."""
    for pattern, reason in _TYPE_FAULTS:
        if pattern.match(message):
            return reason
    return "wrong_type"
