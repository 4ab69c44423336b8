"""Rows of the accounts' file as values of the core, and the checks that must hold under the write lock.

Place in the flow: below `adapters/accounts.py` and `adapters/account_login.py`; each function works inside a
transaction that its caller has opened. Whoever acts is read again there: an account disabled a moment ago changes
nothing any more.
"""

from __future__ import annotations

import sqlite3

from pipeline.accounts.model import ACTIVE, Account, AccountChange, PersonalToken
from pipeline.accounts.permissions import require
from pipeline.errors import Forbidden, UsageError

_ACCOUNT = "name, state, created_us, totp_confirmed, must_change"


def found(connection: sqlite3.Connection, name: str) -> Account | None:
    """The account of a name."""
    row = connection.execute(f"SELECT {_ACCOUNT} FROM accounts WHERE name = ?", (name,)).fetchone()
    return None if row is None else _account(row, _roles(connection, name))


def existing(connection: sqlite3.Connection, name: str) -> Account:
    """The account of a name. Raises: UsageError: there is none."""
    account = found(connection, name)
    if account is None:
        raise UsageError("there is no account of that name: see `accesstrail users list`")
    return account


def everybody(connection: sqlite3.Connection) -> tuple[Account, ...]:
    """All accounts by name."""
    rows = connection.execute(f"SELECT {_ACCOUNT} FROM accounts ORDER BY name").fetchall()
    return tuple(_account(row, _roles(connection, row[0])) for row in rows)


def _account(row: tuple[str, str, int, int, int], roles: frozenset[str]) -> Account:
    name, state, created_us, totp, must_change = row
    return Account(
        name=name, roles=roles, state=state, created_us=created_us, totp_enrolled=bool(totp),
        must_change=bool(must_change),
    )  # fmt: skip


def _roles(connection: sqlite3.Connection, name: str) -> frozenset[str]:
    return frozenset(row[0] for row in connection.execute("SELECT role FROM account_roles WHERE name = ?", (name,)))


def allowed(connection: sqlite3.Connection, name: str, action: str) -> Account:
    """The account that acts. Raises: Forbidden: none, disabled, or without the role."""
    account = found(connection, name)
    if account is None or not account.is_active:
        raise Forbidden(f"{name} is no active account; an account with the role admin can enable it")
    require(name, account.roles, action)
    return account


def refuse_without_admin(connection: sqlite3.Connection) -> None:
    """Raises: UsageError: the change under way would leave nobody who can keep accounts."""
    left = connection.execute(
        "SELECT count(*) FROM accounts JOIN account_roles USING (name) WHERE role = 'admin' AND state = ?", (ACTIVE,)
    ).fetchone()[0]
    if not left:
        raise UsageError("refused: no active account with the role admin would be left; make another one first")


def write_roles(connection: sqlite3.Connection, name: str, roles: frozenset[str]) -> None:
    """These roles and no others."""
    connection.execute("DELETE FROM account_roles WHERE name = ?", (name,))
    connection.executemany("INSERT INTO account_roles VALUES (?, ?)", [(name, role) for role in sorted(roles)])


def record(
    connection: sqlite3.Connection, at_us: int, by: str, account: str, what: str, *, detail: str = "", reason: str = ""
) -> None:
    """One line of the append-only history, in the transaction of the change itself."""
    connection.execute(
        "INSERT INTO account_changes (at_us, by, account, what, detail, reason) VALUES (?, ?, ?, ?, ?, ?)",
        (at_us, by, account, what, detail, reason),
    )


def history(connection: sqlite3.Connection, limit: int) -> tuple[AccountChange, ...]:
    """The newest lines of it, newest first."""
    return _changes(connection, "ORDER BY number DESC LIMIT ?", limit)


def unannounced(connection: sqlite3.Connection, limit: int) -> tuple[str, tuple[AccountChange, ...]]:
    """The register's name, and the oldest lines after those that were told."""
    register, told = connection.execute("SELECT register, number FROM announcements").fetchone()
    return register, _changes(connection, "WHERE number > ? ORDER BY number LIMIT ?", told, limit)


def _changes(connection: sqlite3.Connection, which: str, *values: int) -> tuple[AccountChange, ...]:
    rows = connection.execute(
        f"SELECT number, at_us, by, account, what, detail, reason FROM account_changes {which}",
        values,
    )
    return tuple(
        AccountChange(number=row[0], at_us=row[1], by=row[2], account=row[3], what=row[4], detail=row[5], reason=row[6])
        for row in rows
    )


def tokens_of(connection: sqlite3.Connection, name: str) -> tuple[PersonalToken, ...]:
    """An account's tokens, newest first; never the tokens themselves, they are not kept."""
    rows = connection.execute(
        "SELECT prefix, name, label, created_us, expires_us, revoked_us FROM tokens WHERE name = ? "
        "ORDER BY created_us DESC, prefix",
        (name,),
    )
    return tuple(
        PersonalToken(
            prefix=row[0], account=row[1], label=row[2], created_us=row[3], expires_us=row[4], revoked_us=row[5]
        )
        for row in rows
    )


def revoke_all(connection: sqlite3.Connection, name: str, at_us: int) -> int:
    """Revokes every token of an account that is still open; returns how many."""
    return connection.execute(
        "UPDATE tokens SET revoked_us = ? WHERE name = ? AND revoked_us IS NULL", (at_us, name)
    ).rowcount
