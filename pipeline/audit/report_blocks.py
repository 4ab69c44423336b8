"""A report as blocks of plain text, and as Markdown: the same blocks become pages in `adapters/report_pdf.py`.

Place in the flow: between `report_words.py` and the files. What a block holds is plain text, some of it written by
whoever was audited (resource types, purposes, reasons), so every renderer makes it harmless by itself: here each
character that CommonMark or GFM gives a meaning is escaped, and what steers a terminal or turns the direction of
writing is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.notifications.text import plain

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~&!()@$^=:+.-])")
_NUMBER_OR_TIME = re.compile(r"-?[0-9][0-9,.:TZ-]*%?").fullmatch


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the report's title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of points."""

    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; every row has a cell for every word of the head. `source`: the statements it comes from."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Text of our own, as it stands."""

    text: str


Block = Heading | Paragraph | Listed | Table | Code


def table(head: Iterable[str], rows: Iterable[Sequence[object]], source: str = "") -> Table:
    """A table of any values; what is None is a dash."""
    return Table(tuple(head), tuple(tuple("–" if one is None else str(one) for one in row) for row in rows), source)


def escaped(text: str) -> str:
    """Any text as Markdown that shows it and does nothing else; one line.

    >>> escaped("[x](http://y) <b>")
    '\\\\[x\\\\]\\\\(http：//y\\\\) \\\\<b\\\\>'
    """
    shown = plain(text)
    return shown if _NUMBER_OR_TIME(shown) else _MARKS.sub(r"\\\1", shown)


def as_markdown(blocks: Iterable[Block]) -> str:
    """The report as GitHub Flavored Markdown."""
    return "\n".join(line for block in blocks for line in (*_lines(block), ""))


def _lines(block: Block) -> list[str]:
    if isinstance(block, Heading):
        return ["#" * block.level + " " + escaped(block.text)]
    if isinstance(block, Paragraph):
        return [escaped(block.text)]
    if isinstance(block, Listed):
        return [f"- {escaped(one)}" for one in block.points]
    if isinstance(block, Code):
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", block.text)), default=0))
        return [f"{fence}sql", block.text, fence]
    lines = [_line(block.head), "|" + " --- |" * len(block.head), *(_line(row) for row in block.rows)]
    return [*lines, "", escaped(block.source)] if block.source else lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"
