"""An account, a personal token, and what their names may look like.

Place in the flow: beside it; kept by `adapters/accounts.py`, asked by every command that changes or reveals something.
Nothing here holds a password, a token or a key: what is secret never leaves the adapter that checks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.accounts.permissions import ROLES
from pipeline.errors import UsageError

ACTIVE, DISABLED = "active", "disabled"
STATES = (ACTIVE, DISABLED)

DAY_US = 86_400_000_000
DEFAULT_TOKEN_DAYS, LONGEST_TOKEN_DAYS = 90, 366
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 1024
"""Characters. Length is what counts (NIST SP 800-63B 5.1.1.2); no rules of composition."""
LONGEST_REASON = 2000

_RESERVED = frozenset({"system", "accesstrail", "anonymous", "nobody"})
_NAME = re.compile(r"[a-z][a-z0-9._-]{1,31}", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person's account; times UTC microseconds.

    `must_change`: somebody else has set its password; no token is made before its owner has set another one.
    """

    name: str
    roles: frozenset[str]
    state: str
    created_us: int
    totp_enrolled: bool
    must_change: bool = False

    @property
    def is_active(self) -> bool:
        """Whether it may act at all."""
        return self.state == ACTIVE

    def as_json(self) -> dict[str, object]:
        """Plain values, roles sorted."""
        return {
            "name": self.name, "roles": sorted(self.roles), "state": self.state, "created_us": self.created_us,
            "totp_enrolled": self.totp_enrolled, "must_change": self.must_change,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalToken:
    """What is known of a personal token besides itself. `prefix`: its first characters, to recognise it by."""

    prefix: str
    account: str
    label: str
    created_us: int
    expires_us: int
    revoked_us: int | None = None

    def state_at(self, at_us: int) -> str:
        """`valid`, `expired` or `revoked`; at the moment of its expiry it is expired."""
        if self.revoked_us is not None:
            return "revoked"
        return "valid" if at_us < self.expires_us else "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """One line of the append-only history of accounts: who did what to whom, when, why."""

    number: int
    at_us: int
    by: str
    account: str
    what: str
    detail: str
    reason: str


def checked_name(text: str) -> str:
    """The name as it is. Raises: UsageError: not 2–32 of small ASCII letters, digits, `.`, `_`, `-`; or reserved."""
    if not _NAME(text):
        raise UsageError(
            "an account's name has 2 to 32 characters: small letters a-z, digits, '.', '_' and '-', a letter first",
            code="account_name",
        )
    if text in _RESERVED:
        raise UsageError(f"the name {text} is reserved for accesstrail itself", code="account_name")
    return text


def checked_roles(names: Iterable[str]) -> frozenset[str]:
    """The roles as a set. Raises: UsageError: none, or one that does not exist."""
    roles = frozenset(names)
    unknown = sorted(roles - set(ROLES))
    if unknown:
        raise UsageError(f"there is no role {', '.join(unknown)}: {', '.join(ROLES)}")
    if not roles:
        raise UsageError(f"give at least one role: {', '.join(ROLES)}")
    return roles


def checked_password(password: str, account: str) -> str:
    """The password as it is. Raises: UsageError: too short, too long, or the account's name in other words."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageError(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters", code="password_length"
        )
    if len(set(password)) < SHORTEST_PASSWORD // 2 or account in password.lower():
        raise UsageError(
            "the password repeats few characters or holds the account's name: choose another one", code="password_weak"
        )
    return password


def checked_reason(text: str) -> str:
    """The reason without blanks around it. Raises: UsageError: empty, too long, or with control characters."""
    reason = text.strip()
    if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise UsageError(f"give a reason of 1 to {LONGEST_REASON:,} printable characters in one line")
    return reason
