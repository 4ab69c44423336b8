"""What the audit report asks of the store, as the database role reader: the statements of the register, as they stand.

Place in the flow: beside it; used by `accesstrail report audit` and the console's page of controls. Values come back as
plain ones: times as ISO 8601 in UTC, a time that never was (1970) as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.adapters.reader_pool import Questions
from pipeline.audit.controls import EvidenceQuery
from pipeline.audit.report import Answer, Scope, Value
from pipeline.errors import StoreRefused

_LONGEST_S = 300
"""Most seconds of one statement: a year of a large company is read once."""


class AuditReader:
    """The statements of a report; every method may raise Away or StoreRefused. `longest_s`: of one statement."""

    def __init__(self, reader: Questions, longest_s: int = _LONGEST_S) -> None:
        self._reader, self._limit = reader, {"max_execution_time": longest_s}

    def answers(self, queries: Mapping[str, EvidenceQuery], scope: Scope) -> dict[str, Answer]:
        """What every statement answers, by name."""
        return {name: self.answer(one, scope) for name, one in queries.items()}

    def answer(self, query: EvidenceQuery, scope: Scope) -> Answer:
        """What one answers. Raises: also StoreRefused: it answers other columns than the register says."""
        rows = self._reader.query(query.sql, scope.parameters(query), self._limit)
        if any(len(row) != len(query.columns) for row in rows):
            raise StoreRefused(f"the statement {query.name} answers other columns than the register of controls says")
        return Answer(tuple(query.columns), tuple(tuple(_plain(value) for value in row) for row in rows))


def _plain(value: Any) -> Value:  # noqa: ANN401  any value that the statements can give
    if isinstance(value, datetime):
        moment = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        return moment.isoformat().replace("+00:00", "Z") if moment.timestamp() > 0 else None
    if isinstance(value, bool | int | str):
        return value
    return str(value)
