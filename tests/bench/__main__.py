"""`make bench`: CPU per event of the whole worker and of each stage, beside a naive and a fair worker, in one run.

Machines differ and are noisy: what counts is CPU time per event (user + system of the worker's process, without
start-up) and the ratios between workers that ran on the same broker, store and events minutes apart.
After the workers it runs every other bench but the soak, the long ones in a short form; each is a command of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from deploy.local.supervisor import run_file
from detectors.isolation_forest import scores
from detectors.model import save
from detectors.profile import Profiles
from detectors.surprisal import surprisals
from pipeline.adapters.block import native_rows
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.directory import read_directory
from pipeline.adapters.kafka import EventProducer, TopicAdmin, TopicSpec
from pipeline.batch import Judgement, PartitionMemory
from pipeline.cli.simulate import write_simulation
from pipeline.cli.stack_run import StackOptions, end, launch
from pipeline.columns import ACCESS_EVENT_COLUMNS
from pipeline.config import Settings, load
from pipeline.events import LogPosition, RecordBatch
from pipeline.flow import Chain
from pipeline.offline import EventFile, read_events, train_model
from pipeline.privacy.keys import Keyring
from pipeline.privacy.protector import Protection, Protector, Protectors
from pipeline.sources.simulate import Simulation, draw_company
from pipeline.stages.decode import decode
from pipeline.stages.duplicates import DuplicateWindow
from pipeline.stages.enrich import EnrichMemory, enrich
from pipeline.stages.protect import protect
from pipeline.stages.row import offset_leaves

Result = TypeVar("Result")

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_OTHERS = (
    ("latency", "--seconds", "30"),
    ("notification", "--seconds", "30"),
    ("startup", "--runs", "1"),
    ("memory",),
    ("outage", "--minutes", "2"),
    ("store", "--events", "300000"),
    ("viewers", "--seconds", "30"),
    ("handling",),
    ("verification", "--rows", "40000", "--runs", "1"),
)
_LONG = """the other benches in their full form, each with a --help of its own:
  python -m tests.bench.latency   produced to queryable at 1,000 and 5,000 events/s (make bench-latency)
  python -m tests.bench.notification  produced to handed to the channel at 5,000 events/s (make bench-notify)
  python -m tests.bench.startup   worker ready, cold and warm; takeover after kill -9 (make bench-start)
  python -m tests.bench.memory    a worker with 100,000 profiles after 1 M events and a rebalance (make bench-memory)
  python -m tests.bench.outage    the store away for ten minutes (make bench-outage)
  python -m tests.bench.store     bytes per event and a subject's history at 10 M events (make bench-store)
  python -m tests.bench.panels    every panel at 10 M events (make bench-panels)
  python -m tests.bench.viewers   fifty viewers of the console at 5,000 events/s (make bench-viewers)
  python -m tests.bench.verification  rows a second and core of verification (make bench-verify)
  python -m tests.bench.soak      half an hour with a fault every minute (make soak)
"""


def _cpu_s(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def company(folder: Path, events: int) -> EventFile:
    """A simulated company with its model beside it; returns its events."""
    days = max(10, events // 1500)
    simulation = Simulation(draw_company(5, 50), date(2026, 3, 2), days, 1, attacks_per_scenario=0)
    write_simulation(simulation, folder)
    found = read_events([str(folder / "events.ndjson.zst")])
    directory = read_directory(folder / "directory", Keyring.offline())
    save(train_model(found, directory, "Asia/Shanghai"), folder / "model")
    return found


_WIDE_FIELDS = ("user_agent", "source_instance", "app_id", "subject_region", "fields_accessed", "mfa")


def narrow(line: bytes) -> bytes:
    """The event without optional fields that make a simulated one a third longer than a usual one."""
    event = json.loads(line)
    kept = {name: value for name, value in event.items() if name not in _WIDE_FIELDS}
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()


def stages(folder: Path, events: EventFile, batch: int) -> dict[str, float]:
    """CPU microseconds per event of each stage, memo tables warm."""
    from detectors.model import load as load_model
    from detectors.rules import all_rules
    from pipeline.version_sets.sets import VersionSet

    keyring, model = Keyring.offline(), load_model(folder / "model")
    directory = read_directory(folder / "directory", keyring)
    judgement = Judgement(
        VersionSet({}), directory, model, all_rules(), model.policy, "Asia/Shanghai",
        protection=Protection(partitions=8),
    )  # fmt: skip
    protector, memory = Protector(keyring, partitions=8), EnrichMemory()
    position = LogPosition("bench", "1", 0)
    partition = PartitionMemory(position, None, Profiles(), DuplicateWindow())
    chain = Chain(Protectors(keyring))
    runs = min(len(events) // batch, 8)
    spent: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Result]) -> Result:
        begun = time.process_time()
        result = work()
        spent.setdefault(name, []).append(time.process_time() - begun)
        return result

    for run in range(runs):
        lines: list[bytes | None] = list(events.lines[run * batch : (run + 1) * batch])
        times = events.time_us[run * batch : (run + 1) * batch]
        first = partition.next_offset
        records = RecordBatch(position, np.arange(first, first + batch), times, [None] * batch, lines)
        decoded = decode(records)
        timed("decode", partial(decode, records))
        times_us, objects = decoded.event_time_us, directory.object_types
        protected = timed("protect", partial(protect, decoded.events, protector, objects, times_us))
        look_up = partial(enrich, protected, directory, default_time_zone="Asia/Shanghai", memory=memory)
        timed("enrich", look_up)
        formed = timed("whole form", partial(chain.form, records, partition, judgement))
        assert formed.events is not None
        timed("canonical rows + leaves", partial(offset_leaves, formed.events, ACCESS_EVENT_COLUMNS))
        timed("native block", partial(native_rows, formed.events, ACCESS_EVENT_COLUMNS))
        partition.commit(formed.entry)
    features = np.random.default_rng(1).gamma(1.0, 1.0, (batch, model.golden.shape[1])).astype(np.float32)
    surprise = surprisals(features, np.zeros(batch, np.int32), model.peers)
    for _ in range(8):
        timed("forest", partial(scores, model.forest, surprise))
    return {name: round(min(values) / batch * 1e6, 2) for name, values in spent.items()}


def product(settings: Settings, config: Path, count: int) -> dict[str, float]:
    """CPU of one real worker process for `count` events already in Kafka; of broker and store meanwhile, beside it.

    Counted from the first sealed batches on, so that imports, model and kernels being loaded are left out.
    """
    servers = {one["name"]: int(one["pid"]) for one in json.loads(run_file(config.parent).read_bytes())["processes"]}
    reader = connect(settings.clickhouse, "reader")
    sealed = "SELECT sum(n_events), max(toUnixTimestamp64Milli(sealed_at)), min(toUnixTimestamp64Milli(sealed_at)) "
    sealed += "FROM accesstrail.ledger WHERE topic = {t:String}"
    process = subprocess.Popen([sys.executable, "-m", "pipeline.cli", "worker", "--config", str(config)])
    try:
        while not (begun := reader.query(sealed, {"t": settings.kafka.events_topic})[0])[0]:
            time.sleep(0.02)
        before = _cpu_s(process.pid)
        servers_before = {name: _cpu_s(pid) for name, pid in servers.items()}
        while (done := reader.query(sealed, {"t": settings.kafka.events_topic})[0])[0] < count:
            time.sleep(0.1)
        spent = _cpu_s(process.pid) - before
        by_servers = {name: _cpu_s(pid) - servers_before[name] for name, pid in servers.items()}
    finally:
        process.terminate()
        process.wait()
    wall_s = max(1, done[1] - done[2]) / 1000
    measured = count - begun[0]
    return {
        "cpu_us": round(spent / measured * 1e6, 1),
        **{f"{name}_cpu_us": round(cpu_s / measured * 1e6, 1) for name, cpu_s in by_servers.items()},
        "measured": measured,
        "events_per_s_wall": round(count / wall_s),
    }


def reference(module: str, settings: Settings, topic: str, count: int) -> float:
    """CPU microseconds per event of a reference worker."""
    command = [
        sys.executable, "-m", module, "--bootstrap", settings.kafka.bootstrap_servers, "--topic", topic,
        "--events", str(count), "--host", settings.clickhouse.host, "--port", str(settings.clickhouse.native_port),
        "--user", "migrator", "--password-file", str(settings.clickhouse.password_files["migrator"]),
        "--table", f"accesstrail_raw.{module.rpartition('.')[2]}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    # Faust prints terminal codes around what we print.
    _, found, rest = done.stdout.partition('{"events"')
    if not found:
        raise SystemExit(f"{module} did not finish:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    result, _ = json.JSONDecoder().raw_decode(found + rest)
    return round(float(result["cpu_s"]) / int(result["events"]) * 1e6, 1)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", epilog=_LONG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--naive-events", type=int, default=1_500)
    parser.add_argument("--fair-events", type=int, default=20_000)
    parser.add_argument("--wide", action="store_true", help="keep optional fields: events of about 810 bytes, not 613")
    parser.add_argument("--workers-only", action="store_true", help="leave the other benches out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="accesstrail-bench-") as name:
        folder = Path(name)
        print("preparing events and model …", flush=True)
        events = company(folder / "company", options.events)
        if not options.wide:
            events.lines = [narrow(line) for line in events.lines]
        table = {f"batch {size:,}": stages(folder / "company", events, size) for size in (256, 500, 2_000, 5_000)}
        print(json.dumps({"stages_cpu_us_per_event": table}, indent=1), flush=True)
        _with_servers(folder, events, options)
    sys.exit(0 if options.workers_only else _others())


def _others() -> int:
    """Runs the other benches one after the other; 1 where one of them missed what it must hold."""
    worst = 0
    with tempfile.TemporaryDirectory(prefix="accesstrail-bench-") as scratch:
        for module, *words in _OTHERS:
            print(f"{module} …", flush=True)
            place = ["--state", f"{scratch}/state"] if module == "store" else []
            worst |= subprocess.run(
                [sys.executable, "-m", f"tests.bench.{module}", *words, *place], check=False
            ).returncode
    return 1 if worst else 0


def _with_servers(folder: Path, events: EventFile, options: argparse.Namespace) -> None:
    state = folder / "state"
    stack = launch(state, StackOptions(worker=False), say=lambda text: None, tied=True)
    try:
        config = state / "config.toml"
        for part in ("directory", "model"):
            (state / part).mkdir(exist_ok=True)
            for path in (folder / "company" / part).iterdir():
                (state / part / path.name).write_bytes(path.read_bytes())
        settings = load(config, {})
        lines = events.lines[: options.events]
        admin = TopicAdmin(settings.kafka.bootstrap_servers)
        admin.create([TopicSpec("bench", 8, {})])
        admin.close()
        for topic in (settings.kafka.events_topic, "bench"):
            producer = EventProducer(settings.kafka.bootstrap_servers, topic)
            for line in lines:
                producer.send(json.loads(line)["actor_id"].encode(), line)
            producer.flush()
            producer.close()
        whole = product(settings, config, len(lines))
        naive = reference("tests.bench.naive_worker", settings, "bench", options.naive_events)
        fair = reference("tests.bench.fair_worker", settings, "bench", options.fair_events)
    finally:
        end(stack)
    report = {
        "event_bytes": round(sum(map(len, lines)) / len(lines)),
        "whole_worker": whole,
        "naive_worker_cpu_us": naive,
        "fair_worker_cpu_us": fair,
        "times_the_naive_worker": round(naive / whole["cpu_us"], 1),
        "times_the_fair_worker": round(fair / whole["cpu_us"], 2),
    }
    print(json.dumps(report, indent=1), flush=True)


if __name__ == "__main__":
    main()
