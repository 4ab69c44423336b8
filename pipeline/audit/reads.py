"""A look at evidence as an access event: whoever reads the log of accesses is in it too (promise P6).

Place in the flow: made by every page and command that shows evidence, before it shows it; sent by
`adapters/read_announcements.py`, which answers only when Kafka has it. It goes the way of every event: account and
subject become tokens, the reason is masked, rules look at it (`auditor_abuse`, `mass_unmask`).

Actions: questions to the log are `audit_query`, what leaves the house `audit_export`, a revealed identity `unmask`, an
erased one `delete`; a page that anybody in charge turns to all day is a plain `read` that names no data subject, stored
and not scored.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import NamedTuple

SOURCE_SYSTEM = "accesstrail"
READ, QUERY, EXPORT, REVEAL, ERASE = "read", "audit_query", "audit_export", "unmask", "delete"
RESOURCE_PREFIX = "evidence."
PAGE = "page"
"""Any other page."""
SUCCESS, DENIED, ERROR = "success", "denied", "error"
# Digits as letters: a run of digits may look like a telephone number, and would be masked on its way.
_LETTERS = str.maketrans("0123456789", "ghijklmnop")
_LONGEST_REASON, _LONGEST_ID, _LONGEST_REF, _MOST_SUBJECTS = 2000, 512, 128, 10_000


class Look(NamedTuple):
    """What one kind of look is on the wire."""

    action: str
    resource_type: str


LOOKS: Mapping[str, Look] = {
    # Pages of daily work
    "overview": Look(READ, RESOURCE_PREFIX + "overview"),
    "incidents": Look(READ, RESOURCE_PREFIX + "incidents"),
    "incident": Look(READ, RESOURCE_PREFIX + "incident"),
    PAGE: Look(READ, RESOURCE_PREFIX + "page"),
    "panel": Look(READ, RESOURCE_PREFIX + "panel"),
    "rules": Look(READ, RESOURCE_PREFIX + "rules"),
    "holds": Look(READ, RESOURCE_PREFIX + "holds"),
    "health": Look(READ, RESOURCE_PREFIX + "health"),
    "alerts": Look(READ, RESOURCE_PREFIX + "alerts"),
    # Questions about somebody
    "search": Look(QUERY, RESOURCE_PREFIX + "search"),
    "actor": Look(QUERY, RESOURCE_PREFIX + "actor"),
    "subject": Look(QUERY, RESOURCE_PREFIX + "subject"),
    "masked": Look(QUERY, RESOURCE_PREFIX + "masked_identity"),
    "sql": Look(QUERY, RESOURCE_PREFIX + "sql"),
    # What leaves
    "export": Look(EXPORT, RESOURCE_PREFIX + "search"),
    "subject_report": Look(EXPORT, RESOURCE_PREFIX + "subject"),
    "incident_export": Look(EXPORT, RESOURCE_PREFIX + "incident"),
    "audit_report": Look(EXPORT, RESOURCE_PREFIX + "report"),
    "reveal": Look(REVEAL, RESOURCE_PREFIX + "identity"),
    # What is taken out of the vault
    "erase": Look(ERASE, RESOURCE_PREFIX + "identity"),
}
"""Every kind of look, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One look.

    `look`: a name of LOOKS, any other is a page. `about`: what was asked for: a token, an id, a digest of the question;
    never an identity. `rows`: how many records are handed out. `subject_ids`: data subjects by their own ids, only
    where the viewer gave them or the directory names them; the pipeline makes tokens of them. `fingerprint`: SHA-256 of
    the whole question, of an export that of the file, in hex. `src_ip`: loopback says nothing of where somebody is, and
    is left out. `case_ref` explains a look by a work item, `approval_ref` names the second person's consent.
    """

    look: str
    account: str
    read_id: str
    at_us: int
    rows: int
    about: str = ""
    reason: str = ""
    subject_ids: tuple[str, ...] = ()
    unmasked: tuple[str, ...] = ()
    outcome: str = SUCCESS
    channel: str = "ui"
    fingerprint: str = ""
    src_ip: str = ""
    case_ref: str = ""
    approval_ref: str = ""

    @property
    def key(self) -> bytes:
        """The Kafka key: the account, so that all its looks lie in one partition."""
        return self.account.encode()

    def denied(self) -> Read:
        """The look that was wanted and is refused: nothing was shown, and nobody's consent to it counts."""
        return replace(
            self, read_id=str(uuid.uuid4()), outcome=DENIED, rows=0, unmasked=(), fingerprint="", approval_ref=""
        )  # fmt: skip


def read_event(read: Read) -> bytes:
    """The access event of one look, as on the wire; equal looks give equal bytes."""
    look = LOOKS.get(read.look, LOOKS[PAGE])
    moment = datetime.fromtimestamp(read.at_us / 1_000_000, UTC)
    event: dict[str, object] = {
        "schema_version": 1,
        "event_id": read.read_id,
        "event_time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "source_system": SOURCE_SYSTEM,
        "source_instance": "console" if read.channel == "ui" else "commands",
        "channel": read.channel,
        "action": look.action,
        "outcome": read.outcome,
        "actor_id": read.account,
        "actor_type": "employee",
        "app_id": SOURCE_SYSTEM,
        "endpoint": f"console {read.look}",
        "resource_type": look.resource_type,
        "resource_id": read.about[:_LONGEST_ID] or read.look,
        "records_returned": read.rows,
    }
    optional: dict[str, object] = {
        "subject_ids": list(read.subject_ids[:_MOST_SUBJECTS]),
        "fields_unmasked": list(read.unmasked),
        "justification": read.reason[:_LONGEST_REASON],
        "query_fingerprint": read.fingerprint.translate(_LETTERS),
        "src_ip": "" if _is_loopback(read.src_ip) else read.src_ip,
        "case_ref": read.case_ref[:_LONGEST_REF],
        "approval_ref": read.approval_ref[:_LONGEST_REF],
    }
    event |= {name: value for name, value in optional.items() if value}  # an empty text is none on the wire
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _is_loopback(address: str) -> bool:
    """Whether it says nothing of where somebody is; what is no address at all says nothing either."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return True
