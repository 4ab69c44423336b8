"""The overview's verdict: what is wrong now, as sentences; the gravest decides the colour. Pure.

Place in the flow: made from `ports.LiveFacts` for all viewers of a language at once. PgHero's lesson: the first page
says in words what is wrong (research: ecosystem, part D).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dashboards.console.ports import LiveFacts
from dashboards.console.words import Language, said
from pipeline.health.troubles import TROUBLES

Level = Literal["good", "warning", "bad"]
_LEVELS: tuple[Level, ...] = ("good", "warning", "bad")
SHOWN_SOURCES = 3
QUIET_US = 300_000_000
"""Nothing stored for so long is worth a word."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One finding, in the viewer's language, and where it leads ("": nowhere)."""

    level: Level
    text: str
    to: str = ""


def sentences(facts: LiveFacts, now_us: int, language: Language, *, sees_incidents: bool) -> Sequence[Sentence]:
    """What there is to say, in the order incidents, ingest, evidence, sources."""
    found = [*_of_incidents(facts, language)] if sees_incidents else []
    return [*found, *_of_ingest(facts, now_us, language), *_of_evidence(facts, language), _of_sources(facts, language)]


def level_of(found: Sequence[Sentence]) -> Level:
    """The gravest."""
    return max((one.level for one in found), key=_LEVELS.index, default="good")


def _of_incidents(facts: LiveFacts, language: Language) -> Iterator[Sentence]:
    total = sum(facts.open.values())
    if not total:
        yield Sentence("good", said("verdict.no_incidents", language))
        return
    critical = sum(count for (severity, _), count in facts.open.items() if severity == "critical")
    waiting = sum(count for (_, state), count in facts.open.items() if state == "open")
    if critical:
        yield Sentence("bad", said("verdict.critical", language, critical), "/incidents?severity=critical")
    others = total - critical
    if others:
        yield Sentence("warning", said("verdict.others", language, others), "/incidents")
    if waiting:
        yield Sentence(
            "bad" if critical else "warning", said("verdict.waiting", language, waiting), "/incidents?state=open"
        )


def _of_ingest(facts: LiveFacts, now_us: int, language: Language) -> Iterator[Sentence]:
    for code in dict.fromkeys(facts.problems):
        known = TROUBLES.get(code)
        text = said("verdict.problem", language, code)
        if known is not None:
            text = known.meaning_zh if language == "zh" else known.meaning
        yield Sentence("bad", text)
    if facts.problems:
        return
    if facts.stored_us and now_us - facts.stored_us > QUIET_US:
        minutes = (now_us - facts.stored_us) // 60_000_000
        yield Sentence("warning", said("verdict.quiet", language, minutes))
        return
    rate = facts.events_a_second
    yield Sentence(
        "good", said("verdict.healthy", language, f"{rate:,.0f}" if rate >= 1 or not rate else f"{rate:.1f}")
    )


def _of_evidence(facts: LiveFacts, language: Language) -> Iterator[Sentence]:
    """Only where something was changed: that nothing was is no news, and may be old."""
    if facts.changed:
        yield Sentence("bad", said("health.wrong.verification", language, f"{facts.changed:,}"), "/health")


def _of_sources(facts: LiveFacts, language: Language) -> Sentence:
    if not facts.silent:
        return Sentence("good", said("verdict.sources_ok", language))
    names = ("、" if language == "zh" else ", ").join(facts.silent[:SHOWN_SOURCES])
    more = "…" if len(facts.silent) > SHOWN_SOURCES else ""
    return Sentence("warning", said("verdict.silent", language, len(facts.silent), names + more))
