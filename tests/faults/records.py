"""The records of a run: real ones of a simulated company, poison, duplicates, rows the store refuses, holes in the log.

Every portion is drawn from the run's own dice. A hole comes from a transaction: its commit marker takes an offset that
no record has.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from detectors.model import load, save
from pipeline.adapters.directory import read_directory
from pipeline.cli.simulate import write_simulation
from pipeline.offline import read_events, train_model
from pipeline.privacy.keys import Keyring
from pipeline.sources.simulate import Simulation, draw_company
from tests.corpus.make_poison import Poison, event, poison, text

REFUSED_TYPE = "refused_by_test"
"""A resource type that the fault stack's table refuses by a constraint: a row that must become a dead letter."""
_SMALL_BYTES = 4096
_LINES = 30_000
_THRESHOLD = 2000
"""Risk in hundredths from which alerts fire: far below a real one, so that small logs hold many."""


def is_refused(value: bytes | None) -> bool:
    """Whether the fault stack's store refuses the row of this record."""
    return value is not None and REFUSED_TYPE.encode() in value


class Company:
    """A simulated company: directory, model and events; made once, then read from its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "lines.ndjson").is_file():
            self._make()

    def _make(self) -> None:
        simulation = Simulation(draw_company(11, 50), date(2026, 9, 1), 22, 5, attacks_per_scenario=1)
        write_simulation(simulation, self.folder)
        events = read_events([str(self.folder / "events.ndjson.zst")])
        count = min(_LINES, len(events) // 2)
        history = replace(events, lines=events.lines[:-count], time_us=events.time_us[:-count], ids=events.ids[:-count])
        directory = read_directory(self.folder / "directory", Keyring.offline())
        model = train_model(history, directory, "Asia/Shanghai")
        save(replace(model, threshold=_THRESHOLD), self.folder / "model")
        load(self.folder / "model")
        (self.folder / "lines.ndjson").write_bytes(b"\n".join(events.lines[-count:]))

    @cached_property
    def lines(self) -> list[bytes]:
        """The events after the history, in order."""
        return (self.folder / "lines.ndjson").read_bytes().split(b"\n")

    @cached_property
    def actors(self) -> dict[str, list[bytes]]:
        """Events by actor."""
        found: dict[str, list[bytes]] = {}
        for line in self.lines:
            found.setdefault(json.loads(line)["actor_id"], []).append(line)
        return found


class Portions:
    """Produces one run's records, portion by portion."""

    def __init__(self, company: Company, chance: random.Random, servers: str, topic: str, partitions: int) -> None:
        self._chance, self._servers, self.topic, self._partitions = chance, servers, topic, partitions
        self._lines = company.lines
        self._next = chance.randrange(len(self._lines) // 2)
        self._poison = [one for one in poison() if len(one.value or b"") < _SMALL_BYTES]
        self._sent: list[bytes] = []
        self._number = 0

    def send(self, count: int, *, holes: bool, refused: bool, closing: bool = False) -> None:
        """One portion of about `count` records; `closing` puts a last event into every partition."""
        self._number += 1
        identity = f"{self.topic}.{self._number}" if holes else None
        producer = KafkaProducer(
            bootstrap_servers=self._servers, acks="all", max_request_size=1 << 20, transactional_id=identity,
            linger_ms=5, metrics_enabled=False,
        )  # fmt: skip
        try:
            if holes:
                producer.init_transactions()
                producer.begin_transaction()
            self._send_lines(producer, count)
            self._send_odd(producer, refused=refused)
            if closing:
                for partition in range(self._partitions):
                    value = text(event(f"{self.topic} last {partition}"))
                    producer.send(self.topic, key=b"poison.actor", value=value, partition=partition)
            if holes:
                producer.commit_transaction()
            else:
                producer.flush(30)
        finally:
            producer.close(5)

    def _send_lines(self, producer: Any, count: int) -> None:
        lines = self._lines[self._next : self._next + count]
        self._next += count
        for line in lines:
            producer.send(self.topic, key=json.loads(line)["actor_id"].encode(), value=line)
        self._sent += lines
        for line in self._chance.sample(self._sent, min(len(self._sent), max(2, count // 20))):
            producer.send(self.topic, key=json.loads(line)["actor_id"].encode(), value=line)  # a repeated event id

    def _send_odd(self, producer: Any, *, refused: bool) -> None:
        for one in self._chance.sample(self._poison, 6):
            self._send_poison(producer, one)
        if refused:
            name = f"{self.topic} refused {self._number}"
            value = text(event(name, resource_type=REFUSED_TYPE))
            producer.send(self.topic, key=b"poison.actor", value=value)

    def _send_poison(self, producer: Any, one: Poison) -> None:
        key = b"nobody" if one.key is None and one.value is None else one.key
        partition = None if key else int(self._chance.randrange(self._partitions))
        producer.send(self.topic, key=key, value=one.value, partition=partition)
