"""Signed notes: the form of C2SP signed-note, and that nothing changed, foreign or malformed passes."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError, NoteRejected
from pipeline.ledger.signed_note import (
    PrivateKey,
    PublicKey,
    ensure_key_files,
    load_private_key,
    load_public_keys,
    public_file_of,
    sign,
    verify,
    write_key_files,
)

TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
# The example of Go's golang.org/x/mod/sumdb/note, made by other code than ours.
GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# RFC 8032, section 7.1, test 2: seed, public key and the signature of the one byte 0x72.
RFC_SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
RFC_PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")

OURS, THEIRS = PrivateKey("ours", bytes(range(32))), PrivateKey("theirs", bytes(range(1, 33)))


def rejected_with(note: bytes, *keys: PublicKey) -> str:
    with pytest.raises(NoteRejected) as caught:
        verify(note, keys)
    return caught.value.code


def test_the_example_of_other_code_is_made_and_verified_byte_for_byte() -> None:
    private, public = PrivateKey.parse(GO_PRIVATE), PublicKey.parse(GO_PUBLIC)
    assert private.public == public
    assert (private.text(), str(public)) == (GO_PRIVATE, GO_PUBLIC)
    note = f"{TEXT}\n{GO_LINE}".encode()
    assert sign(TEXT, [private]) == note
    assert verify(note, [public]) == (TEXT, (public,))


def test_the_key_pair_of_rfc_8032_is_the_same_pair_here() -> None:
    assert PrivateKey("rfc", RFC_SEED).public.key == RFC_PUBLIC


def test_several_sign_one_text_and_unknown_signers_are_passed_over() -> None:
    note = sign(TEXT, [OURS, THEIRS])
    assert verify(note, [OURS.public, THEIRS.public])[1] == (OURS.public, THEIRS.public)
    assert verify(note, [THEIRS.public])[1] == (THEIRS.public,)
    assert rejected_with(note, PrivateKey("others", bytes(32)).public) == "note_unsigned"
    assert rejected_with(note) == "note_unsigned"


def test_a_key_of_the_same_name_is_another_key() -> None:
    assert rejected_with(sign(TEXT, [PrivateKey("ours", bytes(32))]), OURS.public) == "note_unsigned"


def test_a_wrong_signature_of_a_known_key_spoils_a_note_that_another_key_signed_well() -> None:
    good = sign(TEXT, [THEIRS]).decode()
    body = base64.b64encode(OURS.public.key_hash + bytes(64)).decode()
    assert rejected_with(f"{good}— ours {body}\n".encode(), OURS.public, THEIRS.public) == "note_signature"
    short = base64.b64encode(OURS.public.key_hash + bytes(63)).decode()
    assert rejected_with(f"{good}— ours {short}\n".encode(), OURS.public, THEIRS.public) == "note_signature"


def test_every_flipped_bit_is_refused() -> None:
    note = sign(TEXT, [OURS])
    for place in range(len(note) * 8):
        damaged = bytearray(note)
        damaged[place // 8] ^= 1 << place % 8
        assert rejected_with(bytes(damaged), OURS.public).startswith("note_"), place


def test_every_cut_is_refused() -> None:
    note = sign(TEXT, [OURS])
    for size in range(len(note)):
        assert rejected_with(note[:size], OURS.public).startswith("note_"), size


@pytest.mark.parametrize(
    "note",
    [
        b"", b"\n", b"\n\n", TEXT.encode(), f"{TEXT}\n".encode(), f"{TEXT}\n- ours AAAA\n".encode(),
        f"{TEXT}\n— ours\n".encode(), f"{TEXT}\n— ours AAAA\n".encode(), f"{TEXT}\n— ours !!!!\n".encode(),
        f"{TEXT}\n— a+b AAAAAAAA\n".encode(), b"\xff\n\n\xe2\x80\x94 ours AAAAAAAA\n", b"a\tb\n\n" + GO_LINE.encode(),
        f"{TEXT}\n{GO_LINE * 101}".encode(), b"x" * 70_000 + b"\n\n" + GO_LINE.encode(),
    ],
)  # fmt: skip
def test_what_is_no_note_is_said_to_be_none(note: bytes) -> None:
    assert rejected_with(note, OURS.public, PublicKey.parse(GO_PUBLIC)) == "note_malformed"


@pytest.mark.parametrize("text", ["", "no newline at the end", "a\x00b\n", "a\rb\n", "a\tb\n"])
def test_a_text_that_cannot_be_a_notes_is_not_signed(text: str) -> None:
    with pytest.raises(ValueError, match="newline"):
        sign(text, [OURS])


@settings(max_examples=60)
@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]) | st.just("\n"), max_size=80))
def test_whatever_was_signed_is_given_back(text: str) -> None:
    assert verify(sign(text + "\n", [OURS]), [OURS.public]) == (text + "\n", (OURS.public,))


@pytest.mark.parametrize(
    "text",
    [
        "", "name", GO_PUBLIC[:-4], GO_PUBLIC.replace("c74f20a3", "c74f20a4"), GO_PUBLIC.replace("+ARpc", "+AhpC"),
        GO_PUBLIC.replace("PeterNeumann", "Peter Neumann"), "+" + GO_PUBLIC, GO_PRIVATE, "a+00000000+AQ==",
    ],
)  # fmt: skip
def test_a_damaged_key_is_refused_without_being_quoted(text: str) -> None:
    for parse in (PublicKey.parse, PrivateKey.parse):
        with pytest.raises(ValueError, match=r"^(not|its|a key)") as caught:
            parse(text) if text != GO_PRIVATE else PublicKey.parse(text)
        assert "ARpc" not in str(caught.value)


def test_a_pair_is_written_once_private_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "model.key"
    public = write_key_files(path, "security-team")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_private_key(path).public == public
    assert load_public_keys(public_file_of(path)) == (public,)
    before = path.read_bytes()
    for file in (path, public_file_of(path)):
        with pytest.raises(ConfigError, match="not overwritten"):
            write_key_files(path, "other")
        file.unlink()
        path.write_bytes(before) if file != path else None
    assert "seed" not in repr(PrivateKey("a", bytes(32)))


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    write_key_files(tmp_path / "k.key", "k")
    (tmp_path / "k.key").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_private_key(tmp_path / "k.key")


@pytest.mark.parametrize("content", ["", "nonsense", GO_PUBLIC])
def test_a_file_without_a_private_key_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "k.key").write_text(content, encoding="utf-8")
    (tmp_path / "k.key").chmod(0o600)
    with pytest.raises(ConfigError, match="signing key"):
        load_private_key(tmp_path / "k.key")
    with pytest.raises(ConfigError, match="is no file"):
        load_private_key(tmp_path / "absent.key")


@pytest.mark.parametrize("name", ["", "two words", "plus+sign", "tab\tbed"])
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        write_key_files(tmp_path / "k.key", name)
    assert not list(tmp_path.iterdir())


def test_public_keys_stand_a_line_each_and_every_fault_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# who may sign\n\n{GO_PUBLIC}\n{OURS.public}\n", encoding="utf-8")
    assert load_public_keys(file) == (PublicKey.parse(GO_PUBLIC), OURS.public)
    file.write_text(f"{GO_PUBLIC}\nnonsense\nmore\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_public_keys(file)
    assert [fault.split(":")[2] for fault in caught.value.faults] == ["2", "3"]
    file.write_text("# none\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="holds none"):
        load_public_keys(file)


def test_a_pair_is_ensured_once_and_a_key_that_was_taken_elsewhere_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "model.key"
    ensure_key_files(path, "local")
    private, public = path.read_bytes(), public_file_of(path).read_bytes()
    public_file_of(path).unlink()  # as if a start had ended between the two files
    ensure_key_files(path, "local")
    assert (path.read_bytes(), public_file_of(path).read_bytes()) == (private, public)
    path.unlink()
    ensure_key_files(path, "local")
    assert not path.exists()
