"""The store away for ten minutes while events keep coming: memory, loss, catching up. `make bench-outage`.

The worker reaches the store through a small proxy that is cut. Memory may grow by 50 MB at most, because a partition
that cannot store fetches no more than its inbox holds; afterwards everything is sealed, the outage stands among the
alerts, and the invariant checker passes. Prints one JSON object and exits with 1 where one of it is not so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.bench.proxy import Proxy
from tests.bench.system import System, report_of, running, sample, write_workload
from tests.bench.workload import Workload
from tests.e2e.checker import check

_WARM_UP_S = 30
_LARGEST_GROWTH_MIB = 50e6 / (1 << 20)


def measure(system: System, minutes: float, rate: float) -> dict[str, object]:
    """One outage under load."""
    events = system.folder / "events"
    write_workload(Workload(2_000, 111_000), events, 100_000)
    proxy = Proxy(system.settings.clickhouse.native_port)
    worker = system.worker("one", ACCESSTRAIL_CLICKHOUSE_NATIVE_PORT=str(proxy.port))
    worker.await_ready()
    producer = system.produce(events, rate=rate, seconds=_WARM_UP_S + minutes * 60 + 5)
    time.sleep(_WARM_UP_S)
    before = sample(worker.pid)
    proxy.cut()
    until_s = time.monotonic() + minutes * 60
    highest, states = before.rss_mib, set()
    while time.monotonic() < until_s:
        time.sleep(1)
        highest = max(highest, sample(worker.pid).rss_mib)
        states |= {one["state"] for one in worker.status().get("partitions", ())}
    stands_at = system.sealed()
    proxy.restore()
    sent = report_of(producer)
    wanted = sum(system.ends().values())
    caught_up_s = system.await_sealed(wanted)
    counted = check(system.reader, system.topic, system.incarnation, system.ends())
    after = sample(worker.pid)
    told = system.reader.query("SELECT count() FROM accesstrail.alerts WHERE detector LIKE 'system:%away'")[0][0]
    return {
        "minutes": minutes,
        "rate": rate,
        "rss_before_mib": before.rss_mib,
        "rss_highest_while_away_mib": highest,
        "growth_mib": round(highest - before.rss_mib, 1),
        "rss_after_mib": after.rss_mib,
        "states_while_away": sorted(states),
        "waiting_in_the_log": wanted - stands_at,
        "caught_up_s": round(caught_up_s, 1),
        "acknowledged": sent["acknowledged"],
        "alerts_of_the_outage": told,
        "lost": sent["acknowledged"] - counted.events,
        "descriptors": [before.descriptors, after.descriptors],
        "threads": [before.threads, after.threads],
    }


def main() -> None:
    """Prints what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.outage", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=1_000)
    options = parser.parse_args()
    with running("bench.outage", Workload(2_000, 111_000)) as system:
        found = measure(system, options.minutes, options.rate)
    print(json.dumps(found), flush=True)
    grew = float(str(found["growth_mib"])) > _LARGEST_GROWTH_MIB
    sys.exit(1 if found["lost"] or grew or not found["alerts_of_the_outage"] else 0)


if __name__ == "__main__":
    main()
