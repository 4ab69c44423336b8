"""Resident memory of one worker with 100,000 active profiles, a model, after 1 M events and a rebalance.

`make bench-memory`. The events are in Kafka before the worker starts, so it runs at its full rate with full batches.
Then a second worker joins and leaves: the first gives half of its partitions away, takes them back and rebuilds their
profiles.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from tests.bench.system import System, Worker, report_of, running, sample, write_workload
from tests.bench.workload import Workload

_TIMEOUT_S = 900


def measure(system: System, workload: Workload, count: int) -> dict[str, object]:
    """Memory after start, after the events, and after the rebalances."""
    events = system.folder / "events"
    write_workload(workload, events, count)
    produced = report_of(system.produce(events, count=count))
    events.unlink()
    worker = system.worker("one")
    worker.await_ready()
    found: dict[str, object] = {"events": produced["acknowledged"], "ready_mib": sample(worker.pid).rss_mib}
    begun, begun_s = sample(worker.pid), time.monotonic()
    system.await_sealed(count, _TIMEOUT_S)
    after = sample(worker.pid)
    found |= {
        "after_events_mib": after.rss_mib,
        "seconds": round(time.monotonic() - begun_s),
        "cpu_us_per_event": round((after.cpu_s - begun.cpu_s) / count * 1e6, 1),
    }
    _rebalance(system, worker)
    at_end = sample(worker.pid)
    profiles = system.reader.query(
        "SELECT uniqExact(actor_token) FROM accesstrail.access_events WHERE topic = {t:String}", {"t": system.topic}
    )[0][0]
    return found | {
        "after_rebalance_mib": at_end.rss_mib,
        "peak_mib": at_end.peak_rss_mib,
        "active_profiles": profiles,
        "descriptors": at_end.descriptors,
        "threads": at_end.threads,
    }


def _rebalance(system: System, worker: Worker) -> None:
    """Half of the partitions go to a second worker and come back."""
    second = system.worker("two")
    _await(lambda: 0 < len(worker.owned()) < system.settings.kafka.partitions and bool(second.status().get("ready")))
    time.sleep(5)
    second.end()
    _await(lambda: len(worker.owned()) == system.settings.kafka.partitions and bool(worker.status().get("ready")))
    time.sleep(5)


def _await(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.5)
    raise SystemExit("the rebalance did not end")


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--actors", type=int, default=100_000)
    options = parser.parse_args()
    workload = Workload(options.actors, options.events)
    with running("bench.memory", workload) as system:
        print(json.dumps(measure(system, workload, options.events)), flush=True)


if __name__ == "__main__":
    main()
