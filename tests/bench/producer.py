"""A paced producer in a process of its own, so that its cost is never the worker's: `python -m tests.bench.producer`.

Reads a file of events (`write_events`), gives every copy it sends a new id and the present time, and produces with
aiokafka (compiled; idempotent, acks=all). `event_time` of a stored event is therefore the producer's clock at the
moment of sending. Ends after `--seconds` or `--count`, or at SIGTERM; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import time
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path

from aiokafka import AIOKafkaProducer

_TICK_S = 0.005
_MARK = b'"event_id":"'
_ID_AND_TIME_BYTES = len('00000000-0000-7000-8000-000000000000","event_time":"2026-03-02T07:01:28.472+08:00')
Template = tuple[bytes, bytes, bytes]


def write_events(path: Path, events: Iterable[tuple[bytes, bytes]]) -> None:
    """Keys and lines, one record a line of the file."""
    with path.open("wb") as file:
        file.writelines(key + b"\t" + line + b"\n" for key, line in events)


def read_templates(path: Path) -> list[Template]:
    """(key, what comes before the id, what comes after the time) of every record."""
    templates = []
    for record in path.read_bytes().splitlines():
        key, _, line = record.partition(b"\t")
        begin = line.index(_MARK) + len(_MARK)
        templates.append((key, line[:begin], line[begin + _ID_AND_TIME_BYTES :]))
    return templates


def fresh(template: Template, run: int, number: int, now_s: float) -> tuple[bytes, bytes]:
    """Key and value of one record to be sent now."""
    key, head, tail = template
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_s)) + f".{int(now_s * 1e6) % 1_000_000:06d}+00:00"
    milliseconds = int(now_s * 1000)
    identity = f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{run & 0xFFF:03x}-8000-{number:012x}"
    return key, b"%b%b" % (head, f'{identity}","event_time":"{stamp}'.encode()) + tail


class Pace:
    """How many records are due; `rate` 0: all at once."""

    def __init__(self, rate: float, count: int) -> None:
        self._rate, self.count, self._begun_s = rate, count, time.monotonic()
        self.behind_s = 0.0

    def due(self, sent: int) -> int:
        """Records that should have been sent by now and were not."""
        if not self._rate:
            return min(2_000, self.count - sent)
        elapsed_s = time.monotonic() - self._begun_s
        due = int(elapsed_s * self._rate) - sent
        self.behind_s = max(self.behind_s, due / self._rate - 2 * _TICK_S)
        return min(due, self.count - sent)


async def produce(options: argparse.Namespace) -> dict[str, object]:
    """Sends until done; returns what was sent and what the broker acknowledged."""
    records: Iterator[Template] = cycle(read_templates(options.events))
    stop, report, cpu_s = asyncio.Event(), {"sent": 0, "acknowledged": 0, "failed": 0}, time.process_time()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def note(future: asyncio.Future[object]) -> None:
        report["failed" if future.cancelled() or future.exception() else "acknowledged"] += 1

    producer = AIOKafkaProducer(
        bootstrap_servers=options.bootstrap, acks="all", enable_idempotence=True, linger_ms=5,
        max_batch_size=256 << 10, request_timeout_ms=120_000,
    )  # fmt: skip
    await producer.start()
    run, sent = int(time.time()) % 4096, 0
    pace = Pace(options.rate, options.count or int(options.rate * options.seconds))
    try:
        while not stop.is_set() and sent < pace.count:
            for _ in range(pace.due(sent)):
                key, value = fresh(next(records), run, sent, time.time())
                (await producer.send(options.topic, value=value, key=key)).add_done_callback(note)
                sent += 1
            await asyncio.sleep(_TICK_S if options.rate else 0)
    finally:
        await producer.stop()
    return report | {"sent": sent, "behind_max_s": round(pace.behind_s, 3), "cpu_s": time.process_time() - cpu_s}


def main() -> None:
    """Produces and reports."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.producer", description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=0, help="events a second; 0: as fast as it goes")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--count", type=int, default=0)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a broker that restarts is what a soak wants
    print(json.dumps(asyncio.run(produce(parser.parse_args()))), flush=True)


if __name__ == "__main__":
    main()
