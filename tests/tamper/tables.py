"""Which tables verification answers for, column by column, and why it does not for the others: none is forgotten."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.columns import ACCESS_EVENT_COLUMNS, DEAD_LETTER_COLUMNS, LEDGER_COLUMNS, evidence
from pipeline.incident_columns import INCIDENT_COLUMNS, INCIDENT_LOG_COLUMNS
from pipeline.migrations.derived import (
    HOUR_KEYS,
    RESOURCE_KEYS,
    ROLLUP_MEASURES,
    SOURCES_COLUMNS,
    SUBJECT_ACCESS_COLUMNS,
)
from pipeline.migrations.steps import STEPS

RAW = "accesstrail_raw"
EVIDENCE = (
    "access_events", "dead_letters", "ledger", "incident_log", "checkpoints", "pruned_leaves", "retention_runs",
)  # fmt: skip
DERIVED = ("subject_access", "risk_actor_1h", "risk_resource_1d", "sources", "alerts", "features", "incidents")
TABLES = (*EVIDENCE, *DERIVED)
WHOLE = tuple(one for one in TABLES if one not in ("checkpoints", "features"))
"""Tables of which a row that is missing is found by what the store itself holds. A checkpoint is kept outside too, and
what is found is what it says; of features, which are judgements of the stream, only what is there can be compared."""
UNANSWERED: Mapping[str, str] = {
    "actor_profiles": "working memory of the stream, made again from the log",
    "artefacts": "content under its own digest: a changed one is refused where it is read",
    "models": "a list of artefacts",
    "version_activations": "each change of versions is an access event",
    "version_announcements": "which of these Kafka has",
    "work_items": "copies of what the directory holds",
    "access_explanations": "verdicts that a scheduled job makes again",
    "scheduled_runs": "a diary of the scheduler",
    "scheduled_leases": "who runs it",
    "nightly_reports": "a diary of the scheduler",
    "deliveries": "a diary of sending",
    "evidence_holds": "each is a row of the log of incidents",
    "legal_holds": "each is an access event",
    "schema_migrations": "the schema's own list",
    "token_links": "counts of persons in SQL only: the stream goes by the keys, and rows keep their own tokens",
    "token_canon": "the same, as readers look it up: made again each minute",
}
"""Every other raw table, and what answers for it instead."""
BOUND: Mapping[str, frozenset[str]] = {
    "access_events": frozenset(one.name for one in evidence(ACCESS_EVENT_COLUMNS)) | {"batch_id"},
    "dead_letters": frozenset(one.name for one in evidence(DEAD_LETTER_COLUMNS)) | {"batch_id"},
    "ledger": frozenset(one.name for one in evidence(LEDGER_COLUMNS)) | {"entry_hash"},
    "incident_log": frozenset(one.name for one in evidence(INCIDENT_LOG_COLUMNS)),
    "checkpoints": frozenset({"note", "tree_size", "root"}),
    "pruned_leaves": frozenset({"last_offset", "batch_id", "leaf_hash", "retention_class", "source"}),
    "retention_runs": frozenset({"retention_class", "days", "provision_days", "bound", "provision_bound"}),
    "subject_access": frozenset(one.name for one in SUBJECT_ACCESS_COLUMNS) | {"batch_id"},
    "risk_actor_1h": frozenset(one.name for one in (*HOUR_KEYS, *ROLLUP_MEASURES)) | {"batch_id"},
    "risk_resource_1d": frozenset(one.name for one in (*RESOURCE_KEYS, *ROLLUP_MEASURES)) | {"batch_id"},
    "sources": frozenset(one.name for one in SOURCES_COLUMNS) | {"batch_id"},
    "alerts": frozenset(
        {
            "alert_id", "tenant_id", "topic", "incarnation", "partition", "offset", "event_id", "event_time",
            "received_at", "actor_token", "versions_id", "batch_id", "detector", "risk", "severity", "reasons",
            "explanation_en", "explanation_zh", "seen",
        }
    ),
    "incidents": frozenset(one.name for one in INCIDENT_COLUMNS) - {"incarnation", "offset", "version"},
    "features": frozenset({"event_time", "received_at", "actor_token", "risk", "versions_id"}),
}  # fmt: skip
"""Columns that verification answers for. An incident that says to be of a record that no log has yet is told as ahead
of it, and is no difference."""


def raw_tables() -> frozenset[str]:
    """Every table that the migrations make beside the vault's."""
    made = (re.match(rf"CREATE TABLE IF NOT EXISTS {RAW}\.(\w+)", sql) for _, _, sql in STEPS)
    return frozenset(one[1] for one in made if one) | {"schema_migrations"}
