"""Laws, controls and the statements that are their evidence: what each control serves and what shows that it holds.

Place in the flow: read by `register_reading.py` from the files in `register/`, judged here from the answers of
`adapters/audit_reading.py`, told in the audit report and in docs/reference/controls.md. Pure. Nothing here is legal
advice: what was not read in a source says so wherever it appears.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from pipeline.breach.model import Text

COVERED, PARTLY, GAP, MANUAL, NO_CASES = "covered", "partly", "gap", "manual", "no_cases"
KINDS = (COVERED, PARTLY, GAP, MANUAL)
RESULTS: Mapping[str, Text] = {
    COVERED: Text("covered by evidence", "证据覆盖"),
    PARTLY: Text("partly", "部分覆盖"),
    GAP: Text("gap", "缺口"),
    MANUAL: Text("people show it", "需人工证明"),
    NO_CASES: Text("nothing of the kind happened", "期间内未发生"),
}
"""What a control comes to, and its words."""

COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Article:
    """One article of a law, in our own words. `confirmed`: number and content were read in the law's source."""

    number: str
    summary: Text
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Law:
    """One law or standard. `in_force_confirmed`: the date was read in a source."""

    law_id: str
    jurisdiction: str
    name: Text
    in_force_from: date
    in_force_confirmed: bool
    source: str
    articles: Mapping[str, Article]


@dataclass(frozen=True, slots=True)
class EvidenceQuery:
    """A statement on public views with typed parameters. `columns`: what it answers, in order, with their words."""

    name: str
    about: Text
    sql: str
    columns: Mapping[str, Text]
    parameters: frozenset[str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column of a query's one row compared with a whole number."""

    column: str
    sign: str
    value: int

    def holds(self, row: Mapping[str, int]) -> bool:
        """Whether it does."""
        return COMPARISONS[self.sign](row[self.column], self.value)


Rule = tuple[Comparison, ...]
"""All of them must hold; no comparison at all: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control. `serves`: law and number of articles. `person`: what people must do or show besides."""

    control_id: str
    title: Text
    serves: tuple[tuple[str, str], ...]
    kind: str
    query: str = ""
    no_cases: Rule = ()
    covered: Rule = ()
    partly: Rule = ()
    person: Text


@dataclass(frozen=True, slots=True)
class ControlRegister:
    """All of one version. `version`: SHA-256 of the files' contents, hex."""

    version: str
    laws: Mapping[str, Law]
    controls: tuple[Control, ...]
    queries: Mapping[str, EvidenceQuery]

    def unconfirmed(self, control: Control) -> tuple[tuple[str, str], ...]:
        """The articles it serves whose number or content was not read in a source."""
        return tuple((law, number) for law, number in control.serves if not self.laws[law].articles[number].confirmed)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedControls:
    """What the controls came to in a period, by id; times UTC microseconds. `results`: words of RESULTS.

    `figures`: the numbers that say so, by query. `unanswered`: queries that took too long for somebody who waits; the
    controls that need them have no result.
    """

    from_us: int
    to_us: int
    results: Mapping[str, str]
    figures: Mapping[str, Mapping[str, int]]
    unanswered: tuple[str, ...] = ()


def holds(rule: Rule, row: Mapping[str, int]) -> bool:
    """Whether a rule is there and all of it holds."""
    return bool(rule) and all(one.holds(row) for one in rule)


def judge(control: Control, row: Mapping[str, int] | None) -> str:
    """What a control comes to by its query's one row: a word of RESULTS.

    Where a part of it is shown by people only, evidence never makes it more than partly. `row` None: there is none, as
    of a control without a query.

    >>> say = Text("", "")
    >>> one = Control(control_id="c", title=say, serves=(), kind=COVERED, query="q", person=say,
    ...               covered=(Comparison("holes", "=", 0),))
    >>> judge(one, {"holes": 0}), judge(one, {"holes": 1})
    ('covered', 'gap')
    """
    if control.kind in (MANUAL, GAP):
        return control.kind
    if row is None:
        return GAP
    if holds(control.no_cases, row):
        return NO_CASES
    if holds(control.covered, row):
        return PARTLY if control.kind == PARTLY else COVERED
    return PARTLY if holds(control.partly, row) else GAP
