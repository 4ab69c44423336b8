"""Several notes in one file: each is found, whatever stands between them; what is cut off is no note."""

from __future__ import annotations

import pytest

from pipeline.errors import NoteRejected
from pipeline.ledger.checkpoint import Checkpoint, open_checkpoint
from pipeline.ledger.notes import notes_in
from pipeline.ledger.signed_note import PrivateKey
from tests.ledger_trees import NAME

KEYS = [PrivateKey("accesstrail", bytes([number]) * 32) for number in range(2)]
CHECKPOINTS = [Checkpoint(NAME, size, bytes([size]) * 32) for size in range(1, 5)]


@pytest.mark.parametrize("between", [b"", b"\n", b"\n\n"])
@pytest.mark.parametrize("keys", [KEYS[:1], KEYS])
def test_each_note_is_found(between: bytes, keys: list[PrivateKey]) -> None:
    notes = [one.signed(keys) for one in CHECKPOINTS]
    content = between + between.join(notes) + between
    assert list(notes_in(content)) == notes
    assert [open_checkpoint(note, [KEYS[0].public])[0] for note in notes_in(content)] == CHECKPOINTS


def test_a_file_that_ends_within_a_note_is_refused() -> None:
    content = b"".join(one.signed(KEYS) for one in CHECKPOINTS)
    for cut in (40, 200, 290):
        with pytest.raises(NoteRejected):
            _ = [open_checkpoint(note, [KEYS[0].public]) for note in notes_in(content[:-cut])]


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(NoteRejected, match="no signed note"):
        list(notes_in(b"\xff\xfe"))


def test_an_empty_file_holds_none() -> None:
    assert list(notes_in(b"")) == []
