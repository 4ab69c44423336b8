"""Templates to HTML: Jinja2 with escaping always on, words and times of the viewer, nothing inline.

Place in the flow: called by `guard.py` with a handler's `Page`, in the handler's thread. Templates get `t` (words),
`visit`, `me` (account or None), `csrf`, `notes`, and the page's values. Filters: `moment` (UTC µs to <time>), `risk`
(hundredths), `token` (shortened), `number` (digits in groups), `span` (how long), `own_reason` (a recorded
reason).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from dashboards.console.code_names import titled
from dashboards.console.visit import Page, Visit
from dashboards.console.words import TAGS, WORDS, Language, said
from pipeline.breach.model import COUNT_WORDS
from pipeline.health.troubles import explain
from pipeline.incidents.words import TRANSITIONS, VERDICTS, why_not, word
from pipeline.own_reasons import in_chinese
from pipeline.time_zones import zone_data

MENU = (
    ("/overview", "nav.overview", ""),
    ("/incidents", "nav.incidents", "read_incidents"),
    ("/search", "nav.search", "search_evidence"),
    ("/boards", "nav.boards", ""),
    ("/rules", "nav.models", "search_evidence"),
    ("/audit", "nav.audit", ""),
    ("/health", "nav.pipeline", "read_status"),
    ("/settings", "nav.settings", ""),
    ("/help", "nav.help", ""),
)
"""The main menu: path, key of the words, action of the matrix it takes ("": any account)."""
_SHOWN_TOKEN = 12
_WHOLE_FROM, _MOST_PLACES = 1_000, 9
_DAY_ZERO = date(1970, 1, 1)
_STATIC = Path(__file__).parent / "static"


@lru_cache(maxsize=128)
def zone_of(name: str) -> ZoneInfo:
    """A time zone by its IANA name, UTC where there is none of that name."""
    try:
        zone_data(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    return name == "UTC" or zone_of(name).key == name


@dataclass(frozen=True, slots=True)
class Rendered:
    """HTML and what its headers need."""

    html: str
    status: int
    language: Language


class Renderer:
    """Shared between threads: Jinja2's environment is."""

    def __init__(self) -> None:
        self._versions = {
            str(file.relative_to(_STATIC)): hashlib.sha256(file.read_bytes()).hexdigest()[:12]
            for file in _STATIC.rglob("*")
            if file.suffix in (".css", ".js", ".svg")
        }
        self._environment = Environment(
            loader=PackageLoader("dashboards.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "moment": _moment, "risk": _risk, "token": _token, "number": number_text, "day": _day, "span": _span,
            "date": _date, "own_reason": _own_reason,
        }  # fmt: skip

    def render(self, page: Page, visit: Visit) -> Rendered:
        """One page for one visit; notes that waited for it are taken."""
        session = visit.session
        notes = [] if visit.is_fragment or session is None else _taken(session.notes)
        values: dict[str, object] = {
            **page.values,
            "visit": visit,
            "me": visit.account,
            "t": partial(_said, visit.language),
            "either": partial(_either, visit.language),
            "say": partial(_say, visit.language),
            "term": partial(term, visit.language),
            "static": self._static,
            "word_of": partial(_word_of, visit.language),
            "coded": partial(_coded, visit.language),
            "trouble": partial(_trouble, visit.language),
            "title_of": partial(_title_of, visit.language),
            "count_words": tuple(COUNT_WORDS.items()),
            "menu": MENU,
            "lang": TAGS[visit.language],
            "csrf": session.csrf if session else "",
            "notes": notes,
        }
        template = "error_part.html" if page.template == "error.html" and visit.is_fragment else page.template
        html = self._environment.get_template(template).render(values)
        return Rendered(html, page.status, visit.language)

    def part(self, template: str, language: Language, values: Mapping[str, object]) -> str:
        """A part that is the same for every viewer of a language: no visit, no session."""
        given = {**values, "t": partial(_said, language), "either": partial(_either, language)}
        return self._environment.get_template(template).render(given)

    def _static(self, name: str) -> str:
        """Address of a file of the package, another one whenever its content is."""
        return f"/static/{name}?v={self._versions[name]}"


def _taken(notes: list[object]) -> list[object]:
    taken = notes[:]
    del notes[: len(taken)]
    return taken


def _said(language: Language, key: str, *values: object) -> Markup:
    """The words of a key; what is put into their places is escaped unless it is HTML of ours."""
    text = escape(said(key, language))
    return text.format(*values) if values else text


def _say(language: Language, text: str) -> str:
    """The words of a key, or the text itself where it is a sentence of the layer below."""
    return said(text, language) if text in WORDS else text


def _word_of(language: Language, kind: str, name: str) -> str:
    """The word of the incident engine for a name: a transition, a verdict, or why nothing changed."""
    if kind == "code":
        return why_not(name, language)
    return word(TRANSITIONS if kind == "transition" else VERDICTS, name, language)


def term(language: Language, kind: str, name: str) -> str:
    """The word for what an event or an incident says (`action`, `outcome`, `severity`, …); the name where none is."""
    key = f"{kind}.{name}"
    return said(key, language) if key in WORDS else name


def _coded(language: Language, kind: str, code: str) -> Markup:
    """The title of a code in the viewer's language, the code itself for whoever points at it."""
    return Markup('<span class="coded" title="{}">{}</span>').format(code, _title_of(language, kind, code))


def _trouble(language: Language, code: str) -> str:
    """What a code of an error means."""
    found = explain(code)
    return _either(language, found.meaning, found.meaning_zh)


def _title_of(language: Language, kind: str, code: str) -> str:
    """The same as plain text."""
    return _either(language, *titled(kind, code))


def _either(language: Language, english: str, chinese: str) -> str:
    return chinese if language == "zh" else english


@pass_context
def _moment(context: Context, at_us: int, seconds: bool = False) -> str | Markup:
    """A time of day in the viewer's zone, the exact instant in `datetime`; "–" for 0."""
    if not at_us:
        return "–"
    zone = zone_of(context["visit"].zone)
    at = datetime.fromtimestamp(at_us / 1e6, zone)
    # Day and time may stand below each other, but neither is broken.
    return Markup('<time datetime="{0}" title="{0}"><span>{1}</span> <span>{2}</span></time>').format(
        at.isoformat(timespec="seconds"), at.strftime("%Y-%m-%d"), at.strftime("%H:%M:%S" if seconds else "%H:%M")
    )  # fmt: skip


@pass_context
def _day(context: Context, at_us: int) -> str:
    zone = zone_of(context["visit"].zone)
    return datetime.fromtimestamp(at_us / 1e6, zone).strftime("%Y-%m-%d")


def _date(day: int) -> str:
    """A local day counted since 1970."""
    return (_DAY_ZERO + timedelta(days=day)).isoformat()


@pass_context
def _span(context: Context, span_us: int) -> str:
    return span_text(span_us, "zh" if context["lang"] == TAGS["zh"] else "en")


def span_text(span_us: float, language: Language) -> str:
    """How long, in its two largest units.

    >>> span_text(31.04 * 86_400e6, "en"), span_text(1.5 * 86_400e6, "en"), span_text(0.02 * 86_400e6, "zh")
    ('31 d', '1 d 12 h', '28 分钟')
    """
    minutes = int(max(0, span_us)) // 60_000_000
    if not minutes:
        return _either(language, "less than a minute", "不到 1 分钟")
    words = ("天", "小时", "分钟") if language == "zh" else ("d", "h", "min")
    parts = list(zip((minutes // 1440, minutes % 1440 // 60, minutes % 60), words, strict=True))
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {word}" for count, word in parts[first : first + 2] if count)


@pass_context
def _own_reason(context: Context, reason: str) -> str:
    """A reason as it was recorded; one that accesstrail wrote itself in the viewer's language."""
    return in_chinese(reason) if context["lang"] == TAGS["zh"] else reason


def _risk(hundredths: int) -> str:
    return f"{hundredths / 100:.0f}"


def number_text(value: float) -> str:
    """Digits in groups: whole from 1,000 on, below that four digits that count, never an exponent.

    >>> number_text(12_500.0), number_text(2**62), number_text(3.14159), number_text(0.000012), number_text(999.96)
    ('12,500', '4,611,686,018,427,387,904', '3.142', '0.000012', '1,000')
    """
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "–"
    if abs(value) >= _WHOLE_FROM or value == round(value):
        return f"{value:,.0f}"
    places = 3 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(places, _MOST_PLACES)}f}".rstrip("0").rstrip(".")


def _token(token: str) -> str | Markup:
    if not token:
        return "–"
    return Markup('<code class="token" title="{0}">{1}</code>').format(token, token[:_SHOWN_TOKEN])
