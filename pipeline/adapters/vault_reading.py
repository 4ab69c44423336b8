"""What the vault says of a token: who is behind it, or that somebody was erased; asked as the database role vault.

Place in the flow: under reveals, in the console (over a pool) and in commands. Questions name tokens; identifiers are
only ever in this process's memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.adapters.reader_pool import Questions
from pipeline.columns import TOKEN_BYTES
from pipeline.privacy.envelope import Envelope, SealedIdentity

DATABASE = "accesstrail_vault"
PAGE = 1000
THESE = (
    "tenant_id = {tenant:String} AND kind = {kind:String} "
    f"AND token IN (SELECT toFixedString(unhex(arrayJoin({{tokens:Array(String)}})), {TOKEN_BYTES}))"
)
"""Condition of all rows of some tokens (hex) of one tenant and kind."""


class VaultReader:
    """Looks up identities of one tenant; every method may raise Away or StoreRefused."""

    def __init__(self, questions: Questions, envelope: Envelope, tenant: str) -> None:
        self._questions, self._envelope, self._tenant = questions, envelope, tenant

    def of(self, kind: str, token: str) -> str | None:
        """The identifier behind a token (hex); None: the vault does not hold it.

        Raises: AccesstrailError: the row was tampered with; ConfigError: the key that wraps its key is gone.
        """
        whose = {"tenant": self._tenant, "kind": kind, "tokens": [token]}
        rows = self._questions.query(
            f"SELECT hex(key_id), hex(sealed) FROM {DATABASE}.vault WHERE {THESE} ORDER BY stored_at DESC LIMIT 1",
            whose,
        )
        if not rows:
            return None
        keys = self._questions.query(
            f"SELECT wrapping_key, hex(wrapped) FROM {DATABASE}.vault_keys WHERE {THESE} "
            "AND hex(key_id) = {key:String} LIMIT 1",
            {**whose, "key": rows[0][0]},
        )
        if not keys:  # an erasure is under way: without its key nobody can read it
            return None
        key_id, sealed = (bytes.fromhex(text) for text in rows[0])
        envelope = SealedIdentity(
            self._tenant, kind, bytes.fromhex(token), key_id, sealed, int(keys[0][0]), bytes.fromhex(keys[0][1])
        )
        return self._envelope.open(envelope)

    def everybody(self, kind: str) -> Iterator[str]:
        """Every identifier of a kind, once for each of its tokens; who is being erased is left out. Raises: as `of`."""
        after = "00" * TOKEN_BYTES  # which names nobody
        while page := self._page(kind, after):
            keys = self._keys_of(kind, [row[0] for row in page])
            for token, key_id, sealed in page:
                if (token, key_id) in keys:
                    wrapping, wrapped = keys[token, key_id]
                    whose = bytes.fromhex(token), bytes.fromhex(key_id), bytes.fromhex(sealed)
                    yield self._envelope.open(SealedIdentity(self._tenant, kind, *whose, wrapping, wrapped))
            after = page[-1][0]

    def _page(self, kind: str, after: str) -> Sequence[tuple[str, str, str]]:
        """Token, key id and sealed identity in hexadecimal, by token; of each token the row that counts."""
        return self._questions.query(
            f"SELECT hex(token), hex(key_id), hex(sealed) FROM {DATABASE}.vault WHERE tenant_id = {{tenant:String}} "
            f"AND kind = {{kind:String}} AND token > toFixedString(unhex({{after:String}}), {TOKEN_BYTES}) "
            "ORDER BY token, stored_at DESC LIMIT 1 BY token LIMIT {most:UInt32}",
            {"tenant": self._tenant, "kind": kind, "after": after, "most": PAGE},
        )

    def _keys_of(self, kind: str, tokens: Sequence[str]) -> dict[tuple[str, str], tuple[int, bytes]]:
        rows = self._questions.query(
            f"SELECT hex(token), hex(key_id), wrapping_key, hex(wrapped) FROM {DATABASE}.vault_keys WHERE {THESE}",
            {"tenant": self._tenant, "kind": kind, "tokens": list(tokens)},
        )
        return {(token, key_id): (int(wrapping), bytes.fromhex(wrapped)) for token, key_id, wrapping, wrapped in rows}

    def was_erased(self, token: str) -> bool:
        """Whether somebody had this token (hex) erased; a later access may have brought the identity back."""
        rows = self._questions.query(
            f"SELECT count() FROM {DATABASE}.erasures WHERE tenant_id = {{tenant:String}} "
            f"AND has(tokens, toFixedString(unhex({{token:String}}), {TOKEN_BYTES}))",
            {"tenant": self._tenant, "token": token},
        )
        return bool(rows[0][0])


def tenants_of(questions: Questions) -> Sequence[str]:
    """Tenants whose people the vault holds. Raises: Away; StoreRefused."""
    rows = questions.query(f"SELECT DISTINCT tenant_id FROM {DATABASE}.vault ORDER BY tenant_id", {})
    return [str(tenant) for (tenant,) in rows]
