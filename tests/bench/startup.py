"""How long a worker takes to be ready, and a survivor to take over after kill -9. `make bench-start`.

Ready: from the start of the process until its status says so (partitions assigned, none recovering); sealed: until 400
events that waited in the log are sealed, which needs the compiled kernels. Both with an empty cache of kernels
(`NUMBA_CACHE_DIR`, cold) and with the filled one (warm).
Takeover: two workers under load, one is killed; until the survivor has sealed a batch on every partition of the dead
one. The group notices a death after its session time-out (6 s, Kafka's smallest), which is part of the figure.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import tempfile
import time
from pathlib import Path

from tests.bench.system import System, Worker, report_of, running, write_workload
from tests.bench.workload import Workload

_TIMEOUT_S = 240
_WAITING = 400


def ready(system: System, events: Path, runs: int) -> dict[str, object]:
    """Seconds until ready and until everything that waited in the log is sealed, cold and warm."""
    found: dict[str, list[float]] = {}
    for run in range(runs):
        with tempfile.TemporaryDirectory(prefix="kernels-") as cache:
            for kernels in ("cold", "warm"):
                report_of(system.produce(events, count=_WAITING))
                wanted = sum(system.ends().values())
                worker = system.worker(f"ready-{run}", NUMBA_CACHE_DIR=cache)
                found.setdefault(f"ready_{kernels}_s", []).append(worker.await_ready())
                system.await_sealed(wanted, _TIMEOUT_S)
                found.setdefault(f"sealed_{kernels}_s", []).append(time.monotonic() - worker.started_s)
                worker.end()
    return {name: _spread(values) for name, values in found.items()}


def takeover(system: System, events: Path, rate: float, runs: int) -> dict[str, object]:
    """Seconds from the kill to the survivor's seal on the last of the dead one's partitions."""
    survivor = system.worker("survivor")
    survivor.await_ready()
    producer = system.produce(events, rate=rate, seconds=3600)
    found = []
    for run in range(runs):
        victim = system.worker(f"victim-{run}")
        _await_shared(system, [survivor, victim])
        time.sleep(10)
        dead = victim.owned()
        begun_s = time.monotonic()
        victim.end(signal.SIGKILL)
        time.sleep(1.0)  # the store finishes what the dead worker had sent it, well within the session time-out
        settled = _of(system, dead)
        while any(offset <= settled[partition] for partition, offset in _of(system, dead).items()):
            if time.monotonic() - begun_s > _TIMEOUT_S:
                raise SystemExit(f"the survivor has not taken over {sorted(dead)} within {_TIMEOUT_S} s")
            time.sleep(0.05)
        found.append(time.monotonic() - begun_s)
    producer.send_signal(signal.SIGTERM)
    return {"takeover_s": _spread(found), "rate": rate, "producer": report_of(producer)}


def _of(system: System, partitions: set[int]) -> dict[int, int]:
    frontier = system.frontier()
    return {partition: frontier.get(partition, -1) for partition in partitions}


def _await_shared(system: System, workers: list[Worker]) -> None:
    """Waits until both workers own partitions, none twice, all taken."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        shares = [worker.owned() for worker in workers]
        if all(shares) and sum(map(len, shares)) == system.settings.kafka.partitions == len(set().union(*shares)):
            return
        time.sleep(0.2)
    raise SystemExit("the two workers did not come to share the partitions")


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "min": round(min(values), 1),
        "median": round(statistics.median(values), 1),
        "max": round(max(values), 1),
        "runs": len(values),
    }


def main() -> None:
    """Prints one JSON object a subject."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.startup", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1_000)
    options = parser.parse_args()
    workload = Workload(2_000, 111_000)
    with running("bench.start", workload) as system:
        events = system.folder / "events"
        write_workload(workload, events, 50_000)
        print(json.dumps(ready(system, events, options.runs)), flush=True)
        print(json.dumps(takeover(system, events, options.rate, options.runs)), flush=True)


if __name__ == "__main__":
    main()
