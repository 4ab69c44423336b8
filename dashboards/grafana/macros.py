"""SQL of a panel as Grafana's ClickHouse plugin sends it: each typed place taken by a macro or a variable.

Place in the flow: between a panel's SQL and its target in a dashboard. The plugin leaves an unknown macro in the text,
so a slip of the pen reaches the server: `faults_of` knows the few that are used here and refuses all others.

What a viewer chooses is text within the statement here, since Grafana has no bound parameters. Its format
`singlequote` escapes the quote but not the backslash before it, so that a value may end the literal; `percentencode`
lets through letters, digits and `-_.~%` only, and the server decodes it. Rights do not rest on this: whoever may look
at a dashboard may send any SQL to its data source, so the store's role `grafana` is the boundary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from dashboards.panels.panel import GIVEN, Parameter, places_of, with_places

MACROS = ("$__fromTime_ms", "$__toTime_ms", "$__interval_s")
"""Of the plugin's, all that a statement of ours may hold (4.15 and newer)."""
ZONE = "zone"
_GIVEN: Mapping[str, str] = {
    # Without the cast it would be a time of the server's own zone, whose days and hours are others.
    "since": f"CAST($__fromTime_ms AS {GIVEN['since']})",
    "until": f"CAST($__toTime_ms AS {GIVEN['until']})",
    "bucket_s": "toUInt32($__interval_s)",
}
_MACRO = re.compile(r"\$__\w+")
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")


def variable(name: str, kind: str) -> str:
    """A dashboard's variable within SQL, as a value of the ClickHouse type `kind`."""
    text = f"decodeURLComponent('${{{name}:percentencode}}')"
    return text if kind == "String" else f"CAST({text} AS {kind})"


def grafana_sql(sql: str, parameters: Iterable[Parameter]) -> str:
    """The statement with Grafana's macros and variables. Raises: ValueError: a place that nobody fills."""
    declared = {one.name: one.kind for one in parameters} | {ZONE: "String"}
    written = dict(_GIVEN)
    for name, kind in places_of(sql):
        if name in written and name in GIVEN:
            continue
        if declared.get(name) != kind:
            raise ValueError(f"the place {name}:{kind} is no parameter of its board")
        written[name] = variable(name, kind)
    return with_places(sql, written)


def faults_of(sql: str, variables: Iterable[str]) -> list[str]:
    """What Grafana would send as it stands: macros it does not know, variables nobody declares, places left over."""
    known = set(variables)
    faults = [f"unknown macro {name}" for name in _MACRO.findall(sql) if name not in MACROS]
    for name, form in _VARIABLE.findall(sql):
        if name not in known:
            faults.append(f"unknown variable {name}")
        if form != "percentencode":
            faults.append(f"variable {name} is not percent-encoded")
    bare = _VARIABLE.sub("", _MACRO.sub("", sql))
    faults += [f"place {name}:{kind} is left" for name, kind in places_of(bare)]
    if "$" in bare:
        faults.append("a $ that is no macro of ours")
    return faults
