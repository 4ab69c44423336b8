"""The audit report as PDF: blocks laid out by typst, Chinese type from a wheel, nothing of the operating system.

Adapter of vendor typst 0.15 (its wheel holds the compiler) and pylopdf-fonts-zh-cn 0.1 (Noto Sans SC, SIL OFL 1.1),
both of the optional extra `report`. The template is constant; the blocks go in as one JSON value and every text is set
as text, so that nothing in a report is ever read as markup. Date and identity follow from the report alone: equal
reports give equal bytes. The compiler sees no file but the fonts and reaches no network: the template imports nothing.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.audit.report_blocks import Block, Code, Heading, Listed, Paragraph, Table
from pipeline.errors import UsageError
from pipeline.notifications.text import plain

_TEMPLATE = r"""
#let report = json(bytes(sys.inputs.report))
#let at = report.made
#set document(title: report.title, date: datetime(
  year: at.at(0), month: at.at(1), day: at.at(2), hour: at.at(3), minute: at.at(4), second: at.at(5)))
#set page(paper: "a4", flipped: true, margin: 15mm, numbering: "1 / 1", footer: context {
  set text(size: 7pt)
  text(report.title)
  h(1fr)
  counter(page).display("1 / 1", both: true)
})
#set text(font: "Noto Sans SC", size: 8.5pt, lang: report.language)
#set table(stroke: 0.4pt + luma(180), inset: 3pt)
#show table: set text(size: 7pt)
#show raw: set text(size: 7pt)
#show table: set par(justify: false)
#let breakable(it) = { show regex("[!-~]{14}"): run => run + sym.zws; text(it) }
#for block in report.blocks {
  if block.kind == "Heading" { heading(level: block.level, text(block.text)) }
  else if block.kind == "Paragraph" { par(text(block.text)) }
  else if block.kind == "Listed" { list(..block.points.map(one => text(one))) }
  else if block.kind == "Code" { raw(block.text, block: true, lang: "sql") }
  else {
    table(columns: block.head.len(),
      table.header(..block.head.map(one => table.cell(fill: luma(235), strong(breakable(one))))),
      ..block.rows.flatten().map(one => breakable(one)))
    if block.source != "" { text(size: 6.5pt, fill: luma(90), block.source) }
  }
}
"""


def pdf_of(blocks: Iterable[Block], made_us: int, language: str) -> bytes:
    """The report's pages. Raises: UsageError: the extra `report` is not installed."""
    typst, fonts = _vendors()
    laid_out = [_plain_block(block) for block in blocks]
    title = next(block["text"] for block in laid_out if block["kind"] == "Heading")
    made = datetime.fromtimestamp(made_us // 1_000_000, UTC)
    document = {
        "title": title, "language": language, "blocks": laid_out,
        "made": [made.year, made.month, made.day, made.hour, made.minute, made.second],
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="accesstrail-report-") as empty:
        found = typst.compile(
            _TEMPLATE.encode(), root=empty, font_paths=[fonts], ignore_system_fonts=True,
            sys_inputs={"report": json.dumps(document, ensure_ascii=False)},
        )  # fmt: skip
    assert isinstance(found, bytes)  # noqa: S101  one document, in memory
    return found


def _vendors() -> tuple[Any, str]:
    """The compiler, and the folder of the fonts."""
    try:
        typst, fonts = importlib.import_module("typst"), importlib.import_module("pylopdf_fonts_zh_cn")
    except ImportError:
        raise UsageError(
            "PDF needs the extra `report`: pip install 'accesstrail[report]'", code="extra_missing"
        ) from None
    return typst, str(Path(fonts.sans_path()).parent)


def _plain_block(block: Block) -> dict[str, Any]:
    """A block with every text made harmless: one visible line; code keeps its lines."""
    kind = type(block).__name__
    if isinstance(block, Table):
        return {
            "kind": kind, "head": [plain(one) for one in block.head], "source": plain(block.source),
            "rows": [[plain(one) for one in row] for row in block.rows],
        }  # fmt: skip
    if isinstance(block, Listed):
        return {"kind": kind, "points": [plain(one) for one in block.points]}
    if isinstance(block, Code):
        return {"kind": kind, **asdict(block)}
    assert isinstance(block, Heading | Paragraph)  # noqa: S101  there is no other block
    return {"kind": kind, **asdict(block), "text": plain(block.text)}
