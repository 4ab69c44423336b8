"""The Kafka adapter against the real broker: topics, their incarnation, bounds, and records that are acknowledged."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2 as vendor_murmur2

from pipeline.adapters.kafka import MAX_RECORD_BYTES, EventProducer, TopicAdmin, TopicSpec, topic_specs
from pipeline.cli.topics import topics_command
from pipeline.errors import Away, ConfigError
from pipeline.partitioning import murmur2, partition_of

if TYPE_CHECKING:
    from tests.conftest import Stack

pytestmark = pytest.mark.stack

PARTITIONS = 5
NOBODY = "127.0.0.1:9"


@pytest.fixture
def admin(stack: Stack) -> Iterator[TopicAdmin]:
    made = TopicAdmin(stack.settings.kafka.bootstrap_servers)
    yield made
    made.close()


@pytest.fixture
def topic(admin: TopicAdmin) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex}"
    assert admin.create([TopicSpec(name, PARTITIONS, {"max.message.bytes": str(MAX_RECORD_BYTES)})]) == [name]
    yield name
    if admin.describe(name) is not None:
        admin.delete(name)


@pytest.fixture
def producer(stack: Stack, topic: str) -> Iterator[EventProducer]:
    made = EventProducer(stack.settings.kafka.bootstrap_servers, topic)
    yield made
    made.close()


def records(stack: Stack, topic: str) -> list[tuple[int, bytes, bytes, int]]:
    """Everything in a topic: (partition, key, value, timestamp type)."""
    consumer = KafkaConsumer(bootstrap_servers=stack.settings.kafka.bootstrap_servers, enable_auto_commit=False)
    places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    wanted = sum(consumer.end_offsets(places).values())
    found: list[tuple[int, bytes, bytes, int]] = []
    while len(found) < wanted:
        for place, batch in consumer.poll(timeout_ms=5000).items():
            found += [(place.partition, record.key, record.value, record.timestamp_type) for record in batch]
    consumer.close()
    return found


def test_the_deployments_topics_are_there_with_their_settings(stack: Stack, admin: TopicAdmin) -> None:
    for spec in topic_specs(stack.settings.kafka):
        facts = admin.describe(spec.name)
        assert facts is not None
        assert facts.partitions == stack.settings.kafka.partitions
        acting = admin.configs(spec.name)
        assert {key: acting[key] for key in spec.configs} == dict(spec.configs)
    events = admin.configs(stack.settings.kafka.events_topic)
    assert int(events["retention.ms"]) + int(events["segment.ms"]) <= 7 * 86_400_000
    assert events["message.timestamp.type"] == "LogAppendTime"


def test_making_a_topic_again_changes_nothing(admin: TopicAdmin, topic: str) -> None:
    before = admin.describe(topic)
    assert admin.create([TopicSpec(topic, PARTITIONS, {})]) == []
    assert admin.describe(topic) == before


def test_another_number_of_partitions_is_refused_with_the_number_to_set(admin: TopicAdmin, topic: str) -> None:
    with pytest.raises(ConfigError, match=f"set partitions = {PARTITIONS}"):
        admin.create([TopicSpec(topic, PARTITIONS + 1, {})])


def test_the_command_shows_incarnation_offsets_and_settings_that_differ(stack: Stack, admin: TopicAdmin) -> None:
    shown = CliRunner().invoke(topics_command, ["show", "--state", str(stack.state), "--json"], standalone_mode=False)
    assert shown.return_value == 0
    events, *others = json.loads(shown.output)["topics"]
    name = stack.settings.kafka.events_topic
    assert (events["topic"], events["incarnation"]) == (name, admin.bounds(name, 0)[0])
    assert len(events["partitions"]) == stack.settings.kafka.partitions
    assert len(others) == 2
    assert [one["differs"] for one in (events, *others)] == [{}, {}, {}]
    made = CliRunner().invoke(topics_command, ["create", "--state", str(stack.state), "--json"], standalone_mode=False)
    assert json.loads(made.output) == {"created": []}


def test_settings_the_broker_refuses_are_a_configuration_fault(admin: TopicAdmin) -> None:
    with pytest.raises(ConfigError, match="refuses"):
        admin.create([TopicSpec(f"test-{uuid.uuid4().hex}", 1, {"retention.ms": "soon"})])


def test_a_topic_made_anew_is_another_incarnation(admin: TopicAdmin, topic: str) -> None:
    first = admin.bounds(topic, 0)[0]
    assert str(uuid.UUID(first)) == first
    admin.delete(topic)
    while admin.describe(topic) is not None:
        pass
    admin.create([TopicSpec(topic, PARTITIONS, {})])
    assert admin.bounds(topic, 0)[0] != first


def test_no_topic_is_made_by_accident(stack: Stack, admin: TopicAdmin) -> None:
    name = f"test-{uuid.uuid4().hex}"
    producer = EventProducer(stack.settings.kafka.bootstrap_servers, name)
    with pytest.raises(ConfigError, match=f"no topic {name}.*accesstrail topics create"):
        producer.send(b"key", b"value")
    producer.close()
    assert admin.describe(name) is None
    with pytest.raises(ConfigError, match="accesstrail topics create"):
        admin.bounds(name, 0)


def test_records_arrive_once_in_order_where_murmur2_of_the_key_says(
    stack: Stack, admin: TopicAdmin, topic: str, producer: EventProducer
) -> None:
    keys = [f"actor-{number}".encode() for number in range(40)] + ["张伟".encode(), b""]
    sent = [(key, f"{number}".encode()) for number in range(10) for key in keys]
    for key, value in sent:
        producer.send(key, value)
    producer.flush()
    found = records(stack, topic)
    assert sorted((key, value) for _, key, value, _ in found) == sorted(sent)
    assert all(partition == partition_of(key, PARTITIONS) for partition, key, _, _ in found)
    for key in keys:
        assert [value for _, other, value, _ in found if other == key] == [str(n).encode() for n in range(10)]
    assert {kind for _, _, _, kind in found} == {1}, "the broker stamps records (LogAppendTime)"
    bounds = admin.partition_bounds(topic, range(PARTITIONS))
    assert sum(one.end_offset - one.first_offset for one in bounds.values()) == len(sent)


def test_the_vendors_murmur2_is_ours() -> None:
    keys = [bytes(range(length)) for length in range(40)] + [b"\xff" * length for length in range(9)]
    assert [vendor_murmur2(key) & 0x7FFFFFFF for key in keys] == [murmur2(key) & 0x7FFFFFFF for key in keys]


def test_the_largest_event_fits_and_a_larger_record_is_refused(
    stack: Stack, topic: str, producer: EventProducer
) -> None:
    producer.send(b"key", b"x" * 900 * 1024)
    producer.flush()
    with pytest.raises(ConfigError, match=r"message\.max\.bytes"):
        producer.send(b"key", b"x" * (MAX_RECORD_BYTES + 1))
    assert [len(value) for _, _, value, _ in records(stack, topic)] == [900 * 1024]


def test_each_thread_waits_for_its_own_records(stack: Stack, topic: str, producer: EventProducer) -> None:
    def run(number: int) -> None:
        for step in range(50):
            producer.send(f"{number}".encode(), f"{step}".encode())
        producer.flush()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records(stack, topic)) == 300


def test_a_broker_that_does_not_answer_is_away_and_the_message_holds_no_payload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.adapters.kafka._BOOTSTRAP_TIMEOUT_MS", 300)
    with pytest.raises(Away, match=r"topic access\.events"):
        TopicAdmin(NOBODY).describe("access.events")
    with pytest.raises(Away) as caught:
        EventProducer(NOBODY, "access.events").send(b"alice", b"her secret")
    assert "alice" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("servers", ["a:b:c", "127.0.0.1:port"])
def test_servers_that_cannot_be_parsed_are_a_configuration_fault(servers: str) -> None:
    with pytest.raises(ConfigError, match="bootstrap_servers"):
        TopicAdmin(servers).describe("access.events")
