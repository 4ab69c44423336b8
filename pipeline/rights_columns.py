"""The stored columns of legal holds and of retention, beside those of evidence in `columns.py`.

Place in the flow: read by the migrations, by the adapters that write them and by the generated reference. None of them
is evidence by itself: a hold and a run of retention are announced as access events, and those are leaves of the ledger.
Times that are not given are 1970-01-01 and 2100-01-01, ids that there are none of the zero UUID.
"""

from __future__ import annotations

from pipeline.columns import TOKEN_BYTES, ColumnSpec

_LOW, _TIME, _TOKEN = "LowCardinality(String)", "DateTime64(6, 'UTC')", f"FixedString({TOKEN_BYTES})"
_HASH = "FixedString(32)"


def _of(origin: str, *columns: tuple[str, str, str]) -> tuple[ColumnSpec, ...]:
    return tuple(ColumnSpec(name, kind, origin, about, evidence=False) for name, kind, about in columns)


LEGAL_HOLD_COLUMNS: tuple[ColumnSpec, ...] = _of(
    "holds",
    ("hold_id", "UUID", "the hold"),
    ("event_id", "UUID", "the access event that tells of it"),
    ("kind", _LOW, "placed or released"),
    ("tenant_id", _LOW, "tenant"),
    ("scope", _LOW, "subject, actor, incident, period or everything"),
    ("actor_tokens", f"Array({_TOKEN})", "accounts whose accesses are held, keyed pseudonyms"),
    ("subject_tokens", f"Array({_TOKEN})", "data subjects, keyed pseudonyms"),
    ("credential_tokens", f"Array({_TOKEN})", "credentials, keyed pseudonyms"),
    ("incident_id", "UUID", "the incident it was placed for; zero where for none"),
    ("from_time", _TIME, "first event time that is held"),
    ("until_time", _TIME, "event time from which on nothing is held"),
    ("reason", "String", "why, personal data in it masked"),
    ("by_token", _TOKEN, "who placed or released it, keyed pseudonym"),
    ("at", _TIME, "when"),
)
"""Only added to: a released hold is two rows."""

HOLD_IN_FORCE_COLUMNS: tuple[ColumnSpec, ...] = (
    *(one for one in LEGAL_HOLD_COLUMNS if one.name not in ("kind", "event_id")),
)
"""One row a hold that has not been released, those of suspected breaches among them (scope `breach`)."""

PRUNED_COLUMNS: tuple[ColumnSpec, ...] = _of(
    "retention",
    ("partition", "UInt32", "Kafka partition"),
    ("epoch", "UInt32", "epoch of the tree"),
    ("offset", "UInt64", "Kafka offset of the row that was deleted"),
    ("last_offset", "UInt64", "the last one it stood for"),
    ("received_at", _TIME, "the broker's timestamp, as the row had it"),
    ("batch_id", "UInt64", "the batch that sealed it"),
    ("leaf_hash", _HASH, "hash of its leaf: the tree is whole with it"),
    ("run_id", "UUID", "the run of retention that deleted it"),
    ("pruned_at", _TIME, "when this was written, before the row was deleted"),
    ("topic", _LOW, "Kafka topic"),
    ("incarnation", _LOW, "life of the topic"),
    ("source", _LOW, "access_events or dead_letters"),
    ("retention_class", _LOW, "class of the row"),
)
"""What is left of a deleted row: the hash of its leaf."""

RETENTION_RUN_COLUMNS: tuple[ColumnSpec, ...] = _of(
    "retention",
    ("run_id", "UUID", "the run; the id of the access event that announces it, too"),
    ("stage", _LOW, "planned, deleting or done"),
    ("tenant_id", _LOW, "tenant of the access event"),
    ("retention_class", _LOW, "class whose time is over"),
    ("days", "UInt32", "how long rows of the class are kept"),
    ("provision_days", "UInt32", "how long records of provision to others are kept"),
    ("bound", _TIME, "rows received before were deleted"),
    ("provision_bound", _TIME, "records of provision received before were deleted"),
    ("events", "UInt64", "accesses deleted"),
    ("dead_letters", "UInt64", "dead letters deleted"),
    ("held", "UInt64", "rows past their time that a hold keeps"),
    ("kept", "UInt64", "rows past their time that are kept for another reason"),
    ("by_token", _TOKEN, "who started it, keyed pseudonym"),
    ("at", _TIME, "when the stage began"),
)
"""One row a stage of a run."""
