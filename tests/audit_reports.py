"""A store that answers the audit report's statements with what a test says, and facts made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.adapters.audit_reading import AuditReader
from pipeline.audit.register_reading import read_controls
from pipeline.audit.report import ReportFacts, Scope

REGISTER = read_controls()
LISTS = {
    "ledger", "dead_letters", "sources", "checkpoints", "alerts", "strata", "incidents", "breaches", "account_changes",
    "versions", "sample",
}  # fmt: skip
FROM_US, TO_US, MADE_US = 1_790_000_000_000_000, 1_791_000_000_000_000, 1_791_000_360_000_000


class Store:
    """Answers by statement: rows by column name; a statement that only counts answers zeros where nothing is said."""

    def __init__(self, **rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = rows
        self.asked: list[tuple[str, Mapping[str, object]]] = []
        self._names = {one.sql: name for name, one in REGISTER.queries.items()}

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        if sql not in self._names:
            return []  # the log of version sets: none
        name = self._names[sql]
        self.asked.append((name, parameters or {}))
        columns = list(REGISTER.queries[name].columns)
        default: Sequence[Mapping[str, Any]] = [] if name in LISTS else [{}]
        return [tuple(row.get(column, 0) for column in columns) for row in self.rows.get(name, default)]

    def named_rows(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        raise AssertionError("a report asks by statement only")

    def measured(self, *_: object) -> Any:
        raise AssertionError("a report measures nothing")

    def close(self) -> None:
        pass


def scope(**given: Any) -> Scope:
    plain: dict[str, Any] = {
        "from_us": FROM_US, "to_us": TO_US, "made_us": MADE_US, "made_by": "chen.shen", "reason": "audit plan 4",
        "seed": "7", "sample_size": 5, "topic": "access.events", "incidents_topic": "access.incidents",
        "notifications_topic": "access.notifications",
    }  # fmt: skip
    return Scope(**plain | given)


def facts_of(store: Store, **given: Any) -> ReportFacts:
    """The facts that a store gives."""
    about = scope()
    answers = AuditReader(store).answers(REGISTER.queries, about)
    return ReportFacts(scope=about, register=REGISTER, answers=answers, **given)


def sampled(**given: Any) -> dict[str, Any]:
    """One row of a sample."""
    return {
        "stratum": "export", "topic": "access.events", "incarnation": "life-1", "partition": 3, "offset": 41,
        "event": "e", "event_time": "2026-09-21T14:13:20Z", "actor": "ab" * 16, "done": "export", "ended": "success",
        "resource_type": "customer", "purpose": "support", "subject_count": 2, "risk": 9100, "drawn_by": "0f" * 32,
    } | given  # fmt: skip


def full_store(text: str = "customer") -> Store:
    """Something of everything; `text` where others' words stand."""
    return Store(
        evidence=[{"events": 1200, "batches": 8, "dead_letters": 3}],
        ledger=[{"topic": "access.events", "incarnation": "life-1", "partition": 3, "last": 1203, "batches": 8}],
        dead_letters=[{"kind": "dead_letter", "reason": text, "records": 3}],
        sources=[{"source_system": text, "source_instance": text, "events": 1200}],
        source_totals=[{"sources": 1}],
        activity=[{"events": 1190, "actors": 12, "exports": 4}],
        strata=[{"stratum": "export", "population": 4}, {"stratum": "other", "population": 1186}],
        sample=[sampled(resource_type=text, purpose=text), sampled(stratum="other", offset=42)],
        incidents=[{"incident": "7d1f5b0e", "grade": "high", "state": text, "verdict": text}],
        account_changes=[{"event_time": "t", "endpoint": text, "by_account": "cd" * 16, "justification": text}],
        versions=[{"number": 1, "kind": "use", "reason": text, "version_set": "ef" * 32}],
    )
