"""Id and bounds of a topic belong together: bounds of another life would open a life that never was."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.adapters.kafka import Bounds, TopicAdmin, TopicFacts
from pipeline.errors import Away


class Admin(TopicAdmin):
    """A broker that describes the topic as it is told."""

    def __init__(self, *described: str) -> None:
        super().__init__("127.0.0.1:1")
        self._described = iter(described)

    def describe(self, topic: str) -> TopicFacts | None:
        """The next description."""
        return TopicFacts(topic, next(self._described), 8)

    def partition_bounds(self, topic: str, partitions: Sequence[int]) -> dict[int, Bounds]:
        """Of whatever log has that name now."""
        return dict.fromkeys(partitions, Bounds(0, 3))


def test_bounds_of_one_life() -> None:
    assert Admin("first", "first").bounds("access.events", 2) == ("first", 0, 3)


def test_a_topic_made_anew_between_the_questions_is_asked_again() -> None:
    with pytest.raises(Away):
        Admin("first", "second").bounds("access.events", 2)
