"""The envelope opens in its own place only; what is known to be kept is a bounded cache that never invents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.errors import AccesstrailError, ConfigError
from pipeline.ports import Identity
from pipeline.privacy.envelope import Envelope
from pipeline.privacy.identities import KnownIdentities, NamedTokens
from pipeline.privacy.keys import Key, Keyring

TOKENS = Keyring.offline()
OLD, NEW = Key(1, b"o" * 32), Key(2, b"n" * 32)


def identity(name: str, tenant: str = "default", kind: str = "subject") -> Identity:
    return Identity(tenant, kind, TOKENS.token(tenant, kind, name), name)


def named(names: Sequence[str | None], tenant: str = "default", kind: str = "subject") -> NamedTokens:
    tokens = [TOKENS.token(tenant, kind, name) if name else bytes(16) for name in names]
    return NamedTokens(tenant, kind, np.array([np.void(one) for one in tokens], "V16"), names)


def test_what_was_sealed_opens_and_no_two_envelopes_are_equal() -> None:
    envelope, one = Envelope(Keyring((NEW,))), identity("张三 13812345678")
    first, second = envelope.seal(one), envelope.seal(one)
    assert envelope.open(first) == envelope.open(second) == one.identifier
    assert first.sealed != second.sealed
    assert first.key_id != second.key_id
    assert one.identifier.encode() not in first.sealed + first.wrapped


@pytest.mark.parametrize("field", ["tenant", "kind", "token", "key_id", "sealed", "wrapped"])
def test_an_envelope_opens_in_its_own_place_only(field: str) -> None:
    envelope = Envelope(Keyring((NEW,)))
    one, other = envelope.seal(identity("one")), envelope.seal(identity("other", "elsewhere", "actor"))
    moved = dataclasses.replace(one, **{field: getattr(other, field)})
    with pytest.raises(AccesstrailError) as caught:
        envelope.open(moved)
    assert caught.value.code == "vault_damaged"
    assert "one" not in str(caught.value).split()


def test_without_its_wrapping_key_nothing_opens_and_an_older_one_still_does() -> None:
    sealed = Envelope(Keyring((OLD,))).seal(identity("one"))
    assert Envelope(Keyring((OLD, NEW))).open(sealed) == "one"
    assert Envelope(Keyring((OLD, NEW))).seal(identity("two")).wrapping_key == NEW.key_id
    with pytest.raises(ConfigError):
        Envelope(Keyring((NEW,))).open(sealed)
    with pytest.raises(AccesstrailError):
        Envelope(Keyring((Key(1, b"x" * 32),))).open(sealed)


def test_an_identity_is_new_until_it_is_said_to_be_kept_and_named_once() -> None:
    known = KnownIdentities()
    batch = [named(["a", None, "b", "a"]), named(["a"], kind="actor"), named(["b"])]
    found = known.unknown(batch)
    assert sorted((one.kind, one.identifier) for one in found) == [("actor", "a"), ("subject", "a"), ("subject", "b")]
    assert known.unknown(batch) == found  # asking teaches nothing: the vault may have failed
    known.add([one for one in found if one.identifier == "a"], known.generation)
    assert [one.identifier for one in known.unknown(batch)] == ["b"]


def test_identifiers_of_tenants_are_kept_apart() -> None:
    known = KnownIdentities()
    known.add(known.unknown([named(["a"])]), known.generation)
    assert [one.tenant for one in known.unknown([named(["a"]), named(["a"], "other")])] == ["other"]


def test_the_cache_is_bounded_and_forgets_the_oldest_first() -> None:
    known = KnownIdentities(limit=100)
    for name in range(1_000):
        known.unknown([named(["always"])])
        known.add([identity(f"n{name}"), identity("always")], known.generation)
        assert known.entries <= 200
    assert known.unknown([named(["always", "n999"])]) == []
    assert [one.identifier for one in known.unknown([named(["n0"])])] == ["n0"]


def test_after_an_erasure_everybody_is_new_also_whoever_was_being_looked_up_meanwhile() -> None:
    known = KnownIdentities()
    known.forget_after(0)
    before = known.generation
    known.add([identity("a")], before)
    known.forget_after(0)
    assert known.unknown([named(["a"])]) == []
    known.forget_after(1)
    known.add([identity("a")], before)  # the vault was asked before the erasure
    assert [one.identifier for one in known.unknown([named(["a"])])] == ["a"]


def test_one_of_all_writers_asks_for_erasures_once_in_a_while() -> None:
    known = KnownIdentities()
    assert [known.is_look_due(second) for second in (0.0, 1.0, 9.9, 10.0, 11.0)] == [True, False, False, True, False]


def test_no_identifier_is_in_a_repr() -> None:
    assert "13812345678" not in repr(identity("13812345678"))


def test_without_a_vault_only_tokens_of_a_rotated_key_are_asked_for() -> None:
    plain = named(["one", "two"])
    canonical = np.array([np.void(b"c" * 16), np.void(b"d" * 16)], "V16")
    rotated = dataclasses.replace(plain, key_version="2-ab", canonical=canonical)
    assert KnownIdentities(only_rotated=True).unknown([plain]) == []
    found = KnownIdentities(only_rotated=True).unknown([rotated])
    assert [(one.canonical, one.key_version) for one in found] == [(b"c" * 16, "2-ab"), (b"d" * 16, "2-ab")]
    assert [one.canonical for one in KnownIdentities().unknown([plain])] == [
        one.token for one in map(identity, ("one", "two"))
    ]
