"""A rule as typed data: what it detects, its predicate, what to do when it holds, and the cases that it must pass.

Place in the flow: inside `assess`. A rule reads the batch's arrays and features, nothing else, so the same batch under
the same version gives the same floors. Floors are maxima, rules never add up. Whatever its predicate says, a rule is
silent on events that are not judged and on work that its `excuse` names: no rule has to remember that by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from detectors.base import F32, U16, EventArrays, Reason
from detectors.rules.facts import Facts, Mask, all_of

LOWEST_FLOOR, HIGHEST_FLOOR = 7500, 9500
CASES_OF_EACH_SORT = 3

Excuse = Literal["work", "approval", "nothing"]
"""What silences a rule: `work`: a covering work item or an approval; `approval` alone; or `nothing`."""


class Text(NamedTuple):
    """One text in both languages."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Runbook:
    """What a responder does: what to check, how to contain, whom to ask."""

    check: Text
    contain: Text
    ask: Text


@dataclass(frozen=True, slots=True)
class Case:
    """One case in words. `event`: fields of the arrays, codes as words; `seen`: features in their own units."""

    text: str
    event: Mapping[str, str | float]
    seen: Mapping[str, float]


def case(text: str, seen: Mapping[str, float] | None = None, **event: str | float) -> Case:
    """A case, as the rules' files write it: what it is, then what differs from the base."""
    return Case(text, event, seen or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """A base event and what differs from it: where the rule holds, where it does not, and its innocent look-alikes."""

    base: Case
    holds: tuple[Case, ...]
    silent: tuple[Case, ...]
    look_alikes: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    `detects`: scenarios (D01–D32); `attack`: MITRE ATT&CK techniques; `insider`: Insider Threat Matrix ids;
    `articles`: ids of the law register, never prose. `floor`: hundredths of risk that an event gets at least;
    `severity`: that of an alert about data of sensitivity 2. `needs`: the data it lives on, and what it does without.
    """

    name: str
    detects: tuple[str, ...]
    attack: tuple[str, ...]
    insider: tuple[str, ...]
    articles: tuple[str, ...]
    floor: int
    severity: str
    excuse: Excuse
    title: Text
    next_step: Text
    needs: Text
    runbook: Runbook
    holds: Callable[[Facts], Mask]
    cases: Cases

    @property
    def code(self) -> str:
        """Its reason code; part of the evidence."""
        return f"rule:{self.name}"

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """Its one reason in words."""
        return {
            self.code: Reason(
                code=self.code,
                title_en=self.title.en,
                title_zh=self.title.zh,
                next_step_en=self.next_step.en,
                next_step_zh=self.next_step.zh,
                articles=self.articles,
            )
        }

    def risk(self, events: EventArrays, features: F32, surprisals: F32) -> U16:
        """The floor where the rule holds, else 0; (n,). For all rules at once `floors_of` is cheaper."""
        return self.floors(Facts(events, features))

    def floors(self, facts: Facts) -> U16:
        """The floor where the rule holds, else 0; (n,)."""
        hit = all_of(self.holds(facts), facts.judged)
        if self.excuse != "nothing":
            hit = all_of(hit, facts.unapproved)
        if self.excuse == "work":
            hit = all_of(hit, facts.unexplained)
        return hit * np.uint16(self.floor)


def floors_of(rules: Sequence[Rule], events: EventArrays, features: F32) -> list[U16]:
    """Each rule's floors for the batch, (n,) each, in the rules' order; what rules share is computed once."""
    facts = Facts(events, features)
    return [rule.floors(facts) for rule in rules]
