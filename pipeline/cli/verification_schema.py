"""Whether the views are those that the migrations make, and real tables stand behind them: part of check 12.

Place in the flow: first in `pipeline/cli/verification.py`, because all else is read through the views. One whose text
was changed could show the rows that were sealed to whoever verifies, and others to everybody else. A role that reads
sees the views' own statements; which engine each table has it sees through a view, whose statement is compared too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pipeline.adapters.reader_pool import Questions
from pipeline.ledger.verify import Findings
from pipeline.migrations.definitions import OF_ONE_KIND, table_engines, view_texts

_STATEMENTS = (
    "SELECT name, create_table_query FROM system.tables "
    "WHERE database = 'accesstrail' AND name IN {names:Array(String)}"
)
_ONE_FORM = "SELECT arrayMap(one -> formatQuerySingleLine(one), {texts:Array(String)})"
_TYPES = (
    "SELECT table, name, type FROM system.columns WHERE database = 'accesstrail' AND table IN {names:Array(String)}"
)
_ENGINES = "SELECT name, engine FROM accesstrail.stored_tables"
_BEHIND_COLUMNS = " DEFINER = "
"""Before it stands the list of columns, which the server writes."""


def check_views(questions: Questions, findings: Findings) -> list[str]:
    """Tells what is not as it was made; returns what could not be looked at. Raises: Away; StoreRefused.

    A view that is not there shows nothing to anybody, and is no difference: the schema may be older than this version.
    """
    made = view_texts()
    shown = dict(questions.query(_STATEMENTS, {"names": sorted(made)}))
    texts = {*shown.values(), *(text for name in shown for text in made[name])}
    bodies = _bodies(questions, texts)
    for name, text in sorted(shown.items()):
        if bodies[text] not in {bodies[one] for one in made[name]}:
            findings.add("view_changed", "", f"view {name} is not the one that this version makes")
    _check_types(questions, findings)
    if "stored_tables" not in shown:
        return ["which tables lie behind the views could not be seen: run `accesstrail migrate`"]
    _check_engines(questions, findings)
    return []


def _bodies(questions: Questions, texts: Iterable[str]) -> Mapping[str, str]:
    """Statement to what of it stands behind the list of columns, in the server's own form."""
    given = sorted(texts)
    [(formed,)] = questions.query(_ONE_FORM, {"texts": given})
    return {text: one.partition(_BEHIND_COLUMNS)[2] for text, one in zip(given, formed, strict=True)}


def _check_types(questions: Questions, findings: Findings) -> None:
    """A list of columns converts what is selected: in a narrower type a number is another one."""
    types: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for view, name, kind in questions.query(_TYPES, {"names": sorted({*OF_ONE_KIND, *OF_ONE_KIND.values()})}):
        types[view][name] = kind
    for view, source in OF_ONE_KIND.items():
        for name in sorted(types[view].keys() & types[source].keys()):
            if types[view][name] != types[source][name]:
                findings.add("view_changed", "", f"view {view}: {name} is of another type than in {source}")


def _check_engines(questions: Questions, findings: Findings) -> None:
    """A replicated or shared engine of the same name is the same one."""
    engines = dict(questions.query(_ENGINES))
    for name, engine in sorted(table_engines().items()):
        if not engines.get(name, engine).endswith(engine):
            findings.add("view_changed", "", f"table {name} is a {engines[name]}, it was made a {engine}")
