"""Looks at evidence on the real stack: in the ledger like every access, and nothing is shown while Kafka is away."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.local.files import read_json
from deploy.local.supervisor import run_file
from pipeline.adapters.read_announcements import LIMIT_MS, ReadAnnouncer, open_read_announcer
from pipeline.audit.reads import LOOKS, Read
from pipeline.errors import Away
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring
from tests.conftest import Stack
from tests.systems import System, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    made = System(stack, tmp_path / "system", f"reads.{uuid.uuid4().hex[:8]}", partitions=2)
    yield made
    made.close()


@pytest.fixture
def announcer(system: System) -> ReadAnnouncer:
    return open_read_announcer(system.settings.kafka.bootstrap_servers, system.topic)


def _read(**given: Any) -> Read:
    plain: dict[str, Any] = {
        "look": "search", "account": "lin.meng", "read_id": str(uuid.uuid4()), "at_us": time.time_ns() // 1000,
        "rows": 50,
    }  # fmt: skip
    return Read(**plain | given)


@contextmanager
def _stopped(stack: Stack) -> Iterator[None]:
    """The broker stands still: connections stay open, nothing answers."""
    document: Any = read_json(run_file(stack.state))
    [pid] = [one["pid"] for one in document["processes"] if one["name"] == "kafka"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_look_is_in_the_ledger_with_tokens_in_place_of_names(system: System, announcer: ReadAnnouncer) -> None:
    reads = [
        _read(about="subject:" + "ab" * 16, subject_ids=("c-18823",), reason="asked by 13812345678", case_ref="AUD-9",
              fingerprint="0f" * 32, src_ip="10.20.0.9"),
        _read(look="export", rows=120, reason="half-yearly audit", src_ip="127.0.0.1"),
        _read(look="reveal", rows=1, reason="works council", unmasked=("actor_id",)),
        _read(look="incident", rows=7, about=str(uuid.uuid4())),
    ]  # fmt: skip
    for one in reads:
        announcer.tell(one)
    with system.worker():
        system.await_sealed(len(reads))
    found = {
        row["event"]: row
        for row in system.reader.named_rows(
            "SELECT toString(event_id) AS event, toString(action) AS action, resource_type, lower(hex(actor_token)) AS "
            "actor, arrayMap(one -> lower(hex(one)), subject_tokens) AS subjects, records_returned, justification, "
            "fields_unmasked, source_system, query_fingerprint, toString(explained) AS explained, "
            "IPv6NumToString(src_ip) AS address, toString(score_status) AS scored "
            "FROM accesstrail.access_events WHERE topic = {topic:String}",
            {"topic": system.topic},
        )
    }
    keyring = Keyring.load(system.settings.protection.token_keys_file)
    assert set(found) == {one.read_id for one in reads}
    for one in reads:
        row = found[one.read_id]
        assert (row["action"], row["resource_type"]) == LOOKS[one.look]
        assert row["actor"] == keyring.token(DEFAULT_TENANT, "actor", "lin.meng").hex()
        assert row["records_returned"] == one.rows
        assert row["source_system"] == "accesstrail"
    search, export, reveal = (found[one.read_id] for one in reads[:3])
    assert search["subjects"] == [keyring.token(DEFAULT_TENANT, "subject", "c-18823").hex()]
    assert search["justification"] == "asked by 138****5678"
    assert search["query_fingerprint"] == "gf" * 32
    assert search["explained"] == "claimed"
    assert search["address"] == "::ffff:10.20.0.9"
    assert export["address"] == "::"
    assert reveal["fields_unmasked"] == ["actor_id"]


def test_while_the_broker_stands_still_no_look_is_told_and_afterwards_all_are(
    stack: Stack, system: System, announcer: ReadAnnouncer
) -> None:
    announcer.tell(_read())
    with _stopped(stack):
        begun_s = time.monotonic()
        with pytest.raises(Away) as told:
            announcer.tell(_read())
        waited_s = time.monotonic() - begun_s
        assert told.value.code == "kafka_away"
        with pytest.raises(Away):
            announcer.tell(_read())
        assert time.monotonic() - begun_s - waited_s < 1.0, "the second look is refused at once"

    def is_back() -> bool:
        try:
            announcer.tell(_read())
        except Away:
            return False
        return True

    until(is_back, "a look that is told again")
    assert waited_s < 4 * LIMIT_MS / 1000
