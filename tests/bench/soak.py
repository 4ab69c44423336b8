"""Half an hour under load with a fault every minute: memory, open files and threads stay flat, nothing is lost.

`make soak`, or `python -m tests.bench.soak --minutes 30 --rate 2000`. Two workers run all the time behind a proxy to
the store; whoever dies is started again after a second, as a supervisor would. Faults in turn: a worker killed with
-9, the store cut off for 5 to 20 s, the broker killed with -9 (the local stack starts it again), a worker stopped for
10 s (its partitions move; it wakes as a zombie), a third worker in and out. At the end the load stops, the lag must
return to 0 and the invariant checker must pass. Prints a table and exits with 1 where anything does not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from pipeline.errors import Away
from tests.bench.proxy import Proxy
from tests.bench.system import Sample, System, Worker, report_of, running, sample, write_workload
from tests.bench.workload import Workload
from tests.e2e.checker import check

_SAMPLE_EVERY_S = 5
_CALM_S = 20
_LAG_TIMEOUT_S = 300
_DESCRIPTORS_MORE, _THREADS_MORE, _RSS_TIMES = 16, 8, 1.15
"""How much more the second half may show than the first: every partition's worker has one thread and one socket."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The system at one moment; `lag` is -1 while broker or store do not answer."""

    at_s: float
    lag: int
    workers: dict[str, Sample]


@dataclass(slots=True)
class Soak:
    """The running workers, what happens to them, and what is seen."""

    system: System
    proxy: Proxy
    chance: random.Random
    workers: dict[str, Worker] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    faults: list[tuple[float, str]] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)
    begun_s: float = field(default_factory=time.monotonic)
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self, name: str) -> None:
        """Starts a worker behind the proxy."""
        self.workers[name] = self.system.worker(name, ACCESSTRAIL_CLICKHOUSE_NATIVE_PORT=str(self.proxy.port))

    def supervise(self) -> None:
        """Samples everything and starts again whoever died, until told to stop."""
        while not self.stopping.wait(_SAMPLE_EVERY_S):
            self.revive()
            self.moments.append(Moment(self.elapsed_s(), self.lag(), self.samples()))

    def revive(self) -> None:
        """Starts again whoever has ended."""
        for name, worker in list(self.workers.items()):
            status = worker.process.poll()
            if status is not None:
                if status != -signal.SIGKILL:
                    self.exits.append(f"{self.elapsed_s():.0f} s: {name} ended with {status}")
                self.start(name)

    def samples(self) -> dict[str, Sample]:
        """Every worker that runs."""
        found = {}
        for name, worker in list(self.workers.items()):
            with suppress(OSError, KeyError):
                found[name] = sample(worker.pid)
        return found

    def lag(self) -> int:
        """Offsets in the log that are not sealed; -1 where that cannot be told now."""
        try:
            return sum(self.system.ends().values()) - self.system.sealed()
        except Away:
            return -1

    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.begun_s

    def note(self, fault: str) -> None:
        """Says what is being done."""
        self.faults.append((self.elapsed_s(), fault))
        last = self.moments[-1] if self.moments else None
        seen = (
            ""
            if last is None
            else f"  lag {last.lag:,}  "
            + "  ".join(
                f"{name} {one.rss_mib:.0f} MiB {one.descriptors} fds {one.threads} threads"
                for name, one in sorted(last.workers.items())
            )
        )
        print(f"{self.elapsed_s():6.0f} s  {fault:36}{seen}", flush=True)


def _kill_worker(soak: Soak) -> None:
    name = soak.chance.choice(["a", "b"])
    soak.note(f"kill -9 of worker {name}")
    soak.workers[name].send(signal.SIGKILL)


def _cut_store(soak: Soak) -> None:
    seconds = soak.chance.uniform(5, 20)
    soak.note(f"store cut off for {seconds:.0f} s")
    soak.proxy.cut()
    time.sleep(seconds)
    soak.proxy.restore()


def _kill_broker(soak: Soak) -> None:
    soak.note("kill -9 of the broker")
    with suppress(ProcessLookupError, StopIteration):  # it may be starting just now
        os.kill(soak.system.server_pid("kafka"), signal.SIGKILL)


def _stop_worker(soak: Soak) -> None:
    name = soak.chance.choice(["a", "b"])
    soak.note(f"SIGSTOP of worker {name} for 10 s")
    worker = soak.workers[name]
    worker.send(signal.SIGSTOP)
    time.sleep(10)
    worker.send(signal.SIGCONT)


def _third_worker(soak: Soak) -> None:
    soak.note("a third worker in, out after 30 s")
    soak.start("c")
    time.sleep(30)
    soak.workers.pop("c").end()


FAULTS: tuple[Callable[[Soak], None], ...] = (_kill_worker, _cut_store, _kill_broker, _stop_worker, _third_worker)


def violations(soak: Soak, lag: int, acknowledged: int, stored: int) -> Iterator[str]:
    """What does not hold."""
    if lag != 0:
        yield f"the lag did not return to 0: {lag:,} offsets are not sealed"
    if stored < acknowledged:
        yield f"{acknowledged - stored:,} acknowledged events are missing"
    middle_s = soak.moments[-1].at_s / 2
    halves: tuple[list[Sample], list[Sample]] = ([], [])
    for moment in soak.moments:
        halves[moment.at_s > middle_s].extend(moment.workers.values())
    for name, more, times in (
        ("descriptors", _DESCRIPTORS_MORE, 1.0), ("threads", _THREADS_MORE, 1.0), ("rss_mib", 0, _RSS_TIMES),
    ):  # fmt: skip
        first, second = (max(getattr(one, name) for one in half) for half in halves)
        if second > first * times + more:
            yield f"{name} is not flat: at most {first:g} in the first half, {second:g} in the second"


def run(system: System, options: argparse.Namespace) -> list[str]:
    """The whole soak; prints the table and returns what does not hold."""
    events = system.folder / "events"
    write_workload(Workload(2_000, 111_000), events, 100_000)
    soak = Soak(system, Proxy(system.settings.clickhouse.native_port), random.Random(options.seed))
    for name in ("a", "b"):
        soak.start(name)
        soak.workers[name].await_ready()
    producer = system.produce(events, rate=options.rate, seconds=options.minutes * 60)
    soak.begun_s = time.monotonic()
    watcher = threading.Thread(target=soak.supervise, name="samples")
    watcher.start()
    for number in range(int(options.minutes * 60 // options.fault_every)):
        time.sleep(max(0.0, options.fault_every * number + _CALM_S - soak.elapsed_s()))
        FAULTS[number % len(FAULTS)](soak)
    sent = report_of(producer)
    soak.note("the load has ended")
    ended_s = time.monotonic()
    while time.monotonic() < ended_s + _LAG_TIMEOUT_S:
        time.sleep(1)
        if soak.moments[-1].lag == 0 and soak.moments[-1].at_s > soak.faults[-1][0]:
            break
    caught_up_s = time.monotonic() - ended_s
    soak.stopping.set()
    watcher.join()  # the reader is this thread's from here on
    lag = soak.lag()
    counted = check(system.reader, system.topic, system.incarnation, system.ends())
    print(_table(soak, sent, counted.events, caught_up_s), flush=True)
    return list(violations(soak, lag, int(sent["acknowledged"]), counted.events))


def _table(soak: Soak, sent: dict[str, object], stored: int, caught_up_s: float) -> str:
    moments = soak.moments
    highest = max(one.lag for one in moments)
    lines = [
        f"faults {len(soak.faults) - 1}, producer {sent}",
        f"stored {stored:,}, caught up {caught_up_s:.0f} s after the end, highest lag {highest:,}",
        f"workers that ended by themselves: {'; '.join(soak.exits) or 'none'}",
        "minute        lag   RSS MiB (highest)   descriptors   threads",
    ]
    for minute in range(int(moments[-1].at_s // 60) + 1):
        here = [one for one in moments if one.at_s // 60 == minute]
        samples = [one for moment in here for one in moment.workers.values()]
        if samples:
            lines.append(
                f"{minute:6} {max(one.lag for one in here):10,} {max(one.rss_mib for one in samples):19.0f} "
                f"{max(one.descriptors for one in samples):13} {max(one.threads for one in samples):9}"
            )
    return "\n".join(lines)


def main() -> None:
    """Runs it; exit 1 where something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=2_000)
    parser.add_argument("--fault-every", type=float, default=60, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with running("bench.soak", Workload(2_000, 111_000)) as system:
        wrong = run(system, options)
    for one in wrong:
        print(f"VIOLATION: {one}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
