"""Lines of files: every packing, every end of line, bounded memory, and damage that is said."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pipeline.errors import UsageError
from pipeline.sources.records import MAX_LINE_BYTES, Line, read_lines

CONTENT = b'{"a":1}\n\n{"b":"\xc3\xa9"}\r\n   \n{"c":3}'
EXPECTED = [(1, b'{"a":1}'), (3, b'{"b":"\xc3\xa9"}'), (4, b"   "), (5, b'{"c":3}')]

PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gz": gzip.compress,
    "gz in two members": lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:]),
    "zst": zstandard.ZstdCompressor().compress,
    "zst in two frames": lambda content: (
        zstandard.ZstdCompressor().compress(content[:9]) + zstandard.ZstdCompressor().compress(content[9:])
    ),
    "zst without size": lambda content: _streamed(content),
}


def _streamed(content: bytes) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(content) + packer.flush()


def lines(*paths: Path | str) -> list[tuple[int, bytes | None]]:
    return [(line.number, line.data) for line in read_lines([str(path) for path in paths])]


@pytest.mark.parametrize("packing", PACKINGS)
def test_every_packing_gives_the_same_lines_with_their_numbers(packing: str, tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(PACKINGS[packing](CONTENT))
    assert lines(path) == EXPECTED


@pytest.mark.parametrize("packing", PACKINGS)
def test_standard_input_is_read_and_left_open(packing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO(PACKINGS[packing](CONTENT))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(raw))
    assert lines("-") == EXPECTED
    assert not raw.closed


def test_files_follow_each_other_and_numbers_start_anew(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"x\ny\n")
    found = list(read_lines([str(tmp_path / "one"), str(tmp_path / "two")]))
    assert found == [Line(str(tmp_path / name), number, data) for name in ("one", "two") for number, data in
                     ((1, b"x"), (2, b"y"))]  # fmt: skip


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert lines(tmp_path / "empty") == []


@pytest.mark.parametrize("packing", ["plain", "gz", "zst"])
def test_a_line_above_the_bound_is_reported_and_the_next_one_read(packing: str, tmp_path: Path) -> None:
    path = tmp_path / "long"
    at_bound = b"y" * MAX_LINE_BYTES
    path.write_bytes(PACKINGS[packing](b"x" * (3 * MAX_LINE_BYTES) + b"\n" + at_bound + b"\nshort\n"))
    assert lines(path) == [(1, None), (2, at_bound), (3, b"short")]


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_packed_bomb_in_one_line_is_passed_over_in_bounded_memory(packing: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(PACKINGS[packing](b" " * (100 * 1024 * 1024) + b"\nafter"))
    tracemalloc.start()
    found = lines(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [(1, None), (2, b"after")]
    assert peak_bytes < 40 * 1024 * 1024


@pytest.mark.parametrize("packing", ["gz", "zst", "zst without size"])
def test_a_file_that_ends_early_is_said_to_be_damaged(packing: str, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    whole = PACKINGS[packing](b"".join(b'{"n":%d}\n' % number for number in range(10_000)))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="damaged after line") as caught:
        lines(path)
    assert str(path) in str(caught.value)


def test_damage_in_the_middle_is_said(tmp_path: Path) -> None:
    for packing in ("gz", "zst"):
        packed = bytearray(PACKINGS[packing](b"".join(b'{"n":%d}\n' % number for number in range(10_000))))
        packed[len(packed) // 3 : len(packed) // 3 + 40] = bytes(40)
        (tmp_path / "bad").write_bytes(packed)
        with pytest.raises(UsageError, match="damaged"):
            lines(tmp_path / "bad")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.ndjson", tmp_path):
        with pytest.raises(UsageError) as caught:
            lines(path)
        assert str(path) in str(caught.value)
