"""Tells `access.events` of changes of accounts: each at least once, and twice under the same id, which is once.

Place in the flow: after a command that changed accounts, in front of every command that acts as one, and when a worker
starts. What was told is a number in the accounts' own file, moved only after Kafka has acknowledged: what could not be
told now is told by whoever comes next.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.accounts.change_events import change_event
from pipeline.adapters.accounts import accounts_path, open_accounts
from pipeline.ports import EventSender


def announce_account_changes(state_dir: Path, sender: EventSender) -> int:
    """Produces the events that are still to be told, oldest first; returns how many.

    Raises: Away: Kafka or the file is busy, repeat it; ConfigError: the topic is missing, or the file cannot be used.
    """
    if not accounts_path(state_dir).is_file():
        return 0
    told = 0
    with open_accounts(state_dir) as accounts:
        while True:
            register, changes = accounts.unannounced()
            if not changes:
                return told
            for change in changes:
                sender.send(change.by.encode(), change_event(change, register))
            sender.flush()
            accounts.mark_announced(changes[-1].number)
            told += len(changes)


def is_anything_unannounced(state_dir: Path) -> bool:
    """Whether there is something to tell; asked before anybody connects to Kafka for it. Raises: Away; ConfigError."""
    if not accounts_path(state_dir).is_file():
        return False
    with open_accounts(state_dir) as accounts:
        return bool(accounts.unannounced(limit=1)[1])
