"""The reference of detections is generated from the rules and the coverage table; here it is compared with the file."""

from __future__ import annotations

import re

import pytest

from detectors.coverage import NOT_OBSERVABLE, SCENARIOS, STATES, Scenario
from detectors.features import NAMES
from detectors.rules import all_rules
from detectors.scheduled import SCHEDULED
from tests.golden.make_detections import PATH, render


def test_the_reference_of_detections_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == render(), "run: python -m tests.golden.make_detections"


def test_every_scenario_stands_in_the_table_once_in_order() -> None:
    assert [one.number for one in SCENARIOS] == [f"D{number:02}" for number in range(1, 33)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[one.number for one in SCENARIOS])
def test_a_scenario_is_watched_by_what_exists_or_says_why_not(scenario: Scenario) -> None:
    assert scenario.states
    assert set(scenario.states) <= set(STATES)
    assert set(scenario.features) <= set(NAMES)
    if scenario.states == (NOT_OBSERVABLE,):
        assert scenario.unseen is not None
    for text in (scenario.title, *([scenario.unseen] if scenario.unseen else [])):
        assert text.en.isascii()
        assert re.search("[\u4e00-\u9fff]", text.zh)


def test_every_rule_feature_and_scheduled_detector_watches_over_something() -> None:
    numbers = {one.number for one in SCENARIOS}
    assert {number for rule in all_rules() for number in rule.detects} <= numbers
    assert {name for one in SCENARIOS for name in one.features} == set(NAMES)
    for detector in SCHEDULED:
        assert detector.scenarios, detector.name
        assert set(detector.scenarios) <= numbers, detector.name
