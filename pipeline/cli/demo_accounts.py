"""The demo's accounts: one that its commands act as, two for whoever looks at the console.

Place in the flow: made by `demo.py` before the stack starts. Passwords and second factors are drawn anew for each demo
and shown on its terminal only; this process plays the authenticator app. Nothing here weakens the login: it is the one
that every deployment has.
"""

from __future__ import annotations

import secrets
import select
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.adapters.account_secrets import CODE_STEP_S, Credentials, Enrolment, Passwords, code_of
from pipeline.adapters.accounts import accounts_path, open_accounts
from pipeline.cli.acting import now_us
from pipeline.private_files import write_new

TOKEN_NAME = "demo.token"  # noqa: S105  a file's name
_ADMIN, _RESPONDER, _PRIVACY = "demo.admin", "demo.responder", "demo.privacy"
_ROLES = ("soc", "responder", "analyst")
_REASON = "thrown away with the demo"
_TOKEN_DAYS = 1

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SignIn:
    """How somebody signs in to the demo's console. `duty`: what the account is for."""

    name: str
    duty: str
    password: str = field(repr=False)
    enrolled: Enrolment = field(repr=False)

    def code(self, at_us: int) -> str:
        """The one-time code of a moment; each is taken once."""
        return code_of(self.enrolled, at_us)


def account_with_token(
    state_dir: Path, name: str, roles: Iterable[str], file: Path, *, admin: str = _ADMIN,
    passwords: Passwords | None = None,
) -> None:  # fmt: skip
    """An account in a folder of one's own, its token in a new file of mode 0600; nobody knows its password.

    The first one makes the account `admin` too, which has no token: nobody can act as it.
    """
    own = secrets.token_urlsafe(24)
    _add(state_dir, name, roles, own, admin, passwords)
    with open_accounts(state_dir, passwords=passwords) as accounts:
        token, _ = accounts.logins.new_token(
            name, Credentials(own, None), label="demo", days=_TOKEN_DAYS, at_us=now_us()
        )
    write_new(file, token + "\n")


def _add(
    state_dir: Path, name: str, roles: Iterable[str], password: str, admin: str, passwords: Passwords | None
) -> None:
    first, is_new = secrets.token_urlsafe(24), not accounts_path(state_dir).exists()
    with open_accounts(state_dir, create=is_new, passwords=passwords) as accounts:
        if is_new:
            accounts.add_first(admin, secrets.token_urlsafe(24), _REASON, now_us())
        accounts.add(admin, name, roles, first, _REASON, now_us())
        accounts.logins.change_password(name, Credentials(first, None), password, now_us())


def account_to_sign_in(
    state_dir: Path, name: str, roles: Iterable[str], duty: str, *, admin: str = _ADMIN,
    passwords: Passwords | None = None,
) -> SignIn:  # fmt: skip
    """An account with a password of its own and a second factor that this process has."""
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    _add(state_dir, name, roles, password, admin, passwords)
    given = Credentials(password, None)
    with open_accounts(state_dir, passwords=passwords) as accounts:
        enrolled = accounts.logins.begin_totp(name, given, now_us())
        # The step before the present one: what is used here shall not be missing at the first sign-in.
        before_us = now_us() - CODE_STEP_S * 1_000_000
        accounts.logins.confirm_totp(name, given, code_of(enrolled, before_us), now_us())
    return SignIn(name, duty, password, enrolled)


def demo_accounts(state_dir: Path, *, passwords: Passwords | None = None) -> Sequence[SignIn]:
    """The account the demo's commands act as (its token: `TOKEN_NAME`), and those that people sign in with."""
    account_with_token(state_dir, "demo.commands", _ROLES, state_dir / TOKEN_NAME, passwords=passwords)
    return (
        account_to_sign_in(state_dir, _RESPONDER, _ROLES, "handles incidents 处置事件", passwords=passwords),
        account_to_sign_in(state_dir, _PRIVACY, ("dpo",), "may reveal identities 可还原身份", passwords=passwords),
    )


def show_sign_in(address: str, accounts: Sequence[SignIn], say: Say) -> None:
    """Where the console is and how to sign in, with the codes of this moment."""
    say(f"\nThe console 控制台: {address}")
    for one in accounts:
        say(f"  {one.name:<15} password 密码 {one.password}   code 动态口令 {one.code(now_us())}   ({one.duty})")
    say(f"  A code holds for {CODE_STEP_S} seconds and is taken once; Enter shows the next ones.\n")


def show_codes_when_asked(accounts: Sequence[SignIn], say: Say) -> Callable[[], None]:
    """What a waiting demo calls again and again: Enter on its terminal shows the codes of the moment."""

    def look() -> None:
        if sys.stdin.isatty() and select.select([sys.stdin], [], [], 0)[0]:
            sys.stdin.readline()
            codes = "   ".join(f"{one.name} {one.code(now_us())}" for one in accounts)
            left_s = CODE_STEP_S - int(time.time()) % CODE_STEP_S
            say(f"  {codes}   (for {left_s} s)")

    return look
