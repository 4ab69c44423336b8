"""Retention on a schedule: once a night what has had its time is deleted, beside the scheduled detectors.

Place in the flow: a turn of the scheduler that holds the lease (`runner.py`), so of several schedulers one begins. A
run may take hours, and detectors go on meanwhile: it has a thread of its own, which nobody waits for at the end. That
is safe at any step: whatever is killed is ended by the next run (`pipeline/cli/retention_job.py`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pipeline.errors import AccesstrailError, BrokenInvariant
from pipeline.schedule.runner import Versions

_log = logging.getLogger(__name__)
_AGAIN_US = 1_800_000_000
"""So long a night that failed is left alone."""


@dataclass(slots=True)
class RetentionProgress:
    """What retention says of itself."""

    is_running: bool = False
    ended_us: int = 0
    """When a night last ended well; 0: not since the scheduler began."""
    deleted: int = 0
    """Rows, since the scheduler began."""
    fault: AccesstrailError | None = None
    """Why the last night failed; None where it did not."""


def in_a_thread(work: Callable[[], None]) -> None:
    """Beside everything else; it ends with the process."""
    threading.Thread(target=work, name="retention", daemon=True).start()


@dataclass(slots=True)
class RetentionNights:
    """Begins what is due. `run`: deletes what has had its time, returns how many rows; raises errors of our tree.

    `hour`: of the deployment's local day, from which on the night's run may begin.
    """

    run: Callable[[], int]
    hour: int
    now_us: Callable[[], int]
    start: Callable[[Callable[[], None]], None] = in_a_thread
    progress: RetentionProgress = field(default_factory=RetentionProgress)
    _night: int = -1
    _failed_us: int = 0

    def turn(self, mark_us: int, versions: Versions) -> None:
        """Begins tonight's run, once; raises why the last one failed until one does not. Raises: AccesstrailError."""
        progress, now_us = self.progress, self.now_us()
        if not progress.is_running and self._is_due(now_us, versions.zone):
            progress.is_running = True
            self.start(self._work)
        if progress.fault is not None and not progress.is_running:
            raise progress.fault

    def _is_due(self, now_us: int, zone: ZoneInfo) -> bool:
        moment = datetime.fromtimestamp(now_us / 1_000_000, UTC).astimezone(zone)
        night = moment.date().toordinal()
        if moment.hour < self.hour or (self.progress.fault is not None and now_us - self._failed_us < _AGAIN_US):
            return False
        if night == self._night and self.progress.fault is None:
            return False
        self._night = night
        return True

    def _work(self) -> None:
        progress = self.progress
        try:
            progress.deleted += self.run()
            progress.fault, progress.ended_us = None, self.now_us()
        except AccesstrailError as exc:
            _log.error("retention failed: code=%s: %s", exc.code, exc)
            progress.fault, self._failed_us = exc, self.now_us()
        except Exception as exc:  # the thread's end: what is not ours is named by its kind, never by its words
            _log.error("retention broke: kind=%s", type(exc).__name__)
            progress.fault = BrokenInvariant(f"retention broke ({type(exc).__name__})")
            self._failed_us = self.now_us()
        finally:
            progress.is_running = False
