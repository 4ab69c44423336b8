"""Which system a command talks to."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.cli.options import config_path, settings_options
from pipeline.config import Settings
from pipeline.errors import ConfigError, UsageError


def test_a_local_stack_has_its_configuration_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    assert config_path(tmp_path, None, {}) == tmp_path / "config.toml"


def test_the_command_line_wins_over_the_environment(tmp_path: Path) -> None:
    environment = {"ACCESSTRAIL_CONFIG": "elsewhere.toml"}
    assert config_path(None, tmp_path / "a.toml", environment) == tmp_path / "a.toml"
    assert config_path(None, None, environment) == Path("elsewhere.toml")


def test_both_neither_and_an_empty_folder_are_usage_errors(tmp_path: Path) -> None:
    for state, config in ((tmp_path, tmp_path / "a.toml"), (None, None), (tmp_path, None)):
        with pytest.raises(UsageError):
            config_path(state, config, {})


def test_the_command_gets_checked_settings(tmp_path: Path) -> None:
    seen: list[Settings] = []

    @click.command()
    @click.argument("word")
    @settings_options
    def command(settings: Settings, word: str) -> None:
        seen.append(settings)

    (tmp_path / "config.toml").write_text("[kafka]\nbootstrap_servers = 3\n")
    result = CliRunner().invoke(command, ["x", "--state", str(tmp_path)])
    assert isinstance(result.exception, ConfigError)
    assert len(result.exception.faults) > 1
    assert not seen
