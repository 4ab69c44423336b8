"""What changes by itself: one snapshot for all viewers, taken every two seconds while somebody watches, sent as events.

Place in the flow: `Snapshots` is asked by the overview's first paint and by `Broadcast`, whose one task serves every
open stream; fifty viewers cost one set of questions. Server-sent events (HTML Living Standard, 9.2) carry HTML that the
server made, one text for each language and view.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from dashboards.console.outages import dependency_of
from dashboards.console.ports import LiveFacts, Parts
from dashboards.console.rendering import Renderer
from dashboards.console.sessions import Sessions
from dashboards.console.verdict import Sentence, level_of, sentences
from dashboards.console.visit import Visit
from dashboards.console.words import TAGS, Language, said
from pipeline.errors import AccesstrailError, Away

EVERY_S = 2.0
FRESH_US = 4_000_000
"""A first paint takes a snapshot that is younger than this; else it takes one itself."""
STALE_US = 20_000_000
"""While somebody else takes one, a first paint takes the last one up to this age: the stream mends it in a moment."""
HEARTBEAT_S = 15.0
MOST_STREAMS = 500
STREAMS_OF_A_SESSION = 6


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at a moment; `facts` None: what is needed was away, `code` says what."""

    at_us: int
    facts: LiveFacts | None
    code: str = ""
    since_us: int = 0


class Snapshots:
    """Takes snapshots, one at a time, for every thread."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._newest: Snapshot | None = None

    def fresh(self, fresh_us: int = FRESH_US) -> Snapshot:
        """One that is younger than `fresh_us`, taken now where there is none; nobody waits behind one being taken."""
        last = self._young(STALE_US)
        if last is None:
            self._lock.acquire()
        elif not self._lock.acquire(blocking=False):
            return last
        try:
            young = self._young(fresh_us)
            if young is None:
                young = self._newest = self._taken(self._parts.now_us())
            return young
        finally:
            self._lock.release()

    def _young(self, age_us: int) -> Snapshot | None:
        newest = self._newest
        return newest if newest is not None and 0 <= self._parts.now_us() - newest.at_us < age_us else None

    def _taken(self, now_us: int) -> Snapshot:
        try:
            return Snapshot(now_us, self._parts.live.facts())
        except Away as exc:
            since_us = self._parts.outages.failed(dependency_of(exc.code), now_us)
            return Snapshot(now_us, None, exc.code, since_us)
        except AccesstrailError as exc:
            return Snapshot(now_us, None, exc.code)


def verdict_values(snapshot: Snapshot, language: Language, *, sees_incidents: bool) -> dict[str, object]:
    """What the part of a page that shows the verdict needs."""
    if snapshot.facts is None:
        dependency = dependency_of(snapshot.code)
        key = f"error.away.{dependency}" if dependency in ("store", "kafka") else "error.store_refused"
        found = [Sentence("bad", said(key, language))]
    else:
        found = list(sentences(snapshot.facts, snapshot.at_us, language, sees_incidents=sees_incidents))
    gravest = snapshot.facts.gravest if snapshot.facts is not None and sees_incidents else ()
    away_for_us = snapshot.at_us - snapshot.since_us if snapshot.since_us else 0
    return {
        "sentences": found, "level": level_of(found), "gravest": gravest, "now_us": snapshot.at_us,
        "away_for_us": away_for_us, "lang": TAGS[language],
    }  # fmt: skip


VERDICT = "verdict_part.html"
_Text = Callable[[Language, bool], str]


class Broadcast:
    """Streams of the overview. Lives in the event loop; one task runs while there is a viewer."""

    def __init__(self, parts: Parts, snapshots: Snapshots, sessions: Sessions, renderer: Renderer) -> None:
        self._parts, self._snapshots, self._sessions, self._renderer = parts, snapshots, sessions, renderer
        self._viewers: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._texts: dict[tuple[Language, bool], str] = {}
        self._is_closing = False

    @property
    def viewers(self) -> int:
        """Streams that are open."""
        return sum(self._viewers.values())

    def has_room(self, visit: Visit) -> bool:
        """Whether one more stream is allowed, in all and of this session."""
        own = self._viewers.get(visit.session.csrf, 0) if visit.session else 0
        return self.viewers < MOST_STREAMS and own < STREAMS_OF_A_SESSION

    async def events(self, visit: Visit) -> AsyncIterator[str]:
        """The stream of one viewer, until the session ends or the viewer goes."""
        assert visit.session is not None  # noqa: S101  the route needs one
        name = visit.session.csrf
        self._viewers[name] = self._viewers.get(name, 0) + 1
        try:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run())
            clock, last = asyncio.get_running_loop().time, ""
            heard_s = clock()
            while not self._is_closing and await run_in_threadpool(self._still_in, visit):
                changed = self._changed
                text = self._texts.get((visit.language, visit.may("read_incidents")), "")
                if text and text != last:
                    last, heard_s = text, clock()
                    yield _event("verdict", text)
                elif clock() - heard_s >= HEARTBEAT_S:  # snapshots that change nothing come all the time
                    heard_s = clock()
                    yield ": still here\n\n"
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_S)
            yield _event("over", "")
        finally:
            self._viewers[name] -= 1
            if not self._viewers[name]:
                del self._viewers[name]

    def close(self) -> None:
        """Ends every stream: the server stops."""
        self._is_closing = True
        self._changed.set()

    def _still_in(self, visit: Visit) -> bool:
        """Whether the session has not ended and its account stands as it did."""
        assert visit.session is not None  # noqa: S101
        if not self._sessions.is_alive(visit.session):
            return False
        try:
            _, standing = self._parts.accounts.standing(visit.session.account)
        except AccesstrailError:
            return True  # busy: asked again at the next turn
        return standing == visit.session.standing

    async def _run(self) -> None:
        """Takes a snapshot every two seconds while anybody watches."""
        while self._viewers and not self._is_closing:
            self._texts = await run_in_threadpool(self._made)
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()
            await asyncio.sleep(EVERY_S)

    def _made(self) -> dict[tuple[Language, bool], str]:
        snapshot = self._snapshots.fresh(round(EVERY_S * 500_000))
        return {
            (language, sees): self._renderer.part(
                VERDICT, language, verdict_values(snapshot, language, sees_incidents=sees)
            )
            for language in TAGS
            for sees in (False, True)
        }


def _event(name: str, text: str) -> str:
    lines = "".join(f"data: {line}\n" for line in text.splitlines()) or "data:\n"
    return f"event: {name}\n{lines}\n"
