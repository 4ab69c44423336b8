"""What is known of a suspected breach: counts, when it was discovered, what people stated and decided.

Place in the flow: filled by the incident engine from its log and from the store; read by `clock.py` and `drafts.py`.
Counts only: who is concerned stays in the store, no identifier comes here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pipeline.errors import UsageError

OPERATORS = ("cii", "state_organ", "other")
"""Kinds of operator: of critical information infrastructure, state organ (and its units), everybody else."""
COUNTS = ("subjects_all", "subjects_sensitive", "minors", "subjects_eu", "records")
GRADES = ("larger", "major", "extraordinary")
"""From the lowest; 较大, 重大, 特别重大."""
STATED_GRADE = "graded_"
FACTS = (
    "crime_suspected", "harm", "high_risk", "product_vulnerability", *(STATED_GRADE + grade for grade in GRADES),
)  # fmt: skip
"""What only a person can state; once stated it stays stated. `graded_…`: a grade for another reason than counts."""
DONE, WAIVED = "done", "waived"
LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class Text:
    """One text in both languages."""

    en: str
    zh: str

    def in_language(self, language: str) -> str:
        """`en` or `zh`."""
        return self.zh if language == "zh" else self.en


COUNT_WORDS: Mapping[str, Text] = {
    "subjects_all": Text("persons", "涉及人数"),
    "subjects_sensitive": Text("persons with sensitive information", "涉及敏感个人信息人数"),
    "minors": Text("minors", "未成年人数"),
    "subjects_eu": Text("persons in the EU", "欧盟境内人数"),
    "records": Text("records", "记录数"),
}


FACT_WORDS: Mapping[str, Text] = {
    "crime_suspected": Text("a crime is suspected", "涉嫌犯罪"),
    "harm": Text("persons or organisations are harmed", "对个人、组织造成危害"),
    "high_risk": Text("the risk to the persons is high", "对个人的风险较高"),
    "product_vulnerability": Text("a product's vulnerability endangers the public", "产品漏洞危害公共利益"),
    "graded_larger": Text("it is graded larger for another reason", "因其他标准定为较大"),
    "graded_major": Text("it is graded major for another reason", "因其他标准定为重大"),
    "graded_extraordinary": Text("it is graded extraordinarily major for another reason", "因其他标准定为特别重大"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorProfile:
    """Who the operator is, from the configuration.

    `without_delay_hours`: the own target where a law says only "without delay"; it is shown as such, never as law.
    """

    operator: str = "other"
    jurisdictions: frozenset[str] = frozenset({"CN", "EU"})
    sectors: frozenset[str] = frozenset()
    without_delay_hours: int = 24

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise UsageError(f"the kind of operator must be one of {', '.join(OPERATORS)}")
        if self.without_delay_hours < 1:
            raise UsageError("the own target for 'without delay' must be an hour or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """T0: when it was discovered or learnt of (UTC µs), who says so and why; the most disputed field of a report."""

    at_us: int
    set_by: str
    why: str

    def __post_init__(self) -> None:
        if not self.set_by or not self.why.strip():
            raise UsageError("say who sets the time of discovery, and why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was counted by a moment (UTC µs): distinct subjects and records; `facts`: what was stated by then."""

    at_us: int
    subjects_all: int = 0
    subjects_sensitive: int = 0
    minors: int = 0
    subjects_eu: int = 0
    records: int = 0
    categories: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if any(self.count(name) < 0 for name in COUNTS):
            raise UsageError("a count cannot be less than 0")
        if self.facts - set(FACTS):
            raise UsageError(f"facts that can be stated are {', '.join(FACTS)}")

    def count(self, name: str) -> int:
        """One of `COUNTS`."""
        value: int = getattr(self, name)
        return value

    def grown(self, later: Counted) -> Counted:
        """What holds after a later count: the larger of each, so that a re-count never takes a duty away."""
        return Counted(
            at_us=max(self.at_us, later.at_us),
            categories=self.categories | later.categories,
            facts=self.facts | later.facts,
            **{name: max(self.count(name), later.count(name)) for name in COUNTS},
        )


def accumulated(counted: Iterable[Counted]) -> tuple[Counted, ...]:
    """The counts in order of time, each at least the one before. Raises: UsageError: there is none."""
    out: list[Counted] = []
    for one in sorted(counted, key=lambda each: each.at_us):
        out.append(out[-1].grown(one) if out else one)
    if not out:
        raise UsageError("nothing was counted yet: a breach needs a first count, also of 0")
    return tuple(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What people decided about one duty: done, or waived with a reason by two of them. `at_us`: UTC µs."""

    law_id: str
    kind: str
    at_us: int
    by: str
    reason: str
    second: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in (DONE, WAIVED):
            raise UsageError("a duty is done or waived")
        if not self.by or not 0 < len(self.reason.strip()) <= LONGEST_REASON:
            raise UsageError(f"say who decides, and why in 1 to {LONGEST_REASON:,} characters")
        if self.kind == WAIVED and (not self.second or self.second == self.by):
            raise UsageError("not telling a recipient takes two people: name a second account")


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """Everything the clock is computed from. `handling_ended_us`: None while it is being handled."""

    discovery: Discovery
    counted: Sequence[Counted]
    decisions: Sequence[Decision] = ()
    handling_ended_us: int | None = None
    texts: Mapping[str, Text] = field(default_factory=lambda: MappingProxyType({}))
