"""Recognising an account's owner: password and second factor with lockout, personal tokens, what is changed by oneself.

Place in the flow: part of `adapters/accounts.py`. A password takes tens of milliseconds to check, so that is done
outside the write lock; what came of it is settled under the lock, where a lock-out that began meanwhile, a code used
meanwhile and a password changed meanwhile count. Every refusal has the same words, whatever was wrong.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from pipeline.accounts.lockout import FREE_FAILURES, locked_until_us, wait_us
from pipeline.accounts.model import (
    ACTIVE,
    DAY_US,
    LONGEST_TOKEN_DAYS,
    Account,
    PersonalToken,
    checked_password,
)
from pipeline.adapters import account_rows as rows
from pipeline.adapters import account_secrets as secret
from pipeline.adapters.account_file import AccountFile
from pipeline.adapters.account_secrets import Credentials, Enrolment, Passwords
from pipeline.errors import Forbidden, UsageError

_LONGEST_LABEL = 64
_KNOWN_BY = "password_hash, state, failures, last_failure_us, totp_secret, totp_confirmed, totp_last_step"


@dataclass(frozen=True, slots=True)
class _Known:
    """What an account is recognised by, as read."""

    password_hash: str = field(repr=False)
    state: str
    failures: int
    last_failure_us: int
    totp_secret: str | None = field(repr=False)
    totp_confirmed: bool
    totp_last_step: int


class Logins:
    """What an account's owner does with password and second factor. `at_us`: now, UTC microseconds."""

    def __init__(self, file: AccountFile, passwords: Passwords) -> None:
        self._file = file
        self._passwords = passwords

    def login(self, name: str, given: Credentials, at_us: int) -> Account:
        """The active account whose password, and code where a second factor is enrolled, these are.

        Raises: Forbidden: `login_refused`, or `login_locked` with the wait, before anything was looked at.
        """
        with self._file.reading() as connection:
            before = _known(connection, name)
        if before is not None:
            _refuse_locked(before, at_us)
        fits = self._passwords.fits(None if before is None else before.password_hash, given.password)
        if before is None:
            raise _refusal()
        rehashed = None
        if fits and self._passwords.is_outdated(before.password_hash):
            rehashed = self._passwords.hashed(given.password)
        with self._file.change() as connection:
            now = _known(connection, name) or before
            _refuse_locked(now, at_us)
            fits = fits and now.password_hash == before.password_hash and now.state == ACTIVE
            accepted = fits and _second_factor(connection, name, now, given.code, at_us)
            if accepted:
                _welcome(connection, name, rehashed or now.password_hash)
            else:
                _count_failure(connection, name, now, at_us)
            account = rows.existing(connection, name)
        if not accepted:
            raise _refusal()
        return account

    def change_password(self, name: str, given: Credentials, new: str, at_us: int) -> None:
        """The owner sets another password. Raises: Forbidden; UsageError: it is too weak, or the old one."""
        self.login(name, given, at_us)
        if new == given.password:
            raise UsageError("the new password is the old one: choose another one", code="password_unchanged")
        hashed = self._passwords.hashed(checked_password(new, name))
        with self._file.change() as connection:
            rows.allowed(connection, name, "manage_own_account")
            connection.execute("UPDATE accounts SET password_hash = ?, must_change = 0 WHERE name = ?", (hashed, name))
            rows.record(connection, at_us, name, name, "password_changed")

    # -- second factor

    def begin_totp(self, name: str, given: Credentials, at_us: int) -> Enrolment:
        """A new shared secret, not yet asked for: `confirm_totp` shows that the app has it.

        Raises: Forbidden; UsageError: a second factor is enrolled already.
        """
        account = self.login(name, given, at_us)
        if account.totp_enrolled:
            raise UsageError(f"{name} has a second factor: remove it first (accesstrail users totp {name} --remove)")
        shared = secret.new_totp_secret()
        with self._file.change() as connection:
            changed = connection.execute(
                "UPDATE accounts SET totp_secret = ?, totp_last_step = 0 WHERE name = ? AND totp_confirmed = 0",
                (shared, name),
            ).rowcount
            if not changed:
                raise UsageError(f"{name} has enrolled a second factor meanwhile", code="totp_not_begun")
            rows.record(connection, at_us, name, name, "totp_begun")
        return secret.enrolment(shared, name)

    def confirm_totp(self, name: str, given: Credentials, code: str, at_us: int) -> tuple[str, ...]:
        """Enrols the second factor that was begun; returns the recovery codes, shown once.

        Raises: Forbidden; UsageError: none was begun, or the code is wrong.
        """
        self.login(name, given, at_us)
        codes = secret.new_recovery_codes()
        with self._file.change() as connection:
            known = _known(connection, name)
            if known is None or known.totp_secret is None or known.totp_confirmed:
                raise UsageError(
                    f"no second factor is being enrolled: begin with accesstrail users totp {name}",
                    code="totp_not_begun",
                )
            step = secret.accepted_step(known.totp_secret, code, at_us, known.totp_last_step)
            if step is None:
                raise UsageError(
                    "the one-time code is wrong: is the app's clock right, and was the newest code typed?",
                    code="totp_wrong",
                )
            connection.execute(
                "UPDATE accounts SET totp_confirmed = 1, totp_last_step = ? WHERE name = ?", (step, name)
            )
            connection.execute("DELETE FROM recovery_codes WHERE name = ?", (name,))
            stored = [(name, secret.recovery_digest(one)) for one in codes]
            connection.executemany("INSERT INTO recovery_codes VALUES (?, ?)", stored)
            rows.record(connection, at_us, name, name, "totp_enrolled")
        return codes

    def remove_own_totp(self, name: str, given: Credentials, reason: str, at_us: int) -> None:
        """The owner takes the second factor away, with a code of it. Raises: Forbidden."""
        self.login(name, given, at_us)
        with self._file.change() as connection:
            forget_totp(connection, name)
            rows.record(connection, at_us, name, name, "totp_removed", reason=reason)

    # -- personal tokens

    def new_token(
        self, name: str, given: Credentials, *, label: str, days: int, at_us: int
    ) -> tuple[str, PersonalToken]:
        """A personal token, and what is kept of it; only the owner makes one, so nobody acts in another's name.

        Raises: Forbidden; UsageError: days or label out of range, or somebody else has set the password.
        """
        if not 1 <= days <= LONGEST_TOKEN_DAYS:
            raise UsageError(f"a token lasts 1 to {LONGEST_TOKEN_DAYS} days")
        if len(label) > _LONGEST_LABEL or not label.isprintable():
            raise UsageError(f"a token's label has at most {_LONGEST_LABEL} printable characters")
        account = self.login(name, given, at_us)
        if account.must_change:
            raise UsageError(
                f"somebody else has set this password: set your own with accesstrail users password {name}"
            )
        token = secret.new_token()
        kept = PersonalToken(
            prefix=secret.prefix_of(token),
            account=name,
            label=label,
            created_us=at_us,
            expires_us=at_us + days * DAY_US,
        )
        with self._file.change() as connection:
            rows.allowed(connection, name, "manage_own_account")
            connection.execute(
                "INSERT INTO tokens (digest, prefix, name, label, created_us, expires_us) VALUES (?, ?, ?, ?, ?, ?)",
                (secret.digest(token), kept.prefix, name, label, at_us, kept.expires_us),
            )
            rows.record(connection, at_us, name, name, "token_made", detail=f"{kept.prefix}, {days} days")
        return token, kept

    def account_of_token(self, token: str, at_us: int) -> Account:
        """The active account whose token this is; its scope is the account's roles at this moment.

        Raises: Forbidden `token_refused`: unknown, expired or revoked, or the account is disabled.
        """
        with self._file.reading() as connection:
            # Looked up by its digest: what an index lookup tells by its time is about a hash nobody can choose.
            row = connection.execute(
                "SELECT name, expires_us, revoked_us FROM tokens WHERE digest = ?", (secret.digest(token),)
            ).fetchone()
            account = None if row is None else rows.found(connection, row[0])
        if account is None or not account.is_active or row[2] is not None or at_us >= row[1]:
            raise Forbidden(
                "the token is not valid (unknown, expired or revoked, or its account is disabled): make another one "
                "with `accesstrail users token NAME --out FILE`",
                code="token_refused",
            )
        return account


def forget_totp(connection: sqlite3.Connection, name: str) -> None:
    """Takes the second factor and its recovery codes away."""
    connection.execute(
        "UPDATE accounts SET totp_secret = NULL, totp_confirmed = 0, totp_last_step = 0 WHERE name = ?", (name,)
    )
    connection.execute("DELETE FROM recovery_codes WHERE name = ?", (name,))


def _known(connection: sqlite3.Connection, name: str) -> _Known | None:
    row = connection.execute(f"SELECT {_KNOWN_BY} FROM accounts WHERE name = ?", (name,)).fetchone()
    return None if row is None else _Known(row[0], row[1], row[2], row[3], row[4], bool(row[5]), row[6])


def _refusal() -> Forbidden:
    return Forbidden(
        "refused: name, password or one-time code is wrong, or the account is disabled. Where a second factor is "
        "enrolled, a code that was not used before is needed",
        code="login_refused",
    )


def _refuse_locked(known: _Known, at_us: int) -> None:
    until_us = locked_until_us(known.failures, known.last_failure_us)
    if known.failures >= FREE_FAILURES and at_us < until_us:
        wait_s = -(-(until_us - at_us) // 1_000_000)
        raise Forbidden(f"too many wrong passwords or codes: try again in {wait_s} s", code="login_locked")


def _second_factor(connection: sqlite3.Connection, name: str, known: _Known, code: str | None, at_us: int) -> bool:
    """Whether the second factor is right, or none is enrolled; what was used cannot be used again."""
    if not known.totp_confirmed or known.totp_secret is None:
        return True
    if code is None:
        return False
    step = secret.accepted_step(known.totp_secret, code, at_us, known.totp_last_step)
    if step is not None:
        connection.execute("UPDATE accounts SET totp_last_step = ? WHERE name = ?", (step, name))
        return True
    return _recovered(connection, name, code, at_us)


def _recovered(connection: sqlite3.Connection, name: str, code: str, at_us: int) -> bool:
    wanted = secret.recovery_digest(code)
    if wanted is None:
        return False
    kept = [row[0] for row in connection.execute("SELECT digest FROM recovery_codes WHERE name = ?", (name,))]
    used = secret.same(kept, wanted)
    if used is None:
        return False
    connection.execute("DELETE FROM recovery_codes WHERE name = ? AND digest = ?", (name, used))
    rows.record(connection, at_us, name, name, "recovery_code_used", detail=f"{len(kept) - 1} left")
    return True


def _welcome(connection: sqlite3.Connection, name: str, password_hash: str) -> None:
    connection.execute("UPDATE accounts SET failures = 0, password_hash = ? WHERE name = ?", (password_hash, name))


def _count_failure(connection: sqlite3.Connection, name: str, known: _Known, at_us: int) -> None:
    failures = known.failures + 1
    # Never back in time: a clock set back would else end a lock-out early.
    last_us = max(at_us, known.last_failure_us)
    connection.execute(
        "UPDATE accounts SET failures = ?, last_failure_us = ? WHERE name = ?", (failures, last_us, name)
    )
    if failures >= FREE_FAILURES:
        detail = f"{failures} failures, {wait_us(failures) // 1_000_000} s"
        rows.record(connection, at_us, name, name, "locked", detail=detail)
