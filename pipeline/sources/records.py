"""Lines of files: NDJSON as it lies on disk, plain, gzip or zstd, or standard input, one bounded line at a time.

First step of `accesstrail ingest` and of the offline commands. Compression is told by the first bytes of the content
(RFC 1952, RFC 8878), not by the file's name. Memory is bounded by one line whatever the file's size; a longer line is
reported and passed over, never held.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

import zstandard

from pipeline.errors import UsageError

MAX_LINE_BYTES = 2 * 1024 * 1024
STANDARD_INPUT = "-"

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BUFFER_BYTES = 256 * 1024
# A zstd block of 4 bytes can stand for 128 KiB: this many bytes at once unpack to 8 MiB at the very most.
_ZSTD_INPUT_BYTES = 256


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank: where it stands (`number` from 1) and its bytes without the line's end.

    `data` is None where the line is longer than the bound.
    """

    path: str
    number: int
    data: bytes | None


def read_lines(paths: Iterable[str], *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """All lines of these files in order; `-` is standard input.

    Raises: UsageError: a file is missing, may not be read, or is damaged (the line reached is named).
    """
    for path in paths:
        yield from _lines_of(path, max_line_bytes)


class _Lines(Protocol):
    """What is read from: bytes up to a line's end or up to `size`."""

    def readline(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""


def _lines_of(path: str, max_line_bytes: int) -> Iterator[Line]:
    number = 0
    try:
        with ExitStack() as closing:
            stream = _opened(path, closing)
            while chunk := stream.readline(max_line_bytes + 1):
                number += 1
                if len(chunk) > max_line_bytes and not chunk.endswith(b"\n"):
                    _pass_over(stream)
                    yield Line(path, number, None)
                elif data := chunk.rstrip(b"\r\n"):
                    yield Line(path, number, data)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as exc:
        raise UsageError(
            f"{path} is damaged after line {number}: its compressed content ends early or is wrong; fetch it again"
        ) from exc
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def _opened(path: str, closing: ExitStack) -> _Lines:
    """The content of a file, unpacked as it is read; standard input is left open."""
    if path == STANDARD_INPUT:
        packed = io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer), _BUFFER_BYTES)
        closing.callback(packed.detach)
    else:
        packed = closing.enter_context(io.BufferedReader(io.FileIO(path), _BUFFER_BYTES))
    start = packed.peek(4)
    if start.startswith(_GZIP):
        return closing.enter_context(io.BufferedReader(gzip.GzipFile(fileobj=packed), _BUFFER_BYTES))
    if start.startswith(_ZSTD):
        return closing.enter_context(io.BufferedReader(_ZstdFrames(packed), _BUFFER_BYTES))
    return packed


class _ZstdFrames(io.RawIOBase):
    """Unpacks zstd frames one after another.

    Why not the library's stream reader: it takes a file that ends in the middle of a frame for a whole one.
    """

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__()
        self._packed = packed
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._inside = False
        self._unpacked = memoryview(b"")

    def readable(self) -> bool:
        """True: this is what a buffered reader asks."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # narrower than any buffer
        """Fills `buffer`; 0 at the end.

        Raises: EOFError: the file ends within a frame; zstandard.ZstdError: it is damaged.
        """
        while not self._unpacked:
            if not self._unpack():
                return 0
        count = min(len(buffer), len(self._unpacked))
        buffer[:count] = self._unpacked[:count]
        self._unpacked = self._unpacked[count:]
        return count

    def _unpack(self) -> bool:
        """Unpacks the next bytes; False at the end of the last frame."""
        packed = self._packed.read(_ZSTD_INPUT_BYTES)
        if self._frame.eof:
            packed = self._frame.unused_data + packed
            self._frame, self._inside = zstandard.ZstdDecompressor().decompressobj(), False
        if not packed:
            if self._inside:
                raise EOFError
            return False
        self._inside = True
        self._unpacked = memoryview(self._frame.decompress(packed))
        self._inside = not self._frame.eof
        return True


def _pass_over(stream: _Lines) -> None:
    """Reads to the end of the line without keeping it."""
    while (chunk := stream.readline(_BUFFER_BYTES)) and not chunk.endswith(b"\n"):
        pass
