"""Reads the register of controls: three TOML files, checked strictly, every fault named at once.

Place in the flow: between `register/*.toml` and whoever asks for controls. A law, a control or a statement changes by a
reviewed change of these files, never of code. The version is a hash of their contents, so that a report says exactly
which register it was made by.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.audit.controls import (
    COMPARISONS,
    COVERED,
    GAP,
    KINDS,
    MANUAL,
    PARTLY,
    Article,
    Comparison,
    Control,
    ControlRegister,
    EvidenceQuery,
    Law,
    Rule,
)
from pipeline.breach.model import Text
from pipeline.errors import ConfigError

FORMAT = 1
FILES = ("laws.toml", "controls.toml", "queries.toml")
PARAMETERS: Mapping[str, str] = {
    "from_us": "Int64", "to_us": "Int64", "topic": "String", "incidents_topic": "String",
    "notifications_topic": "String", "seed": "String", "size": "UInt64",
}  # fmt: skip
"""What a statement may ask for, and its type."""
FOLDER = Path(__file__).with_name("register")

_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*").fullmatch
_NAME = re.compile(r"[a-z][a-z_]*").fullmatch
_CHINESE = re.compile("[一-鿿]").search
_COMPARISON = re.compile(r"([a-z_]+) (=|!=|<|<=|>|>=) (-?\d{1,18})").fullmatch
_PARAMETER = re.compile(r"\{(\w+):(\w+)\}").findall
_VIEW = re.compile(r"\b(?:FROM|JOIN)\s+([^\s(,)]+)").findall
_PUBLIC = re.compile(r"accesstrail\.[a-z_0-9]+").fullmatch


def read_controls(folder: Path = FOLDER) -> ControlRegister:
    """The register that is shipped, or an operator's own folder. Raises: ConfigError: every fault."""
    texts: dict[str, str] = {}
    faults = []
    for name in FILES:
        try:
            texts[name] = (folder / name).read_text(encoding="utf-8")
        except OSError as exc:
            faults.append(f"control register: {name} cannot be read: {exc.strerror}")
        except UnicodeDecodeError:
            faults.append(f"control register: {name} is not UTF-8 text")
    if faults:
        raise ConfigError(faults)
    return parse_controls(texts)


def parse_controls(texts: Mapping[str, str]) -> ControlRegister:
    """The register of these texts, by file name. Raises: ConfigError: every fault, with its place."""
    reader = _Reader()
    documents = {name: reader.document(name, texts[name]) for name in FILES}
    laws = reader.laws(documents["laws.toml"])
    queries = reader.queries(documents["queries.toml"])
    controls = reader.controls(documents["controls.toml"], laws, queries)
    if reader.faults:
        raise ConfigError([f"control register: {fault}" for fault in reader.faults])
    return ControlRegister(version_of(texts), laws, controls, queries)


def version_of(texts: Mapping[str, str]) -> str:
    """SHA-256 over the files in their order, each behind its length in eight bytes."""
    digest = hashlib.sha256()
    for name in FILES:
        content = texts[name].encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


class _Reader:
    """Takes typed values and collects every fault on the way; what is wrong is replaced by something harmless."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def document(self, name: str, text: str) -> Mapping[str, Any]:
        try:
            found = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError):
            self.faults.append(f"{name}: is no TOML")
            return {}
        kind = {"laws.toml": "law", "controls.toml": "control", "queries.toml": "query"}[name]
        self._keys(found, name, {"format", kind}, set())
        if found.get("format") != FORMAT:
            self.faults.append(f"{name}: format must be {FORMAT}")
        return found

    # -- laws

    def laws(self, document: Mapping[str, Any]) -> dict[str, Law]:
        found: dict[str, Law] = {}
        for number, raw in enumerate(self._list(document.get("law", []), "laws.toml: law"), start=1):
            law = self._law(raw, f"law {number}")
            if law.law_id in found:
                self.faults.append(f"law {law.law_id}: is there twice")
            found[law.law_id] = law
        return found

    def _law(self, value: object, place: str) -> Law:
        names = {"id", "jurisdiction", "en", "zh", "in_force_from", "in_force_confirmed", "source", "articles"}
        raw = self._object(value, place, names)
        law_id = self._id(raw.get("id"), place)
        place = f"law {law_id}" if law_id else place
        articles = {
            number: self._article(number, one, f"{place} {number}")
            for number, one in self._table(raw.get("articles", {}), f"{place} articles").items()
        }
        if not articles:
            self.faults.append(f"{place}: has no article")
        return Law(
            law_id, self._text(raw.get("jurisdiction"), f"{place} jurisdiction"), self._both(raw, place),
            self._date(raw.get("in_force_from"), place),
            self._flag(raw.get("in_force_confirmed"), f"{place} in_force_confirmed"),
            self._text(raw.get("source"), f"{place} source"), articles,
        )  # fmt: skip

    def _article(self, number: str, value: object, place: str) -> Article:
        raw = self._object(value, place, {"en", "zh", "confirmed"})
        return Article(number, self._both(raw, place), self._flag(raw.get("confirmed"), f"{place} confirmed"))

    # -- statements

    def queries(self, document: Mapping[str, Any]) -> dict[str, EvidenceQuery]:
        found = self._table(document.get("query", {}), "queries.toml: query")
        return {name: self._query(name, raw) for name, raw in found.items()}

    def _query(self, name: str, value: object) -> EvidenceQuery:
        place = f"query {name}"
        raw = self._object(value, place, {"en", "zh", "sql", "columns"})
        if not _NAME(name):
            self.faults.append(f"{place}: a name has small letters and underscores")
        sql = self._text(raw.get("sql"), f"{place} sql").strip()
        asked = self._checked_sql(sql, place)
        columns = {}
        for column, words in self._table(raw.get("columns", {}), f"{place} columns").items():
            texts = self._list(words, f"{place} {column}")
            if not _NAME(column) or len(texts) != 2:
                self.faults.append(f"{place} {column}: a column has a name, an English and a Chinese word")
                continue
            columns[column] = self._both(dict(zip(("en", "zh"), texts, strict=True)), f"{place} {column}")
        if not columns:
            self.faults.append(f"{place}: names no column")
        return EvidenceQuery(name, self._both(raw, place), sql, columns, asked)

    def _checked_sql(self, sql: str, place: str) -> frozenset[str]:
        """The parameters of one SELECT on public views; of anything else a fault."""
        if not sql.startswith("SELECT ") or ";" in sql:
            self.faults.append(f"{place}: must be one SELECT")
        hidden = sorted({one for one in _VIEW(sql) if not _PUBLIC(one)})
        if hidden:
            self.faults.append(f"{place}: reads {', '.join(hidden)}, which is no view of accesstrail")
        asked = dict(_PARAMETER(sql))
        wrong = sorted(name for name, kind in asked.items() if PARAMETERS.get(name) != kind)
        if wrong:
            self.faults.append(f"{place}: no such parameter, or of another type: {', '.join(wrong)}")
        if "to_us" not in asked:
            self.faults.append(f"{place}: asks for no period")
        return frozenset(asked)

    # -- controls

    def controls(
        self, document: Mapping[str, Any], laws: Mapping[str, Law], queries: Mapping[str, EvidenceQuery]
    ) -> tuple[Control, ...]:
        found: dict[str, Control] = {}
        for number, raw in enumerate(self._list(document.get("control", []), "controls.toml: control"), start=1):
            one = self._control(raw, f"control {number}", laws, queries)
            if one.control_id in found:
                self.faults.append(f"control {one.control_id}: is there twice")
            found[one.control_id] = one
        return tuple(found.values())

    def _control(
        self, value: object, place: str, laws: Mapping[str, Law], queries: Mapping[str, EvidenceQuery]
    ) -> Control:
        needed = {"id", "en", "zh", "serves", "kind", "person"}
        raw = self._object(value, place, needed, {"query", "no_cases", "covered", "partly"})
        control_id = self._id(raw.get("id"), place)
        place = f"control {control_id}" if control_id else place
        kind = raw.get("kind")
        if kind not in KINDS:
            self.faults.append(f"{place} kind: must be one of {', '.join(KINDS)}")
        query = raw.get("query", "")
        columns = queries[query].columns if query in queries else {}
        rules = {name: self._rule(raw.get(name), columns, f"{place} {name}") for name in ("no_cases", COVERED, PARTLY)}
        self._agree(kind, query, rules, queries, place)
        return Control(
            control_id=control_id, title=self._both(raw, place), serves=self._serves(raw.get("serves"), laws, place),
            kind=str(kind), query=str(query), no_cases=rules["no_cases"], covered=rules[COVERED],
            partly=rules[PARTLY], person=self._both(self._object(raw.get("person"), place, {"en", "zh"}), place),
        )  # fmt: skip

    def _agree(
        self, kind: object, query: object, rules: Mapping[str, Rule], queries: Mapping[str, EvidenceQuery], place: str
    ) -> None:
        """Faults where kind, query and rules do not fit together."""
        has_evidence = bool(query) or any(rules.values())
        if kind in (MANUAL, GAP) and has_evidence:
            self.faults.append(f"{place}: {kind} has no evidence, and a query or rules")
        if kind not in (COVERED, PARTLY):
            return
        if query not in queries:
            self.faults.append(f"{place}: there is no query {query}")
        if kind == COVERED and not rules[COVERED]:
            self.faults.append(f"{place}: nothing says when it is covered")
        if kind == PARTLY and not (rules[COVERED] or rules[PARTLY]):
            self.faults.append(f"{place}: nothing says when it is partly covered")

    def _serves(self, value: object, laws: Mapping[str, Law], place: str) -> tuple[tuple[str, str], ...]:
        found = []
        for one in self._list(value, f"{place} serves"):
            law, _, number = str(one).partition(":")
            if law not in laws or number not in laws[law].articles:
                self.faults.append(f"{place}: there is no article {one}")
            found.append((law, number))
        if not found or len(set(found)) < len(found):
            self.faults.append(f"{place}: serves no article, or one twice")
        return tuple(found)

    def _rule(self, value: object, columns: Mapping[str, Text], place: str) -> Rule:
        if value is None:
            return ()
        parts = [_COMPARISON(one) for one in self._text(value, place).split(" and ")]
        found = tuple(Comparison(one[1], one[2], int(one[3])) for one in parts if one and one[2] in COMPARISONS)
        if len(found) < len(parts):
            self.faults.append(f"{place}: is no comparison of columns with whole numbers")
        unknown = sorted({one.column for one in found} - set(columns))
        if unknown:
            self.faults.append(f"{place}: the query has no column {', '.join(unknown)}")
        return found

    # -- values

    def _keys(self, raw: Mapping[str, Any], place: str, needed: set[str], optional: set[str]) -> None:
        unknown, missing = sorted(set(raw) - needed - optional), sorted(needed - set(raw))
        if unknown:
            self.faults.append(f"{place}: unknown {', '.join(unknown)}")
        if missing:
            self.faults.append(f"{place}: missing {', '.join(missing)}")

    def _object(
        self, value: object, place: str, needed: set[str], optional: set[str] | None = None
    ) -> Mapping[str, Any]:
        raw = self._table(value, place)
        self._keys(raw, place, needed, optional or set())
        return raw

    def _table(self, value: object, place: str) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return value
        self.faults.append(f"{place}: must be a table")
        return {}

    def _list(self, value: object, place: str) -> list[Any]:
        if isinstance(value, list):
            return value
        self.faults.append(f"{place}: must be a list")
        return []

    def _text(self, value: object, place: str) -> str:
        if isinstance(value, str) and value.strip():
            return value
        self.faults.append(f"{place}: a text is missing")
        return ""

    def _both(self, raw: Mapping[str, Any], place: str) -> Text:
        text = Text(self._text(raw.get("en"), f"{place} en"), self._text(raw.get("zh"), f"{place} zh"))
        if text.zh and not _CHINESE(text.zh):
            self.faults.append(f"{place} zh: is no Chinese")
        return text

    def _id(self, value: object, place: str) -> str:
        if isinstance(value, str) and _ID(value):
            return value
        self.faults.append(f"{place}: an id has small letters, digits and dashes")
        return ""

    def _flag(self, value: object, place: str) -> bool:
        if not isinstance(value, bool):
            self.faults.append(f"{place}: must be true or false")
        return value is True

    def _date(self, value: object, place: str) -> date:
        if type(value) is date:
            return value
        self.faults.append(f"{place} in_force_from: must be a date")
        return date.min
