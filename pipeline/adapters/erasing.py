"""Takes identities out of the vault by mutation, which returns when no part of the table holds them any more.

Place in the flow: under `accesstrail erase`. The intent is written first: from then on workers take whoever comes again
for new, and a reveal no longer looks elsewhere. Then the identities, then their keys, then the certificate. A crash
anywhere is made good by the same erasure once more. Role: vault.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.holds import HoldReader
from pipeline.adapters.reader_pool import Questions
from pipeline.adapters.vault_reading import DATABASE, THESE
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.columns import TOKEN_BYTES
from pipeline.errors import StoreRefused
from pipeline.retention.holds import SUBJECT
from pipeline.vault_columns import ERASURE_COLUMNS

_AT_ONCE = {"mutations_sync": 2}


class StoredHolds:
    """The holds that `accesstrail hold` and suspected breaches placed (role `LegalHolds`), asked as a reader."""

    def __init__(self, questions: Questions) -> None:
        self._holds = HoldReader(questions)

    def holding(self, tenant: str, kind: str, tokens: Sequence[str]) -> Sequence[str]:
        """Ids of the holds that any of these tokens is under. Raises: Away."""
        if kind == SUBJECT:
            found = [hold for token in tokens for hold in self._holds.holds_of_subject(tenant, token)]
        else:
            found = [
                hold
                for hold in self._holds.in_force()
                if hold.tenant == tenant and (hold.is_of_everybody or not set(hold.actors).isdisjoint(tokens))
            ]
        return list(dict.fromkeys(hold.hold_id for hold in found))


class VaultEraser:
    """One connection; every method may raise Away or StoreRefused."""

    def __init__(self, client: ClickHouse, tenant: str, kind: str, tokens: Sequence[str]) -> None:
        """`tokens`: hex."""
        self._client, self._tokens, self._tenant = client, list(tokens), tenant
        self._whose: dict[str, object] = {"tenant": tenant, "kind": kind, "tokens": self._tokens}

    def identities(self) -> int:
        """How many of the tokens the vault can turn back."""
        sql = f"SELECT uniqExact(token) FROM {DATABASE}.vault WHERE {THESE}"
        return int(self._client.query(sql, self._whose)[0][0])

    def key_ids(self) -> list[str]:
        """The data keys there are for them, hex."""
        sql = f"SELECT DISTINCT lower(hex(key_id)) FROM {DATABASE}.vault_keys WHERE {THESE} ORDER BY 1"
        return [str(row[0]) for row in self._client.query(sql, self._whose)]

    def is_unfinished(self) -> bool:
        """Whether an erasure of these tokens was begun, and its certificate never written."""
        sql = (
            f"SELECT argMax(certificate = '', erased_at) FROM {DATABASE}.erasures "
            "WHERE tenant_id = {tenant:String} AND hasAny(tokens, "
            f"arrayMap(token -> toFixedString(unhex(token), {TOKEN_BYTES}), {{tokens:Array(String)}}))"
        )
        return bool(self._client.query(sql, {"tenant": self._tenant, "tokens": self._tokens})[0][0])

    def note(self, erasure_id: str, at_us: int, certificate: str = "") -> None:
        """Writes the intent, or with a certificate that it is done."""
        rows = ColumnBatch(1, {
            "erased_at": FixedColumn(np.array([at_us], "<i8")),
            "tokens": ArrayColumn(np.array([len(self._tokens)], np.int64), FixedColumn(
                np.frombuffer(bytes.fromhex("".join(self._tokens)), f"V{TOKEN_BYTES}"))),
            "tenant_id": _text(self._tenant), "erasure_id": _text(erasure_id), "certificate": _text(certificate),
        })  # fmt: skip
        token = f"{erasure_id}:{'done' if certificate else 'intent'}"
        self._client.insert(f"{DATABASE}.erasures", rows, ERASURE_COLUMNS, token=token)

    def erase(self) -> None:
        """Returns when no part holds an identity or a key of these tokens. Raises: StoreRefused: one is still there."""
        for table in ("vault", "vault_keys"):
            self._client.query(f"ALTER TABLE {DATABASE}.{table} DELETE WHERE {THESE}", self._whose, _AT_ONCE)
        if self.identities() or self.key_ids():
            raise StoreRefused("an identity came back while it was erased: run the same command again")


def _text(text: str) -> TextColumn:
    texts = Interner()
    return TextColumn(np.array([texts[text]], np.int32), texts)
