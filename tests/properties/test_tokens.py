"""Properties of tokens: the fast path equals the defined one, for any text."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pipeline.privacy.keys import Key, Keyring
from pipeline.privacy.sealing import Sealer, open_sealed, record_bytes, record_parts
from pipeline.privacy.tokens import Tokeniser

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


@given(
    TEXTS, st.binary(min_size=32, max_size=80), st.sampled_from(["default", "租户"]), st.sampled_from(["a", "subject"])
)
def test_the_prepared_states_give_hmac(identifier: str, secret: bytes, tenant: str, kind: str) -> None:
    keyring = Keyring((Key(1, secret),))
    assert Tokeniser(keyring, tenant, kind)(identifier) == keyring.token(tenant, kind, identifier)


@given(TEXTS)
def test_normalised_forms_share_a_token(identifier: str) -> None:
    keyring = Keyring.offline()
    same = unicodedata.normalize("NFKC", identifier)
    assert keyring.token("t", "k", identifier) == keyring.token("t", "k", same)


@given(TEXTS, TEXTS)
def test_different_identifiers_have_different_tokens(first: str, second: str) -> None:
    keyring = Keyring.offline()
    equal = unicodedata.normalize("NFKC", first) == unicodedata.normalize("NFKC", second)
    assert (keyring.token("t", "k", first) == keyring.token("t", "k", second)) == equal


@given(st.none() | st.binary(max_size=50), st.none() | st.binary(max_size=200), st.binary(max_size=40))
def test_any_record_is_sealed_and_opened(key: bytes | None, value: bytes | None, position: bytes) -> None:
    keyring = Keyring.offline()
    sealed = Sealer(keyring).seal(record_bytes(key, value), position)
    assert record_parts(open_sealed(keyring, sealed, position)) == (key, value)
