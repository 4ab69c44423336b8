"""The key file is refused unless it is private and strong, and tokens are exactly what the documentation says."""

from __future__ import annotations

import hashlib
import hmac
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.privacy.keys import Key, Keyring, new_key_file

SECRET = bytes(range(32))


def write(path: Path, document: Any, mode: int = 0o600) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    path.chmod(mode)
    return path


def entry(key_id: int = 1, secret_hex: str = SECRET.hex()) -> dict[str, Any]:
    return {"id": key_id, "created_at": "2026-11-20T00:00:00+00:00", "secret_hex": secret_hex}


def test_a_fresh_key_file_is_private_and_loads(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    new_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Keyring.load(path).newest.key_id == 1
    other = tmp_path / "other.json"
    new_key_file(other)
    assert Keyring.load(other).version_id != Keyring.load(path).version_id


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    new_key_file(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists"):
        new_key_file(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_file_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "keys.json", {"version": 1, "keys": [entry()]}, mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        Keyring.load(path)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("{", "not valid JSON"),
        ([], '"version": 1'),
        ({"version": 2, "keys": [entry()]}, '"version": 1'),
        ({"version": 1, "keys": []}, "at least one key"),
        ({"version": 1, "keys": ["x"]}, '"id" must be'),
        ({"version": 1, "keys": [entry(0)]}, '"id" must be'),
        ({"version": 1, "keys": [entry(1), entry(1)]}, "used twice"),
        ({"version": 1, "keys": [entry(secret_hex="ab" * 31)]}, "at least 32 bytes"),
        ({"version": 1, "keys": [entry(secret_hex="zz" * 32)]}, "at least 32 bytes"),
    ],
)
def test_a_malformed_or_weak_key_file_is_refused_without_quoting_it(tmp_path: Path, document: Any, fault: str) -> None:
    path = write(tmp_path / "keys.json", document)
    with pytest.raises(ConfigError, match=fault) as caught:
        Keyring.load(path)
    assert SECRET.hex() not in str(caught.value)
    assert "abab" not in str(caught.value)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"keys\.json cannot be read"):
        Keyring.load(tmp_path / "keys.json")


def test_the_newest_key_signs_and_older_ones_can_be_chosen_for_a_replay(tmp_path: Path) -> None:
    document = {"version": 1, "keys": [entry(2, "22" * 32), entry(1, "11" * 32)]}
    keyring = Keyring.load(write(tmp_path / "keys.json", document))
    old = Keyring((Key(1, b"\x11" * 32),))
    assert keyring.newest.key_id == 2
    assert keyring.token("default", "actor", "a") != old.token("default", "actor", "a")
    assert keyring.signing_with(old.version_id).token("default", "actor", "a") == old.token("default", "actor", "a")
    with pytest.raises(ConfigError, match="no key of version"):
        old.signing_with(keyring.version_id)


def test_tokens_are_bit_for_bit_what_the_documentation_says() -> None:
    keyring = Keyring((Key(1, SECRET),))
    extracted = hmac.new(b"accesstrail/keyring/1", SECRET, hashlib.sha256).digest()
    info = b"accesstrail/token/1\0" + b"\x00\x07default" + b"\x00\x07subject"
    tenant_key = hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()
    expected = hmac.new(tenant_key, b"\x00\x07subject" + b"c-18823", hashlib.sha256).digest()[:16]
    assert keyring.token("default", "subject", "c-18823") == expected


@pytest.mark.parametrize(
    ("tenant", "kind", "identifier", "token"),
    [
        ("default", "actor", "zhang.wei", "71add5547b9ca344785464d947b24cfa"),
        ("default", "subject", "c-18823", "c43c4b453fc49b9b763c65af1365ac21"),
        ("default", "subject", "１８８２３", "4913fa46e1c4be1c38aa5d635b12731a"),
        ("租户", "device", "d-1042", "556cd36d66db9b0a62a36a79dc1b8b8a"),
    ],
)
def test_golden_tokens_never_change(tenant: str, kind: str, identifier: str, token: str) -> None:
    assert Keyring((Key(1, SECRET),)).token(tenant, kind, identifier).hex() == token


def test_the_derivation_is_hkdf_of_rfc_5869() -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = b"accesstrail/token/1\0" + b"\x00\x01t" + b"\x00\x01k"
    derived = HKDF(algorithm=SHA256(), length=32, salt=b"accesstrail/keyring/1", info=info).derive(SECRET)
    assert Keyring((Key(1, SECRET),)).tenant_key("t", "k") == derived


def test_forms_that_are_equal_under_nfkc_give_one_token_and_kinds_and_tenants_differ() -> None:
    keyring = Keyring.offline()
    assert keyring.token("default", "subject", "１３８") == keyring.token("default", "subject", "138")
    tokens = {
        keyring.token(tenant, kind, "138")
        for tenant in ("default", "defaults", "other")
        for kind in ("subject", "actor", "subjects")
    }
    assert len(tokens) == 9


def test_no_secret_shows_in_a_repr_or_in_the_version() -> None:
    keyring = Keyring((Key(7, SECRET),))
    shown = f"{keyring!r} {keyring.newest!r} {keyring.version_id}"
    assert SECRET.hex()[:8] not in shown
    assert keyring.version_id.startswith("7-")


def test_the_offline_key_is_fixed_so_that_results_repeat() -> None:
    assert Keyring.offline().version_id == Keyring.offline().version_id == "0-fd9329d0025cfa9d"
