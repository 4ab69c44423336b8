"""The audit report: equal facts give equal bytes, gaps are said plainly, and nothing that it quotes is markup."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline.audit.controls import RESULTS
from pipeline.audit.report import LISTED, canonical, document
from pipeline.audit.report_blocks import (
    Block,
    Code,
    Heading,
    Listed,
    Paragraph,
    Table,
    as_markdown,
    escaped,
    table,
)
from pipeline.audit.report_words import ReportWords
from pipeline.notifications.text import plain
from tests.audit_reports import REGISTER, Store, facts_of, full_store

HOSTILE = (
    "[click](javascript:alert(1))", "<script>alert(1)</script>", "`code`", "**bold** _it_", "a | b", "![x](http://e.c)",
    "http://evil.example", "www.evil.example", "a@b.example", "# head", "- point", "1. one", "> quote", "~~gone~~",
    "&lt;b&gt;", "line\nbreak", "\x1b[31mred", "\u202egnp.exe", "$x$", "\\", "---", "[ref]: http://x", "<!-- x -->",
)  # fmt: skip
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})


def text_of(blocks: list[Block]) -> str:
    return as_markdown(blocks)


def kinds(text: str) -> set[str]:
    def every(tokens: list[Token]) -> set[str]:
        return {one.type for one in tokens} | {kind for one in tokens for kind in every(one.children or [])}

    return every(MARKDOWN.parse(text))


def shown(text: str) -> str:
    """What a reader sees of a Markdown paragraph."""
    [inline] = [one for one in MARKDOWN.parse(text) if one.type == "inline"]
    return "".join(one.content for one in inline.children or [])


# -- machine form


def test_equal_facts_give_equal_bytes_and_each_part_has_its_hash() -> None:
    one, two = (canonical(document(facts_of(full_store()))) for _ in range(2))
    assert one == two
    told = json.loads(one)
    assert told["format"] == "accesstrail/audit-report/1"
    for name, part in told["parts"].items():
        content = json.dumps(part, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        assert hashlib.sha256(content).hexdigest() == told["sha256"][name]
    assert canonical(document(facts_of(full_store("other")))) != one


def test_every_statement_s_answer_is_in_exactly_one_part_with_its_text() -> None:
    told = document(facts_of(full_store()))
    places = [name for part in told["parts"].values() if isinstance(part, dict) for name in part]
    for name in REGISTER.queries:
        assert places.count(name) == 2, f"{name}: its answer, and its text among the statements"
    assert set(told["parts"]["statements"]) == set(REGISTER.queries)


def test_records_are_single_ones_and_no_counts() -> None:
    facts = facts_of(full_store(), accounts=[{"name": "a", "roles": "soc", "state": "active"}])
    assert facts.records == 1 + 1 + 1 + 2 + 1, "an incident, a change, a version set, two of the sample, a holder"
    assert facts_of(Store()).records == 0
    assert set(LISTED) <= set(REGISTER.queries)


def test_statements_are_given_what_they_ask_for_and_nothing_else() -> None:
    store = Store()
    facts_of(store)
    asked = dict(store.asked)
    assert set(asked) == set(REGISTER.queries)
    assert asked["sample"]["seed"] == "7"
    assert "seed" not in asked["activity"]


# -- words


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_tells_every_section_control_and_statement(language: str) -> None:
    blocks = ReportWords(facts_of(full_store()), language).blocks()
    assert [one.text.split(" ")[0] for one in blocks if isinstance(one, Heading) and one.level == 2] == [
        str(number) for number in range(1, 13)
    ]
    cells = [cell for one in blocks if isinstance(one, Table) for row in one.rows for cell in row]
    assert {one.control_id for one in REGISTER.controls} <= set(cells)
    assert {one.in_language(language) for one in RESULTS.values()} <= set(cells)
    code = [one.text for one in blocks if isinstance(one, Code)]
    assert all(any(one.sql in text for text in code) for one in REGISTER.queries.values())
    assert any("-- seed = 7" in text for text in code)
    for one in blocks:
        if isinstance(one, Table):
            assert all(len(row) == len(one.head) for row in one.rows)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({}, "no batch of this period"),
        ({"evidence": [{"batches": 8, "events": 1200}]}, "no offset missing or sealed twice"),
        ({"evidence": [{"batches": 8, "holes": 30}]}, "NOT COMPLETE: 30 offsets"),
        ({"evidence": [{"batches": 8, "gaps": 2, "missing_records": 70}]}, "70 records were gone"),
        ({"evidence": [{"batches": 8, "unscored": 5}]}, "5 events are stored without the score"),
        ({}, "No tree of this period has a signed checkpoint"),
        ({"checkpoint_totals": [{"trees": 2, "signed_trees": 1, "uncovered": 9}]}, "1 of 2 trees have one; 9 leaves"),
        ({"checkpoint_totals": [{"trees": 2, "signed_trees": 2}]}, "cover every leaf of all 2 trees"),
    ],
)
def test_what_is_not_complete_is_said(rows: dict[str, list[dict[str, int]]], said: str) -> None:
    blocks = ReportWords(facts_of(Store(**rows)), "en").blocks()
    assert any(said in one.text for one in blocks if isinstance(one, Paragraph))


def test_whole_tokens_stand_in_the_machine_form_only() -> None:
    facts = facts_of(full_store())
    text = text_of(ReportWords(facts, "en").blocks())
    assert "ab" * 16 not in text
    assert "ab" * 16 in canonical(document(facts)).decode()


# -- Markdown


@pytest.mark.parametrize("text", HOSTILE)
def test_what_others_wrote_is_shown_and_does_nothing(text: str) -> None:
    plain_kinds = kinds(text_of(ReportWords(facts_of(full_store("customer")), "en").blocks()))
    told = text_of(ReportWords(facts_of(full_store(text)), "en").blocks())
    assert kinds(told) == plain_kinds
    assert "<script" not in told.replace("\\<script", "")
    assert shown(escaped(text)).strip() == plain(text)


@given(st.text(max_size=60))
def test_any_text_is_one_paragraph_of_that_text(text: str) -> None:
    line = escaped(f"x {text} x")
    assert "\n" not in line
    assert kinds(line) <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}
    assert shown(line) == plain(f"x {text} x")


@given(st.lists(st.text(max_size=12), min_size=2, max_size=2))
def test_a_table_keeps_its_columns_whatever_stands_in_it(cells: list[str]) -> None:
    text = as_markdown([table(("a", "b"), [cells])])
    tokens = MARKDOWN.parse(text)
    assert sum(one.type == "td_open" for one in tokens) == 2
    assert sum(one.type == "tr_open" for one in tokens) == 2


def test_code_is_closed_by_its_own_fence_only() -> None:
    text = as_markdown([Code("SELECT '```'\n```\n# no heading"), Paragraph("after"), Listed(("one",))])
    assert "heading_open" not in kinds(text)
    assert re.search("^````sql$", text, re.MULTILINE)
