"""`accesstrail keys`: the ledger's keys are shown and rotated, a witness's is made once; no secret is ever printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.local.configuration import LEDGER_KEY, LEDGER_PUBLIC_KEYS, prepare_folder, write_config
from deploy.local.ports import Ports
from pipeline.cli import main
from pipeline.cli.stack_run import ledger_keys
from pipeline.ledger.cosignature import WitnessKey
from pipeline.ledger.signed_note import load_private_key, load_public_keys, verify


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["keys", *words])
    return int(str(caught.value.code))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = prepare_folder(tmp_path / "state")
    ledger_keys(made)
    write_config(made, Ports(1, 2, 3, 4))
    return made


def test_rotation_is_stated_by_the_old_key_and_shown(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = load_private_key(state / LEDGER_KEY)
    assert run("ledger", "rotate", "--state", str(state), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    new = load_private_key(state / LEDGER_KEY)
    assert (said["old"], said["new"]) == (str(old.public), str(new.public))
    text, signers = verify(Path(said["statement"]).read_bytes(), [old.public])
    assert str(new.public) in text
    assert signers == (old.public,)
    assert load_public_keys(state / LEDGER_PUBLIC_KEYS) == (old.public, new.public)
    assert run("ledger", "show", "--state", str(state), "--json") == 0
    rows = json.loads(capsys.readouterr().out)["keys"]
    assert [(one["public_key"], one["in_use"]) for one in rows] == [(str(old.public), False), (str(new.public), True)]
    assert run("ledger", "show", "--state", str(state)) == 0
    shown = capsys.readouterr().out
    assert f"signs  {new.public}" in shown
    for key in (old, new):
        assert key.text() not in shown


def test_where_the_private_key_is_elsewhere_the_public_ones_are_still_shown(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / LEDGER_KEY).unlink()
    assert run("ledger", "show", "--state", str(state)) == 0
    assert "signs" not in capsys.readouterr().out
    assert run("ledger", "rotate", "--state", str(state)) == 78


def test_a_witness_key_is_made_once_and_only_its_public_half_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "witness.key"
    assert run("witness", "new", str(file), "--name", "witness.example/w1") == 0
    key = load_private_key(file)
    assert WitnessKey.parse(capsys.readouterr().out.strip()) == WitnessKey.of(key)
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("witness", "new", str(file), "--name", "witness.example/w1") == 2
    assert run("witness", "new", str(tmp_path / "other"), "--name", "two words") == 2
    assert load_private_key(file) == key
