"""A small TCP proxy before the store that can be cut: every connection ends at once, new ones are closed."""

from __future__ import annotations

import asyncio
import contextlib
import threading

_CHUNK_BYTES = 1 << 16


class Proxy:
    """Listens on a loopback port of its own and passes bytes on to `port`; runs in a thread."""

    def __init__(self, port: int) -> None:
        self._target, self._open, self._cut = port, set[asyncio.StreamWriter](), False
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True).start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result()
        self.port: int = server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Ends every connection; until `restore` nobody gets through."""
        self._loop.call_soon_threadsafe(self._close_all)

    def restore(self) -> None:
        """Passes on again."""
        self._cut = False

    def _close_all(self) -> None:
        self._cut = True
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._open |= {writer, there_writer}
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
            self._open -= {writer, there_writer}
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
