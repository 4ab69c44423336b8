"""A suspected breach as the incident's log tells it: what each step says, written and read back in one place.

Place in the flow: steps are `breach_step` commands of `access.incidents`, written by `accesstrail incidents breach`;
`breach_of` folds the log's rows into what the clock is computed from. Total: a step that is not understood changes
nothing here and stays in the log, where people read it. Times of steps are the log's, UTC microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.breach.fields import WRITTEN_BY_PEOPLE
from pipeline.breach.model import COUNTS, DONE, FACTS, WAIVED, Breach, Counted, Decision, Discovery, Text
from pipeline.errors import UsageError

SUSPECTED = "suspect_breach"
COUNTED, STATED, KNOWN_AT, PERIOD, TEXT = "counted", "stated", "known_at", "period", "text"
HANDLING_ENDED = "handling_ended"
STEPS = (COUNTED, STATED, KNOWN_AT, PERIOD, TEXT, HANDLING_ENDED, DONE, WAIVED)
"""`done` and `waived` are about one duty, the others about the whole."""
_PIECE = 256
"""Characters of one text of a command's detail; longer ones go as several."""
_MOST_PIECES = 32
_MOST_CATEGORIES = 32

DetailValue = bool | int | str | tuple[str, ...]
Detail = Mapping[str, DetailValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One accepted row of the log about the breach. `name`: a step's, or `suspect_breach`."""

    at_us: int
    name: str
    by: str
    why: str
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Period:
    """Accesses that are counted: from the first to the last moment, both included, UTC microseconds."""

    from_us: int
    to_us: int


# -- writing


def counted_detail(counts: Counted) -> Detail:
    """What a count tells; facts are stated apart, the time is the log's."""
    categories = tuple(sorted(one[:_PIECE] for one in counts.categories))[:_MOST_CATEGORIES]
    return {**{name: counts.count(name) for name in COUNTS}, "categories": categories}


def text_detail(name: str, text: Text) -> Detail:
    """A text of a notice. Raises: UsageError: it is too long."""
    found: dict[str, DetailValue] = {"field": name}
    for language, words in (("en", text.en), ("zh", text.zh)):
        pieces = tuple(words[start : start + _PIECE] for start in range(0, len(words), _PIECE))
        if len(pieces) > _MOST_PIECES:
            raise UsageError(f"a text of a notice has at most {_PIECE * _MOST_PIECES:,} characters")
        if pieces:
            found[language] = pieces
    return found


# -- reading


def breach_of(steps: Iterable[Step]) -> Breach | None:
    """The breach, None where none is suspected; steps in the order of the log."""
    breach: Breach | None = None
    for step in steps:
        if step.name in (SUSPECTED, KNOWN_AT):
            breach = _discovered(breach, step)
        elif breach is not None:
            breach = _with_step(breach, step)
    return breach


def period_of(steps: Iterable[Step]) -> Period | None:
    """The period that a person has named last, None: that of the incident's alerts."""
    found = None
    for step in steps:
        first, last = _whole(step.detail, "from_us"), _whole(step.detail, "to_us")
        if step.name == PERIOD and first is not None and last is not None and first <= last:
            found = Period(first, last)
    return found


def _discovered(breach: Breach | None, step: Step) -> Breach | None:
    """The first suspicion begins it; the time of discovery may be corrected, with a reason, and the log shows both."""
    at_us = _whole(step.detail, "known_at_us")
    if at_us is None or not step.by or not step.why.strip():
        return breach
    discovery = Discovery(at_us=at_us, set_by=step.by, why=step.why)
    if breach is None:
        return Breach(discovery=discovery, counted=()) if step.name == SUSPECTED else None
    return replace(breach, discovery=discovery) if step.name == KNOWN_AT else breach


def _with_step(breach: Breach, step: Step) -> Breach:
    if step.name == COUNTED:
        return replace(breach, counted=(*breach.counted, _counts(step)))
    if step.name == STATED and (fact := step.detail.get("fact")) in FACTS:
        return replace(breach, counted=(*breach.counted, Counted(at_us=step.at_us, facts=frozenset({str(fact)}))))
    if step.name == HANDLING_ENDED:
        return replace(breach, handling_ended_us=step.at_us)
    if step.name in (DONE, WAIVED) and (decision := _decision(step)) is not None:
        return replace(breach, decisions=(*breach.decisions, decision))
    if step.name == TEXT and (name := step.detail.get("field")) in WRITTEN_BY_PEOPLE:
        text = Text(_joined(step.detail, "en"), _joined(step.detail, "zh"))
        return replace(breach, texts={**breach.texts, str(name): text})
    return breach


def _counts(step: Step) -> Counted:
    numbers: dict[str, Any] = {name: _whole(step.detail, name) or 0 for name in COUNTS}
    return Counted(at_us=step.at_us, categories=frozenset(_texts(step.detail, "categories")), **numbers)


def _decision(step: Step) -> Decision | None:
    law, second = step.detail.get("law"), step.detail.get("second")
    try:
        return Decision(
            law_id=str(law or ""), kind=step.name, at_us=step.at_us, by=step.by, reason=step.why,
            second=str(second) if second else None,
        )  # fmt: skip
    except UsageError:
        return None


def _whole(detail: Mapping[str, object], name: str) -> int | None:
    value = detail.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _texts(detail: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = detail.get(name)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list | tuple) else ()


def _joined(detail: Mapping[str, object], name: str) -> str:
    return "".join(_texts(detail, name))
