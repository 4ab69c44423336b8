"""Answers that are kept for some seconds: asked once, kept no longer than said, and only where they may be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pipeline.audit.incidents import AlertView
from pipeline.cli.console_incidents import ConsoleIncidents
from pipeline.cli.kept_answers import KeptAnswers
from pipeline.errors import Away


def _counting() -> Callable[[], int]:
    asked = iter(range(1, 1_000))
    return lambda: next(asked)


def test_an_answer_is_kept_as_long_as_said_and_no_longer() -> None:
    now_s, ask = [100.0], _counting()
    kept: KeptAnswers[int] = KeptAnswers(10.0, 5, lambda: now_s[0])
    assert [kept.answer("a", ask), kept.answer("a", ask)] == [1, 1]
    now_s[0] = 110.0
    assert kept.answer("a", ask) == 1
    now_s[0] = 110.5
    assert [kept.answer("a", ask), kept.answer("b", ask)] == [2, 3]


def test_the_oldest_answers_go_first() -> None:
    ask = _counting()
    kept: KeptAnswers[int] = KeptAnswers(1_000.0, 2)
    assert [kept.answer(name, ask) for name in ("a", "b", "c")] == [1, 2, 3]
    assert [kept.answer(name, ask) for name in ("b", "c", "a")] == [2, 3, 4]


def test_an_answer_that_is_not_one_to_keep_is_asked_again() -> None:
    ask = _counting()
    kept: KeptAnswers[int] = KeptAnswers(1_000.0, 5)
    assert [kept.answer("a", ask, keeps=lambda found: found > 1) for _ in range(3)] == [1, 2, 2]


def test_an_error_is_not_kept_and_frees_the_next_one() -> None:
    kept: KeptAnswers[int] = KeptAnswers(1_000.0, 5)

    def fails() -> int:
        raise Away("the store does not answer", code="store_away")

    with pytest.raises(Away):
        kept.answer("a", fails)
    assert kept.answer("a", lambda: 7) == 7


def test_whoever_asks_the_same_at_the_same_time_gets_the_one_answer_and_others_do_not_wait() -> None:
    kept: KeptAnswers[int] = KeptAnswers(1_000.0, 5)
    go, asked, found = threading.Event(), [], []

    def slow() -> int:
        asked.append(1)
        assert go.wait(30)
        return len(asked)

    threads = [threading.Thread(target=lambda: found.append(kept.answer("a", slow))) for _ in range(20)]
    for one in threads:
        one.start()
    assert kept.answer("b", lambda: 9) == 9
    go.set()
    for one in threads:
        one.join(30)
    assert found == [1] * 20


class _Reader:
    """Finds the accesses of alerts, the last one only at the second look: it is being stored."""

    def __init__(self) -> None:
        self.asked = 0

    def events_of(self, alerts: Sequence[AlertView], limit: int = 200) -> Sequence[object]:
        self.asked += 1
        return [one.event_id for one in alerts][: limit if self.asked > 1 else len(alerts) - 1]


def _alert(offset: int) -> AlertView:
    return AlertView(
        alert_id=f"a{offset}", event_id=f"e{offset}", event_time_us=offset, detector="rule:x", risk=9_000,
        severity="high", reasons=(), explanation_en="", explanation_zh="", actor_token="61" * 16, topic="t",
        incarnation="i", partition=0, offset=offset,
    )  # fmt: skip


def test_accesses_behind_an_incident_are_kept_once_all_of_them_are_there() -> None:
    reader = _Reader()
    incidents: Any = ConsoleIncidents(reader, None)  # type: ignore[arg-type]
    alerts = [_alert(1), _alert(2), _alert(3)]
    assert incidents.events(alerts, 200) == ["e1", "e2"]
    assert [incidents.events(alerts, 200) for _ in range(3)] == [["e1", "e2", "e3"]] * 3
    assert reader.asked == 2
    assert incidents.events(alerts[:2], 200) == ["e1", "e2"]
    assert reader.asked == 3
