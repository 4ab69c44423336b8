"""The types that travel: the wire's access event and the records, batches and findings around it.

Wire format: `accesstrail/access-event/1` (one JSON object a Kafka record, key = actor_id). Enumerated words have one
small integer each (`code_of`), the same in ClickHouse's Enum8 columns, in the detectors' arrays and in the evidence;
0 always means "absent". Times are UTC microseconds since 1970 unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

CHANNELS = ("ui", "api", "sql", "file", "batch", "report", "agent")
ACTIONS = (
    "read", "search", "list", "create", "update", "delete", "export", "download", "share", "print",
    "unmask", "decrypt", "import", "login", "grant", "policy_change", "audit_query", "audit_export", "log_control",
)  # fmt: skip
OUTCOMES = ("success", "denied", "error")
ACTOR_TYPES = ("employee", "contractor", "partner", "service", "customer", "admin", "ai_agent")
SUBJECT_FLAGS = ("vip", "employee", "minor", "deceased", "complaint", "legal_hold")
RECIPIENT_TYPES = ("internal", "partner", "external", "public", "regulator", "subject")
LEGAL_BASES = ("consent", "contract", "legal_duty", "public_emergency", "news", "published", "other")
FLAG_WORDS = ("no", "yes")

# What enrichment adds
NETWORK_KINDS = ("office", "vpn", "home", "cloud", "partner", "unlisted")
DAY_KINDS = ("workday", "offday", "make_up_workday", "holiday")
EXPLAINED = ("explained", "claimed", "not_yet_explained")
ACTOR_STATUSES = ("active", "on_leave", "left", "unlisted")

# What assessment adds
SCORE_STATUSES = ("scored", "unscored", "duplicate", "not_scored")
SEVERITIES = ("low", "medium", "high", "critical")
LEAF_KINDS = ("event", "dead_letter", "gap")


def codes(words: tuple[str, ...]) -> Mapping[str, int]:
    """The integer of each word: its place in the tuple, from 1; 0 is "absent"."""
    return {word: index for index, word in enumerate(words, start=1)}


def enum8(words: tuple[str, ...]) -> str:
    """ClickHouse's type of a word column: `Enum8('' = 0, …)`."""
    return "Enum8('' = 0, " + ", ".join(f"'{word}' = {code}" for word, code in codes(words).items()) + ")"


@dataclass(frozen=True, slots=True)
class LogPosition:
    """One partition of one life of a topic; `incarnation` changes when the topic is made anew."""

    topic: str
    incarnation: str
    partition: int


@dataclass(slots=True)
class RecordBatch:
    """A run of Kafka records of one partition, in offset order, undecoded.

    `offsets` int64 (n,), strictly increasing; `received_at_us` int64 (n,), the record's (broker's) timestamp.
    """

    position: LogPosition
    offsets: npt.NDArray[np.int64]
    received_at_us: npt.NDArray[np.int64]
    keys: list[bytes | None]
    values: list[bytes | None]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that is no valid access event: `index` in its batch and the reason code."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One finding about one event, explained; the deterministic `alert_id` makes a replay repeat, never add.

    `risk` in hundredths (0–10000). `actor` and `event_id` are the stored forms (token, UUID bytes).
    `seen` holds the numbers behind the explanation (feature name → value), never identifiers.
    """

    alert_id: str
    tenant_id: str
    row: int
    detector: str
    risk: int
    severity: str
    reasons: tuple[str, ...]
    explanation_en: str
    explanation_zh: str
    seen: Mapping[str, float] = field(default_factory=dict)
