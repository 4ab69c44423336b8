"""`accesstrail replay` before it asks any server: what it wants to be told, and what it will not do."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.replay import replay_command
from pipeline.errors import UsageError
from pipeline.privacy.keys import new_key_file


@pytest.fixture
def config(tmp_path: Path) -> str:
    new_key_file(tmp_path / "keys.json")
    (tmp_path / "directory").mkdir()
    passwords = "".join(f'{role}_password_file = "keys.json"\n' for role in ("migrator", "writer", "reader"))
    (tmp_path / "config.toml").write_text(
        f'[kafka]\nbootstrap_servers = "127.0.0.1:1"\n[clickhouse]\nnative_port = 1\n{passwords}'
        '[protection]\ntoken_keys_file = "keys.json"\n[detection]\ndirectory = "directory"\n',
        encoding="utf-8",
    )
    return str(tmp_path / "config.toml")


def _run(*words: str) -> None:
    CliRunner().invoke(replay_command, list(words), standalone_mode=False, catch_exceptions=False)


@pytest.mark.parametrize("both", [True, False])
def test_it_compares_or_fills_a_store_and_says_so(config: str, *, both: bool) -> None:
    words = ("--check", "--into", config) if both else ()
    with pytest.raises(UsageError, match="--check to compare, or --into"):
        _run("--config", config, *words)


def test_it_never_writes_into_the_store_it_replays(config: str) -> None:
    with pytest.raises(UsageError, match="the store that is replayed"):
        _run("--config", config, "--into", config)
