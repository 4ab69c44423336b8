"""Names of the directory are found by every token they ever had, and by new ones as soon as a key is added."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.adapters.identities import DirectoryIdentities
from pipeline.privacy.key_file import KeyFile, add_key
from pipeline.privacy.keys import Keyring, new_key_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "actors.csv").write_text("actor_id,own_subject_ids\nwu.ling,c-1;c-2\n", encoding="utf-8")
    (tmp_path / "subjects.csv").write_text("subject_id\nc-3\n", encoding="utf-8")
    new_key_file(tmp_path / "keys.json")
    return tmp_path


def test_a_name_is_found_by_its_tokens_under_every_key(folder: Path) -> None:
    keys = KeyFile(folder / "keys.json")
    listed = DirectoryIdentities(folder, keys, "default", lambda: ["lin.meng"])
    old = keys.current
    assert listed.of("actor", old.token("default", "actor", "wu.ling").hex()) == "wu.ling"
    add_key(folder / "keys.json")
    both = Keyring.load(folder / "keys.json")
    for kind, name in (("actor", "wu.ling"), ("subject", "c-2"), ("subject", "c-3"), ("actor", "lin.meng")):
        tokens = both.tokens("default", kind, name)
        assert len(set(tokens)) == 2
        assert {listed.of(kind, token.hex()) for token in tokens} == {name}
    assert listed.of("subject", both.token("default", "actor", "wu.ling").hex()) is None


def test_everybody_listed_is_named_with_its_kind(folder: Path) -> None:
    listed = DirectoryIdentities(folder, KeyFile(folder / "keys.json"), "default")
    assert [*listed.listed()] == [("actor", "wu.ling"), ("subject", "c-1"), ("subject", "c-2"), ("subject", "c-3")]
