"""Properties of features: how the log is cut changes nothing, nothing later does, actors never touch each other."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.base import EventArrays
from detectors.features import compute
from detectors.profile import STATE, Profiles
from tests.arrays import START_US, event_arrays

_PER_EVENT = tuple(
    field.name
    for field in fields(EventArrays)
    if field.name not in {"count", "actor_keys", "peer_groups", "resource_types", "subject_ends", "subjects"}
)


def random_events(seed: int, count: int = 40) -> EventArrays:
    """Events of five actors in no order: quiet and busy minutes, silent rows, late ones, absent values."""
    draw = np.random.default_rng(seed)

    def some(*values: float) -> Any:
        return draw.choice(values, count)

    steps = some(0, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000, -900_000_000, -90_000_000_000)
    events = event_arrays(
        count,
        actors=draw.integers(0, 5, count),
        time_us=(START_US + np.cumsum(steps)).astype(np.int64),
        local_hour=draw.integers(0, 24, count),
        day_kind=draw.integers(0, 5, count),
        channel=draw.integers(0, 8, count),
        action=draw.integers(0, 20, count),
        outcome=draw.integers(0, 4, count),
        records=some(0, 1, 20, 100_000),
        unmasked=some(0, 1),
        external=some(0, 0, 1),
        explained=draw.integers(0, 4, count),
        approved=some(0, 0, 1),
        sensitivity=draw.integers(0, 5, count),
        device=some(0, 31, 32, 33),
        ip_prefix=some(0, 21, 22, 23),
        network_kind=draw.integers(0, 7, count),
        latitude=some(1000.0, 31.2, 50.1),
        sequence=some(0, 7, 8, 9, 10),
        vip_subjects=some(0, 0, 2),
        own_subject=some(0, 0, 1),
        off_region=some(0, 1),
        scorable=some(0, 1, 1, 1),
        subject_lists=[draw.integers(0, 9, draw.integers(0, 6)).tolist() for _ in range(count)],
    )
    events.subject_count += some(0, 0, 0, 300)
    return events


def part_of(events: EventArrays, rows: slice) -> EventArrays:
    """Consecutive rows as a batch of their own."""
    ends = events.subject_ends[rows]
    before = int(events.subject_ends[rows.start - 1]) if rows.start else 0
    values = {name: getattr(events, name)[rows] for name in _PER_EVENT}
    return EventArrays(
        count=len(ends),
        actor_keys=events.actor_keys[rows],
        peer_groups=events.peer_groups,
        resource_types=events.resource_types,
        subject_ends=ends - before,
        subjects=events.subjects[before : int(ends[-1]) if len(ends) else before],
        **values,
    )


def judged(events: EventArrays, size: int) -> tuple[list[bytes], list[bytes]]:
    """Features, usual values, deviations and all profiles after the events in batches of `size`."""
    profiles, parts = Profiles(), []
    for start in range(0, events.count, size):
        profiles.begin()
        parts.append(compute(part_of(events, slice(start, min(start + size, events.count))), profiles))
        profiles.commit()
    matrices = [np.concatenate(one).tobytes() for one in zip(*parts, strict=True)]
    return matrices, profiles.export(sorted(set(events.actor_keys)))


@given(st.integers(0, 2**32))
def test_how_the_log_is_cut_into_batches_changes_no_bit(seed: int) -> None:
    events = random_events(seed)
    whole = judged(events, events.count)
    assert judged(events, 1) == whole
    assert judged(events, 7) == whole


@given(st.integers(0, 2**32), st.integers(1, 39))
def test_nothing_that_comes_later_changes_a_feature(seed: int, known: int) -> None:
    events = random_events(seed)
    every, _, _ = compute(events, Profiles())
    early, _, _ = compute(part_of(events, slice(0, known)), Profiles())
    assert every[:known].tobytes() == early.tobytes()


@given(st.integers(0, 2**32))
def test_other_actors_change_nothing(seed: int) -> None:
    events = random_events(seed)
    every, _, _ = compute(events, Profiles())
    for key in set(events.actor_keys):
        profiles, alone = Profiles(), []
        own = [row for row, one in enumerate(events.actor_keys) if one == key]
        for row in own:
            alone.append(compute(part_of(events, slice(row, row + 1)), profiles)[0])
        assert np.concatenate(alone).tobytes() == every[own].tobytes()


@given(st.integers(0, 2**32), st.integers(0, 39))
def test_rollback_leaves_no_trace(seed: int, known: int) -> None:
    events, profiles, fresh = random_events(seed), Profiles(), Profiles()
    first = part_of(events, slice(0, known))
    for one in (profiles, fresh):
        one.begin()
        compute(first, one)
        one.commit()
    profiles.begin()
    compute(part_of(events, slice(known, events.count)), profiles)
    profiles.rollback()
    keys = sorted(set(first.actor_keys))
    assert len(profiles) == len(fresh) == len(keys)
    assert profiles.export(keys) == fresh.export(keys)
    assert profiles.dirty() == fresh.dirty()


@given(st.integers(0, 2**32))
def test_features_are_finite_and_never_negative(seed: int) -> None:
    events = random_events(seed)
    profiles = Profiles()
    features, usual, spread = compute(events, profiles)
    assert np.isfinite(features).all()
    assert (features >= 0).all()
    assert not features[events.scorable == 0].any()
    assert (np.isnan(usual) == np.isnan(spread)).all()
    assert (spread[~np.isnan(spread)] >= 0).all()
    for name in STATE.names or ():
        if STATE[name].base.kind == "f":
            assert np.isfinite(profiles.state[name]).all(), name
