"""A witness's cosignature under a checkpoint: C2SP tlog-cosignature (https://c2sp.org/tlog-cosignature), Ed25519.

Place in the flow: made by a witness, checked by the notary and by verification. The line is that of a signed note, with
another type, so that whoever does not know witnesses passes over it:

    — <witness name> <base64(key hash, 4 bytes ‖ seconds since 1970, big-endian UInt64 ‖ signature, 64 bytes)>

    key hash = SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key)[:4]
    signed   = "cosignature/v1\\ntime <seconds>\\n" and the checkpoint's text
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.errors import NoteRejected
from pipeline.ledger.signed_note import PrivateKey

COSIGNATURE = b"\x04"
_KEY_BYTES, _HASH_BYTES, _SIGNATURE_BYTES = 32, 4, 64
_LINE_START = "— "


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """Whose cosignature: name and Ed25519 public key (32 bytes)."""

    name: str
    key: bytes

    @classmethod
    def of(cls, private: PrivateKey) -> WitnessKey:
        """The public half of a witness's key."""
        return cls(private.name, private.public.key)

    @property
    def key_hash(self) -> bytes:
        """Four bytes that tell keys of one name apart, and a witness's from a signer's."""
        return sha256(self.name.encode() + b"\n" + COSIGNATURE + self.key).digest()[:_HASH_BYTES]

    def __str__(self) -> str:
        """The text form."""
        return f"{self.name}+{self.key_hash.hex()}+{base64.b64encode(COSIGNATURE + self.key).decode()}"

    @classmethod
    def parse(cls, text: str) -> WitnessKey:
        """The key of a text form. Raises: ValueError: it is none, or damaged; the message does not quote it."""
        parts = text.split("+", 2)
        try:
            name, key_hash, body = parts[0], bytes.fromhex(parts[1]), base64.b64decode(parts[2], validate=True)
        except (IndexError, ValueError):
            raise ValueError("not of the form name+hash+key") from None
        found = cls(name, body[1:])
        if not name or body[:1] != COSIGNATURE or len(body) != 1 + _KEY_BYTES:
            raise ValueError("not a witness's Ed25519 key")
        if found.key_hash != key_hash:
            raise ValueError("its hash is not that of the key: it was damaged or mistyped")
        return found


def cosign(text: str, key: PrivateKey, seconds: int) -> str:
    """The cosignature line under a checkpoint's text, its newline included."""
    signature = Ed25519PrivateKey.from_private_bytes(key.seed).sign(_signed(text, seconds))
    body = WitnessKey.of(key).key_hash + struct.pack(">Q", seconds) + signature
    return f"{_LINE_START}{key.name} {base64.b64encode(body).decode()}\n"


def cosigned_at(text: str, lines: str, key: WitnessKey) -> tuple[str, int]:
    """The line of this witness among signature lines, and when it signed (seconds since 1970).

    Raises: NoteRejected: `cosignature_missing`: none of this key; `cosignature_wrong`: it belongs to another text.
    """
    for line in lines.splitlines(keepends=True):
        words = line.removeprefix(_LINE_START).rstrip("\n").split(" ")
        if not line.startswith(_LINE_START) or len(words) != 2 or words[0] != key.name:
            continue
        try:
            body = base64.b64decode(words[1], validate=True)
        except (ValueError, binascii.Error):
            continue
        if body[:_HASH_BYTES] != key.key_hash:
            continue
        return line, _checked(text, body, key)
    raise NoteRejected("the witness has not signed it", code="cosignature_missing")


def _checked(text: str, body: bytes, key: WitnessKey) -> int:
    wrong = NoteRejected("the witness's signature does not belong to this text", code="cosignature_wrong")
    if len(body) != _HASH_BYTES + 8 + _SIGNATURE_BYTES:
        raise wrong
    (seconds,) = struct.unpack(">Q", body[_HASH_BYTES : _HASH_BYTES + 8])
    try:
        Ed25519PublicKey.from_public_bytes(key.key).verify(body[-_SIGNATURE_BYTES:], _signed(text, seconds))
    except InvalidSignature:
        raise wrong from None
    return int(seconds)


def _signed(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
