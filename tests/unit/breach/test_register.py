"""The register of laws: what is shipped is whole and says what is unconfirmed; what is wrong is refused, all of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.breach.fields import FIELDS
from pipeline.breach.model import FACT_WORDS, FACTS, Counted, OperatorProfile
from pipeline.breach.register import HOUR_US, grade_in, parse_register, read_register, scales_for
from pipeline.errors import ConfigError

SHIPPED = read_register()
DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[3] / "pipeline" / "breach" / "laws.json").read_text(encoding="utf-8")
)


def test_the_hours_that_were_read_in_the_law() -> None:
    hours = {one.law_id: one.deadline_us // HOUR_US for one in SHIPPED.laws if one.deadline_us is not None}
    assert hours == {
        "cn-irm-4-cii": 1, "cn-irm-4-organ": 2, "cn-irm-4-other": 4, "cn-irm-8-closing": 720, "eu-gdpr-33": 72,
        "cn-ndr-10-vulnerability": 24,
    }  # fmt: skip


def test_what_was_not_read_stays_unconfirmed() -> None:
    assert {one.law_id for one in SHIPPED.laws if not one.confirmed} == {"eu-gdpr-34", "cn-ndr-10-vulnerability"}
    irm = SHIPPED.law("cn-irm-4-other")
    assert irm is not None
    assert [one.confirmed for one in irm.content] == [True, True, *[False] * 6]
    dated = {one.instrument.en.split(" ")[0] for one in SHIPPED.laws if not one.in_force_confirmed}
    assert dated == {"Measures", "General"}, "dates of the IRM and the GDPR were not read"


def test_every_law_has_a_source_and_a_field_for_every_item() -> None:
    assert all(one.source and one.content for one in SHIPPED.laws)
    used = {name for law in SHIPPED.laws for item in law.content for name in item.fields}
    assert used == set(FIELDS), "a field that no law asks for"
    assert set(FACT_WORDS) == set(FACTS)


@pytest.mark.parametrize(
    ("subjects", "grade"),
    [
        (999_999, None),
        (1_000_000, "larger"),
        (9_999_999, "larger"),
        (10_000_000, "major"),
        (100_000_000, "extraordinary"),
    ],
)
def test_thresholds_include_their_number(subjects: int, grade: str | None) -> None:
    found = grade_in(SHIPPED.scale("cn-irm"), Counted(at_us=0, subjects_all=subjects))
    assert (found.grade if found else None) == grade


def test_sensitive_information_is_graded_apart_in_the_sector_that_does_so() -> None:
    sensitive = Counted(at_us=0, subjects_all=1_000_000, subjects_sensitive=1_000_000)
    found = grade_in(SHIPPED.scale("cn-miit"), sensitive)
    assert found is not None
    assert found.grade == "major"
    assert [one.scale for one in scales_for(SHIPPED, OperatorProfile())] == ["cn-irm"]
    miit = OperatorProfile(sectors=frozenset({"miit"}))
    assert [one.scale for one in scales_for(SHIPPED, miit)] == ["cn-irm", "cn-miit"]


def test_a_person_may_grade_higher_than_the_counts() -> None:
    found = grade_in(SHIPPED.scale("cn-irm"), Counted(at_us=0, facts=frozenset({"graded_major"})))
    assert found is not None
    assert found.grade == "major"


def _set(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("format", to=2), "format must be 1"),
        (_set("more", to=1), "unknown more"),
        (_set("laws", 0, "more", to=1), "unknown more"),
        (_set("laws", 0, "applies_when", "operator", to="cii"), "unknown operator"),
        (_set("laws", 0, "applies_when", "facts", to=["x"]), "must be one of crime_suspected"),
        (_set("laws", 0, "deadline", to="soon"), "deadline must be whole hours"),
        (_set("laws", 0, "deadline", to=True), "deadline must be whole hours"),
        (_set("laws", 0, "deadline", to=0), "deadline must be whole hours"),
        (_set("laws", 0, "in_force_from", to="2025-13-01"), "in_force_from must be a date"),
        (_set("laws", 0, "confirmed", to="yes"), "what is confirmed must be true or false"),
        (_set("laws", 0, "source", to=" "), "a text is missing"),
        (_set("laws", 0, "recipient", "zh", to="nobody"), "both languages are needed"),
        (_set("laws", 0, "content", 0, "fields", to=["name_of_person"]), "must be one of"),
        (_set("laws", 0, "content", to=[]), "a notice without content"),
        (_set("laws", 1, "id", to="cn-irm-4-cii"), "cn-irm-4-cii is there twice"),
        (_set("laws", 0, "applies_when", "grade", "scale", to="other"), "there is no grade larger of other"),
        (_set("laws", 0, "applies_when", "grade", "scale", to="cn-miit"), "there is no grade larger of cn-miit"),
        (_set("grades", 0, "steps", 1, "any_of", to={"subjects_all": 1_000_000}), "must be above those of larger"),
        (_set("grades", 0, "steps", 1, "any_of", to={"subjects": 1}), "thresholds are whole numbers"),
        (_set("laws", to={}), "must be a list"),
    ],
)
def test_what_is_wrong_is_refused_and_named(change: Callable[[dict[str, Any]], None], words: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    with pytest.raises(ConfigError) as caught:
        parse_register(json.dumps(document))
    assert any(words in fault for fault in caught.value.faults), caught.value.faults


def test_every_fault_is_said_at_once() -> None:
    document = copy.deepcopy(DOCUMENT)
    _set("laws", 0, "confirmed", to=1)(document)
    _set("laws", 1, "deadline", to=-1)(document)
    with pytest.raises(ConfigError) as caught:
        parse_register(json.dumps(document))
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 100_000])
def test_what_is_no_register_at_all(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_register(text)


def test_a_file_that_is_missing_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "laws.json").write_bytes(b"\xff\xfe")
    for name in ("laws.json", "none.json"):
        with pytest.raises(ConfigError):
            read_register(tmp_path / name)
