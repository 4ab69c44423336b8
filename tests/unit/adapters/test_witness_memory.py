"""What a witness saw is on the disk before it counts as remembered, and a file that is damaged is not begun anew."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.adapters.witness_memory import WitnessFile
from pipeline.errors import ConfigError

ONE, OTHER = "accesstrail/one", "accesstrail/other"
ROOT, NEWER = sha256(b"root").digest(), sha256(b"newer").digest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "witness.json"


def test_what_was_seen_is_known_after_a_restart(path: Path) -> None:
    memory = WitnessFile(path)
    assert memory.newest(ONE) is None
    for size, root in ((3, ROOT), (2**53 + 1, NEWER)):
        memory.remember(ONE, size, root)
        memory.remember(OTHER, 1, ROOT)
        for known in (memory, WitnessFile(path)):
            assert known.newest(ONE) == (size, root)
            assert known.newest(OTHER) == (1, ROOT)
            assert known.newest("accesstrail/third") is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"one": 3}', b'{"one": [3]}', b'{"one": ["x", "00"]}', b'{"one": [3, "x"]}'],
)
def test_a_damaged_file_is_no_empty_memory(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="restore it from a copy"):
        WitnessFile(path)
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_no_memory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="restore it from a copy"):
        WitnessFile(tmp_path)


def test_the_file_is_replaced_in_one_step_and_only_when_the_new_one_is_on_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = WitnessFile(path)
    memory.remember(ONE, 3, ROOT)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk"):
        memory.remember(ONE, 9, NEWER)
    assert path.read_bytes() == before
    assert memory.newest(ONE) == WitnessFile(path).newest(ONE) == (3, ROOT)
    monkeypatch.undo()
    memory.remember(ONE, 9, NEWER)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert WitnessFile(path).newest(ONE) == (9, NEWER)
