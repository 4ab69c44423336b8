"""Anchors over real files and real HTTP: what was taken is kept; what was not is said by code and comes again."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.adapters.anchors import FileAnchor, WebhookAnchor, WitnessAnchor, make_anchor
from pipeline.adapters.channels.http import HttpClient
from pipeline.adapters.small_server import Page, Request, SmallServer
from pipeline.adapters.witness_memory import WitnessFile
from pipeline.cli.witness import WitnessServer
from pipeline.errors import Away, ConfigError
from pipeline.ledger.checkpoint import open_checkpoint
from pipeline.ledger.cosignature import WitnessKey, cosigned_at
from pipeline.ledger.notes import notes_in
from pipeline.ledger.signed_note import PrivateKey
from pipeline.ledger.witnessing import Witness
from pipeline.notary.model import SignedCheckpoint
from pipeline.notary.settings import AnchorSettings, anchors_from
from tests.notaries import KEY, LOG, ONE, FakeTrees, notary_over

WITNESS = PrivateKey("witness.example/w1", b"w" * 32)


@pytest.fixture
def store() -> FakeTrees:
    made = FakeTrees()
    made.grow(ONE, 5)
    made.log(LOG, 3)
    return made


@pytest.fixture
def signed(store: FakeTrees) -> list[SignedCheckpoint]:
    return list(notary_over(store).round().stored)


# -- file


def test_a_file_holds_every_note_in_order_and_nobody_else_may_read_it(
    tmp_path: Path, signed: list[SignedCheckpoint]
) -> None:
    path = tmp_path / "new" / "checkpoints.notes"
    anchor = FileAnchor(path)
    assert anchor.newest() == b""
    assert not anchor.publish(signed)
    assert not anchor.publish(signed[:1])
    notes = [one.note for one in signed]
    assert list(notes_in(path.read_bytes())) == [*notes, notes[0]]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", range(1, 140, 11))
def test_what_a_crash_left_half_written_is_taken_away_before_the_next_note(
    tmp_path: Path, signed: list[SignedCheckpoint], cut: int
) -> None:
    path = tmp_path / "checkpoints.notes"
    FileAnchor(path).publish(signed)
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(notes_in(FileAnchor(path).newest())) == [signed[0].note]
    assert not FileAnchor(path).publish(signed[1:])
    assert list(notes_in(path.read_bytes())) == [one.note for one in signed]


def test_of_a_long_file_the_newest_whole_notes_are_read(
    tmp_path: Path, signed: list[SignedCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoints.notes"
    for _ in range(5):
        FileAnchor(path).publish(signed)
    notes = list(notes_in(path.read_bytes()))
    for limit in range(len(signed[0].note) + len(signed[1].note), len(path.read_bytes()), 37):
        monkeypatch.setattr("pipeline.adapters.anchors._READ_BYTES", limit)
        found = list(notes_in(FileAnchor(path).newest()))
        assert found
        assert found == notes[-len(found) :]


def test_a_file_that_cannot_be_written_is_said_by_code(tmp_path: Path, signed: list[SignedCheckpoint]) -> None:
    (tmp_path / "in_the_way").write_text("")
    failed = FileAnchor(tmp_path / "in_the_way" / "checkpoints.notes").publish(signed)
    assert failed == {one.origin: "anchor_disk" for one in signed}


# -- over HTTP


class Receiver:
    """An HTTP server of somebody else's."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.page = Page("thanks\n")
        self.server = SmallServer(
            "127.0.0.1", 0, self._answer, name="receiver", methods=("POST",), max_body_bytes=1 << 20
        )
        self.server.start()

    def _answer(self, request: Request) -> Page:
        self.requests.append(request)
        return self.page


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.close()


def endpoint(address: tuple[str, int], path: str, kind: str, folder: Path, **more: object) -> AnchorSettings:
    table = {
        "kind": kind, "url": f"http://{address[0]}:{address[1]}{path}", "allow_hosts": ["127.0.0.1"],
        "allow_private": ["127.0.0.0/8"], **more,
    }  # fmt: skip
    [found] = anchors_from({"it": table}, folder)
    return found


def webhook(receiver: Receiver, folder: Path, **more: object) -> WebhookAnchor:
    made = make_anchor(endpoint(receiver.server.address, "/in", "webhook", folder, **more), FakeTrees)
    assert isinstance(made, WebhookAnchor)
    return made


def test_a_webhook_gets_the_notes_signed(tmp_path: Path, receiver: Receiver, signed: list[SignedCheckpoint]) -> None:
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "secret").chmod(0o600)
    assert not webhook(receiver, tmp_path, secret_file="secret").publish(signed)
    [request] = receiver.requests
    assert (request.path, request.headers["content-type"]) == ("/in", "text/plain; charset=utf-8")
    assert list(notes_in(request.body)) == [one.note for one in signed]
    stamped = request.headers["x-accesstrail-timestamp"].encode() + b"." + request.body
    expected = hmac.new(b"s" * 40, stamped, hashlib.sha256).hexdigest()
    assert request.headers["x-accesstrail-signature"] == f"v1={expected}"


def test_only_a_2xx_is_a_receipt_and_a_redirect_is_not_followed(
    tmp_path: Path, receiver: Receiver, signed: list[SignedCheckpoint]
) -> None:
    anchor = webhook(receiver, tmp_path)
    receiver.page = Page("busy\n", 503)
    assert anchor.publish(signed) == {one.origin: "http_503" for one in signed}
    # The small server says no 302; what counts is that nothing else than 2xx is one.
    receiver.page = Page("no\n", 404)
    assert set(anchor.publish(signed).values()) == {"http_404"}
    receiver.server.close()
    assert set(anchor.publish(signed).values()) == {"no_connection"}


def test_the_body_of_a_webhook_is_never_larger_than_two_hundred_notes(
    tmp_path: Path, receiver: Receiver, signed: list[SignedCheckpoint]
) -> None:
    assert not webhook(receiver, tmp_path).publish(signed[:1] * 450)
    assert [len(list(notes_in(one.body))) for one in receiver.requests] == [200, 200, 50]


# -- witnesses


@pytest.fixture
def run_witness(tmp_path: Path) -> Iterator[Callable[..., WitnessServer]]:
    running: list[WitnessServer] = []

    def run(memory: Path = tmp_path / "witness.json", **more: object) -> WitnessServer:
        made = Witness(key=WITNESS, logs=(KEY.public,), **more)  # type: ignore[arg-type]
        running.append(WitnessServer("127.0.0.1", 0, made, WitnessFile(memory)))
        running[-1].start()
        return running[-1]

    yield run
    for one in running:
        one.close()


def witness_anchor(server: WitnessServer, store: FakeTrees, folder: Path) -> WitnessAnchor:
    (folder / "witness.pub").write_text(f"{WitnessKey.of(WITNESS)}\n")
    settings = endpoint(server.address, "/", "witness", folder, public_key_file="witness.pub")
    made = make_anchor(settings, lambda: store)
    assert isinstance(made, WitnessAnchor)
    return made


def test_a_witness_cosigns_growth_and_the_cosigned_note_is_stored(
    tmp_path: Path, store: FakeTrees, run_witness: Callable[..., WitnessServer]
) -> None:
    anchor, notary = witness_anchor(run_witness(), store, tmp_path), notary_over(store)
    for _ in range(4):
        found = notary.round().stored
        assert not anchor.publish(found)
        for one in found:
            [kept] = [row for row in store.rows if row.note.startswith(one.note) and row.note != one.note]
            assert open_checkpoint(kept.note, [KEY.public])[0] == one.checkpoint
            cosigned_at(one.checkpoint.text(), kept.note[len(one.note) :].decode(), WitnessKey.of(WITNESS))
        store.grow(ONE, 7)
        store.log(LOG, 4)
    # Signed by both, it is still ours at the next start.
    assert notary_over(store).problems == []


def test_after_restarts_of_both_the_proof_begins_at_what_the_witness_remembers(
    tmp_path: Path, store: FakeTrees, run_witness: Callable[..., WitnessServer]
) -> None:
    notary = notary_over(store)
    assert not witness_anchor(run_witness(), store, tmp_path).publish(notary.round().stored)
    for _ in range(5):
        store.grow(ONE, 11)
        store.log(LOG, 3)
        found = notary.round().stored
    assert not witness_anchor(run_witness(), store, tmp_path).publish(found)
    assert not witness_anchor(run_witness(), store, tmp_path).publish(found), "the same once more is no second history"


@pytest.mark.parametrize("grown", [0, 4])
def test_a_second_history_finds_no_witness(
    tmp_path: Path, store: FakeTrees, run_witness: Callable[..., WitnessServer], grown: int
) -> None:
    """Everything in the store written anew and signed with the right key, as a thief of both can."""
    witness_anchor(run_witness(), store, tmp_path).publish(notary_over(store).round().stored)
    forged = FakeTrees()
    forged.grow(ONE, 5, salt="other")
    notary_over(forged).round()
    if grown:
        forged.grow(ONE, grown, salt="other")
    found = notary_over(forged).round().stored or forged.rows
    failed = witness_anchor(run_witness(), forged, tmp_path).publish(found)
    assert failed == {found[0].origin: "witness_refused"}


def test_a_tree_that_was_cut_is_told_by_the_witness(
    tmp_path: Path, store: FakeTrees, run_witness: Callable[..., WitnessServer]
) -> None:
    notary = notary_over(store)
    first = notary.round().stored
    store.grow(ONE, 3)
    witness_anchor(run_witness(), store, tmp_path).publish(notary.round().stored)
    cut = FakeTrees()
    cut.rows += first
    failed = witness_anchor(run_witness(), cut, tmp_path).publish([one for one in first if "events" in one.origin])
    assert set(failed.values()) == {"witness_ahead"}
    # Another notary that was faster is none: what the witness knows stands in the store.
    assert not witness_anchor(run_witness(), store, tmp_path).publish(first)


def test_rows_that_do_not_lead_to_what_was_signed_give_no_proof(
    tmp_path: Path, store: FakeTrees, run_witness: Callable[..., WitnessServer]
) -> None:
    anchor, notary = witness_anchor(run_witness(), store, tmp_path), notary_over(store)
    anchor.publish(notary.round().stored)
    store.grow(ONE, 3)
    store.event_leaves[ONE][-1] = b"x" * 32
    assert set(anchor.publish(notary.round().stored).values()) == {"witness_no_proof"}


def test_whom_the_witness_does_not_know_it_does_not_sign_for(
    tmp_path: Path, store: FakeTrees, signed: list[SignedCheckpoint], run_witness: Callable[..., WitnessServer]
) -> None:
    anchor = witness_anchor(run_witness(deployments=("elsewhere",)), store, tmp_path)
    assert set(anchor.publish(signed).values()) == {"witness_refused"}


def test_a_cosignature_of_another_key_is_none(
    tmp_path: Path, store: FakeTrees, signed: list[SignedCheckpoint], run_witness: Callable[..., WitnessServer]
) -> None:
    made = witness_anchor(run_witness(), store, tmp_path)
    stranger = WitnessKey.of(PrivateKey(WITNESS.name, b"x" * 32))
    anchor = WitnessAnchor(made._settings, HttpClient(made._settings), stranger, lambda: store)
    assert set(anchor.publish(signed).values()) == {"cosignature_missing"}


def test_what_cannot_be_stored_is_asked_for_again(
    tmp_path: Path, store: FakeTrees, signed: list[SignedCheckpoint], run_witness: Callable[..., WitnessServer]
) -> None:
    anchor = witness_anchor(run_witness(), store, tmp_path)
    store.faults.append(Away("busy", code="store_busy"))
    assert set(anchor.publish(signed).values()) == {"store_busy"}
    assert not anchor.publish(signed)


def test_a_witness_that_cannot_remember_signs_nothing(
    tmp_path: Path, store: FakeTrees, signed: list[SignedCheckpoint], run_witness: Callable[..., WitnessServer]
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    server = run_witness(folder / "witness.json")
    folder.rmdir()
    assert set(witness_anchor(server, store, tmp_path).publish(signed).values()) == {"http_503"}


def test_a_witness_refuses_to_begin_with_a_damaged_memory(tmp_path: Path) -> None:
    path = tmp_path / "witness.json"
    memory = WitnessFile(path)
    memory.remember("a/b/c/0/0", 7, b"r" * 32)
    assert WitnessFile(path).newest("a/b/c/0/0") == (7, b"r" * 32)
    path.write_text(path.read_text()[:-4])
    with pytest.raises(ConfigError, match="restore it"):
        WitnessFile(path)
