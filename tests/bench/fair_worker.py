"""The fair worker: the same packages used well, without tokens, ledger or recovery. A reference for `make bench`.

Faust `take(500)`, scikit-learn for each batch, one insert by the driver for each batch.
Prints {"events": n, "cpu_s": s} when it has read `--events`; the CPU time leaves out imports and start-up.
"""

from __future__ import annotations

from typing import Any

import faust

from tests.bench.naive_worker import Meter, app_of, arguments, client_of, features, forest, row

BATCH = 500


def main() -> None:
    """Reads, scores and inserts batch by batch."""
    options = arguments()
    client, model, meter = client_of(options), forest(), Meter(options.events)
    app = app_of(options, "bench-fair")
    topic = app.topic(options.topic, value_serializer="json", key_serializer="raw")

    @app.agent(topic)
    async def work(stream: Any) -> None:
        meter.begin()
        async for events in stream.take(BATCH, within=0.5):
            scores = -model.score_samples([features(event) for event in events])
            rows = [row(event, float(score)) for event, score in zip(events, scores, strict=True)]
            client.execute(f"INSERT INTO {options.table} VALUES", rows)
            meter.count(len(events))

    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
