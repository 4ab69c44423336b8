"""What every activation log promises: one suite over the log in memory and over the real one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from pipeline.adapters.activations import open_activations
from pipeline.adapters.clickhouse import connect
from pipeline.migrations.runner import apply_all
from pipeline.ports import ActivationLog
from pipeline.version_sets.sets import NO_SET, Activation
from tests.fakes import InMemoryActivations

OpenLog = Callable[[], ActivationLog]


@pytest.fixture(params=["memory", pytest.param("clickhouse", marks=pytest.mark.stack)])
def open_log(request: pytest.FixtureRequest) -> Iterator[OpenLog]:
    """Opens the log, once for each worker."""
    if request.param == "memory":
        memory = InMemoryActivations()
        yield lambda: memory
        return
    stack: Any = request.getfixturevalue("stack")
    apply_all(stack.settings)
    opened = []

    def open_real() -> ActivationLog:
        opened.append(open_activations(stack.settings.clickhouse))
        return opened[-1]

    yield open_real
    for log in opened:
        log.close()


@pytest.fixture
def topic() -> str:
    return f"topic-{uuid.uuid4().hex}"


def _activation(topic: str, number: int, **changes: Any) -> Activation:
    made = Activation(
        topic=topic, number=number, versions_id=bytes([number]) * 32, previous_id=NO_SET, files_id=b"\xff" * 32,
        kind="files", reason="理由 ' \\ \n", by_token=b"\0" * 15 + b"\1", threshold=6543,
        activated_at_us=1_790_000_000_123_456, parts={"model": "ab" * 32, "model_fault": ""}, event="c2VhbGVk",
    )  # fmt: skip
    return replace(made, **changes)


def test_a_topic_begins_with_nothing(open_log: OpenLog, topic: str) -> None:
    log = open_log()
    assert log.newest(topic) is None
    assert list(log.history(topic)) == []
    assert list(log.unannounced(topic)) == []


def test_what_is_written_comes_back_field_by_field(open_log: OpenLog, topic: str) -> None:
    log = open_log()
    written = [_activation(topic, number) for number in (1, 2, 3)]
    assert [log.append(one) for one in written] == written
    assert list(open_log().history(topic)) == written
    assert open_log().newest(topic) == written[-1]


def test_the_first_writer_of_a_number_wins(open_log: OpenLog, topic: str) -> None:
    first, second = open_log(), open_log()
    ours, theirs = _activation(topic, 1), _activation(topic, 1, reason="mine")
    assert first.append(ours) == ours
    assert second.append(theirs) == ours
    assert first.append(ours) == ours
    assert list(second.history(topic)) == [ours]


def test_topics_have_logs_of_their_own(open_log: OpenLog, topic: str) -> None:
    log, other = open_log(), f"{topic}.other"
    log.append(_activation(topic, 1))
    assert log.append(_activation(other, 1, kind="use")).kind == "use"
    log.mark_announced(_activation(topic, 1))
    assert [one.topic for one in log.unannounced(other)] == [other]


def test_changes_are_told_until_they_are_marked(open_log: OpenLog, topic: str) -> None:
    log = open_log()
    first, second, third = (_activation(topic, number, event="" if number == 1 else "eA==") for number in (1, 2, 3))
    for one in (first, second, third):
        log.append(one)
    assert list(log.unannounced(topic)) == [second, third]
    log.mark_announced(second)
    log.mark_announced(second)
    assert list(open_log().unannounced(topic)) == [third]


@pytest.mark.stack
def test_the_reader_sees_the_log_without_sealed_events_and_may_not_write(stack: Any, topic: str) -> None:
    apply_all(stack.settings)
    log, reader = open_activations(stack.settings.clickhouse), connect(stack.settings.clickhouse, "reader")
    log.append(_activation(topic, 1))
    log.mark_announced(_activation(topic, 1))
    rows, columns = reader.query_with_columns(
        "SELECT * FROM accesstrail.version_activations WHERE topic = {topic:String}", {"topic": topic}
    )
    assert "event" not in [name for name, _ in columns]
    named = dict(zip([name for name, _ in columns], rows[0], strict=True))
    assert (named["number"], named["announced"]) == (1, 1)
    assert named["event_id"] == _activation(topic, 1).event_id
    log.close()
    reader.close()
