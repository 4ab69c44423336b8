"""Real responders on the real stack: killed in mid-flood, two at once, fed a second time; nothing lost or doubled."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
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
from tests.incident_logs import alert, command, encoded
from tests.systems import System, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

TENANT = "flood"
KEYS = [f"{TENANT}:{number:032x}" for number in range(100)]
ALERTS = 4000


def tables(folder: Path) -> str:
    """Somebody is told of every severity, over a webhook on this machine."""
    folder.mkdir()
    secret = folder / secret_file(folder, "hook", "s" * 40)
    plans = "\n".join(
        f'[incidents.severity.{one}]\nchannels = ["chat"]' for one in ("low", "medium", "high", "critical")
    )
    return f"""{plans}
[channels.chat]
kind = "webhook"
url = "http://127.0.0.1:9/hook"
allow_hosts = ["127.0.0.1"]
allow_private = ["127.0.0.0/8"]
secret_file = "{secret}"
"""


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    made = System(stack, tmp_path / "system", "respond", more=tables(tmp_path / "secrets"))
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


def test_killed_in_mid_flood_and_two_at_once_leave_one_row_a_record_and_every_message(system: System) -> None:
    produce(system, *alerts(ALERTS // 2))
    killed = system.start("responder")
    until(lambda: rows(system)[1] > 0, f"the first rows; the responder said:\n{system.said()[-3000:]}", 60)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    produce(system, *list(alerts(ALERTS))[ALERTS // 2 :], alert("unread", tenant_id="other", incident_key=KEYS[0]))
    with system.worker("responder") as one, system.worker("responder"):
        until(lambda: rows(system) == (records_in(system),) * 2, f"every row {system.said()[-3000:]}", 60)
        until(
            lambda: all(p["ready"] for p in system.workers("responder")) and system.workers("responder") != [], "ready"
        )
        assert incidents(system) == [(key, "open", ALERTS // len(KEYS)) for key in KEYS]
        told = outbox(system)
        assert Counter((one.action, one.dedup_key) for one in {n.notification_id: n for n in told}.values()) == Counter(
            {("trigger", str(incident)): 1 for (incident,) in system.reader.query(
                "SELECT incident_id FROM accesstrail.incidents WHERE tenant_id = {t:String}", {"t": TENANT})}
        )  # fmt: skip
        # One of two ends; what it had goes on elsewhere. The topic is fed once more, and somebody acts.
        one.terminate()
        assert one.wait(60) == 0
        produce(system, *alerts(ALERTS), command("acknowledge", "by hand", tenant_id=TENANT, incident_key=KEYS[7]))
        until(lambda: rows(system) == (records_in(system),) * 2, f"every row {system.said()[-3000:]}", 60)
        assert {(state, count) for _, state, count in incidents(system)} == {("open", 40), ("acknowledged", 40)}
        assert {key: state for key, state, _ in incidents(system)}[KEYS[7]] == "acknowledged"
        page = system.page("/metrics", "responder")[1]
        assert 'accesstrail_response_partition_state{topic="respond.incidents",partition="0",state="running"} 1' in page
        document, _ = system.status()
        assert document["responders"][0]["ready"] is True


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
    assert json.dumps("s" * 40) not in done.stdout
