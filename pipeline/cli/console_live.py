"""What the console's overview is made of, gathered for all viewers at once: incidents, ingest, sources; and panels.

Place in the flow: built by `console.py`. Ingest is what workers say in their status files, so that it is told also
while the store is away; silent sources and the last verification are the same as on the page of pipeline health.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dashboards.console.ports import LiveFacts
from dashboards.panels.panel import Panel
from pipeline.adapters.health_reading import HealthReader
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.adapters.panel_reading import PanelReader
from pipeline.adapters.status_file import read_workers
from pipeline.adapters.verification_results import VerificationResults
from pipeline.audit.incidents import IncidentFilter
from pipeline.audit.panels import PanelAnswer
from pipeline.cli.console_sources import ListedSources
from pipeline.cli.kept_answers import KeptAnswers
from pipeline.cli.stack_status import Document, troubles, unready
from pipeline.incidents.words import STATES

SHOWN_INCIDENTS = 5
_ACTIVE = IncidentFilter(states=tuple(state for state in STATES if state != "resolved"))
NO_WORKER = "not_assigned"


class ConsoleLive:
    """`dashboards.console.ports.LiveSource`."""

    def __init__(
        self, state_dir: Path, reader: IncidentReader, health: HealthReader, listed: ListedSources,
        now_us: Callable[[], int],
    ) -> None:  # fmt: skip
        self._run, self._reader, self._health = state_dir / "run", reader, health
        self._listed, self._now_us, self._verified = listed, now_us, VerificationResults(state_dir)
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
            changed=self._changed(),
        )

    def _changed(self) -> int:
        judged = self._verified.last_judged()
        return 0 if judged is None else judged.changed

    def _silent(self) -> Sequence[str]:
        now_us = self._now_us()
        heard = self._health.sources(now_us, self._listed.latest())
        return [f"{one.source_system}/{one.source_instance}" for one in heard if one.is_silent_at(now_us)]

    def _rate(self, workers: Sequence[Document]) -> float:
        """Events stored a second since the look before; workers count from their own start."""
        total = sum(_whole(entry.get("events")) for worker in workers for entry in _partitions(worker))
        now_s = time.monotonic()
        before, self._counted = self._counted, (total, now_s)
        if before is None or total < before[0] or now_s <= before[1]:
            return 0.0
        return (total - before[0]) / (now_s - before[1])


class ConsolePanels:
    """`dashboards.console.ports.PanelSource`: an answer is kept for some seconds, and one question is asked once."""

    def __init__(self, reader: PanelReader, *, kept_s: float, most: int = 500) -> None:
        self._reader = reader
        self._kept: KeptAnswers[PanelAnswer] = KeptAnswers(kept_s, most)

    def run(self, panel: Panel, values: Mapping[str, object]) -> PanelAnswer:
        """The answer to a panel. Raises: Away; StoreRefused; UsageError."""
        key = (panel.uid, panel.sql, *sorted((name, str(value)) for name, value in values.items()))
        return self._kept.answer(key, lambda: self._reader.run(panel, values))


def _newest_us(workers: Sequence[Document]) -> int:
    sealed = [entry.get("last_sealed_at") for worker in workers for entry in _partitions(worker)]
    return round(max((float(one) for one in sealed if isinstance(one, int | float)), default=0.0) * 1_000_000)


def _partitions(worker: Document) -> Sequence[Document]:
    found = worker.get("partitions")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
