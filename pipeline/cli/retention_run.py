"""One run of retention over every class, by a person's command or by the scheduler: never two at once.

Place in the flow: above the job's steps (`retention_job.py`). A file in the state folder is locked meanwhile, and the
lock ends with the process. Processes of other hosts share no such file; there the store's list of runs decides: what
was begun first is ended first, by whoever comes.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline.adapters.clickhouse import connect
from pipeline.adapters.evidence_reading import EvidenceReader
from pipeline.adapters.holds import HoldReader
from pipeline.adapters.retention import Due, RetentionStore
from pipeline.audit.rights_events import RETENTION as RETENTION_EVENT
from pipeline.audit.rights_events import RightsEvent
from pipeline.cli.acting import now_us
from pipeline.cli.announcing import announce_right
from pipeline.cli.retention_job import RetentionJob
from pipeline.config import RETENTION, Settings
from pipeline.errors import Away, ConfigError, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring
from pipeline.retention.runs import RetentionRun, run_of

LOCK = "retention.lock"
_LOOK_AGAIN_S = 0.5


def wanted_runs(settings: Settings, by: str) -> list[RetentionRun]:
    """What is due now, by class."""
    retention, at_us = settings.retention, now_us()
    return [
        run_of(str(uuid.uuid4()), name, days, max(days, retention.provision_days), at_us, by)
        for name, days in retention.classes.items()
    ]


def run_retention(
    settings: Settings, account: str, wait_s: float, *, is_system: bool = False
) -> Sequence[tuple[RetentionRun, Due]]:
    """Ends what was begun, then deletes what has had its time; what was done. `wait_s`: for an event to be sealed.

    Raises: UsageError: retention has no role; Away: not reachable, not sealed in time, or `retention_runs`: another one
    is under way; StoreRefused: evidence does not verify.
    """
    if RETENTION not in settings.clickhouse.password_files:
        raise UsageError("[clickhouse] retention_password_file is missing: retention has a role of its own")
    by = Keyring.load(settings.protection.token_keys_file).canonical.token(DEFAULT_TENANT, "actor", account).hex()

    def told(run: RetentionRun, due: Due) -> None:
        announce_right(settings.kafka, announcement(run, due, account, now_us(), is_system=is_system))

    with alone(settings.state_dir), closing(connect(settings.clickhouse, RETENTION)) as client:
        job = RetentionJob(
            RetentionStore(client), HoldReader(client), EvidenceReader(client), settings.ledger.deployment,
            told, lambda look: _await(look, wait_s),
        )  # fmt: skip
        ended = []
        for wanted in wanted_runs(settings, by):
            while (made := job.run(wanted)) is not None:
                ended.append(made)
                if made[0] == wanted:
                    break
        return ended


@contextmanager
def alone(state_dir: Path) -> Iterator[None]:
    """While it lasts, nobody else runs retention with this state folder. Raises: Away `retention_runs`; ConfigError."""
    path = state_dir / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise ConfigError([f"{path} cannot be written: {exc.strerror}"]) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Away(
                "another run of retention is under way: run it again when that has ended", code="retention_runs"
            ) from None
        yield
    finally:
        os.close(descriptor)


def announcement(
    run: RetentionRun, due: Due, account: str, at_us: int, *, is_system: bool = False
) -> RightsEvent:  # fmt: skip
    """What the ledger will know of a run."""
    reason = f"class {run.retention_class}, time is over after {run.days} days; held: {due.held}"
    return RightsEvent(
        event_id=run.run_id, at_us=at_us, account=account, kind=RETENTION_EVENT, endpoint="retention run",
        about=run.run_id, reason=reason, fingerprint=run.digest, rows=due.events + due.dead_letters,
        is_system=is_system,
    )  # fmt: skip


def _await(look: Callable[[], bool], wait_s: float) -> bool:
    until_s = time.monotonic() + wait_s
    while not look():
        if time.monotonic() >= until_s:
            return False
        time.sleep(_LOOK_AGAIN_S)
    return True
