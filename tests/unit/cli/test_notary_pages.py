"""What a notary says of itself: refused trees and old anchors with words, in status, doctor and metrics."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.local.configuration import prepare_folder, settings, write_config
from deploy.local.ports import Ports
from pipeline.adapters.status_file import read_workers
from pipeline.cli.notary_pages import NotaryPages, NotaryState
from pipeline.cli.operate import notary_findings
from pipeline.cli.stack_run import ledger_keys
from pipeline.cli.stack_status import collect
from pipeline.health.troubles import explain
from pipeline.notary.anchoring import Anchoring
from pipeline.notary.model import SignedCheckpoint
from pipeline.notary.notary import Round
from tests.notaries import ONE, Clock, FakeTrees, notary_over

TREE = "accesstrail/access.events/life-1/0/0"


class Failing:
    """An anchor that takes nothing."""

    code = "timeout"

    def publish(self, signed: Sequence[SignedCheckpoint]) -> Mapping[str, str]:
        return {one.origin: self.code for one in signed}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = prepare_folder(tmp_path / "state")
    ledger_keys(made)
    write_config(made, Ports(1, 2, 3, 4))
    return made


@pytest.fixture
def anchoring() -> Anchoring:
    store = FakeTrees()
    store.grow(ONE)
    made = Anchoring("audit", "webhook", Failing(), Clock())
    made.offer(notary_over(store).round().stored)
    return made


@pytest.fixture
def pages(state: Path, anchoring: Anchoring) -> Iterator[NotaryPages]:
    made = NotaryPages(settings(state, {}), "n1", [anchoring])
    yield made
    made.close()


def said(state: Path) -> dict[str, object]:
    [document] = read_workers(state / "run", "notary")
    return document


def answer(state: Path, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(str(said(state)["health"])).netloc, timeout=5)
    connection.request("GET", path)
    found = connection.getresponse()
    return found.status, found.read().decode()


def test_it_is_ready_when_a_round_ended_and_not_while_the_store_is_away(state: Path, pages: NotaryPages) -> None:
    pages.write()
    assert said(state)["ready"] is False
    pages.state = NotaryState(round_s=time.time(), last=Round(trees=3))
    pages.write()
    assert (said(state)["ready"], said(state)["trees"], said(state)["reasons"]) == (True, 3, [])
    assert answer(state, "/readyz")[0] == answer(state, "/livez")[0] == 200
    pages.state = NotaryState(fault="store_away", round_s=time.time())
    pages.write()
    assert said(state)["ready"] is False
    assert answer(state, "/readyz")[0] == 503
    assert answer(state, "/livez")[0] == 200


def test_a_refused_tree_is_named_with_its_code_wherever_one_looks(state: Path, pages: NotaryPages) -> None:
    pages.state = NotaryState(round_s=time.time(), last=Round(refused={TREE: "tree_shortened"}, trees=2))
    pages.write()
    document = said(state)
    assert document["refused"] == [{"tree": TREE, "code": "tree_shortened"}]
    [finding] = notary_findings([document])
    assert (finding.what, finding.state) == (TREE, "fault")
    assert explain("tree_shortened").english in finding.text
    assert 'accesstrail_notary_trees_refused{code="tree_shortened"} 1' in answer(state, "/metrics")[1]
    problems = collect(settings(state, {}), 1)["problems"]
    assert isinstance(problems, list)
    assert any("tree_shortened" in one and TREE in one for one in problems)


def test_an_anchor_that_lacks_a_checkpoint_too_long_is_said(
    state: Path, pages: NotaryPages, anchoring: Anchoring
) -> None:
    clock = anchoring._clock
    assert isinstance(clock, Clock)
    anchoring.turn()
    clock.now_s += 29
    pages.write()
    assert said(state)["reasons"] == []
    clock.now_s += 2
    pages.write()
    [reason] = json.loads(json.dumps(said(state)["reasons"]))
    assert (reason["code"], reason["place"]) == ("anchor_age", "audit")
    [finding] = notary_findings([said(state)])
    assert (finding.what, finding.state) == ("audit", "fault")
    assert 'accesstrail_notary_anchor_age_seconds{anchor="audit"} 31' in answer(state, "/metrics")[1]
    assert said(state)["anchors"] == [
        {
            "name": "audit", "kind": "webhook", "code": "timeout", "anchored_at": None, "age_s": 31.0, "waiting": 1,
            "checkpoints": 0,
        }
    ]  # fmt: skip


def test_a_witness_that_holds_another_history_is_said_at_once(
    state: Path, pages: NotaryPages, anchoring: Anchoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Failing, "code", "witness_refused")
    anchoring.turn()
    pages.write()
    [finding] = notary_findings([said(state)])
    assert "witness_refused" in finding.text


def test_that_none_runs_is_a_warning_and_that_all_is_well_is_said() -> None:
    assert [one.state for one in notary_findings([])] == ["warning"]
    assert [one.state for one in notary_findings([{"reasons": []}])] == ["ok"]
