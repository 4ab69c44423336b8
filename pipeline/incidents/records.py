"""One record of `access.incidents`: bytes to an alert, a command, or a code that says why it is neither.

Place in the flow: first step of incident handling, below `fold.apply`. Total: any key and value give one of the three;
a record that cannot be read becomes one row of the incident log like every other and never stops the log. Values are
JSON (RFC 8259), identifiers UUIDs (RFC 9562), times UTC microseconds. Commands are written in canonical form (sorted
keys, no spaces, UTF-8), so that equal commands are equal bytes. Alerts may carry fields that this version does not
know; a command may not, because what it does not know it would leave undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from struct import Struct as StructFormat
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

MAX_VALUE_BYTES = 256 * 1024
MAX_KEY_CHARACTERS = 512
SYSTEM = "system:"
"""Begins the `by` of whatever is no person."""
MOST_SUMMED = 64
"""Detectors that an absorbed incident tells its parent of: those of the highest risk."""
WITHDRAWN = "withdrawn"
"""Stage of a scheduled finding that later events took back."""
WITHDRAWN_REASON = f"scheduled:{WITHDRAWN}"
"""What stands among its reasons then."""

UNREADABLE = {
    "no_value": "the record has no value",
    "too_large": "the value is larger than 256 KiB",
    "bad_key": "the Kafka key is no UTF-8 text of 1 to 512 characters",
    "bad_json": "the value is not one JSON object of valid UTF-8",
    "unknown_type": "type is neither alert nor command",
    "unknown_command": "there is no command of this name",
    "missing_field": "a required field is absent",
    "unknown_field": "a command has a field that it does not take",
    "bad_value": "a field has another type, or is longer or larger, than it may be",
    "key_mismatch": "incident_key is not the record's Kafka key",
    "tenant_mismatch": "the key does not begin with the tenant",
}
"""Why a record is neither alert nor command."""

_NUMBER, _BITS = StructFormat("<d"), StructFormat("<q")

Key: TypeAlias = Annotated[str, Meta(min_length=3, max_length=MAX_KEY_CHARACTERS)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Id: TypeAlias = Annotated[str, Meta(min_length=36, max_length=36)]
OptionalId: TypeAlias = Annotated[str, Meta(max_length=36)]
Why: TypeAlias = Annotated[str, Meta(min_length=1, max_length=2000)]
Note: TypeAlias = Annotated[str, Meta(max_length=2000)]
TimeUs: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Hundredths: TypeAlias = Annotated[int, Meta(ge=0, le=10_000)]
Token: TypeAlias = Annotated[str, Meta(max_length=64)]
DetailName: TypeAlias = Annotated[str, Meta(max_length=64)]
_DetailText: TypeAlias = Annotated[str, Meta(max_length=256)]
DetailValue: TypeAlias = bool | int | _DetailText | Annotated[tuple[_DetailText, ...], Meta(max_length=32)]
Severity: TypeAlias = Literal["low", "medium", "high", "critical"]
Verdict: TypeAlias = Literal["true_positive", "benign", "false_positive", "test"]


def seen_digest(seen: Mapping[str, float]) -> str:
    """SHA-256 in hex over the numbers that an alert shows: `length:name=number` in order, a zero byte between two.

    The length is the name's in UTF-8 bytes, the number the integer that its IEEE 754 bits (binary64) are, so that two
    implementations agree to the last bit; `pipeline/migrations/rederive.py` has the same as SQL.
    """
    told = (f"{len(name.encode())}:{name}={_BITS.unpack(_NUMBER.pack(seen[name]))[0]}" for name in sorted(seen))
    return sha256("\0".join(told).encode()).hexdigest()


class Explanation(Struct, frozen=True):
    """What an alert says, in both languages."""

    en: str
    zh: str


class AlertRecord(Struct, frozen=True, kw_only=True):
    """One alert as published (`adapters/incidents.py`). `risk` 0–100; topic to offset: where its event stands.

    `seen_digest`: of the numbers behind its words, as `seen_digest`; "" where the sender said none.
    """

    type: Literal["alert"] = "alert"
    alert_id: UUID
    tenant_id: Name
    incident_key: Key
    topic: Name
    incarnation: Name
    partition: Count
    offset: Count
    event_time_us: Annotated[int, Meta(ge=-(2**62), le=2**62)]
    actor_token: Token
    detector: Name
    risk: Annotated[float, Meta(ge=0, le=100)]
    severity: Severity
    reasons: tuple[str, ...]
    explanation: Explanation
    window_start_us: int | None = None
    window_end_us: int | None = None
    stage: Annotated[str, Meta(max_length=32)] = ""
    seen_digest: Annotated[str, Meta(max_length=64)] = ""

    @property
    def risk_hundredths(self) -> int:
        """Risk in hundredths, 0–10,000."""
        return round(self.risk * 100)

    @property
    def digest(self) -> str:
        """SHA-256 in hex over what the alerts table holds of it: the log of incidents binds the alert by it.

        Actor token in hex, detector, risk in hundredths, severity, reasons joined by commas, both explanations, with a
        zero byte between two of them; `pipeline/migrations/rederive.py` has the same as SQL.
        """
        parts = (
            self.actor_token, self.detector, str(self.risk_hundredths), self.severity, ",".join(self.reasons),
            self.explanation.en, self.explanation.zh,
        )  # fmt: skip
        return sha256("\0".join(parts).encode()).hexdigest()

    @property
    def is_withdrawn(self) -> bool:
        """Whether later events took it back."""
        return self.stage == WITHDRAWN or WITHDRAWN_REASON in self.reasons


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command"):
    """What every command says. `incident_id` "": whichever is open; `by`: account name or `system:…`.

    `at_us` is what the sender's clock showed, for people to read; states take their times from the log.
    """

    name: ClassVar[str] = ""
    type: Literal["command"] = "command"
    command_id: UUID
    tenant_id: Name
    incident_key: Key
    incident_id: OptionalId = ""
    by: Name
    at_us: TimeUs
    why: Note = ""

    @property
    def is_by_person(self) -> bool:
        """Whether an account gave it."""
        return not self.by.startswith(SYSTEM)


class Acknowledge(Command, frozen=True, kw_only=True, tag="acknowledge"):
    """Somebody looks after it: escalation stops."""

    name: ClassVar[str] = "acknowledge"


class Assign(Command, frozen=True, kw_only=True, tag="assign"):
    """It is given to an account."""

    name: ClassVar[str] = "assign"
    assignee: Name


class Comment(Command, frozen=True, kw_only=True, tag="comment"):
    """A remark; with `severity` a person grades the incident anew and says why."""

    name: ClassVar[str] = "comment"
    why: Why
    severity: Severity | None = None


class Contain(Command, frozen=True, kw_only=True, tag="contain"):
    """An account shall be stopped until `expires_us`; `account_token` "": the incident's own."""

    name: ClassVar[str] = "contain"
    why: Why
    expires_us: TimeUs
    account_token: Token = ""


class ContainResult(Command, frozen=True, kw_only=True, tag="contain_result"):
    """What the containment webhook answered to the command `contain_id`."""

    name: ClassVar[str] = "contain_result"
    contain_id: UUID
    succeeded: bool
    code: Annotated[str, Meta(max_length=64)] = ""


class Resolve(Command, frozen=True, kw_only=True, tag="resolve"):
    """It is closed with a verdict."""

    name: ClassVar[str] = "resolve"
    verdict: Verdict


class Reopen(Command, frozen=True, kw_only=True, tag="reopen"):
    """It was closed too early; of a merged incident: it stands alone again."""

    name: ClassVar[str] = "reopen"
    why: Why


class Link(Command, frozen=True, kw_only=True, tag="link"):
    """It belongs with another incident; `relation`: `campaign` where one of the two is the campaign."""

    name: ClassVar[str] = "link"
    other_key: Key
    other_incident_id: Id
    relation: Literal["related", "campaign"] = "related"


class Unlink(Command, frozen=True, kw_only=True, tag="unlink"):
    """It does not belong with the other one, neither linked nor absorbed."""

    name: ClassVar[str] = "unlink"
    other_key: Key
    other_incident_id: Id


class ChildSummary(Struct, frozen=True, kw_only=True):
    """What an absorbed incident adds to its parent: highest risk by detector (hundredths), counts, times."""

    detectors: Annotated[dict[Name, Hundredths], Meta(max_length=MOST_SUMMED)]
    severity: Severity
    alerts: Count
    withdrawn: Count
    first_event_us: int
    last_event_us: int


class Absorb(Command, frozen=True, kw_only=True, tag="absorb"):
    """On the parent's key: it takes the child in. `revision` 0 with no summary: as asked for, not yet by the child."""

    name: ClassVar[str] = "absorb"
    child_key: Key
    child_incident_id: Id
    revision: Count = 0
    summary: ChildSummary | None = None


class MergedInto(Command, frozen=True, kw_only=True, tag="merged_into"):
    """On the child's key: it is part of the parent. `revision`: of the child, as far as the parent has taken it in.

    `parent_state`: `released` where the parent does not take it. `epoch` grows whenever the parent is closed or
    reopened: what an older one says is late.
    """

    name: ClassVar[str] = "merged_into"
    parent_key: Key
    parent_incident_id: Id
    revision: Count = 0
    epoch: Count = 0
    parent_state: Literal["open", "resolved", "released"] = "open"
    verdict: Verdict | None = None


class SuspectBreach(Command, frozen=True, kw_only=True, tag="suspect_breach"):
    """A person suspects a breach: clocks start, evidence is frozen. `known_at_us`: since when it is known."""

    name: ClassVar[str] = "suspect_breach"
    why: Why
    known_at_us: TimeUs


class BreachStep(Command, frozen=True, kw_only=True, tag="breach_step"):
    """One step of the breach's handling: counts, a fact, something done or decided against, with the reason.

    `detail`: what the breach clock reads from the log's row; nothing here looks into it.
    """

    name: ClassVar[str] = "breach_step"
    step: Annotated[str, Meta(min_length=1, max_length=64)]
    detail: Annotated[dict[DetailName, DetailValue], Meta(max_length=32)] = {}


class Tick(Command, frozen=True, kw_only=True, tag="tick"):
    """Time has passed: what is due by the record's own time is done."""

    name: ClassVar[str] = "tick"


class Unreadable(Struct, frozen=True):
    """A record that is neither; `code`: one of UNREADABLE."""

    code: str
    incident_key: str = ""


AnyCommand: TypeAlias = (
    Acknowledge | Assign | Comment | Contain | ContainResult | Resolve | Reopen | Link | Unlink | Absorb | MergedInto
    | SuspectBreach | BreachStep | Tick
)  # fmt: skip
Record: TypeAlias = AlertRecord | AnyCommand | Unreadable

COMMANDS: dict[str, type[Command]] = {
    one.name: one
    for one in (Acknowledge, Assign, Comment, Contain, ContainResult, Resolve, Reopen, Link, Unlink, Absorb, MergedInto,
                SuspectBreach, BreachStep, Tick)
}  # fmt: skip


class _Head(Struct):
    type: str
    command: str = ""


_HEAD = msgspec.json.Decoder(_Head)
_ALERT = msgspec.json.Decoder(AlertRecord)
_COMMAND: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)


def parse_record(key: bytes | None, value: bytes | None) -> Record:
    """The alert or command of one Kafka record, or why it is neither. Why total: a bad record must not stop the log."""
    incident_key = _text_of(key)
    if not incident_key:
        return Unreadable("bad_key")
    if value is None:
        return Unreadable("no_value", incident_key)
    if len(value) > MAX_VALUE_BYTES:
        return Unreadable("too_large", incident_key)
    try:
        record = _decoded(value)
    except msgspec.ValidationError as exc:
        return Unreadable(_code_of(str(exc)), incident_key)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Unreadable("bad_json", incident_key)
    if isinstance(record, str):
        return Unreadable(record, incident_key)
    if record.incident_key != incident_key:
        return Unreadable("key_mismatch", incident_key)
    if not incident_key.startswith(record.tenant_id + ":"):
        return Unreadable("tenant_mismatch", incident_key)
    return record


def _text_of(key: bytes | None) -> str:
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= MAX_KEY_CHARACTERS else ""


def _decoded(value: bytes) -> AlertRecord | AnyCommand | str:
    head = _HEAD.decode(value)
    if head.type == "alert":
        return _ALERT.decode(value)
    if head.type != "command":
        return "unknown_type"
    return _COMMAND.decode(value) if head.command in COMMANDS else "unknown_command"


def _code_of(message: str) -> str:
    """A code for msgspec's words, which quote names of fields only, and even those are not kept."""
    if "missing required field" in message:
        return "missing_field"
    if "contains unknown field" in message:
        return "unknown_field"
    return "bad_value"


def encode_alert(alert: AlertRecord) -> bytes:
    """The record's value: JSON."""
    return msgspec.json.encode(alert)


def encode_command(command: Command) -> bytes:
    """The record's value: canonical JSON."""
    return msgspec.json.encode(command, order="sorted")


def command_from(plain: dict[str, Any]) -> AnyCommand:
    """A command from plain values. Raises: msgspec.ValidationError: they are none."""
    found: AnyCommand = msgspec.convert(plain, AnyCommand)
    return found
