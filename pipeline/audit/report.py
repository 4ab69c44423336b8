"""The audit report as facts: what was asked of the store, what controls come to, what each part hashes to.

Place in the flow: filled by `cli/report_gathering.py`, told in words by `report_words.py`, as a machine reads it by
`document` here. Pure: equal facts give equal bytes. Every number comes from a named statement of the register of
controls; whoever holds the report can run the statement with the parameters that stand in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.audit.controls import Control, ControlRegister, EvidenceQuery, judge

FORMAT = "accesstrail/audit-report/1"
Value = str | int | bool | None
Row = Sequence[Value]

LISTED = ("incidents", "breaches", "account_changes", "versions", "sample")
"""Statements whose rows are single records; the others only count."""
MOST_SAMPLED = 50
"""Of each stratum: with the other lists' own limits a report stays below what one person may take out at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a report is about and how it was made; times UTC microseconds, the period by receipt, end excluded."""

    from_us: int
    to_us: int
    made_us: int
    made_by: str
    reason: str
    seed: str
    sample_size: int
    topic: str
    incidents_topic: str
    notifications_topic: str

    def parameters(self, query: EvidenceQuery) -> dict[str, object]:
        """What a statement is given."""
        known: dict[str, object] = {
            "from_us": self.from_us, "to_us": self.to_us, "topic": self.topic, "incidents_topic": self.incidents_topic,
            "notifications_topic": self.notifications_topic, "seed": self.seed, "size": self.sample_size,
        }  # fmt: skip
        return {name: value for name, value in known.items() if name in query.parameters}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement answered: its rows, values in the order of its columns."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def named(self) -> list[dict[str, Value]]:
        """The rows by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    @property
    def figures(self) -> dict[str, int]:
        """The one row of a statement that only counts; empty where there is none."""
        return {name: value for name, value in self.named[0].items() if isinstance(value, int)} if self.rows else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """Everything a report tells. `breaches`, `exceptions`, `accounts`: plain documents, in their order."""

    scope: Scope
    register: ControlRegister
    answers: Mapping[str, Answer]
    breaches: Sequence[Mapping[str, Any]] = ()
    exceptions: Sequence[Mapping[str, Any]] = ()
    accounts: Sequence[Mapping[str, Any]] = ()

    def figure(self, query: str, column: str) -> int:
        """One number of a statement that only counts; 0 where it answered nothing."""
        return self.answers[query].figures.get(column, 0)

    def results(self) -> list[tuple[Control, str, Mapping[str, int]]]:
        """Every control, what it comes to, and the numbers that say so."""
        found: list[tuple[Control, str, Mapping[str, int]]] = []
        for one in self.register.controls:
            row = self.answers[one.query].figures if one.query else {}
            found.append((one, judge(one, row or None), row))
        return found

    @property
    def records(self) -> int:
        """How many single records the report hands out."""
        listed = sum(len(self.answers[name].rows) for name in LISTED)
        return listed + len(self.exceptions) + len(self.accounts)


def moment(at_us: int) -> str:
    """A time as ISO 8601 in UTC, whole seconds where it has no more."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def canonical(document: object) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def document(facts: ReportFacts) -> dict[str, Any]:
    """The report for machines: parts, and the SHA-256 of each part's canonical JSON."""
    parts = _parts(facts)
    return {
        "format": FORMAT,
        "parts": parts,
        "sha256": {name: hashlib.sha256(canonical(part)).hexdigest() for name, part in parts.items()},
    }


def _parts(facts: ReportFacts) -> dict[str, Any]:
    told = {name: answer.named for name, answer in facts.answers.items()}

    def some(*names: str) -> dict[str, Any]:
        return {name: told[name] for name in names}

    return {
        "scope": _scope(facts.scope),
        "completeness": some(
            "evidence", "ledger", "dead_letters", "source_totals", "sources", "checkpoint_totals", "checkpoints",
        ),
        "activity": some("activity", "explanations", "special", "own_reads", "entries", "retention", "subject_rows"),
        "alerts_incidents": some(
            "alert_totals", "alerts", "incident_totals", "incidents", "deliveries", "scheduled", "breach_totals",
            "breaches",
        ),
        "breach_clocks": list(facts.breaches),
        "exceptions": list(facts.exceptions),
        "versions": some("version_totals", "versions"),
        "accounts": {"holders": list(facts.accounts), **some("account_totals", "account_changes")},
        "controls": {"register": facts.register.version, "controls": [_control(*one) for one in facts.results()]},
        "sample": {
            "seed": facts.scope.seed, "of_each_stratum": facts.scope.sample_size, **some("strata", "sample"),
        },
        "statements": {
            name: {"sql": one.sql, "parameters": facts.scope.parameters(one)}
            for name, one in facts.register.queries.items()
        },
    }  # fmt: skip


def _scope(scope: Scope) -> dict[str, Any]:
    return {
        "from": moment(scope.from_us), "to": moment(scope.to_us), "from_us": scope.from_us, "to_us": scope.to_us,
        "made_at": moment(scope.made_us), "made_by": scope.made_by, "reason": scope.reason, "topic": scope.topic,
        "incidents_topic": scope.incidents_topic, "notifications_topic": scope.notifications_topic,
    }  # fmt: skip


def _control(one: Control, result: str, row: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": one.control_id, "title": {"en": one.title.en, "zh": one.title.zh}, "kind": one.kind, "result": result,
        "serves": [f"{law}:{number}" for law, number in one.serves], "statement": one.query, "figures": dict(row),
        "person": {"en": one.person.en, "zh": one.person.zh},
    }  # fmt: skip
