"""The last act of `accesstrail demo`: the worst finding's incident is acknowledged and closed, as a responder would.

Place in the flow: called by `demo.py` once alerts are there. It runs the same commands as a person, as an account of
its own that nobody can log in to: its passwords are random and thrown away, its token lies in the demo's folder (0600)
and ends after a day.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from pipeline.adapters.account_secrets import Credentials, Passwords
from pipeline.adapters.accounts import accounts_path, open_accounts
from pipeline.adapters.incident_reading import open_incident_reader
from pipeline.audit.incidents import IncidentView
from pipeline.cli.acting import now_us
from pipeline.config import Settings
from pipeline.errors import LocalStackError
from pipeline.private_files import write_new

TOKEN_NAME = "demo.token"  # noqa: S105  a file's name
_ADMIN, _RESPONDER = "demo.admin", "demo.responder"
_ROLES = ("soc", "responder", "analyst")
_REASON = "thrown away with the demo"
_PATIENCE_S, _POLL_S = 60, 0.25
_TOKEN_DAYS = 1


def account_with_token(
    state_dir: Path, name: str, roles: Iterable[str], file: Path, *, admin: str = _ADMIN,
    passwords: Passwords | None = None,
) -> None:  # fmt: skip
    """An account in a folder of one's own, its token in a new file of mode 0600; nobody knows its password.

    The first one makes the account `admin` too, which has no token: nobody can act as it.
    """
    first, own = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    is_new = not accounts_path(state_dir).exists()
    with open_accounts(state_dir, create=is_new, passwords=passwords) as accounts:
        if is_new:
            accounts.add_first(admin, secrets.token_urlsafe(24), _REASON, now_us())
        accounts.add(admin, name, roles, first, _REASON, now_us())
        accounts.logins.change_password(name, Credentials(first, None), own, now_us())
        token, _ = accounts.logins.new_token(
            name, Credentials(own, None), label="demo", days=_TOKEN_DAYS, at_us=now_us()
        )
    write_new(file, token + "\n")


def demo_account(state_dir: Path) -> None:
    """The account that the demo acts as."""
    account_with_token(state_dir, _RESPONDER, _ROLES, state_dir / TOKEN_NAME)


def closed_incident(settings: Settings, state_dir: Path, actor: str, say: Callable[[str], None]) -> IncidentView:
    """Waits for the incident about this actor (token), acknowledges and closes it; as it stands then.

    Raises: LocalStackError: there is none in time, or a command failed.
    """
    with closing(open_incident_reader(settings.clickhouse)) as reader:
        deadline = time.monotonic() + _PATIENCE_S
        while not (found := [one for one in reader.listed() if one.actor_token == actor.lower()]):
            if time.monotonic() > deadline:
                raise LocalStackError("no incident appeared: see the responder's log in the state folder")
            time.sleep(_POLL_S)
        name = found[0].incident_id
        short = name[:8]
        for words in (
            ("ack", short),
            ("resolve", short, "--verdict", "true_positive", "--why", "the demo's own attack"),
        ):
            said = _command(state_dir, *words)
            say(f"  $ accesstrail incidents {' '.join(words[:2])}: {said}")
        closed = reader.incident(name)
        assert closed is not None  # noqa: S101  it was listed a moment ago
        return closed


def _command(state_dir: Path, *words: str) -> str:
    where = ("--state", str(state_dir), "--token-file", str(state_dir / TOKEN_NAME), "--wait", str(_PATIENCE_S))
    command = [sys.executable, "-m", "pipeline.cli", "incidents", *words, *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalStackError(f"`accesstrail incidents {words[0]}` failed: {done.stderr.strip()}", code="demo_refused")
    return done.stdout.strip()
