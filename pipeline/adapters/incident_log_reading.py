"""The log of incidents and the incidents as they stand, as readers see both: what verification folds and compares.

Place in the flow: under `pipeline/cli/verification_incidents.py`, as a database role that reads the views.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.adapters.incident_rows import log_row, selected
from pipeline.adapters.reader_pool import Questions
from pipeline.adapters.store import OF_LIFE, of_life
from pipeline.events import LogPosition
from pipeline.incident_columns import INCIDENT_COLUMNS, INCIDENT_LOG_COLUMNS
from pipeline.incidents.model import LogRow

_PAGE_ROWS = 2_000
_NAMES = tuple(spec.name for spec in INCIDENT_COLUMNS)


class IncidentLogReader:
    """Over one connection; every method may raise Away or StoreRefused."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def lives(self, places: Sequence[LogPosition]) -> list[LogPosition]:
        """Those of these that have a log, a topic's lives in the order in which they were written."""
        sql = (
            "SELECT topic, incarnation, partition FROM accesstrail.incident_log "
            "GROUP BY topic, incarnation, partition ORDER BY topic, partition, min(written_at), incarnation"
        )
        wanted = set(places)
        return [one for one in (LogPosition(*row) for row in self._questions.query(sql)) if one in wanted]

    def rows(self, place: LogPosition, after_offset: int) -> Iterator[LogRow]:
        """One life's rows behind an offset, in their order; read in pages."""
        sql = (
            f"SELECT {selected(INCIDENT_LOG_COLUMNS)} FROM accesstrail.incident_log WHERE {OF_LIFE} "
            "AND toInt64(offset) > {after:Int64} ORDER BY offset LIMIT {limit:UInt64}"
        )
        while True:
            page = self._questions.query(sql, {**of_life(place), "after": after_offset, "limit": _PAGE_ROWS})
            for stored in page:
                row, _ = log_row(stored)
                after_offset = row.position.offset
                yield row
            if len(page) < _PAGE_ROWS:
                return

    def incidents(self, places: Sequence[LogPosition]) -> Iterator[Mapping[str, Any]]:
        """The incidents whose newest record lies there: values by column."""
        for place in places:
            sql = f"SELECT {selected(INCIDENT_COLUMNS)} FROM accesstrail.incidents WHERE {OF_LIFE}"
            for stored in self._questions.query(sql, of_life(place)):
                yield dict(zip(_NAMES, stored, strict=True))
