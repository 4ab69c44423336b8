"""The register of laws: who must be told, of what, until when; data with a version, a source and an in-force date.

Place in the flow: `laws.json` beside this file, read by `clock.py` and `drafts.py`. A law changes by a reviewed change
of that file, never of code. Every entry says whether its facts were read in a source (`confirmed`); what was not is
shown as unconfirmed wherever it appears. Nothing here is legal advice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pipeline.breach.fields import FIELDS
from pipeline.breach.model import COUNTS, FACTS, GRADES, OPERATORS, STATED_GRADE, Counted, OperatorProfile, Text
from pipeline.errors import ConfigError

FORMAT = 1
HOUR_US = 3_600_000_000
DISCOVERED, HANDLING_ENDED = "discovered", "handling_ended"
WITHOUT_DELAY = "without delay"
STAGES = ("initial", "closing")
AUDIENCES = ("authority", "individuals", "interested parties")

_PATH = Path(__file__).with_name("laws.json")
_LONGEST_HOURS = 24 * 366
_ID = re.compile(r"[a-z][a-z0-9-]{2,63}").fullmatch
_CHINESE = re.compile("[一-鿿]").search


@dataclass(frozen=True, slots=True)
class Item:
    """One thing a notice must hold; `fields`: names in `drafts.FIELDS` that fill it."""

    key: str
    text: Text
    fields: tuple[str, ...]
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Grade:
    """One step of a scale: reached where any of the counts reaches its threshold."""

    grade: str
    text: Text
    any_of: Mapping[str, int]
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale of grades, lowest first; `sectors` empty: for everybody."""

    scale: str
    text: Text
    sectors: frozenset[str]
    steps: tuple[Grade, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Condition:
    """When a law applies: all of what is set must hold."""

    operators: frozenset[str]
    sectors: frozenset[str]
    scale: str
    grade_from: str
    at_least: Mapping[str, int]
    facts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Law:
    """One duty to tell somebody. `deadline_us`: microseconds from what it is counted from, None: without delay.

    `confirmed`: deadline and recipient were read in a source; `in_force_confirmed`: so was the date.
    """

    law_id: str
    jurisdiction: str
    instrument: Text
    article: str
    stage: str
    audience: str
    recipient: Text
    deadline_us: int | None
    counted_from: str
    applies_when: Condition
    content: tuple[Item, ...]
    source: str
    in_force_from: date
    in_force_confirmed: bool
    confirmed: bool
    note: Text

    @property
    def in_force_from_us(self) -> int:
        """Beginning of the day, UTC µs."""
        return int(datetime.combine(self.in_force_from, datetime.min.time(), UTC).timestamp()) * 1_000_000


@dataclass(frozen=True, slots=True)
class Register:
    """All laws and scales of one version."""

    version: str
    scales: tuple[Scale, ...]
    laws: tuple[Law, ...]

    def law(self, law_id: str) -> Law | None:
        """The law of an id."""
        return next((one for one in self.laws if one.law_id == law_id), None)

    def scale(self, name: str) -> Scale:
        """The scale of a name; the parser has made sure that it is there."""
        return next(one for one in self.scales if one.scale == name)


def grade_in(scale: Scale, counts: Counted) -> Grade | None:
    """The highest grade that the counts reach, or that a person has stated."""
    reached = [
        one
        for one in scale.steps
        if STATED_GRADE + one.grade in counts.facts
        or any(counts.count(name) >= least for name, least in one.any_of.items())
    ]
    return reached[-1] if reached else None


def scales_for(register: Register, profile: OperatorProfile) -> tuple[Scale, ...]:
    """The scales that are for this operator."""
    return tuple(one for one in register.scales if not one.sectors or one.sectors & profile.sectors)


def read_register(path: Path = _PATH) -> Register:
    """The register that is shipped, or an operator's own file. Raises: ConfigError: every fault."""
    try:
        return parse_register(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError([f"law register {path} cannot be read: {exc.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"law register {path} is not UTF-8 text"]) from None


def parse_register(text: str) -> Register:
    """The register whose text this is; unknown keys are refused. Raises: ConfigError: every fault, with its place."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(["law register: is no JSON"]) from None
    reader = _Reader()
    register = reader.register(document)
    if not reader.faults:
        reader.faults.extend(_contradictions(register))
    if reader.faults:
        raise ConfigError([f"law register: {fault}" for fault in reader.faults])
    return register


class _Reader:
    """Takes typed values and collects every fault on the way; what is wrong is replaced by something harmless."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def register(self, document: object) -> Register:
        top = self._object(document, "top", {"format", "version", "grades", "laws"})
        if top.get("format") != FORMAT:
            self.faults.append(f"format must be {FORMAT}")
        scales = [self._scale(one, f"grades {n}") for n, one in enumerate(self._list(top.get("grades"), "grades"))]
        laws = [self._law(one, f"laws {n}") for n, one in enumerate(self._list(top.get("laws"), "laws"))]
        return Register(self._text(top.get("version"), "version"), tuple(scales), tuple(laws))

    def _scale(self, value: object, place: str) -> Scale:
        raw = self._object(value, place, {"scale", "en", "zh", "sectors", "source", "steps"})
        steps = [self._grade(one, f"{place} steps {n}") for n, one in enumerate(self._list(raw.get("steps"), place))]
        return Scale(
            self._id(raw.get("scale"), place), self._both({name: raw.get(name) for name in ("en", "zh")}, place),
            frozenset(self._texts(raw.get("sectors"), place)), tuple(steps), self._text(raw.get("source"), place),
        )  # fmt: skip

    def _grade(self, value: object, place: str) -> Grade:
        raw = self._object(value, place, {"grade", "en", "zh", "any_of", "confirmed"})
        return Grade(
            self._one_of(raw.get("grade"), GRADES, place),
            self._both({name: raw.get(name) for name in ("en", "zh")}, place),
            self._thresholds(raw.get("any_of"), place), self._flag(raw.get("confirmed"), place),
        )  # fmt: skip

    def _law(self, value: object, place: str) -> Law:
        names = {
            "id", "jurisdiction", "instrument", "article", "stage", "audience", "recipient", "deadline", "counted_from",
            "applies_when", "content", "source", "in_force_from", "in_force_confirmed", "confirmed", "note",
        }  # fmt: skip
        raw = self._object(value, place, names)
        law_id = self._id(raw.get("id"), place)
        place = law_id or place
        items = [self._item(one, f"{place} content {n}") for n, one in enumerate(self._list(raw.get("content"), place))]
        return Law(
            law_id=law_id,
            jurisdiction=self._text(raw.get("jurisdiction"), place),
            instrument=self._both(raw.get("instrument"), place),
            article=self._text(raw.get("article"), place),
            stage=self._one_of(raw.get("stage"), STAGES, place),
            audience=self._one_of(raw.get("audience"), AUDIENCES, place),
            recipient=self._both(raw.get("recipient"), place),
            deadline_us=self._deadline_us(raw.get("deadline"), place),
            counted_from=self._one_of(raw.get("counted_from"), (DISCOVERED, HANDLING_ENDED), place),
            applies_when=self._condition(raw.get("applies_when"), f"{place} applies_when"),
            content=tuple(items),
            source=self._text(raw.get("source"), place),
            in_force_from=self._date(raw.get("in_force_from"), place),
            in_force_confirmed=self._flag(raw.get("in_force_confirmed"), place),
            confirmed=self._flag(raw.get("confirmed"), place),
            note=self._both(raw.get("note"), place, empty_ok=True),
        )

    def _condition(self, value: object, place: str) -> Condition:
        raw = self._object(value, place, {"operators", "sectors", "grade", "at_least", "facts"}, optional=True)
        grade = raw.get("grade")
        scale, grade_from = "", ""
        if grade is not None:
            of_grade = self._object(grade, f"{place} grade", {"scale", "from"})
            scale = self._text(of_grade.get("scale"), place)
            grade_from = self._one_of(of_grade.get("from"), GRADES, place)
        return Condition(
            frozenset(self._known(raw.get("operators", []), OPERATORS, place)),
            frozenset(self._texts(raw.get("sectors", []), place)),
            scale, grade_from, self._thresholds(raw.get("at_least", {}), place),
            frozenset(self._known(raw.get("facts", []), FACTS, place)),
        )  # fmt: skip

    def _item(self, value: object, place: str) -> Item:
        raw = self._object(value, place, {"key", "en", "zh", "fields", "confirmed"})
        fields = tuple(self._known(raw.get("fields"), tuple(FIELDS), place))
        if not fields:
            self.faults.append(f"{place}: names no field")
        return Item(
            self._text(raw.get("key"), place), self._both({name: raw.get(name) for name in ("en", "zh")}, place),
            fields, self._flag(raw.get("confirmed"), place),
        )  # fmt: skip

    # -- values

    def _object(self, value: object, place: str, names: set[str], *, optional: bool = False) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.faults.append(f"{place}: must be an object")
            return {}
        unknown, missing = sorted(set(value) - names), [] if optional else sorted(names - set(value))
        if unknown:
            self.faults.append(f"{place}: unknown {', '.join(unknown)}")
        if missing:
            self.faults.append(f"{place}: missing {', '.join(missing)}")
        return value

    def _list(self, value: object, place: str) -> Sequence[object]:
        if isinstance(value, list):
            return value
        self.faults.append(f"{place}: must be a list")
        return []

    def _text(self, value: object, place: str, *, empty_ok: bool = False) -> str:
        if isinstance(value, str) and (value.strip() or empty_ok):
            return value
        self.faults.append(f"{place}: a text is missing")
        return ""

    def _texts(self, value: object, place: str) -> list[str]:
        return [self._text(one, place) for one in self._list(value, place)]

    def _known(self, value: object, known: Sequence[str], place: str) -> list[str]:
        return [self._one_of(one, known, place) for one in self._list(value, place)]

    def _one_of(self, value: object, known: Sequence[str], place: str) -> str:
        if isinstance(value, str) and value in known:
            return value
        self.faults.append(f"{place}: must be one of {', '.join(known)}")
        return known[0]

    def _id(self, value: object, place: str) -> str:
        if isinstance(value, str) and _ID(value):
            return value
        self.faults.append(f"{place}: an id has small letters, digits and dashes")
        return ""

    def _both(self, value: object, place: str, *, empty_ok: bool = False) -> Text:
        raw = self._object(value, place, {"en", "zh"})
        text = Text(*(self._text(raw.get(name), place, empty_ok=empty_ok) for name in ("en", "zh")))
        if (bool(text.en) != bool(text.zh)) or (text.zh and not _CHINESE(text.zh)):
            self.faults.append(f"{place}: both languages are needed")
        return text

    def _flag(self, value: object, place: str) -> bool:
        if not isinstance(value, bool):
            self.faults.append(f"{place}: what is confirmed must be true or false")
        return value is True

    def _thresholds(self, value: object, place: str) -> Mapping[str, int]:
        if isinstance(value, dict) and all(
            name in COUNTS and type(least) is int and least > 0 for name, least in value.items()
        ):
            return value
        self.faults.append(f"{place}: thresholds are whole numbers above 0 of {', '.join(COUNTS)}")
        return {}

    def _deadline_us(self, value: object, place: str) -> int | None:
        if value == WITHOUT_DELAY:
            return None
        if type(value) is int and 0 < value <= _LONGEST_HOURS:
            return value * HOUR_US
        self.faults.append(f"{place}: deadline must be whole hours up to a year, or {WITHOUT_DELAY!r}")
        return None

    def _date(self, value: object, place: str) -> date:
        try:
            return date.fromisoformat(self._text(value, place))
        except ValueError:
            self.faults.append(f"{place}: in_force_from must be a date as 2025-11-01")
            return date.max


def _contradictions(register: Register) -> Iterator[str]:
    """What is well-formed and cannot be meant."""
    for names in ([one.law_id for one in register.laws], [one.scale for one in register.scales]):
        for name in sorted({one for one in names if names.count(one) > 1}):
            yield f"{name} is there twice"
    for scale in register.scales:
        yield from _faults_of_scale(scale)
    known = {(one.scale, step.grade) for one in register.scales for step in one.steps}
    for law in register.laws:
        wanted = law.applies_when
        if wanted.scale and (wanted.scale, wanted.grade_from) not in known:
            yield f"{law.law_id}: there is no grade {wanted.grade_from} of {wanted.scale}"
        if not law.content:
            yield f"{law.law_id}: a notice without content"
        if law.stage == "closing" and law.counted_from != HANDLING_ENDED:
            yield f"{law.law_id}: a closing report is counted from the end of handling"


def _faults_of_scale(scale: Scale) -> Iterator[str]:
    order = [GRADES.index(step.grade) for step in scale.steps]
    if not order or order != sorted(set(order)):
        yield f"{scale.scale}: grades go from the lowest up, each once"
    for lower, higher in zip(scale.steps, scale.steps[1:], strict=False):
        if any(least <= lower.any_of.get(name, 0) for name, least in higher.any_of.items()):
            yield f"{scale.scale}: thresholds of {higher.grade} must be above those of {lower.grade}"
