"""Signed notes: a short text and the signatures of whoever stands for it, as one text that a person can read.

Place in the flow: beside it. A model's manifest is signed so; whoever checks needs only a public key. The form is C2SP
signed-note (https://c2sp.org/signed-note) with Ed25519 (RFC 8032), the one of Go's checksum database and of
transparency logs:

    <text, lines ending in newline>
    <empty line>
    — <key name> <base64(key hash, 4 bytes ‖ signature, 64 bytes)>

    key hash    = SHA-256(key name ‖ 0x0A ‖ 0x01 ‖ public key)[:4]
    public key  = <key name>+<key hash in hexadecimal>+<base64(0x01 ‖ public key)>
    private key = PRIVATE+KEY+<key name>+<key hash in hexadecimal>+<base64(0x01 ‖ seed)>

The signature is over the text with its last newline, without the empty line. Lines of unknown keys are passed over, so
that several may sign and keys can change; a known key whose signature is wrong spoils the whole note.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.errors import ConfigError, NoteRejected
from pipeline.private_files import line_in, write_new

ED25519 = b"\x01"
_PRIVATE = "PRIVATE+KEY+"
_KEY_BYTES, _HASH_BYTES, _SIGNATURE_BYTES = 32, 4, 64
_LINE_START = "— "
_LONGEST_NOTE_BYTES = 65_536
_MOST_SIGNATURES = 100


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Who may have signed: name and Ed25519 public key (32 bytes)."""

    name: str
    key: bytes

    @property
    def key_hash(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.key).digest()[:_HASH_BYTES]

    @property
    def identity(self) -> str:
        """Name and hash as one word: `ops+c74f20a3`."""
        return f"{self.name}+{self.key_hash.hex()}"

    def __str__(self) -> str:
        """The text form (a *vkey*), fit for a file and for a mail."""
        return f"{self.identity}+{base64.b64encode(ED25519 + self.key).decode()}"

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """The key of a text form. Raises: ValueError: it is none, or damaged; the message does not quote it."""
        name, key_hash, body = _split(text)
        if body[:1] != ED25519 or len(body) != 1 + _KEY_BYTES:
            raise ValueError("not an Ed25519 key")
        found = cls(name, body[1:])
        if found.key_hash != key_hash:
            raise ValueError("its hash is not that of the key: it was damaged or mistyped")
        return found


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """Who signs. The seed (32 bytes) never appears in a repr."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """Its other half."""
        return PublicKey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> PrivateKey:
        """A new key from the system's randomness. Raises: ValueError: the name cannot be one."""
        _check_name(name)
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    def text(self) -> str:
        """The text form: a secret."""
        return f"{_PRIVATE}{self.public.identity}+{base64.b64encode(ED25519 + self.seed).decode()}"

    @classmethod
    def parse(cls, text: str) -> PrivateKey:
        """The key of a text form. Raises: ValueError: it is none, or damaged; the message does not quote it."""
        if not text.startswith(_PRIVATE):
            raise ValueError("not a private key")
        name, key_hash, body = _split(text.removeprefix(_PRIVATE))
        if body[:1] != ED25519 or len(body) != 1 + _KEY_BYTES:
            raise ValueError("not an Ed25519 key")
        found = cls(name, body[1:])
        if found.public.key_hash != key_hash:
            raise ValueError("its hash is not that of the key: it was damaged or mistyped")
        return found


def _split(text: str) -> tuple[str, bytes, bytes]:
    """Name, key hash and body of a text form. The body is base64, which may hold plus signs; a name may not."""
    parts = text.split("+", 2)
    if len(parts) != 3 or len(parts[1]) != 2 * _HASH_BYTES:
        raise ValueError("not of the form name+hash+key")
    _check_name(parts[0])
    try:
        return parts[0], bytes.fromhex(parts[1]), base64.b64decode(parts[2], validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("not of the form name+hash+key") from None


def _is_name(name: str) -> bool:
    """What C2SP asks of a name."""
    return bool(name) and "+" not in name and not any(letter.isspace() for letter in name)


def _check_name(name: str) -> None:
    if not _is_name(name) or not name.isprintable():
        raise ValueError("a key's name is one word without plus signs")


# -- notes


def sign(text: str, keys: Sequence[PrivateKey]) -> bytes:
    """The note: the text and one signature line a key. Raises: ValueError: the text cannot be one of a note."""
    if not text.endswith("\n") or not _is_plain(text):
        raise ValueError("a note's text ends in a newline and holds no other control characters")
    lines = [_LINE_START + f"{key.name} {_signature(key, text)}\n" for key in keys]
    return (text + "\n" + "".join(lines)).encode()


def _signature(key: PrivateKey, text: str) -> str:
    signature = Ed25519PrivateKey.from_private_bytes(key.seed).sign(text.encode())
    return base64.b64encode(key.public.key_hash + signature).decode()


def verify(note: bytes, keys: Iterable[PublicKey]) -> tuple[str, tuple[PublicKey, ...]]:
    """The note's text, and whose signatures it carries: at least one of `keys`.

    Raises: NoteRejected: `note_malformed`: this is no note; `note_signature`: a known key's signature is wrong;
    `note_unsigned`: no known key signed it.
    """
    text, lines = _parts(note)
    known = {(key.name, key.key_hash): key for key in keys}
    signers: list[PublicKey] = []
    for name, key_hash, signature in [_signature_line(line) for line in lines]:
        key = known.get((name, key_hash))
        if key is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.key).verify(signature, text.encode())
        except InvalidSignature:
            raise NoteRejected("the signature does not belong to this text", code="note_signature") from None
        if key not in signers:
            signers.append(key)
    if not signers:
        raise NoteRejected("none of the known keys has signed it", code="note_unsigned")
    return text, tuple(signers)


def _parts(note: bytes) -> tuple[str, list[str]]:
    """Text and signature lines."""
    try:
        whole = note.decode() if len(note) <= _LONGEST_NOTE_BYTES else ""
    except UnicodeDecodeError:
        whole = ""
    body, gap, signatures = whole.rpartition("\n\n")
    lines = signatures.split("\n")
    if not gap or not _is_plain(whole) or lines.pop() != "" or not 0 < len(lines) <= _MOST_SIGNATURES:
        raise NoteRejected("this is no signed note", code="note_malformed")
    return body + "\n", lines


def _signature_line(line: str) -> tuple[str, bytes, bytes]:
    """Name, key hash and signature."""
    words = line.removeprefix(_LINE_START).split(" ")
    try:
        if not line.startswith(_LINE_START) or len(words) != 2:
            raise ValueError("not a signature line")
        if not _is_name(words[0]):
            raise ValueError("not a key's name")
        body = base64.b64decode(words[1], validate=True)
        if base64.b64encode(body).decode() != words[1]:
            raise ValueError("another way to write the same signature")
    except ValueError:
        raise NoteRejected("a line of the signatures is none", code="note_malformed") from None
    # Other algorithms have other lengths: their keys are unknown here, so only what stands before is looked at.
    if len(body) <= _HASH_BYTES:
        raise NoteRejected("a signature is too short", code="note_malformed")
    return words[0], body[:_HASH_BYTES], body[_HASH_BYTES:]


def _is_plain(text: str) -> bool:
    return not any(letter < " " and letter != "\n" for letter in text)


# -- key files


def write_key_files(private_file: Path, name: str) -> PublicKey:
    """A new pair: the private key at `private_file` (0600), the public one beside it with the ending `.pub`.

    Never over an existing file: what was signed with the old key would no longer be told from a forgery.
    Raises: ConfigError: a file exists or cannot be written; the name cannot be one.
    """
    try:
        key = PrivateKey.generate(name)
    except ValueError as exc:
        raise ConfigError([f"signing key: {exc}"]) from None
    public_file = public_file_of(private_file)
    if public_file == private_file:
        raise ConfigError(["signing key: a private key's file may not end in .pub, as that of its public half does"])
    if public_file.exists():
        raise ConfigError([f"signing key: {public_file} exists and is not overwritten"])
    _write_new(private_file, key.text() + "\n", 0o600)
    _write_new(public_file, f"{key.public}\n", 0o644)
    return key.public


def ensure_key_files(private_file: Path, name: str) -> None:
    """A pair where there is none; a private key that was taken elsewhere is not replaced. Raises: ConfigError."""
    public_file = public_file_of(private_file)
    if public_file.exists():
        return
    if private_file.exists():  # an earlier start ended between the two files
        _write_new(public_file, f"{load_private_key(private_file).public}\n", 0o644)
    else:
        write_key_files(private_file, name)


def public_file_of(private_file: Path) -> Path:
    """Where the public half lies: `model.key` → `model.pub`."""
    return private_file.with_suffix(".pub")


def _write_new(path: Path, text: str, mode: int) -> None:
    try:
        write_new(path, text, mode)
    except FileExistsError:
        raise ConfigError([f"signing key: {path} exists and is not overwritten"]) from None
    except OSError as exc:
        raise ConfigError([f"signing key: {path} cannot be written: {exc.strerror}"]) from None


def load_private_key(path: Path) -> PrivateKey:
    """Reads a private key file. Raises: ConfigError: missing, readable by others, or no such key."""
    text, fault = line_in(path)
    if fault:
        raise ConfigError([f"signing key: {path} {fault}"])
    try:
        return PrivateKey.parse(text.strip())
    except ValueError as exc:
        raise ConfigError([f"signing key: {path}: {exc}"]) from None


def load_public_keys(path: Path) -> tuple[PublicKey, ...]:
    """Reads public keys, one a line; empty lines and lines that begin with # say nothing.

    Raises: ConfigError: missing, without a key, or a line is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise ConfigError([f"public keys: {path} cannot be read: {exc.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"public keys: {path} is not UTF-8 text"]) from None
    keys, faults = [], []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            keys.append(PublicKey.parse(text))
        except ValueError as exc:
            faults.append(f"public keys: {path}:{number}: {exc}")
    if not keys and not faults:
        faults.append(f"public keys: {path} holds none")
    if faults:
        raise ConfigError(faults)
    return tuple(keys)
