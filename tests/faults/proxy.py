"""A TCP proxy between a worker and its store that can be told to misbehave; real sockets, no product code.

All proxies of a process share one event loop in a thread of its own; their modes may be changed from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from enum import Enum

_CHUNK_BYTES = 1 << 16
_END_OF_STREAM = b"\x05"
"""Last byte of everything the store answers to a finished statement: its packet number, in the native protocol."""


class Mode(Enum):
    """What a proxy does with bytes."""

    PASS = "pass"
    REFUSE = "refuse"  # nobody is let in
    SWALLOW = "swallow"  # connections stay open, no byte arrives: a half-open connection
    LOSE_ANSWERS = "lose answers"  # requests arrive and are done, the answer is cut off
    DELAY = "delay"  # every chunk waits


class Proxy:
    """One listening port in front of one target on loopback."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target_port: int) -> None:
        self._loop, self._target_port = loop, target_port
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.mode = Mode.PASS
        self.delay_s = 0.2
        self.port = 0
        self.lost_answers = 0

    async def open(self) -> None:
        """Starts to listen at a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def set(self, mode: Mode) -> None:
        """From now on; connections that exist behave so too. REFUSE cuts them."""
        self.mode = mode
        if mode is Mode.REFUSE:
            self.cut()

    def cut(self) -> None:
        """Resets every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def close(self) -> None:
        """Ends it all."""
        self.mode = Mode.REFUSE
        self._loop.call_soon_threadsafe(self._close)

    def _cut(self) -> None:
        for writer in list(self._connections):
            writer.transport.abort()

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.REFUSE:
            writer.transport.abort()
            return
        self._connections.add(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            self._connections.discard(writer)
            return
        self._connections.add(up_writer)
        try:
            ways = (self._pump(reader, up_writer, answers=False), self._pump(up_reader, writer, answers=True))
            tasks = [asyncio.ensure_future(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for one in (writer, up_writer):
                one.transport.abort()
                self._connections.discard(one)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                if self.mode is Mode.SWALLOW:
                    continue
                if self.mode is Mode.LOSE_ANSWERS and answers and chunk.endswith(_END_OF_STREAM):
                    self.lost_answers += 1
                    return
                if self.mode is Mode.DELAY:
                    await asyncio.sleep(self.delay_s)
                writer.write(chunk)
                await writer.drain()


async def _end_tasks() -> None:
    """Ends what still pumps, and lets its connections be closed."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)


class Proxies:
    """The thread that carries every proxy of this process. Use as a context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._opened: list[Proxy] = []

    def __enter__(self) -> Proxies:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for proxy in self._opened:
            proxy.close()
        asyncio.run_coroutine_threadsafe(_end_tasks(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def open(self, target_port: int) -> Proxy:
        """A new proxy in front of a port on loopback."""
        proxy = Proxy(self._loop, target_port)
        self._opened.append(proxy)
        asyncio.run_coroutine_threadsafe(proxy.open(), self._loop).result(10)
        return proxy
