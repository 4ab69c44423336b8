"""Real responders and a receiver that checks signatures: killed while sending, two at once; a digest; containment."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.adapters.kafka import EventProducer
from pipeline.incidents.records import Record
from tests.channel_settings import secret_file
from tests.conftest import Stack
from tests.fake_channels import SECRET, FakeChannel, http_channel
from tests.incident_logs import alert, command, encoded
from tests.systems import System, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

INCIDENTS = 120
CUT = 3


def channel_table(name: str, fake: FakeChannel, secret: Path) -> str:
    return f"""[channels.{name}]
kind = "webhook"
url = "http://127.0.0.1:{fake.port}/"
allow_hosts = ["127.0.0.1"]
allow_private = ["127.0.0.0/8"]
rate_per_minute = 6000
secret_file = "{secret}"
"""


@contextlib.contextmanager
def system_of(
    stack: Stack, folder: Path, topic: str, per_minute: int
) -> Iterator[tuple[System, FakeChannel, FakeChannel]]:
    """Everybody is told over `chat`; `stop` stops accounts."""
    (folder / "secrets").mkdir()
    secret = folder / "secrets" / secret_file(folder / "secrets", "hook", SECRET)
    plans = "".join(
        f'[incidents.severity.{one}]\nchannels = ["chat"]\n' for one in ("low", "medium", "high", "critical")
    )
    with http_channel("webhook") as chat, http_channel("webhook") as stop:
        chat.now_us = stop.now_us = time.time_ns() // 1000
        tables = channel_table("chat", chat, secret) + channel_table("stop", stop, secret)
        flood = f"[incidents.flood]\nper_minute = {per_minute}\nreserved = 0\n"
        more = f'{plans}{flood}[response]\ncontainment = "stop"\n{tables}'
        system = System(stack, folder / "system", topic, more=more)
        try:
            yield system, chat, stop
        finally:
            system.close()


def produce(system: System, *records: Record) -> None:
    producer = EventProducer(system.direct.kafka.bootstrap_servers, system.settings.kafka.incidents_topic)
    for record in records:
        producer.send(record.incident_key.encode(), encoded(record))
    producer.flush()


def alerts(tenant: str) -> Iterator[Record]:
    """One for each incident; the tests share a store, so each has a tenant of its own."""
    for number in range(INCIDENTS):
        token = f"{number:032x}"
        yield alert(f"{tenant} {number}", tenant_id=tenant, incident_key=f"{tenant}:{token}", actor_token=token)


def settled(system: System) -> Counter[str]:
    """Offsets of the outbox topic about which nothing is left to do, by outcome and code."""
    sql = (
        "SELECT concat(outcome, ':', code), uniqExact(partition, offset) FROM accesstrail.deliveries "
        "WHERE topic = {t:String} AND outcome != 'retry' AND action != 'digest' GROUP BY 1"
    )
    rows = system.reader.query(sql, {"t": system.settings.kafka.notifications_topic})
    return Counter({str(what): int(count) for what, count in rows})


def records_in(system: System) -> int:
    topic, partitions = system.settings.kafka.notifications_topic, range(system.settings.kafka.partitions)
    return sum(one.end_offset for one in system.admin.partition_bounds(topic, partitions).values())


def test_killed_while_sending_and_two_at_once_every_message_arrives_and_none_after_its_row(
    stack: Stack, tmp_path: Path
) -> None:
    with system_of(stack, tmp_path, "sendkill", 1000) as (system, chat, _):
        chat.faults = ["none", "server_error", "cut", "server_error", "none"] * CUT
        produce(system, *alerts("sendkill"))
        killed = system.start("responder")
        until(lambda: len(chat.taken) > INCIDENTS // 4, f"the first messages {system.said()[-3000:]}", 60)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with system.worker("responder"), system.worker("responder"):
            until(lambda: len(set(chat.taken)) == INCIDENTS, f"every message {system.said()[-3000:]}", 90)
            until(lambda: settled(system) == Counter({"delivered:ok": records_in(system)}), "every offset", 30)
        assert records_in(system) >= INCIDENTS
        assert chat.refusals == []
        # What was cut after it had arrived, and the attempt that was under way when the process was killed.
        assert len(chat.taken) - INCIDENTS <= CUT + 1


def test_a_flood_is_a_digest_and_a_person_stops_an_account_once(stack: Stack, tmp_path: Path) -> None:
    with system_of(stack, tmp_path, "senddigest", 5) as (system, chat, stop):
        with system.worker("responder"):
            produce(system, *alerts("senddigest"))
            until(lambda: settled(system).total() >= INCIDENTS, f"every offset {system.said()[-3000:]}", 150)
            key = f"senddigest:{5:032x}"
            asked = command(
                "contain", "stop it", tenant_id="senddigest", incident_key=key, why="copies everything",
                expires_us=time.time_ns() // 1000 + 3_600_000_000,
            )  # fmt: skip
            produce(system, asked, asked)
            sql = "SELECT state FROM accesstrail.incidents WHERE incident_key = {k:String}"
            until(lambda: system.reader.query(sql, {"k": key}) == [("contained",)], system.said()[-3000:], 60)
        documents = [one.document for one in chat.requests]
        digests = [one for one in documents if one["action"] == "digest"]
        singles = [one for one in documents if one["action"] == "trigger"]
        assert 1 <= len(digests) <= 2
        assert len(singles) <= 10, "five a minute, and the flood may have begun at the end of one"
        assert sum(int(one["title_en"].split()[1]) for one in digests) + len(singles) == INCIDENTS
        (call,) = stop.requests
        assert json.loads(call.body)["account_token"] == f"{5:032x}"
        assert chat.refusals == stop.refusals == []
