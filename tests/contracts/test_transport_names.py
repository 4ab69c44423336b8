"""Faust's private names that `pipeline/transport.py` stands on: a new version that moves one fails here first."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import aiokafka
import faust
import pytest
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

from pipeline.app import _faust_settings
from pipeline.config import Settings
from pipeline.transport import RunConsumer, RunTransport


def test_versions_are_the_ones_the_transport_was_written_against() -> None:
    assert faust.__version__ == "0.15.3"
    assert aiokafka.__version__ == "0.14.0"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("getmany", ["self", "timeout"]),
        ("_wait_next_records", ["self", "timeout"]),
        ("perform_seek", ["self"]),
        ("on_partitions_assigned", ["self", "assigned", "generation_id"]),
        ("ack", ["self", "message"]),
        ("_filter_committable_offsets", ["self", "tps"]),
        ("_should_commit", ["self", "tp", "offset"]),
    ],
)
def test_overridden_methods_keep_their_signatures(name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(BaseConsumer, name)).parameters) == parameters
    assert list(inspect.signature(getattr(RunConsumer, name)).parameters) == parameters


def test_fetching_goes_through_the_method_we_override() -> None:
    assert "self._getmany(" in inspect.getsource(BaseConsumer._wait_next_records)
    assert list(inspect.signature(Consumer._getmany).parameters) == ["self", "active_partitions", "timeout"]


def test_the_drain_loop_skips_its_search_for_holes_where_the_read_offset_is_none() -> None:
    source = inspect.getsource(BaseConsumer._drain_messages)
    assert "if r_offset is None or offset >= r_offset" in source
    assert "if gap > 1 and r_offset" in source


def test_commits_are_chosen_by_the_method_we_override() -> None:
    assert "self._filter_committable_offsets(tps)" in inspect.getsource(BaseConsumer._commit_tps)


def test_fetched_records_are_asked_for_by_partition_through_the_method_we_override() -> None:
    assert "active_partitions," in inspect.getsource(AIOKafkaConsumerThread._fetch_records)
    assert "self._fetch_records," in inspect.getsource(AIOKafkaConsumerThread.getmany)
    wanted = ["self", "consumer", "active_partitions", "timeout", "max_records"]
    assert list(inspect.signature(AIOKafkaConsumerThread._fetch_records).parameters) == wanted
    assert "self._thread = self._new_consumer_thread()" in inspect.getsource(ThreadDelegateConsumer.__init__)


def test_what_a_fetch_gathers_is_taken_from_the_consumer_that_we_change() -> None:
    assert list(inspect.signature(AIOKafkaConsumerThread._create_worker_consumer).parameters) == ["self", "transport"]
    assert "self._create_worker_consumer(" in inspect.getsource(AIOKafkaConsumerThread._create_consumer)
    assert list(inspect.signature(Consumer._new_consumer_thread).parameters) == ["self"]
    started = inspect.getsource(aiokafka.AIOKafkaConsumer.start)
    assert "fetch_min_bytes=self._fetch_min_bytes" in started
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in started


def test_the_transport_makes_our_consumer() -> None:
    assert issubclass(RunTransport, Transport)
    assert RunTransport.Consumer is RunConsumer


def test_an_empty_assignment_is_told_by_the_method_we_override_alone() -> None:
    assert "if assignment:" in inspect.getsource(Recovery._resume_streams)
    assert "self.on_partitions_assigned" in inspect.getsource(ThreadDelegateConsumer.threadsafe_partitions_assigned)


def test_a_consumer_that_fetches_nothing_for_long_stays_in_its_group() -> None:
    kafka = SimpleNamespace(bootstrap_servers="127.0.0.1:1", session_timeout_s=6, partitions=8)
    settings = _faust_settings(cast(Settings, SimpleNamespace(kafka=kafka, state_dir=Path())))
    interval_ms = int(settings["broker_max_poll_interval"] * 1000)
    assert 20 * 86_400_000 < interval_ms < 2**31
    created = inspect.getsource(AIOKafkaConsumerThread._create_worker_consumer)
    assert "max_poll_interval = conf.broker_max_poll_interval" in created
    assert "max_poll_interval_ms=int(max_poll_interval * 1000.0)" in created
