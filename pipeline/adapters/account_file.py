"""The SQLite file of accounts: its modes, its schema and how it is brought up to date, one transaction at a time.

Place in the flow: below `adapters/accounts.py`. WAL, so that readers never wait; `synchronous = FULL`, so that a token
that was revoked stays so after a power cut. Every change takes the write lock before it reads (BEGIN IMMEDIATE): two
processes come one after the other. The file is 0600, and so are SQLite's `-wal` and `-shm` beside it, which take its
mode. It holds the shared secrets of one-time codes: back it up as a secret.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import AccesstrailError, Away, ConfigError, Forbidden, UsageError

FILE_NAME = "accounts.sqlite3"
BUSY_TIMEOUT_S = 10.0

_FIRST = """
CREATE TABLE accounts (
    name TEXT PRIMARY KEY CHECK (length(name) BETWEEN 2 AND 32),
    state TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
    created_us INTEGER NOT NULL,
    password_hash TEXT NOT NULL,
    must_change INTEGER NOT NULL CHECK (must_change IN (0, 1)),
    failures INTEGER NOT NULL DEFAULT 0,
    last_failure_us INTEGER NOT NULL DEFAULT 0,
    totp_secret TEXT,
    totp_confirmed INTEGER NOT NULL DEFAULT 0 CHECK (totp_confirmed IN (0, 1)),
    totp_last_step INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE account_roles (
    name TEXT NOT NULL REFERENCES accounts (name),
    role TEXT NOT NULL,
    PRIMARY KEY (name, role)
) STRICT, WITHOUT ROWID;
CREATE TABLE recovery_codes (
    name TEXT NOT NULL REFERENCES accounts (name),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (name, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE tokens (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    prefix TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL REFERENCES accounts (name),
    label TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL CHECK (expires_us > created_us),
    revoked_us INTEGER
) STRICT;
CREATE INDEX tokens_of ON tokens (name);
CREATE TABLE account_changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    by TEXT NOT NULL,
    account TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TRIGGER account_changes_stay BEFORE UPDATE ON account_changes
    BEGIN SELECT RAISE(ABORT, 'account_changes is append-only'); END;
CREATE TRIGGER account_changes_remain BEFORE DELETE ON account_changes
    BEGIN SELECT RAISE(ABORT, 'account_changes is append-only'); END;
CREATE TRIGGER accounts_remain BEFORE DELETE ON accounts
    BEGIN SELECT RAISE(ABORT, 'accounts are disabled, never deleted'); END;
"""

_ANNOUNCEMENTS = """
CREATE TABLE announcements (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    register TEXT NOT NULL,
    number INTEGER NOT NULL
) STRICT;
INSERT INTO announcements VALUES (1, lower(hex(randomblob(16))), 0);
"""
"""Up to which change `access.events` has been told; `register` names this file in the ids of those events."""

MIGRATIONS: tuple[str, ...] = (_FIRST, _ANNOUNCEMENTS)
"""Script n brings a file of schema version n to n + 1; `PRAGMA user_version` says where a file is."""


class AccountFile:
    """One connection to the file. Not for several threads at once; each process opens its own."""

    def __init__(self, path: Path, *, create: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """Opens the file and brings it up to date; `create`: makes it where there is none.

        Raises: Forbidden: there is none; ConfigError: others can read it, it is no such file, or a newer one; Away.
        """
        self.path = path
        _prepare(path, create=create)
        with _in_our_words(path):
            self._connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None)
            try:
                self._set_up()
            except (sqlite3.Error, AccesstrailError):
                self._connection.close()
                raise

    def __repr__(self) -> str:
        return f"AccountFile({self.path})"

    def _set_up(self) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
            self._connection.execute(f"PRAGMA {pragma}")
        version = self._version()
        if version > len(MIGRATIONS):
            raise ConfigError([f"{self.path} was written by a newer version of accesstrail: use that one"])
        if version < len(MIGRATIONS):
            self._migrate()

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _migrate(self) -> None:
        with self.change() as connection:
            # Read again under the write lock: another process may have been faster.
            for number in range(self._version(), len(MIGRATIONS)):
                for statement in _statements(MIGRATIONS[number]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction that writes: all of it is kept, or nothing. Raises: Away: the file is busy; ConfigError."""
        with _in_our_words(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One transaction that reads: everything as of one moment. Raises: Away; ConfigError."""
        with _in_our_words(self.path):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def _statements(script: str) -> Iterator[str]:
    """Statement by statement: `executescript` would commit in the middle of our transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _prepare(path: Path, *, create: bool) -> None:
    """Makes the file 0600 before SQLite opens it, and refuses one that others can read."""
    try:
        if create:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise Forbidden(
            f"this system has no accounts yet ({path} is missing): make the first one with "
            "`accesstrail users add NAME --first`",
            code="no_accounts",
        ) from None
    except OSError as exc:
        raise UsageError(f"{path} cannot be opened: {exc.strerror}") from None
    if not stat.S_ISREG(mode):
        raise ConfigError([f"accounts: {path} is no file"])
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError([f"accounts: {path} can be read by others: run chmod 600 on it"])


@contextmanager
def _in_our_words(path: Path) -> Iterator[None]:
    """SQLite's errors as ours; its own words are left out, they may quote a value."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Away(
                f"{path} is busy: another command is changing accounts, try again", code="accounts_busy"
            ) from None
        raise ConfigError([f"accounts: {path} cannot be used ({exc.sqlite_errorname})"]) from None
    except sqlite3.DatabaseError as exc:
        name = getattr(exc, "sqlite_errorname", "SQLITE_ERROR")
        raise ConfigError([f"accounts: {path} cannot be used ({name}): bring it back from the backup"]) from None
