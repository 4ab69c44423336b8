"""The tables of the vault: a database of its own, because a database is what rights are given by.

Parts that a mutation replaced are removed from the disk within seconds, not minutes: what is erased shall not stay
there in an old part.
"""

from __future__ import annotations

from pipeline.migrations.schema import VAULT, Statement, table
from pipeline.vault_columns import ERASURE_COLUMNS, VAULT_COLUMNS, VAULT_KEY_COLUMNS

_STORED_AT = "stored_at DateTime64(3, 'UTC') DEFAULT now64(3)"
_SOON_GONE = ", old_parts_lifetime = 1, cleanup_delay_period = 1, max_cleanup_delay_period = 2"


def vault_steps() -> list[tuple[str, Statement]]:
    """Identities, their keys, erasures. Of two writers of one identity the last row counts, and its key is there."""
    return [
        (
            "vault",
            table(
                "vault", VAULT_COLUMNS, database=VAULT, engine="ReplacingMergeTree",
                order_by="tenant_id, kind, token", extra=(_STORED_AT,), more_settings=_SOON_GONE,
            ),
        ),
        (
            "vault_keys",
            table(
                "vault_keys", VAULT_KEY_COLUMNS, database=VAULT, engine="ReplacingMergeTree",
                order_by="tenant_id, kind, token, key_id", extra=(_STORED_AT,), more_settings=_SOON_GONE,
            ),
        ),
        (
            "erasures",
            table(
                "erasures", ERASURE_COLUMNS, database=VAULT, engine="MergeTree", order_by="tenant_id, erased_at",
                extra=(_STORED_AT,),
            ),
        ),
    ]  # fmt: skip
