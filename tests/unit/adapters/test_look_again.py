"""Rows whose token is known and that are not there: waited for while another insert runs, lost only afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pipeline.adapters import clickhouse
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.errors import Away


class Server(ClickHouse):
    """A connection that counts older inserts as it is told."""

    def __init__(self, running: Iterator[int]) -> None:
        self._running = running
        self.asked: list[Mapping[str, object]] = []

    def query(self, sql: str, parameters: Any = None, settings: Any = None) -> list[tuple[Any, ...]]:
        """How many older inserts run."""
        self.asked.append(parameters)
        return [(next(self._running),)]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse, "_LOOK_AGAIN_S", 0.001)


def test_what_another_connection_is_putting_in_place_is_waited_for() -> None:
    server, looks = Server(iter([1, 1, 1])), iter([None, None, "the row"])
    assert server.look_again(lambda: next(looks)) == "the row"


def test_what_nobody_puts_in_place_is_lost() -> None:
    server, looks = Server(iter([1, 0])), iter([None, None, "never asked"])
    assert server.look_again(lambda: next(looks)) is None


def test_the_look_comes_after_the_question() -> None:
    """An insert that ends between the two is seen."""
    done: list[bool] = []

    def running() -> Iterator[int]:
        yield 0
        done.append(True)

    server = Server(running())
    assert server.look_again(lambda: "the row" if server.asked else None) == "the row"


def test_only_inserts_that_began_before_count() -> None:
    server, looks = Server(iter([1, 1, 0])), iter([None, None, None])
    server.look_again(lambda: next(looks))
    ages = [float(str(asked["age"])) for asked in server.asked]
    assert ages == sorted(ages)
    assert ages[0] < 1


def test_an_insert_that_never_ends_is_trouble_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse, "_LONGEST_INSERT_S", 0.01)
    server = Server(iter(lambda: 1, 0))
    with pytest.raises(Away):
        server.look_again(lambda: None)
