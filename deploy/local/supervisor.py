"""The parent process of the local stack: starts its children, restarts the dead with back-off, stops them in reverse.

What holds, also when this process is killed with -9: no child survives it (`tether`, `keeper`), the lock is free again
(`flock`), and the next start clears what was left. `STATE/run/stack.json` says what runs now, replaced in one step.
Must run in the main thread (signals, and the tether is to the starting thread).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO

from deploy.local.files import read_json, unwritable, write_json
from deploy.local.process import Child, Keeper, Service, end_leftover, start_ticks, tail
from pipeline.errors import LocalStackError

BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
# A child that ran this long has started well: its next death waits the shortest time again.
_HEALTHY_AFTER_S = 60.0
_POLL_S = 0.1
_LOG_TAIL_LINES = 8
_LOCK_TRY_S = 1.0

Progress = Callable[[str], None]


def run_file(state: Path) -> Path:
    """Where the supervisor says what runs."""
    return state / "run" / "stack.json"


def lock_file(state: Path) -> Path:
    """The file a running supervisor holds locked; it stays when the stack stops, and tells a local stack's folder."""
    return state / "run" / "lock"


class Stopped(Exception):
    """A person or the system asked the stack to stop."""


class _Slot:
    """A service, its present process, and when it may be started again."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.child: Child | None = None
        self.started_s = 0.0
        self.deaths = 0
        self.restart_at_s = 0.0
        self.fault = ""


class Supervisor:
    """Keeps the services of one state folder running. Use as a context manager: leaving it stops everything."""

    def __init__(self, state: Path, *, progress: Progress = lambda text: None) -> None:
        self._state = state
        self._progress = progress
        self._slots: list[_Slot] = []
        self._facts: dict[str, object] = {}
        self._stop = threading.Event()
        # While starting, a request to stop interrupts whatever is under way; later it is only noted.
        self._interruptible = False
        self._lock: IO[bytes] | None = None
        self._keeper: Keeper | None = None
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Supervisor:
        """Takes the lock and clears what an earlier run left.

        Raises: LocalStackError: another stack runs in this state folder.
        """
        self._lock = _locked(self._state)
        _clear_leftovers(self._state)
        self._keeper = Keeper()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, self._ask_to_stop)
        self.announce(state="starting")
        self._interruptible = True
        return self

    def __exit__(self, *exc: object) -> None:
        """Stops every child, the last started first."""
        self._interruptible = False
        try:
            self._stop_children()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)  # type: ignore[arg-type]
            if self._keeper is not None:
                self._keeper.close()
            for leftover in (self._state / "run").glob("*.json"):
                leftover.unlink(missing_ok=True)
            if self._lock is not None:
                self._lock.close()

    def announce(self, **facts: object) -> None:
        """Adds facts to the run file: `state` (starting, ready, stopping), addresses, whatever `status` shows."""
        self._facts.update(facts)
        try:
            self._write_run_file()
        except LocalStackError as exc:
            # A full disk must not end what still runs.
            self._progress(str(exc))

    def _write_run_file(self) -> None:
        write_json(
            run_file(self._state),
            {
                "pid": os.getpid(),
                "start_ticks": start_ticks(os.getpid()),
                **self._facts,
                "processes": [_described(slot.child) for slot in self._slots if slot.child is not None],
                "faults": [slot.fault for slot in self._slots if slot.child is None and slot.fault],
            },
        )

    def start(self, *services: Service) -> None:
        """Starts services side by side and waits until all are ready.

        Raises: LocalStackError: one ended or did not become ready; Stopped: a stop was asked for meanwhile.
        """
        slots = [_Slot(service) for service in services]
        for slot in slots:
            self._slots.append(slot)
            self._spawn(slot)
        self.announce()
        waiting = dict.fromkeys(slots, 1)
        while waiting:
            if self._stop.is_set():
                raise Stopped
            for slot in list(waiting):
                if self._is_ready(slot, waiting):
                    del waiting[slot]
            # What was ready before is kept running while later parts start.
            self._tend_all(slot for slot in self._slots if slot not in waiting)
            time.sleep(_POLL_S / 2)

    def watch(self) -> None:
        """Restarts what dies until a stop is asked for."""
        self._interruptible = False
        while not self._stop.wait(_POLL_S):
            self._tend_all(self._slots)

    def _tend_all(self, slots: Iterable[_Slot]) -> None:
        now_s = time.monotonic()
        for slot in slots:
            self._tend(slot, now_s)

    def _ask_to_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stop.set()
        if self._interruptible:
            self._interruptible = False
            raise Stopped

    def _spawn(self, slot: _Slot) -> None:
        assert self._keeper is not None  # noqa: S101  only inside the context
        slot.child = Child(slot.service, self._keeper)
        slot.started_s = time.monotonic()

    def _is_ready(self, slot: _Slot, attempts: dict[_Slot, int]) -> bool:
        service = slot.service
        if slot.child is None or slot.child.status() is not None:
            if attempts[slot] >= service.start_attempts:
                raise LocalStackError(_failure(service), code="start_failed")
            attempts[slot] += 1
            self._stop.wait(BACKOFF_S[0])
            self._spawn(slot)
            self.announce()
        # Alive is asked once more after ready: a port may be answered by somebody else's server.
        elif service.ready() and slot.child.status() is None:
            self._progress(f"{service.name} is ready after {time.monotonic() - slot.started_s:.1f} s")
            return True
        if time.monotonic() - slot.started_s > service.start_timeout_s:
            raise LocalStackError(
                f"{service.name} was not ready within {service.start_timeout_s:.0f} s; see {service.log}",
                code="start_failed",
            )
        return False

    def _tend(self, slot: _Slot, now_s: float) -> None:
        if slot.child is not None:
            status = slot.child.status()
            if status is None:
                return
            slot.child = None
            if now_s - slot.started_s > _HEALTHY_AFTER_S:
                slot.deaths = 0
            wait_s = BACKOFF_S[min(slot.deaths, len(BACKOFF_S) - 1)]
            slot.deaths += 1
            slot.restart_at_s = now_s + wait_s
            how = f"signal {-status}" if status < 0 else f"status {status}"
            reason = slot.service.explain()
            slot.fault = f"{slot.service.name} ended with {how}" + (f" ({reason})" if reason else "")
            self._progress(f"{slot.fault}; starting it again in {wait_s:.0f} s")
            self.announce()
        elif now_s >= slot.restart_at_s:
            try:
                self._spawn(slot)
            except LocalStackError as exc:
                # A full disk, for one: the others go on, and this one is tried again.
                slot.restart_at_s = now_s + BACKOFF_S[-1]
                slot.fault = f"{slot.service.name} cannot be started: {exc}"
                self._progress(slot.fault)
            self.announce()

    def _stop_children(self) -> None:
        if any(slot.child for slot in self._slots):
            with contextlib.suppress(LocalStackError):
                self.announce(state="stopping")
        for slot in reversed(self._slots):
            if slot.child is None:
                continue
            if not slot.child.stop():
                self._progress(f"{slot.service.name} did not stop within {slot.service.stop_timeout_s:.0f} s: killed")
            slot.child = None


def _described(child: Child) -> dict[str, object]:
    return {
        "name": child.service.name,
        "pid": child.pid,
        "since": child.since.isoformat(timespec="seconds"),
        "start_ticks": start_ticks(child.pid),
    }


def _failure(service: Service) -> str:
    lines = [line for line in tail(service.log).splitlines() if line.strip()][-_LOG_TAIL_LINES:]
    text = "\n".join(f"    {line[:200]}" for line in lines)
    reason = service.explain() or "it ended by itself; the last lines of its log say why"
    return f"{service.name} could not start: {reason}\n  {service.log}:\n{text}"


def _locked(state: Path) -> IO[bytes]:
    try:
        lock = lock_file(state).open("ab")
    except OSError as exc:
        raise unwritable(lock_file(state), exc) from exc
    if not _takes(lock):
        lock.close()
        pid = (read_json(run_file(state)) or {}).get("pid", "unknown")
        raise LocalStackError(
            f"a local stack already runs in {state} (process {pid}): use it, or stop it with "
            f"`accesstrail down --state {state}`",
            code="already_running",
        )
    return lock


def _takes(lock: IO[bytes]) -> bool:
    """Takes the lock. Tried for a moment: `is_locked` in another process holds it for microseconds while it asks."""
    give_up_s = time.monotonic() + _LOCK_TRY_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_s:
                return False
            time.sleep(_POLL_S / 10)
        else:
            return True


def _clear_leftovers(state: Path) -> None:
    """Ends children of a killed parent that are still dying, and removes the files that spoke of them."""
    for pid, ticks in _recorded(read_json(run_file(state)) or {}):
        end_leftover(pid, ticks)
    for path in (state / "run").glob("*.json"):
        path.unlink(missing_ok=True)


def _recorded(document: dict[str, object]) -> Iterator[tuple[int, int]]:
    processes = document.get("processes")
    for entry in processes if isinstance(processes, list) else []:
        if isinstance(entry, dict):
            pid, ticks = entry.get("pid"), entry.get("start_ticks")
            if isinstance(pid, int) and isinstance(ticks, int):
                yield pid, ticks


def is_locked(state: Path) -> bool:
    """Whether a supervisor runs in this state folder now."""
    try:
        with lock_file(state).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
