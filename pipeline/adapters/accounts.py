"""Accounts of people, in one small SQLite file of the state folder: STATE/accounts.sqlite3.

Place in the flow: beside it; used by `accesstrail users`, by `cli/acting.py` in front of every command that changes or
reveals something, and by the console. Accounts are never deleted, only disabled, since the history names them. Every
change is one transaction that holds the check of who acts, the change and its line in `account_changes`.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.accounts.model import (
    ACTIVE,
    DISABLED,
    Account,
    AccountChange,
    PersonalToken,
    checked_name,
    checked_password,
    checked_reason,
    checked_roles,
)
from pipeline.accounts.permissions import may, refuse_conflicts
from pipeline.adapters import account_rows as rows
from pipeline.adapters.account_file import FILE_NAME, AccountFile
from pipeline.adapters.account_login import Logins, forget_totp
from pipeline.adapters.account_secrets import Passwords
from pipeline.errors import Forbidden, UsageError


class Accounts:
    """The register. `by`: the account that acts; `at_us`: now, UTC microseconds; `reason`: kept with the change.

    Methods that change raise Forbidden where `by` lacks the role, UsageError where the change makes no sense, Away
    where the file is busy.
    """

    def __init__(self, file: AccountFile, passwords: Passwords | None = None) -> None:
        self._file = file
        self._passwords = passwords or Passwords()
        self.logins = Logins(file, self._passwords)

    def close(self) -> None:
        """Ends the connection."""
        self._file.close()

    # -- reading

    def all(self) -> tuple[Account, ...]:
        """Every account by name."""
        with self._file.reading() as connection:
            return rows.everybody(connection)

    def get(self, name: str) -> Account:
        """One account. Raises: UsageError: there is none of that name."""
        with self._file.reading() as connection:
            return rows.existing(connection, name)

    def standing(self, name: str) -> tuple[Account, str]:
        """The account, and a text that changes whenever what it is recognised by, its roles or its state do.

        Why: sessions that began before such a change end with it.
        """
        with self._file.reading() as connection:
            account = rows.existing(connection, name)
            recognised_by = connection.execute(
                "SELECT password_hash, totp_secret, totp_confirmed FROM accounts WHERE name = ?", (name,)
            ).fetchone()
        facts = (*recognised_by, account.state, account.must_change, sorted(account.roles))
        return account, hashlib.sha256(repr(facts).encode()).hexdigest()

    def changes(self, limit: int = 1_000) -> tuple[AccountChange, ...]:
        """The newest lines of the history, newest first."""
        with self._file.reading() as connection:
            return rows.history(connection, limit)

    def tokens(self, name: str) -> tuple[PersonalToken, ...]:
        """What is known of an account's tokens, newest first."""
        with self._file.reading() as connection:
            return rows.tokens_of(connection, name)

    def unannounced(self, limit: int = 1_000) -> tuple[str, tuple[AccountChange, ...]]:
        """This register's own name, and the oldest changes that no access event tells of yet, oldest first."""
        with self._file.reading() as connection:
            return rows.unannounced(connection, limit)

    def mark_announced(self, number: int) -> None:
        """Everything up to this change has been told; never moves backwards."""
        with self._file.change() as connection:
            connection.execute("UPDATE announcements SET number = max(number, ?)", (number,))

    # -- making

    def add_first(self, name: str, password: str, reason: str, at_us: int) -> Account:
        """The first account, with the role admin. Raises: UsageError: there is an account already."""
        hashed = self._checked(name, password)
        with self._file.change() as connection:
            if rows.everybody(connection):
                raise UsageError("this system has accounts: the first one can be made only once", code="accounts_exist")
            return self._insert(connection, name, frozenset({"admin"}), hashed, by=name, reason=reason, at_us=at_us)

    def add(self, by: str, name: str, roles: Iterable[str], password: str, reason: str, at_us: int) -> Account:
        """A new account; its owner must set another password before a token can be made."""
        wanted = checked_roles(roles)
        refuse_conflicts(wanted)
        hashed = self._checked(name, password)
        with self._file.change() as connection:
            rows.allowed(connection, by, "manage_accounts")
            rows.allowed(connection, by, "manage_roles")
            if rows.found(connection, name) is not None:
                raise UsageError(f"there is an account {name} already; names are never given twice")
            return self._insert(connection, name, wanted, hashed, by=by, reason=reason, at_us=at_us)

    def _checked(self, name: str, password: str) -> str:
        return self._passwords.hashed(checked_password(password, checked_name(name)))

    def _insert(
        self, connection: sqlite3.Connection, name: str, roles: frozenset[str], hashed: str, *,
        by: str, reason: str, at_us: int,
    ) -> Account:  # fmt: skip
        connection.execute(
            "INSERT INTO accounts (name, state, created_us, password_hash, must_change) VALUES (?, ?, ?, ?, ?)",
            (name, ACTIVE, at_us, hashed, int(by != name)),
        )
        rows.write_roles(connection, name, roles)
        rows.record(connection, at_us, by, name, "added", detail=_listed(roles), reason=checked_reason(reason))
        return rows.existing(connection, name)

    # -- changing

    def disable(self, by: str, name: str, reason: str, at_us: int) -> int:
        """Nothing of the account works any more, its tokens are revoked; returns how many were."""
        with self._file.change() as connection:
            rows.allowed(connection, by, "manage_accounts")
            if not rows.existing(connection, name).is_active:
                raise UsageError(f"{name} is disabled already")
            connection.execute("UPDATE accounts SET state = ? WHERE name = ?", (DISABLED, name))
            rows.refuse_without_admin(connection)
            revoked = rows.revoke_all(connection, name, at_us)
            detail = f"{revoked} tokens revoked"
            rows.record(connection, at_us, by, name, "disabled", detail=detail, reason=checked_reason(reason))
        return revoked

    def enable(self, by: str, name: str, reason: str, at_us: int) -> None:
        """The account works again; revoked tokens stay revoked, a lock-out is ended."""
        with self._file.change() as connection:
            rows.allowed(connection, by, "manage_accounts")
            if rows.existing(connection, name).is_active:
                raise UsageError(f"{name} is active")
            connection.execute("UPDATE accounts SET state = ?, failures = 0 WHERE name = ?", (ACTIVE, name))
            rows.record(connection, at_us, by, name, "enabled", reason=checked_reason(reason))

    def change_roles(
        self, by: str, name: str, *, grant: Iterable[str] = (), revoke: Iterable[str] = (), reason: str, at_us: int
    ) -> Account:
        """Gives and takes roles, never one's own; tokens have the new ones at once."""
        given, taken = frozenset(grant), frozenset(revoke)
        if not given | taken or given & taken:
            raise UsageError("name roles to grant or to revoke, each once")
        checked_roles(given | taken)
        with self._file.change() as connection:
            rows.allowed(connection, by, "manage_roles")
            if by == name:
                raise Forbidden("nobody changes their own roles: ask another account with the role admin")
            before = rows.existing(connection, name)
            after = checked_roles((before.roles | given) - taken)
            refuse_conflicts(after)
            rows.write_roles(connection, name, after)
            rows.refuse_without_admin(connection)
            detail = f"{_listed(before.roles)} -> {_listed(after)}"
            rows.record(connection, at_us, by, name, "roles", detail=detail, reason=checked_reason(reason))
            return rows.existing(connection, name)

    def reset_password(self, by: str, name: str, password: str, reason: str, at_us: int) -> int:
        """Another password for somebody who lost theirs; their tokens are revoked, a lock-out is ended.

        The second factor stays: with it, who knows the new password still cannot act in the owner's name.
        """
        hashed = self._checked(name, password)
        with self._file.change() as connection:
            rows.allowed(connection, by, "manage_accounts")
            _refuse_oneself(by, name)
            rows.existing(connection, name)
            connection.execute(
                "UPDATE accounts SET password_hash = ?, must_change = 1, failures = 0 WHERE name = ?", (hashed, name)
            )
            revoked = rows.revoke_all(connection, name, at_us)
            detail = f"{revoked} tokens revoked"
            rows.record(connection, at_us, by, name, "password_reset", detail=detail, reason=checked_reason(reason))
        return revoked

    def remove_totp(self, by: str, name: str, reason: str, at_us: int) -> None:
        """Takes a lost second factor away; the account's tokens are revoked with it."""
        with self._file.change() as connection:
            rows.allowed(connection, by, "manage_accounts")
            _refuse_oneself(by, name)
            if not rows.existing(connection, name).totp_enrolled:
                raise UsageError(f"{name} has no second factor")
            forget_totp(connection, name)
            revoked = rows.revoke_all(connection, name, at_us)
            detail = f"{revoked} tokens revoked"
            rows.record(connection, at_us, by, name, "totp_removed", detail=detail, reason=checked_reason(reason))

    def revoke_token(self, by: str, prefix: str, reason: str, at_us: int) -> PersonalToken:
        """Ends one token, known by its prefix: one's own, or anybody's with the role admin."""
        with self._file.change() as connection:
            actor = rows.allowed(connection, by, "manage_own_account")
            row = connection.execute("SELECT name, revoked_us FROM tokens WHERE prefix = ?", (prefix,)).fetchone()
            if row is None or (row[0] != by and not may(actor.roles, "manage_accounts")):
                raise UsageError(
                    "there is no such token of yours: give its prefix as `users token NAME --list` shows it"
                )
            if row[1] is not None:
                raise UsageError(f"the token {prefix} is revoked already")
            connection.execute("UPDATE tokens SET revoked_us = ? WHERE prefix = ?", (at_us, prefix))
            rows.record(connection, at_us, by, row[0], "token_revoked", detail=prefix, reason=checked_reason(reason))
            return next(one for one in rows.tokens_of(connection, row[0]) if one.prefix == prefix)


def _refuse_oneself(by: str, name: str) -> None:
    """Else a stolen token would be enough to take an account over. Raises: UsageError."""
    if by == name:
        raise UsageError("that is your own account: its password and a code of its second factor are needed for this")


def _listed(roles: Iterable[str]) -> str:
    return ", ".join(sorted(roles))


def accounts_path(state_dir: Path) -> Path:
    """Where the accounts of a state folder are."""
    return state_dir / FILE_NAME


@contextmanager
def open_accounts(state_dir: Path, *, create: bool = False, passwords: Passwords | None = None) -> Iterator[Accounts]:
    """The accounts of a state folder. Raises: Forbidden `no_accounts`: there are none; ConfigError; Away."""
    with closing(Accounts(AccountFile(accounts_path(state_dir), create=create), passwords)) as accounts:
        yield accounts
