"""Produced → handed to the channel: how long after an event was sent a message about it arrives. `make bench-notify`.

One event in 1,000 is a person's attempt to change logging, by an account that was never seen before: a rule finds
it, it opens an incident, and a message goes to a webhook that checks its signature. Sent: the event's time, the
producer's clock at the moment of sending. Arrived: the receiver's clock when the message was taken. Told are incidents
of this rule only, and flood guard and rate are set so high that no message waits for them; with them it would be their
setting that is measured. The model scores and stays quiet: a history of hours knows too little of so many accounts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np

from pipeline.cli.demo_desk import Desk
from pipeline.response.settings import detector_names
from tests.bench.producer import write_events
from tests.bench.system import System, report_of, running, sample, spread_ms
from tests.bench.workload import Workload

_ONE_IN = 1_000
_SETTLE_S = 10
_LOUD = "log_tampering"
_MORE = """
[incidents.flood]
per_minute = 1000

# People work faster here than people do: of what else is found nobody is told during the run.
[[incidents.maintenance]]
name = "bench"
from = "{since}"
until = "{until}"
detectors = {others}
"""


class TimedDesk(Desk):
    """Notes when each incident was told of first, seconds since 1970."""

    def __init__(self, state_dir: Path) -> None:
        self.arrived_s: dict[str, float] = {}
        super().__init__(state_dir)

    def _take(self, body: bytes, headers: Mapping[str, str]) -> bool:
        at_s, taken = time.time(), super()._take(body, headers)
        if taken:
            self.arrived_s.setdefault(json.loads(body)["incident_id"], at_s)
        return taken


def write_mixed(workload: Workload, path: Path, count: int) -> int:
    """The workload's first events, one in 1,000 of them loud; returns how many are."""
    plain = (
        (workload.keys[actor], line)
        for day in workload.days()
        for actor, line in zip(day.actors.tolist(), day.lines, strict=True)
    )
    events, loud = [], 0
    for number, (key, line) in enumerate(islice(plain, count)):
        if number % _ONE_IN:
            events.append((key, line))
            continue
        loud += 1
        event = {**json.loads(line), "actor_id": f"loud-{loud}", "action": "log_control", "resource_type": "audit_log"}
        nobody = {name: value for name, value in event.items() if not name.startswith("subject_")}
        events.append((event["actor_id"].encode(), _line(nobody)))
    write_events(path, events)
    return loud


def _line(event: dict[str, object]) -> bytes:
    """With id and time first, where the producer looks for them."""
    head = {name: event.pop(name) for name in ("event_id", "event_time")}
    return json.dumps({**head, **event}, separators=(",", ":")).encode()


def measure(system: System, desk: TimedDesk, events: Path, rate: float, seconds: float) -> dict[str, object]:
    """One run: latencies of the messages of incidents that were opened after the settling time."""
    pids = {one.kind: one.pid for one in system.workers}
    spent = {name: sample(pid).cpu_s for name, pid in pids.items()}
    begun_s = time.time()
    producer = system.produce(events, rate=rate, seconds=seconds)
    report = report_of(producer)
    opened = _told(system, desk, begun_s + seconds + 5)
    since_us = (begun_s + _SETTLE_S) * 1e6
    arrived = [one for one in opened if one[0] in desk.arrived_s and one[1] >= since_us]
    if not arrived:
        raise SystemExit(f"of {len(opened)} incidents none was told of; see the logs in {system.folder}")
    arrived_ms = np.array([desk.arrived_s[incident] for incident, *_ in arrived]) * 1e3
    event_ms, alert_ms = np.array([times for _, *times in arrived]).T / 1e3
    cpu_s = {name: round(sample(pid).cpu_s - spent[name], 1) for name, pid in pids.items()}
    return {
        "rate": rate, "incidents": len(opened), "measured": len(arrived),
        "never_told": sum(incident not in desk.arrived_s for incident, *_ in opened),
        "messages": len(desk.messages()), "from_event": spread_ms(arrived_ms - event_ms),
        "from_alert": spread_ms(arrived_ms - alert_ms), "cpu_s": cpu_s, "producer": report,
    }  # fmt: skip


def _told(system: System, desk: TimedDesk, from_s: float) -> list[tuple[str, int, int]]:
    """Incident, its event's time and its alert's arrival in Kafka, UTC microseconds, once all of them were told of."""
    deadline = time.monotonic() + 180
    while True:
        opened = system.reader.query(
            "SELECT toString(incident_id), toUnixTimestamp64Micro(first_event_time), toUnixTimestamp64Micro(opened_at) "
            "FROM accesstrail.incidents WHERE topic = {t:String} AND mapKeys(detectors) = [{loud:String}]",
            {"t": system.settings.kafka.incidents_topic, "loud": _LOUD},
        )
        done = opened and time.time() > from_s and all(incident in desk.arrived_s for incident, *_ in opened)
        if done or time.monotonic() > deadline:
            return [(str(incident), int(event), int(alert)) for incident, event, alert in opened]
        time.sleep(0.5)


def _settings(desk: Desk) -> str:
    """The desk is told of loud incidents only, as fast as they come."""
    now = datetime.now(UTC)
    grave = desk.settings(0).split("[incidents.severity.medium]")[0]
    return grave.replace('kind = "webhook"', 'kind = "webhook"\nrate_per_minute = 6000') + _MORE.format(
        since=(now - timedelta(days=1)).isoformat(), until=(now + timedelta(days=1)).isoformat(),
        others=json.dumps(sorted(detector_names() - {_LOUD})),
    )  # fmt: skip


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.notification", description=__doc__)
    parser.add_argument("--rate", type=float, default=5_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--actors", type=int, default=5_000)
    options = parser.parse_args()
    workload = Workload(options.actors, 111_000)
    with running("bench.notification", workload, model_alerts=False) as system:
        desk = TimedDesk(system.state)
        with (system.state / "config.toml").open("a", encoding="utf-8") as file:
            file.write(_settings(desk))
        events = system.folder / "events"
        write_mixed(workload, events, round(options.rate * options.seconds))
        for started in (system.worker("one"), system.responder("two")):
            started.await_ready()
        print(json.dumps(measure(system, desk, events, options.rate, options.seconds)), flush=True)
        desk.close()


if __name__ == "__main__":
    main()
