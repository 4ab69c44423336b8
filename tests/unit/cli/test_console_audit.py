"""The audit desk of the console: limits for somebody who waits, what files in the state folder say, no draft left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.status_file import StatusFile
from pipeline.adapters.verification_results import VerificationResults
from pipeline.audit.controls import GAP, MANUAL
from pipeline.audit.export import MOST_EXPORTED
from pipeline.audit.register_reading import read_controls
from pipeline.cli import evidence_archive
from pipeline.cli.console_audit import ConsoleAudit
from pipeline.cli.evidence_archive import EvidenceArchives
from pipeline.config import Settings
from pipeline.errors import Away, UsageError
from tests.audit_desk import intact
from tests.unit.versions.deployment import Deployment

NOW_US = 1_795_000_000_000_000
TOKENS = ("ab" * 16,)
Rows = list[tuple[Any, ...]]


class Store:
    """Answers a statement as a test says, and remembers what was asked within which limits."""

    def __init__(self, answer: Callable[[str], Rows] = lambda _: []) -> None:
        self._answer = answer
        self.settings: list[Mapping[str, object]] = []
        self.asked: list[str] = []

    def query(self, sql: str, parameters: Any = None, settings: Any = None) -> Rows:
        self.asked.append(sql)
        self.settings.append(settings or {})
        return self._answer(sql)


def _by_view(**answers: Rows | Exception) -> Callable[[str], Rows]:
    """Rows or an error by the view that a statement reads; nothing of any other."""

    def answer(sql: str) -> Rows:
        found = next((rows for view, rows in answers.items() if f".{view}" in sql), [])
        if isinstance(found, Exception):
            raise found
        return found

    return answer


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Deployment(tmp_path).settings()


def _desk(settings: Settings, store: Store) -> ConsoleAudit:
    return ConsoleAudit(settings, store)  # type: ignore[arg-type]


# -- the subject report


def test_a_report_that_takes_too_long_is_refused_and_is_no_outage(settings: Settings) -> None:
    store = Store(_by_view(subject_access=[(3,)], access_events=Away("slow", code="store_slow")))
    with pytest.raises(UsageError) as refused:
        _desk(settings, store).subject_report(TOKENS, 0, NOW_US, "", with_actors=False)
    assert refused.value.code == "report_late"
    assert max(int(str(one.get("max_execution_time", 0))) for one in store.settings) <= 15, "a viewer waits"
    away = Store(_by_view(subject_access=Away("gone", code="store_away")))
    with pytest.raises(Away):
        _desk(settings, away).subject_report(TOKENS, 0, NOW_US, "", with_actors=False)


def test_a_report_is_made_only_where_the_counts_agree(settings: Settings) -> None:
    assert (
        _desk(settings, Store(_by_view(subject_access=[(3,)]))).subject_report(TOKENS, 0, NOW_US, "", with_actors=False)
        is None
    )
    by_view = _by_view(subject_access=[(0,)], sources=[("crm",)])
    agreeing = Store(lambda sql: [(2,)] if sql.startswith("SELECT count()") else by_view(sql))
    found = _desk(settings, agreeing).subject_report(TOKENS, 5, NOW_US, "R-1", with_actors=False)
    assert found is not None
    assert (found.from_us, found.until_us, found.case_ref, found.sources) == (5, NOW_US, "R-1", ["crm"])
    assert found.retention_days == settings.retention.classes


# -- bundles


def _places(count: int) -> Rows:
    return [("access.events", "life", 0, offset) for offset in range(count)]


@pytest.mark.parametrize(("count", "code"), [(0, "nothing_found"), (MOST_EXPORTED + 1, "export_large")])
def test_no_bundle_of_nothing_and_none_of_more_than_one_person_takes(settings: Settings, count: int, code: str) -> None:
    desk = _desk(settings, Store(_by_view(subject_access=_places(count))))
    with pytest.raises(UsageError) as refused:
        desk.bundle(TOKENS, 0, NOW_US, NOW_US)
    assert refused.value.code == code
    assert [one.name for one in settings.state_dir.glob(".bundle-*")] == []


def test_one_bundle_is_made_at_a_time_and_the_next_after_it(settings: Settings) -> None:
    going, done = threading.Event(), threading.Event()

    def slow(_: str) -> Rows:
        going.set()
        assert done.wait(10)
        return []

    desk = _desk(settings, Store(slow))
    codes: list[str] = []

    def ask() -> None:
        try:
            desk.bundle(TOKENS, 0, NOW_US, NOW_US)
        except UsageError as exc:
            codes.append(exc.code)

    first = threading.Thread(target=ask)
    first.start()
    assert going.wait(10)
    ask()
    assert codes == ["export_busy"]
    done.set()
    first.join(10)
    ask()
    assert codes == ["export_busy", "nothing_found", "nothing_found"]


def test_a_draft_that_cannot_be_written_is_said_and_leaves_the_turn_free(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    desk = _desk(settings, Store())
    monkeypatch.setattr(evidence_archive, "TemporaryDirectory", full)
    for _ in range(2):
        with pytest.raises(UsageError) as refused:
            desk.bundle(TOKENS, 0, NOW_US, NOW_US)
        assert refused.value.code == "draft_failed"


def test_what_a_killed_console_left_goes_and_what_another_one_writes_stays(settings: Settings) -> None:
    old, young = settings.state_dir / ".bundle-old", settings.state_dir / ".bundle-young"
    for one in (old, young):
        (one / "deep").mkdir(parents=True)
    long_ago = time.time() - 7_200
    os.utime(old, (long_ago, long_ago))
    EvidenceArchives(settings, Store())  # type: ignore[arg-type]
    assert not old.exists()
    assert young.exists()


# -- verification, notaries


def test_runs_and_notaries_are_what_the_state_folder_says(settings: Settings) -> None:
    desk = _desk(settings, Store())
    assert desk.verifications().runs == []
    assert list(desk.notaries()) == []
    VerificationResults(settings.state_dir).keep(intact(NOW_US))
    (settings.state_dir / "run").mkdir(exist_ok=True)
    StatusFile(settings.state_dir / "run", "aa", "notary").write(
        {
            "last_round": "2026-11-20T08:00:00+00:00", "trees": 3, "refused": [{"tree": "t", "code": "tree_changed"}],
            "anchors": [
                {"name": "file", "kind": "file", "code": "", "anchored_at": None, "age_s": 12.5, "waiting": 2},
                "nonsense",
            ],
        }
    )  # fmt: skip
    assert desk.verifications().judged is not None
    [notary] = desk.notaries()
    assert (notary.round_us, notary.trees, notary.refused) == (1_795_161_600_000_000, 3, [("t", "tree_changed")])
    [anchor] = notary.anchors
    assert (anchor.name, anchor.anchored_us, anchor.age_s, anchor.waiting) == ("file", 0, 12.5, 2)


def test_a_notary_that_says_nonsense_breaks_no_page(settings: Settings) -> None:
    (settings.state_dir / "run").mkdir(exist_ok=True)
    StatusFile(settings.state_dir / "run", "aa", "notary").write(
        {"last_round": "yesterday", "trees": "many", "refused": 7, "anchors": [{"age_s": "old", "anchored_at": 9}]}
    )
    [notary] = _desk(settings, Store()).notaries()
    assert (notary.round_us, notary.trees, notary.refused) == (0, 0, [])
    assert (notary.anchors[0].age_s, notary.anchors[0].anchored_us) == (0.0, 0)


# -- controls


def test_controls_are_judged_by_their_statements_once_a_minute(settings: Settings) -> None:
    register = read_controls()
    entries = register.queries["entries"]
    store = Store(lambda sql: [(0,) * len(entries.columns)] if sql == entries.sql else [])
    desk = _desk(settings, store)
    found = desk.judged(NOW_US - 86_400_000_000, NOW_US)
    assert desk.judged(NOW_US - 86_400_000_000, NOW_US) is found
    assert len(store.asked) == len({one.query for one in register.controls if one.query})
    assert {found.results[one.control_id] for one in register.controls if one.kind == MANUAL} == {MANUAL}
    assert found.results["log-names-who-what"] == "no_cases"
    assert found.results["log-complete"] == GAP, "a statement that answers nothing shows nothing"
    assert found.figures["entries"] == dict.fromkeys(entries.columns, 0)


def test_a_statement_that_takes_too_long_leaves_its_controls_without_a_result(settings: Settings) -> None:
    register = read_controls()
    late = register.queries["evidence"].sql

    def answer(sql: str) -> Rows:
        if sql == late:
            raise Away("busy", code="store_busy")
        return []

    found = _desk(settings, Store(answer)).judged(0, NOW_US)
    assert found.unanswered == ("evidence",)
    assert "log-complete" not in found.results
    assert "log-retention" in found.results
