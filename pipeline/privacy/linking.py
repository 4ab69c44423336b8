"""Everybody who is known, under the key that is about to sign: linked before any row can hold the new pseudonyms.

Place in the flow: `accesstrail keys tokens`, before the rotation is put in force and once more after it. Whoever comes
for the first time later is linked by the worker that sees them, before the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from pipeline.ports import Identity
from pipeline.privacy.keys import Keyring
from pipeline.privacy.tokens import Tokeniser

AT_ONCE = 1000


def under_every_key(
    keyring: Keyring, tenant: str, kind: str, identifiers: Iterable[str]
) -> Iterator[Identity]:  # fmt: skip
    """Each of them under every key but the oldest, whose tokens are the canonical ones."""
    canonical_of = Tokeniser(keyring.canonical, tenant, kind)
    newer = keyring.version_ids[1:]
    makers = [(version, Tokeniser(keyring.signing_with(version), tenant, kind)) for version in newer]
    for identifier in identifiers:
        canonical = canonical_of(identifier)
        for version, token_of in makers:
            yield Identity(tenant, kind, token_of(identifier), identifier, version, canonical)


def in_lots(identities: Iterable[Identity]) -> Iterator[list[Identity]]:
    """A bounded number at a time."""
    rest = iter(identities)
    while lot := list(islice(rest, AT_ONCE)):
        yield lot
