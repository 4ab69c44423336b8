"""Produced → queryable: how long after it was sent an event is visible to the role reader. `make bench-latency`.

Sent: the producer's clock at the moment of sending, which each event carries as its `event_time`. Visible: a row is
visible iff the ledger holds its batch, and it is stored before its ledger entry; so the ledger's view, asked every
50 ms, tells when every offset up to its newest became visible, at the cost of one row a partition. Asking the events'
view itself that often would load the store with work that no one else does. Each latency is rounded up to the next
answer of the view.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.bench.system import System, report_of, running, sample, spread_ms, write_workload
from tests.bench.workload import Workload

_ASK_EVERY_S = 0.05
_SETTLE_S = 10
"""Left out at the beginning: connections, first batches."""

Visible = dict[int, list[tuple[int, float]]]


def watch(system: System, wanted: int, timeout_s: float) -> Visible:
    """By partition: (newest visible offset, time of the answer), until `wanted` offsets are visible."""
    seen: Visible = {}
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        frontier = system.frontier()
        now_s = time.time()
        for partition, offset in frontier.items():
            steps = seen.setdefault(partition, [])
            if not steps or steps[-1][0] < offset:
                steps.append((offset, now_s))
        if sum(frontier.values()) + len(frontier) >= wanted:
            return seen
        time.sleep(_ASK_EVERY_S)
    raise SystemExit(f"not all of {wanted:,} events became visible within {timeout_s:.0f} s")


def latencies_ms(system: System, visible: Visible, first_offsets: dict[int, int]) -> npt.NDArray[np.float64]:
    """Milliseconds of each event that was sent after the settling time."""
    found = []
    for partition, steps in visible.items():
        rows = system.reader.query(
            "SELECT offset, toUnixTimestamp64Micro(event_time) FROM accesstrail.access_events "
            "WHERE topic = {t:String} AND partition = {p:UInt32} AND offset >= {o:UInt64} ORDER BY offset",
            {"t": system.topic, "p": partition, "o": first_offsets.get(partition, 0)},
        )
        offsets, sent_us = np.array(rows, np.int64).reshape(-1, 2).T
        newest, answered_s = np.array(steps).T
        place = np.searchsorted(newest, offsets)
        settled = sent_us >= sent_us.min() + _SETTLE_S * 1_000_000
        found.append((answered_s[place] * 1e3 - sent_us / 1e3)[settled])
    return np.concatenate(found)


def measure(system: System, events: Path, rate: float, seconds: float) -> dict[str, object]:
    """One run at one rate."""
    before = system.frontier()
    first = {partition: offset + 1 for partition, offset in before.items()}
    pids = {
        "worker": system.workers[0].pid,
        "store": system.server_pid("clickhouse"),
        "broker": system.server_pid("kafka"),
    }
    spent = {name: sample(pid).cpu_s for name, pid in pids.items()}
    producer = system.produce(events, rate=rate, seconds=seconds)
    visible = watch(system, sum(before.values()) + len(before) + int(rate * seconds), seconds + 120)
    cpu_us = {name: round((sample(pid).cpu_s - spent[name]) / (rate * seconds) * 1e6, 1) for name, pid in pids.items()}
    waited = latencies_ms(system, visible, first)
    return {
        "rate": rate,
        "events": len(waited),
        **spread_ms(waited),
        "batches": sum(map(len, visible.values())),
        "cpu_us_per_event": cpu_us,
        "producer": report_of(producer),
    }


def main() -> None:
    """Prints one JSON object a rate."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.latency", description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[1_000, 5_000])
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    workload = Workload(2_000, 111_000)
    with running("bench.latency", workload) as system:
        events = system.folder / "events"
        write_workload(workload, events, 100_000)
        system.worker("one").await_ready()
        for rate in options.rates:
            print(json.dumps(measure(system, events, rate, options.seconds)), flush=True)


if __name__ == "__main__":
    main()
