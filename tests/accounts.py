"""Accounts for tests: made through the adapter itself, with passwords that cost little to check."""

from __future__ import annotations

import time
from pathlib import Path

from pipeline.adapters.account_secrets import Credentials, Passwords
from pipeline.adapters.accounts import accounts_path, open_accounts
from pipeline.private_files import write_new

_FIRST, _OWN = "the first of its kind", "and then its own one"
ADMIN = "root.admin"


def cheap_passwords() -> Passwords:
    """Of the real kind, at a price that tests can pay."""
    return Passwords(time_cost=1, memory_kib=8, parallelism=1)


def token_file(state_dir: Path, name: str, *roles: str) -> Path:
    """An account with these roles in a state folder, the admin before it where there is none; the file of its token."""
    now_us = time.time_ns() // 1000
    state_dir.mkdir(parents=True, exist_ok=True)
    with open_accounts(state_dir, create=not accounts_path(state_dir).exists(), passwords=cheap_passwords()) as made:
        if not made.all():
            made.add_first(ADMIN, _FIRST, "test", now_us)
        if name != ADMIN:
            made.add(ADMIN, name, roles, _FIRST, "test", now_us)
            made.logins.change_password(name, Credentials(_FIRST, None), _OWN, now_us)
        known = Credentials(_FIRST if name == ADMIN else _OWN, None)
        token, _ = made.logins.new_token(name, known, label="test", days=1, at_us=now_us)
    path = state_dir / f"{name}.token"
    write_new(path, token + "\n")
    return path
