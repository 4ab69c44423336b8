"""Answers of panels as every surface shows them, and what a statement must say of itself to be asked.

Place in the flow: made by `adapters/panel_reading.py`; shown by the console and by `accesstrail dashboards show`, and
looked at by tests. A panel (`dashboards/panels/panel.py`) is one `Statement`; adapters do not know panels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class Statement(Protocol):
    """One statement with typed parameters that limits itself to `max_rows`."""

    @property
    def sql(self) -> str:
        """The text, with `{name:Type}` where a value belongs."""
        ...

    @property
    def max_rows(self) -> int:
        """What its own LIMIT says."""
        ...

    def places(self) -> tuple[tuple[str, str], ...]:
        """Its parameters: name, type."""
        ...


@dataclass(frozen=True, slots=True)
class PanelAnswer:
    """Names of columns, rows; rows read by the store for it, and how long it took, milliseconds.

    Values: text, integers, floats (None for what is no number), aware UTC times.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    rows_read: int = 0
    elapsed_ms: float = 0.0

    def named(self) -> list[dict[str, Any]]:
        """Each row by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]
