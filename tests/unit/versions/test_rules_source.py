"""The rules' content: what decides or speaks changes it, what only explains the source does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detectors import rules
from detectors.rules import all_rules
from pipeline.version_sets.rules_source import normalised_source, rules_content

SOURCE = '''"""Rule x."""

LIMIT = 500  # a day


def holds(facts):
    """Says when."""
    return facts.size >= LIMIT


RULE = Rule(name="x", floor=9000, holds=holds, title=Text("a", "b"), cases=Cases(base=case("c"), holds=(case("d"),)))
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LIMIT = 500", "LIMIT = 501"),
        ("facts.size >= LIMIT", "facts.size > LIMIT"),
        ("floor=9000", "floor=9001"),
        ('Text("a"', 'Text("another"'),
    ],
)
def test_what_decides_or_speaks_is_another_version(before: str, after: str) -> None:
    assert normalised_source(SOURCE.replace(before, after)) != normalised_source(SOURCE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# a day", "# per day"),
        ('"""Says when."""', '"""Says when it holds."""'),
        ('case("d")', 'case("d"), case("e")'),
        ('name="x", floor', "name='x',\n    floor"),
    ],
)
def test_what_only_explains_is_the_same_version(before: str, after: str) -> None:
    assert normalised_source(SOURCE.replace(before, after)) == normalised_source(SOURCE)


def test_every_file_that_decides_is_part_of_the_content() -> None:
    sources = json.loads(rules_content())["rules"]
    files = {path.stem for path in Path(rules.__file__).parent.glob("*.py")}
    assert files - set(sources) == {"cases"}
    assert {rule.name for rule in all_rules()} <= set(sources)
    assert "three cases" not in rules_content().decode()
