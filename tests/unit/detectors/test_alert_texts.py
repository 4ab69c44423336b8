"""What alerts say, over hundreds of them from every detector: each number is recomputed from the stored values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from detectors.base import MODEL_DETECTOR, Assessment, EventArrays
from detectors.combine import judge
from detectors.explain import Context, explain
from detectors.features import NAMES
from detectors.group_words import group_in_words
from detectors.rules import all_rules
from detectors.rules.cases import batch_of
from detectors.rules.rule import Rule, floors_of
from detectors.strength import risk_of
from detectors.surprisal import surprisals
from pipeline.stages.assess import reasons_of
from tests.unit.detectors.alerts import company, fired

WORDS = {code: reason for rule in all_rules() for code, reason in rule.reasons.items()}
ARTICLES = sorted({article for rule in all_rules() for article in rule.articles}, key=len, reverse=True)

# How a person would undo each feature, and the numbers that its phrase says besides its own; written down here anew.
PLAIN = {"sequence": 20.0, "off_region": 100.0, "slow_rise": 1.0}
LOGARITHM = {"records_week", "subjects_week"}
NOVEL = {"new_network", "new_device", "new_country", "new_agent"}
BITS = {"hour_rarity", "rare_resource", "rare_action", "rare_channel"}
OWN = {
    "records_own": "records", "subjects_1h_own": "subjects_1h", "subjects_day_own": "subjects_day",
    "records_day_own": "records_day", "exported_day_own": "exported_day", "unmasked_day_own": "unmasked_day",
    "unexplained_day_own": "unexplained_day",
}  # fmt: skip
SAID = {
    "events_10m": 10, "denied_10m": 10, "records_week": 7, "subjects_week": 7, "repeat_subject": 7, "sequence": 20,
    "device_turns": 30, "network_turns": 30, "unexplained_2w": 14, "subjects_2w": 14, "return_visits": 14,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """One alert as a reader has it, and what is stored beside it."""

    detector: str
    english: str
    chinese: str
    numbers: Mapping[str, float]
    reasons: Sequence[str]
    risk: int
    floor: int
    accounted: bool
    group: str


def _told(
    detector: str, text: tuple[str, str], numbers: Mapping[str, float], reasons: Sequence[str], row: int,
    events: EventArrays, assessment: Assessment,
) -> Told:  # fmt: skip
    accounted = int(events.explained[row]) == 1 or int(events.approved[row]) == 1
    group = events.peer_groups[int(events.peer_group_ids[row])]
    return Told(
        detector, *text, numbers, reasons, int(assessment.risk[row]), int(assessment.floor[row]), accounted, group
    )


def _simulated() -> Iterator[Told]:
    for one in fired():
        alert, judged = one.alert, one.judged
        text = (alert.explanation_en, alert.explanation_zh)
        yield _told(
            alert.detector, text, alert.seen, alert.reasons, alert.row, judged.arrays, judged.assessment
        )  # fmt: skip


def _of_cases(rule: Rule) -> Iterator[Told]:
    """The cases in which a rule holds, judged as the stream judges them."""
    model, rules = company().model, all_rules()
    events, features = batch_of(rule.cases.base, rule.cases.holds)
    surprise = surprisals(features, model.peers.index(events.peer_groups, events.peer_group_ids), model.peers)
    judged = judge(model.forest, model.calibration, surprise, (events.explained == 1) | (events.approved == 1))
    floors = floors_of(rules, events, features)
    floor = np.maximum.reduce(floors)
    risk = risk_of(judged.level, floor)
    ends, reasons = reasons_of(surprise, risk, floors)
    codes = [*(f"feature:{name}" for name in NAMES), *(one.code for one in rules)]
    unknown = np.full(features.shape, np.nan, np.float32)
    assessment = Assessment(
        np.ones(events.count, np.uint8), judged.anomaly, judged.top3, risk, judged.level, floor, ends, reasons, codes,
        features, surprise, unknown, unknown,
    )  # fmt: skip
    start = 0
    for row, end in enumerate(ends.tolist()):
        own = [codes[code] for code in reasons[start:end]]
        found = explain(row, events, assessment, Context(model, WORDS))
        yield _told(rule.name, found.text, found.numbers, own, row, events, assessment)
        start = end


@cache
def alerts() -> tuple[Told, ...]:
    return (*_simulated(), *(one for rule in all_rules() for one in _of_cases(rule)))


def numbers_in(text: str, group: str) -> list[float]:
    """Every number of a text, the articles' and the group's aside."""
    for words in (*group_in_words(group), *ARTICLES):
        text = text.replace(words, "")
    return sorted(float(found.replace(",", "")) for found in re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text))


def two_digits(number: float) -> float:
    return float(f"{number:.2g}") if number >= 10 else max(1.0, float(round(number)))


def once_in(number: float) -> list[float]:
    return [1.0, min(two_digits(number), 10_000.0)]


def undone(feature: str, value: float) -> float:
    """A stored value in the unit of its phrase, as it is shown."""
    if feature in LOGARITHM:
        return round(math.exp(value), 1)
    if feature in PLAIN:
        return float(round(value * PLAIN[feature]))
    plain = math.exp(value) - 1.0
    return float(round(plain / 1000.0 if feature == "bytes" else plain))


def span(low: float, high: float) -> list[float]:
    return [low] if low == high else [low, high]


def expected_numbers(told: Told) -> list[float]:
    """What the text must say, from risk and stored values alone."""
    found = [float(f"{told.risk / 100:.0f}"), 100.0]
    if told.floor <= 1 and not told.accounted:
        found += once_in(10.0 ** (told.risk / 2000.0))
    for name, value in told.numbers.items():
        leader, _, what = name.partition(":")
        if what == "surprisal":
            found += once_in(10.0**value) if two_digits(10.0**value) > 1 else []
            found += _of_feature(OWN.get(leader, leader), told.numbers)
    return sorted(found)


def _of_feature(feature: str, stored: Mapping[str, float]) -> list[float]:
    value = stored[feature]
    if feature in NOVEL:
        return []
    if feature in BITS:
        return [1.0, float(int(2.0**value))] if value >= 1.0 else []
    found = [undone(feature, value), *([float(SAID[feature])] if feature in SAID else [])]
    if f"{feature}:own_mean" in stored:
        mean, width = stored[f"{feature}:own_mean"], 1.28 * stored[f"{feature}:own_deviation"]
        found += span(undone(feature, max(0.0, mean - width)), undone(feature, mean + width))
    return found + span(
        undone(feature, stored[f"{feature}:peers_p10"]), undone(feature, stored[f"{feature}:peers_p90"])
    )


def test_hundreds_of_alerts_of_every_detector_are_looked_at() -> None:
    assert len(fired()) >= 200
    assert {one.detector for one in alerts()} == {MODEL_DETECTOR, *(rule.name for rule in all_rules())}


def test_every_number_is_what_the_stored_values_say() -> None:
    for told in alerts():
        assert numbers_in(told.english, told.group) == pytest.approx(expected_numbers(told)), told.english


def test_both_languages_say_the_same_numbers() -> None:
    for told in alerts():
        assert numbers_in(told.english, told.group) == numbers_in(told.chinese, told.group), told


def test_an_alert_is_at_most_three_sentences_and_the_last_is_the_next_step() -> None:
    steps: set[str] = set()
    for told in alerts():
        english = [part for part in re.split(r"(?<=[.?!])(?:\s|$)", told.english) if part]
        chinese = [part for part in re.split(r"(?<=[。？！])", told.chinese) if part]
        assert len(english) == len(chinese) <= 3, told
        assert english[-1].startswith("Next: ")
        assert chinese[-1].startswith("下一步：")
        assert not any(part.startswith(("Next", "下一步")) for part in (*english[:-1], *chinese[:-1]))
        steps.add(english[-1])
    assert len(steps) > 20


EMPTY = re.compile(
    r"\b(?:nan|None|inf|null)\b|[{}<>]|\(\s*\)|（\s*）|\s\s|::|; ;|；；|: ?\.|：。|\( |，，|, ,|\(;|（；|\b0 days"
)


def test_no_code_name_no_token_and_nothing_empty_is_told() -> None:
    for told in alerts():
        for text in (told.english, told.chinese):
            assert "_" not in text
            assert not re.search(r"feature|rule:", text)
            assert not re.search(r"(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{6,}", text), text
            assert not EMPTY.search(text), text


def test_each_text_is_in_its_own_language() -> None:
    for told in alerts():
        assert not re.search("[\u3000-\u9fff，；：（）]", told.english.replace(group_in_words(told.group).en, ""))
        plain = told.chinese.replace(group_in_words(told.group).zh, "")
        for article in ARTICLES:
            plain = plain.replace(article, "")
        assert not re.search("[a-z;:,()]{2,}", plain), plain


def test_a_feature_is_told_only_where_it_is_unusual_for_colleagues() -> None:
    for told in alerts():
        rare = [value for name, value in told.numbers.items() if name.endswith(":surprisal")]
        assert all(value >= 1.0 for value in rare)
        assert rare or any(code.startswith("rule:") for code in told.reasons) or "weak signs" in told.english
