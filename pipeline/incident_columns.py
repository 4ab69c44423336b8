"""The stored columns of incident handling and of sending messages, beside those of evidence in `columns.py`.

Place in the flow: read by the migrations, by the adapter that writes them and by the generated reference. The log of
incidents is evidence, all but who wrote a row: its rows are the leaves of a tree that the notary signs. The others are
not. Times that have not come yet are 1970-01-01, ids that there are none of the zero UUID.
"""

from __future__ import annotations

from pipeline.columns import TOKEN_BYTES, ColumnSpec
from pipeline.events import SEVERITIES, enum8

_LOW, _TIME, _TOKEN = "LowCardinality(String)", "DateTime64(6, 'UTC')", f"FixedString({TOKEN_BYTES})"
_SEVERITY = enum8(SEVERITIES)


INCIDENT_LOG_CANON_VERSION = 1
"""Version of the list of evidence columns of `incident_log`."""


def _of(origin: str, *columns: tuple[str, str, str], evidence: bool = False) -> tuple[ColumnSpec, ...]:
    return tuple(ColumnSpec(name, kind, origin, about, evidence=evidence) for name, kind, about in columns)


def _position(topic: str, *, evidence: bool = False) -> tuple[ColumnSpec, ...]:
    return _of(
        "position",
        ("topic", _LOW, f"Kafka topic, {topic}"),
        ("incarnation", _LOW, "life of the topic"),
        ("partition", "UInt32", "Kafka partition of the record"),
        ("offset", "UInt64", "Kafka offset of the record"),
        evidence=evidence,
    )


INCIDENT_LOG_COLUMNS: tuple[ColumnSpec, ...] = (
    *_position("access.incidents", evidence=True),
    *_of(
        "incidents",
        ("received_at", _TIME, "the broker's timestamp of the record: the time that counts"),
        ("tenant_id", _LOW, "tenant; empty where the record cannot be read"),
        ("incident_key", "String", "the record's key: one incident at a time is open under it"),
        ("incident_id", "UUID", "the incident it is about"),
        ("kind", _LOW, "alert, command or unreadable"),
        ("name", _LOW, "the detector or the command"),
        ("transition", _LOW, "what happened; refused or no_change where nothing did"),
        ("code", _LOW, "why nothing did"),
        ("state_before", _LOW, "state of the incident before; empty where there was none"),
        ("state_after", _LOW, "and after"),
        ("by", _LOW, "account that gave the command, or system:…"),
        ("at", _TIME, "of an alert: when the access happened; of a command: what the sender's clock showed"),
        ("why", "String", "the person's reason or remark"),
        ("command_id", "UUID", "the command"),
        ("alert_id", "UUID", "the alert"),
        ("changes", "String", "JSON: how the state of the key differs afterwards, enough to fold it again"),
        ("detail", "String", "JSON: what else the record says"),
        evidence=True,
    ),
    *_of("incidents", ("writer", _LOW, "the process that consumed the record")),
)
"""One row a consumed record; the incidents' states are a fold of them."""

INCIDENT_COLUMNS: tuple[ColumnSpec, ...] = (
    *_of(
        "incidents",
        ("tenant_id", _LOW, "tenant"),
        ("incident_id", "UUID", "follows from the record that opened it"),
        ("incident_key", "String", "what its alerts have in common: mostly tenant:actor token"),
        ("actor_token", _TOKEN, "the account it is about, keyed pseudonym; zero where it is about none"),
        ("state", _LOW, "open, acknowledged, assigned, contained or resolved"),
        ("severity", _SEVERITY, "of its alerts, or as a person graded it"),
        ("risk", "UInt16", "of all detectors together, hundredths, 0–10000"),
        ("alerts", "UInt32", "distinct alerts"),
        ("withdrawn", "UInt32", "how many of them were taken back"),
        ("detectors", f"Map({_LOW}, UInt32)", "highest risk that each detector reached, hundredths"),
        ("explanation_en", "String", "the gravest alert's explanation in English"),
        ("explanation_zh", "String", "the gravest alert's explanation in Chinese"),
        ("gravest_alert_id", "UUID", "that alert"),
        ("opened_at", _TIME, "when it was opened"),
        ("first_event_time", _TIME, "oldest access among its alerts"),
        ("last_event_time", _TIME, "newest access among its alerts"),
        ("changed_at", _TIME, "when it changed last"),
        ("acknowledged_at", _TIME, "when somebody took it; anew after it was reopened"),
        ("acknowledged_by", _LOW, "who"),
        ("assignee", _LOW, "account it was given to"),
        ("resolved_at", _TIME, "when it was closed with a verdict"),
        ("resolved_by", _LOW, "who closed it"),
        ("verdict", _LOW, "true_positive, benign, false_positive or test"),
        ("reopened", "UInt32", "how often it was opened again"),
        ("comments", "UInt32", "how many remarks its log holds"),
        ("merged_into", "UUID", "incident that it became part of"),
        ("breach_since", _TIME, "when a breach was suspected here"),
        ("layer", "UInt32", "how far it was escalated; 0: not"),
    ),
    *_position("access.incidents"),
    *_of(
        "incidents", ("version", "UInt64", "milliseconds of receipt, then the offset's low 22 bits: the newest counts")
    ),
)
"""Every incident as it stands, for people; one that is handled again replaces its row."""

DELIVERY_COLUMNS: tuple[ColumnSpec, ...] = (
    *_of(
        "notifications",
        ("channel", _LOW, "channel, as named in the configuration"),
        ("notification_id", "String", "the message; the same on every replay"),
        ("attempt", "UInt32", "from 1; 0 where nothing was sent"),
    ),
    *_position("access.notifications"),
    *_of(
        "notifications",
        ("tenant_id", _LOW, "tenant"),
        ("incident_id", "UUID", "the incident it tells of"),
        ("severity", _SEVERITY, "as the message said"),
        ("dedup_key", "String", "what messages of one matter share"),
        ("action", _LOW, "trigger, update, acknowledge, resolve, digest, test or alarm"),
        ("created_at", _TIME, "when what it tells of happened"),
        ("at", _TIME, "when the attempt ended"),
        ("outcome", _LOW, "delivered, retry, refused or skipped"),
        ("code", _LOW, "why"),
        ("http_status", "UInt16", "status of the answer; 0: none"),
        ("not_before", _TIME, "of retry: the next attempt waits until then"),
    ),
)
"""One row an attempt to send a message."""

HOLD_COLUMNS: tuple[ColumnSpec, ...] = _of(
    "incidents",
    ("tenant_id", _LOW, "tenant"),
    ("incident_id", "UUID", "the incident in which a breach is suspected"),
    ("incident_key", "String", "its key"),
    ("actor_token", _TOKEN, "the account it is about, keyed pseudonym; zero where it is about none"),
    ("first_event_time", _TIME, "oldest access among its alerts when it was frozen"),
    ("since", _TIME, "when the breach was suspected"),
    ("known_at", _TIME, "since when it is known, as the person says"),
    ("by", _LOW, "who suspects it"),
)
"""What must not be deleted because a breach is suspected."""
