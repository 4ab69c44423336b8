"""`accesstrail keys`: public keys are printed, private ones stay in files of their owner, no file is overwritten."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.keys import keys_command
from pipeline.errors import ConfigError, UsageError
from pipeline.ledger import signing_keys
from pipeline.ledger.cosignature import WitnessKey
from pipeline.ledger.signed_note import PublicKey, load_private_key, load_public_keys, verify
from pipeline.ledger.signing_keys import KeyFiles
from tests.unit.config.test_config import GOOD

SECTION = """
[ledger]
deployment = "accesstrail"
signing_key_file = "ledger-signing-key"
public_keys_file = "ledger.pub"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that names the ledger's keys."""
    (tmp_path / "directory").mkdir()
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    (tmp_path / "secret").chmod(0o600)
    path = tmp_path / "config.toml"
    path.write_text(GOOD + SECTION, encoding="utf-8")
    return path


@pytest.fixture
def files(config: Path) -> KeyFiles:
    made = KeyFiles(config.parent / "ledger-signing-key", config.parent / "ledger.pub")
    signing_keys.ensure(made, "accesstrail")
    return made


def keys(*words: object) -> str:
    """What the command prints, on both streams; its error is raised."""
    result = CliRunner().invoke(keys_command, [str(word) for word in words], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_show_prints_the_public_keys_and_which_one_signs(config: Path, files: KeyFiles) -> None:
    (first,) = load_public_keys(files.public)
    assert keys("ledger", "show", "--config", config) == f"signs  {first}\n"
    keys("ledger", "rotate", "--config", config)
    _, second = load_public_keys(files.public)
    assert keys("ledger", "show", "--config", config) == f"       {first}\nsigns  {second}\n"
    said = json.loads(keys("ledger", "show", "--config", config, "--json"))
    assert said == {
        "file": str(files.public),
        "keys": [
            {"identity": first.identity, "public_key": str(first), "in_use": False},
            {"identity": second.identity, "public_key": str(second), "in_use": True},
        ],
    }


def test_show_works_where_only_public_keys_are(config: Path, files: KeyFiles) -> None:
    files.private.unlink()
    (first,) = load_public_keys(files.public)
    assert keys("ledger", "show", "--config", config) == f"       {first}\n"


def test_a_rotation_lists_both_keys_states_the_new_one_and_replaces_the_private_one(
    config: Path, files: KeyFiles
) -> None:
    old = load_private_key(files.private)
    printed = keys("ledger", "rotate", "--config", config)
    new = load_private_key(files.private)
    assert new.public != old.public
    assert load_public_keys(files.public) == (old.public, new.public)
    assert stat.S_IMODE(files.private.stat().st_mode) == 0o600
    text, signers = verify(files.note(1).read_bytes(), [old.public])
    assert signers == (old.public,)
    assert text.splitlines()[-2:] == [str(old.public), str(new.public)]
    for shown in (str(old.public), str(new.public), str(files.note(1)), str(files.public)):
        assert shown in printed


def test_a_rotation_as_json_names_its_number_its_keys_and_its_statement(config: Path, files: KeyFiles) -> None:
    for number in (1, 2):
        old = load_private_key(files.private).public
        said = json.loads(keys("ledger", "rotate", "--config", config, "--json"))
        new = load_private_key(files.private).public
        assert said == {"number": number, "old": str(old), "new": str(new), "statement": str(files.note(number))}


def test_nothing_private_is_printed(config: Path, files: KeyFiles, tmp_path: Path) -> None:
    private = [load_private_key(files.private)]
    printed = keys("ledger", "show", "--config", config)
    for words in ((), ("--json",)):
        printed += keys("ledger", "rotate", "--config", config, *words)
        private.append(load_private_key(files.private))
    printed += keys("witness", "new", tmp_path / "witness.key", "--name", "witness.example/audit")
    private.append(load_private_key(tmp_path / "witness.key"))
    for one in private:
        assert one.text() not in printed
        # PRIVATE+KEY+name+hash+secret, and base64 has signs of addition of its own.
        assert one.text().split("+", 4)[4] not in printed
        assert one.seed.hex() not in printed


def test_without_configured_keys_there_is_nothing_to_show_or_rotate(config: Path) -> None:
    config.write_text(GOOD, encoding="utf-8")
    for command in ("show", "rotate"):
        with pytest.raises(ConfigError, match="there are no keys here"):
            keys("ledger", command, "--config", config)


def test_a_key_whose_public_half_is_not_listed_is_not_rotated(config: Path, files: KeyFiles) -> None:
    private, stranger = files.private.read_bytes(), KeyFiles(config.parent / "other", config.parent / "other.pub")
    listed = str(signing_keys.ensure(stranger, "accesstrail"))
    files.public.write_text(listed + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="does not list"):
        keys("ledger", "rotate", "--config", config)
    assert files.private.read_bytes() == private
    assert load_public_keys(files.public) == (PublicKey.parse(listed),)


def test_a_new_witness_key_is_private_and_its_public_half_is_all_that_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "witness.key"
    printed = keys("witness", "new", path, "--name", "witness.example/audit")
    assert WitnessKey.parse(printed.rstrip("\n")) == WitnessKey.of(load_private_key(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_witness_key_is_ever_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "witness.key"
    keys("witness", "new", path, "--name", "witness.example/audit")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        keys("witness", "new", path, "--name", "witness.example/audit")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "two words", "a+b"])
def test_a_name_that_no_key_can_have_makes_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--name"):
        keys("witness", "new", tmp_path / "witness.key", "--name", name)
    assert not list(tmp_path.iterdir())
