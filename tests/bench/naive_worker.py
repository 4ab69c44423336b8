"""The naive worker: what a first attempt with the same packages looks like. A reference for `make bench`.

One Faust event at a time, scikit-learn for each event, one row insert for each event, Faust's own acknowledgement.
Prints {"events": n, "cpu_s": s} when it has read `--events`; the CPU time leaves out imports and start-up.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
from typing import Any

import faust
import numpy as np
from clickhouse_driver import Client
from sklearn.ensemble import IsolationForest

TABLE = (
    "CREATE TABLE IF NOT EXISTS {table} (event_id String, event_time String, actor_id String, action String, "
    "resource_type String, resource_id String, src_ip String, records Int64, subjects Array(String), score Float64) "
    "ENGINE = MergeTree ORDER BY (actor_id, event_time)"
)


def features(event: dict[str, Any]) -> list[float]:
    """Ten raw columns, as a first attempt takes them."""
    return [
        float(event["event_time"][11:13]),
        float(len(event["action"])),
        float(len(event["channel"])),
        float(event.get("records_returned", 0)),
        float(event.get("bytes_out", 0)),
        float(event.get("sensitivity", 0)),
        float(len(event.get("subject_ids", ()))),
        float(len(event.get("fields_unmasked", ()))),
        float(event["outcome"] == "success"),
        float(event.get("case_ref") is not None),
    ]


def row(event: dict[str, Any], score: float) -> dict[str, Any]:
    """The stored row."""
    return {
        "event_id": event["event_id"],
        "event_time": event["event_time"],
        "actor_id": event["actor_id"],
        "action": event["action"],
        "resource_type": event["resource_type"],
        "resource_id": event["resource_id"],
        "src_ip": event.get("src_ip", ""),
        "records": event.get("records_returned", 0),
        "subjects": event.get("subject_ids", []),
        "score": score,
    }


def forest() -> IsolationForest:
    """A forest of the product's size."""
    sample = np.random.default_rng(7).normal(size=(20_000, 10))
    return IsolationForest(n_estimators=100, max_samples=4096, random_state=7).fit(sample)


def arguments() -> argparse.Namespace:
    """What both reference workers are told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password-file", required=True)
    parser.add_argument("--table", required=True)
    return parser.parse_args()


def client_of(options: argparse.Namespace) -> Client:
    """A driver's client, and the table made anew."""
    with open(options.password_file, encoding="utf-8") as file:
        password = file.read().strip()
    client = Client(options.host, port=options.port, user=options.user, password=password)
    client.execute(TABLE.format(table=options.table))
    return client


def app_of(options: argparse.Namespace, name: str) -> faust.App:
    """A plain Faust application."""
    return faust.App(
        f"{name}-{os.getpid()}", broker=f"kafka://{options.bootstrap}", store="memory://", web_enabled=False,
        topic_disable_leader=True, topic_allow_declare=False, datadir=tempfile.mkdtemp(prefix=name),
    )  # fmt: skip


class Meter:
    """CPU seconds of this process from the first event to the last."""

    def __init__(self, events: int) -> None:
        self._wanted, self._seen, self._cpu_s, self._done = events, 0, 0.0, False

    def begin(self) -> None:
        """Called before the first event's work."""
        if not self._seen:
            self._cpu_s = time.process_time()

    def count(self, events: int) -> None:
        """Called after the work; prints and ends the process when enough was read."""
        self._seen += events
        if self._seen >= self._wanted and not self._done:
            self._done = True
            print(json.dumps({"events": self._seen, "cpu_s": time.process_time() - self._cpu_s}), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Reads, scores and inserts one event at a time."""
    options = arguments()
    client, model, meter = client_of(options), forest(), Meter(options.events)
    app = app_of(options, "bench-naive")
    topic = app.topic(options.topic, value_serializer="json", key_serializer="raw")

    @app.agent(topic)
    async def work(stream: Any) -> None:
        async for event in stream:
            meter.begin()
            score = -float(model.score_samples([features(event)])[0])
            client.execute(f"INSERT INTO {options.table} VALUES", [row(event, score)])
            meter.count(1)

    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
