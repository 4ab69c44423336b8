"""Settings: every fault at once, secrets only from closed files, the environment over the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.config import load
from pipeline.errors import EXIT_CONFIG, ConfigError

GOOD = """
[kafka]
bootstrap_servers = "127.0.0.1:9092"
[clickhouse]
migrator_password_file = "secret"
writer_password_file = "secret"
reader_password_file = "secret"
[protection]
token_keys_file = "secret"
[detection]
directory = "directory"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "directory").mkdir()
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "config.toml").write_text(GOOD, encoding="utf-8")
    return tmp_path


def test_a_good_file_gives_settings_with_the_documented_defaults(folder: Path) -> None:
    settings = load(folder / "config.toml", {})
    assert settings.kafka.partitions == 24
    assert settings.kafka.events_topic == "access.events"
    assert settings.detection.model is None


def test_the_environment_wins_over_the_file(folder: Path) -> None:
    settings = load(folder / "config.toml", {"ACCESSTRAIL_KAFKA_PARTITIONS": "8"})
    assert settings.kafka.partitions == 8


def test_every_fault_is_listed_at_once(folder: Path) -> None:
    (folder / "secret").chmod(0o644)
    text = GOOD.replace('bootstrap_servers = "127.0.0.1:9092"', "partitions = 0\nnonsense = 1")
    (folder / "config.toml").write_text(text.replace('"directory"', '"nowhere"') + "[extra]\na = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(folder / "config.toml", {})
    faults = "\n".join(caught.value.faults)
    for word in ("bootstrap_servers", "partitions", "nonsense", "chmod 600", "nowhere", "[extra]"):
        assert word in faults
    assert faults.count("chmod 600") == 4


def test_a_wrong_configuration_ends_a_command_with_exit_78(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.toml").write_text("[kafka]\npartitions = 0\n", encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main(["check", "--config", str(folder / "config.toml")])
    assert caught.value.code == EXIT_CONFIG
    assert "partitions" in capsys.readouterr().err


def test_what_is_no_toml_is_said(folder: Path) -> None:
    (folder / "config.toml").write_text("[kafka\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(folder / "config.toml", {})


def test_health_is_served_on_loopback_at_a_free_port_unless_said_otherwise(folder: Path) -> None:
    settings = load(folder / "config.toml", {})
    assert (settings.health.host, settings.health.port, settings.health.stalled_after_s) == ("127.0.0.1", 0, 120)
    changed = load(folder / "config.toml", {"ACCESSTRAIL_HEALTH_PORT": "9470", "ACCESSTRAIL_HEALTH_HOST": "0.0.0.0"})  # noqa: S104  probes
    assert (changed.health.host, changed.health.port) == ("0.0.0.0", 9470)  # noqa: S104
    with pytest.raises(ConfigError, match="stalled_after_s"):
        load(folder / "config.toml", {"ACCESSTRAIL_HEALTH_STALLED_AFTER_S": "1"})


def test_a_vault_needs_its_key_and_its_own_role(folder: Path) -> None:
    assert load(folder / "config.toml", {}).protection.vault_keys_file is None
    keys = {"ACCESSTRAIL_PROTECTION_VAULT_KEYS_FILE": "secret"}
    with pytest.raises(ConfigError, match="vault_password_file"):
        load(folder / "config.toml", keys)
    chosen = load(folder / "config.toml", {**keys, "ACCESSTRAIL_CLICKHOUSE_VAULT_PASSWORD_FILE": "secret"})
    assert chosen.protection.vault_keys_file == folder / "secret"
    (folder / "open").write_text("x", encoding="utf-8")
    (folder / "open").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load(folder / "config.toml", {**keys, "ACCESSTRAIL_PROTECTION_VAULT_KEYS_FILE": "open"})


def test_production_refuses_times_shorter_than_the_law_asks(folder: Path) -> None:
    path = folder / "config.toml"
    plain = path.read_text(encoding="utf-8")
    kept = load(path, {}).retention
    assert (kept.profile, kept.classes, kept.provision_days) == ("production", {"standard": 396}, 1127)
    path.write_text(f"{plain}\n[retention]\nprovision_days = 1095\n[retention.classes]\nstandard = 183\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert len(caught.value.faults) == 2
    lowest = load(path, {"ACCESSTRAIL_RETENTION_PROFILE": "test"}).retention
    assert lowest.classes == {"standard": 183}
    path.write_text(f"{plain}\n[retention.classes]\nstandard = 184\nshort = 0\nlong = 'x'\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert len(caught.value.faults) == 2


def test_retention_on_a_schedule_is_off_and_needs_its_own_role(folder: Path) -> None:
    path = folder / "config.toml"
    plain = path.read_text(encoding="utf-8")
    assert (load(path, {}).retention.nightly, load(path, {}).retention.nightly_hour) == (False, 3)
    path.write_text(f"{plain}\n[retention]\nnightly = true\nnightly_hour = 1\n", "utf-8")
    with pytest.raises(ConfigError, match="retention_password_file"):
        load(path, {})
    kept = load(path, {"ACCESSTRAIL_CLICKHOUSE_RETENTION_PASSWORD_FILE": "secret"}).retention
    assert (kept.nightly, kept.nightly_hour) == (True, 1)
    path.write_text(f"{plain}\n[retention]\nnightly_hour = 24\n", "utf-8")
    with pytest.raises(ConfigError, match="nightly_hour"):
        load(path, {})


def test_an_account_has_a_generous_day_of_looks_unless_the_configuration_says_otherwise(folder: Path) -> None:
    path = folder / "config.toml"
    plain = path.read_text(encoding="utf-8")
    usual = load(path, {}).audit
    assert (usual.looks_per_day, usual.rows_per_day) == (20_000, 1_000_000)
    path.write_text(f"{plain}\n[audit]\nlooks_per_day = 0\nrows_per_day = 500\n", "utf-8")
    chosen = load(path, {"ACCESSTRAIL_AUDIT_ROWS_PER_DAY": "700"}).audit
    assert (chosen.looks_per_day, chosen.rows_per_day) == (0, 700)
    path.write_text(f"{plain}\n[audit]\nlooks_per_day = -1\n", "utf-8")
    with pytest.raises(ConfigError, match="looks_per_day"):
        load(path, {})
