"""One table of settings: every kind of value, its faults in words, the environment before the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings_table import SettingsTable


def table(text: str = "", overrides: dict[str, str] | None = None) -> SettingsTable:
    return SettingsTable(tomllib.loads(text), "part", [], Path("/etc/accesstrail"), overrides)


def test_values_are_taken_as_they_are_and_what_is_missing_has_its_default() -> None:
    one = table('name = "x"\nsize = 5\nshare = 0.5\non = true\nlist = ["a", "b"]\nplace = "key"\nword = "b"')
    assert (one.text("name"), one.whole("size", 1, 1, 9), one.number("share", 1, 0, 1)) == ("x", 5, 0.5)
    assert (one.flag("on"), one.texts("list"), one.choice("word", ("a", "b"))) == (True, ("a", "b"), "b")
    assert one.path("place") == Path("/etc/accesstrail/key")
    assert (one.text("no", "d"), one.whole("no", 3, 1, 9), one.number("no", 4, 1, 9)) == ("d", 3, 4.0)
    assert (one.flag("no"), one.texts("no"), one.choice("no", ("a", "b"))) == (False, (), "a")
    one.unknown()
    assert not one.faults


@pytest.mark.parametrize(
    ("text", "ask", "fault"),
    [
        ("", lambda one: one.text("a"), "a is missing"),
        ('a = ""', lambda one: one.text("a"), "a must be a non-empty text"),
        ("a = 5", lambda one: one.text("a", "d"), "a must be a non-empty text"),
        ("a = 10", lambda one: one.whole("a", 1, 1, 9), "a must be a whole number from 1 to 9"),
        ("a = 5.0", lambda one: one.whole("a", 1, 1, 9), "a must be a whole number from 1 to 9"),
        ("a = true", lambda one: one.whole("a", 1, 1, 9), "a must be a whole number from 1 to 9"),
        ('a = "5"', lambda one: one.whole("a", 1, 1, 9), "a must be a whole number from 1 to 9"),
        ('a = "0.5"', lambda one: one.number("a", 1, 0, 1), "a must be a number from 0 to 1"),
        ("a = nan", lambda one: one.number("a", 1, 0, 1), "a must be a number from 0 to 1"),
        ("a = true", lambda one: one.number("a", 1, 0, 1), "a must be a number from 0 to 1"),
        ("a = 1", lambda one: one.flag("a"), "a must be true or false"),
        ('a = "z"', lambda one: one.choice("a", ("x", "y")), "a must be one of x, y"),
        ('a = "x"', lambda one: one.texts("a"), "a must be a list of texts"),
        ('a = [""]', lambda one: one.texts("a"), "a must be a list of texts"),
        ('a = ["x"]', lambda one: one.names("a", ["y"], "channel"), "a: there is no channel 'x'"),
        ("a = 1", lambda one: one.rows("a"), "a must be a list of tables: [[part.a]]"),
    ],
)
def test_a_fault_names_table_and_key(text: str, ask: Any, fault: str) -> None:
    one = table(text)
    ask(one)
    assert one.faults == [f"[part] {fault}"]


def test_the_environment_goes_before_the_table_and_writes_numbers_and_lists_as_texts() -> None:
    one = table("size = 5", {"size": "7", "share": "0.25", "list": "a,,b", "wrong": "seven"})
    assert (one.whole("size", 1, 1, 9), one.number("share", 1, 0, 1), one.texts("list")) == (7, 0.25, ("a", "b"))
    assert one.whole("wrong", 1, 1, 9) == 1
    assert one.faults == ["[part] wrong must be a whole number from 1 to 9"]


def test_tables_inside_share_faults_and_say_where_they_are() -> None:
    one = table('[a.x]\nsize = 0\n[a]\ny = 1\n[[rows]]\nname = ""\n[odd]\n')
    inside = one.tables("a")
    assert list(inside) == ["x", "y"]
    inside["x"].whole("size", 1, 1, 9)
    one.rows("rows")[0].text("name")
    one.unknown()
    assert one.faults == [
        "[part.a.y] must be a table",
        "[part.a.x] size must be a whole number from 1 to 9",
        "[part.rows 1] name must be a non-empty text",
        "[part] odd is not a known setting",
    ]
