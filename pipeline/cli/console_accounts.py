"""The accounts of a state folder as the console asks for them: each call opens the file, so that any thread may ask.

Place in the flow: built by `console.py`. Every change goes through `adapters/accounts.py`, as `accesstrail users` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.accounts.model import Account, PersonalToken
from pipeline.accounts.permissions import may
from pipeline.adapters.account_secrets import Credentials, Passwords
from pipeline.adapters.accounts import accounts_path, open_accounts
from pipeline.errors import Forbidden
from pipeline.own_reasons import FIRST_ACCOUNT

FIRST_LINK = "secrets/console-first-link"
"""Where the one-time link lies while it may be used, from the state folder."""


class ConsoleAccounts:
    """`dashboards.console.ports.AccountDesk` over the accounts of a state folder."""

    def __init__(self, state_dir: Path, passwords: Passwords | None = None) -> None:
        """`passwords`: cheaper ones are for tests."""
        self._state_dir = state_dir
        self._passwords = passwords or Passwords()

    def is_empty(self) -> bool:
        """Whether there is no account yet."""
        if not accounts_path(self._state_dir).exists():
            return True
        with open_accounts(self._state_dir) as accounts:
            return not accounts.all()

    def add_first(self, name: str, password: str, at_us: int) -> Account:
        """The first account, with the role admin."""
        with open_accounts(self._state_dir, create=True, passwords=self._passwords) as accounts:
            return accounts.add_first(name, password, FIRST_ACCOUNT, at_us)

    def standing(self, name: str) -> tuple[Account, str]:
        """The account, and a text that changes whenever what it is recognised by does."""
        with open_accounts(self._state_dir, passwords=self._passwords) as accounts:
            return accounts.standing(name)

    def names(self) -> Sequence[str]:
        """Every account's name, also of those that are disabled: they are in the evidence still."""
        if not accounts_path(self._state_dir).exists():
            return ()
        with open_accounts(self._state_dir) as accounts:
            return [one.name for one in accounts.all()]

    def active_names(self, action: str) -> Sequence[str]:
        """Active accounts that may do an action."""
        with open_accounts(self._state_dir, passwords=self._passwords) as accounts:
            return [one.name for one in accounts.all() if one.is_active and may(one.roles, action)]

    def login(self, name: str, password: str, code: str | None, at_us: int) -> Account:
        """The active account that these belong to."""
        if not accounts_path(self._state_dir).exists():
            raise Forbidden("refused: there is no account yet", code="login_refused")
        with open_accounts(self._state_dir, passwords=self._passwords) as accounts:
            return accounts.logins.login(name, Credentials(password, code), at_us)

    def change_password(self, name: str, password: str, code: str | None, new: str, at_us: int) -> None:
        """The owner sets another password."""
        with open_accounts(self._state_dir, passwords=self._passwords) as accounts:
            accounts.logins.change_password(name, Credentials(password, code), new, at_us)

    def begin_totp(self, name: str, password: str, at_us: int) -> str:
        """A new second factor, as an app scans it."""
        with open_accounts(self._state_dir, passwords=self._passwords) as accounts:
            return accounts.logins.begin_totp(name, Credentials(password), at_us).uri

    def confirm_totp(self, name: str, password: str, code: str, at_us: int) -> tuple[str, ...]:
        """Enrols what was begun."""
        with open_accounts(self._state_dir, passwords=self._passwords) as accounts:
            return accounts.logins.confirm_totp(name, Credentials(password), code, at_us)

    def tokens(self, name: str) -> Sequence[PersonalToken]:
        """What is known of an account's personal tokens."""
        with open_accounts(self._state_dir, passwords=self._passwords) as accounts:
            return accounts.tokens(name)

    def revoke_token(self, by: str, prefix: str, reason: str, at_us: int) -> None:
        """Ends one token."""
        with open_accounts(self._state_dir, passwords=self._passwords) as accounts:
            accounts.revoke_token(by, prefix, reason, at_us)
