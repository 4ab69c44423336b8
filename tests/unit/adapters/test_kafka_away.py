"""A broker that is away costs neither descriptors nor threads, however often it is asked for."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Callable

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaError

from pipeline.adapters import kafka
from pipeline.errors import Away

NOWHERE = "127.0.0.1:1"


def _ask() -> None:
    kafka.TopicAdmin(NOWHERE).describe("any")


def _send() -> None:
    kafka.EventProducer(NOWHERE, "any").send(b"key", b"value")


def _make_producer() -> None:
    kafka._new(KafkaProducer, NOWHERE)


@pytest.mark.parametrize(("call", "error"), [(_ask, Away), (_send, Away), (_make_producer, KafkaError)])
def test_failed_attempts_to_connect_do_not_add_up(
    call: Callable[[], None],
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, logger="kafka")  # as in the worker: a kept message keeps its error's sockets
    monkeypatch.setattr(kafka, "_WAITS", {"bootstrap_timeout_ms": 200, "request_timeout_ms": 200})

    def attempt() -> tuple[int, int]:
        with pytest.raises(error):
            call()
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    gc.collect()
    gc.disable()  # as rarely as in the worker
    try:
        first = attempt()
        later = [attempt() for _ in range(4)]
    finally:
        gc.enable()
    assert later == [first] * 4
