"""Sealed payloads: a replay writes identical bytes, nobody without the key reads them, none can be moved or changed."""

from __future__ import annotations

import pytest

from pipeline.errors import AccesstrailError, ConfigError
from pipeline.events import LogPosition
from pipeline.privacy.keys import Key, Keyring
from pipeline.privacy.sealing import Sealer, open_sealed, position_bytes, record_bytes, record_parts

KEYRING = Keyring((Key(3, b"\x07" * 32),))
PLACE = position_bytes(LogPosition("access.events", "life", 4), 17)


def test_what_is_sealed_opens_again_and_repeats_exactly() -> None:
    sealed = Sealer(KEYRING).seal(b"13812341234", PLACE)
    assert open_sealed(KEYRING, sealed, PLACE) == b"13812341234"
    assert Sealer(KEYRING).seal(b"13812341234", PLACE) == sealed
    assert b"1381" not in sealed


def test_another_position_or_content_gets_another_nonce() -> None:
    sealer = Sealer(KEYRING)
    other_place = position_bytes(LogPosition("access.events", "life", 4), 18)
    nonces = {sealer.seal(payload, place)[5:17] for payload in (b"a", b"b", b"") for place in (PLACE, other_place)}
    assert len(nonces) == 6


def test_a_payload_cannot_be_moved_to_another_row() -> None:
    sealed = Sealer(KEYRING).seal(b"x", PLACE)
    with pytest.raises(AccesstrailError, match="another position"):
        open_sealed(KEYRING, sealed, position_bytes(LogPosition("access.events", "life", 4), 18))


def test_every_changed_byte_is_noticed() -> None:
    sealed = Sealer(KEYRING).seal(b"some payload", PLACE)
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(AccesstrailError):
            open_sealed(KEYRING, changed, PLACE)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + bytes(40)])
def test_what_is_no_sealed_payload_is_refused(sealed: bytes) -> None:
    with pytest.raises(AccesstrailError, match="no sealed payload"):
        open_sealed(KEYRING, sealed, PLACE)


def test_old_payloads_open_after_a_key_change_as_long_as_the_old_key_is_kept() -> None:
    sealed = Sealer(KEYRING).seal(b"x", PLACE)
    assert open_sealed(Keyring((Key(3, b"\x07" * 32), Key(4, b"\x08" * 32))), sealed, PLACE) == b"x"
    with pytest.raises(ConfigError, match="no key with id 3"):
        open_sealed(Keyring((Key(4, b"\x08" * 32),)), sealed, PLACE)


def test_the_digest_is_keyed() -> None:
    assert len(Sealer(KEYRING).digest(b"x")) == 32
    assert Sealer(KEYRING).digest(b"x") == Sealer(KEYRING).digest(b"x")
    assert Sealer(KEYRING).digest(b"x") != Sealer(Keyring.offline()).digest(b"x")


@pytest.mark.parametrize("key", [None, b"", b"k"])
@pytest.mark.parametrize("value", [None, b"", b"value"])
def test_records_keep_apart_what_is_absent_and_what_is_empty(key: bytes | None, value: bytes | None) -> None:
    assert record_parts(record_bytes(key, value)) == (key, value)


def test_positions_that_differ_have_different_bytes() -> None:
    places = {
        position_bytes(LogPosition(topic, life, partition), offset)
        for topic, life in (("a", "bc"), ("ab", "c"))
        for partition in (0, 1)
        for offset in (0, 1)
    }
    assert len(places) == 8
