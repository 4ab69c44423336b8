"""How a command ends: a fault of ours is no verdict about evidence, and never repeats what was processed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from pipeline import cli
from pipeline.errors import Away


def _ended(monkeypatch: pytest.MonkeyPatch, raising: Callable[[], None], *words: str) -> int:
    @click.command("version")
    @click.option("--json", "as_json", is_flag=True)
    def command(as_json: bool) -> None:
        raising()

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: command)
    with pytest.raises(SystemExit) as caught:
        cli.main(["version", *words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def _raise(error: Exception) -> Callable[[], None]:
    def raising() -> None:
        raise error

    return raising


def test_a_fault_of_ours_is_70_with_its_place_and_without_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ended(monkeypatch, _raise(ValueError("Zhang Wei, 13812345678"))) == 70
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "test_main.py" in said
    assert "Zhang" not in said


def test_a_file_that_cannot_be_opened_is_named_and_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = tmp_path / "no" / "such" / "folder"

    def write() -> None:
        missing.write_text("x")

    assert _ended(monkeypatch, write) == 2
    assert f"{missing}: No such file or directory" in capsys.readouterr().err


def test_our_own_errors_keep_their_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _ended(monkeypatch, _raise(Away("no answer"))) == 69


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pipeline.cli", "version"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
