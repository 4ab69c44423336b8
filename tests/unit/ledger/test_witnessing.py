"""A witness cosigns what continues what it saw; every other request gets its status and leaves its memory alone."""

from __future__ import annotations

import base64
import struct
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pipeline.errors import NoteRejected
from pipeline.events import LogPosition
from pipeline.ledger.checkpoint import Checkpoint, TreeName, open_checkpoint
from pipeline.ledger.cosignature import WitnessKey, cosign, cosigned_at
from pipeline.ledger.growth import consistency
from pipeline.ledger.leaf import leaf_hash
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.signed_note import PrivateKey
from pipeline.ledger.witnessing import Reply, Witness, request_body

LOG, WITNESS = PrivateKey("accesstrail", bytes(range(32))), PrivateKey("witness.example/w1", b"w" * 32)
NAME = TreeName("accesstrail", LogPosition("access.events", "life-1", 3))
LEAVES = [leaf_hash(bytes([number])) for number in range(50)]
FORK = [*LEAVES[:5], *(leaf_hash(bytes([200 + number])) for number in range(45))]
SECONDS = 1_795_000_000


class Memory:
    """What a witness keeps."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.fails = False

    def newest(self, origin: str) -> tuple[int, bytes] | None:
        return self.seen.get(origin)

    def remember(self, origin: str, size: int, root: bytes) -> None:
        if self.fails:
            raise OSError("the disk is full")
        self.seen[origin] = (size, root)


@pytest.fixture
def memory() -> Memory:
    return Memory()


def note_of(size: int, leaves: list[bytes] = LEAVES, key: PrivateKey = LOG, name: TreeName = NAME) -> bytes:
    return Checkpoint(name, size, Frontier().append(leaves[:size]).root()).signed([key])


def request(old: int, size: int, leaves: list[bytes] = LEAVES) -> bytes:
    proof = consistency(Frontier().append(leaves[:old]), size, leaves[old:size])[0] if 0 < old < size else ()
    return request_body(old, proof, note_of(size, leaves))


def ask(memory: Memory, body: bytes, witness: Witness | None = None) -> Reply:
    return (witness or Witness(key=WITNESS, logs=(LOG.public,))).add(body, memory, SECONDS)


def test_growth_is_cosigned_step_by_step(memory: Memory) -> None:
    size = 0
    for new in (1, 2, 7, 7, 8, 31, 50):
        reply = ask(memory, request(size, new))
        assert reply.status == 200
        text = note_of(new).decode().partition("\n\n")[0] + "\n"
        assert cosigned_at(text, reply.body, WitnessKey.of(WITNESS)) == (reply.body, SECONDS)
        # The cosigned note still is a note that our key has signed.
        cosigned = note_of(new) + reply.body.encode()
        assert open_checkpoint(cosigned, [LOG.public])[0].size == new
        size = new
    assert memory.seen == {str(NAME): (50, Frontier().append(LEAVES).root())}


def test_a_cosignature_has_the_form_of_the_specification() -> None:
    """Taken apart as docs/reference/evidence.md says, without our own reading of it."""
    text = note_of(7).decode().partition("\n\n")[0] + "\n"
    mark, name, body = cosign(text, WITNESS, SECONDS).rstrip("\n").split(" ")
    raw = base64.b64decode(body)
    public = WITNESS.public.key
    assert (mark, name) == ("—", WITNESS.name)
    assert raw[:4] == sha256(WITNESS.name.encode() + b"\n\x04" + public).digest()[:4]
    assert struct.unpack(">Q", raw[4:12]) == (SECONDS,)
    signed = b"cosignature/v1\ntime 1795000000\n" + text.encode()
    Ed25519PublicKey.from_public_bytes(public).verify(raw[12:], signed)


def test_a_second_history_is_refused_whatever_it_says_it_continues(memory: Memory) -> None:
    assert ask(memory, request(0, 20)).status == 200
    seen = dict(memory.seen)
    for body, status in (
        (request(20, 30, FORK), 422),
        (request_body(20, (), note_of(30)), 422),
        (request_body(20, (), note_of(20, FORK)), 409),
        (request(0, 30, FORK), 409),
        (request(5, 30, FORK), 409),
        (request(0, 10), 409),
        (request(10, 20), 409),
    ):
        reply = ask(memory, body)
        assert reply.status == status
        if status == 409:
            assert (reply.body, reply.content_type) == ("20\n", "text/x.tlog.size")
    assert memory.seen == seen


def test_whose_tree_it_is_and_who_signed_it_is_checked(memory: Memory) -> None:
    stranger = PrivateKey("accesstrail", bytes(32))
    assert ask(memory, request_body(0, (), note_of(5, key=stranger))).status == 403
    assert ask(memory, request_body(0, (), note_of(5).replace(b"\n5\n", b"\n6\n"))).status == 403
    restricted = Witness(key=WITNESS, logs=(LOG.public,), deployments=("elsewhere",))
    assert ask(memory, request(0, 5), restricted).status == 404
    allowed = Witness(key=WITNESS, logs=(LOG.public,), deployments=("elsewhere", "accesstrail"))
    assert ask(memory, request(0, 5), allowed).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\n\n", b"old\n\n", b"old -1\n\n" + note_of(5), b"old 05\n\n" + note_of(5), b"new 5\n\n" + note_of(5),
        b"old " + b"9" * 5000 + b"\n\n" + note_of(5), b"old 5\n" + note_of(5), b"old 0\nAAAA\n\n" + note_of(5),
        b"old 0\n!!\n\n" + note_of(5), b"old 0\n\nnothing", b"old 0\n\n\xff\xfe", b"old \xff\n\n" + note_of(5),
        b"old 6\n\n" + note_of(5),
        b"old 5\n" + b"".join(base64.b64encode(b"h" * 32) + b"\n" for _ in range(64)) + b"\n" + note_of(5),
    ],
)  # fmt: skip
def test_what_is_no_request_is_said_to_be_none(memory: Memory, body: bytes) -> None:
    assert ask(memory, body).status == 400
    assert not memory.seen


def test_nothing_is_cosigned_that_cannot_be_remembered(memory: Memory) -> None:
    memory.fails = True
    with pytest.raises(OSError, match="disk"):
        ask(memory, request(0, 5))


def test_a_witness_key_is_read_back_and_a_damaged_or_a_signers_key_is_none() -> None:
    key = WitnessKey.of(WITNESS)
    assert WitnessKey.parse(str(key)) == key
    for text in ("", "a+b", str(LOG.public), str(key)[:-4], str(key).replace("w1", "w2")):
        with pytest.raises(ValueError, match=r"not|hash"):
            WitnessKey.parse(text)


def test_a_cosignature_of_another_text_or_witness_is_none() -> None:
    text = note_of(7).decode().partition("\n\n")[0] + "\n"
    line = cosign(text, WITNESS, SECONDS)
    other = WitnessKey.of(PrivateKey(WITNESS.name, b"x" * 32))
    for lines, key, code in (
        (line, other, "cosignature_missing"),
        ("", WitnessKey.of(WITNESS), "cosignature_missing"),
        (f"— {WITNESS.name} !!\nno line\n", WitnessKey.of(WITNESS), "cosignature_missing"),
        (cosign(text + "more\n", WITNESS, SECONDS), WitnessKey.of(WITNESS), "cosignature_wrong"),
    ):
        with pytest.raises(NoteRejected) as caught:
            cosigned_at(text, lines, key)
        assert caught.value.code == code
