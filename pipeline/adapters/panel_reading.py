"""Runs panels' statements as the database role reader: values bound on the server.

Place in the flow: handed to the console by the composition root, used by `accesstrail dashboards show`. What is read is
bounded three times: by the statement's own LIMIT, by the limits here, by the role's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.adapters.clickhouse import connect
from pipeline.adapters.reader_pool import Questions
from pipeline.audit.panels import PanelAnswer, Statement
from pipeline.config import ClickHouseSettings
from pipeline.errors import UsageError

_LONGEST_S = 20
_LARGEST_ANSWER_BYTES = 16 << 20


class PanelReader:
    """As safe in several threads as what it asks. `run` raises UsageError: a value is missing; Away; StoreRefused."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def run(self, panel: Statement, values: Mapping[str, object]) -> PanelAnswer:
        """The answer to one panel; values that it does not use are left out.

        Values are text or integers; times as text to the millisecond (`dashboards/panels/asked.py` writes them so).
        """
        names = [name for name, _ in panel.places()]
        missing = [name for name in names if name not in values]
        if missing:
            raise UsageError(f"the panel needs a value for {', '.join(missing)}")
        limits = {
            "max_execution_time": _LONGEST_S,
            "max_result_rows": panel.max_rows,
            "max_result_bytes": _LARGEST_ANSWER_BYTES,
            "result_overflow_mode": "throw",
        }
        found = self._questions.measured(panel.sql, {name: values[name] for name in names}, limits)
        rows = tuple(tuple(map(_plain, row)) for row in found.rows)
        return PanelAnswer(found.names, rows, found.rows_read, found.elapsed_ms)

    def close(self) -> None:
        """Ends the connections."""
        self._questions.close()


def open_panel_reader(settings: ClickHouseSettings) -> PanelReader:
    """Panels as the role reader on one connection, for one thread; it connects at the first question."""
    return PanelReader(connect(settings, "reader"))


def _plain(value: Any) -> Any:  # noqa: ANN401  any value a store can give
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return value
