"""Seals what could not become an event: dead-letter payloads, encrypted and digested under keys of the keyring.

Place in the flow: inside `protect_dead_letters`. AES-256-GCM (NIST SP 800-38D) with the record's position as
associated data, so a payload cannot be moved to another row. The nonce is HMAC-SHA256(nonce key, position ‖
payload)[:12]: a replay writes identical bytes, and one nonce never serves two contents. The digest is keyed, because a
plain hash of a short record could be found by trying.

    sealed = 0x01 ‖ be32(key id) ‖ nonce (12) ‖ ciphertext and tag
    record = flags (1: key present, 2: value present) ‖ be32(len(key)) ‖ key ‖ value
"""

from __future__ import annotations

import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipeline.errors import AccesstrailError
from pipeline.events import LogPosition
from pipeline.privacy.keys import Key, Keyring, length_prefixed

_FORMAT = 1
_HEADER = struct.Struct(">BI")
_NONCE_BYTES = 12
_KEY_PRESENT, _VALUE_PRESENT = 1, 2


class Sealer:
    """Seals and digests records under the newest key of a keyring."""

    def __init__(self, keyring: Keyring) -> None:
        key = keyring.newest
        self._key_id = key.key_id
        self._cipher = AESGCM(_cipher_key(key))
        self._nonce_key = key.derive("accesstrail/dead-letter-nonce/1")
        self._digest_key = key.derive("accesstrail/payload-digest/1")

    def seal(self, payload: bytes, position: bytes) -> bytes:
        """The payload encrypted for this position (`position_bytes`); equal inputs give equal bytes."""
        nonce = hmac.digest(self._nonce_key, struct.pack(">I", len(position)) + position + payload, "sha256")
        nonce = nonce[:_NONCE_BYTES]
        return _HEADER.pack(_FORMAT, self._key_id) + nonce + self._cipher.encrypt(nonce, payload, position)

    def digest(self, payload: bytes) -> bytes:
        """HMAC-SHA256 of the payload, 32 bytes: equal for equal payloads, meaningless without the key."""
        return hmac.digest(self._digest_key, payload, "sha256")


def _cipher_key(key: Key) -> bytes:
    return key.derive("accesstrail/dead-letter/1")


def open_sealed(keyring: Keyring, sealed: bytes, position: bytes) -> bytes:
    """What `Sealer.seal` sealed for this position, whichever key of the keyring it was sealed with.

    Raises: AccesstrailError: it was changed, belongs to another position, or is no sealed payload;
        ConfigError: the keyring no longer holds the key.
    """
    start = _HEADER.size + _NONCE_BYTES
    if len(sealed) < start or sealed[0] != _FORMAT:
        raise AccesstrailError("this is no sealed payload of a known format", code="sealed_payload")
    _, key_id = _HEADER.unpack_from(sealed)
    cipher = AESGCM(_cipher_key(keyring.key(key_id)))
    try:
        return cipher.decrypt(sealed[_HEADER.size : start], sealed[start:], position)
    except InvalidTag:
        message = "the sealed payload was changed, or belongs to another position or key"
        raise AccesstrailError(message, code="sealed_payload") from None


def position_bytes(position: LogPosition, offset: int) -> bytes:
    """One record's place in the log as bytes: what a sealed payload is bound to."""
    return (
        length_prefixed(position.topic)
        + length_prefixed(position.incarnation)
        + struct.pack(">IQ", position.partition, offset)
    )


def record_bytes(key: bytes | None, value: bytes | None) -> bytes:
    """A Kafka record's key and value as one text of bytes; `record_parts` takes it apart again."""
    flags = _KEY_PRESENT * (key is not None) | _VALUE_PRESENT * (value is not None)
    return struct.pack(">BI", flags, len(key or b"")) + (key or b"") + (value or b"")


def record_parts(payload: bytes) -> tuple[bytes | None, bytes | None]:
    """Key and value of `record_bytes`."""
    flags, size = struct.unpack_from(">BI", payload)
    key, value = payload[5 : 5 + size], payload[5 + size :]
    return key if flags & _KEY_PRESENT else None, value if flags & _VALUE_PRESENT else None
