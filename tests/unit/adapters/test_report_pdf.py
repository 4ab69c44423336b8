"""The report's pages: equal reports give equal bytes, Chinese can be read back, and nothing in them is markup."""

from __future__ import annotations

import importlib
import io
import re
from typing import Any

import pypdf
import pytest

from pipeline.adapters.report_pdf import pdf_of
from pipeline.audit.report_blocks import Block, Code, Heading, Listed, Paragraph, table
from pipeline.audit.report_words import ReportWords
from pipeline.errors import UsageError
from tests.audit_reports import MADE_US, facts_of, full_store

HOSTILE = '#import "@preview/x:1.0.0": y #read("/etc/passwd") $x^2$ *b* _i_ `r` <l> @l // c /* = h'


def text_of(pdf: bytes) -> str:
    """All text of all pages; the marks where long words may break are none of it."""
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return "\n".join(page.extract_text() for page in pages).replace("\u200b", "")


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_same_report_has_the_same_bytes_and_is_dated_by_itself(language: str) -> None:
    one, two = (pdf_of(ReportWords(facts_of(full_store()), language).blocks(), MADE_US, language) for _ in range(2))
    assert one == two
    meta = pypdf.PdfReader(io.BytesIO(one)).metadata
    assert meta is not None
    assert [str(meta[name]) for name in ("/CreationDate", "/ModDate")] == ["D:20261003040600Z"] * 2
    assert pdf_of(ReportWords(facts_of(full_store()), language).blocks(), MADE_US + 1_000_000, language) != one


def test_chinese_can_be_read_back_from_the_pages() -> None:
    facts = facts_of(full_store("账务系统"))
    text = squeezed(text_of(pdf_of(ReportWords(facts, "zh").blocks(), MADE_US, "zh")))
    for words in ("个人信息访问审计报告", "本报告的局限", "账务系统", "需人工证明", "访问日志的每条记录均已存储并封存"):
        assert words in text


def test_every_letter_comes_from_a_font_inside_the_file() -> None:
    pdf: Any = pypdf.PdfReader(io.BytesIO(pdf_of([Heading(1, "审计"), Code("SELECT 1 -- 语句")], MADE_US, "zh")))
    fonts = [font.get_object() for page in pdf.pages for font in page["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        inner = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert {"/FontFile2", "/FontFile3"} & set(inner)


def test_what_others_wrote_is_set_as_text() -> None:
    blocks: list[Block] = [
        Heading(1, HOSTILE), Paragraph(HOSTILE), Listed((HOSTILE,)), table((HOSTILE,), [[HOSTILE]], HOSTILE),
        Code(HOSTILE),
    ]  # fmt: skip
    text = squeezed(text_of(pdf_of(blocks, MADE_US, "en")))
    assert text.count(squeezed(HOSTILE)) >= 6
    assert "root:" not in text


def test_characters_that_turn_or_steer_are_gone() -> None:
    text = text_of(pdf_of([Heading(1, "a"), Paragraph("gnp\u202eexe\x1b[31m")], MADE_US, "en"))
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"pip install 'accesstrail\[report\]'") as caught:
        pdf_of([Heading(1, "a")], MADE_US, "en")
    assert caught.value.code == "extra_missing"
