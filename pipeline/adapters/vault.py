"""The vault on ClickHouse: the role `IdentityVault` of `pipeline/ports.py`, as the database role vault.

One connection, so one instance a thread. An identity leaves this process only inside its envelope; questions name
tokens, never identifiers. A data key is stored before the identity under it, so whoever finds an identity finds its
key. Of two writers of one identity the row that was stored last counts; its key is there as well.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.token_links import LinksAlone, TokenLinks, open_links, texts_column
from pipeline.adapters.vault_reading import DATABASE
from pipeline.column_batch import Column, ColumnBatch, FixedColumn, Interner, TextColumn, raw_texts
from pipeline.columns import TOKEN_BYTES
from pipeline.config import VAULT, Settings
from pipeline.errors import RejectedRow, StoreRefused
from pipeline.ports import Identity, IdentityVault
from pipeline.privacy.envelope import Envelope, SealedIdentity
from pipeline.privacy.identities import VAULT_KINDS, KnownIdentities
from pipeline.privacy.keys import Keyring
from pipeline.vault_columns import KEY_ID_BYTES, VAULT_COLUMNS, VAULT_KEY_COLUMNS

_TOKENS_AT_ONCE = 1000
_STORED = (
    f"SELECT DISTINCT kind, hex(token) FROM {DATABASE}.vault WHERE tenant_id = {{tenant:String}} "
    "AND kind IN {kinds:Array(String)} "
    f"AND token IN (SELECT toFixedString(unhex(arrayJoin({{tokens:Array(String)}})), {TOKEN_BYTES}))"
)


class ClickHouseVault:
    """Identities in ClickHouse; every method may raise Away or StoreRefused."""

    def __init__(
        self, client: ClickHouse, envelope: Envelope, known: KnownIdentities | None = None
    ) -> None:  # fmt: skip
        """`known`: shared by all writers of a process."""
        self.client, self.envelope, self._links = client, envelope, TokenLinks(client)
        self._known = KnownIdentities() if known is None else known

    def close(self) -> None:
        """Ends the connection."""
        self.client.close()

    def keep(self, identities: Sequence[Identity]) -> None:
        """Returns when all of them are linked and in the vault; those that are there already stay as they are."""
        if self._known.is_look_due(time.monotonic()):
            self._known.forget_after(self.client.query(f"SELECT count() FROM {DATABASE}.erasures")[0][0])
        if not identities:
            return
        generation = self._known.generation
        self._links.keep(identities)
        people = [one for one in identities if one.kind in VAULT_KINDS]
        stored = self._stored(people)
        absent = [one for one in people if (one.tenant, one.kind, one.token) not in stored]
        if absent:
            self._insert([self.envelope.seal(one) for one in absent], [one.key_version for one in absent])
        self._known.add(identities, generation)

    def _stored(self, identities: Sequence[Identity]) -> set[tuple[str, str, bytes]]:
        """One question a tenant: most batches name somebody new, few more than a thousand."""
        tokens: dict[str, list[Identity]] = defaultdict(list)
        for one in identities:
            tokens[one.tenant].append(one)
        found = set()
        for tenant, wanted in tokens.items():
            for first in range(0, len(wanted), _TOKENS_AT_ONCE):
                asked = wanted[first : first + _TOKENS_AT_ONCE]
                kinds = sorted({one.kind for one in asked})
                rows = self.client.query(
                    _STORED, {"tenant": tenant, "kinds": kinds, "tokens": [one.token.hex() for one in asked]}
                )
                found |= {(tenant, str(kind), bytes.fromhex(token)) for kind, token in rows}
        return found

    def _insert(self, sealed: Sequence[SealedIdentity], token_keys: Sequence[str]) -> None:
        """Keys first. Each try draws new keys, so its token names this try alone."""
        token = sha256(b"".join(one.key_id for one in sealed)).hexdigest()
        whose = _whose(sealed)
        wrapping = FixedColumn(np.array([one.wrapping_key for one in sealed], "<u4"))
        keys: dict[str, Column] = {
            **whose,
            "wrapping_key": wrapping,
            "wrapped": raw_texts(one.wrapped for one in sealed),
        }
        rows: dict[str, Column] = {
            **whose,
            "token_key": texts_column(token_keys),
            "sealed": raw_texts(one.sealed for one in sealed),
        }
        try:
            self.client.insert(f"{DATABASE}.vault_keys", ColumnBatch(len(sealed), keys), VAULT_KEY_COLUMNS, token=token)
            self.client.insert(f"{DATABASE}.vault", ColumnBatch(len(sealed), rows), VAULT_COLUMNS, token=token)
        except RejectedRow:  # nothing of an event is in it: no row of the batch is to blame
            raise StoreRefused(
                "the vault refuses a row: its schema is not ours; run `accesstrail migrate --plan`"
            ) from None


def _whose(sealed: Sequence[SealedIdentity]) -> dict[str, Column]:
    tenants, kinds, count = Interner(), Interner(), len(sealed)
    return {
        "token": FixedColumn(np.frombuffer(b"".join(one.token for one in sealed), f"V{TOKEN_BYTES}")),
        "key_id": FixedColumn(np.frombuffer(b"".join(one.key_id for one in sealed), f"V{KEY_ID_BYTES}")),
        "tenant_id": TextColumn(tenants.ids((one.tenant for one in sealed), count), tenants),
        "kind": TextColumn(kinds.ids((one.kind for one in sealed), count), kinds),
    }


def open_vault(settings: Settings, known: KnownIdentities | None = None) -> ClickHouseVault | None:
    """The vault of a deployment; None where it has none. Raises: ConfigError: its keys cannot be read."""
    if settings.protection.vault_keys_file is None:
        return None
    envelope = Envelope(Keyring.load(settings.protection.vault_keys_file))
    return ClickHouseVault(connect(settings.clickhouse, VAULT), envelope, known)


def open_keeper(settings: Settings, known: KnownIdentities) -> IdentityVault:
    """What a worker keeps identities with: the vault, or where there is none the links of rotated tokens alone."""
    return open_vault(settings, known) or LinksAlone(open_links(settings), known)
