"""Exceptions of the alert policy: which detectors stay quiet about whom, why, by whose word, and until when.

Place in the flow: data of the version set (part `exceptions`), applied between `assess` and `decide` (stage
`hold_back`) and by whoever runs scheduled detectors. An exception takes causes of alerts away, never a score: anomaly
score and risk of an event stay as they were judged. A detector that it does not name is not touched; what remains
raises an alert if it reaches a threshold by itself. Time is that of the event's receipt, for scheduled detectors the
end of the window, never a clock, so that a replay holds back the same. An exception that has expired stays listed until
somebody ends it, and does nothing.

Content: canonical JSON (sorted keys, no spaces, UTF-8). Identifiers are keyed tokens in hexadecimal; reasons are masked
texts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from detectors.base import EXCEPTION_CODE, MODEL_DETECTOR
from detectors.features import KINDS
from detectors.rules import all_rules
from detectors.scheduled import SCHEDULED
from detectors.strength import strength_of
from pipeline.errors import OtherVersion, UsageError

FORMAT = 1
PART = "exceptions"
"""Name of the version set's part."""
DAY_US = 86_400_000_000
DEFAULT_DAYS, LONGEST_DAYS = 90, 366
MOST = 500
"""More of them at once are no exceptions: the rules, or the model, are wrong for this company."""
LONGEST_VALUE, LONGEST_REASON = 256, 2000
_ID_DIGITS = 12

TOKEN_KINDS: Mapping[str, str] = {"actor": "actor", "subject": "subject", "credential": "credential"}
"""Conditions whose value is a token, and the token's kind."""
OF_EVENTS = (
    "actor", "peer_group", "source_system", "source_instance", "app_id", "resource_type", "endpoint", "partner",
    "credential",
)  # fmt: skip
"""Conditions that can be asked of one event: of the model and of rules."""
OF_WINDOWS: Mapping[str, tuple[str, ...]] = {
    "actor": ("actor", "peer_group"),
    "subject": ("subject",),
    "credential": ("credential", "actor"),
    "endpoint": ("endpoint",),
    "partner": ("partner",),
    "source": ("source_system", "source_instance"),
}
"""Conditions that can be asked of a scheduled detector's finding, by what the detector keeps its state of."""
CONDITIONS = (*OF_EVENTS, "subject")
STATE_KEYS: Mapping[str, str] = {one.name: one.state_key for one in SCHEDULED}
KIND_NAMES = tuple(name for name, _ in KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertException:
    """One exception. `scope`: condition → value, all must hold. Times UTC microseconds, `up_to` hundredths.

    `kinds`: of the model's findings only those whose leading feature is of such a kind. `up_to`: it does not hold
    above this level of the model (of a scheduled detector: above this risk). `owner`: token of the account that answers
    for it. `key_version`: the token key that its tokens were made with; under another one they match nobody.
    """

    scope: Mapping[str, str]
    detectors: tuple[str, ...]
    owner: str
    reason: str
    created_us: int
    valid_from_us: int
    valid_until_us: int
    kinds: tuple[str, ...] = ()
    up_to: int | None = None
    key_version: str = ""
    exception_id: str = field(default="")

    @property
    def code(self) -> str:
        """Its reason code; part of the evidence."""
        return EXCEPTION_CODE + self.exception_id

    def holds_at(self, at_us: int) -> bool:
        """Whether it is valid then; the last moment is not."""
        return self.valid_from_us <= at_us < self.valid_until_us

    def as_json(self) -> dict[str, Any]:
        """Plain values, as kept and exported."""
        plain = asdict(self)
        return {**plain, "scope": dict(self.scope), "detectors": list(self.detectors), "kinds": list(self.kinds)}


def named(exception: AlertException) -> AlertException:
    """The exception in its canonical form, with the id that follows from its content."""
    plain = {
        **exception.as_json(),
        "scope": {name: _canonical(name, value) for name, value in sorted(exception.scope.items())},
        "detectors": sorted(set(exception.detectors)),
        "kinds": sorted(set(exception.kinds)),
    }
    plain.pop("exception_id")
    digest = hashlib.sha256(_json(plain)).hexdigest()
    return _from_plain({**plain, "exception_id": digest[:_ID_DIGITS]})


def _canonical(name: str, value: str) -> str:
    """A condition's value as it is compared: the case of letters makes no difference."""
    return value.lower() if name in TOKEN_KINDS else value.strip().casefold()


def checked(exception: AlertException) -> AlertException:
    """The named exception. Raises: UsageError: it is none that anybody may make, with every fault."""
    faults = list(_faults(exception))
    if faults:
        raise UsageError("this is no exception: " + "; ".join(faults))
    return named(exception)


def _faults(one: AlertException) -> Iterable[str]:
    yield from _faults_of_scope(one)
    yield from _faults_of_detectors(one)
    if not one.reason.strip() or len(one.reason) > LONGEST_REASON:
        yield f"give a reason of 1 to {LONGEST_REASON:,} characters"
    if not _is_token(one.owner):
        yield "name an owner who answers for it"
    if not one.valid_from_us < one.valid_until_us:
        yield "it must end after it begins"
    elif one.valid_until_us - one.valid_from_us > LONGEST_DAYS * DAY_US:
        yield f"it may last {LONGEST_DAYS} days at most: renew it when it ends"
    if one.valid_until_us <= one.created_us:
        yield "its end is past already"


def _faults_of_scope(one: AlertException) -> Iterable[str]:
    if not one.scope:
        yield "say whom or what it is about: without a condition it would silence everything"
    for name, value in one.scope.items():
        if name not in CONDITIONS:
            yield f"there is no condition {name}"
        elif name in TOKEN_KINDS and not _is_token(value):
            yield f"{name} is no token"
        elif not 0 < len(value.strip()) <= LONGEST_VALUE:
            yield f"{name} must be a text of 1 to {LONGEST_VALUE} characters"
    if "source_instance" in one.scope and "source_system" not in one.scope:
        yield "an instance needs its source system"


def _faults_of_detectors(one: AlertException) -> Iterable[str]:
    rules = {rule.name for rule in all_rules()}
    if not one.detectors:
        yield "name the detectors that shall stay quiet"
    for name in one.detectors:
        if name not in rules and name not in STATE_KEYS and name != MODEL_DETECTOR:
            yield f"there is no detector {name}: rules, scheduled detectors and {MODEL_DETECTOR} have names"
            continue
        known = OF_WINDOWS[STATE_KEYS[name]] if name in STATE_KEYS else OF_EVENTS
        unknown = sorted(set(one.scope) & set(CONDITIONS) - set(known))
        if unknown:
            yield f"{name} can be asked for {', '.join(known)} only, not for {', '.join(unknown)}: it would never hold"
    if MODEL_DETECTOR in one.detectors and one.up_to is None:
        yield f"an exception of {MODEL_DETECTOR} needs a level up to which it holds"
    if one.up_to is not None and one.up_to <= 0:
        yield "the level up to which it holds must be more than 0"
    for kind in one.kinds:
        if kind not in KIND_NAMES:
            yield f"there is no kind of feature {kind!r}: {', '.join(KIND_NAMES)}"
    if one.kinds and MODEL_DETECTOR not in one.detectors:
        yield f"kinds of features narrow {MODEL_DETECTOR} only"


def _is_token(text: str) -> bool:
    return len(text) == 32 and all(digit in "0123456789abcdefABCDEF" for digit in text)


# -- content


def content_of(exceptions: Sequence[AlertException]) -> bytes:
    """The artefact: all exceptions, oldest first."""
    ordered = sorted(exceptions, key=lambda one: (one.created_us, one.exception_id))
    return _json({"format": FORMAT, "exceptions": [one.as_json() for one in ordered]})


def from_content(content: bytes) -> tuple[AlertException, ...]:
    """The exceptions whose `content_of` this is. Raises: OtherVersion: of another format."""
    document = json.loads(content)
    if document.get("format") != FORMAT:
        raise OtherVersion("the exceptions in force were written by another version of accesstrail")
    return tuple(_from_plain(one) for one in document["exceptions"])


def from_lines(lines: Iterable[str]) -> tuple[AlertException, ...]:
    """Exceptions as exported, one JSON object a line; repeated ones once. Raises: UsageError: a line is none."""
    found: dict[str, AlertException] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            one = _from_plain(json.loads(line))
            fine = named(one) == one
        except (ValueError, KeyError, TypeError, AttributeError):
            fine = False
        if not fine:
            raise UsageError(f"line {number} is no exception as `accesstrail exceptions export` writes them")
        found[one.exception_id] = checked(one)
    return tuple(sorted(found.values(), key=lambda one: (one.created_us, one.exception_id)))


def _from_plain(plain: Mapping[str, Any]) -> AlertException:
    return AlertException(
        scope={str(name): str(value) for name, value in plain["scope"].items()},
        detectors=tuple(map(str, plain["detectors"])),
        kinds=tuple(map(str, plain["kinds"])),
        up_to=None if plain["up_to"] is None else int(plain["up_to"]),
        created_us=int(plain["created_us"]),
        valid_from_us=int(plain["valid_from_us"]),
        valid_until_us=int(plain["valid_until_us"]),
        **{name: str(plain[name]) for name in ("owner", "reason", "key_version", "exception_id")},
    )


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


# -- what an exception does


@dataclass(frozen=True, slots=True)
class Causes:
    """What could raise an alert about one event, in hundredths: the model's level, the floors of the rules that hold.

    `kind`: of the leading feature, "" where none is surprising.
    """

    level: int
    floors: Mapping[str, int]
    kind: str = ""

    @property
    def floor(self) -> int:
        """The highest of the floors."""
        return max(self.floors.values(), default=0)

    @property
    def strength(self) -> int:
        """What they come to together."""
        return strength_of(self.level, self.floor)


@dataclass(frozen=True, slots=True)
class Left:
    """What exceptions leave of the causes; `taken`: each one that holds, and the rules that it is the first to take."""

    causes: Causes
    taken: tuple[tuple[AlertException, tuple[str, ...]], ...]


def left_of(causes: Causes, threshold: int, exceptions: Sequence[AlertException]) -> Left:
    """Takes away what these exceptions name; they are those that are valid and in whose scope the event is.

    The model is taken away only where `threshold` (hundredths) is not reached without it: else it raises no alert.
    """
    level, floors = causes.level, dict(causes.floors)
    taken = []
    for one in exceptions:
        if one.up_to is not None and causes.level > one.up_to:
            continue
        rules = [name for name in causes.floors if name in one.detectors]
        of_kind = not one.kinds or causes.kind in one.kinds
        counts = causes.level >= threshold or causes.strength >= threshold > causes.floor
        model = MODEL_DETECTOR in one.detectors and counts and of_kind
        if not rules and not model:
            continue
        taken.append((one, tuple(name for name in rules if floors.pop(name, None) is not None)))
        level = 0 if model else level
    return Left(Causes(level, floors, causes.kind), tuple(taken))
