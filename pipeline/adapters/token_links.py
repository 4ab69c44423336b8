"""Links between tokens of one person on ClickHouse, as the database role vault or, without a vault, writer.

Place in the flow: told by `commit_batch` before any row that holds a token (with the vault, step 1), and by
`accesstrail keys tokens rotate` of everybody known before another key signs. A link names no one: both of its ends are
pseudonyms.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.column_batch import Column, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.columns import TOKEN_BYTES
from pipeline.config import VAULT, Settings
from pipeline.errors import RejectedRow, StoreRefused
from pipeline.link_columns import TOKEN_LINK_COLUMNS
from pipeline.ports import Identity
from pipeline.privacy.identities import KnownIdentities

TABLE = "accesstrail_raw.token_links"
_AT_ONCE = 1000
_STORED = (
    f"SELECT hex(token) FROM {TABLE} WHERE token IN "  # noqa: S608  our own text
    f"(SELECT toFixedString(unhex(arrayJoin({{tokens:Array(String)}})), {TOKEN_BYTES}))"
)


class TokenLinks:
    """Keeps links; every method may raise Away or StoreRefused."""

    def __init__(self, client: ClickHouse) -> None:
        self._client = client

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def keep(self, identities: Sequence[Identity]) -> int:
        """Returns when every token that a rotated key made is linked; how many were not yet."""
        rotated = [one for one in identities if one.canonical not in (b"", one.token)]
        linked = 0
        for first in range(0, len(rotated), _AT_ONCE):
            asked = rotated[first : first + _AT_ONCE]
            rows = self._client.query(_STORED, {"tokens": [one.token.hex() for one in asked]})
            stored = {bytes.fromhex(token) for (token,) in rows}
            absent = [one for one in asked if one.token not in stored]
            self._insert(absent)
            linked += len(absent)
        return linked

    def _insert(self, absent: Sequence[Identity]) -> None:
        columns: dict[str, Column] = {
            "token": _tokens([one.token for one in absent]),
            "canonical": _tokens([one.canonical for one in absent]),
            "tenant_id": texts_column([one.tenant for one in absent]),
            "kind": texts_column([one.kind for one in absent]),
            "key_version": texts_column([one.key_version for one in absent]),
        }
        token = sha256(b"".join(one.token for one in absent)).hexdigest()
        try:
            self._client.insert(TABLE, ColumnBatch(len(absent), columns), TOKEN_LINK_COLUMNS, token=token)
        except RejectedRow:  # nothing of an event is in it: no row of the batch is to blame
            raise StoreRefused(
                "the table of token links refuses a row: its schema is not ours; run `accesstrail migrate --plan`"
            ) from None


class LinksAlone:
    """A deployment without a vault: tokens stay tokens, and are linked (role `IdentityVault`)."""

    def __init__(self, links: TokenLinks, known: KnownIdentities) -> None:
        self._links, self._known = links, known

    def keep(self, identities: Sequence[Identity]) -> None:
        """Links what a rotated key made; keeps nobody's identity."""
        if identities:
            generation = self._known.generation
            self._links.keep(identities)
            self._known.add(identities, generation)


def open_links(settings: Settings) -> TokenLinks:
    """As the role vault where there is a vault, else as writer."""
    return TokenLinks(connect(settings.clickhouse, VAULT if settings.protection.vault_keys_file else "writer"))


def _tokens(tokens: Sequence[bytes]) -> FixedColumn:
    return FixedColumn(np.frombuffer(b"".join(tokens), f"V{TOKEN_BYTES}"))


def texts_column(texts: Sequence[str]) -> TextColumn:
    """A column of texts, one a row."""
    names = Interner()
    return TextColumn(names.ids(texts, len(texts)), names)
