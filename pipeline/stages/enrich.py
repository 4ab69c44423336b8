"""Enrich: adds what the company knows (directory, networks, work items, calendar) to a protected batch.

Place in the flow: after `protect`, before `assess`. Values are those of the event's own time: who had left by then,
which ticket was open then, what day it was at the actor's site. Only canonical tokens are compared. Pure: the same
batch and snapshot give the same result; `EnrichMemory` changes speed only. Everything is looked up by array or
dictionary, no loop over events but for lists that the directory fills.

Who wins: organisation, department, role: the directory, else the event. Country and city: the network list, then
the geo table, then the event. Sensitivity and data categories: the event, else the directory. Flags: both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import EventArrays
from pipeline import events
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.directory import DirectorySnapshot
from pipeline.directory.calendar_cn import weekday_kinds
from pipeline.directory.index import FLAG_BIT, UNKNOWN_DAY, DirectoryIndex, country_code
from pipeline.directory.local_time import local_days_and_hours
from pipeline.directory.text_map import TextMap
from pipeline.directory.work_items import first_half
from pipeline.privacy.protected import CONSENT_WITHDRAWN, SELF_GRANT, Protected
from pipeline.privacy.user_agents import agent_kind

UNKNOWN_DAYS_TO_LEAVE = 32767
_HIGHEST_COUNT = 65535

_ACTION = events.codes(events.ACTIONS)
_OUTCOME = events.codes(events.OUTCOMES)
_STATUS = events.codes(events.ACTOR_STATUSES)
_EXPLAINED = events.codes(events.EXPLAINED)
_RECIPIENT = events.codes(events.RECIPIENT_TYPES)
_OUTSIDE = tuple(_RECIPIENT[word] for word in ("partner", "external", "public"))
_UNMASKING = (_ACTION["unmask"], _ACTION["decrypt"])
_HEARTBEAT = "heartbeat"
_OWN_SOURCE, _OWN_TYPES = "accesstrail", ("version_set", "accesstrail_account")
_YES = events.codes(events.FLAG_WORDS)["yes"]
_PARTNER = events.codes(events.ACTOR_TYPES)["partner"]
_AGENT_KIND = events.codes(events.AGENT_KINDS)
_VIP_BITS = FLAG_BIT["vip"] | FLAG_BIT["employee"] | FLAG_BIT["complaint"]

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]


def text_hash(text: str) -> int:
    """64 bits that name a type, route or system: BLAKE2b, not keyed, because these are no identifiers; "" is 0."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") if text else 0


class EnrichMemory:
    """The index of the snapshot in use and hashes of texts; one thread at a time."""

    def __init__(self) -> None:
        self._index: DirectoryIndex | None = None
        self._key: tuple[DirectorySnapshot, str] | None = None
        self._translations: dict[str, TextMap] = {}
        self.hashes = {name: TextMap(np.uint64, text_hash) for name in ("resource_type", "endpoint", "source_system")}
        self.country_codes = {name: TextMap(np.uint16, country_code) for name in ("src_country", "dst_country")}
        self.flag_bits = TextMap(np.uint8, lambda flag: FLAG_BIT.get(flag, 0))
        self.agent_kinds = TextMap(np.uint8, lambda family: _AGENT_KIND.get(agent_kind(family), 0))

    def index(self, directory: DirectorySnapshot, default_time_zone: str) -> DirectoryIndex:
        """The index of this very snapshot; built anew when it is another one or has grown too large."""
        known = self._key is not None and self._key[0] is directory and self._key[1] == default_time_zone
        if self._index is None or not known or self._index.full:
            self._index = DirectoryIndex(directory, default_time_zone)
            self._key = (directory, default_time_zone)
            self._translations = {}
        return self._index

    def translated(self, name: str, column: TextColumn, interner: Interner) -> I32:
        """A column's texts as ids of the enriched column's interner, (n,)."""
        if name not in self._translations:
            self._translations[name] = TextMap(np.int32, interner.__getitem__)
        return self._translations[name].of(column)


@dataclass(slots=True)
class _Batch:
    """One batch on its way through the steps below."""

    columns: ColumnBatch
    protected: Protected
    index: DirectoryIndex
    memory: EnrichMemory
    actor_rows: I32
    times_us: I64
    subject_ends: I64
    subjects: U64

    def text_else_event(self, name: str, ids: I32) -> TextColumn:
        """Stores text column `name`: what the directory says where it says anything, else what the event said."""
        interner = self.index.interners[name]
        if not ids.all():
            said = self.memory.translated(name, self.columns.text(name), interner)
            ids = np.where(ids != 0, ids, said)
        column = TextColumn(ids, interner)
        self.columns.columns[name] = column
        return column

    def half(self, name: str) -> U64:
        """First halves of a token column, canonical ones: what was before a rotation of the key is the same."""
        return first_half(self.protected.person_tokens(name))

    def code(self, name: str) -> U8:
        """A word column's codes, unsigned."""
        return self.columns.fixed(name).view(np.uint8)

    def store(self, name: str, values: npt.NDArray[np.generic]) -> None:
        """Stores a fixed column."""
        self.columns.columns[name] = FixedColumn(values)


def enrich(
    protected: Protected, directory: DirectorySnapshot, *, default_time_zone: str, memory: EnrichMemory
) -> EventArrays:
    """Fills the enriched columns of `protected.columns` in place and returns what the detectors read.

    `default_time_zone`: an IANA name, for actors without a site.
    """
    columns = protected.columns
    subject_ends, subject_tokens = _token_lists(columns, "subject_tokens")
    subject_tokens = protected.canonical.get("subject_tokens", subject_tokens)
    index = memory.index(directory, default_time_zone)
    tokens = protected.person_tokens("actor_token").tolist()
    known = index.actors.rows
    batch = _Batch(
        columns=columns,
        protected=protected,
        index=index,
        memory=memory,
        actor_rows=np.array([known.get(token, 0) for token in tokens], np.int32),
        times_us=columns.fixed("event_time").astype(np.int64, copy=False),
        subject_ends=subject_ends,
        subjects=first_half(subject_tokens),
    )
    who = _who(batch)
    where = _where(batch)
    what = _what(batch)
    whose = _whose(batch)
    why = {**_why(batch), **_agreed(batch, who["local_day"])}
    return EventArrays(
        count=columns.count,
        actor_keys=_actor_keys(columns.text("tenant_id"), tokens),
        **who,
        **where,
        **what,
        **whose,
        **why,
    )


def _word_lists(columns: ColumnBatch, name: str) -> tuple[I64, TextColumn]:
    """Ends and items of a column of lists of words."""
    column = columns.columns[name]
    if not isinstance(column, ArrayColumn) or not isinstance(column.items, TextColumn):
        raise TypeError(f"column {name} holds no lists of words")
    return column.ends, column.items


def _token_lists(columns: ColumnBatch, name: str) -> tuple[I64, npt.NDArray[np.generic]]:
    """Ends and items of a column of lists of tokens."""
    column = columns.columns[name]
    if not isinstance(column, ArrayColumn) or not isinstance(column.items, FixedColumn):
        raise TypeError(f"column {name} holds no lists of tokens")
    return column.ends, column.items.values


def _actor_keys(tenants: TextColumn, tokens: list[bytes]) -> list[bytes]:
    """Tenant text + 0x00 + actor token: the key of each actor's profile."""
    texts = tenants.interner.texts
    ids = tenants.ids.tolist()
    if len(set(ids)) == 1:
        prefix = texts[ids[0]].encode() + b"\0"
        return [prefix + token for token in tokens]
    return [texts[tenant].encode() + b"\0" + token for tenant, token in zip(ids, tokens, strict=True)]


def _who(batch: _Batch) -> dict[str, Any]:
    """The actor as of event time, and local time at the actor's site."""
    actors, rows = batch.index.actors, batch.actor_rows
    local_day, local_hour = local_days_and_hours(batch.times_us, actors.zones[rows], batch.index.zones)
    day_kind = np.where(
        actors.in_china[rows], batch.index.directory.calendar.day_kinds(local_day), weekday_kinds(local_day)
    )
    holidays = np.where(actors.in_china[rows], batch.index.directory.calendar.holidays_before(local_day), 0)
    hired_on, leaves_on = actors.hired_on[rows], actors.leaves_on[rows]
    hired_known, leaving_known = hired_on != UNKNOWN_DAY, leaves_on != UNKNOWN_DAY
    status = _status_at(
        actors.statuses[rows], hired_known & (local_day < hired_on), leaving_known, leaves_on - local_day
    )
    batch.store("day_kind", day_kind.view(np.int8))
    batch.store("actor_status", status.view(np.int8))
    batch.text_else_event("actor_org", actors.orgs[rows])
    batch.text_else_event("actor_dept", actors.departments[rows])
    batch.text_else_event("actor_role", actors.roles[rows])
    actor_type = batch.code("actor_type")
    groups = actors.peer_groups[rows]
    return {
        "peer_group_ids": np.where(groups >= 0, groups, actor_type).astype(np.int32),
        "peer_groups": batch.index.peer_groups,
        "actor_type": actor_type,
        "actor_status": status,
        "tenure_days": np.where(hired_known & (local_day >= hired_on), local_day - hired_on, -1).astype(np.int32),
        "days_to_leave": np.where(
            leaving_known, np.clip(leaves_on - local_day, -32767, 32766), UNKNOWN_DAYS_TO_LEAVE
        ).astype(np.int32),
        "on_behalf": batch.half("on_behalf_of_token"),
        "event_time_us": batch.times_us,
        "local_day": local_day,
        "local_hour": local_hour,
        "day_kind": day_kind,
        "holidays": holidays.astype(np.int32),
    }


def _status_at(
    listed: U8, before_hired: npt.NDArray[np.bool_], leaving_known: npt.NDArray[np.bool_], days_to_leave: I32
) -> U8:
    """Code of ACTOR_STATUSES on the event's local day.

    Before hired_on nobody is listed. Who has a last day is `left` after it and was not before it, whatever the file
    says today; `left` without a date is left.
    """
    left = _STATUS["left"]
    gone = np.where(leaving_known, days_to_leave < 0, listed == left)
    status = np.where(gone, left, np.where(listed == left, _STATUS["active"], listed))
    return np.where(before_hired, _STATUS["unlisted"], status).astype(np.uint8)


def _where(batch: _Batch) -> dict[str, Any]:
    """Network, place, device, session."""
    columns, memory = batch.columns, batch.memory
    addresses = columns.fixed("src_ip")
    known = batch.index.addresses.of(addresses)
    network_kind = np.ascontiguousarray(known["kind"])
    batch.store("network_kind", network_kind.view(np.int8))
    columns.columns["network_site"] = TextColumn(
        np.ascontiguousarray(known["site"]), batch.index.interners["network_site"]
    )
    country = batch.text_else_event("src_country", np.ascontiguousarray(known["country"]))
    batch.text_else_event("src_city", np.ascontiguousarray(known["city"]))
    codes = memory.country_codes["src_country"].of(country)
    return {
        "ip_prefix": ip_prefixes(addresses),
        "network_kind": network_kind,
        "country": codes,
        "source_abroad": _abroad(batch, codes),
        "latitude": np.ascontiguousarray(known["latitude"]),
        "longitude": np.ascontiguousarray(known["longitude"]),
        "device": batch.half("device_token"),
        "user_agent": batch.half("user_agent_hash"),
        "agent_kind": memory.agent_kinds.of(columns.text("user_agent_family")),
        "session": batch.half("session_token"),
        "credential": batch.half("credential_token"),
    }


def _abroad(batch: _Batch, countries: npt.NDArray[np.uint16]) -> U8:
    """1 where a country is given, the actor's own is known, and they differ."""
    home = batch.index.actors.home_countries[batch.actor_rows]
    abroad: U8 = ((countries != 0) & (home != 0) & (countries != home)).astype(np.uint8)
    return abroad


def ip_prefixes(addresses: npt.NDArray[np.generic]) -> U64:
    """The /24 (IPv4) or /48 (IPv6) of each address as one number, 0 where there is no address; (n,).

    The top byte tells the families apart: 1 and the whole IPv4 address without its last byte, 2 and 48 bits of IPv6.
    """
    halves = np.ascontiguousarray(addresses).view(">u8").astype(np.uint64).reshape(-1, 2)
    high, low = halves[:, 0], halves[:, 1]
    mapped = (high == 0) & (low >> np.uint64(32) == 0xFFFF)
    four = np.uint64(1 << 56) | (low & np.uint64(0xFFFFFF00))
    six = np.uint64(2 << 56) | (high >> np.uint64(16))
    prefixes: U64 = np.where(mapped, four, np.where((high | low) == 0, np.uint64(0), six))
    return prefixes


def _what(batch: _Batch) -> dict[str, Any]:
    """Action, resource, volume."""
    columns, memory = batch.columns, batch.memory
    action, outcome = batch.code("action"), batch.code("outcome")
    types = columns.text("resource_type")
    records = columns.fixed("records_returned").astype(np.int64, copy=False)
    counted = (action == _ACTION["read"]) & (outcome == _OUTCOME["success"])
    unmasked = np.diff(_word_lists(columns, "fields_unmasked")[0], prepend=0) > 0
    sensitivity = columns.fixed("sensitivity").astype(np.uint8, copy=False)
    sensitivity = np.where(sensitivity == 0, batch.index.sensitivities.of(types), sensitivity)
    batch.store("sensitivity", sensitivity)
    _fill_categories(batch, types)
    silent = (action == _ACTION["log_control"]) & (types.ids == types.interner.get(_HEARTBEAT, -1))
    silent |= _is_own_change(columns, action)
    return {
        "channel": batch.code("channel"),
        "action": action,
        "outcome": outcome,
        "resource_type": memory.hashes["resource_type"].of(types),
        "resource_type_ids": types.ids,
        "resource_types": types.interner.texts,
        "endpoint": memory.hashes["endpoint"].of(columns.text("endpoint")),
        "source_system": memory.hashes["source_system"].of(columns.text("source_system")),
        "resource": batch.half("resource_token"),
        "sensitivity": sensitivity,
        "records": np.where(records < 0, counted.astype(np.int64), records),
        "matched": columns.fixed("records_matched").astype(np.int64, copy=False),
        "bytes_out": np.maximum(columns.fixed("bytes_out").astype(np.int64, copy=False), 0),
        "unmasked": (unmasked | np.isin(action, _UNMASKING)).astype(np.uint8),
        "grant_to_self": ((batch.protected.marks & SELF_GRANT) != 0).astype(np.uint8),
        "sequence": batch.protected.sequence,
        "scorable": (~silent).astype(np.uint8),
    }


def _is_own_change(columns: ColumnBatch, action: U8) -> npt.NDArray[np.bool_]:
    """Which events tell of a change of accesstrail's own version set or accounts: evidence, but no look at data."""
    types, sources = columns.text("resource_type"), columns.text("source_system")
    is_set = np.isin(types.ids, [types.interner.get(name, -1) for name in _OWN_TYPES])
    is_ours = sources.ids == sources.interner.get(_OWN_SOURCE, -1)
    own: npt.NDArray[np.bool_] = is_set & is_ours & (action == _ACTION["policy_change"])
    return own


def _fill_categories(batch: _Batch, types: TextColumn) -> None:
    """Data categories from the directory for events that name none."""
    ends, said = _word_lists(batch.columns, "data_categories")
    interner = batch.index.interners["data_categories"]
    items = batch.memory.translated("data_categories", said, interner)
    sizes = np.diff(ends, prepend=0)
    listed = np.where(sizes == 0, batch.index.category_rows.of(types), 0)
    filled = np.flatnonzero(listed)
    if len(filled):
        lists = [batch.index.category_lists[row] for row in listed[filled].tolist()]
        added = np.array([len(one) for one in lists])
        places = np.repeat(ends[filled], added)  # an empty list ends where the one before it does
        items = np.insert(items, places, np.array([item for one in lists for item in one], np.int32))
        sizes[filled] = added
    batch.columns.columns["data_categories"] = ArrayColumn(np.cumsum(sizes), TextColumn(items, interner))


def _whose(batch: _Batch) -> dict[str, Any]:
    """Data subjects: flags, region, whether they are the actor."""
    count, rows, actors = batch.columns.count, batch.protected.subject_rows, batch.index.actors
    known = batch.index.subjects_known(batch.subjects)
    subject_flags = batch.index.subject_flags[known]
    event_flags = _event_flags(batch)
    all_flags = event_flags.copy()
    np.bitwise_or.at(all_flags, rows, subject_flags)
    _store_flags(batch, all_flags)

    regions = np.zeros(count, np.int32)
    listed = np.flatnonzero(batch.index.subject_regions[known])[::-1]
    regions[rows[listed]] = batch.index.subject_regions[known[listed]]  # backwards: the first one stays
    said = batch.memory.translated(
        "subject_region", batch.columns.text("subject_region"), batch.index.interners["subject_region"]
    )
    regions = np.where(said != 0, said, regions)
    batch.columns.columns["subject_region"] = TextColumn(regions, batch.index.interners["subject_region"])
    actor_regions = actors.regions[batch.actor_rows]
    elsewhere = (regions != 0) & actor_regions.any(axis=1) & (actor_regions != regions[:, None]).all(axis=1)

    own = np.zeros(count, np.bool_)
    for place in range(actors.own_subjects.shape[1]):
        half = actors.own_subjects[batch.actor_rows, place]
        own |= (half != 0) & (half == batch.half("resource_token"))
        own[rows[(half[rows] != 0) & (half[rows] == batch.subjects)]] = True
    return {
        "subject_ends": batch.subject_ends,
        "subjects": batch.subjects,
        "subject_count": batch.columns.fixed("subject_count").astype(np.int64, copy=False),
        "vip_subjects": _flagged(rows, subject_flags, event_flags, _VIP_BITS),
        "minor_subjects": _flagged(rows, subject_flags, event_flags, FLAG_BIT["minor"]),
        "own_subject": own.astype(np.uint8),
        "household_subject": _in_household(batch, known, own),
        "off_region": elsewhere.astype(np.uint8),
    }


def _in_household(batch: _Batch, known: I64, own: npt.NDArray[np.bool_]) -> U8:
    """1 where a subject shares the actor's household without being the actor; `known`: the subjects' rows."""
    index, rows = batch.index, batch.protected.subject_rows
    same = np.zeros(batch.columns.count, np.uint8)
    if index.own_households.shape[1] and len(rows):
        households = index.subject_households[known]
        for place in range(index.own_households.shape[1]):
            half = index.own_households[batch.actor_rows[rows], place]
            same[rows[(half != 0) & (half == households)]] = 1
        same[own] = 0
    return same


def _flagged(rows: I32, subject_flags: U8, event_flags: U8, bits: int) -> npt.NDArray[np.uint16]:
    """How many subjects of each event carry one of the flags; at least 1 where the event itself says so."""
    counts = np.bincount(rows[(subject_flags & bits) != 0], minlength=len(event_flags))
    counts = np.maximum(counts, (event_flags & bits) != 0)
    capped: npt.NDArray[np.uint16] = np.minimum(counts, _HIGHEST_COUNT).astype(np.uint16)
    return capped


def _event_flags(batch: _Batch) -> U8:
    """The flags that events themselves carry, as bits."""
    ends, said = _word_lists(batch.columns, "subject_flags")
    flags = np.zeros(batch.columns.count, np.uint8)
    if len(said.ids):
        owners = np.repeat(np.arange(batch.columns.count), np.diff(ends, prepend=0))
        np.bitwise_or.at(flags, owners, batch.memory.flag_bits.of(said))
    return flags


def _store_flags(batch: _Batch, flags: U8) -> None:
    """Stores the merged flags, each once, in the order of SUBJECT_FLAGS."""
    interner = batch.index.interners["subject_flags"]
    ids = np.array([interner[flag] for flag in FLAG_BIT], np.int32)
    marked = np.unpackbits(flags[:, None], axis=1, bitorder="little", count=len(FLAG_BIT)).astype(np.bool_)
    items = np.broadcast_to(ids, marked.shape)[marked]
    ends = np.cumsum(marked.sum(axis=1), dtype=np.int64)
    batch.columns.columns["subject_flags"] = ArrayColumn(ends, TextColumn(items, interner))


def _why(batch: _Batch) -> dict[str, Any]:
    """Work items, approval, recipient: is there a reason, and does data leave?"""
    cases, approved = batch.half("case_token"), batch.half("approval_token") != 0
    explained = batch.index.directory.work_items.explained(
        cases, batch.half("actor_token"), batch.times_us, batch.protected.subject_rows, batch.subjects
    )
    verdict = np.where(
        explained,
        _EXPLAINED["explained"],
        np.where((cases != 0) | approved, _EXPLAINED["claimed"], _EXPLAINED["not_yet_explained"]),
    ).astype(np.uint8)
    batch.store("explained", verdict.view(np.int8))
    destination = batch.memory.country_codes["dst_country"].of(batch.columns.text("dst_country"))
    recipient, abroad = batch.code("recipient_type"), _abroad(batch, destination)
    return {
        "external": (np.isin(recipient, _OUTSIDE) | (abroad == 1)).astype(np.uint8),
        "recipient": recipient,
        "destination_abroad": abroad,
        "break_glass": (batch.code("break_glass") == _YES).astype(np.uint8),
        "explained": verdict,
        "approved": approved.astype(np.uint8),
        "case": cases,
        "legal_basis": batch.code("legal_basis"),
        "consent_withdrawn": ((batch.protected.marks & CONSENT_WITHDRAWN) != 0).astype(np.uint8),
    }


def _agreed(batch: _Batch, local_day: I32) -> dict[str, Any]:
    """Whether purpose and contract cover the access; after `_who`, which fills organisation and department."""
    columns, index = batch.columns, batch.index
    purposes, types = columns.text("purpose"), columns.text("resource_type")
    partners = batch.code("actor_type") == _PARTNER
    contract, limit = index.contracts.fits(partners, columns.text("actor_org"), types, purposes, local_day)
    return {
        "purpose_fit": index.purposes.fits(purposes, columns.text("actor_dept"), types),
        "contract": contract,
        "contract_limit": limit,
    }
