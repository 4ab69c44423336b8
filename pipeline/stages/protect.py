"""Protect: from decoded events to columns that hold tokens and masks only; the raw identifiers end here.

Place in the flow: after `decode`, before `enrich`. Which field gets which treatment is WIRE_TREATMENTS' to say; a test
plants a mark in every field and looks at what comes out. Column by column: one comprehension takes a field out of all
events, one map turns values into small integers that were computed once per different value; a field that no event of
the batch carries costs one look. Pure but for the memo tables, which change speed and never results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from pipeline import events as words
from pipeline.columns import ABSENT, TOKEN_BYTES, ArrayColumn, ColumnBatch, FixedColumn
from pipeline.events import AccessEvent
from pipeline.privacy.column_builder import ColumnBuilder
from pipeline.privacy.dead_letters import protect_dead_letters
from pipeline.privacy.keys import normalised
from pipeline.privacy.own_identifiers import texts_without_own_identifiers, without_own_identifiers
from pipeline.privacy.protected import Protected
from pipeline.privacy.protector import Protector
from pipeline.privacy.user_agents import user_agent_family
from pipeline.timestamps import utc_us_column

__all__ = ["Protected", "Protector", "protect", "protect_dead_letters"]

_TOKEN_DTYPE = f"V{TOKEN_BYTES}"


def _code_table(vocabulary: tuple[str, ...]) -> Mapping[str | bool | None, int]:
    table: dict[str | bool | None, int] = {None: 0}
    table.update(words.codes(vocabulary))
    return table


_CHANNELS = _code_table(words.CHANNELS)
_ACTIONS = _code_table(words.ACTIONS)
_OUTCOMES = _code_table(words.OUTCOMES)
_ACTOR_TYPES = _code_table(words.ACTOR_TYPES)
_RECIPIENT_TYPES = _code_table(words.RECIPIENT_TYPES)
_LEGAL_BASES = _code_table(words.LEGAL_BASES)
_FLAGS: Mapping[str | bool | None, int] = {None: 0, False: 1, True: 2}


def protect(
    events: Sequence[AccessEvent],
    protector: Protector,
    object_types: frozenset[str] = frozenset(),
    event_time_us: npt.NDArray[np.int64] | None = None,
) -> Protected:
    """Columns of a batch of at least one event, without any raw identifier.

    `object_types`: resource types whose ids the directory declares to name objects, never persons; only theirs are
    stored in clear (through the free-text scanner). `event_time_us`: the events' times, where `decode` gave them.
    """
    builder = ColumnBuilder([event.tenant_id for event in events], protector)
    sequence_shifts, home_partitions = _who(events, builder)
    if event_time_us is None:
        event_time_us = utc_us_column([event.event_time for event in events])
    builder.fixed("event_time", event_time_us)
    _what(events, builder)
    _free_texts(events, builder, object_types)
    _where_from(events, builder)
    _why(events, builder)
    subject_rows, numbers = _whose(events, builder, object_types)
    sequence = numbers + sequence_shifts  # modulo 2^32
    sequence[sequence == 0] = 1
    sequence[numbers == 0] = 0
    return Protected(ColumnBatch(builder.count, builder.columns), sequence, home_partitions, subject_rows)


def _who(events: Sequence[AccessEvent], builder: ColumnBuilder) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
    """Actor, credential, session, device; returns each actor's secret shift and home partition."""
    count, ids = builder.count, [event.actor_id for event in events]
    tokens, shifts = np.empty(count, _TOKEN_DTYPE), np.empty(count, np.uint32)
    partitions = np.empty(count, np.int32)
    for tenant, rows in builder.tenants:
        table = builder.protector.actors(tenant)
        own = slice(None) if rows is None else rows
        table_rows = table.ids(ids, count) if rows is None else table.ids([ids[row] for row in rows], len(rows))
        tokens[own] = table.take(table_rows)
        shifts[own] = np.frombuffer(table.shifts, np.uint32)[table_rows]
        partitions[own] = np.frombuffer(table.partitions, np.int32)[table_rows]
    builder.fixed("actor_token", tokens)
    builder.codes("actor_type", [event.actor_type for event in events], _ACTOR_TYPES)
    builder.text("actor_org", [event.actor_org for event in events])
    builder.text("actor_dept", [event.actor_dept for event in events])
    builder.text("actor_role", [event.actor_role for event in events])
    builder.token("on_behalf_of_token", "on_behalf_of", [event.on_behalf_of for event in events])
    builder.token("credential_token", "credential_id", [event.credential_id for event in events])
    builder.token("session_token", "session_id", [event.session_id for event in events])
    builder.token("device_token", "device_id", [event.device_id for event in events])
    builder.codes("mfa", [event.mfa for event in events], _FLAGS)
    user_agents = [event.user_agent for event in events]
    builder.token("user_agent_hash", "user_agent", user_agents)
    builder.text("user_agent_family", user_agents, user_agent_family)
    return shifts, partitions


def _what(events: Sequence[AccessEvent], builder: ColumnBuilder) -> None:
    """The event itself: identity, action, outcome, volume."""
    builder.fixed("event_id", _uuids([event.event_id for event in events]))
    builder.text("source_system", [event.source_system for event in events])
    builder.text("source_instance", [event.source_instance for event in events])
    builder.numbers("source_seq", [event.source_seq for event in events], ABSENT, "<i8")
    builder.codes("channel", [event.channel for event in events], _CHANNELS)
    builder.codes("action", [event.action for event in events], _ACTIONS)
    builder.codes("outcome", [event.outcome for event in events], _OUTCOMES)
    builder.numbers("http_status", [event.http_status for event in events], 0, "<u2")
    builder.text("app_id", [event.app_id for event in events])
    builder.lists("fields_accessed", [event.fields_accessed for event in events])
    builder.lists("fields_unmasked", [event.fields_unmasked for event in events])
    builder.numbers("records_returned", [event.records_returned for event in events], ABSENT, "<i8")
    builder.numbers("records_matched", [event.records_matched for event in events], ABSENT, "<i8")
    builder.numbers("bytes_out", [event.bytes_out for event in events], ABSENT, "<i8")


def _free_texts(events: Sequence[AccessEvent], builder: ColumnBuilder, object_types: frozenset[str]) -> None:
    """What people and programs write freely: without the event's own identifiers, personal numbers masked."""
    texts: dict[str, Sequence[str | None]] = {
        "denial_reason": [event.denial_reason for event in events],
        "endpoint": [event.endpoint for event in events],
        "query_fingerprint": [event.query_fingerprint for event in events],
        "trace_id": [event.trace_id for event in events],
        "justification": [event.justification for event in events],
    }
    for name, values in texts.items():
        if any(values):
            values = texts_without_own_identifiers(values, events, object_types)
        builder.masked(name, values)
    allowed = builder.protector.attrs_allowed
    attrs = [event.attrs for event in events]
    if allowed and any(attrs):
        attrs = [
            {key: without_own_identifiers(value[key], event, object_types) for key in allowed if key in value}
            if value
            else None
            for value, event in zip(attrs, events, strict=True)
        ]
    builder.attrs(attrs)


def _where_from(events: Sequence[AccessEvent], builder: ColumnBuilder) -> None:
    """Address, country, city."""
    addresses = [event.src_ip for event in events]
    builder.fixed("src_ip", builder.protector.addresses.tokens(addresses, builder.count))
    builder.text("src_country", [event.src_country for event in events])
    builder.text("src_city", [event.src_city for event in events])


def _why(events: Sequence[AccessEvent], builder: ColumnBuilder) -> None:
    """Purpose, case, approval, recipient."""
    builder.text("purpose", [event.purpose for event in events])
    builder.codes("legal_basis", [event.legal_basis for event in events], _LEGAL_BASES)
    builder.token("case_token", "case_ref", [event.case_ref for event in events])
    builder.token("approval_token", "approval_ref", [event.approval_ref for event in events])
    builder.codes("break_glass", [event.break_glass for event in events], _FLAGS)
    builder.token("recipient_token", "recipient_id", [event.recipient_id for event in events])
    builder.codes("recipient_type", [event.recipient_type for event in events], _RECIPIENT_TYPES)
    builder.text("dst_country", [event.dst_country for event in events])


def _whose(
    events: Sequence[AccessEvent], builder: ColumnBuilder, object_types: frozenset[str]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
    """Subjects and resource; returns the row of each subject and the number each resource id ends in (0 none)."""
    resource_types = [event.resource_type for event in events]
    builder.text("resource_type", resource_types)
    builder.lists("data_categories", [event.data_categories for event in events])
    builder.numbers("sensitivity", [event.sensitivity for event in events], 0, "u1")
    builder.token("subject_manifest_token", "subject_manifest", [event.subject_manifest for event in events])
    builder.text("subject_region", [event.subject_region for event in events])
    builder.lists("subject_flags", [event.subject_flags for event in events])
    subjects: list[Sequence[str]] = [event.subject_ids or () for event in events]
    sizes = np.array([len(ids) for ids in subjects], np.int64)
    subject_rows = np.repeat(np.arange(builder.count, dtype=np.int32), sizes)
    flat = list(chain.from_iterable(subjects))
    builder.columns["subject_tokens"] = ArrayColumn(
        np.cumsum(sizes), FixedColumn(builder.subject_tokens(flat, subject_rows))
    )
    counts = [event.subject_count for event in events]
    given = np.array([-1 if count is None else count for count in counts], np.int64)
    builder.fixed("subject_count", np.where(given < 0, sizes, given))

    resources = [event.resource_id for event in events]
    is_subject = _are_subjects(resources, subjects, flat)
    person = [resource if own else None for resource, own in zip(resources, is_subject, strict=True)]
    thing = [None if own else resource for resource, own in zip(resources, is_subject, strict=True)]
    tokens = builder.tokens("resource", thing)
    mask = np.array(is_subject)
    tokens[mask] = builder.tokens("subject", person)[mask]
    builder.fixed("resource_token", tokens)
    clear = [resource if kind in object_types else None for resource, kind in zip(thing, resource_types, strict=True)]
    if any(clear):
        clear = list(texts_without_own_identifiers(clear, events, object_types))
    builder.masked("resource_id", clear)

    trailing = builder.protector.trailing_numbers
    numbers = trailing.numbers(resources, builder.count)
    for row in np.flatnonzero((numbers == 0) & (sizes > 0)).tolist():
        numbers[row] = trailing[subjects[row][0]]
    return subject_rows, numbers


def _are_subjects(resources: Sequence[str], subjects: Sequence[Sequence[str]], flat: Sequence[str]) -> list[bool]:
    """Whether each resource is one of its event's subjects: then both must get the same token."""
    if "".join(resources).isascii() and "".join(flat).isascii():
        return [resource in ids for resource, ids in zip(resources, subjects, strict=True)]
    return [
        resource in ids or normalised(resource) in map(normalised, ids)
        for resource, ids in zip(resources, subjects, strict=True)
    ]


def _uuids(texts: Sequence[str]) -> npt.NDArray[np.void]:
    """UUIDs as ClickHouse holds them: two little-endian 64-bit halves, V16 (n,)."""
    halves = np.frombuffer(bytes.fromhex("".join(texts).replace("-", "")), ">u8")
    return halves.astype("<u8").view(_TOKEN_DTYPE)
