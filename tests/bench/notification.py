"""Produced → handed to the channel: how long after an event was sent a message about it arrives. `make bench-notify`.

One event in 250 is a person's attempt to change logging, by an account that was never seen before: a rule finds it, it
opens an incident, and a message goes to a webhook that checks its signature. Sent: the event's time, the producer's
clock at the moment of sending. Arrived: the receiver's clock when the message was taken. Flood guard and rate are set
so high that no message waits for them; with them it would be their setting that is measured.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import islice
from pathlib import Path

import numpy as np

from pipeline.cli.demo_desk import Desk
from tests.bench.producer import write_events
from tests.bench.system import System, report_of, running, sample
from tests.bench.workload import Workload

_ONE_IN = 250
_SETTLE_S = 10
_MORE = "\n[incidents.flood]\nper_minute = 1000\n"


def write_mixed(workload: Workload, path: Path, count: int) -> int:
    """The workload's first events, one in 250 of them loud; returns how many are."""
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
        events.append((event["actor_id"].encode(), _line({**event, "subjects": []})))
    write_events(path, events)
    return loud


def _line(event: dict[str, object]) -> bytes:
    """With id and time first, where the producer looks for them."""
    head = {name: event.pop(name) for name in ("event_id", "event_time")}
    return json.dumps({**head, **event}, separators=(",", ":")).encode()


def measure(system: System, desk: Desk, events: Path, rate: float, seconds: float) -> dict[str, object]:
    """One run: latencies of the messages of incidents that were opened after the settling time."""
    pids = {one.kind: one.pid for one in system.workers}
    spent = {name: sample(pid).cpu_s for name, pid in pids.items()}
    begun_s = time.time()
    producer = system.produce(events, rate=rate, seconds=seconds)
    report = report_of(producer)
    opened: list[tuple[str, int]] = []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        opened = system.reader.query(
            "SELECT toString(incident_id), toUnixTimestamp64Micro(first_event_time) FROM accesstrail.incidents "
            "WHERE topic = {t:String} AND has(mapKeys(detectors), 'log_tampering')",
            {"t": system.settings.kafka.incidents_topic},
        )
        if opened and all(incident in desk.arrived_s for incident, _ in opened) and time.time() > begun_s + seconds + 5:
            break
        time.sleep(0.5)
    since_us = (begun_s + _SETTLE_S) * 1e6
    waited = np.array([desk.arrived_s[one] * 1e3 - at / 1e3 for one, at in opened if at >= since_us])
    cpu_s = {name: round(sample(pid).cpu_s - spent[name], 1) for name, pid in pids.items()}
    return {
        "rate": rate, "incidents": len(opened), "measured": len(waited),
        "p50_ms": round(float(np.percentile(waited, 50))),
        "p95_ms": round(float(np.percentile(waited, 95))), "p99_ms": round(float(np.percentile(waited, 99))),
        "max_ms": round(float(waited.max())), "cpu_s": cpu_s, "producer": report,
    }  # fmt: skip


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.notification", description=__doc__)
    parser.add_argument("--rate", type=float, default=5_000)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    workload = Workload(2_000, 111_000)
    with running("bench.notification", workload) as system:
        desk = Desk(system.state)
        with (system.state / "config.toml").open("a", encoding="utf-8") as file:
            file.write(desk.settings(0).replace('kind = "webhook"', 'kind = "webhook"\nrate_per_minute = 6000') + _MORE)
        events = system.folder / "events"
        write_mixed(workload, events, 100_000)
        for started in (system.worker("one"), system.responder("two")):
            started.await_ready()
        print(json.dumps(measure(system, desk, events, options.rate, options.seconds)), flush=True)
        desk.close()


if __name__ == "__main__":
    main()
