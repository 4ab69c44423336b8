"""What a witness answers: it cosigns a checkpoint that continues what it saw, and nothing else (C2SP tlog-witness).

Place in the flow: outside the system, run by somebody else. Pure but for its memory, which keeps size and root of each
tree and has them on the disk before `remember` returns. Request of `POST /add-checkpoint`:

    old <size>
    <consistency proof, a line of base64 each>
    <empty line>
    <checkpoint, a signed note>

200 the cosignature line; 400 no such request; 403 nobody known signed it; 404 a tree of somebody else; 409 another size
than the remembered one, which it names, or another root for the same size; 422 the proof is wrong.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import NoteRejected
from pipeline.ledger.checkpoint import Checkpoint, open_checkpoint, parse_text
from pipeline.ledger.cosignature import cosign
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.proofs import is_consistent
from pipeline.ledger.signed_note import PrivateKey, PublicKey

SIZE_TYPE = "text/x.tlog.size"
_TEXT_TYPE = "text/plain; charset=utf-8"
_MOST_LINES = 63
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, body and its type."""

    status: int
    body: str
    content_type: str = _TEXT_TYPE


class WitnessMemory(Protocol):
    """Size and root of the newest cosigned checkpoint, by origin."""

    def newest(self, origin: str) -> tuple[int, bytes] | None:
        """What was cosigned last."""
        ...

    def remember(self, origin: str, size: int, root: bytes) -> None:
        """Returns when it is on the disk. Raises: OSError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Whose checkpoints are cosigned (`logs`), as whom (`key`). `deployments`: whose trees alone; none: all."""

    key: PrivateKey
    logs: tuple[PublicKey, ...]
    deployments: tuple[str, ...] = ()

    def add(self, body: bytes, memory: WitnessMemory, seconds: int) -> Reply:
        """The answer to one request; one at a time. Raises: OSError: what was seen cannot be remembered."""
        try:
            old, proof, note = _parsed(body)
        except ValueError:
            return Reply(400, "this is no request to add a checkpoint\n")
        try:
            if self.deployments and _claimed(note).name.deployment not in self.deployments:
                return Reply(404, "this witness does not know that tree\n")
            checkpoint, _ = open_checkpoint(note, self.logs)
        except NoteRejected as exc:
            is_request = exc.code in ("note_unsigned", "note_signature")
            return Reply(403 if is_request else 400, f"{exc.code}\n")
        if old > checkpoint.size:
            return Reply(400, "the old size is larger than the checkpoint's\n")
        return self._judged(checkpoint, old, proof, memory, seconds)

    def _judged(
        self, checkpoint: Checkpoint, old: int, proof: Sequence[bytes], memory: WitnessMemory, seconds: int
    ) -> Reply:
        origin = str(checkpoint.name)
        size, root = memory.newest(origin) or (0, Frontier().root())
        if old != size:
            return Reply(409, f"{size}\n", SIZE_TYPE)
        if old == checkpoint.size and root != checkpoint.root:
            return Reply(409, f"{size}\n", SIZE_TYPE)
        if not is_consistent(old, root, checkpoint.size, checkpoint.root, proof):
            return Reply(422, "the consistency proof is wrong\n")
        memory.remember(origin, checkpoint.size, checkpoint.root)
        return Reply(200, cosign(checkpoint.text(), self.key, seconds))


def request_body(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The request that asks for a cosignature."""
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof)]
    return ("\n".join(lines) + "\n\n").encode() + note


def _parsed(body: bytes) -> tuple[int, list[bytes], bytes]:
    """Old size, proof and note. Raises: ValueError."""
    head, gap, note = body.partition(b"\n\n")
    lines = head.decode("ascii").split("\n")
    size = lines[0].removeprefix("old ")
    if not gap or not lines[0].startswith("old ") or not size.isdigit() or str(int(size[:20])) != size:
        raise ValueError("it does not begin with the old size")
    if len(lines) - 1 > _MOST_LINES:
        raise ValueError("too long a proof")
    try:
        proof = [base64.b64decode(line, validate=True) for line in lines[1:]]
    except binascii.Error:
        raise ValueError("a line of the proof is no base64") from None
    if any(len(one) != _HASH_BYTES for one in proof):
        raise ValueError("a line of the proof is no hash")
    return int(size), proof, note


def _claimed(note: bytes) -> Checkpoint:
    """What an unchecked note says it is. Raises: NoteRejected."""
    return parse_text(note.partition(b"\n\n")[0].decode(errors="replace") + "\n")
