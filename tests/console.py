"""A console for tests: the real accounts on disk, everything else from outside as fakes of our own, a clock by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
from starlette.testclient import TestClient

from dashboards.console.app import console_app
from dashboards.console.ports import LiveFacts, Parts
from dashboards.panels.panel import Panel
from pipeline.adapters.account_secrets import Credentials
from pipeline.adapters.accounts import open_accounts
from pipeline.adapters.command_outbox import FILE_NAME, CommandOutbox
from pipeline.audit.panels import PanelAnswer
from pipeline.audit.reads import Read, read_event
from pipeline.cli.console_accounts import ConsoleAccounts
from pipeline.cli.console_incidents import ConsoleDesk, ConsoleIncidents
from pipeline.cli.incident_desk import Desk
from pipeline.config import Settings
from pipeline.errors import Away, UsageError
from pipeline.incidents.model import Incident
from tests import incident_logs
from tests.accounts import cheap_passwords
from tests.audit_desk import AuditWorld
from tests.evidence_desk import EvidenceWorld
from tests.incident_desk import Evidence, Reader, Sent
from tests.incident_logs import START_US
from tests.looks import Looked
from tests.unit.versions.deployment import Deployment

PASSWORD = "a sentence that is long enough"
NOW_US = START_US + 600_000_000
ORIGIN = "http://127.0.0.1"
FIRST_SECRET = "S" * 43


@dataclass
class Trail:
    """Reads that were told; `is_away`: Kafka does not acknowledge."""

    told: list[Read] = field(default_factory=list)
    is_away: bool = False
    denied: list[Read] = field(default_factory=list)
    looked: Looked = field(default_factory=Looked)

    def admit(self, account: str, at_us: int) -> None:
        self.looked.quota.admit(account, at_us)

    def refused(self, read: Read) -> None:
        read_event(read)
        self.denied.append(read)

    def tell(self, read: Read) -> None:
        if self.is_away:
            raise Away("Kafka does not answer", code="kafka_away")
        self.looked.quota.admit(read.account, read.at_us, read.rows)
        read_event(read)  # what cannot be written down is no read
        self.looked.quota.told(read)
        self.told.append(read)


@dataclass
class Live:
    """What the overview's background task finds."""

    found: LiveFacts = field(
        default_factory=lambda: LiveFacts(
            open={("critical", "open"): 2, ("high", "acknowledged"): 1}, gravest=(), problems=(),
            silent=("crm/eu-1",), stored_us=NOW_US, events_a_second=640.0,
        )
    )  # fmt: skip
    is_away: bool = False
    asked: int = 0

    def facts(self) -> LiveFacts:
        self.asked += 1
        if self.is_away:
            raise Away("the store does not answer", code="store_away")
        return self.found


@dataclass
class Panels:
    """Rows that every panel answers."""

    answers: dict[str, PanelAnswer] = field(default_factory=dict)
    is_away: bool = False
    asked: list[str] = field(default_factory=list)

    def run(self, panel: Panel, values: Mapping[str, object]) -> PanelAnswer:
        self.asked.append(panel.uid)
        if self.is_away:
            raise Away("the store does not answer", code="store_away")
        return self.answers.get(panel.uid, PanelAnswer(tuple(one.name for one in panel.columns), ()))


@dataclass
class Channels:
    """One chat; `code`: what it answers to a test."""

    code: str = ""
    tested: list[tuple[str, str]] = field(default_factory=list)

    def listed(self) -> Sequence[tuple[str, str]]:
        return [("chat", "webhook")]

    def test(self, name: str, by: str) -> str:
        if name != "chat":
            raise UsageError("there is no such channel")
        self.tested.append((name, by))
        return self.code


class Store(Reader):
    """The incidents' reader, which may be away."""

    is_away = False

    def __getattribute__(self, name: str) -> Any:
        if name in _QUESTIONS and self.is_away:
            raise Away("the store does not answer", code="store_away")
        return super().__getattribute__(name)


class _Lazy:
    """Made at its first use: most tests need none."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        self._made = self._made or self._make()
        return getattr(self._made, name)


_QUESTIONS = frozenset({"page", "incident", "timeline", "alerts_of", "events_of", "deliveries_of", "outcome_of"})


@dataclass
class World:
    """What a console is built from, and what a test turns."""

    state_dir: Path
    trail: Trail = field(default_factory=Trail)
    live: Live = field(default_factory=Live)
    panels: Panels = field(default_factory=Panels)
    channels: Channels = field(default_factory=Channels)
    logs: incident_logs.World = field(default_factory=incident_logs.World)
    now_us: int = NOW_US
    public_address: str = ""
    secrets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store, self.evidence, self.topic = Store(self.logs), Evidence(self.logs), Sent(self.logs)
        self.looked = EvidenceWorld(self.state_dir / "directory", self.now_us)
        self.audited = AuditWorld(self.now_us)
        self.outbox = CommandOutbox(self.state_dir / FILE_NAME, self.topic)
        self._settings: Settings | None = None

    @property
    def incident(self) -> Incident:
        """The incident of the first alert."""
        return self.logs.incident()

    def clock_desk(self) -> Desk:
        """What the breach clock is computed by."""
        self._settings = self._settings or Deployment(self.state_dir / "deployment").settings()
        return Desk(self._settings, self.store, self.evidence, lambda: self.topic, now_us=lambda: self.now_us)

    @property
    def accounts(self) -> ConsoleAccounts:
        return ConsoleAccounts(self.state_dir, cheap_passwords())

    def parts(self, **other: Any) -> Parts:
        given: dict[str, Any] = {
            "accounts": self.accounts, "trail": self.trail, "live": self.live, "panels": self.panels,
            "incidents": ConsoleIncidents(self.store, _Lazy(self.clock_desk)), "channels": self.channels,  # type: ignore[arg-type]
            "evidence": self.looked, "audit": self.audited,
            "desk": ConsoleDesk(self.store, self.topic, self.outbox, wait_s=0.1, sleep=lambda _: None),
            "now_us": lambda: self.now_us, "zone": "Asia/Shanghai",
            "public_address": self.public_address, "first_secret": FIRST_SECRET, "started_us": NOW_US,
        }  # fmt: skip
        return Parts(**given | other)

    def client(self, **other: Any) -> TestClient:
        return TestClient(
            console_app(self.parts(**other)), base_url=ORIGIN, headers={"Origin": ORIGIN}, follow_redirects=False,
            raise_server_exceptions=False,
        )  # fmt: skip

    def pass_time(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)

    # -- accounts

    def account(self, name: str, *roles: str, enrolled: bool = True) -> str:
        """An account that has set everything up; the first one is always wu.ling, the admin."""
        accounts = self.accounts
        if accounts.is_empty():
            accounts.add_first("wu.ling", PASSWORD, self.now_us)
            self.enrol("wu.ling")
        if name == "wu.ling":
            return name
        with open_accounts(self.state_dir, passwords=cheap_passwords()) as register:
            register.add("wu.ling", name, roles, "the password of another", "test", self.now_us)
            register.logins.change_password(name, Credentials("the password of another"), PASSWORD, self.now_us)
        if enrolled:
            self.enrol(name)
        return name

    def enrol(self, name: str) -> None:
        uri = self.accounts.begin_totp(name, PASSWORD, self.now_us)
        self.secrets[name] = uri.partition("secret=")[2].partition("&")[0]
        self.accounts.confirm_totp(name, PASSWORD, self.code(name), self.now_us)

    def code(self, name: str) -> str:
        """The next code that was not used: time moves on."""
        self.pass_time(31)
        return pyotp.TOTP(self.secrets[name]).at(self.now_us // 1_000_000)

    def sign_in(self, client: TestClient, name: str) -> TestClient:
        answer = client.post("/login", data={"name": name, "password": PASSWORD, "code": self.code(name)})
        assert answer.status_code == 303, answer.text
        return client

    def signed_in(self, *roles: str, **other: Any) -> TestClient:
        """A client with an account of these roles, named after them."""
        name = "-".join(sorted(roles)) or "wu.ling"
        if name == "admin":
            name = "wu.ling"
        if name not in self.secrets:
            self.account(name, *roles)
        return self.sign_in(self.client(**other), name)


def csrf(client: TestClient, path: str = "/help") -> str:
    """The token of the client's session, from a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found, "no token in the page"
    return found[1]


def post(client: TestClient, path: str, data: dict[str, Any] | None = None, **more: Any) -> Any:
    """A form of a page of ours."""
    return client.post(path, data={"csrf": csrf(client), **(data or {})}, **more)
