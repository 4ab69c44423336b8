"""Keys of the ledger as files: made once, followed from the first to the newest, never without their public half."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.ledger import signing_keys
from pipeline.ledger.signed_note import load_public_keys, verify
from pipeline.ledger.signing_keys import KeyFiles

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> KeyFiles:
    return KeyFiles(tmp_path / "secrets" / "ledger-signing-key", tmp_path / "keys" / "ledger.pub")


def test_a_key_is_made_once_and_is_private(files: KeyFiles) -> None:
    first = signing_keys.ensure(files, "accesstrail")
    assert signing_keys.ensure(files, "accesstrail") == first
    assert stat.S_IMODE(files.private.stat().st_mode) == 0o600
    assert load_public_keys(files.public) == (first,)
    assert signing_keys.current(files).public == first


def test_a_start_that_ended_between_the_two_files_is_gone_on_with(files: KeyFiles) -> None:
    first = signing_keys.ensure(files, "accesstrail")
    files.public.unlink()
    assert signing_keys.ensure(files, "accesstrail") == first
    assert load_public_keys(files.public) == (first,)


def test_a_private_key_that_is_gone_is_not_replaced_silently(files: KeyFiles) -> None:
    signing_keys.ensure(files, "accesstrail")
    files.private.unlink()
    with pytest.raises(ConfigError, match="is gone"):
        signing_keys.ensure(files, "accesstrail")


def test_a_rotation_is_stated_by_the_old_key_and_keeps_it_listed(files: KeyFiles) -> None:
    first = signing_keys.ensure(files, "accesstrail")
    done = [signing_keys.rotate(files, NOW), signing_keys.rotate(files, NOW)]
    assert load_public_keys(files.public) == (first, done[0].new, done[1].new)
    assert signing_keys.current(files).public == done[1].new
    assert [one.note.name for one in done] == ["ledger-rotation-1.note", "ledger-rotation-2.note"]
    for one in done:
        text, signers = verify(one.note.read_bytes(), [one.old])
        assert signers == (one.old,)
        assert text.splitlines()[-2:] == [str(one.old), str(one.new)]
    assert stat.S_IMODE(files.private.stat().st_mode) == 0o600


def test_a_key_that_nobody_could_check_signs_nothing(files: KeyFiles) -> None:
    signing_keys.ensure(files, "accesstrail")
    files.public.write_text("# none\n")
    with pytest.raises(ConfigError):
        signing_keys.current(files)
