"""The types that travel: the wire's access event and the records, batches and findings around it.

Wire format: `accesstrail/access-event/1` (one JSON object a Kafka record, key = actor_id). Enumerated words have one
small integer each (`code_of`), the same in ClickHouse's Enum8 columns, in the detectors' arrays and in the evidence;
0 always means "absent". Times are UTC microseconds since 1970 unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from pipeline.timestamps import utc_us

Channel = Literal["ui", "api", "sql", "file", "batch", "report", "agent"]
Action = Literal[
    "read", "search", "list", "create", "update", "delete", "export", "download", "share", "print",
    "unmask", "decrypt", "import", "login", "grant", "policy_change", "audit_query", "audit_export", "log_control",
]  # fmt: skip
Outcome = Literal["success", "denied", "error"]
ActorType = Literal["employee", "contractor", "partner", "service", "customer", "admin", "ai_agent"]
SubjectFlag = Literal["vip", "employee", "minor", "deceased", "complaint", "legal_hold"]
RecipientType = Literal["internal", "partner", "external", "public", "regulator", "subject"]
LegalBasis = Literal["consent", "contract", "legal_duty", "public_emergency", "news", "published", "other"]

CHANNELS: tuple[str, ...] = get_args(Channel)
ACTIONS: tuple[str, ...] = get_args(Action)
OUTCOMES: tuple[str, ...] = get_args(Outcome)
ACTOR_TYPES: tuple[str, ...] = get_args(ActorType)
SUBJECT_FLAGS: tuple[str, ...] = get_args(SubjectFlag)
RECIPIENT_TYPES: tuple[str, ...] = get_args(RecipientType)
LEGAL_BASES: tuple[str, ...] = get_args(LegalBasis)
FLAG_WORDS = ("no", "yes")

# What enrichment adds
NETWORK_KINDS = ("office", "vpn", "home", "cloud", "partner", "unlisted")
DAY_KINDS = ("workday", "offday", "make_up_workday", "holiday")
EXPLAINED = ("explained", "claimed", "not_yet_explained")
ACTOR_STATUSES = ("active", "on_leave", "left", "unlisted")
AGENT_KINDS = ("browser", "office_app", "mobile_app", "database_client", "script", "service", "other")
PURPOSE_FITS = ("fits", "other_department", "other_resource", "unregistered")
CONTRACT_FITS = ("within", "other_resource", "other_purpose", "out_of_period", "no_contract")

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

    def part(self, first: int, last: int) -> RecordBatch:
        """The records from index `first` to before `last`."""
        here = slice(first, last)
        return RecordBatch(
            self.position, self.offsets[here], self.received_at_us[here], self.keys[here], self.values[here]
        )


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that is no valid access event: `index` in its batch and the reason code."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One finding about one event, explained; the deterministic `alert_id` makes a replay repeat, never add.

    `risk` in hundredths (0–10000). `actor`: the account's canonical token, so that a rotation of the key parts no
    incident in two.
    `seen` holds the numbers behind the explanation (feature, or feature:what, → value), never identifiers.
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
    actor: bytes = b""


if TYPE_CHECKING:
    from typing import Optional as Omittable
else:

    class Omittable:
        """A wire field that may be absent (then `None`) but never null: the decoder sees only the type inside."""

        def __class_getitem__(cls, wire_type: Any) -> Any:  # noqa: ANN401  any type goes through unchanged
            return wire_type


DEFAULT_TENANT = "default"

EventId = Annotated[str, msgspec.Meta(max_length=64)]
EventTime = Annotated[str, msgspec.Meta(max_length=64)]
Address = Annotated[str, msgspec.Meta(max_length=45)]
Country = Annotated[str, msgspec.Meta(max_length=2, pattern="^[A-Z]{2}$")]
Text64 = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Text128 = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Text256 = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Text512 = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Text2000 = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
HttpStatus = Annotated[int, msgspec.Meta(ge=100, le=599)]
Sensitivity = Annotated[int, msgspec.Meta(ge=1, le=4)]


class AccessEvent(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False, kw_only=True):
    """One access to personal data, field by field as on the wire (accesstrail/access-event/1); `None` where absent.

    Lengths are in characters. `event_time` is the source's own text; `event_time_us` is the same moment in UTC.
    Made by `pipeline.stages.decode`, which also checks what types cannot say: `event_id` is a UUID in canonical lower
    case, `src_ip` an address, `event_time` RFC 3339 within range. `gc=False` is safe: no field can form a cycle.
    """

    schema_version: Literal[1]
    event_id: EventId
    event_time: EventTime
    tenant_id: Text64 = DEFAULT_TENANT
    source_system: Text128
    source_instance: Omittable[Text128] = None
    source_seq: Omittable[Count] = None
    channel: Channel
    action: Action
    outcome: Outcome
    http_status: Omittable[HttpStatus] = None
    denial_reason: Omittable[Text128] = None
    actor_id: Text256
    actor_type: ActorType
    actor_org: Omittable[Text128] = None
    actor_dept: Omittable[Text128] = None
    actor_role: Omittable[Text128] = None
    on_behalf_of: Omittable[Text256] = None
    credential_id: Omittable[Text256] = None
    session_id: Omittable[Text256] = None
    mfa: Omittable[bool] = None
    device_id: Omittable[Text256] = None
    user_agent: Omittable[Text512] = None
    src_ip: Omittable[Address] = None
    src_country: Omittable[Country] = None
    src_city: Omittable[Text128] = None
    app_id: Omittable[Text128] = None
    endpoint: Omittable[Text256] = None
    resource_type: Text128
    resource_id: Text512
    data_categories: Omittable[Annotated[list[Text64], msgspec.Meta(max_length=32)]] = None
    sensitivity: Omittable[Sensitivity] = None
    fields_accessed: Omittable[Annotated[list[Text128], msgspec.Meta(max_length=256)]] = None
    fields_unmasked: Omittable[Annotated[list[Text128], msgspec.Meta(max_length=256)]] = None
    records_returned: Omittable[Count] = None
    records_matched: Omittable[Count] = None
    bytes_out: Omittable[Count] = None
    subject_ids: Omittable[Annotated[list[Text256], msgspec.Meta(max_length=10000)]] = None
    subject_count: Omittable[Count] = None
    subject_manifest: Omittable[Text512] = None
    subject_region: Omittable[Text64] = None
    subject_flags: Omittable[Annotated[list[SubjectFlag], msgspec.Meta(max_length=8)]] = None
    recipient_id: Omittable[Text256] = None
    recipient_type: Omittable[RecipientType] = None
    dst_country: Omittable[Country] = None
    purpose: Omittable[Text64] = None
    legal_basis: Omittable[LegalBasis] = None
    case_ref: Omittable[Text128] = None
    approval_ref: Omittable[Text128] = None
    justification: Omittable[Text2000] = None
    break_glass: Omittable[bool] = None
    query_fingerprint: Omittable[Text64] = None
    trace_id: Omittable[Text64] = None
    attrs: Omittable[Annotated[dict[str, Text512], msgspec.Meta(max_length=32)]] = None

    @property
    def event_time_us(self) -> int:
        """`event_time` as UTC microseconds since 1970; for many events `Decoded.event_time_us` has them all at once.

        Raises: ValueError: the text is no RFC 3339 time (never for an event that was decoded).
        """
        return utc_us(self.event_time)


def fields_of(events: Sequence[AccessEvent]) -> dict[str, tuple[Any, ...]]:
    """Each wire field of all events: name → one value an event, `None` where absent.

    Why: turning rows into columns once costs half as much as asking every event for every field.
    """
    columns = zip(*map(msgspec.structs.astuple, events), strict=True) if events else ((),) * len(EVENT_FIELDS)
    return dict(zip(EVENT_FIELDS, columns, strict=True))


EVENT_FIELDS = AccessEvent.__struct_fields__
