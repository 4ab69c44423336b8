"""Protect: from decoded events to columns that hold tokens and masks only; the raw identifiers end here.

Place in the flow: after `decode`, before `enrich`. Which field gets which treatment is WIRE_TREATMENTS' to say; a test
plants a mark in every field and looks at what comes out. Column by column: one comprehension takes a field out of all
events, one map turns values into small integers that were computed once per different value; a field that no event of
the batch carries costs one look. Pure but for the memo tables, which change speed and never results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import events as words
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn
from pipeline.columns import ABSENT, TOKEN_BYTES
from pipeline.events import AccessEvent, fields_of
from pipeline.privacy.column_builder import ColumnBuilder
from pipeline.privacy.dead_letters import protect_dead_letters
from pipeline.privacy.keys import normalised
from pipeline.privacy.own_identifiers import OwnIdentifiers, without_own_identifiers
from pipeline.privacy.protected import CONSENT_WITHDRAWN, SELF_GRANT, Protected
from pipeline.privacy.protector import Protector
from pipeline.privacy.subject_lists import SubjectLists
from pipeline.privacy.user_agents import user_agent_family
from pipeline.timestamps import utc_us_column

__all__ = ["Protected", "Protector", "protect", "protect_dead_letters"]

_TOKEN_DTYPE = f"V{TOKEN_BYTES}"
_GRANT, _ACCOUNT = "grant", "account"
_CONSENT_STATE, _WITHDRAWN = "consent_state", "withdrawn"
Fields = Mapping[str, Sequence[Any]]


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
    fields: Fields | None = None,
) -> Protected:
    """Columns of a batch of at least one event, without any raw identifier.

    `object_types`: resource types whose ids the directory declares to name objects, never persons; only theirs are
    stored in clear (through the free-text scanner). `event_time_us`, `fields`: the events' times and `fields_of` them,
    where `decode` gave them.
    """
    fields = fields_of(events) if fields is None else fields
    builder = ColumnBuilder(fields["tenant_id"], protector)
    sequence_shifts, home_partitions = _who(fields, builder)
    if event_time_us is None:
        event_time_us = utc_us_column(fields["event_time"])
    builder.fixed("event_time", event_time_us)
    _what(fields, builder)
    subjects = SubjectLists.of(fields["subject_ids"])
    own_identifiers = OwnIdentifiers(events, fields, subjects, object_types)
    _free_texts(fields, builder, own_identifiers)
    _attrs(events, fields, builder, object_types)
    _where_from(fields, builder)
    _why(fields, builder)
    _whose(fields, subjects, builder)
    _resource(fields, subjects, builder, own_identifiers, object_types)
    numbers = _trailing_numbers(fields, subjects, builder)
    sequence = numbers + sequence_shifts  # modulo 2^32
    sequence[sequence == 0] = 1
    sequence[numbers == 0] = 0
    columns = ColumnBatch(builder.count, builder.columns)
    marks = _marks(fields, columns)
    return Protected(
        columns, sequence, home_partitions, subjects.rows, marks, builder.identities, builder.canonical
    )  # fmt: skip


def _who(fields: Fields, builder: ColumnBuilder) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
    """Actor, credential, session, device; returns each actor's secret shift and home partition."""
    count, ids = builder.count, fields["actor_id"]
    tokens, shifts = builder.no_tokens(count), np.empty(count, np.uint32)
    partitions = np.empty(count, np.int32)
    for tenant, rows in builder.tenants:
        table = builder.protector.actors(tenant)
        own = slice(None) if rows is None else rows
        own_ids = ids if rows is None else [ids[row] for row in rows]
        table_rows = table.ids(own_ids, len(own_ids))
        own_tokens = table.pseudonyms(table_rows)
        tokens.put(own, own_tokens)
        builder.note(tenant, "actor", own_tokens, own_ids)
        shifts[own] = np.frombuffer(table.shifts, np.uint32)[table_rows]
        partitions[own] = np.frombuffer(table.partitions, np.int32)[table_rows]
    builder.pseudonyms("actor_token", tokens)
    builder.codes("actor_type", fields["actor_type"], _ACTOR_TYPES)
    builder.text("actor_org", fields["actor_org"])
    builder.text("actor_dept", fields["actor_dept"])
    builder.text("actor_role", fields["actor_role"])
    builder.token("on_behalf_of_token", "on_behalf_of", fields["on_behalf_of"])
    builder.token("credential_token", "credential_id", fields["credential_id"])
    builder.token("session_token", "session_id", fields["session_id"])
    builder.token("device_token", "device_id", fields["device_id"])
    builder.codes("mfa", fields["mfa"], _FLAGS)
    user_agents = fields["user_agent"]
    builder.token("user_agent_hash", "user_agent", user_agents)
    builder.text("user_agent_family", user_agents, user_agent_family)
    return shifts, partitions


def _what(fields: Fields, builder: ColumnBuilder) -> None:
    """The event itself: identity, action, outcome, volume."""
    builder.fixed("event_id", _uuids(fields["event_id"]))
    builder.text("source_system", fields["source_system"])
    builder.text("source_instance", fields["source_instance"])
    builder.numbers("source_seq", fields["source_seq"], ABSENT, "<i8")
    builder.codes("channel", fields["channel"], _CHANNELS)
    builder.codes("action", fields["action"], _ACTIONS)
    builder.codes("outcome", fields["outcome"], _OUTCOMES)
    builder.numbers("http_status", fields["http_status"], 0, "<u2")
    builder.text("app_id", fields["app_id"])
    builder.lists("fields_accessed", fields["fields_accessed"])
    builder.lists("fields_unmasked", fields["fields_unmasked"])
    builder.numbers("records_returned", fields["records_returned"], ABSENT, "<i8")
    builder.numbers("records_matched", fields["records_matched"], ABSENT, "<i8")
    builder.numbers("bytes_out", fields["bytes_out"], ABSENT, "<i8")


def _free_texts(fields: Fields, builder: ColumnBuilder, own_identifiers: OwnIdentifiers) -> None:
    """What people and programs write freely: without the event's own identifiers, personal numbers masked."""
    for name in ("denial_reason", "endpoint", "query_fingerprint", "trace_id", "justification"):
        texts = fields[name]
        builder.masked(name, own_identifiers.taken_out(texts) if any(texts) else texts)


def _attrs(events: Sequence[AccessEvent], fields: Fields, builder: ColumnBuilder, object_types: frozenset[str]) -> None:
    """The allow-listed attributes, treated like free texts."""
    allowed = builder.protector.attrs_allowed
    attrs = fields["attrs"]
    if allowed and any(attrs):
        attrs = [
            {key: without_own_identifiers(value[key], event, object_types) for key in allowed if key in value}
            if value
            else None
            for value, event in zip(attrs, events, strict=True)
        ]
    builder.attrs(attrs)


def _where_from(fields: Fields, builder: ColumnBuilder) -> None:
    """Address, country, city."""
    addresses = fields["src_ip"]
    builder.fixed("src_ip", builder.protector.addresses.tokens(addresses, builder.count))
    builder.text("src_country", fields["src_country"])
    builder.text("src_city", fields["src_city"])


def _why(fields: Fields, builder: ColumnBuilder) -> None:
    """Purpose, case, approval, recipient."""
    builder.text("purpose", fields["purpose"])
    builder.codes("legal_basis", fields["legal_basis"], _LEGAL_BASES)
    builder.token("case_token", "case_ref", fields["case_ref"])
    builder.token("approval_token", "approval_ref", fields["approval_ref"])
    builder.codes("break_glass", fields["break_glass"], _FLAGS)
    builder.token("recipient_token", "recipient_id", fields["recipient_id"])
    builder.codes("recipient_type", fields["recipient_type"], _RECIPIENT_TYPES)
    builder.text("dst_country", fields["dst_country"])


def _whose(fields: Fields, subjects: SubjectLists, builder: ColumnBuilder) -> None:
    """Kind of data and its subjects."""
    builder.text("resource_type", fields["resource_type"])
    builder.lists("data_categories", fields["data_categories"])
    builder.numbers("sensitivity", fields["sensitivity"], 0, "u1")
    builder.token("subject_manifest_token", "subject_manifest", fields["subject_manifest"])
    builder.text("subject_region", fields["subject_region"])
    builder.lists("subject_flags", fields["subject_flags"])
    tokens = builder.tokens_of("subject", subjects.flat, subjects.rows)
    builder.columns["subject_tokens"] = ArrayColumn(np.cumsum(subjects.sizes), FixedColumn(tokens.stored))
    builder.keep_canonical("subject_tokens", tokens)
    given = builder.integers(fields["subject_count"], ABSENT, "<i8")
    builder.fixed("subject_count", np.where(given == ABSENT, subjects.sizes, given))


def _resource(
    fields: Fields,
    subjects: SubjectLists,
    builder: ColumnBuilder,
    own_identifiers: OwnIdentifiers,
    object_types: frozenset[str],
) -> None:
    """The resource: a person gets the token that it has among the subjects, a grant's receiver the one it acts under.

    Only declared objects stay in clear.
    """
    resources, kinds = fields["resource_id"], fields["resource_type"]
    is_subject = _are_subjects(resources, subjects)
    of_person = np.array(is_subject, np.bool_)
    # A grant's receiver is an actor: only under an actor's token can it be found again when it acts.
    of_actor = ~of_person & _are_receivers(fields["action"], kinds)
    tokens = builder.no_tokens(builder.count)
    for token_kind, chosen in (("subject", of_person), ("actor", of_actor), ("resource", ~of_person & ~of_actor)):
        rows = np.flatnonzero(chosen)
        tokens.put(rows, builder.tokens_of(token_kind, [resources[row] for row in rows.tolist()], rows))
    builder.pseudonyms("resource_token", tokens)
    clear: Sequence[str | None] = [
        resource if kind in object_types and not own else None
        for resource, kind, own in zip(resources, kinds, is_subject, strict=True)
    ]
    builder.masked("resource_id", own_identifiers.taken_out(clear) if any(clear) else clear)


def _marks(fields: Fields, columns: ColumnBatch) -> npt.NDArray[np.uint8]:
    """What only the raw event shows, uint8 (n,): rights granted to oneself, consent that was withdrawn.

    A receiver that is also the grant's data subject has the subject's token, and attributes are dropped: neither can be
    told later.
    """
    marks = np.zeros(columns.count, np.uint8)
    actors, resources = fields["actor_id"], fields["resource_id"]
    for row in np.flatnonzero(_are_receivers(fields["action"], fields["resource_type"])).tolist():
        if normalised(resources[row]) == normalised(actors[row]):
            marks[row] |= SELF_GRANT
    if any(fields["attrs"]):
        for row, attrs in enumerate(fields["attrs"]):
            if attrs and attrs.get(_CONSENT_STATE) == _WITHDRAWN:
                marks[row] |= CONSENT_WITHDRAWN
    return marks


def _are_receivers(actions: Sequence[str], kinds: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether each resource is the account that a grant gives a right to."""
    if _GRANT not in actions:
        return np.zeros(len(actions), np.bool_)
    return np.array(
        [action == _GRANT and kind.startswith(_ACCOUNT) for action, kind in zip(actions, kinds, strict=True)]
    )


def _trailing_numbers(fields: Fields, subjects: SubjectLists, builder: ColumnBuilder) -> npt.NDArray[np.uint32]:
    """The number that each resource id ends in, else the first subject's, uint32 (n,); 0 none."""
    trailing = builder.protector.trailing_numbers
    numbers = trailing.numbers(fields["resource_id"], builder.count)
    for row in np.flatnonzero((numbers == 0) & (subjects.sizes > 0)).tolist():
        numbers[row] = trailing[subjects.lists[row][0]]
    return numbers


def _are_subjects(resources: Sequence[str], subjects: SubjectLists) -> list[bool]:
    """Whether each resource is one of its event's subjects: then both must get the same token."""
    if "".join(resources).isascii() and "".join(subjects.flat).isascii():
        return [resource in ids for resource, ids in zip(resources, subjects.lists, strict=True)]
    return [
        resource in ids or normalised(resource) in map(normalised, ids)
        for resource, ids in zip(resources, subjects.lists, strict=True)
    ]


def _uuids(texts: Sequence[str]) -> npt.NDArray[np.void]:
    """UUIDs as ClickHouse holds them: two little-endian 64-bit halves, V16 (n,)."""
    halves = np.frombuffer(bytes.fromhex("".join(texts).replace("-", "")), ">u8")
    return halves.astype("<u8").view(_TOKEN_DTYPE)
