"""Signed notes, checkpoints, public keys (section 4, check 3): C2SP signed-note, tlog-checkpoint, tlog-cosignature."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .bundle import MAX_NUMBER

LOG_KEY = 0x01
WITNESS_KEY = 0x04
MAX_FILE_BYTES = 64 << 20
MAX_NOTE_BYTES = 65_536
MAX_SIGNATURES = 100
_SIGNATURE_LINE = "— "
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class WrongUse(Exception):
    """What the caller gave (keys, kept notes, a path) cannot be used."""


class NoteRejected(Exception):
    """A note that proves nothing; `code` is one of section 7."""

    def __init__(self, code: str, about: str) -> None:
        super().__init__(about)
        self.code = code


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that the caller trusts."""

    name: str
    key_hash: bytes
    kind: int
    key: Ed25519PublicKey = field(compare=False)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose signature by a given key is right."""

    origin: str
    size: int
    root: bytes
    signers: tuple[str, ...]
    witnesses: tuple[str, ...]


def strict_base64(text: str) -> bytes | None:
    """The bytes, or None where the text is not exactly their base64."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def read_keys(path: Path) -> tuple[PublicKey, ...]:
    """The public keys in a file, one a line."""
    keys = tuple(
        _public_key(line.strip(), number)
        for number, line in enumerate(_text_of(path).split("\n"), start=1)
        if line.strip() and not line.startswith("#")
    )
    if not any(key.kind == LOG_KEY for key in keys):
        raise WrongUse(f"{path}: no public key of a ledger in it")
    return keys


def _public_key(line: str, number: int) -> PublicKey:
    name, _, rest = line.partition("+")
    hash_text, _, key_text = rest.partition("+")
    data = strict_base64(key_text)
    if not is_key_name(name) or data is None or len(data) != 33 or data[0] not in (LOG_KEY, WITNESS_KEY):
        raise WrongUse(f"keys, line {number}: no public key name+hash+base64 (Ed25519)")
    key_hash = sha256(name.encode() + b"\n" + data).digest()[:4]
    if key_hash.hex() != hash_text:
        raise WrongUse(f"keys, line {number}: the key's hash does not fit its name and key: mistyped?")
    return PublicKey(name, key_hash, data[0], Ed25519PublicKey.from_public_bytes(data[1:]))


def is_key_name(name: str) -> bool:
    """Not empty, no space, no plus."""
    return bool(name) and "+" not in name and not any(letter.isspace() for letter in name)


def read_kept_notes(path: Path) -> tuple[str, ...]:
    """The signed notes in a file, one behind the other, empty lines between them or not."""
    notes: list[str] = []
    lines = _text_of(path).split("\n")
    begin = at = 0
    while at < len(lines):
        if lines[at] == "" and at == begin:
            begin = at = at + 1
        elif lines[at] == "" and at + 1 < len(lines) and lines[at + 1].startswith(_SIGNATURE_LINE):
            at += 1
            while at < len(lines) and lines[at].startswith(_SIGNATURE_LINE):
                at += 1
            notes.append("\n".join(lines[begin:at]) + "\n")
            begin = at
        else:
            at += 1
    if begin < len(lines) or not notes:
        raise WrongUse(f"{path}: no signed notes, or something behind them")
    return tuple(notes)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise WrongUse(f"{path}: too large")
        return data.decode("utf-8").replace("\r\n", "\n")
    except OSError as why:
        raise WrongUse(f"{path}: {why.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUse(f"{path}: not UTF-8") from None


def origin_of(note: str) -> str:
    """The first line, whatever the rest is."""
    return note.partition("\n")[0]


def open_checkpoint(note: str, keys: Sequence[PublicKey]) -> Checkpoint:
    """The checkpoint; `NoteRejected` with a code of check 3 where it is none, or not one of the given keys'."""
    text, signatures = _parts(note)
    origin, size, root = _checkpoint_text(text)
    signers, witnesses = _verified(text, signatures, keys)
    if not signers:
        raise NoteRejected("checkpoint_unsigned", "none of the given keys has signed it: wrong keys?")
    return Checkpoint(origin, size, root, tuple(signers), tuple(witnesses))


def _malformed(about: str) -> NoteRejected:
    return NoteRejected("checkpoint_malformed", about)


def _parts(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    if any(letter < " " and letter != "\n" for letter in note) or not note.endswith("\n"):
        raise _malformed("cut off, or it holds control characters")
    if len(note.encode(errors="replace")) > MAX_NOTE_BYTES:
        raise _malformed(f"longer than {MAX_NOTE_BYTES} bytes")
    text, found, tail = note.rpartition("\n\n")
    if not found or not tail:
        raise _malformed("no signature in it: cut off?")
    if tail.count("\n") > MAX_SIGNATURES:
        raise _malformed(f"more than {MAX_SIGNATURES} signatures")
    return text + "\n", [_signature(line) for line in tail[:-1].split("\n")]


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not is_key_name(parts[1]):
        raise _malformed("a signature line is not as it must be")
    data = strict_base64(parts[2])
    if data is None or len(data) < 5:
        raise _malformed("a signature is no base64 of hash and signature: cut off?")
    return parts[1], data


def _checkpoint_text(text: str) -> tuple[str, int, bytes]:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise _malformed("its text is no checkpoint's: origin, size and root, a line each")
    root = strict_base64(lines[2])
    if not _DECIMAL.fullmatch(lines[1]) or int(lines[1]) > MAX_NUMBER or root is None or len(root) != 32:
        raise _malformed("its size or root is not as it must be")
    return lines[0], int(lines[1]), root


def _verified(
    text: str, signatures: Sequence[tuple[str, bytes]], keys: Sequence[PublicKey]
) -> tuple[list[str], list[str]]:
    signers: list[str] = []
    witnesses: list[str] = []
    for name, data in signatures:
        for key in keys:
            if (key.name, key.key_hash) == (name, data[:4]):
                _verify(key, text, data[4:])
                (signers if key.kind == LOG_KEY else witnesses).append(name)
    return signers, witnesses


def _verify(key: PublicKey, text: str, signature: bytes) -> None:
    message = text.encode()
    if key.kind == WITNESS_KEY:
        if len(signature) != 72:
            raise NoteRejected("checkpoint_signature", f"the cosignature of {key.name} has the wrong length")
        seconds = int.from_bytes(signature[:8], "big")
        message, signature = f"cosignature/v1\ntime {seconds}\n".encode() + message, signature[8:]
    try:
        key.key.verify(signature, message)
    except InvalidSignature:
        raise NoteRejected("checkpoint_signature", f"the signature of {key.name!a} is wrong") from None
