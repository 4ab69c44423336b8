"""Profiles of a partition: a batch that fails leaves no trace, whatever it touched; a foreign record is refused."""

from __future__ import annotations

import tracemalloc

import pytest

from detectors.profile import STATE, Profiles
from pipeline.errors import BrokenInvariant


def test_a_rollback_undoes_everything_since_begin_however_often_actors_were_asked_for() -> None:
    profiles = Profiles()
    profiles.begin()
    profiles.state["events"][profiles.slots([b"known"])] = 7
    profiles.commit()
    before = profiles.export([b"known"])
    profiles.begin()
    for turn, keys in enumerate(([b"known", b"new"], [b"other", b"known"]), start=1):
        profiles.state["events"][profiles.slots(keys)] += turn
    profiles.rollback()
    assert profiles.export([b"known"]) == before
    assert len(profiles) == 1
    profiles.begin()
    assert profiles.state["events"][profiles.slots([b"new"])].tolist() == [0]


def test_a_commit_keeps_everything_since_begin() -> None:
    profiles = Profiles()
    profiles.begin()
    profiles.slots([b"a"])
    profiles.slots([b"b"])
    profiles.commit()
    assert profiles.dirty() == [b"a", b"b"]


@pytest.mark.parametrize("size", [0, STATE.itemsize - 1, STATE.itemsize + 1, 2 * STATE.itemsize])
def test_a_record_of_another_size_is_refused_by_code(size: int) -> None:
    profiles = Profiles()
    with pytest.raises(BrokenInvariant) as caught:
        profiles.restore([b"a"], [bytes(size)])
    assert caught.value.code == "profile_size"
    assert len(profiles) == 0


def test_a_snapshot_of_many_profiles_never_holds_a_second_copy_of_all() -> None:
    profiles = Profiles()
    profiles.begin()
    keys = [b"%d" % number for number in range(1_000)]
    slots = profiles.slots(keys)
    profiles.state["events"][slots] = range(1_000)
    profiles.commit()
    tracemalloc.start()
    sizes = sum(map(len, profiles.exported(keys)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sizes == 1_000 * STATE.itemsize
    assert peak < sizes / 10
    assert list(profiles.exported(keys)) == profiles.export(keys)
