"""What the console needs from outside, as roles: `pipeline/cli/console.py` builds them and hands them over as `Parts`.

Place in the flow: below every page. Methods are called from threads, several at once; each may raise Away, and what it
raises reaches the viewer as a page that says what is missing and since when. Times UTC microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dashboards.console.audit_ports import AuditDesk
from dashboards.console.evidence_ports import EvidenceDesk
from dashboards.console.outages import Outages
from dashboards.console.reveal_limit import RevealLimit
from dashboards.panels.panel import Panel
from pipeline.accounts.model import Account, PersonalToken
from pipeline.audit.incidents import (
    AlertView,
    EvidenceRow,
    IncidentExport,
    IncidentFilter,
    IncidentPlace,
    IncidentView,
    TimelineEntry,
)
from pipeline.audit.panels import PanelAnswer
from pipeline.audit.reads import Read
from pipeline.breach.clock import Clock
from pipeline.breach.model import Breach
from pipeline.breach.record import Detail
from pipeline.incidents.records import Acknowledge, Command
from pipeline.notifications.policy import DeliveryRow


class ReadTrail(Protocol):
    """Where reads are told."""

    def admit(self, account: str, at_us: int) -> None:
        """Before anything is asked. Raises: Forbidden `look_quota`: the account's day is used up; Away."""
        ...

    def tell(self, read: Read) -> None:
        """Returns when Kafka has acknowledged the read's audit event.

        Raises: Away: it has not; Forbidden `look_quota`: more rows than the account's day allows. Show nothing.
        """
        ...

    def refused(self, read: Read) -> None:
        """Tells of a look that was refused, as far as Kafka answers; raises nothing."""
        ...


class AccountDesk(Protocol):
    """Accounts and how their owners are recognised. Raises: Forbidden, UsageError, Away; words are fit to be shown."""

    def is_empty(self) -> bool:
        """Whether there is no account yet."""
        ...

    def add_first(self, name: str, password: str, at_us: int) -> Account:
        """The first account, with the role admin."""
        ...

    def standing(self, name: str) -> tuple[Account, str]:
        """The account, and a text that changes whenever its password, second factor, roles or state do."""
        ...

    def active_names(self, action: str) -> Sequence[str]:
        """Active accounts that may do an action, by name."""
        ...

    def login(self, name: str, password: str, code: str | None, at_us: int) -> Account:
        """The active account that these belong to."""
        ...

    def change_password(self, name: str, password: str, code: str | None, new: str, at_us: int) -> None:
        """The owner sets another password."""
        ...

    def begin_totp(self, name: str, password: str, at_us: int) -> str:
        """A new second factor, as the address (`otpauth:`) that an app scans."""
        ...

    def confirm_totp(self, name: str, password: str, code: str, at_us: int) -> tuple[str, ...]:
        """Enrols what was begun; recovery codes, shown once."""
        ...

    def tokens(self, name: str) -> Sequence[PersonalToken]:
        """What is known of an account's personal tokens, newest first."""
        ...

    def revoke_token(self, by: str, prefix: str, reason: str, at_us: int) -> None:
        """Ends one token of one's own."""
        ...


class IncidentReading(Protocol):
    """Incidents as they stand; identities are tokens."""

    def page(self, wanted: IncidentFilter, after: IncidentPlace | None, limit: int) -> Sequence[IncidentView]:
        """The gravest first, of one severity the newest, from behind `after` on."""
        ...

    def incident(self, incident_id: str) -> IncidentView | None:
        """The incident of an id or its beginning. Raises: UsageError: several begin so."""
        ...

    def timeline(self, incident: IncidentView) -> Sequence[TimelineEntry]:
        """What happened to it, oldest first."""
        ...

    def alerts(self, incident: IncidentView, limit: int) -> Sequence[AlertView]:
        """Its alerts, those of the highest risk first."""
        ...

    def events(self, alerts: Sequence[AlertView], limit: int) -> Sequence[EvidenceRow]:
        """The accesses that raised them."""
        ...

    def deliveries(self, incident: IncidentView) -> Sequence[DeliveryRow]:
        """Attempts to tell people of it."""
        ...

    def breach(self, incident: IncidentView) -> BreachStanding | None:
        """The breach clock at this moment; None: no breach is suspected."""
        ...

    def export(self, incident: IncidentView, by: str) -> IncidentExport:
        """Everything of one incident for others: its log, alerts, messages, and the breach clock if there is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachStanding:
    """A suspected breach: who must be told until when. `unlisted`: persons that events count without naming them.

    `count`: what was counted just now, as a step of the breach writes it; `has_grown`: the log knows less than that.
    """

    breach: Breach
    clock: Clock
    unlisted: int
    count: Detail
    has_grown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What a command led to. `transition` "": nobody has handled it yet; `is_queued`: Kafka does not have it yet."""

    incident_id: str
    transition: str = ""
    code: str = ""
    state: str = ""
    is_queued: bool = False


class IncidentDesk(Protocol):
    """Where commands about incidents are handed in; whoever handles incidents decides what they lead to."""

    def hand_in(self, commands: Sequence[Command]) -> Sequence[Handed]:
        """Writes commands, waits briefly for what they lead to. Raises: Away: none or some are written."""
        ...

    def acknowledge(self, commands: Sequence[Acknowledge]) -> Sequence[Handed]:
        """The same for acknowledging: where Kafka is away they are kept and sent when it is back."""
        ...

    def queued(self) -> frozenset[str]:
        """Ids of incidents whose acknowledgement is kept and not sent yet."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFacts:
    """What the overview's sentence is made of.

    `open`: incidents that are not closed, by (severity, state); `gravest`: the first of them; `problems`: codes of what
    is wrong with taking events in; `silent`: sources that have not reported for longer than they may; `stored_us`: when
    something was stored last, 0 never; `events_a_second`: stored since the last look; `changed`: differences that the
    last verification of the store found.
    """

    open: Mapping[tuple[str, str], int]
    gravest: Sequence[IncidentView]
    problems: Sequence[str]
    silent: Sequence[str]
    stored_us: int
    events_a_second: float
    changed: int = 0


class LiveSource(Protocol):
    """Asked by one background task for all viewers together."""

    def facts(self) -> LiveFacts:
        """The present state. Raises: Away."""
        ...


class PanelSource(Protocol):
    """Answers of panels; the same question of several viewers is asked once."""

    def run(self, panel: Panel, values: Mapping[str, object]) -> PanelAnswer:
        """The answer to a panel for its typed parameters (`panels.asked.values_of`). Raises: Away; UsageError."""
        ...


class Channels(Protocol):
    """Channels people are told on."""

    def listed(self) -> Sequence[tuple[str, str]]:
        """Name and kind of each."""
        ...

    def test(self, name: str, by: str) -> str:
        """Sends a test message; "" where the channel took it, else a code. Raises: UsageError: no such channel."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that the console is built from.

    `two_people`: actions for which the deployment asks a second person; `public_address`: scheme and host under which a
    proxy with TLS offers it, "": only loopback; `zone`: time zone of viewers whose browser tells none.
    """

    accounts: AccountDesk
    trail: ReadTrail
    incidents: IncidentReading
    desk: IncidentDesk
    live: LiveSource
    panels: PanelSource
    channels: Channels
    evidence: EvidenceDesk
    audit: AuditDesk
    now_us: Callable[[], int]
    two_people: tuple[str, ...] = ()
    public_address: str = ""
    zone: str = "UTC"
    hosts: tuple[str, ...] = ()
    """Names besides loopback's and the public address's under which it may be asked."""
    outages: Outages = field(default_factory=Outages)
    reveals: RevealLimit = field(default_factory=RevealLimit)
    first_secret: str = field(default="", repr=False)
    """Of the one-time link that makes the first account; "": there is none."""
    started_us: int = 0
