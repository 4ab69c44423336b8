"""Drafts: every item the law asks for, blanks marked and counted, nothing that identifies anybody."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.breach.clock import Clock, Duty, clock_at
from pipeline.breach.drafts import LANGUAGES, checked_texts, draft
from pipeline.breach.fields import FIELDS, WRITTEN_BY_PEOPLE
from pipeline.breach.model import Breach, Counted, Discovery, OperatorProfile, Text
from pipeline.breach.register import HOUR_US, read_register
from pipeline.errors import UsageError

REGISTER = read_register()
T0_US = 1_790_000_000_000_000
BLANK = {"en": "[[TO BE FILLED IN: ", "zh": "【待填写："}
EVERYTHING = Counted(
    at_us=T0_US, subjects_all=100_000_000, minors=1, subjects_eu=1, records=7, categories=frozenset({"health"}),
    facts=frozenset({"crime_suspected", "harm", "high_risk", "product_vulnerability"}),
)  # fmt: skip
WRITTEN = {name: Text(f"words for {name}", f"{name} 的内容") for name in WRITTEN_BY_PEOPLE}
IDS = [one.law_id for one in REGISTER.laws]


def _known(**texts: Text) -> Breach:
    discovery = Discovery(at_us=T0_US, set_by="li.wei", why="alert")
    return Breach(discovery=discovery, counted=[EVERYTHING], texts=texts)


def _duty(law_id: str, breach: Breach, hours: int = 1) -> tuple[Duty, Clock]:
    clock = clock_at(REGISTER, OperatorProfile(), breach, T0_US + hours * HOUR_US)
    return next(one for one in clock.duties if one.law.law_id == law_id), clock


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("law_id", IDS)
def test_every_item_stands_in_the_draft_and_blanks_are_counted(law_id: str, language: str) -> None:
    breach = _known()
    duty, clock = _duty(law_id, breach)
    text = draft(duty, clock, breach, language)
    for item in duty.law.content:
        assert f". {item.text.in_language(language)}" in text
        for name in item.fields:
            assert f"- {FIELDS[name].label.in_language(language)}" in text
    counted = re.search(r"To be filled in: (\d+)\." if language == "en" else r"待填写：(\d+) 项。", text)
    assert counted is not None
    assert int(counted[1]) == text.count(BLANK[language]) > 0


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("law_id", IDS)
def test_with_everything_written_nothing_is_left_to_fill_in(law_id: str, language: str) -> None:
    breach = _known(**WRITTEN)
    duty, clock = _duty(law_id, breach)
    assert BLANK[language] not in draft(duty, clock, breach, language)


def test_what_is_written_in_one_language_only_is_missing_in_the_other() -> None:
    breach = _known(**{**WRITTEN, "cause": Text("a lost key", "")})
    duty, clock = _duty("cn-pipl-57-individuals", breach)
    assert BLANK["zh"] in draft(duty, clock, breach, "zh")
    assert "a lost key" in draft(duty, clock, breach, "en")


def test_what_is_unconfirmed_says_so() -> None:
    breach = _known()
    for law in REGISTER.laws:
        duty, clock = _duty(law.law_id, breach)
        assert ("legal basis is unconfirmed" in draft(duty, clock, breach, "en")) == (not law.confirmed)
        assert ("依据未经核对" in draft(duty, clock, breach, "zh")) == (not law.confirmed)


def test_reasons_for_a_delay_are_asked_for_only_when_it_is_late() -> None:
    breach = _known()
    for hours, late in ((72, False), (73, True)):
        duty, clock = _duty("eu-gdpr-33", breach, hours)
        assert ("[[TO BE FILLED IN: why it is late" in draft(duty, clock, breach, "en")) == late


@pytest.mark.parametrize("identifier", ["13812341234", "11010519491231002X", "li.wei@example.com"])
def test_identifiers_in_what_people_write_are_masked(identifier: str) -> None:
    for name in sorted(WRITTEN_BY_PEOPLE - {"contact", "dpo_contact"}):
        written = checked_texts({name: Text(f"see {identifier} there", f"见 {identifier}。")})[name]
        assert identifier not in written.en + written.zh
    breach = _known(cause=Text(identifier, identifier))
    for language in LANGUAGES:
        duty, clock = _duty("cn-pipl-57-individuals", breach)
        assert identifier not in draft(duty, clock, breach, language)


def test_a_contact_stays_readable() -> None:
    assert checked_texts({"contact": Text("13812341234", "13812341234")})["contact"].zh == "13812341234"


@given(st.text(max_size=200))
def test_no_text_poses_as_a_heading_or_another_entry(text: str) -> None:
    breach = _known(cause=Text(text, text))
    duty, clock = _duty("cn-pipl-57-individuals", breach)
    assert draft(duty, clock, breach, "en").count("\n## ") == len(duty.law.content)


def test_who_set_the_time_is_not_told_to_outsiders() -> None:
    breach = _known(**WRITTEN)
    for law_id in IDS:
        duty, clock = _duty(law_id, breach)
        assert "li.wei" not in draft(duty, clock, breach, "en")


def test_what_cannot_be_drafted() -> None:
    breach = _known()
    duty, clock = _duty("eu-gdpr-33", breach)
    with pytest.raises(UsageError, match="en or zh"):
        draft(duty, clock, breach, "de")
    for texts in ({"subjects": Text("1", "1")}, {"cause": Text("x" * 4001, "")}):
        with pytest.raises(UsageError):
            draft(duty, clock, replace(breach, texts=texts), "en")
