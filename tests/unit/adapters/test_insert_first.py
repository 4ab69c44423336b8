"""The row of a place, first writer wins: one on its way is waited for, one that was lost is written again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pipeline.adapters import clickhouse
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.errors import Away, StoreRefused


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
    assert server._look_again(lambda: next(looks)) == "the row"


def test_what_nobody_puts_in_place_is_lost() -> None:
    server, looks = Server(iter([1, 0])), iter([None, None, "never asked"])
    assert server._look_again(lambda: next(looks)) is None


def test_the_look_comes_after_the_question() -> None:
    """An insert that ends between the two is seen."""
    done: list[bool] = []

    def running() -> Iterator[int]:
        yield 0
        done.append(True)

    server = Server(running())
    assert server._look_again(lambda: "the row" if server.asked else None) == "the row"


def test_only_inserts_that_began_before_count() -> None:
    server, looks = Server(iter([1, 1, 0])), iter([None, None, None])
    server._look_again(lambda: next(looks))
    ages = [float(str(asked["age"])) for asked in server.asked]
    assert ages == sorted(ages)
    assert ages[0] < 1


def test_an_insert_that_never_ends_is_trouble_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse, "_LONGEST_INSERT_S", 0.01)
    server = Server(iter(lambda: 1, 0))
    with pytest.raises(Away):
        server._look_again(lambda: None)


class Place(Server):
    """A table with one place, on a server that lost the rows of its first so many tokens."""

    def __init__(self, lost: int = 0, *, accepts: bool = True) -> None:
        super().__init__(iter(lambda: 0, 1))
        self.tokens = [f"place:{number}" if number else "place" for number in range(lost)]
        self.row: str | None = None
        self._accepts = accepts

    def insert(self, table: str, columns: Any, specs: Any, *, token: str | None) -> bool:
        """Whether the token was known."""
        assert token is not None
        known = token in self.tokens
        if not known and self._accepts:
            self.tokens.append(token)
            self.row = self.row or token
        return known

    def write(self) -> str:
        """The row of the place."""
        nothing: Any = None
        return self.insert_first("raw.t", nothing, nothing, token="place", look=lambda: self.row)


@pytest.mark.parametrize(("lost", "token"), [(0, "place"), (1, "place:1"), (3, "place:3")])
def test_a_row_the_server_lost_is_written_under_the_next_token(lost: int, token: str) -> None:
    assert Place(lost).write() == token


def test_whoever_comes_second_finds_the_first_ones_row() -> None:
    server = Place()
    assert [server.write(), server.write()] == ["place", "place"]
    assert server.tokens == ["place"]


def test_a_row_that_was_accepted_and_is_not_there_is_not_written_again() -> None:
    server = Place(accepts=False)
    with pytest.raises(StoreRefused):
        server.write()


def test_a_place_whose_tokens_are_all_lost_is_refused() -> None:
    with pytest.raises(StoreRefused):
        Place(4).write()
