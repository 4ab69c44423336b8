"""A search by an identifier asks for its tokens under every version of the token key."""

from __future__ import annotations

from pipeline.audit.identifiers import TokenMaker
from pipeline.privacy.keys import Key, Keyring

OLD, NEW = Key(1, b"o" * 32), Key(2, b"n" * 32)
BOTH = Keyring((OLD, NEW))


def test_the_newest_token_comes_first_and_the_older_ones_behind_it() -> None:
    named = TokenMaker(BOTH, "default").named("subject", "c-1")
    older = Keyring((OLD,)).token("default", "subject", "c-1")
    assert named.tokens == (BOTH.token("default", "subject", "c-1").hex(), older.hex())
    assert BOTH.tokens("default", "subject", "c-1")[0] == BOTH.token("default", "subject", "c-1")


def test_a_resource_is_asked_for_under_both_kinds_and_both_keys() -> None:
    named = TokenMaker(BOTH, "default").named("resource", "c-1")
    assert len(set(named.tokens)) == 4


def test_full_width_digits_give_the_same_tokens_under_each_key() -> None:
    assert BOTH.tokens("default", "subject", "１３８") == BOTH.tokens("default", "subject", "138")
