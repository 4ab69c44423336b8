"""Checkpoints: what a tree was at one moment, as a text that fits in a mail and that anybody can hold us to.

Place in the flow: made by the notary from sealed batches, kept in the store and anchored outside; read by verification
and by witnesses. The form is C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint), signed as C2SP signed-note:

    <origin>
    <number of leaves, decimal>
    <base64 of the root>

The origin names one tree: `<deployment>/<topic>/<incarnation>/<partition>/<epoch>`. Topics hold no slash, and Kafka's
topic ids are base64url, so the four last parts can be told apart from the right whatever the deployment is called.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.errors import NoteRejected
from pipeline.events import LogPosition
from pipeline.ledger.signed_note import PrivateKey, PublicKey, sign, verify

_HASH_BYTES = 32
_MOST_DIGITS = 19
_LARGEST_SIZE = 2**63 - 1
_PARTS_BEHIND = 4


@dataclass(frozen=True, slots=True)
class TreeName:
    """Which tree: the deployment, the life of one partition, and the epoch (0; one more after each stated loss)."""

    deployment: str
    position: LogPosition
    epoch: int = 0

    def __str__(self) -> str:
        """The origin line."""
        place = self.position
        return f"{self.deployment}/{place.topic}/{place.incarnation}/{place.partition}/{self.epoch}"

    @classmethod
    def parse(cls, origin: str) -> TreeName:
        """The name behind an origin line. Raises: NoteRejected: `checkpoint_malformed`."""
        parts = origin.rsplit("/", _PARTS_BEHIND)
        if len(parts) != _PARTS_BEHIND + 1 or not all(parts):
            raise _malformed("its first line names no tree")
        deployment, topic, incarnation, partition, epoch = parts
        return cls(deployment, LogPosition(topic, incarnation, _number(partition)), _number(epoch))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree `name` had `size` leaves and this root (32 bytes)."""

    name: TreeName
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed."""
        return f"{self.name}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed(self, keys: Sequence[PrivateKey]) -> bytes:
        """The signed note. Raises: ValueError: the origin cannot be a line of a note."""
        return sign(self.text(), keys)


def parse_text(text: str) -> Checkpoint:
    """The checkpoint of a note's text; further lines are passed over, as C2SP says they must be.

    Raises: NoteRejected: `checkpoint_malformed`.
    """
    origin, size, root = parse_lines(text)
    return Checkpoint(TreeName.parse(origin), size, root)


def parse_lines(text: str) -> tuple[str, int, bytes]:
    """Origin, size and root of a note's text; the origin may be anybody's. Raises: as `parse_text`."""
    lines = text.split("\n")
    if len(lines) < 4 or not all(lines[:-1]):
        raise _malformed("it is cut off, or a line of it is empty")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (ValueError, binascii.Error):
        raise _malformed("its root is no base64") from None
    if len(root) != _HASH_BYTES or base64.b64encode(root).decode() != lines[2]:
        raise _malformed("its root is not 32 bytes in base64")
    size = _number(lines[1])
    if size > _LARGEST_SIZE:
        raise _malformed("its size is beyond all bounds")
    return lines[0], size, root


def open_checkpoint(note: bytes, keys: Iterable[PublicKey]) -> tuple[Checkpoint, tuple[PublicKey, ...]]:
    """The checkpoint of a note that at least one of the keys has signed, and which of them did.

    Raises: NoteRejected: `note_malformed`, `note_signature`, `note_unsigned` (`signed_note.verify`),
        `checkpoint_malformed`: signed, but no checkpoint.
    """
    text, signers = verify(note, keys)
    return parse_text(text), signers


def _number(text: str) -> int:
    """A decimal number without a sign or leading zeros: each number has one form only."""
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS or str(int(text)) != text:
        raise _malformed("a number in it is none")
    return int(text)


def _malformed(why: str) -> NoteRejected:
    return NoteRejected(f"this is no checkpoint: {why}", code="checkpoint_malformed")
