"""The envelope around an identity: a data key of its own, itself wrapped by the deployment's vault key.

Place in the flow: inside the vault's adapter. Pure but for chance. AES-256-GCM (NIST SP 800-38D) twice: the identifier
under a data key that is drawn for it and used once, the data key under a key derived from the vault's key file. Both
times tenant, kind, token and data key are authenticated along, so that a ciphertext opens in its own place only.

Erasing the wrapped data key erases the identity wherever its ciphertext may still lie: a backup, an old disk.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipeline.errors import AccesstrailError
from pipeline.ports import Identity
from pipeline.privacy.keys import Key, Keyring, length_prefixed
from pipeline.vault_columns import KEY_ID_BYTES

_NONCE_BYTES, _DATA_KEY_BYTES = 12, 32


@dataclass(frozen=True, slots=True)
class SealedIdentity:
    """An identity under its data key, and that key under the vault's."""

    tenant: str
    kind: str
    token: bytes
    key_id: bytes
    sealed: bytes
    wrapping_key: int
    wrapped: bytes


class Envelope:
    """Seals with the newest key of the keyring, opens with whichever wrapped it."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring, self._newest = keyring, keyring.newest.key_id
        self._wrapping = AESGCM(_wrapping_key(keyring.newest))

    def seal(self, identity: Identity) -> SealedIdentity:
        """Under a data key drawn now; twice the same identity gives two different envelopes."""
        key_id, data_key = os.urandom(KEY_ID_BYTES), os.urandom(_DATA_KEY_BYTES)
        whose = _whose(identity.tenant, identity.kind, identity.token, key_id)
        return SealedIdentity(
            identity.tenant, identity.kind, identity.token, key_id,
            _encrypted(AESGCM(data_key), identity.identifier.encode(), whose), self._newest,
            _encrypted(self._wrapping, data_key, whose),
        )  # fmt: skip

    def open(self, sealed: SealedIdentity) -> str:
        """The identifier. Raises: AccesstrailError: it was changed or belongs elsewhere; ConfigError: no such key."""
        whose = _whose(sealed.tenant, sealed.kind, sealed.token, sealed.key_id)
        data_key = _decrypted(_wrapping_key(self._keyring.key(sealed.wrapping_key)), sealed.wrapped, whose)
        return _decrypted(data_key, sealed.sealed, whose).decode()


def _wrapping_key(key: Key) -> bytes:
    return key.derive("accesstrail/vault/1")


def _whose(tenant: str, kind: str, token: bytes, key_id: bytes) -> bytes:
    return length_prefixed(tenant) + length_prefixed(kind) + token + key_id


def _encrypted(cipher: AESGCM, plain: bytes, whose: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, whose)


def _decrypted(key: bytes, sealed: bytes, whose: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], whose)
    except (InvalidTag, ValueError):
        message = "an identity of the vault was changed, or belongs to another place or key"
        raise AccesstrailError(message, code="vault_damaged") from None
