"""Compares derived tables with what the rows give, while the stream goes on: check 12 of verification.

Place in the flow: behind `pipeline/cli/verification.py`; the statements are in `pipeline/migrations/rederive.py`. Two
statements never see the same moment, so the rows are asked before and behind the table: an hour or day whose rows were
the same both times cannot have changed in between. One that grows all the time is told as not compared.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.adapters.reader_pool import Questions
from pipeline.ledger.verify import Findings
from pipeline.migrations.rederive import (
    ALERT_CONTENT,
    ALERT_COUNTS,
    ALERT_IDS,
    ALERTS_GONE,
    ALERTS_SWAPPED,
    ALERTS_TWICE,
    SCHEDULED_STRANGERS,
    STRANGERS,
    Comparison,
    comparisons,
)

_TRIES = 3
_LONG: Mapping[str, object] = {"max_execution_time": 300}
_Sums = dict[str, tuple[Any, ...]]


@dataclass(slots=True)
class DerivedTables:
    """One run. `wait`: what to do between two tries, seconds."""

    questions: Questions
    findings: Findings
    wait: Callable[[float], None] = time.sleep
    compared: list[str] = field(default_factory=list)
    """Tables that were looked at."""
    moving: list[str] = field(default_factory=list)
    """Table and hour or day that grew all the time."""
    _keys: Mapping[str, object] = field(default_factory=lambda: {name: secrets.randbits(64) for name in "abcd"})

    def compare(self, *, is_pruning: bool = False) -> None:
        """All of them; `is_pruning`: a run of retention has not ended, and sums are not what the rows give.

        Alerts and features it deletes before their events, so that they never stand alone. Raises: Away; StoreRefused.
        """
        for one in () if is_pruning else comparisons():
            self._compare(one)
            self.compared.append(one.table)
        for table, sql in STRANGERS.items():
            for topic, partition, offset in self._lasting(sql):
                about = f"{table}: a row is not of the event at {topic} partition {partition}"
                self.findings.add("derived", "", about, int(offset))
            self.compared.append(table)
        for topic, partition, offset in self._lasting(ALERT_COUNTS):
            about = f"alerts: the batch of {topic} partition {partition} has another number than was sealed"
            self.findings.add("derived", "", about, int(offset))
        for sql, words in (
            (ALERT_IDS, "has not the id that its detector and its event give"),
            (SCHEDULED_STRANGERS, "shows another event than stands there"),
            (ALERTS_TWICE, "is shown more than once"),
            (ALERT_CONTENT, "says otherwise than the log of incidents"),
            (ALERTS_GONE, "is gone, and stands in the log of incidents"),
            (ALERTS_SWAPPED, "is gone, and another one stands in its batch that the log of incidents has not read"),
        ):
            for topic, partition, offset in self._lasting(sql):
                about = f"alerts: one about {topic} partition {partition} {words}"
                self.findings.add("derived", "", about, int(offset))

    def _compare(self, one: Comparison) -> None:
        open_spans: set[str] | None = None
        for attempt in range(_TRIES):
            if attempt:
                self.wait(attempt)
            before, shown, behind = (self._sums(sql) for sql in (one.from_rows, one.shown, one.from_rows))
            spans = before.keys() | shown.keys() | behind.keys()
            spans = spans if open_spans is None else spans & open_spans
            open_spans = {span for span in spans if before.get(span) != behind.get(span)}
            for span in sorted(spans - open_spans):
                self._tell(one.table, span, before.get(span, (0,)), shown.get(span, (0,)))
            if not open_spans:
                return
        self.moving += [f"{one.table} {span}" for span in sorted(open_spans or ())]

    def _sums(self, sql: str) -> _Sums:
        return {span: tuple(rest) for span, *rest in self.questions.query(sql, self._keys, _LONG)}

    def _tell(self, table: str, span: str, rows: tuple[Any, ...], shown: tuple[Any, ...]) -> None:
        if rows == shown:
            return
        about = f"{table}: {span} (UTC) has {shown[0]} rows, the verified rows give {rows[0]}"
        if rows[0] == shown[0]:
            about = f"{table}: {span} (UTC) has other values than the verified rows give"
        self.findings.add("derived", "", about)

    def _lasting(self, sql: str) -> list[tuple[Any, ...]]:
        """What a statement finds each time: its parts too see different moments."""
        found = set(self.questions.query(sql, settings=_LONG))
        for attempt in range(1, _TRIES):
            if not found:
                break
            self.wait(attempt)
            found &= set(self.questions.query(sql, settings=_LONG))
        return sorted(found)
