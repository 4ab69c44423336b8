"""The compiled features equal their plain reference, whatever comes in whatever order and however it is cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import F32, NO_LOCATION, EventArrays
from detectors.features import INDEX, NAMES, compute
from detectors.profile import RING_DAYS, Profiles
from pipeline.events import ACTIONS, CHANNELS, DAY_KINDS, EXPLAINED, NETWORK_KINDS, OUTCOMES, codes
from tests.arrays import DAY_US, START_US, event_arrays
from tests.unit.detectors.reference_event import rows_of
from tests.unit.detectors.reference_features import Reference

SECOND_US, MINUTE_US, HOUR_US = 1_000_000, 60_000_000, 3_600_000_000
AHEAD_US = 8 * HOUR_US  # of UTC: local midnight is none of UTC's
ACTION, CHANNEL = codes(ACTIONS), codes(CHANNELS)
OPEN, EXPLAINS = codes(EXPLAINED)["not_yet_explained"], codes(EXPLAINED)["explained"]
DENIED, VPN, HOLIDAY = codes(OUTCOMES)["denied"], codes(NETWORK_KINDS)["vpn"], codes(DAY_KINDS)["holiday"]
Fields = dict[str, Any]
Draw = np.random.Generator
# Shanghai, near it, 270 km from it, Frankfurt, Sydney, both sides of the date line
PLACES = np.array(
    [(31.2, 121.5), (31.3, 121.1), (30.3, 118.9), (50.1, 8.7), (-33.9, 151.2), (-17.0, 179.9), (-17.0, -179.9)],
    np.float32,
)


def _times(draw: Draw, count: int) -> npt.NDArray[np.int64]:
    """Seconds to weeks apart, some from just before midnight on; some minutes out of order, some late by days."""
    steps = draw.choice(
        [SECOND_US, 20 * SECOND_US, 4 * MINUTE_US, 25 * MINUTE_US, 2 * HOUR_US, 13 * HOUR_US, 5 * DAY_US, 50 * DAY_US],
        count,
        p=[0.3, 0.3, 0.2, 0.1, 0.06, 0.034, 0.005, 0.001],
    )
    now, times = START_US, np.empty(count, np.int64)
    for row, step in enumerate(steps.tolist()):
        now += step + int(draw.integers(0, SECOND_US))
        if draw.random() < 0.01:
            now += -(now + AHEAD_US) % DAY_US - int(draw.integers(0, 3 * MINUTE_US))
        times[row] = now
    back = draw.choice(
        [0, 9 * MINUTE_US, 30 * MINUTE_US, 4 * DAY_US, 60 * DAY_US], count, p=[0.7, 0.2, 0.05, 0.03, 0.02]
    )
    return times - (back * draw.random(count)).astype(np.int64)


def _some(draw: Draw, count: int, kinds: int, absent: float) -> npt.NDArray[np.uint64]:
    """Hashes of so many kinds, the first ones more often; 0 where absent."""
    kind = np.minimum(draw.geometric(3.0 / kinds, count), kinds).astype(np.uint64)
    return np.where(draw.random(count) < absent, np.uint64(0), kind * np.uint64(0x1234_5678_9ABC_DEF1))


def _subjects(draw: Draw) -> list[int]:
    """None, some, or a page full of subjects; often the same ones, sometimes with one that is absent."""
    size = int(draw.choice([0, 1, 2, 6, 40], p=[0.1, 0.5, 0.2, 0.17, 0.03]))
    pool = int(draw.choice([4, 60, 10_000], p=[0.3, 0.4, 0.3]))
    return [int(number) * 0x9E37_79B9_7F4A_7C1 % 2**64 for number in draw.integers(0, pool, size)]


def _places(draw: Draw, count: int) -> tuple[F32, F32]:
    """Latitudes and longitudes; mostly the first place, some unknown."""
    place = PLACES[draw.choice(len(PLACES), count, p=[0.64, 0.1, 0.1, 0.04, 0.04, 0.04, 0.04])]
    unknown = draw.random(count) < 0.1
    return np.where(unknown, NO_LOCATION, place[:, 0]), np.where(unknown, NO_LOCATION, place[:, 1])


def _accesses(draw: Draw, count: int) -> Fields:
    """What was done, to how much, and whether work explains it."""
    return {
        "channel": np.where(draw.random(count) < 0.7, 1, draw.integers(0, 8, count)),
        "action": np.where(draw.random(count) < 0.5, 1, draw.integers(0, 20, count)),
        "outcome": draw.choice(4, count, p=[0.03, 0.8, 0.12, 0.05]),
        "sensitivity": draw.integers(0, 5, count),
        "records": draw.choice([0, 1, 7, 300, 10**6, 2**62], count, p=[0.1, 0.6, 0.2, 0.08, 0.015, 0.005]),
        "bytes_out": draw.choice([-1, 0, 900, 10**9], count),
        "unmasked": draw.random(count) < 0.2,
        "external": draw.random(count) < 0.1,
        "explained": draw.integers(0, 4, count),
        "approved": draw.random(count) < 0.1,
        "vip_subjects": draw.choice([0, 3], count),
        "own_subject": draw.random(count) < 0.1,
        "off_region": draw.random(count) < 0.3,
    }


def story(seed: int, count: int, actors: int = 5) -> Fields:
    """The fields of `count` events of some actors, all that the features read."""
    draw = np.random.default_rng(seed)
    times = _times(draw, count)
    latitude, longitude = _places(draw, count)
    kinds = {"ip_prefix": 90, "device": 70, "user_agent": 12, "resource_type": 40}
    return {
        "actors": draw.integers(0, actors, count),
        "time_us": times,
        "local_day": (times + AHEAD_US) // DAY_US,
        "local_hour": (times + AHEAD_US) // HOUR_US % 24,
        "day_kind": draw.integers(0, 5, count),
        "holidays": (times + AHEAD_US) // DAY_US * 7 // 31,
        "network_kind": draw.integers(0, 7, count),
        "country": _some(draw, count, 14, 0.1).astype(np.uint16),
        "latitude": latitude,
        "longitude": longitude,
        "sequence": np.where(draw.random(count) < 0.2, 0, (np.cumsum(draw.integers(0, 4, count)) + 2**32 - 50) % 2**32),
        **_accesses(draw, count),
        "scorable": draw.random(count) < 0.9,
        "subject_lists": [_subjects(draw) for _ in range(count)],
        "unlisted": draw.choice([0, 3, 4000], count, p=[0.95, 0.04, 0.01]),
        **{name: _some(draw, count, kind, 0.1) for name, kind in kinds.items()},
    }


def batch_of(fields: Fields, rows: slice = slice(None)) -> EventArrays:
    """Some rows of a story; `unlisted` subjects were touched beyond those in the list."""
    part = {name: values[rows] for name, values in fields.items()}
    unlisted = part.pop("unlisted", 0)
    events = event_arrays(len(part["time_us"]), **part)
    events.subject_count += unlisted
    return events


class Pair:
    """The compiled way and the plain one, side by side."""

    def __init__(self) -> None:
        self.profiles, self.reference = Profiles(), Reference()

    def judge(self, events: EventArrays, keep: bool = True) -> F32:
        """The features of one batch, which is undone unless it is to be kept; asserts that both ways agree."""
        self.profiles.begin()
        self.reference.begin()
        fast, plainly = compute(events, self.profiles), self.reference.compute(events)
        assert differences("features", fast[0], plainly[0], NAMES) == []
        assert differences("usual", fast[1], plainly[1], NAMES) == []
        assert differences("spread", fast[2], plainly[2], NAMES) == []
        for one in (self.profiles, self.reference):
            if keep:
                one.commit()
            else:
                one.rollback()
        return fast[0]

    def tell(self, fields: Fields, draw: Draw, batch: int) -> F32:
        """A whole story in batches of about this size, some of them first undone; the features."""
        cuts = [0]
        while cuts[-1] < len(fields["time_us"]):
            cuts.append(cuts[-1] + int(draw.integers(1, 2 * batch)))
        parts = []
        for start, end in pairwise(cuts):
            if draw.random() < 0.3:
                self.judge(batch_of(fields, slice(start, end + batch)), keep=False)
            parts.append(self.judge(batch_of(fields, slice(start, end))))
        return np.concatenate(parts)


def differences(what: str, fast: F32, plainly: F32, names: tuple[str, ...]) -> list[str]:
    """Where two matrices are not the same number, in words."""
    apart = np.argwhere(~np.isclose(fast, plainly, rtol=1e-5, atol=1e-5, equal_nan=True))
    return [
        f"{what} row {row} {names[column]}: {fast[row, column]!r}, plainly {plainly[row, column]!r}"
        for row, column in apart.tolist()
    ]


@pytest.mark.parametrize("seed", range(10))
def test_a_long_story_of_several_actors(seed: int) -> None:
    Pair().tell(story(seed, 1500), np.random.default_rng(seed), batch=150)


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.integers(1, 80), st.integers(1, 4))
def test_any_story(seed: int, count: int, actors: int) -> None:
    Pair().tell(story(seed, count, actors), np.random.default_rng(seed), batch=20)


def test_the_stories_reach_every_feature_and_fill_every_table() -> None:
    pair = Pair()
    features = np.concatenate([pair.tell(story(seed, 1500), np.random.default_rng(seed), 500) for seed in range(2)])
    state = pair.profiles.state[: len(pair.profiles)]
    assert [name for name in NAMES if np.ptp(features[:, INDEX[name]]) < 0.1] == []
    assert (features[:, INDEX["gap_days"]] > 0).any()
    for table in ("prefix", "device", "country", "agent", "resource", "subject"):
        assert (state[f"{table}_keys"] != 0).sum(axis=1).max() >= state[f"{table}_keys"].shape[1] - 1, table
    assert (state["active_days"] > 30).all()


def quiet(count: int, **fields: Any) -> Fields:
    """A story of one actor: an open event a minute, as quiet as `event_arrays` makes them, but for these fields."""
    times = np.asarray(fields.pop("time_us", START_US + np.arange(count) * MINUTE_US))
    lists = [[1000 + row] for row in range(count)]
    return {
        "time_us": times,
        "subject_lists": lists,
        "explained": [OPEN] * count,
        **{name: list(one) for name, one in fields.items()},
    }


def days(*numbers: int) -> list[int]:
    return [START_US + number * DAY_US for number in numbers]


# What stories seldom tell, or only at their end
CASES: dict[str, Fields] = {
    "days of use are halved": quiet(
        500, time_us=days(*(row // 2 for row in range(500))), local_hour=[8, 9, 10, 22, 9] * 100,
        device=[1 + row % 11 for row in range(500)], day_kind=[1 + row // 2 % 4 for row in range(500)],
    ),
    "sizes fill their memory": quiet(1200, records=[1, 30, 900] * 400, action=[1, 1, 7, 7] * 300),
    "more subjects than an hour can tell": quiet(60, subject_lists=np.arange(7200).reshape(60, 120).tolist()),
    "many days": quiet(240, time_us=days(*range(240)), records=[1 + row % 17 for row in range(240)]),
    "the same every day": quiet(60, time_us=days(*range(60)), records=[1] * 57 + [900] * 3),
    "weeks apart": quiet(40, time_us=days(*range(0, 1200, 30)), records=range(40)),
    "late by weeks": quiet(120, time_us=days(*range(60), *range(60)), records=range(120)),
    "an event of the next day between those of the last": quiet(
        400, time_us=[START_US + row // 4 * DAY_US + (row % 4 - 2) % 3 * MINUTE_US for row in range(400)],
        local_day=[20_000 + row // 4 + (row % 4 == 1) for row in range(400)], records=range(400),
    ),
    "a time zone that moves back": quiet(80, local_day=[20_000 + row // 2 - 3 * (row > 40) for row in range(80)]),
    "one subject among many": quiet(300, subject_lists=[[7 if row % 3 else row] for row in range(300)]),
    "one subject for weeks": quiet(12, time_us=days(*range(0, 72, 6)), subject_lists=[[7]] * 12),
    "one subject twice in one list": quiet(9, subject_lists=[[7, 7, 8, 7], [7, 7, 8, 7, 7, 7], [8, 8]] * 3),
    "nobody listed": quiet(9, subject_lists=[[]] * 9, unlisted=np.array([0, 5, 0] * 3)),
    "some listed, more counted": quiet(9, unlisted=np.array([0, 5, 4000] * 3), explained=[OPEN, EXPLAINS, OPEN] * 3),
    "refused": quiet(50, outcome=[DENIED] * 50, external=[1] * 50, records=[50] * 50, vip_subjects=[1] * 50),
    "approved": quiet(50, approved=[0, 1] * 25, records=[50] * 50, sensitivity=[4] * 50, external=[1] * 50),
    "numbers that begin anew": quiet(8, sequence=[2**32 - 2, 2**32 - 1, 1, 2, 0, 3, 1, 0]),
    "before 1970": quiet(6, time_us=[-(10**12), -(10**11), 0, 1, 2, 10**12]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_special_story(case: str) -> None:
    Pair().tell(CASES[case], np.random.default_rng(0), batch=100)


def test_a_batch_that_is_undone_was_never_there() -> None:
    """Not only both ways alike: what is judged after it is what would be judged without it."""
    fields, pair, without = story(3, 600), Pair(), Pair()
    first, other, last = (slice(0, 200), slice(200, 400), slice(400, 600))
    pair.judge(batch_of(fields, first))
    without.judge(batch_of(fields, first))
    pair.judge(batch_of(fields, other), keep=False)
    assert pair.judge(batch_of(fields, last)).tobytes() == without.judge(batch_of(fields, last)).tobytes()


def test_the_reference_reads_all_that_the_arrays_hold() -> None:
    fields = story(1, 50)
    rows = list(rows_of(batch_of(fields)))
    assert [list(row.subjects) for row in rows] == fields["subject_lists"]
    assert [row.latitude for row in rows] == fields["latitude"].tolist()
    assert [row.ip_prefix for row in rows] == fields["ip_prefix"].tolist()
    assert RING_DAYS == 35
