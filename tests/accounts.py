"""Accounts for tests: made through the adapter itself, with passwords that cost little to check."""

from __future__ import annotations

from pathlib import Path

from pipeline.adapters.account_secrets import Passwords
from pipeline.cli.demo_accounts import account_with_token

ADMIN = "root.admin"


def cheap_passwords() -> Passwords:
    """Of the real kind, at a price that tests can pay."""
    return Passwords(time_cost=1, memory_kib=8, parallelism=1)


def token_file(state_dir: Path, name: str, *roles: str) -> Path:
    """An account with these roles in a state folder, the admin before it where there is none; the file of its token."""
    state_dir.mkdir(parents=True, exist_ok=True)
    path = state_dir / f"{name}.token"
    account_with_token(state_dir, name, roles, path, admin=ADMIN, passwords=cheap_passwords())
    return path
