"""The page of scheduled detectors is what the detectors say, in both languages."""

from __future__ import annotations

import re

import pytest

from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import ScheduledDetector
from tests.golden.make_scheduled import PATH, page


def test_the_page_is_what_the_detectors_say() -> None:
    assert PATH.read_text(encoding="utf-8") == page(), "run: python -m tests.golden.make_scheduled"


@pytest.mark.parametrize("detector", SCHEDULED, ids=lambda one: one.name)
def test_a_detector_says_everything_in_both_languages(detector: ScheduledDetector) -> None:
    for words in (detector.title, detector.next_step, detector.runbook, detector.cold_start):
        assert re.search("[一-鿿]", words.zh)
        assert not re.search("[一-鿿]", words.en)
    assert detector.next_step.en.endswith(".")
    assert detector.next_step.zh.endswith("。")
    for part in ("Check:", "Contain:", "Ask:"):
        assert part in detector.runbook.en
    for part in ("核查：", "控制：", "询问："):
        assert part in detector.runbook.zh
    assert detector.scenarios
    assert all(re.fullmatch(r"D\d\d", one) for one in detector.scenarios)
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", one) for one in detector.attack_ids)
    assert all(re.fullmatch(r"[a-z]+-\d+", one) for one in detector.articles)
