"""What the console's overview is made of, gathered for all viewers at once: incidents, ingest, sources; and panels.

Place in the flow: built by `console.py`. Ingest is what workers say in their status files, so that it is told also
while the store is away; sources are compared with what `sources.csv` of the directory allows.
"""

from __future__ import annotations

import csv
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dashboards.console.ports import LiveFacts
from dashboards.panels.panel import Panel
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.adapters.panel_reading import PanelReader
from pipeline.adapters.reader_pool import Questions
from pipeline.adapters.status_file import read_workers
from pipeline.audit.incidents import IncidentFilter
from pipeline.audit.panels import PanelAnswer
from pipeline.cli.stack_status import Document, troubles, unready
from pipeline.incidents.words import STATES

SHOWN_INCIDENTS = 5
_ACTIVE = IncidentFilter(states=tuple(state for state in STATES if state != "resolved"))
_HEARD = (
    "SELECT source_system, source_instance, toUnixTimestamp64Micro(max(last_received_at)) FROM accesstrail.sources "
    "WHERE day >= today() - 30 GROUP BY source_system, source_instance"
)
_SECOND_US = 1_000_000
NO_WORKER = "not_assigned"


class ConsoleLive:
    """`dashboards.console.ports.LiveSource`."""

    def __init__(
        self, state_dir: Path, directory: Path, store: Questions, reader: IncidentReader, now_us: Callable[[], int]
    ) -> None:
        self._run, self._sources = state_dir / "run", Allowed(directory / "sources.csv")
        self._store, self._reader, self._now_us = store, reader, now_us
        self._counted: tuple[int, float] | None = None

    def facts(self) -> LiveFacts:
        """The present state. Raises: Away: the store."""
        workers = read_workers(self._run)
        problems = [str(one["code"]) for one in (*troubles(workers), *unready(workers)) if one.get("code")]
        return LiveFacts(
            open=self._reader.open_counts(),
            gravest=self._reader.page(_ACTIVE, None, SHOWN_INCIDENTS),
            problems=[*([] if workers else [NO_WORKER]), *problems],
            silent=self._silent(),
            stored_us=_newest_us(workers),
            events_a_second=self._rate(workers),
        )

    def _silent(self) -> Sequence[str]:
        heard = {(str(system), str(instance)): int(at_us) for system, instance, at_us in self._store.query(_HEARD)}
        now_us = self._now_us()
        return [
            f"{system}/{instance}"
            for (system, instance), allowed_us in self._sources.read().items()
            if now_us - heard.get((system, instance), now_us) > allowed_us
        ]

    def _rate(self, workers: Sequence[Document]) -> float:
        """Events stored a second since the look before; workers count from their own start."""
        total = sum(_whole(entry.get("events")) for worker in workers for entry in _partitions(worker))
        now_s = time.monotonic()
        before, self._counted = self._counted, (total, now_s)
        if before is None or total < before[0] or now_s <= before[1]:
            return 0.0
        return (total - before[0]) / (now_s - before[1])


class Allowed:
    """How long each source may be silent, microseconds, as `sources.csv` has it; read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed_ns = -1
        self._allowed: dict[tuple[str, str], int] = {}

    def read(self) -> Mapping[tuple[str, str], int]:
        """By system and instance; nothing where there is no such file."""
        try:
            changed_ns = self._path.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                with self._path.open(encoding="utf-8", newline="") as file:
                    rows = list(csv.DictReader(file))
                self._allowed = {
                    (row["source_system"], row["source_instance"]): int(row["max_silence_s"]) * 1_000_000
                    for row in rows
                }
                self._changed_ns = changed_ns
        except (OSError, ValueError, KeyError):
            return self._allowed  # half written, or none: the directory's own check says so
        return self._allowed


class ConsolePanels:
    """`dashboards.console.ports.PanelSource`: an answer is kept for some seconds, and one question is asked once."""

    def __init__(self, reader: PanelReader, *, kept_s: float = 10.0, most: int = 500) -> None:
        self._reader, self._kept_s, self._most = reader, kept_s, most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], tuple[float, PanelAnswer]] = OrderedDict()
        self._asked: dict[tuple[object, ...], threading.Lock] = {}

    def run(self, panel: Panel, values: Mapping[str, object]) -> PanelAnswer:
        """The answer to a panel. Raises: Away; StoreRefused; UsageError."""
        key = (panel.uid, panel.sql, *sorted((name, str(value)) for name, value in values.items()))
        with self._lock:
            turn = self._asked.setdefault(key, threading.Lock())
        try:
            with turn:
                kept = self._young(key)
                if kept is not None:
                    return kept
                answer = self._reader.run(panel, values)
                with self._lock:
                    self._kept[key] = time.monotonic(), answer
                    if len(self._kept) > self._most:
                        self._kept.popitem(last=False)
                return answer
        finally:
            with self._lock:
                self._asked.pop(key, None)

    def _young(self, key: tuple[object, ...]) -> PanelAnswer | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            if time.monotonic() - found[0] > self._kept_s:
                del self._kept[key]
                return None
            return found[1]


def _newest_us(workers: Sequence[Document]) -> int:
    sealed = [entry.get("last_sealed_at") for worker in workers for entry in _partitions(worker)]
    return round(max((float(one) for one in sealed if isinstance(one, int | float)), default=0.0) * 1_000_000)


def _partitions(worker: Document) -> Sequence[Document]:
    found = worker.get("partitions")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
