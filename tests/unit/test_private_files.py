"""Files of secrets: closed, small, one line; and new ones that nothing is lost by."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pipeline.private_files import LONGEST_BYTES, line_in, write_new


def closed(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [b"hush hush", b"hush hush\n", b"hush hush\r\n"])
def test_the_line_is_read_without_its_end(content: bytes, tmp_path: Path) -> None:
    assert line_in(closed(tmp_path, content)) == ("hush hush", "")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "is no UTF-8 text"), (b"a\x00b", "must hold one line"),
        (b"two\nlines", "must hold one line"), (b"x" * (LONGEST_BYTES + 1), "is longer than"),
    ],
)  # fmt: skip
def test_what_is_no_secret_is_told_and_not_shown(content: bytes, fault: str, tmp_path: Path) -> None:
    text, found = line_in(closed(tmp_path, content))
    assert (text, found.startswith(fault)) == ("", True)
    assert "two" not in found


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_what_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    assert line_in(closed(tmp_path, b"hush", mode)) == ("", "can be read by others: run chmod 600 on it")


def test_a_folder_and_nothing_are_no_files(tmp_path: Path) -> None:
    assert line_in(tmp_path)[1] == line_in(tmp_path / "absent")[1] == "is no file"


def test_a_pipe_is_read_whatever_its_mode(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"hush\n")
    os.close(writing)
    try:
        assert line_in(Path(f"/dev/fd/{reading}")) == ("hush", "")
    finally:
        os.close(reading)


def test_a_new_file_is_closed_and_nothing_is_written_over_or_through_a_link(tmp_path: Path) -> None:
    write_new(tmp_path / "new", "hush")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("new", "link"):
        with pytest.raises(FileExistsError):
            write_new(tmp_path / name, "other")
    assert (tmp_path / "new").read_text() == "hush"
    assert not (tmp_path / "elsewhere").exists()
