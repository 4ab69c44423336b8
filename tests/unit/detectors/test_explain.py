"""Explanations: which reasons in which order, against whose usual, in both languages, without an identifier."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.attribution import of_features
from detectors.explain import MAX_TOLD, Context, explain, rounded
from detectors.features import INDEX, KIND_OF, LOOK_BACK, NAMES
from detectors.group_words import group_in_words
from detectors.phrases import AMOUNT_OF, NEXT_STEPS, PHRASES
from detectors.surprisal import KNOTS
from tests.unit.detectors.explanations import (
    AGENTS,
    ANALYSTS,
    RULE_CODES,
    SMALL,
    WORDS,
    assessment_of,
    context,
    days_up_to,
    open_events,
    told,
)


def has_chinese(text: str) -> bool:
    return bool(re.search("[\u4e00-\u9fff]", text))


# which reasons, in which order


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_is_told_in_both_languages(name: str) -> None:
    phrase = PHRASES[AMOUNT_OF[name]]
    amount = 0.9 if phrase.form == "first" else 3.0
    found = told([f"feature:{name}"], seen={AMOUNT_OF[name]: amount}, rare={name: 3.0})
    assert found.told == (f"feature:{name}",)
    for text, part in ((found.text.en, phrase.text.en), (found.text.zh, phrase.text.zh)):
        assert all(piece in text for piece in part.split("{n}"))
    assert not has_chinese(found.text.en)
    assert NEXT_STEPS[name].en in found.text.en
    assert NEXT_STEPS[name].zh in found.text.zh


@pytest.mark.parametrize("code", RULE_CODES)
def test_every_rule_is_told_with_its_articles_and_its_next_step(code: str) -> None:
    found, reason = told([code], risk=8500, floor=8500), WORDS[code]
    assert f"{reason.title_en} ({', '.join(reason.articles)})" in found.text.en
    assert f"{reason.title_zh}（{'、'.join(reason.articles)}）" in found.text.zh
    assert found.text.en.endswith(f". Next: {reason.next_step_en}")
    assert found.text.zh.endswith(f"。下一步：{reason.next_step_zh}")


def test_at_most_three_reasons_are_told_a_feature_among_them() -> None:
    rules = ["rule:bulk_export", "rule:external_share", "rule:cross_border"]
    assert told(rules).told == tuple(rules)
    with_features = told([*rules, "feature:hour_rarity"], rare={"hour_rarity": 3.0, "vip_day": 2.0})
    assert with_features.told == (*rules[:2], "feature:hour_rarity")
    many = told([], rare=dict.fromkeys(NAMES, 3.0))
    assert len(many.told) == MAX_TOLD


def test_a_rule_that_history_lowered_is_told_last_and_asks_for_nothing() -> None:
    found = told(["feature:vip_day", "rule:own_record"], rare={"vip_day": 3.0})
    assert found.told == ("feature:vip_day", "rule:own_record")
    assert found.text.en.endswith(NEXT_STEPS["vip_day"].en)


def test_the_numbers_behind_a_rule_come_before_stranger_ones() -> None:
    rare = {"hour_rarity": 4.0, "denied_10m": 2.0, "vip_day": 3.0}
    assert told(["rule:permission_probing"], rare=rare).told[1] == "feature:denied_10m"
    assert told([], rare=rare).told == ("feature:hour_rarity", "feature:vip_day", "feature:denied_10m")


def test_one_cause_is_told_once_and_other_kinds_before_its_other_sides() -> None:
    rare = {"records_day": 4.0, "records_day_own": 3.9, "all_records_day": 3.8, "new_country": 3.0, "vip_day": 2.9}
    assert told([], rare=rare).told == ("feature:records_day", "feature:new_country", "feature:vip_day")
    del rare["vip_day"]
    assert told([], rare=rare).told == ("feature:records_day", "feature:new_country", "feature:all_records_day")


def test_what_is_hardly_unusual_is_not_told_beside_what_is_rare() -> None:
    assert told([], rare={"new_country": 4.0, "vip_day": 1.5}).told == ("feature:new_country",)
    assert told([], rare={"vip_day": 1.5, "new_country": 0.9}).told == ("feature:vip_day",)


def test_where_surprisals_lead_the_largest_is_told_first_and_of_equals_the_first() -> None:
    assert told([], rare={"vip_day": 3.0, "new_country": 3.0, "sequence": 3.5}).told == (
        "feature:sequence",
        "feature:new_country",
        "feature:vip_day",
    )


def test_where_the_forest_leads_its_attribution_orders_the_reasons() -> None:
    rare = dict.fromkeys(("hour_rarity", "new_country", "denied_10m", "vip_day", "sequence", "off_region"), 3.0)
    found = told([], forest_leads=True, rare=rare)
    model = context().model
    assert model is not None
    weights = of_features(model.forest, assessment_of([[]], rare=rare).surprisals[0])
    assert list(found.told) == [
        f"feature:{name}" for name in sorted(rare, key=lambda one: (-weights[INDEX[one]], INDEX[one]))[:MAX_TOLD]
    ]
    assert found.told != told([], rare=rare).told


def test_without_a_rare_feature_or_a_rule_weak_signs_are_told() -> None:
    found = told([], rare={"vip_day": 0.9})
    assert found.told == ()
    assert "several weak signs together" in found.text.en
    assert "多个弱信号" in found.text.zh


def test_without_a_model_the_rules_still_explain() -> None:
    bare = Context(None, WORDS)
    found = explain(0, open_events(), assessment_of([["rule:enumeration", "feature:records"]]), bare)
    assert found.told == ("rule:enumeration", "feature:records")
    assert "daily peak" not in found.text.en
    assert found.numbers == {"records": 0.0}


def test_each_row_is_told_by_its_own_reasons() -> None:
    rows = [["rule:enumeration"], [], ["rule:bulk_export"], ["rule:mass_unmask"]]
    texts = [explain(row, open_events(4), assessment_of(rows), context()).text.en for row in range(4)]
    for row, reasons in enumerate(rows):
        for code in RULE_CODES:
            assert (WORDS[code].title_en in texts[row]) == (code in reasons)


# against whose usual


def test_seen_own_usual_and_peers_usual_stand_side_by_side() -> None:
    found = told(
        seen={"subjects_day": 412},
        rare={"subjects_day": 3.0},
        own={"subjects_day": (3.0, 0.5), "subjects_day_own": (3.0, 0.5)},
    )
    own = "10–37"  # e^(3 ± 0.64) − 1
    assert f": 412 customers today without a work item, more than usual among colleagues (own usual {own}, " in (
        found.text.en
    )
    assert "colleagues' daily peak 9–90, as much on 1 in 1,000 days)" in found.text.en
    assert f"：今日无工单查阅 412 名客户，高于同事平常水平（本人平常 {own}，同事单日峰值 9–90，" in found.text.zh
    assert "，约 1,000 天中有 1 天达到）" in found.text.zh


@pytest.mark.parametrize("name", LOOK_BACK)
def test_what_looks_back_over_weeks_is_told_in_weeks(name: str) -> None:
    found = told(seen={name: 412}, rare={name: 3.0})
    assert re.search(r"colleagues' weekly peak \S+, as much on 1 in 1,000 weeks\)", found.text.en)
    assert "同事单周峰值" in found.text.zh
    assert "，约 1,000 周中有 1 周达到）" in found.text.zh
    assert "on fewer than 1 in 10,000 weeks)" in told(seen={name: 412}, rare={name: 4.5}).text.en


def test_an_own_range_ends_at_zero() -> None:
    own = {"vip_day": (0.1, 0.5), "subjects_day": (1.0, 1.0)}
    assert "(own usual 0–1, " in told(seen={"vip_day": 9}, rare={"vip_day": 3.0}, own=own).text.en


def test_peers_usual_holds_eight_days_of_ten() -> None:
    """The stored quantiles next to p10 and p90, outwards; checked against the days themselves."""
    days = np.expm1(days_up_to(1000.0)[:, 0])
    found = told([], open_events(peer_groups=[ANALYSTS]), seen={"records": 5}, rare={"records": 3.0})
    low, high = (np.expm1(found.numbers[f"records:peers_{name}"]) for name in ("p10", "p90"))
    step = 1.7 / KNOTS * np.log(10.0)
    assert np.quantile(days, 0.1) * (1 - 10 * step) <= low <= np.quantile(days, 0.1)
    assert np.quantile(days, 0.9) <= high <= np.quantile(days, 0.9) * (1 + step)


@pytest.mark.parametrize("own", [{}, {"records_own": (3.0, 0.5)}])
def test_an_own_usual_of_less_than_three_days_is_not_told(own: Mapping[str, tuple[float, float]]) -> None:
    """A day's totals have no own usual before; sizes do, from the first access on."""
    found = told(seen={"records": 412}, rare={"records": 3.0}, own=own)
    assert "own usual" not in found.text.en
    assert "本人平常" not in found.text.zh


def test_a_rise_above_the_own_usual_is_told_by_its_amount() -> None:
    found = told(
        seen={"subjects_day": 40},
        rare={"subjects_day_own": 2.5},
        own={"subjects_day": (2.0, 0.2), "subjects_day_own": (2.0, 0.2)},
    )
    assert found.told == ("feature:subjects_day_own",)
    assert "40 customers today without a work item, more than usual for this account (own usual 5–9, " in found.text.en
    assert "such a rise on 1 in 320 days)" in found.text.en
    assert "约 320 天中有 1 天有此增幅" in found.text.zh


@pytest.mark.parametrize(
    ("group", "amount", "scope"),
    [
        (AGENTS, 2000, "more than usual in the whole company"),
        (AGENTS, 200, "more than usual among colleagues"),
        (AGENTS, 60, "more than usual for this account"),
        (AGENTS, 20, ""),
        (ANALYSTS, 850, "more than usual for this account"),
        (SMALL, 2000, "more than usual in the whole company"),
        (SMALL, 200, "more than usual for this account"),
    ],
)
def test_the_widest_circle_that_is_exceeded_is_named(group: str, amount: float, scope: str) -> None:
    """Colleagues' peaks end at 90 among agents and at 900 among analysts, everybody's at about 800."""
    own = {"subjects_day": (3.0, 0.5), "records_day": (3.0, 0.5), "records_day_own": (3.0, 0.5)}
    events = open_events(peer_groups=[group])
    found = told([], events, seen={"records_day": amount}, rare={"records_day": 2.0}, own=own)
    said = re.search(r"more than usual [a-z ]+", found.text.en)
    assert (said.group().strip() if said else "") == scope
    assert ("any account's daily peak" in found.text.en) == (group == SMALL)


@pytest.mark.parametrize(
    ("group", "value", "rare", "words"),
    [
        (AGENTS, 6.95, 3.0, "rare in the whole company (on 1 in 1,000 of colleagues' days)"),
        (AGENTS, 4.6, 3.0, "rare among colleagues (on 1 in 1,000 of colleagues' days)"),
        (AGENTS, 4.6, 1.3, "of its days (on 1 in 20 of colleagues' days)"),
        (SMALL, 4.6, 3.0, "rare in the whole company (on 1 in 1,000 days of all accounts)"),
    ],
)
def test_what_is_seldom_is_called_rare_among_those_who_seldom_do_it(
    group: str, value: float, rare: float, words: str
) -> None:
    events = open_events(peer_groups=[group])
    assert words in told([], events, seen={"rare_action": value}, rare={"rare_action": rare}).text.en


@pytest.mark.parametrize(
    ("novelty", "english", "chinese"),
    [
        (0.87, "a device used for the first time on this account", "首次使用的设备"),
        (0.51, "a device used for the first time on this account", "首次使用的设备"),
        (0.5, "a device rarely used on this account", "很少使用的设备"),
        (0.1, "a device rarely used on this account", "很少使用的设备"),
    ],
)
def test_a_first_time_is_claimed_only_where_no_earlier_day_is_remembered(
    novelty: float, english: str, chinese: str
) -> None:
    found = told([], seen={"new_device": novelty}, rare={"new_device": 2.5})
    assert english in found.text.en
    assert chinese in found.text.zh


@given(days=st.integers(2, 119), share=st.floats(0.0, 0.6))
def test_a_seldom_used_thing_was_used_on_no_more_days_than_is_said(days: int, share: float) -> None:
    """The feature smooths and damps the share of days: what is said of it holds for the days themselves."""
    used = int(days * share)
    bits = -np.log2((used + 0.5) / (days + 1.0)) * days / (days + 5.0)
    found = told([], seen={"rare_action": max(0.0, bits)}, rare={"rare_action": 2.5})
    said = re.search(r"on at most 1 in (\d+) of its days", found.text.en)
    if said is None:
        assert "an action that this account rarely takes" in found.text.en
        return
    assert used * int(said.group(1)) <= days


def test_as_much_as_usual_in_shown_numbers_is_not_called_more() -> None:
    own = {"vip_day": (np.log1p(3.2) - 1.28 * 1e-6, 1e-6), "subjects_day": (1.0, 1.0)}
    found = told(seen={"vip_day": 3.4}, rare={"vip_day": 1.5}, own=own)
    assert "3 looks at protected customers today without a work item (own usual 3, " in found.text.en


@pytest.mark.parametrize(
    ("rare", "english", "chinese"),
    [
        (5.3, "as much on fewer than 1 in 10,000 days", "10,000 天中不到 1 天达到"),
        (3.0913, "as much on 1 in 1,200 days", "约 1,200 天中有 1 天达到"),
    ],
)
def test_rarities_have_two_digits_and_end_where_history_does(rare: float, english: str, chinese: str) -> None:
    found = told(seen={"records": 900}, rare={"records": rare})
    assert f", {english})" in found.text.en
    assert f"，{chinese}）" in found.text.zh


@given(st.floats(1.0, 1e12))
def test_rounded_numbers_have_two_digits(number: float) -> None:
    assert float(f"{rounded(number):.2g}") == rounded(number)
    assert abs(rounded(number) - number) <= 0.0501 * number + 0.5


# who, and how grave


@pytest.mark.parametrize(
    ("risk", "floor", "fields", "english", "chinese"),
    [
        (6500, 0, {}, "risk 65 of 100, about 1 event in 1,800", "风险 65/100，约每 1,800 次访问 1 次"),
        (8500, 0, {}, "risk 85 of 100, rarer than 1 event in 10,000", "风险 85/100，10,000 次访问不到 1 次"),
        (8500, 8500, {}, "risk 85 of 100 by rule", "风险 85/100，由规则判定"),
        (8600, 8500, {}, "risk 86 of 100 by rule and by how unusual it is", "风险 86/100，由规则与异常程度共同判定"),
        (8600, 1, {}, "risk 86 of 100, rarer than 1 event in 10,000", "风险 86/100，10,000 次访问不到 1 次"),
        (6500, 0, {"explained": 1}, "risk 65 of 100, lowered because a work item", "风险 65/100，因有工单或审批而下调"),
        (6500, 0, {"approved": 1}, "risk 65 of 100, lowered because a work item", "风险 65/100，因有工单或审批而下调"),
        (8500, 8500, {"approved": 1}, "risk 85 of 100 by rule", "风险 85/100，由规则判定"),
    ],
)
def test_a_frequency_is_claimed_only_where_the_risk_is_one(
    risk: int, floor: int, fields: Mapping[str, int], english: str, chinese: str
) -> None:
    found = told(["rule:enumeration"], open_events(**fields), risk=risk, floor=floor)
    assert english in found.text.en
    assert chinese in found.text.zh


def test_articles_are_named_once() -> None:
    found = told(["rule:bulk_export", "rule:inactive_account"])
    assert found.text.en.count("pipl-51") == found.text.zh.count("pipl-51") == 1


@pytest.mark.parametrize(("tenure", "new"), [(0, True), (9, True), (10, False), (-1, False), (400, False)])
def test_a_new_account_is_said_to_be_measured_by_colleagues_alone(tenure: int, new: bool) -> None:
    found = told([], open_events(tenure_days=tenure), rare={"records": 2.0})
    assert ("; new, so colleagues are the only measure; risk" in found.text.en) == new
    assert ("；新账号，仅能与同事比较；风险" in found.text.zh) == new


@pytest.mark.parametrize(
    ("group", "english", "chinese"),
    [
        ("customer_service/agent", "customer service, agent", "客服部，坐席"),
        ("it_operations/dba", "IT operations, DBA", "信息技术运维部，数据库管理员"),
        ("type:ai_agent", "AI agent", "智能体"),
        ("华东区_客服/坐席", "华东区 客服, 坐席", "华东区 客服，坐席"),
        ("stores_2/technician", "stores 2, technician", "门店 2，技术员"),
        ("deep_sea/diver", "deep sea, diver", "deep sea，diver"),
        ("legal/", "legal", "法务部"),
        ("/counsel", "counsel", "法律顾问"),
        ("type:", "of no known group", "所属群体未知"),
        ("", "of no known group", "所属群体未知"),
        ("_/_", "of no known group", "所属群体未知"),
    ],
)
def test_the_group_is_named_as_people_say_it(group: str, english: str, chinese: str) -> None:
    assert group_in_words(group) == (english, chinese)
    found = told(["rule:enumeration"], open_events(peer_groups=[group]))
    assert found.text.en.startswith(f"This account ({english}; ")
    assert found.text.zh.startswith(f"该账号（{chinese}；")


def test_no_identifier_is_told() -> None:
    """Nothing of account, subjects, devices, addresses or resources."""
    secrets = {
        name: 0x1234_5678_9ABC_0000 + place
        for place, name in enumerate(("resource", "case", "ip_prefix", "device", "session", "credential"))
    }
    events = open_events(subject_lists=[[0x0BAD_CAFE_0BAD_CAFE]], **secrets)
    token = bytes.fromhex("a1b2c3d4e5f60718293a4b5c6d7e8f90")
    events.actor_keys = [b"default\0" + token]
    found = told(["rule:enumeration"], events, rare={"records": 3.0, "new_device": 3.0})
    for text in found.text:
        for place in range(0, 32, 8):
            assert token.hex()[place : place + 8] not in text
        for number in [*secrets.values(), 0x0BAD_CAFE_0BAD_CAFE]:
            assert str(number) not in text
            assert f"{number:x}" not in text.lower()


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(1.0, 5.0).map(float), max_size=8), st.booleans())
def test_the_same_event_is_told_the_same_way_and_kinds_before_repetitions(
    rare: dict[str, float], forest_leads: bool
) -> None:
    first, second = (told([], forest_leads=forest_leads, rare=rare) for _ in range(2))
    assert first == second
    kinds = [KIND_OF[code.removeprefix("feature:")] for code in first.told]
    stored = {name: float(np.float32(value)) for name, value in rare.items()}
    strong = {KIND_OF[name] for name, value in stored.items() if value >= 0.4 * max(stored.values())}
    assert len(set(kinds)) == min(MAX_TOLD, len(strong))
