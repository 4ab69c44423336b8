"""Real responders on the real stack: killed in mid-flood, two at once, fed a second time; nothing lost or doubled."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.adapters.kafka import EventProducer
from pipeline.errors import EXIT_CONFIG
from pipeline.incidents.records import Record
from pipeline.notifications.message import Notification, from_json
from tests.channel_settings import secret_file
from tests.conftest import Stack
from tests.fake_channels import PATHS, SECRET, FakeChannel, http_channel
from tests.incident_logs import alert, command, encoded
from tests.systems import System, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

TENANT = "flood"
KEYS = [f"{TENANT}:{number:032x}" for number in range(100)]
ALERTS = 4000


def tables(folder: Path, port: int) -> str:
    """Somebody is told of every severity, over a webhook on this machine."""
    folder.mkdir()
    secret = folder / secret_file(folder, "hook", SECRET)
    plans = "\n".join(
        f'[incidents.severity.{one}]\nchannels = ["chat"]' for one in ("low", "medium", "high", "critical")
    )
    return f"""{plans}
[response]
link_base = "http://127.0.0.1"
[incidents.flood]
per_minute = 1000
[channels.chat]
kind = "webhook"
rate_per_minute = 6000
url = "http://127.0.0.1:{port}{PATHS["webhook"]}"
allow_hosts = ["127.0.0.1"]
allow_private = ["127.0.0.0/8"]
secret_file = "{secret}"
"""


@pytest.fixture
def chat() -> Iterator[FakeChannel]:
    """Where messages go: it checks their signatures by today's clock."""
    with http_channel("webhook") as fake:
        fake.now_us = time.time_ns() // 1000
        yield fake


@pytest.fixture
def system(stack: Stack, tmp_path: Path, chat: FakeChannel) -> Iterator[System]:
    made = System(stack, tmp_path / "system", f"respond.{chat.port}", more=tables(tmp_path / "secrets", chat.port))
    yield made
    made.close()


def alerts(count: int) -> Iterator[Record]:
    for number in range(count):
        key = KEYS[number % len(KEYS)]
        yield alert(f"flood {number}", tenant_id=TENANT, incident_key=key, actor_token=key.removeprefix(f"{TENANT}:"))


def produce(system: System, *records: Record) -> None:
    producer = EventProducer(system.direct.kafka.bootstrap_servers, system.settings.kafka.incidents_topic)
    for record in records:
        producer.send(record.incident_key.encode(), encoded(record))
    producer.flush()


def rows(system: System) -> tuple[int, int]:
    """Rows that readers see, and positions they are of."""
    sql = "SELECT count(), uniqExact(partition, offset) FROM accesstrail.incident_log WHERE topic = {t:String}"
    ((count, positions),) = system.reader.query(sql, {"t": system.settings.kafka.incidents_topic})
    return int(count), int(positions)


def records_in(system: System) -> int:
    """Records in Kafka."""
    bounds = system.admin.partition_bounds(
        system.settings.kafka.incidents_topic, range(system.settings.kafka.partitions)
    )
    return sum(one.end_offset for one in bounds.values())


def incidents(system: System) -> list[tuple[str, str, int]]:
    sql = "SELECT incident_key, state, alerts FROM accesstrail.incidents WHERE tenant_id = {t:String} ORDER BY 1"
    return [(str(key), str(state), int(count)) for key, state, count in system.reader.query(sql, {"t": TENANT})]


def incident_id(system: System, key: str) -> str:
    sql = "SELECT toString(incident_id) FROM accesstrail.incidents WHERE incident_key = {k:String} LIMIT 1"
    return str(system.reader.query(sql, {"k": key})[0][0])


def follow(system: System, link: str, body: bytes | None = None) -> tuple[int, str]:
    """GET, or POST with a body, where the responder answers what links lead to."""
    (base,) = {one["links"] for one in system.workers("responder") if one["links"]} or [""]
    asked = urllib.request.Request(base + link.removeprefix("http://127.0.0.1"), data=body)  # noqa: S310  loopback
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
        return int(answer.status), answer.read().decode()


def outbox(system: System) -> list[Notification]:
    """Everything in `access.notifications`."""
    from kafka import KafkaConsumer, TopicPartition

    topic = system.settings.kafka.notifications_topic
    consumer = KafkaConsumer(bootstrap_servers=system.direct.kafka.bootstrap_servers, enable_auto_commit=False)
    places = [TopicPartition(topic, number) for number in range(system.settings.kafka.partitions)]
    consumer.assign(places)
    consumer.seek_to_beginning()
    ends, found = consumer.end_offsets(places), list[Notification]()
    while any(consumer.position(one) < ends[one] for one in places):
        found += [from_json(one.value) for run in consumer.poll(500).values() for one in run]
    consumer.close()
    return found


def test_killed_in_mid_flood_and_two_at_once_leave_one_row_a_record_and_every_message(
    system: System, chat: FakeChannel
) -> None:
    produce(system, *alerts(ALERTS // 2))
    killed = system.start("responder")
    until(lambda: rows(system)[1] > 0, f"the first rows; the responder said:\n{system.said()[-3000:]}", 60)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    produce(system, *list(alerts(ALERTS))[ALERTS // 2 :], alert("unread", tenant_id="other", incident_key=KEYS[0]))
    with system.worker("responder") as one, system.worker("responder"):
        until(lambda: rows(system) == (records_in(system),) * 2, f"every row {system.said()[-3000:]}", 60)
        until(
            lambda: all(p["ready"] for p in system.workers("responder")) and system.workers("responder") != [],
            "ready",
            20,
        )
        assert incidents(system) == [(key, "open", ALERTS // len(KEYS)) for key in KEYS]
        told = outbox(system)
        assert Counter((one.action, one.dedup_key) for one in {n.notification_id: n for n in told}.values()) == Counter(
            {("trigger", str(incident)): 1 for (incident,) in system.reader.query(
                "SELECT incident_id FROM accesstrail.incidents WHERE tenant_id = {t:String}", {"t": TENANT})}
        )  # fmt: skip
        ids = {n.notification_id for n in told}
        until(lambda: set(chat.taken) == ids, "every message is delivered", 60)
        assert len(chat.taken) <= len(ids) + 1, "only what the killed one had under way is said again"
        # One of two ends; what it had goes on elsewhere. The topic is fed once more, and somebody acts.
        one.terminate()
        assert one.wait(60) == 0
        produce(system, *alerts(ALERTS), command("acknowledge", "by hand", tenant_id=TENANT, incident_key=KEYS[7]))
        link = next(one.link for one in told if one.incident_id == incident_id(system, KEYS[8]))
        seen = [follow(system, link) for _ in range(20)]  # a mail gateway looks at every link
        assert {status for status, _ in seen} == {200}
        assert ">Acknowledge<" in seen[-1][1]
        assert follow(system, link, b"")[0] == 200
        until(lambda: rows(system) == (records_in(system),) * 2, f"every row {system.said()[-3000:]}", 60)
        assert {(state, count) for _, state, count in incidents(system)} == {("open", 40), ("acknowledged", 40)}
        found = {key: state for key, state, _ in incidents(system)}
        assert [key for key, state in found.items() if state == "acknowledged"] == [KEYS[7], KEYS[8]]
        page = system.page("/metrics", "responder")[1]
        assert (
            f'accesstrail_response_partition_state{{topic="{system.topic}.incidents",partition="0",state="running"}} 1'
            in page
        )
        until(lambda: "ready, 16 partitions, 100 open incidents, 0 records wait" in system.status()[1], "as it is", 60)


def test_a_wrong_channel_is_refused_at_start_with_its_name(system: System) -> None:
    text = system.config.read_text(encoding="utf-8").replace('kind = "webhook"', 'kind = "carrier-pigeon"')
    system.config.write_text(text, encoding="utf-8")
    for name in ("responder", "check"):
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", name, "--config", str(system.config)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert "[channels.chat] kind" in done.stdout + done.stderr
        assert done.returncode == (EXIT_CONFIG if name == "responder" else 1)
        assert SECRET not in done.stdout + done.stderr
