"""Runs of verification in the state folder: whole files, the newest first, bounded, whatever else lies there."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.adapters.verification_results import FOLDER, MOST_KEPT, VerificationResults
from pipeline.audit.verification import INTACT, UNJUDGED, FoundDifference, VerificationRun, VerifiedTree

RUN = VerificationRun(
    began_us=1_000, ended_us=2_000, verdict=INTACT, by="wu.ling", keys=["accesstrail+c74f20a3"], kept=3,
    counts={"gap": 2}, tree_count=1, derived=["alerts"], notes=["sources: grew"],
    differences=[FoundDifference(check=13, code="gap", tree="t", offset=7, about="Kafka did not give them")],
    trees=[VerifiedTree(name="t", leaves=9, events=8, dead_letters=1, gaps=0, unscored=0, pruned=0, covered=9)],
)  # fmt: skip


def test_what_is_kept_comes_back_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    results = VerificationResults(tmp_path)
    assert results.all().runs == []
    results.keep(RUN)
    results.keep(replace(RUN, began_us=5_000, ended_us=6_000, by=""))
    found = results.all()
    assert [one.began_us for one in found.runs] == [5_000, 1_000]
    assert found.runs[1] == RUN
    files = list((tmp_path / FOLDER).iterdir())
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}
    assert stat.S_IMODE((tmp_path / FOLDER).stat().st_mode) == 0o700


def test_old_runs_go_but_never_the_newest_that_came_to_a_verdict(tmp_path: Path) -> None:
    results = VerificationResults(tmp_path)
    for number in range(30):
        verdict = INTACT if number < 3 else UNJUDGED
        results.keep(replace(RUN, began_us=number, verdict=verdict, code="store_away"))
    found = results.all()
    assert len(found.runs) == MOST_KEPT + 1
    assert found.judged is not None
    assert found.judged.began_us == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"began_us": 1}', b'{"began_us":1,"ended_us":2,"verdict":"fine","counts":{}}', b"\xff\xfe",
     b'{"began_us":"1","ended_us":2,"verdict":"intact","counts":{}}', b" " * 3_000_000],
)  # fmt: skip
def test_what_is_no_run_is_counted_and_hides_nothing(tmp_path: Path, content: bytes) -> None:
    results = VerificationResults(tmp_path)
    results.keep(RUN)
    (tmp_path / FOLDER / "99999999999999999999-x.json").write_bytes(content)
    found = results.all()
    assert [one.began_us for one in found.runs] == [RUN.began_us]
    assert found.unreadable == 1


def test_a_half_written_draft_is_no_run(tmp_path: Path) -> None:
    results = VerificationResults(tmp_path)
    results.keep(RUN)
    (tmp_path / FOLDER / "00000000000000000009-x.tmp").write_text('{"began')
    assert len(results.all().runs) == 1
    assert results.all().unreadable == 0
