"""Columns of `token_links`: which token is which person's, across rotations of the token key.

Place in the flow: beside `columns.py`, read by the migration, the adapter that keeps links and the generated
references. No evidence: rows stay as they were sealed, and what counts persons looks up here who is the same.
"""

from __future__ import annotations

from pipeline.columns import TOKEN_BYTES, ColumnSpec

_TOKEN, _LOW = f"FixedString({TOKEN_BYTES})", "LowCardinality(String)"


def _spec(name: str, kind: str, about: str) -> ColumnSpec:
    return ColumnSpec(name, kind, "links", about, evidence=False)


TOKEN_LINK_COLUMNS: tuple[ColumnSpec, ...] = (
    _spec("token", _TOKEN, "a pseudonym under a key that was rotated in"),
    _spec("canonical", _TOKEN, "the same identifier's pseudonym under the oldest key: the same through every rotation"),
    _spec("tenant_id", _LOW, "tenant"),
    _spec("kind", _LOW, "kind of identity: actor, subject, credential, device, recipient"),
    _spec("key_version", _LOW, "version of the key that the token was made with"),
)
