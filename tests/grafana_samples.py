"""Two small boards with every view, and what Grafana and its ClickHouse plugin make of SQL: tests' own expander."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

from dashboards.grafana.macros import MACROS
from dashboards.panels.panel import Board, Column, Drill, Panel, Parameter, Threshold, Words


def words(text: str) -> Words:
    return Words(text, f"{text}（中文）")


def panel(uid: str, sql: str, view: str, columns: tuple[Column, ...], **more: object) -> Panel:
    given = {"title": words(uid), "question": words("Who?"), "decision": words("Ask.")} | more
    return Panel(uid=uid, sql=sql, view=view, columns=columns, **given)  # type: ignore[arg-type]


_EVENTS = "FROM accesstrail.access_events WHERE event_time >= {since:DateTime64(3, 'UTC')} AND "
_EVENTS += "event_time < {until:DateTime64(3, 'UTC')}"
COUNT = Column("value", words("events"), "count")
ACTOR = Column("actor", words("account"), "token", Drill("one-actor", (("actor", "actor"),)))

OVERVIEW = Board(
    uid="sample-overview",
    title=words("Overview"),
    about=words("What goes on"),
    panels=(
        panel(
            "events", f"SELECT count() AS value {_EVENTS}", "stat", (COUNT,),
            thresholds=(Threshold(5, "warning"), Threshold(10, "bad")), width=3, height=4,
        ),
        panel(
            "by-time",
            "SELECT toStartOfInterval(event_time, toIntervalSecond({bucket_s:UInt32})) AS time, "
            f"toString(outcome) AS series, count() AS value {_EVENTS} GROUP BY time, series ORDER BY time, series",
            "timeseries", (Column("time", words("time"), "time"), Column("series", words("outcome")), COUNT), width=9,
        ),
        panel(
            "by-actor",
            f"SELECT hex(actor_token) AS actor, count() AS value {_EVENTS} GROUP BY actor ORDER BY value DESC LIMIT 10",
            "bars", (ACTOR, COUNT),
        ),
        panel(
            "by-hour",
            "SELECT toString(toHour(event_time, {zone:String})) AS x, "
            f"toString(toDayOfWeek(event_time, 0, {{zone:String}})) AS y, count() AS value {_EVENTS} GROUP BY x, y "
            "ORDER BY y, x",
            "heatmap", (Column("x", words("hour")), Column("y", words("day")), COUNT),
        ),
        panel(
            "sources", "SELECT source_system AS label, toFloat64(max(events)) AS value FROM accesstrail.sources "
            "GROUP BY label ORDER BY label LIMIT 50",
            "state", (Column("label", words("source")), COUNT), thresholds=(Threshold(0, "good"),), max_rows=50,
        ),
        panel("words", "SELECT 'calm' AS verdict", "text", (Column("verdict", words("verdict")),), unit="text"),
    ),
)  # fmt: skip
ONE_ACTOR = Board(
    uid="one-actor",
    title=words("Actor"),
    about=words("What one account did"),
    range_s=5_400,
    parameters=(
        Parameter(
            "actor", "String", words("Account"), "",
            "SELECT DISTINCT lower(hex(actor_token)) FROM accesstrail.access_events "
            "WHERE event_time >= {since:DateTime64(3, 'UTC')} ORDER BY 1 LIMIT 50",
        ),
        Parameter("least", "UInt16", words("Least risk"), "0"),
    ),
    panels=(
        panel(
            "events",
            f"SELECT event_time, risk / 100 AS risk, resource_type {_EVENTS} "
            "AND actor_token = toFixedString(unhex({actor:String}), 16) AND risk >= {least:UInt16} "
            "ORDER BY event_time DESC LIMIT 100",
            "table",
            (Column("event_time", words("time"), "time"), Column("risk", words("risk"), "risk"),
             Column("resource_type", words("kind"), "text", Drill("one-actor", (("least", "risk"),)))),
            unit="risk", thresholds=(Threshold(60, "bad"),),
        ),
    ),
)  # fmt: skip
SAMPLES = (OVERVIEW, ONE_ACTOR)


def expanded(sql: str, since: datetime, until: datetime, values: dict[str, str], *, interval_s: int = 60) -> str:
    """The statement as it reaches the server: Grafana fills variables, the plugin its macros.

    Percent-encoding as Grafana does it: encodeURIComponent, and !'()* too. A macro is replaced as a whole word.
    """
    texts = {
        "$__fromTime_ms": f"fromUnixTimestamp64Milli({int(since.timestamp() * 1000)})",
        "$__toTime_ms": f"fromUnixTimestamp64Milli({int(until.timestamp() * 1000)})",
        "$__interval_s": str(interval_s),
    }
    assert set(texts) == set(MACROS)
    filled = re.sub(r"\$\{(\w+):percentencode\}", lambda found: quote(values[found[1]], safe="-_.~"), sql)
    return re.sub(r"\$__\w+", lambda found: texts[found[0]], filled)
