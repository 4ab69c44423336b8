"""Cuts a simulated company's events in two at a day, by event time: what came before teaches, the rest is scored."""

from __future__ import annotations

import argparse
import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import zstandard

from pipeline.timestamps import utc_us

CHINA_H = 8


class _Timed(msgspec.Struct):
    event_time: str


def split(folder: Path, first_scored: date) -> None:
    """Writes history.ndjson.zst and rest.ndjson.zst; a line without a time goes to the rest."""
    midnight = datetime(first_scored.year, first_scored.month, first_scored.day, tzinfo=UTC) - timedelta(hours=CHINA_H)
    cut_us = int(midnight.timestamp()) * 1_000_000
    time_of = msgspec.json.Decoder(_Timed).decode
    with (
        (folder / "events.ndjson.zst").open("rb") as raw,
        (folder / "history.ndjson.zst").open("wb") as history,
        (folder / "rest.ndjson.zst").open("wb") as rest,
        zstandard.ZstdCompressor(level=1).stream_writer(history) as before,
        zstandard.ZstdCompressor(level=1).stream_writer(rest) as after,  # a compressor has one stream at a time
    ):
        for line in io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw)):
            (before if _is_before(time_of(line).event_time, cut_us) else after).write(line)


def _is_before(text: str, cut_us: int) -> bool:
    try:
        return utc_us(text) < cut_us
    except ValueError:
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate.split")
    parser.add_argument("folder", type=Path)
    parser.add_argument("day", type=date.fromisoformat)
    options = parser.parse_args()
    split(options.folder, options.day)
