"""Packed lines are the lines, in any order asked for."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pipeline.packed_lines import PackedLines


@pytest.mark.parametrize("count", [0, 1, 4999, 5000, 5001, 23_456])
def test_packed_lines_are_the_lines(count: int) -> None:
    lines = [b"%d," % number * (number % 7 + 1) for number in range(count)]
    packed = PackedLines(lines)
    assert len(packed) == count
    assert list(packed) == lines
    for start, stop in ((0, 10), (4990, 5010), (count - 3, count + 9), (20, 5), (0, count)):
        assert packed[start:stop] == lines[start:stop]
    assert [packed[place] for place in range(0, count, 4321)] == lines[::4321]
    assert packed[-5:] == lines[-5:]


def test_a_place_beyond_the_end_is_an_error() -> None:
    with pytest.raises(IndexError):
        PackedLines([b"one"])[1]


@pytest.mark.parametrize("shuffled", [0, 30, 211_000])
def test_another_order_is_made_of_the_same_lines(shuffled: int) -> None:
    lines = [b"line %d" % number for number in range(211_000)]
    places = list(range(len(lines)))
    chance = random.Random(1)
    head = places[:shuffled]
    chance.shuffle(head)
    places[:shuffled] = head
    assert list(PackedLines(lines).ordered(np.array(places))) == [lines[place] for place in places]
