"""Files that hold several signed notes one behind the other, as anchors write them and auditors keep them.

Place in the flow: what is given to verification with `--against`. A note's signatures are the lines that begin
as such behind an empty one; whatever comes behind them begins the next. Empty lines between notes say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import NoteRejected
from pipeline.ledger.checkpoint import parse_lines

_NOTE_CODES = {"note_signature": "checkpoint_signature", "note_unsigned": "checkpoint_unsigned"}
LONGEST_FILE_BYTES = 1 << 30
_SIGNATURE = "— "


def notes_in(content: bytes) -> Iterator[bytes]:
    """The notes of a file. Raises: NoteRejected: `note_malformed`: it is no text, or ends in something that is none."""
    try:
        lines = content.decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise NoteRejected("this is no signed note", code="note_malformed") from None
    note: list[str] = []
    signed = False
    for line in lines:
        is_signature = line.startswith(_SIGNATURE) and (signed or note[-1:] == [""])
        if signed and not is_signature:
            yield _joined(note)
            note, signed = [], False
        if note or line:
            note.append(line)
            signed = is_signature
    if note and not signed:
        raise NoteRejected("it ends in something that is no signed note: cut off?", code="note_malformed")
    if note:
        yield _joined(note)


def _joined(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def code_of(rejected: NoteRejected, note: bytes) -> str:
    """The code of section 7 for a note that proves nothing. A text that is no checkpoint is that first of all."""
    if rejected.code in _NOTE_CODES:
        try:
            parse_lines(note.decode(errors="replace").rpartition("\n\n")[0] + "\n")
        except NoteRejected:
            return "checkpoint_malformed"
    return _NOTE_CODES.get(rejected.code, "checkpoint_malformed")
