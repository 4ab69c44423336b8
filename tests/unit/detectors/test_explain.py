"""Explanations: both languages, the numbers seen and usual, rarity not overclaimed, no identifier."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from detectors import surprisal
from detectors.base import Assessment, EventArrays
from detectors.explain import Context, explain
from detectors.features import FEATURES, INDEX, N_FEATURES, NAMES
from detectors.rules import all_rules
from detectors.surprisal import N_ORDER
from tests.arrays import event_arrays

RULE_CODES = [code for rule in all_rules() for code in rule.reasons]
CODES = [*(f"feature:{name}" for name in NAMES), *RULE_CODES]
WORDS = {code: reason for rule in all_rules() for code, reason in rule.reasons.items()}
PEERS = surprisal.fit(
    np.log1p(np.random.default_rng(1).gamma(2.0, 10.0, (3000, N_FEATURES))).astype(np.float32),
    ["customer_service/agent"],
    np.zeros(3000, np.int32),
)
MODEL_ID = "feedc0de" + "0" * 56
CONTEXT = Context(PEERS, WORDS, MODEL_ID)


def assessment_of(rows: Sequence[Sequence[str]], *, risk: int = 8000, **values: float) -> Assessment:
    """Rows with these reasons; `values`: features, the same in all rows; `…_usual` and `…_surprisal` beside them."""
    count = len(rows)
    features = np.zeros((count, N_FEATURES), np.float32)
    usual = np.full((count, N_FEATURES), np.nan, np.float32)
    surprisals = np.full((count, N_FEATURES + N_ORDER), 1.0, np.float32)
    for name, value in values.items():
        if name.endswith("_usual"):
            usual[:, INDEX[name.removesuffix("_usual")]] = value
        elif name.endswith("_surprisal"):
            surprisals[:, INDEX[name.removesuffix("_surprisal")]] = value
        else:
            features[:, INDEX[name]] = value
    return Assessment(
        status=np.ones(count, np.uint8),
        anomaly_score=np.zeros(count, np.uint32),
        top3_surprisal=np.zeros(count, np.uint16),
        risk=np.full(count, risk, np.uint16),
        level=np.full(count, risk, np.uint16),
        floor=np.array([risk if one and one[0].startswith("rule:") else 0 for one in rows], np.uint16),
        reason_ends=np.cumsum([len(one) for one in rows]).astype(np.int64),
        reasons=np.array([CODES.index(code) for one in rows for code in one], np.int32),
        reason_codes=CODES,
        features=features,
        surprisals=surprisals,
        usual=usual,
        spread=np.full_like(usual, 0.5),
    )


def told(reasons: Sequence[str], events: EventArrays | None = None, **values: Any) -> tuple[str, str]:
    return explain(0, events or event_arrays(1), assessment_of([reasons], **values), CONTEXT)


def has_chinese(text: str) -> bool:
    return bool(re.search("[\u4e00-\u9fff]", text))


@pytest.mark.parametrize("code", CODES)
def test_every_reason_is_told_in_both_languages(code: str) -> None:
    english, chinese = explain(0, event_arrays(1), assessment_of([[code]], risk=5000), CONTEXT)
    assert not has_chinese(english)
    assert has_chinese(chinese)
    titles = {f"feature:{one.name}": (one.title_en, one.title_zh) for one in FEATURES}
    title_en, title_zh = titles.get(code) or (WORDS[code].title_en, WORDS[code].title_zh)
    assert title_en[1:] in english
    assert title_zh in chinese
    assert "Next: " in english
    assert "下一步：" in chinese


def test_the_numbers_seen_and_usual_are_shown() -> None:
    english, chinese = told(
        ["feature:subjects_day"],
        subjects_day=np.log1p(412),
        subjects_day_usual=np.log1p(23),
        subjects_day_surprisal=3.0,
    )
    assert "412 customers today (own usual 23; peers' usual " in english
    assert "1 in 1,000 accesses of peers" in english
    assert "412 名客户（本人平常 23；同事平常 " in chinese
    assert "1,000 次访问" in chinese


def test_peers_usual_is_their_median_and_their_95th_percentile() -> None:
    column = INDEX["records"]
    table = PEERS.values[1, column].astype(np.float64)
    middle, high = (float(np.interp(-np.log10(share), PEERS.levels, table)) for share in (0.5, 0.05))
    english, _ = told(["feature:records"], records=np.log1p(5000))
    assert f"peers' usual {np.expm1(middle):,.0f}–{np.expm1(high):,.0f}" in english
    assert np.expm1(middle) < np.expm1(high)


def test_an_unknown_own_usual_is_not_told() -> None:
    english, chinese = told(["feature:subjects_day"], subjects_day=np.log1p(412))
    assert "own usual" not in english
    assert "本人平常" not in chinese


def test_rarities_beyond_what_history_can_know_are_not_claimed() -> None:
    english, chinese = told(["feature:records"], records=9.0, records_surprisal=5.3)
    assert "rarer than 1 in 10,000 accesses of peers" in english
    assert "同事中不足 10,000 次访问出现一次" in chinese


@pytest.mark.parametrize("risk", [8500, 10_000])
def test_a_risk_beyond_what_history_can_know_claims_no_frequency(risk: int) -> None:
    english, chinese = told(["feature:records"], records=2.0, risk=risk)
    assert f"Risk {risk // 100} of 100: rarer than 1 event in 10,000." in english
    assert "不足 10,000 次访问出现一次。" in chinese


def test_the_floor_of_a_rule_is_told_as_a_rule_not_as_a_frequency() -> None:
    english, chinese = told(["rule:enumeration"], risk=8500)
    assert "Risk 85 of 100: a rule holds." in english
    assert "风险 85（满分 100）：命中规则。" in chinese
    assert "1 event in" not in english


def test_numbers_are_rounded_to_two_digits() -> None:
    english, _ = told(["feature:records"], records=2.0, records_surprisal=np.log10(1234.0), risk=6500)
    assert "1 in 1,200 accesses" in english
    assert "Risk 65 of 100: about 1 event in 1,800." in english


def test_at_most_three_reasons_are_told() -> None:
    english, _ = told([f"feature:{name}" for name in NAMES[:6]])
    told_titles = [feature.title_en[1:] in english for feature in FEATURES]
    assert told_titles[:3] == [True, True, True]
    assert not any(told_titles[4:])


def test_a_rule_names_its_articles_and_its_next_step() -> None:
    english, chinese = told(["rule:bulk_export", "feature:records"], records=3.0)
    reason = WORDS["rule:bulk_export"]
    assert "Touches: pipl-51, pipl-55." in english
    assert "涉及条款：pipl-51、pipl-55。" in chinese
    assert reason.next_step_en in english
    assert reason.next_step_zh in chinese


def test_articles_are_named_once() -> None:
    english, _ = told(["rule:bulk_export", "rule:inactive_account"])
    assert english.count("pipl-51") == 1


@pytest.mark.parametrize(("tenure", "low"), [(0, True), (9, True), (10, False), (-1, False), (400, False)])
def test_a_new_account_lowers_confidence(tenure: int, low: bool) -> None:
    english, chinese = told(["feature:records"], event_arrays(1, tenure_days=tenure))
    assert ("Confidence is low" in english) == low
    assert ("可信度较低" in chinese) == low


def test_each_row_is_told_by_its_own_reasons() -> None:
    rows = [["rule:enumeration"], [], ["rule:bulk_export"], ["rule:mass_unmask"]]
    texts = [explain(row, event_arrays(4), assessment_of(rows), CONTEXT)[0] for row in range(4)]
    for row, reasons in enumerate(rows):
        for code in RULE_CODES:
            assert (WORDS[code].title_en[1:] in texts[row]) == (code in reasons)


def test_the_same_event_is_told_the_same_way() -> None:
    assert told(["feature:records"], records=3.0) == told(["feature:records"], records=3.0)


def test_without_a_model_the_rules_still_explain() -> None:
    bare = Context(None, WORDS, "")
    english, chinese = explain(0, event_arrays(1), assessment_of([["rule:enumeration", "feature:records"]]), bare)
    assert "(model none)" in english
    assert "（模型 无）" in chinese
    assert "peers' usual" not in english


def test_no_identifier_is_told() -> None:
    """People as eight hex digits of their pseudonym; nothing of subjects, devices, addresses or resources."""
    secrets = {
        name: 0x1234_5678_9ABC_0000 + place
        for place, name in enumerate(("resource", "case", "ip_prefix", "device", "session", "credential"))
    }
    events = event_arrays(1, subject_lists=[[0x0BAD_CAFE_0BAD_CAFE]], **secrets)
    token = bytes.fromhex("a1b2c3d4e5f60718293a4b5c6d7e8f90")
    events.actor_keys = [b"default\0" + token]
    english, chinese = told([CODES[0], *RULE_CODES[:2]], events, records=3.0)
    for text in (english, chinese):
        assert "a1b2c3d4" in text
        assert token.hex()[:12] not in text
        assert "e5f6" not in text
        for number in [*secrets.values(), 0x0BAD_CAFE_0BAD_CAFE]:
            assert str(number) not in text
            assert f"{number:x}" not in text.lower()
    assert MODEL_ID not in english
    assert MODEL_ID[:8] in english


def test_the_peer_group_is_named_as_people_say_it() -> None:
    english, chinese = told([CODES[0]], event_arrays(1, peer_groups=["type:ai_agent"]))
    assert "(ai agent):" in english
    assert "（ai agent）：" in chinese
