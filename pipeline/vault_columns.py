"""Columns of the vault's tables: identities under encryption, the wrapped keys to them, and what was erased.

Place in the flow: beside `columns.py`, read by the migrations, the vault's adapter and the generated references. The
tables lie in a database of their own, which no role but `vault` can read. None of it is evidence: an erasure must be
able to take it away without touching the ledger.
"""

from __future__ import annotations

from pipeline.columns import TOKEN_BYTES, ColumnSpec

KEY_ID_BYTES = 16
_TOKEN = f"FixedString({TOKEN_BYTES})"
_KEY_ID = f"FixedString({KEY_ID_BYTES})"
_LOW = "LowCardinality(String)"


def _spec(name: str, kind: str, about: str) -> ColumnSpec:
    return ColumnSpec(name, kind, "vault", about, evidence=False)


_WHOSE = (
    _spec("token", _TOKEN, "the pseudonym that stands for the identity everywhere else"),
    _spec("key_id", _KEY_ID, "names the data key, drawn anew for each identity"),
    _spec("tenant_id", _LOW, "tenant"),
    _spec("kind", _LOW, "kind of identity: actor, subject"),
)

VAULT_COLUMNS: tuple[ColumnSpec, ...] = (
    *_WHOSE,
    _spec("token_key", _LOW, "version of the key that the token was made with"),
    _spec("sealed", "String", "nonce and AES-256-GCM of the identifier under its data key"),
)

VAULT_KEY_COLUMNS: tuple[ColumnSpec, ...] = (
    *_WHOSE,
    _spec("wrapping_key", "UInt32", "id of the key-encryption key in the key file"),
    _spec("wrapped", "String", "nonce and AES-256-GCM of the data key under the key-encryption key"),
)

ERASURE_COLUMNS: tuple[ColumnSpec, ...] = (
    _spec("erased_at", "DateTime64(6, 'UTC')", "when the certificate was signed"),
    _spec("tokens", f"Array({_TOKEN})", "the pseudonyms that nobody can turn back any more"),
    _spec("tenant_id", _LOW, "tenant"),
    _spec("erasure_id", "String", "id of the access event that was acknowledged before"),
    _spec("certificate", "String", "the signed note; empty until it is signed"),
)
