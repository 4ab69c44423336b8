"""What types cannot say about access events: checks over the columns of one run of typed events.

Second half of the stage `decode`. Each check names the places of the events at fault; where one has several faults, the
order of the checks decides, so a record fares the same whatever lies beside it in a batch. RFC 8259 (members of an
object have different names), RFC 9562 (UUID), RFC 4291 (addresses). Pure; the one memo changes speed, never results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline.events import DEFAULT_TENANT, EVENT_FIELDS, AccessEvent
from pipeline.timestamps import NO_TIME_US, utc_us

EARLIEST_US = utc_us("2000-01-01T00:00:00Z")
LATEST_AFTER_RECEIPT_US = 24 * 3600 * 1_000_000


Fields = Mapping[str, Sequence[Any]]


def event_faults(
    events: Sequence[AccessEvent],
    fields: Fields,
    values: Sequence[bytes],
    times: npt.NDArray[np.int64],
    received_at_us: npt.NDArray[np.int64],
) -> dict[int, str]:
    """Place → reason of the events at fault; the first check here that finds a fault names it.

    `fields`: `fields_of(events)`; `values`: the bytes each event was decoded from; `times` and `received_at_us`: UTC
    microseconds, int64 (n,).
    """
    no_time = times == NO_TIME_US
    out_of_range = (times < EARLIEST_US) | (times > received_at_us + LATEST_AFTER_RECEIPT_US)
    joined = b"".join(values)
    faults: dict[int, str] = {}
    for reason, places in (
        ("duplicate_key", _duplicate_keys(events, fields, values, joined)),
        ("nul_character", _nul_characters(values) if b"\\" in joined else ()),
        ("bad_uuid", _bad_uuids(fields["event_id"])),
        ("bad_time", np.flatnonzero(no_time).tolist()),
        ("time_out_of_range", np.flatnonzero(out_of_range).tolist()),
        ("bad_address", _bad_addresses(fields["src_ip"])),
    ):
        for place in places:
            faults.setdefault(place, reason)
    for place, reason in _count_faults(events, fields):
        faults.setdefault(place, reason)
    return faults


_TENANT_PLACE, _ATTRS_PLACE = EVENT_FIELDS.index("tenant_id"), EVENT_FIELDS.index("attrs")
_OPTIONAL = [one.name for one in msgspec.structs.fields(AccessEvent) if one.default is None]
_COLON, _QUOTE, _SPACE = (np.uint8(ord(character)) for character in ':" ')


def _duplicate_keys(events: Sequence[AccessEvent], fields: Fields, values: Sequence[bytes], joined: bytes) -> list[int]:
    """Events one of whose objects has a key twice (msgspec keeps the last without a word).

    Each key has one colon, after a quotation mark or white space, so no value has fewer such colons than keys. As many
    in all as there are keys: no key came twice. More: a text may hold such a colon, so the values that have too many
    are parsed once more, slowly and exactly.
    """
    marks = _key_colons(joined)
    if np.count_nonzero(marks) == _keys_known(fields):
        return []
    ends = np.cumsum(list(map(len, values)))
    before = np.concatenate((np.zeros(1, np.int64), np.cumsum(marks)))
    of_each = np.diff(before[ends - 1], prepend=0)
    suspects = np.flatnonzero(of_each != _keys_of_each(events)).tolist()
    return [place for place in suspects if _has_duplicate_key(values[place])]


def _key_colons(values: bytes) -> npt.NDArray[np.bool_]:
    """Which characters of valid JSON, from the second on, are colons that may end a key."""
    characters = np.frombuffer(values, np.uint8)
    before = characters[:-1]
    marks: npt.NDArray[np.bool_] = (before == _QUOTE) | (before <= _SPACE)  # no other control character is valid
    marks &= characters[1:] == _COLON
    return marks


def _keys_known(fields: Fields) -> int:
    """Different keys in the values that these events were decoded from, in all.

    A tenant that was absent is the default object itself; one that was sent is an object of its own.
    """
    count = len(fields["event_id"])
    present = count * len(EVENT_FIELDS) - sum(fields[name].count(None) for name in _OPTIONAL)
    absent_tenants = sum(tenant is DEFAULT_TENANT for tenant in fields["tenant_id"])
    nested = sum(len(members or ()) for members in fields["attrs"]) if any(fields["attrs"]) else 0
    return present - absent_tenants + nested


def _keys_of_each(events: Sequence[AccessEvent]) -> npt.NDArray[np.int64]:
    """As above, of each event, int64 (n,)."""
    rows = list(map(msgspec.structs.astuple, events))
    absent = [row.count(None) + (row[_TENANT_PLACE] is DEFAULT_TENANT) for row in rows]
    nested = [len(row[_ATTRS_PLACE] or ()) for row in rows]
    return len(EVENT_FIELDS) - np.array(absent, np.int64) + np.array(nested, np.int64)


def _has_duplicate_key(value: bytes) -> bool:
    try:
        json.loads(value, object_pairs_hook=_unique)
    except KeyError:
        return True
    return False


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise KeyError
    return members


_NUL_ESCAPE = b"\\u0000"
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # an even number of backslashes before it are characters of their own


def _nul_characters(values: Sequence[bytes]) -> list[int]:
    """Values with an escaped U+0000; a bare one is no JSON."""
    escaped = [place for place, value in enumerate(values) if b"\\" in value]
    return [place for place in escaped if _NUL_ESCAPE in values[place] and _NUL.search(values[place]) is not None]


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE).fullmatch
_UUID_CHARACTERS = 36
_UUID_HYPHENS = [8, 13, 18, 23]
_HEXADECIMAL = np.zeros(256, np.bool_)
_HEXADECIMAL[list(b"0123456789abcdef")] = True


def _bad_uuids(ids: Sequence[str]) -> list[int]:
    """Events whose id is no UUID of 36 characters."""
    if _all_canonical(ids):
        return []
    return [place for place, text in enumerate(ids) if _UUID(text) is None]


def _all_canonical(ids: Sequence[str]) -> bool:
    joined = "".join(ids)
    if not joined.isascii() or set(map(len, ids)) != {_UUID_CHARACTERS}:
        return False
    characters = np.frombuffer(joined.encode(), np.uint8).reshape(-1, _UUID_CHARACTERS)
    right = _HEXADECIMAL[characters]
    right[:, _UUID_HYPHENS] = characters[:, _UUID_HYPHENS] == ord("-")
    return bool(right.all())


def canonical_ids(events: list[AccessEvent], ids: Sequence[str]) -> list[AccessEvent]:
    """The events with ids in small letters (RFC 9562, section 4): one id has one form, however it was written."""
    if _all_canonical(ids):
        return events
    return [msgspec.structs.replace(event, event_id=event.event_id.lower()) for event in events]


@lru_cache(maxsize=65_536)
def _is_address(text: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address, without a zone (RFC 4291, section 2.2)."""
    kind: Callable[[str], IPv4Address | IPv6Address] = IPv6Address if ":" in text else IPv4Address
    try:
        kind(text)
    except AddressValueError:
        return False
    return "%" not in text


def _bad_addresses(addresses: Sequence[str | None]) -> list[int]:
    """Events whose source address is none."""
    bad = {text for text in set(addresses) if text is not None and not _is_address(text)}
    return [place for place, text in enumerate(addresses) if text in bad] if bad else []


def _count_faults(events: Sequence[AccessEvent], fields: Fields) -> Iterable[tuple[int, str]]:
    """Events whose number of subjects contradicts their list of subjects."""
    counts, lists = fields["subject_count"], fields["subject_ids"]
    unequal = [
        place
        for place, (count, subjects) in enumerate(zip(counts, lists, strict=True))
        if count is not None and (subjects is None or count != len(subjects))
    ]
    for place in unequal:
        count, subjects = counts[place], lists[place] or ()
        if count > len(subjects) and events[place].subject_manifest is None:
            yield place, "count_without_manifest"
        elif count < len(subjects) and count < len(set(subjects)):
            yield place, "count_too_small"
