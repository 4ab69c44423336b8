"""Checkpoints: what is signed is read back, and whatever is not one is refused by a code of its own."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import NoteRejected
from pipeline.events import LogPosition
from pipeline.ledger.checkpoint import Checkpoint, TreeName, open_checkpoint, parse_text
from pipeline.ledger.signed_note import PrivateKey, sign

KEY = PrivateKey("accesstrail", bytes(range(32)))
NAME = TreeName("accesstrail", LogPosition("access.events", "q_8sT-0AAAA+1", 3))
ROOT = bytes(range(100, 132))
names = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"], blacklist_characters="/\n"), min_size=1)


@given(names, names, names, st.integers(0, 2**32 - 1), st.integers(0, 99), st.integers(0, 2**63 - 1))
def test_what_is_written_is_read(
    deployment: str, topic: str, incarnation: str, partition: int, epoch: int, size: int
) -> None:
    name = TreeName(deployment, LogPosition(topic, incarnation, partition), epoch)
    checkpoint = Checkpoint(name, size, ROOT)
    assert parse_text(checkpoint.text()) == checkpoint


def test_a_deployment_may_be_an_address() -> None:
    name = TreeName("bank.example/audit", NAME.position, 2)
    assert TreeName.parse(str(name)) == name


def test_a_signed_checkpoint_is_opened_by_its_public_key_only() -> None:
    note = Checkpoint(NAME, 42, ROOT).signed([KEY])
    assert open_checkpoint(note, [KEY.public]) == (Checkpoint(NAME, 42, ROOT), (KEY.public,))
    stranger = PrivateKey("accesstrail", bytes(32)).public
    with pytest.raises(NoteRejected) as caught:
        open_checkpoint(note, [stranger])
    assert caught.value.code == "note_unsigned"
    with pytest.raises(NoteRejected) as caught:
        open_checkpoint(note.replace(b"\n42\n", b"\n43\n"), [KEY.public])
    assert caught.value.code == "note_signature"


@pytest.mark.parametrize("cut", [0, 1, 20, 60, 100, -1])
def test_a_truncated_checkpoint_is_said_to_be_none(cut: int) -> None:
    note = Checkpoint(NAME, 42, ROOT).signed([KEY])
    with pytest.raises(NoteRejected) as caught:
        open_checkpoint(note[:cut], [KEY.public])
    assert caught.value.code == "note_malformed"


GOOD = Checkpoint(NAME, 42, ROOT).text().split("\n")


@pytest.mark.parametrize(
    "lines",
    [
        ["accesstrail/access.events", *GOOD[1:]],
        ["/a/b/3/0", *GOOD[1:]],
        [GOOD[0], "042", GOOD[2], ""],
        [GOOD[0], "-1", GOOD[2], ""],
        [GOOD[0], "４２", GOOD[2], ""],
        [GOOD[0], "9" * 20, GOOD[2], ""],
        [GOOD[0], "42", GOOD[2][:-4], ""],
        [GOOD[0], "42", base64.urlsafe_b64encode(b"\xff" * 32).decode(), ""],
        [GOOD[0], "42", ""],
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_told_apart(lines: list[str]) -> None:
    with pytest.raises(NoteRejected) as caught:
        open_checkpoint(sign("\n".join(lines), [KEY]), [KEY.public])
    assert caught.value.code == "checkpoint_malformed"


def test_further_lines_are_passed_over() -> None:
    assert parse_text(Checkpoint(NAME, 42, ROOT).text() + "extension\n").size == 42


def test_a_checkpoint_of_a_billion_leaves_has_at_most_240_bytes() -> None:
    assert len(Checkpoint(NAME, 10**9, ROOT).signed([KEY])) <= 240
