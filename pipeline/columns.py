"""The one list of stored columns: type, treatment of the wire field behind it, place in the evidence.

Everything that touches a stored event reads this list: `protect` (which treatment a wire field gets), `row` (which
bytes a leaf commits to), the migrations (which columns the table has), the block writer (how a column is sent) and
the generated references. Evidence order is declared order: fixed-width columns first, then texts, arrays, maps.
Canonical bytes of a row are ClickHouse's `RowBinary` of its evidence columns in this order, so the server itself can
recompute every leaf: SHA256(concat(char(0), formatRow('RowBinary', …))).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline import events

CANON_VERSION = 2
TOKEN_BYTES = 16
NO_TOKEN = bytes(TOKEN_BYTES)
ABSENT = -1

Kind = Literal["fixed", "text", "array_fixed", "array_text", "map"]
Treatment = Literal["token", "mask", "clear", "vault", "drop", "hash"]

_FIXED_DTYPES = {
    "UInt8": "u1", "UInt16": "<u2", "UInt32": "<u4", "UInt64": "<u8",
    "Int32": "<i4", "Int64": "<i8", "UUID": "V16", "IPv6": "V16", "Float32": "<f4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One stored column. `origin`: the wire field or the stage that fills it. `evidence`: part of the leaf.

    `codec` and `wide_blocks` say how the store compresses it; they change no value. `wide_blocks`: in blocks of 1 MiB
    instead of 64 KiB, for values that repeat far apart.
    """

    name: str
    type: str
    origin: str
    about: str
    evidence: bool = True
    codec: str = ""
    wide_blocks: bool = False

    @property
    def kind(self) -> Kind:
        """How the column is held in memory and written."""
        if self.type.startswith("Map("):
            return "map"
        if self.type.startswith("Array("):
            return "array_text" if "String)" in self.type and "Fixed" not in self.type else "array_fixed"
        return "text" if "String)" in self.type or self.type == "String" else "fixed"

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The numpy dtype of a fixed column or of a fixed array's items (little-endian, as RowBinary)."""
        inner = self.type.removeprefix("Array(").removesuffix(")") if self.kind == "array_fixed" else self.type
        if inner.startswith("Array"):
            inner = inner[6:-1]
        if "FixedString(" in inner:
            return np.dtype("V" + inner.split("FixedString(")[1].split(")")[0])
        if inner.startswith("Enum8"):
            return np.dtype("i1")
        if inner.startswith("DateTime64"):
            return np.dtype("<i8")
        return np.dtype(_FIXED_DTYPES[inner])


_TIME = "DateTime64(6, 'UTC')"
_TOKEN = f"FixedString({TOKEN_BYTES})"
_HASH = "FixedString(32)"
_LOW = "LowCardinality(String)"
_FLAG = events.enum8(events.FLAG_WORDS)
# Most times are whole milliseconds, and rows lie in the order of time: the common divisor goes first, then the steps.
TIME_CODEC = "GCD, Delta, ZSTD(1)"
COUNT_CODEC = "Delta, ZSTD(1)"
AMOUNT_CODEC = "T64, ZSTD(1)"
REPEATED_CODEC = "ZSTD(3)"

ACCESS_EVENT_COLUMNS: tuple[ColumnSpec, ...] = (
    # fixed width
    ColumnSpec("leaf_kind", events.enum8(events.LEAF_KINDS), "position", "what the leaf is: here always event"),
    ColumnSpec("canon_version", "UInt8", "position", "version of this list of evidence columns"),
    ColumnSpec("partition", "UInt32", "position", "Kafka partition"),
    ColumnSpec("offset", "UInt64", "position", "Kafka offset", codec=COUNT_CODEC),
    ColumnSpec("received_at", _TIME, "position", "the broker's timestamp of the record", codec=TIME_CODEC),
    ColumnSpec("event_time", _TIME, "event_time", "when the access happened", codec=TIME_CODEC),
    ColumnSpec("event_id", "UUID", "event_id", "chosen by the emitter; the idempotency key"),
    ColumnSpec("duplicate_of", "Int64", "assess", "offset of the first event with this id in this partition, or -1"),
    ColumnSpec("misrouted", "UInt8", "position", "1 where the record lies in another partition than its key says"),
    ColumnSpec("actor_token", _TOKEN, "actor_id", "keyed pseudonym of the account that acted"),
    ColumnSpec("actor_type", events.enum8(events.ACTOR_TYPES), "actor_type", "kind of account"),
    ColumnSpec("on_behalf_of_token", _TOKEN, "on_behalf_of", "the person behind a service or AI agent"),
    ColumnSpec("credential_token", _TOKEN, "credential_id", "credential used"),
    ColumnSpec("session_token", _TOKEN, "session_id", "session"),
    ColumnSpec("device_token", _TOKEN, "device_id", "device"),
    ColumnSpec("mfa", _FLAG, "mfa", "multi-factor authentication"),
    ColumnSpec("user_agent_hash", _TOKEN, "user_agent", "keyed hash of the whole user agent"),
    ColumnSpec("src_ip", "IPv6", "src_ip", "source address, IPv4 mapped; :: where absent"),
    ColumnSpec("channel", events.enum8(events.CHANNELS), "channel", "way of access"),
    ColumnSpec("action", events.enum8(events.ACTIONS), "action", "what was done"),
    ColumnSpec("outcome", events.enum8(events.OUTCOMES), "outcome", "how it ended"),
    ColumnSpec("http_status", "UInt16", "http_status", "HTTP status, 0 where absent"),
    ColumnSpec("source_seq", "Int64", "source_seq", "the source's own counter, -1 where absent", codec=COUNT_CODEC),
    ColumnSpec(
        "resource_token",
        _TOKEN,
        "resource_id",
        "resource; equal to a subject's token where it is a person",
        codec=REPEATED_CODEC,
        wide_blocks=True,
    ),
    ColumnSpec("sensitivity", "UInt8", "sensitivity", "1–4: the event's, else the directory's; 0 unknown"),
    ColumnSpec(
        "records_returned", "Int64", "records_returned", "records handed out, -1 where absent", codec=AMOUNT_CODEC
    ),
    ColumnSpec("records_matched", "Int64", "records_matched", "records matched, -1 where absent", codec=AMOUNT_CODEC),
    ColumnSpec("bytes_out", "Int64", "bytes_out", "bytes handed out, -1 where absent", codec=AMOUNT_CODEC),
    ColumnSpec(
        "subject_count",
        "Int64",
        "subject_count",
        "data subjects touched (the list's length where absent)",
        codec=AMOUNT_CODEC,
    ),
    ColumnSpec("subject_manifest_token", _TOKEN, "subject_manifest", "reference to the full list of subjects"),
    ColumnSpec("recipient_token", _TOKEN, "recipient_id", "who received the data"),
    ColumnSpec("recipient_type", events.enum8(events.RECIPIENT_TYPES), "recipient_type", "kind of recipient"),
    ColumnSpec("legal_basis", events.enum8(events.LEGAL_BASES), "legal_basis", "legal basis claimed"),
    ColumnSpec("case_token", _TOKEN, "case_ref", "ticket, order or assignment claimed"),
    ColumnSpec("approval_token", _TOKEN, "approval_ref", "approval claimed"),
    ColumnSpec("break_glass", _FLAG, "break_glass", "emergency access"),
    ColumnSpec("network_kind", events.enum8(events.NETWORK_KINDS), "enrich", "kind of network the address lies in"),
    ColumnSpec("day_kind", events.enum8(events.DAY_KINDS), "enrich", "kind of day at the actor's site"),
    ColumnSpec("actor_status", events.enum8(events.ACTOR_STATUSES), "enrich", "status in the directory at event time"),
    ColumnSpec("explained", events.enum8(events.EXPLAINED), "enrich", "whether a work item justifies the access"),
    ColumnSpec("score_status", events.enum8(events.SCORE_STATUSES), "assess", "scored, or why not"),
    ColumnSpec("anomaly_score", "UInt32", "assess", "model score in millionths, high is abnormal", codec=AMOUNT_CODEC),
    ColumnSpec(
        "top3_surprisal", "UInt16", "assess", "sum of the three largest surprisals, hundredths", codec=AMOUNT_CODEC
    ),
    ColumnSpec("risk", "UInt16", "assess", "risk in hundredths, 0–10000", codec=AMOUNT_CODEC),
    ColumnSpec("versions_id", _HASH, "assess", "version set the event was judged under"),
    # texts
    ColumnSpec("tenant_id", _LOW, "tenant_id", "tenant"),
    ColumnSpec("topic", _LOW, "position", "Kafka topic"),
    ColumnSpec("incarnation", _LOW, "position", "life of the topic (its id)"),
    ColumnSpec("actor_org", _LOW, "actor_org", "organisation: the directory's, else the event's"),
    ColumnSpec("actor_dept", _LOW, "actor_dept", "department: the directory's, else the event's"),
    ColumnSpec("actor_role", _LOW, "actor_role", "role: the directory's, else the event's"),
    ColumnSpec("user_agent_family", _LOW, "user_agent", "family of the user agent"),
    ColumnSpec("src_country", _LOW, "src_country", "country of the address: network list, geo table, else the event's"),
    ColumnSpec("src_city", _LOW, "src_city", "city of the address"),
    ColumnSpec("network_site", _LOW, "enrich", "site the address belongs to"),
    ColumnSpec("app_id", _LOW, "app_id", "application"),
    ColumnSpec("endpoint", _LOW, "endpoint", "route template"),
    ColumnSpec("source_system", _LOW, "source_system", "application or data store that reports"),
    ColumnSpec("source_instance", _LOW, "source_instance", "process or host of the source"),
    ColumnSpec("denial_reason", _LOW, "denial_reason", "why it was denied, masked"),
    ColumnSpec("resource_type", _LOW, "resource_type", "kind of object"),
    ColumnSpec("resource_id", "String", "resource_id", "clear only for types the directory declares ids=object"),
    ColumnSpec("subject_region", _LOW, "subject_region", "region of the subjects"),
    ColumnSpec("dst_country", _LOW, "dst_country", "country the data went to"),
    ColumnSpec("purpose", _LOW, "purpose", "purpose code"),
    ColumnSpec("query_fingerprint", "String", "query_fingerprint", "fingerprint of the query"),
    ColumnSpec("trace_id", "String", "trace_id", "trace"),
    ColumnSpec("justification", "String", "justification", "free text, masked"),
    # lists
    ColumnSpec(
        "subject_tokens",
        f"Array({_TOKEN})",
        "subject_ids",
        "data subjects, keyed pseudonyms",
        codec=REPEATED_CODEC,
        wide_blocks=True,
    ),
    ColumnSpec("data_categories", f"Array({_LOW})", "data_categories", "categories: the event's, else the directory's"),
    ColumnSpec("fields_accessed", f"Array({_LOW})", "fields_accessed", "fields shown"),
    ColumnSpec("fields_unmasked", f"Array({_LOW})", "fields_unmasked", "fields shown in clear"),
    ColumnSpec("subject_flags", f"Array({_LOW})", "subject_flags", "flags of the subjects (event and directory)"),
    ColumnSpec(
        "reasons",
        f"Array({_LOW})",
        "assess",
        "why the risk is what it is, largest first; behind exception:ID the rules that it kept from alerting",
    ),
    ColumnSpec("attrs", f"Map({_LOW}, String)", "attrs", "allow-listed attributes only"),
    # not evidence: how the row came to be stored
    ColumnSpec(
        "batch_id", "UInt64", "row", "names the batch: it is in the ledger once the batch is sealed", evidence=False
    ),
    ColumnSpec("batch_first_offset", "UInt64", "row", "first offset of the batch", evidence=False, codec=COUNT_CODEC),
    ColumnSpec("batch_last_offset", "UInt64", "row", "last offset of the batch", evidence=False, codec=COUNT_CODEC),
    ColumnSpec("retention_class", _LOW, "row", "how long the row must be kept", evidence=False),
)

DEAD_LETTER_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("leaf_kind", events.enum8(events.LEAF_KINDS), "position", "dead_letter or gap"),
    ColumnSpec("canon_version", "UInt8", "position", "version of this list of evidence columns"),
    ColumnSpec("partition", "UInt32", "position", "Kafka partition"),
    ColumnSpec("offset", "UInt64", "position", "Kafka offset; of a gap: the first missing one"),
    ColumnSpec("last_offset", "UInt64", "position", "of a gap: the last missing one; else the offset itself"),
    ColumnSpec("received_at", _TIME, "position", "the broker's timestamp; of a gap: of the record after it"),
    ColumnSpec("payload_bytes", "UInt64", "position", "size of the record's value"),
    ColumnSpec("payload_digest", _HASH, "protect", "keyed digest of the record (key and value)"),
    ColumnSpec("versions_id", _HASH, "assess", "version set in force"),
    ColumnSpec("topic", _LOW, "position", "Kafka topic"),
    ColumnSpec("incarnation", _LOW, "position", "life of the topic (its id)"),
    ColumnSpec("reason", _LOW, "decode", "reason code"),
    ColumnSpec("payload", "String", "protect", "key and value, encrypted (AES-256-GCM)", evidence=False),
    ColumnSpec(
        "batch_id", "UInt64", "row", "names the batch: it is in the ledger once the batch is sealed", evidence=False
    ),
    ColumnSpec("batch_first_offset", "UInt64", "row", "first offset of the batch", evidence=False),
    ColumnSpec("batch_last_offset", "UInt64", "row", "last offset of the batch", evidence=False),
    ColumnSpec("retention_class", _LOW, "row", "how long the row must be kept", evidence=False),
)

ALERT_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("alert_id", "UUID", "decide", "a function of incarnation, partition, offset and detector"),
    ColumnSpec("partition", "UInt32", "position", "Kafka partition of the event"),
    ColumnSpec("offset", "UInt64", "position", "Kafka offset of the event"),
    ColumnSpec("received_at", _TIME, "position", "the broker's timestamp of the event"),
    ColumnSpec("event_time", _TIME, "position", "when the access happened"),
    ColumnSpec("event_id", "UUID", "position", "the event that raised the alert"),
    ColumnSpec("actor_token", _TOKEN, "position", "who acted"),
    ColumnSpec("risk", "UInt16", "decide", "risk in hundredths, 0–10000"),
    ColumnSpec("severity", events.enum8(events.SEVERITIES), "decide", "from risk, sensitivity and explanation"),
    ColumnSpec("versions_id", _HASH, "decide", "version set the event was judged under"),
    ColumnSpec("tenant_id", _LOW, "position", "tenant"),
    ColumnSpec("topic", _LOW, "position", "Kafka topic"),
    ColumnSpec("incarnation", _LOW, "position", "life of the topic"),
    ColumnSpec("detector", _LOW, "decide", "what raised it; system:… are the system's own alarms"),
    ColumnSpec("explanation_en", "String", "decide", "the explanation in English"),
    ColumnSpec("explanation_zh", "String", "decide", "the explanation in Chinese"),
    ColumnSpec("reasons", f"Array({_LOW})", "decide", "reason codes, largest first"),
    ColumnSpec("seen", f"Map({_LOW}, Float64)", "decide", "the numbers behind the explanation"),
    ColumnSpec("batch_id", "UInt64", "row", "the batch that seals it; 0 for alerts without an event", evidence=False),
    ColumnSpec("batch_first_offset", "UInt64", "row", "first offset of the batch", evidence=False),
    ColumnSpec("batch_last_offset", "UInt64", "row", "last offset of the batch", evidence=False),
    ColumnSpec("retention_class", _LOW, "row", "how long the row must be kept", evidence=False),
)

FEATURE_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("partition", "UInt32", "position", "Kafka partition of the event", evidence=False),
    ColumnSpec("offset", "UInt64", "position", "Kafka offset of the event", evidence=False),
    ColumnSpec("received_at", _TIME, "position", "the broker's timestamp of the event", evidence=False),
    ColumnSpec("event_time", _TIME, "position", "when the access happened", evidence=False),
    ColumnSpec("actor_token", _TOKEN, "position", "who acted", evidence=False),
    ColumnSpec("risk", "UInt16", "assess", "risk in hundredths, 0–10000", evidence=False),
    ColumnSpec("level", "UInt16", "assess", "the model's, hundredths of risk without an upper end", evidence=False),
    ColumnSpec("floor", "UInt16", "assess", "the highest floor of the rules that hold, hundredths", evidence=False),
    ColumnSpec("shadow_level", "UInt16", "sample", "the shadow model's level", evidence=False),
    ColumnSpec("shadow_floor", "UInt16", "sample", "the rules' floor by the shadow model's history", evidence=False),
    ColumnSpec("by_chance", "UInt8", "sample", "1: one of the 1 in 256 events kept by chance", evidence=False),
    ColumnSpec("versions_id", _HASH, "assess", "version set the event was judged under", evidence=False),
    ColumnSpec("tenant_id", _LOW, "position", "tenant", evidence=False),
    ColumnSpec("topic", _LOW, "position", "Kafka topic", evidence=False),
    ColumnSpec("incarnation", _LOW, "position", "life of the topic", evidence=False),
    ColumnSpec("peer_group", _LOW, "assess", "whom the actor is compared with", evidence=False),
    ColumnSpec("feature_version", _LOW, "assess", "version of the features' list and order", evidence=False),
    ColumnSpec("shadow_model", _LOW, "sample", "id of the shadow model; empty where there is none", evidence=False),
    ColumnSpec("reasons", f"Array({_LOW})", "assess", "reason codes, largest first", evidence=False),
    ColumnSpec("shadow_reasons", f"Array({_LOW})", "sample", "the shadow model's, largest first", evidence=False),
    ColumnSpec("features", "Array(Float32)", "assess", "the features in their registry's order", evidence=False),
    ColumnSpec("batch_id", "UInt64", "row", "the batch that seals the event", evidence=False),
    ColumnSpec("batch_first_offset", "UInt64", "row", "first offset of the batch", evidence=False),
    ColumnSpec("batch_last_offset", "UInt64", "row", "last offset of the batch", evidence=False),
    ColumnSpec("retention_class", _LOW, "row", "how long the row must be kept", evidence=False),
)
"""Of events from the watch level on, and of a sample: what drift, budget and a shadow model are told from."""

LEDGER_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("canon_version", "UInt8", "row", "version of the evidence columns"),
    ColumnSpec("partition", "UInt32", "position", "Kafka partition"),
    ColumnSpec("epoch", "UInt32", "row", "0; a restored store whose history is shorter than an anchor opens the next"),
    ColumnSpec("first_offset", "UInt64", "position", "first offset of the batch"),
    ColumnSpec("last_offset", "UInt64", "position", "last offset of the batch"),
    ColumnSpec("tree_size_before", "UInt64", "row", "leaves before the batch"),
    ColumnSpec("tree_size", "UInt64", "row", "leaves after the batch"),
    ColumnSpec("n_events", "UInt64", "row", "events in the batch"),
    ColumnSpec("n_dead_letters", "UInt64", "row", "dead letters in the batch"),
    ColumnSpec("n_gaps", "UInt64", "row", "gaps in the batch"),
    ColumnSpec("n_subjects", "UInt64", "row", "subject ids listed by the batch's events"),
    ColumnSpec("n_alerts", "UInt64", "row", "alerts the batch raised"),
    ColumnSpec("n_unscored", "UInt64", "row", "events stored without a score although one was due"),
    ColumnSpec(
        "batch_id", "UInt64", "row", "names the batch: first eight bytes of SHA-256(0x03 ‖ first_offset ‖ root)"
    ),
    ColumnSpec("first_received_at", _TIME, "position", "smallest broker timestamp of the batch"),
    ColumnSpec("last_received_at", _TIME, "position", "largest broker timestamp of the batch"),
    ColumnSpec("root", _HASH, "row", "RFC 6962 root of the partition's tree after the batch"),
    ColumnSpec("previous_hash", _HASH, "row", "entry_hash of the entry before"),
    ColumnSpec("versions_id", _HASH, "row", "version set of the batch"),
    ColumnSpec("topic", _LOW, "position", "Kafka topic"),
    ColumnSpec("incarnation", _LOW, "position", "life of the topic"),
    ColumnSpec("frontier", f"Array({_HASH})", "row", "roots of the tree's complete subtrees, largest first"),
    ColumnSpec("entry_hash", _HASH, "row", "SHA-256(0x02 ‖ RowBinary of the columns above)", evidence=False),
    ColumnSpec("writer", _LOW, "row", "the process that sealed it", evidence=False),
)

PROFILE_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("partition", "UInt32", "position", "Kafka partition"),
    ColumnSpec("sealed_offset", "UInt64", "position", "the profile includes everything up to here"),
    ColumnSpec("topic", _LOW, "position", "Kafka topic"),
    ColumnSpec("incarnation", _LOW, "position", "life of the topic"),
    ColumnSpec("feature_version", _LOW, "assess", "version of the features the state belongs to"),
    ColumnSpec("actor_key", "String", "assess", "tenant, a zero byte, actor token; empty marks the whole snapshot"),
    ColumnSpec("state", "String", "assess", "the actor's state, zstd-compressed"),
)

ARTEFACT_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("artefact_id", _HASH, "assess", "SHA-256 of the content"),
    ColumnSpec("kind", _LOW, "assess", "what it is"),
    ColumnSpec("content", "String", "assess", "the immutable bytes"),
)

ACTIVATION_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("topic", _LOW, "versions", "the topic whose batches are judged under the set", evidence=False),
    ColumnSpec(
        "number",
        "UInt64",
        "versions",
        "activations of the topic are numbered from 1; the largest is in force",
        evidence=False,
    ),
    ColumnSpec("versions_id", _HASH, "versions", "the version set put in force", evidence=False),
    ColumnSpec("previous_id", _HASH, "versions", "the one before; zero for the first", evidence=False),
    ColumnSpec("files_id", _HASH, "versions", "what the configured files gave at that time", evidence=False),
    ColumnSpec(
        "kind",
        _LOW,
        "versions",
        "first, files, use, rollback, threshold, exception, promote, model_rollback, shadow, budget",
        evidence=False,
    ),
    ColumnSpec("reason", "String", "versions", "the person's reason, masked; else what happened", evidence=False),
    ColumnSpec(
        "by_token", _TOKEN, "versions", "who asked for it, keyed pseudonym; zero: accesstrail itself", evidence=False
    ),
    ColumnSpec(
        "threshold", "UInt16", "versions", "level from which alerts fire, hundredths; 65535: never", evidence=False
    ),
    ColumnSpec("activated_at", _TIME, "versions", "when", evidence=False),
    ColumnSpec("event_id", "UUID", "versions", "the access event that tells of the change", evidence=False),
    ColumnSpec(
        "parts", f"Map({_LOW}, String)", "versions", "the set's parts: artefact ids and version words", evidence=False
    ),
    ColumnSpec("event", "String", "versions", "that access event, encrypted until it is produced", evidence=False),
)

ANNOUNCEMENT_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("topic", _LOW, "versions", "the topic", evidence=False),
    ColumnSpec(
        "number", "UInt64", "versions", "the activation whose access event Kafka has acknowledged", evidence=False
    ),
)

WORK_ITEM_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("case_token", _TOKEN, "directory", "the work item, keyed pseudonym", evidence=False),
    ColumnSpec("actor_token", _TOKEN, "directory", "whose work it is", evidence=False),
    ColumnSpec("subject_token", _TOKEN, "directory", "whom it is about; zero for bulk jobs", evidence=False),
    ColumnSpec("opened_at", _TIME, "directory", "when it was opened", evidence=False),
    ColumnSpec("closed_at", _TIME, "directory", "when it was closed; 2100-01-01 while open", evidence=False),
    ColumnSpec("tenant_id", _LOW, "directory", "tenant", evidence=False),
    ColumnSpec("kind", _LOW, "directory", "kind of work", evidence=False),
)

EXPLANATION_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("partition", "UInt32", "position", "Kafka partition of the access", evidence=False),
    ColumnSpec("offset", "UInt64", "position", "Kafka offset of the access", evidence=False),
    ColumnSpec("event_id", "UUID", "position", "the access", evidence=False),
    ColumnSpec("event_time", _TIME, "position", "when the access happened", evidence=False),
    ColumnSpec("actor_token", _TOKEN, "position", "who acted", evidence=False),
    ColumnSpec("tenant_id", _LOW, "position", "tenant", evidence=False),
    ColumnSpec("topic", _LOW, "position", "Kafka topic", evidence=False),
    ColumnSpec("incarnation", _LOW, "position", "life of the topic", evidence=False),
    ColumnSpec(
        "stream_verdict", _LOW, "schedule", "what the stream said: claimed or not_yet_explained", evidence=False
    ),
    ColumnSpec("verdict", _LOW, "schedule", "a day later: explained, claimed or unexplained", evidence=False),
    ColumnSpec("versions_id", _HASH, "schedule", "version set whose work items were asked", evidence=False),
)

RUN_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("slot", "Int32", "schedule", "the hour or day, counted since 1970", evidence=False),
    ColumnSpec("window_start", _TIME, "schedule", "begin of the window", evidence=False),
    ColumnSpec("window_end", _TIME, "schedule", "end of the window, not in it", evidence=False),
    ColumnSpec("watermark", _TIME, "schedule", "everything received before is in the store", evidence=False),
    ColumnSpec("started_at", _TIME, "schedule", "when the run began", evidence=False),
    ColumnSpec("attempt", "UInt32", "schedule", "how often this window was tried", evidence=False),
    ColumnSpec("findings", "UInt32", "schedule", "how many findings it had", evidence=False),
    ColumnSpec("alerts", "UInt32", "schedule", "how many of them raised or changed an alert", evidence=False),
    ColumnSpec("duration_ms", "UInt32", "schedule", "how long it took", evidence=False),
    ColumnSpec(
        "held_back",
        f"Map({_LOW}, UInt32)",
        "schedule",
        "how many findings each exception kept from alerting, by its id; `noise`: drowned by their own week",
        evidence=False,
    ),
    ColumnSpec("versions_id", _HASH, "schedule", "version set whose directory was used", evidence=False),
    ColumnSpec("topic", _LOW, "schedule", "the topic whose events are judged", evidence=False),
    ColumnSpec("detector", _LOW, "schedule", "the scheduled detector", evidence=False),
    ColumnSpec("version", _LOW, "schedule", "version of the scheduled detectors", evidence=False),
    ColumnSpec("stage", _LOW, "schedule", "provisional or final", evidence=False),
    ColumnSpec("result", _LOW, "schedule", "done, failed, or begun: from here on windows are run", evidence=False),
    ColumnSpec("error", _LOW, "schedule", "code of what went wrong, empty where nothing did", evidence=False),
    ColumnSpec("runner", _LOW, "schedule", "the process that ran it", evidence=False),
)

NIGHT_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("day", "Int32", "schedule", "the local day, counted since 1970-01-01", evidence=False),
    ColumnSpec("watermark", _TIME, "schedule", "everything received before is in the store", evidence=False),
    ColumnSpec("versions_id", _HASH, "schedule", "version set in force before", evidence=False),
    ColumnSpec("threshold_before", "UInt16", "schedule", "level from which alerts fired, hundredths", evidence=False),
    ColumnSpec("threshold", "UInt16", "schedule", "level from which alerts fire from now on", evidence=False),
    ColumnSpec("topic", _LOW, "schedule", "the topic whose events are judged", evidence=False),
    ColumnSpec("runner", _LOW, "schedule", "the process that wrote it", evidence=False),
    ColumnSpec("report", "String", "schedule", "the report as JSON: budget, drift, shadow model", evidence=False),
)

LEASE_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("number", "UInt64", "schedule", "leases are numbered from 1; the largest counts", evidence=False),
    ColumnSpec("topic", _LOW, "schedule", "the topic whose events are judged", evidence=False),
    ColumnSpec("runner", _LOW, "schedule", "the process that holds it", evidence=False),
)

# wire field -> (treatment, kind of token where the treatment is token or hash)
WIRE_TREATMENTS: dict[str, tuple[Treatment, str]] = {
    "schema_version": ("drop", ""),
    "event_id": ("clear", ""),
    "event_time": ("clear", ""),
    "tenant_id": ("clear", ""),
    "source_system": ("clear", ""),
    "source_instance": ("clear", ""),
    "source_seq": ("clear", ""),
    "channel": ("clear", ""),
    "action": ("clear", ""),
    "outcome": ("clear", ""),
    "http_status": ("clear", ""),
    "denial_reason": ("mask", ""),
    "actor_id": ("token", "actor"),
    "actor_type": ("clear", ""),
    "actor_org": ("clear", ""),
    "actor_dept": ("clear", ""),
    "actor_role": ("clear", ""),
    "on_behalf_of": ("token", "actor"),
    "credential_id": ("token", "credential"),
    "session_id": ("token", "session"),
    "mfa": ("clear", ""),
    "device_id": ("token", "device"),
    "user_agent": ("hash", "user_agent"),
    "src_ip": ("clear", ""),
    "src_country": ("clear", ""),
    "src_city": ("clear", ""),
    "app_id": ("clear", ""),
    "endpoint": ("mask", ""),
    "resource_type": ("clear", ""),
    "resource_id": ("token", "resource"),
    "data_categories": ("clear", ""),
    "sensitivity": ("clear", ""),
    "fields_accessed": ("clear", ""),
    "fields_unmasked": ("clear", ""),
    "records_returned": ("clear", ""),
    "records_matched": ("clear", ""),
    "bytes_out": ("clear", ""),
    "subject_ids": ("token", "subject"),
    "subject_count": ("clear", ""),
    "subject_manifest": ("token", "manifest"),
    "subject_region": ("clear", ""),
    "subject_flags": ("clear", ""),
    "recipient_id": ("token", "recipient"),
    "recipient_type": ("clear", ""),
    "dst_country": ("clear", ""),
    "purpose": ("clear", ""),
    "legal_basis": ("clear", ""),
    "case_ref": ("token", "case"),
    "approval_ref": ("token", "case"),
    "justification": ("mask", ""),
    "break_glass": ("clear", ""),
    "query_fingerprint": ("mask", ""),
    "trace_id": ("mask", ""),
    "attrs": ("drop", ""),
}
"""`attrs` is dropped but for keys the configuration allow-lists; their values are masked."""


def evidence(columns: tuple[ColumnSpec, ...]) -> tuple[ColumnSpec, ...]:
    """The columns a leaf commits to, in canonical order."""
    return tuple(column for column in columns if column.evidence)
