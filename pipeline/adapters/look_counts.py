"""What an account has looked at today: what the store shows of its looks, and what Kafka has and the store may not yet.

Place in the flow: under `pipeline/cli/look_quota.py`, for commands and console alike. Looks that were told are noted in
a file beside the accounts, since a command is a process of its own and the next one must know of it; a look that both
have counts once, by the id of its event. The file holds pseudonyms and numbers, for two hours behind the newest look.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import IO, NamedTuple

from pipeline.adapters.reader_pool import RowQuestions
from pipeline.audit.quota import Used
from pipeline.audit.reads import RESOURCE_PREFIX, SOURCE_SYSTEM
from pipeline.privacy.key_file import Keys

_log = logging.getLogger(__name__)

TOLD_LOOKS = "looks-told"
_HOUR_US = 3_600_000_000
_FRESH_US = 10_000_000
_USED = (
    "SELECT count(), sum(toUInt64(greatest(records_returned, 0))) FROM accesstrail.access_events "
    "WHERE tenant_id = {tenant:String} "
    "AND toDate(event_time) >= toDate(fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')) "
    "AND event_time >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC') "
    "AND actor_token IN (SELECT toFixedString(unhex(arrayJoin({actors:Array(String)})), 16)) "
    "AND source_system = {source:String} AND startsWith(resource_type, {prefix:String}) "
    "AND outcome != 'denied' AND action != 'delete' AND duplicate_of < 0 "
    "AND NOT has({told:Array(String)}, toString(event_id))"
)


class Told(NamedTuple):
    """One look that Kafka has acknowledged. `actor`: its token, hex."""

    read_id: str
    actor: str
    at_us: int
    rows: int


class ToldLooks:
    """The file of the last hour's looks; shared by processes and threads. A file that cannot be used counts nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, told: Told) -> None:
        """Notes one."""
        try:
            with self._opened() as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                held = _read(file)
                if held and held[0].at_us < told.at_us - 2 * _HOUR_US:  # not at every look of a busy hour
                    file.seek(0)
                    file.truncate()
                    file.writelines(f"{json.dumps(one)}\n" for one in held if one.at_us > told.at_us - _HOUR_US)
                file.write(f"{json.dumps(told)}\n")
        except OSError as exc:
            _log.warning("looks are counted from the store alone: %s cannot be written: %s", TOLD_LOOKS, exc.strerror)

    def of(self, actors: Sequence[str], from_us: int) -> list[Told]:
        """An account's, told since a moment."""
        try:
            with self._opened() as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                return [one for one in _read(file) if one.actor in actors and one.at_us >= from_us]
        except OSError as exc:
            _log.warning("looks are counted from the store alone: %s cannot be read: %s", TOLD_LOOKS, exc.strerror)
            return []

    def _opened(self) -> IO[str]:
        opened = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(opened, "r+", encoding="utf-8", errors="replace")


def _read(file: IO[str]) -> list[Told]:
    """Every line that is one of ours; a torn one at the end counts nothing."""
    file.seek(0)
    found = []
    for line in file:
        try:
            read_id, actor, at_us, rows = json.loads(line)
            found.append(Told(str(read_id), str(actor), int(at_us), int(rows)))
        except (ValueError, TypeError):
            continue
    return found


class LookCounts:
    """Counts over one connection or a pool; may be shared between threads. A count of the store is kept ten seconds."""

    def __init__(self, questions: RowQuestions, keys: Keys, tenant: str, told: ToldLooks) -> None:
        self._questions, self._keys, self._tenant, self._told = questions, keys, tenant, told
        self._lock = Lock()
        self._kept: dict[str, tuple[int, int, Used]] = {}
        """By account: from when, asked at, what the store had without the looks of the file."""

    def used(self, account: str, from_us: int, now_us: int) -> Used:
        """What an account has looked at since a moment. Raises: Away; StoreRefused."""
        actors = [one.hex() for one in self._keys.current.tokens(self._tenant, "actor", account)]
        told = self._told.of(actors, max(from_us, now_us - _HOUR_US))
        stored = self._stored(account, actors, from_us, now_us, [one.read_id for one in told])
        return Used(stored.looks + len(told), stored.rows + sum(one.rows for one in told))

    def note(self, account: str, read_id: str, at_us: int, rows: int) -> None:
        """A look that Kafka has."""
        actor = self._keys.current.token(self._tenant, "actor", account).hex()
        self._told.add(Told(read_id, actor, at_us, rows))

    def _stored(self, account: str, actors: Sequence[str], from_us: int, now_us: int, told: Sequence[str]) -> Used:
        with self._lock:
            kept = self._kept.get(account)
        if kept is not None and kept[0] == from_us and now_us - kept[1] < _FRESH_US:
            return kept[2]
        given = {
            "tenant": self._tenant, "from_us": from_us, "actors": list(actors), "source": SOURCE_SYSTEM,
            "prefix": RESOURCE_PREFIX, "told": list(told),
        }  # fmt: skip
        [(looks, rows)] = self._questions.query(_USED, given)
        used = Used(int(looks), int(rows))
        with self._lock:
            self._kept[account] = (from_us, now_us, used)
        return used
