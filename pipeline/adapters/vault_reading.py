"""What the vault says of a token: who is behind it, or that somebody was erased; asked as the database role vault.

Place in the flow: under reveals, in the console (over a pool) and in commands. Questions name tokens; identifiers are
only ever in this process's memory.
"""

from __future__ import annotations

from pipeline.adapters.reader_pool import Questions
from pipeline.columns import TOKEN_BYTES
from pipeline.privacy.envelope import Envelope, SealedIdentity

DATABASE = "accesstrail_vault"
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

    def was_erased(self, token: str) -> bool:
        """Whether somebody had this token (hex) erased; a later access may have brought the identity back."""
        rows = self._questions.query(
            f"SELECT count() FROM {DATABASE}.erasures WHERE tenant_id = {{tenant:String}} "
            f"AND has(tokens, toFixedString(unhex({{token:String}}), {TOKEN_BYTES}))",
            {"tenant": self._tenant, "token": token},
        )
        return bool(rows[0][0])
