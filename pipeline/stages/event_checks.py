"""What types cannot say about access events: checks over the columns of one run of typed events.

Second half of the stage `decode`. Each check names the places of the events at fault; where one has several faults, the
order of the checks decides, so a record fares the same whatever lies beside it in a batch. RFC 8259 (members of an
object have different names), RFC 9562 (UUID), RFC 4291 (addresses). Pure; the one memo changes speed, never results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline.events import DEFAULT_TENANT, AccessEvent
from pipeline.timestamps import NO_TIME_US, utc_us

EARLIEST_US = utc_us("2000-01-01T00:00:00Z")
LATEST_AFTER_RECEIPT_US = 24 * 3600 * 1_000_000


def event_faults(
    events: Sequence[AccessEvent],
    values: Sequence[bytes],
    times: npt.NDArray[np.int64],
    received_at_us: npt.NDArray[np.int64],
) -> dict[int, str]:
    """Place → reason of the events at fault; the first check here that finds a fault names it.

    `values`: the bytes each event was decoded from; `times` and `received_at_us`: UTC microseconds, int64 (n,).
    """
    no_time = times == NO_TIME_US
    out_of_range = (times < EARLIEST_US) | (times > received_at_us + LATEST_AFTER_RECEIPT_US)
    faults: dict[int, str] = {}
    for reason, places in (
        ("duplicate_key", _duplicate_keys(events, values)),
        ("nul_character", _nul_characters(values)),
        ("bad_uuid", _bad_uuids(events)),
        ("bad_time", np.flatnonzero(no_time).tolist()),
        ("time_out_of_range", np.flatnonzero(out_of_range).tolist()),
        ("bad_address", _bad_addresses(events)),
    ):
        for place in places:
            faults.setdefault(place, reason)
    for place, reason in _count_faults(events):
        faults.setdefault(place, reason)
    return faults


_FIELDS = len(AccessEvent.__struct_fields__)
_TENANT_PLACE = AccessEvent.__struct_fields__.index("tenant_id")
_ATTRS_PLACE = AccessEvent.__struct_fields__.index("attrs")
_COLON = ord(":")
_ENDS_KEY = np.zeros(256, np.bool_)
_ENDS_KEY[list(b'" \t\r\n')] = True


def _duplicate_keys(events: Sequence[AccessEvent], values: Sequence[bytes]) -> list[int]:
    """Events one of whose objects has a key twice (msgspec keeps the last without a word).

    Each key has one colon, after a quotation mark or white space. As many such colons as the event has keys: no key
    came twice. More: a text may hold such a colon, so that value is parsed once more, slowly and exactly.
    """
    suspects = np.flatnonzero(_key_colons(values) != _keys_known(events)).tolist()
    return [place for place in suspects if _has_duplicate_key(values[place])]


def _keys_known(events: Sequence[AccessEvent]) -> npt.NDArray[np.int64]:
    """Different keys in the value that each event was decoded from, int64 (n,).

    A tenant that was absent is the default object itself; one that was sent is an object of its own.
    """
    rows = list(map(msgspec.structs.astuple, events))
    absent = [row.count(None) + (row[_TENANT_PLACE] is DEFAULT_TENANT) for row in rows]
    attrs = [row[_ATTRS_PLACE] for row in rows]
    nested = [len(members or ()) for members in attrs] if any(attrs) else 0
    known: npt.NDArray[np.int64] = _FIELDS - np.array(absent, np.int64) + nested
    return known


def _key_colons(values: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """Colons that may end a key, of each value, int64 (n,); every value has at least one."""
    if not values:
        return np.zeros(0, np.int64)
    characters = np.frombuffer(b"".join(values), np.uint8)
    colons = np.flatnonzero(characters == _COLON)
    ends_key = _ENDS_KEY[characters[colons - 1]]
    starts = np.zeros(len(values), np.int64)
    np.cumsum(list(map(len, values[:-1])), out=starts[1:])
    return np.add.reduceat(ends_key, np.searchsorted(colons, starts), dtype=np.int64)


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


def _bad_uuids(events: Sequence[AccessEvent]) -> list[int]:
    """Events whose id is no UUID of 36 characters."""
    ids = [event.event_id for event in events]
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


def canonical_ids(events: list[AccessEvent]) -> list[AccessEvent]:
    """The events with ids in small letters (RFC 9562, section 4): one id has one form, however it was written."""
    if _all_canonical([event.event_id for event in events]):
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


def _bad_addresses(events: Sequence[AccessEvent]) -> list[int]:
    """Events whose source address is none."""
    addresses = [event.src_ip for event in events]
    bad = {text for text in set(addresses) if text is not None and not _is_address(text)}
    return [place for place, text in enumerate(addresses) if text in bad] if bad else []


def _count_faults(events: Sequence[AccessEvent]) -> Iterable[tuple[int, str]]:
    """Events whose number of subjects contradicts their list of subjects."""
    for place, event in enumerate(events):
        count = event.subject_count
        if count is None:
            continue
        subjects = event.subject_ids or ()
        if count > len(subjects) and event.subject_manifest is None:
            yield place, "count_without_manifest"
        elif count < len(subjects) and count < len(set(subjects)):
            yield place, "count_too_small"
