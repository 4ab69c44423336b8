"""The witness over HTTP: what it answers, and that a restart does not make it forget; the notary's anchor with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from pipeline.adapters.anchors import make_anchor
from pipeline.adapters.witness_memory import WitnessFile
from pipeline.cli.witness import WitnessServer
from pipeline.ledger.checkpoint import open_checkpoint
from pipeline.ledger.cosignature import WitnessKey, cosigned_at
from pipeline.ledger.signed_note import PrivateKey
from pipeline.ledger.witnessing import Witness, request_body
from pipeline.notary.anchoring import Anchoring
from pipeline.notary.model import WITNESS_AHEAD, WITNESS_REFUSED, SignedCheckpoint
from pipeline.notary.settings import AnchorSettings, anchors_from
from tests.notaries import KEY, LOG, ONE, OTHER, Clock, FakeTrees, notary_over
from tests.unit.ledger.test_witnessing import FORK, LEAVES, WITNESS, note_of
from tests.unit.ledger.test_witnessing import LOG as LOG_KEY
from tests.unit.ledger.test_witnessing import request as asked

PUBLIC = WitnessKey.of(WITNESS)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "witness.json"


@contextmanager
def served(memory: Path, log: PrivateKey = LOG_KEY) -> Iterator[str]:
    """A witness that was just started with this memory; where it answers."""
    server = WitnessServer("127.0.0.1", 0, Witness(key=WITNESS, logs=(log.public,)), WitnessFile(memory))
    server.start()
    try:
        yield f"http://127.0.0.1:{server.address[1]}"
    finally:
        server.close()


def posted(url: str, body: bytes, path: str = "/add-checkpoint") -> httpx.Response:
    return httpx.post(url + path, content=body, trust_env=False)


def test_a_first_and_a_consistent_checkpoint_are_cosigned(memory: Path) -> None:
    with served(memory) as url:
        for old, new in ((0, 7), (7, 7), (7, 31)):
            answer = posted(url, asked(old, new))
            assert answer.status_code == 200
            text = note_of(new).decode().partition("\n\n")[0] + "\n"
            line, seconds = cosigned_at(text, answer.text, PUBLIC)
            assert line == answer.text
            assert seconds > 1_700_000_000


def test_another_root_of_a_size_and_another_old_size_are_told_the_size_that_is_known(memory: Path) -> None:
    with served(memory) as url:
        assert posted(url, asked(0, 20)).status_code == 200
        for body in (request_body(20, (), note_of(20, FORK)), asked(5, 30), asked(0, 30, FORK), asked(0, 20)):
            answer = posted(url, body)
            assert (answer.status_code, answer.text) == (409, "20\n")
            assert answer.headers["content-type"] == "text/x.tlog.size"


def test_what_is_wrong_with_a_request_is_its_status(memory: Path) -> None:
    stranger = PrivateKey(LOG_KEY.name, bytes(32))
    with served(memory) as url:
        assert posted(url, asked(0, 20)).status_code == 200
        before = memory.read_bytes()
        assert posted(url, asked(20, 30, FORK)).status_code == 422
        assert posted(url, request_body(20, (), note_of(30, key=stranger))).status_code == 403
        assert posted(url, b"nothing").status_code == 400
        assert posted(url, asked(20, 30), "/checkpoint").status_code == 404
        assert posted(url, b"x" * 65_537).status_code == 413
        refused = httpx.get(url + "/add-checkpoint", trust_env=False)
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert memory.read_bytes() == before


def test_a_restarted_witness_refuses_a_second_history(memory: Path) -> None:
    with served(memory) as url:
        assert posted(url, asked(0, 20)).status_code == 200
    with served(memory) as url:
        assert posted(url, asked(0, 30, FORK)).status_code == 409
        assert posted(url, request_body(20, (), note_of(20, FORK))).status_code == 409
        assert posted(url, asked(20, 30, FORK)).status_code == 422
        assert posted(url, asked(20, len(LEAVES))).status_code == 200


def test_nothing_is_signed_that_cannot_be_remembered(memory: Path) -> None:
    with served(memory) as url:
        memory.with_name(f".{memory.name}.new").mkdir()
        assert posted(url, asked(0, 20)).status_code == 503


def anchor_at(url: str, tmp_path: Path) -> AnchorSettings:
    key = tmp_path / "witness.pub"
    key.write_text(f"{PUBLIC}\n")
    port = url.rpartition(":")[2]
    table = {
        "kind": "witness", "url": f"http://127.0.0.1:{port}", "allow_hosts": ["127.0.0.1"],
        "allow_private": ["127.0.0.0/8"], "public_key_file": str(key),
    }  # fmt: skip
    (settings,) = anchors_from({"outside": table}, tmp_path)
    return settings


def anchoring_of(store: FakeTrees, url: str, tmp_path: Path) -> Anchoring:
    anchor = make_anchor(anchor_at(url, tmp_path), lambda: store)
    return Anchoring("outside", "witness", anchor, Clock())


def grown(store: FakeTrees) -> list[SignedCheckpoint]:
    """Two trees of events and one of incidents, a little larger; what the notary signs of them."""
    for position in (ONE, OTHER):
        store.grow(position, 4)
    store.log(LOG, 3)
    return list(notary_over(store).round().stored)


def cosigned(store: FakeTrees) -> set[tuple[str, int]]:
    """Which stored checkpoints the witness has signed."""
    found = set()
    for one in store.rows:
        text, _, lines = one.note.decode().partition("\n\n")
        if PUBLIC.name in lines:
            cosigned_at(text + "\n", lines, PUBLIC)
            assert open_checkpoint(one.note, [KEY.public])[0] == one.checkpoint
            found.add((one.origin, one.checkpoint.size))
    return found


def test_the_anchor_has_every_step_cosigned_and_the_cosigned_note_is_stored(memory: Path, tmp_path: Path) -> None:
    store = FakeTrees()
    with served(memory, KEY) as url:
        anchoring = anchoring_of(store, url, tmp_path)
        done: set[tuple[str, int]] = set()
        for _ in range(3):
            signed = grown(store)
            assert len(signed) == 3
            anchoring.offer(signed)
            anchoring.turn()
            done |= {(one.origin, one.checkpoint.size) for one in signed}
            assert (anchoring.standing().code, anchoring.standing().waiting) == ("", 0)
            assert cosigned(store) == done


def test_a_restarted_anchor_goes_on_from_the_size_that_the_witness_names(memory: Path, tmp_path: Path) -> None:
    store = FakeTrees()
    with served(memory, KEY) as url:
        for _ in range(2):
            anchoring = anchoring_of(store, url, tmp_path)
            anchoring.offer(grown(store))
            anchoring.turn()
            assert (anchoring.standing().code, anchoring.standing().waiting) == ("", 0)
    assert len(cosigned(store)) == 6


def test_a_tree_that_the_witness_saw_otherwise_stays_without_its_cosignature(memory: Path, tmp_path: Path) -> None:
    ours, other = FakeTrees(), FakeTrees()
    other.grow(ONE, 4, salt="another history")
    theirs = notary_over(other).round().stored
    with served(memory, KEY) as url:
        assert posted(url, request_body(0, (), theirs[0].note)).status_code == 200
        anchoring = anchoring_of(ours, url, tmp_path)
        anchoring.offer(grown(ours))
        anchoring.turn()
        assert (anchoring.standing().code, anchoring.standing().waiting) == (WITNESS_REFUSED, 1)
        assert {origin for origin, _ in cosigned(ours)} == {one.origin for one in ours.rows} - {theirs[0].origin}


def test_a_witness_that_saw_more_than_the_store_holds_is_told(memory: Path, tmp_path: Path) -> None:
    """Somebody cut the store back: the witness knows a checkpoint that the store lost."""
    store = FakeTrees()
    store.grow(ONE, 4)
    (before,) = notary_over(store).round().stored
    store.grow(ONE, 4)
    (lost,) = notary_over(store).round().stored
    store.rows.remove(lost)
    with served(memory, KEY) as url:
        assert posted(url, request_body(0, (), lost.note)).status_code == 200
        anchoring = anchoring_of(store, url, tmp_path)
        anchoring.offer([before])
        anchoring.turn()
        assert (anchoring.standing().code, anchoring.standing().waiting) == (WITNESS_AHEAD, 1)


def test_a_cosignature_of_another_key_is_none(memory: Path, tmp_path: Path) -> None:
    store = FakeTrees()
    with served(memory, KEY) as url:
        settings = replace(anchor_at(url, tmp_path), witness=WitnessKey.of(PrivateKey(WITNESS.name, b"x" * 32)))
        failed = make_anchor(settings, lambda: store).publish(grown(store))
        assert set(failed.values()) == {"cosignature_missing"}
        assert not cosigned(store)
