"""The keys behind tokens, sealed dead letters and keyed digests: one secret file, everything else derived from it.

Place in the flow: loaded by the composition root, used by `protect` and by the directory reader.
Derivation: HKDF with SHA-256 (RFC 5869), salt `accesstrail/keyring/1`; `info` = label ‖ 0x00 ‖ parts, each part a
big-endian 16-bit length and its UTF-8 bytes. Tokens: HMAC-SHA256 (RFC 2104), cut to 16 bytes:

    tenant key = HKDF(secret, "accesstrail/token/1", tenant, kind)
    token      = HMAC-SHA256(tenant key, be16(len(kind)) ‖ kind ‖ UTF-8(NFKC(identifier)))[:16]

What a holder of the key can still do: recompute the token of any identifier they can guess. A token without the key
says nothing, not even about phone numbers, of which there are only 7 × 10^9.

Rotation: the newest key signs, so stored rows hold fresh pseudonyms. The *canonical* token of an identifier is its
token under the oldest key: who must know that it is the same person (profiles, the directory, exceptions, incidents)
goes by that one, whatever key signs. Case references name tickets, not persons, and keep the oldest key (`KEPT_KINDS`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import stat
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.columns import TOKEN_BYTES
from pipeline.errors import ConfigError
from pipeline.private_files import write_new

FILE_VERSION = 1
MINIMUM_SECRET_BYTES = 32
KEPT_KINDS = frozenset(("case",))
"""Kinds that no rotation touches: the directory's open tickets must stay those of events before and after it."""
_SALT = b"accesstrail/keyring/1"
_OFFLINE_SECRET = hashlib.sha256(b"accesstrail offline commands: this key protects nothing").digest()


@dataclass(frozen=True, slots=True)
class Key:
    """One version of the deployment's secret. `secret` never appears in a repr."""

    key_id: int
    secret: bytes

    def __repr__(self) -> str:
        return f"Key(key_id={self.key_id})"

    def derive(self, label: str, *parts: str) -> bytes:
        """A 32-byte key for one use (HKDF-SHA256); `label` names the use, `parts` whom it is for."""
        info = label.encode() + b"\0" + b"".join(length_prefixed(part) for part in parts)
        extracted = hmac.digest(_SALT, self.secret, "sha256")
        return hmac.digest(extracted, info + b"\x01", "sha256")


def length_prefixed(text: str) -> bytes:
    """Big-endian 16-bit length and UTF-8 bytes: keeps `("ab", "c")` and `("a", "bc")` apart."""
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def normalised(identifier: str) -> str:
    """The form of an identifier that is tokenised: Unicode NFKC, so that full-width digits give the same token."""
    return identifier if identifier.isascii() else unicodedata.normalize("NFKC", identifier)


class Keyring:
    """Every version of the deployment's key; the newest one signs.

    Immutable and safe to share between threads.
    """

    def __init__(self, keys: tuple[Key, ...]) -> None:
        """`keys`: at least one, distinct ids; the largest id is the newest."""
        self._keys: Mapping[int, Key] = {key.key_id: key for key in keys}
        self.newest = max(keys, key=lambda key: key.key_id)
        self.oldest = min(keys, key=lambda key: key.key_id)
        self._tenant_key = lru_cache(maxsize=1024)(self._derive_tenant_key)

    def __repr__(self) -> str:
        return f"Keyring({self.version_id})"

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Reads the key file: JSON, mode 0600, `{"version": 1, "keys": [{"id", "created_at", "secret_hex"}]}`.

        Raises: ConfigError: the file is missing, readable by others, malformed, or holds a secret under 32 bytes.
        """
        return cls(keys_of_file(path)[1])

    @classmethod
    def offline(cls) -> Keyring:
        """The fixed, published key of commands that run without a deployment (`train`, `score`, `evaluate`).

        Tokens made with it protect nothing; they exist so that the same stages run and results repeat.
        """
        return cls((Key(0, _OFFLINE_SECRET),))

    @property
    def version_id(self) -> str:
        """Names the signing key in a version set: its id and a fingerprint that does not reveal it."""
        return f"{self.newest.key_id}-{self.newest.derive('accesstrail/fingerprint/1')[:8].hex()}"

    def key(self, key_id: int) -> Key:
        """One version of the key.

        Raises: ConfigError: this keyring does not hold it.
        """
        try:
            return self._keys[key_id]
        except KeyError:
            raise ConfigError([f"token keys: no key with id {key_id}; add the file entry it was made with"]) from None

    @property
    def is_rotated(self) -> bool:
        """Whether canonical tokens differ from those that are stored now."""
        return self.newest.key_id != self.oldest.key_id

    def signing_with(self, version_id: str, canonical_id: str = "") -> Keyring:
        """The keyring in which the key named by `version_id` signs: what a replay under recorded versions uses.

        `canonical_id`: version of the key of canonical tokens; "": the oldest here.
        Raises: ConfigError: no key here has this id and fingerprint.
        """
        signing = self._key_of(version_id)
        canonical = self._key_of(canonical_id) if canonical_id else self.oldest
        between = range(min(canonical.key_id, signing.key_id), signing.key_id + 1)
        return Keyring(tuple(key for key in self._keys.values() if key.key_id in between))

    def _key_of(self, version_id: str) -> Key:
        for key in self._keys.values():
            if Keyring((key,)).version_id == version_id:
                return key
        raise ConfigError([f"token keys: no key of version {version_id}; add the file entry it was made with"])

    @property
    def current(self) -> Keyring:
        """Itself: what a `key_file.KeyFile` answers with the file's keys."""
        return self

    @property
    def canonical(self) -> Keyring:
        """The keyring whose tokens stay the same through every rotation: of the oldest key alone."""
        return self if len(self._keys) == 1 else Keyring((self.oldest,))

    @property
    def version_ids(self) -> tuple[str, ...]:
        """Names of all keys, as `version_id` names the one that signs; the oldest first."""
        return tuple(Keyring((self._keys[key_id],)).version_id for key_id in sorted(self._keys))

    def tenant_key(self, tenant: str, kind: str) -> bytes:
        """The 32-byte key that signs one tenant's identifiers of one kind."""
        return self._tenant_key(tenant, kind)

    def _derive_tenant_key(self, tenant: str, kind: str) -> bytes:
        signing = self.oldest if kind in KEPT_KINDS else self.newest
        return signing.derive("accesstrail/token/1", tenant, kind)

    def tokens(self, tenant: str, kind: str, identifier: str) -> tuple[bytes, ...]:
        """The pseudonyms of an identifier under every version of the key, the newest first: what a search asks for."""
        message = length_prefixed(kind) + normalised(identifier).encode()
        newest_first = sorted(self._keys.values(), key=lambda key: key.key_id, reverse=True)
        keys = (key.derive("accesstrail/token/1", tenant, kind) for key in newest_first)
        return tuple(hmac.digest(key, message, "sha256")[:TOKEN_BYTES] for key in keys)

    def token(self, tenant: str, kind: str, identifier: str) -> bytes:
        """The keyed pseudonym of an identifier, 16 bytes; equal for identifiers that are equal under NFKC."""
        message = length_prefixed(kind) + normalised(identifier).encode()
        return hmac.digest(self.tenant_key(tenant, kind), message, "sha256")[:TOKEN_BYTES]


def keys_of_file(path: Path) -> tuple[str, tuple[Key, ...]]:
    """The text of a key file and its keys. Raises: ConfigError, as `Keyring.load`."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError([f"token keys: {path} cannot be read: {exc.strerror}"]) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError([f"token keys: {path} is not UTF-8 text"]) from exc
    if mode & 0o077:
        raise ConfigError([f"token keys: {path} can be read by others: run chmod 600 on it"])
    # No `from`: the parser's own message would quote the file.
    try:
        document = json.loads(text)
    except ValueError:
        raise ConfigError([f"token keys: {path} is not valid JSON"]) from None
    return text, _keys_of(document, path)


def _keys_of(document: Any, path: Path) -> tuple[Key, ...]:  # noqa: ANN401  parsed JSON
    faults: list[str] = []
    if not isinstance(document, dict) or document.get("version") != FILE_VERSION:
        raise ConfigError([f'token keys: {path} must be an object with "version": {FILE_VERSION}'])
    entries = document.get("keys")
    if not isinstance(entries, list) or not entries:
        raise ConfigError([f'token keys: {path} must list at least one key under "keys"'])
    keys: dict[int, Key] = {}
    for place, entry in enumerate(entries, start=1):
        where = f"token keys: {path}: key {place}"
        key_id, secret_hex = (entry.get("id"), entry.get("secret_hex")) if isinstance(entry, dict) else (None, None)
        if not isinstance(key_id, int) or isinstance(key_id, bool) or not 0 < key_id < 2**32:
            faults.append(f'{where}: "id" must be a whole number from 1')
            continue
        if key_id in keys:
            faults.append(f"{where}: id {key_id} is used twice")
        secret = _secret(secret_hex)
        if secret is None or len(secret) < MINIMUM_SECRET_BYTES:
            faults.append(f'{where}: "secret_hex" must be at least {MINIMUM_SECRET_BYTES} bytes in hexadecimal')
            continue
        keys[key_id] = Key(key_id, secret)
    if faults:
        raise ConfigError(faults)
    return tuple(keys.values())


def _secret(text: object) -> bytes | None:
    if not isinstance(text, str):
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def new_key_file(path: Path) -> None:
    """Writes a fresh key file, mode 0600; never over an existing one, whose tokens would be lost.

    Raises: ConfigError: the file exists or cannot be written.
    """
    entry = {
        "id": 1,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "secret_hex": secrets.token_hex(32),
    }
    document = {"version": FILE_VERSION, "keys": [entry]}
    try:
        write_new(path, json.dumps(document, indent=2) + "\n")
    except FileExistsError:
        raise ConfigError([f"token keys: {path} exists; a new key would orphan every token made with it"]) from None
    except OSError as exc:
        raise ConfigError([f"token keys: {path} cannot be written: {exc.strerror}"]) from exc
