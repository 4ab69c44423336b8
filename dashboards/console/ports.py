"""What the console needs from outside, as roles: `pipeline/cli/console.py` builds them and hands them over as `Parts`.

Place in the flow: below every page. Methods are called from threads, several at once; each may raise Away, and what it
raises reaches the viewer as a page that says what is missing and since when. Times UTC microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dashboards.console.outages import Outages
from pipeline.accounts.model import Account, PersonalToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One read of evidence, told before anything of it leaves.

    `what`: name of the route; `target_kind`: incident, actor, subject, search, …; `target`: as the viewer gave it or a
    token; `reason`: "" where none is asked for; `rows`: how many the answer shows.
    """

    account: str
    what: str
    target_kind: str
    target: str
    reason: str
    rows: int
    at_us: int


class ReadTrail(Protocol):
    """Where reads are told."""

    def tell(self, read: Read) -> None:
        """Returns when Kafka has acknowledged the read's audit event. Raises: Away: it has not; show nothing."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that the console is built from.

    `public_address`: scheme and host under which a proxy with TLS offers it, "": only loopback; `zone`: time zone of
    viewers whose browser tells none; `state_dir` is not here: files are the business of what is handed over.
    """

    accounts: AccountDesk
    trail: ReadTrail
    now_us: Callable[[], int]
    public_address: str = ""
    zone: str = "UTC"
    hosts: tuple[str, ...] = ()
    """Names besides loopback's and the public address's under which it may be asked."""
    outages: Outages = field(default_factory=Outages)
    first_secret: str = field(default="", repr=False)
    """Of the one-time link that makes the first account; "": there is none."""
    started_us: int = 0
