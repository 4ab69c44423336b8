"""Comparing derived tables while the stream goes on: a change is told, growth is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipeline.cli.verification_derived import DerivedTables
from pipeline.ledger.verify import Findings
from pipeline.migrations.rederive import (
    ALERT_CONTENT,
    ALERT_COUNTS,
    ALERT_IDS,
    ALERTS_GONE,
    ALERTS_SWAPPED,
    ALERTS_TWICE,
    SCHEDULED_STRANGERS,
    STRANGERS,
    comparisons,
)

FIRST = comparisons()[0]
NOTHING: list[tuple[Any, ...]] = []


class Answers:
    """A store whose answers a test makes, statement by statement; others are empty."""

    def __init__(self, answers: Mapping[str, Callable[[int], list[tuple[Any, ...]]]]) -> None:
        self._answers, self.asked = answers, dict.fromkeys(answers, 0)

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        if sql not in self._answers:
            return NOTHING
        number = self.asked[sql]
        self.asked[sql] += 1
        return self._answers[sql](number)

    def named_rows(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        raise AssertionError("verification asks by statement only")

    def measured(self, sql: str, parameters: Mapping[str, object], settings: Mapping[str, object] | None = None) -> Any:
        raise AssertionError("verification asks by statement only")

    def close(self) -> None:
        """Nothing is open."""


def compared(answers: Mapping[str, Callable[[int], list[tuple[Any, ...]]]]) -> tuple[DerivedTables, list[float]]:
    waits: list[float] = []
    tables = DerivedTables(Answers(answers), Findings(), waits.append)
    tables.compare()
    return tables, waits


def test_equal_hours_are_no_difference_and_nothing_is_asked_twice() -> None:
    same = [("h1", 3, 5, 6), ("h2", 1, 2, 3)]
    tables, waits = compared({FIRST.from_rows: lambda _: same, FIRST.shown: lambda _: same})
    assert (tables.findings.told, tables.moving, waits) == ([], [], [])
    assert tables.compared == [*(one.table for one in comparisons()), *STRANGERS]


@pytest.mark.parametrize(
    ("shown", "about"),
    [
        ([("h1", 3, 5, 6)], "h2 (UTC) has 0 rows, the verified rows give 1"),
        ([("h1", 3, 5, 6), ("h2", 1, 2, 4)], "h2 (UTC) has other values"),
        ([("h1", 3, 5, 6), ("h2", 1, 2, 3), ("h3", 9, 1, 1)], "h3 (UTC) has 9 rows, the verified rows give 0"),
    ],
)
def test_an_hour_that_differs_is_told(shown: list[tuple[Any, ...]], about: str) -> None:
    rows = [("h1", 3, 5, 6), ("h2", 1, 2, 3)]
    tables, _ = compared({FIRST.from_rows: lambda _: rows, FIRST.shown: lambda _: shown})
    [told] = tables.findings.told
    assert told.code == "derived"
    assert about in told.about


def test_an_hour_that_grew_in_between_is_looked_at_again_and_a_change_in_another_hour_is_still_told() -> None:
    growing = [[("h1", 3, 5, 6), ("h2", 1, 1, 1)], [("h1", 3, 5, 6), ("h2", 2, 2, 2)]]
    tables, waits = compared(
        {
            FIRST.from_rows: lambda number: growing[min(number, 1)],
            FIRST.shown: lambda _: [("h1", 4, 5, 6), ("h2", 2, 2, 2)],
        }
    )
    assert [one.about.split(" (")[0] for one in tables.findings.told] == [f"{FIRST.table}: h1"]
    assert (tables.moving, len(waits)) == ([], 1)


def test_an_hour_that_always_grows_is_said_not_to_be_compared() -> None:
    tables, _ = compared(
        {FIRST.from_rows: lambda number: [("h1", number, 0, 0)], FIRST.shown: lambda _: [("h1", 0, 0, 0)]}
    )
    assert tables.findings.told == []
    assert tables.moving == [f"{FIRST.table} h1"]


@pytest.mark.parametrize(
    "sql",
    [
        *STRANGERS.values(),
        SCHEDULED_STRANGERS,
        ALERT_COUNTS,
        ALERT_IDS,
        ALERTS_SWAPPED,
        ALERTS_TWICE,
        ALERT_CONTENT,
        ALERTS_GONE,
    ],
)
def test_a_row_without_its_event_is_told_only_where_it_stays_so(sql: str) -> None:
    found = ("access.events", 3, 17)
    tables, _ = compared({sql: lambda number: [found] if number == 0 else []})
    assert tables.findings.told == []
    tables, _ = compared({sql: lambda _: [found]})
    assert [(one.code, one.offset) for one in tables.findings.told] == [("derived", 17)]
