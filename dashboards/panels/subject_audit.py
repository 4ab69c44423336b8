"""Board `subject-audit`: who touched one person's data, and how complete the records behind that answer are."""

from __future__ import annotations

from dashboards.panels.panel import Board, Panel, Parameter, Threshold, Words
from dashboards.panels.sql import OF_SUBJECT, SERIES_ROWS, UNEXPLAINED, series, within
from dashboards.panels.terms import columns, label, over_time, value

_DAY_S = 86_400
_HERE = f"FROM accesstrail.person_accesses WHERE {OF_SUBJECT} AND {within('event_time')} AND duplicate_of < 0"

ACTORS_COUNT = Panel(
    uid="actors",
    title=Words("Accounts that touched this person", "接触此人的账号数"),
    question=Words("How many different accounts touched this person's data?", "有多少不同账号接触过此人的数据？"),
    decision=Words("More than the person's matters explain: go through the list.", "超出业务所需：逐一核对下表。"),
    sql=f"SELECT uniqExact(actor_token) AS value {_HERE} LIMIT 1",
    view="stat",
    columns=(value("Accounts", "账号数"),),
    width=3,
    max_rows=1,
)

UNEXPLAINED_COUNT = Panel(
    uid="unexplained",
    title=Words("Accesses that nothing explains", "未解释的访问"),
    question=Words("How many accesses have no task behind them?", "有多少访问没有业务依据？"),
    decision=Words(
        "Any: ask the account's department before answering the person.", "如有：答复个人之前先询问所在部门。"
    ),
    sql=f"SELECT countIf({UNEXPLAINED}) AS value {_HERE} LIMIT 1",
    view="stat",
    columns=(value("Accesses", "访问次数"),),
    thresholds=(Threshold(0, "good"), Threshold(1, "warning")),
    width=3,
    max_rows=1,
)

OVER_TIME = Panel(
    uid="over-time",
    title=Words("Accesses by explanation", "访问量（按解释）"),
    question=Words(
        "When was this person's data looked at, and was there a reason each time?", "何时被查看，每次是否有理由？"
    ),
    decision=Words(
        "Looks in a cluster without a matter: compare with what happened to the person then.",
        "集中且无业务的查看：与此人当时的情况对照。",
    ),
    sql=series("event_time", "explained", "count()", _HERE),
    view="timeseries",
    columns=over_time("Accesses", "访问次数"),
    max_rows=SERIES_ROWS,
)

WHO = Panel(
    uid="who",
    title=Words("Who touched this person", "谁接触过此人"),
    question=Words("Which accounts, how often, first and last?", "哪些账号、多少次、首次与最近何时？"),
    decision=Words("Open the account that has no business with this person.", "查看与此人无业务往来的账号。"),
    sql=(
        "SELECT lower(hex(actor_token)) AS actor, argMax(actor_dept, (event_time, partition, offset)) AS department, count() AS accesses, "
        f"min(event_time) AS first_at, max(event_time) AS last_at, countIf({UNEXPLAINED}) AS unexplained, "
        f"max(risk) / 100 AS highest_risk {_HERE} GROUP BY actor_token ORDER BY accesses DESC, last_at DESC, actor LIMIT 100"
    ),
    view="table",
    columns=columns("actor", "department", "accesses", "first_at", "last_at", "unexplained", "highest_risk"),
    unit="risk",
    thresholds=(Threshold(0, "good"), Threshold(60, "warning"), Threshold(80, "bad")),
    width=12,
)

PURPOSES = Panel(
    uid="purposes",
    title=Words("Purposes named", "访问目的"),
    question=Words("For which purposes was the data used?", "数据被用于哪些目的？"),
    decision=Words(
        "Name them in the answer to the person; '-' means the source names none: have it send one.",
        "写入对个人的答复；“-”表示来源未提供目的：要求其补充。",
    ),
    sql=(
        f"SELECT if(purpose = '', '-', purpose) AS label, count() AS value {_HERE} GROUP BY label "
        "ORDER BY value DESC, label LIMIT 20"
    ),
    view="bars",
    columns=(label("Purpose", "目的"), value("Accesses", "访问次数")),
    max_rows=20,
)

HISTORY = Panel(
    uid="history",
    title=Words("Newest accesses", "最近的访问"),
    question=Words("What exactly happened, newest first?", "具体发生了什么（最新在前）？"),
    decision=Words("Take the rows over into the answer or the incident's evidence.", "将记录纳入答复或事件证据。"),
    sql=(
        "SELECT event_time AS at, lower(hex(actor_token)) AS actor, action AS action_word, outcome, "
        f"resource_type AS what, purpose, explained AS verdict, risk / 100 AS risk_now {_HERE} "
        "ORDER BY at DESC, event_id, subject_index LIMIT 200"
    ),
    view="table",
    columns=columns("at", "actor", "action_word", "outcome", "what", "purpose", "verdict", "risk_now"),
    width=12,
    max_rows=200,
)

COMPLETENESS = Panel(
    uid="completeness",
    title=Words("How complete the records are", "记录完整性"),
    question=Words("Is what was received in this range sealed without gaps?", "该时段收到的记录是否已封存且无缺口？"),
    decision=Words(
        "Gaps or rejected records: say so in the report, and repair the source.",
        "有缺口或被拒收：在报告中说明并修复来源。",
    ),
    sql=(
        "SELECT topic, sum(n_events) AS events, sum(n_dead_letters) AS rejected, sum(n_gaps) AS gaps, "
        "min(first_received_at) AS first_at, max(last_received_at) AS last_at FROM accesstrail.ledger "
        f"WHERE {within('last_received_at')} GROUP BY topic ORDER BY topic LIMIT 50"
    ),
    view="table",
    columns=columns("topic", "events", "rejected", "gaps", "first_at", "last_at"),
    width=12,
    height=5,
    max_rows=50,
)

BOARD = Board(
    uid="subject-audit",
    title=Words("Data subject and audit", "个人与审计"),
    about=Words(
        "Who touched one person's data, and how complete the records behind the answer are.",
        "谁接触过某人的数据，以及答复所依据的记录是否完整。",
    ),
    panels=(ACTORS_COUNT, UNEXPLAINED_COUNT, OVER_TIME, WHO, PURPOSES, HISTORY, COMPLETENESS),
    parameters=(
        # No choices: a list of persons is nothing to browse; one is looked for by `accesstrail search` or comes here
        # from a row of another panel.
        Parameter(
            "subject", "String", Words("Person (32 hexadecimal digits)", "个人（32 位十六进制）"), "", unit="token"
        ),
    ),
    range_s=90 * _DAY_S,
    refresh_s=300,
)
