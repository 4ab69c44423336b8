"""Properties of the directory's look-ups: the fast ways equal the definitions, written out plainly."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.directory.networks import PrefixTable
from pipeline.directory.work_items import AFTER_WORK_US, CLOCK_TOLERANCE_US, WorkItems, first_half
from pipeline.privacy.keys import Keyring

KEYRING = Keyring.offline()
MINUTE_US = 60 * 1_000_000
NAMES = st.integers(0, 3)
MINUTES = st.integers(0, 60 * 60)


def token(kind: str, number: int) -> bytes:
    return KEYRING.token("default", kind, f"{kind}-{number}")


Item = tuple[int, int, int | None, int, int | None]
Event = tuple[int | None, int, int, list[int]]

ITEMS = st.lists(st.tuples(NAMES, NAMES, st.none() | NAMES, MINUTES, st.none() | st.integers(0, 600)), max_size=25)
EVENTS = st.lists(st.tuples(st.none() | NAMES, NAMES, MINUTES, st.lists(NAMES, max_size=3)), min_size=1, max_size=12)


def explained_by_definition(event: Event, items: list[Item]) -> bool:
    case, actor, minute, subjects = event
    for item_case, item_actor, item_subject, opened, duration in items:
        if item_actor != actor:
            continue
        time_us, opened_us = minute * MINUTE_US, opened * MINUTE_US
        closed = duration is not None and time_us > (opened + duration) * MINUTE_US
        if opened_us - CLOCK_TOLERANCE_US > time_us or (closed and time_us - opened_us > AFTER_WORK_US):
            continue
        if case is None and item_subject is not None and item_subject in subjects:
            return True
        if case is not None and case == item_case and (item_subject is None or item_subject in subjects):
            return True
    return False


@given(ITEMS, EVENTS)
def test_work_items_explain_what_the_definition_says(items: list[Item], events: list[Event]) -> None:
    rows: list[list[Any]] = [
        [
            token("case", case).hex(),
            token("actor", actor).hex(),
            "" if subject is None else token("subject", subject).hex(),
            opened * MINUTE_US,
            None if duration is None else (opened + duration) * MINUTE_US,
            "ticket",
        ]
        for case, actor, subject, opened, duration in items
    ]

    def halves(tokens: list[bytes]) -> np.ndarray[Any, np.dtype[np.uint64]]:
        return first_half(np.frombuffer(b"".join(tokens), "V16"))

    found = WorkItems.from_rows(rows).explained(
        halves([bytes(16) if case is None else token("case", case) for case, _, _, _ in events]),
        halves([token("actor", actor) for _, actor, _, _ in events]),
        np.array([minute * MINUTE_US for _, _, minute, _ in events], np.int64),
        np.array([row for row, event in enumerate(events) for _ in event[3]], np.int32),
        halves([token("subject", subject) for event in events for subject in event[3]]),
    )
    assert found.tolist() == [explained_by_definition(event, items) for event in events]


@st.composite
def networks(draw: st.DrawFn) -> str:
    # Few different bits, so that ranges nest and addresses hit them.
    if draw(st.booleans()):
        number, length = draw(st.integers(0, 15)) << 28, draw(st.integers(0, 6))
        return str(ip_network((number, length), strict=False))
    high, length = draw(st.integers(0, 15)) << 124, draw(st.integers(0, 6))
    return str(ip_network((high, length), strict=False))


ADDRESSES = st.integers(0, 15).map(lambda top: ip_address(top << 28 | 77)) | st.integers(0, 15).map(
    lambda top: ip_address(top << 124 | 1 << 64)
)


@given(st.sets(networks(), max_size=12), ADDRESSES)
def test_the_longest_range_that_holds_an_address_is_found(ranges: set[str], address: Any) -> None:
    packed = address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
    holding = [ip_network(text) for text in ranges if address in ip_network(text)]
    expected = str(max(holding, key=lambda network: network.prefixlen)) if holding else None
    assert PrefixTable((text, text) for text in ranges).find(packed) == expected
