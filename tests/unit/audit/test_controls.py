"""The register of controls: what is shipped is whole and honest; what is wrong is refused, all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.audit.controls import (
    COVERED,
    GAP,
    MANUAL,
    NO_CASES,
    PARTLY,
    RESULTS,
    Comparison,
    Control,
    Rule,
    judge,
)
from pipeline.audit.register_reading import FILES, FOLDER, parse_controls, read_controls, version_of
from pipeline.breach.model import Text
from pipeline.errors import ConfigError

SHIPPED = read_controls()
TEXTS = {name: (FOLDER / name).read_text(encoding="utf-8") for name in FILES}
SAY = Text("words", "词")


def changed(name: str, old: str, new: str) -> dict[str, str]:
    assert old in TEXTS[name]
    return TEXTS | {name: TEXTS[name].replace(old, new, 1)}


def faults(texts: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_controls(texts)
    return "\n".join(caught.value.faults)


def control(kind: str, *, covered: Rule = (), partly: Rule = (), no_cases: Rule = ()) -> Control:
    return Control(
        control_id="one", title=SAY, serves=(("cn-pipl", "51"),), kind=kind, query="q", person=SAY, covered=covered,
        partly=partly, no_cases=no_cases,
    )  # fmt: skip


# -- what is shipped


def test_the_register_has_the_laws_that_were_asked_for_and_says_which_articles_were_not_read() -> None:
    assert {"cn-pipl", "cn-csl", "cn-dsl", "cn-ndr", "cn-min", "cn-irm", "cn-mlps", "eu-gdpr"} <= set(SHIPPED.laws)
    assert str(SHIPPED.laws["cn-csl"].in_force_from) == "2026-01-01"
    assert "23(3)" in SHIPPED.laws["cn-csl"].articles, "numbers of the amended law, not 21(3)"
    assert not any(one.confirmed for one in SHIPPED.laws["cn-mlps"].articles.values()), "read in secondary copies only"
    assert {number for number, one in SHIPPED.laws["eu-gdpr"].articles.items() if one.confirmed} == {"33"}


def test_some_controls_are_said_to_be_gaps_or_work_of_people() -> None:
    kinds = {kind: [one.control_id for one in SHIPPED.controls if one.kind == kind] for kind in (GAP, MANUAL, PARTLY)}
    assert all(kinds.values())
    assert 25 <= len(SHIPPED.controls) <= 40
    assert len(kinds[MANUAL]) > 5


def test_every_statement_is_used_by_a_control_or_told_by_the_report() -> None:
    used = {one.query for one in SHIPPED.controls if one.query}
    assert used <= set(SHIPPED.queries)


# -- judging


def test_a_control_is_judged_in_order_nothing_of_the_kind_covered_partly_gap() -> None:
    one = control(
        COVERED, no_cases=(Comparison("n", "=", 0),), covered=(Comparison("bad", "=", 0),),
        partly=(Comparison("bad", "<", 5), Comparison("n", ">", 1)),
    )  # fmt: skip
    assert judge(one, {"n": 0, "bad": 9}) == NO_CASES
    assert judge(one, {"n": 9, "bad": 0}) == COVERED
    assert judge(one, {"n": 9, "bad": 4}) == PARTLY
    assert judge(one, {"n": 1, "bad": 4}) == GAP
    assert judge(one, {"n": 9, "bad": 5}) == GAP
    assert judge(one, None) == GAP


def test_what_people_must_show_is_never_covered_by_evidence() -> None:
    always = (Comparison("n", ">=", 0),)
    assert judge(control(PARTLY, covered=always), {"n": 1}) == PARTLY
    assert judge(control(MANUAL), {"n": 1}) == MANUAL
    assert judge(control(GAP), {"n": 1}) == GAP
    assert set(RESULTS) == {COVERED, PARTLY, GAP, MANUAL, NO_CASES}


def test_without_a_rule_nothing_is_covered() -> None:
    assert judge(control(COVERED), {"n": 1}) == GAP


# -- reading


def test_the_version_follows_the_contents_and_their_order() -> None:
    assert SHIPPED.version == version_of(TEXTS)
    assert version_of(TEXTS | {"laws.toml": TEXTS["laws.toml"] + "\n"}) != SHIPPED.version
    a, b, c = FILES
    assert version_of({a: "xy", b: "", c: ""}) != version_of({a: "x", b: "y", c: ""})


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("laws.toml", "format = 1", "format = 2", "laws.toml: format must be 1"),
        ("laws.toml", "format = 1", "format = [", "laws.toml: is no TOML"),
        ("laws.toml", 'id = "cn-dsl"', 'id = "cn-pipl"', "law cn-pipl: is there twice"),
        ("laws.toml", "in_force_from = 2021-11-01", 'in_force_from = "2021"', "in_force_from: must be a date"),
        ("laws.toml", "in_force_confirmed = true", 'in_force_confirmed = "yes"', "must be true or false"),
        ("laws.toml", 'jurisdiction = "CN"', 'jurisdiction = "CN"\nstatus = "old"', "unknown status"),
        ("laws.toml", 'zh = "中华人民共和国个人信息保护法"', 'zh = "PIPL"', "law cn-pipl zh: is no Chinese"),
        ("controls.toml", '"cn-csl:23(3)"', '"cn-csl:21(3)"', "there is no article cn-csl:21(3)"),
        ("controls.toml", 'kind = "covered"', 'kind = "good"', "control log-complete kind: must be one of"),
        ("controls.toml", 'query = "evidence"', 'query = "evidenze"', "there is no query evidenze"),
        ("controls.toml", "holes = 0 and", "hole = 0 and", "the query has no column hole"),
        ("controls.toml", "holes = 0 and", "holes == 0 and", "no comparison of columns with whole numbers"),
        ("controls.toml", 'kind = "manual"', 'kind = "manual"\nquery = "evidence"', "manual has no evidence"),
        ("controls.toml", 'id = "log-scored"', 'id = "log-complete"', "control log-complete: is there twice"),
        ("controls.toml", 'id = "log-scored"', 'id = "Log scored"', "an id has small letters, digits and dashes"),
        ("queries.toml", "FROM accesstrail.ledger", "FROM accesstrail_raw.ledger", "which is no view of accesstrail"),
        ("queries.toml", "FROM accesstrail.ledger", "FROM url('x')", "which is no view of accesstrail"),
        ("queries.toml", "{topic:String}", "{topic:Int64}", "or of another type: topic"),
        ("queries.toml", "{topic:String}", "{table:Identifier}", "or of another type: table"),
        ("queries.toml", "SELECT topic", "INSERT topic", "must be one SELECT"),
        ("queries.toml", "SELECT topic", "SELECT 1; SELECT topic", "must be one SELECT"),
        ("queries.toml", 'topic = ["topic", "主题"]', 'topic = ["topic"]', "an English and a Chinese word"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_place(name: str, old: str, new: str, said: str) -> None:
    assert said in faults(changed(name, old, new))


def test_all_faults_are_told_at_once() -> None:
    wrong = changed("controls.toml", 'kind = "covered"', 'kind = "good"')
    wrong |= {"laws.toml": TEXTS["laws.toml"].replace('jurisdiction = "CN"', "", 1)}
    wrong |= {"queries.toml": TEXTS["queries.toml"].replace("format = 1", "format = 3", 1)}
    told = faults(wrong)
    assert "must be one of" in told
    assert "missing jurisdiction" in told
    assert "queries.toml: format" in told


def test_a_folder_that_cannot_be_read_is_told_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "laws.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError) as caught:
        read_controls(tmp_path)
    assert len(caught.value.faults) == 3
    assert "laws.toml is not UTF-8 text" in caught.value.faults[0]
