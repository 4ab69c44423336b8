"""A panel's parameters are found whatever stands around them, and nothing that is no parameter is taken for one."""

from __future__ import annotations

import pytest

from dashboards.panels.panel import places_of, with_places


@pytest.mark.parametrize(
    ("sql", "places"),
    [
        ("SELECT 1", []),
        ("SELECT {a:UInt8}", [("a", "UInt8")]),
        ("SELECT {a: String } || {a:String}", [("a", "String"), ("a", "String")]),
        ("WHERE t >= {since:DateTime64(3, 'UTC')}", [("since", "DateTime64(3, 'UTC')")]),
        ("SELECT map('{', '}'), {n:Array(String)}", [("n", "Array(String)")]),
        ("SELECT '{not a place}'", []),
    ],
)
def test_the_parameters_of_a_statement_are_found(sql: str, places: list[tuple[str, str]]) -> None:
    assert list(places_of(sql)) == places


def test_a_place_is_taken_by_other_text_everywhere() -> None:
    assert with_places("{a:String} {b:UInt8} {a:String}", {"a": "$a", "b": "2"}) == "$a 2 $a"


def test_a_place_that_nothing_is_written_for_is_an_error() -> None:
    with pytest.raises(KeyError):
        with_places("{a:String}", {})
