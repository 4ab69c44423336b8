"""Tells `access.events` of changes of accounts: each at least once, and twice under the same id, which is once.

Place in the flow: after a command that changed accounts, in front of every command that acts as one, and when a worker
starts. What was told is a number in the accounts' own file, moved only after Kafka has acknowledged: what could not be
told now is told by whoever comes next. One process tells at a time, so that workers that start together do not all of
them; the lock is a file beside, and ends with the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.accounts.change_events import change_event
from pipeline.adapters.accounts import accounts_path, open_accounts
from pipeline.errors import UsageError
from pipeline.ports import EventSender

LOCK_NAME = "accounts.announcing"


def announce_account_changes(state_dir: Path, sender: EventSender) -> int:
    """Produces the events that are still to be told, oldest first; returns how many; 0 where another process does.

    Raises: Away: Kafka or the file is busy, repeat it; ConfigError: the topic is missing, or the file cannot be used;
    UsageError: the folder cannot be written.
    """
    if not accounts_path(state_dir).is_file():
        return 0
    with _lock(state_dir) as is_ours:
        return _told(state_dir, sender) if is_ours else 0


def _told(state_dir: Path, sender: EventSender) -> int:
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


@contextmanager
def _lock(state_dir: Path) -> Iterator[bool]:
    """Whether it is ours. Not a lock on the accounts' file itself: closing that a second time would end SQLite's."""
    try:
        descriptor = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise UsageError(f"{state_dir / LOCK_NAME} cannot be opened: {exc.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
