"""Board `actor`: one account: who it is, what it usually does, what it did now."""

from __future__ import annotations

from dashboards.panels.panel import Board, Panel, Parameter, Threshold, Words
from dashboards.panels.sql import (
    INCIDENTS_OF_ACTOR,
    OF_ACTOR,
    RECORDS,
    SERIES_ROWS,
    UNEXPLAINED,
    ZONE,
    accesses,
    series,
)
from dashboards.panels.terms import columns, over_time, value

_RISKS = (Threshold(0, "good"), Threshold(60, "warning"), Threshold(80, "bad"))

WHO = Panel(
    uid="who",
    title=Words("Who it is", "账号信息"),
    question=Words("What kind of account is it, and does it still exist?", "这是什么账号，是否仍在用？"),
    decision=Words(
        "Left or unknown to the directory: lock it. Else ask its department.",
        "已离职或目录中没有：锁定。否则询问所在部门。",
    ),
    sql=(
        "SELECT toString(actor_type) AS kind, actor_dept AS department, actor_role AS role, "
        "actor_org AS organisation, toString(actor_status) AS status, min(event_time) AS first_at, "
        f"max(event_time) AS last_at, count() AS accesses {accesses(OF_ACTOR)} GROUP BY ALL "
        "ORDER BY last_at DESC, kind, department, role, organisation, status LIMIT 10"
    ),
    view="table",
    columns=columns("kind", "department", "role", "organisation", "status", "first_at", "last_at", "accesses"),
    width=12,
    height=5,
    max_rows=10,
)

ACCESSES = Panel(
    uid="accesses",
    title=Words("Accesses by outcome", "访问量（按结果）"),
    question=Words("Does it do more than it used to, or fail more?", "是否比以往更多，或失败更多？"),
    decision=Words("A break in the pattern: compare with tickets of that day.", "出现突变：与当日工单对照。"),
    sql=series("event_time", "toString(outcome)", "count()", accesses(OF_ACTOR)),
    view="timeseries",
    columns=over_time("Accesses", "访问次数"),
    max_rows=SERIES_ROWS,
)

RISK = Panel(
    uid="risk",
    title=Words("Highest risk", "最高风险"),
    question=Words("When was it judged risky?", "何时被判为高风险？"),
    decision=Words("Read the riskiest accesses of that time below.", "查看下方该时段的高风险访问。"),
    sql=series("event_time", "'risk'", "max(risk) / 100", accesses(OF_ACTOR)),
    view="timeseries",
    columns=over_time("Highest risk", "最高风险", "risk"),
    unit="risk",
    thresholds=_RISKS,
    max_rows=SERIES_ROWS,
)

HOURS = Panel(
    uid="hours",
    title=Words("Weekdays and hours", "活动时段（星期 × 小时）"),
    question=Words("When does it work?", "通常何时活动？"),
    decision=Words(
        "Nights or days off that nobody ordered: ask who used it.", "无安排的夜间或休息日活动：核实使用者。"
    ),
    sql=(
        f"SELECT toString(toHour(event_time, {ZONE})) AS x, toString(toDayOfWeek(event_time, 0, {ZONE})) AS y, "
        f"count() AS value {accesses(OF_ACTOR)} GROUP BY x, y ORDER BY toUInt8(y), toUInt8(x) LIMIT 168"
    ),
    view="heatmap",
    columns=(*columns("x", "y"), value("Accesses", "访问次数")),
    max_rows=168,
)

SUBJECTS = Panel(
    uid="persons",
    title=Words("Persons it touched most", "接触最多的个人"),
    question=Words("Whose data did it look at again and again?", "反复查看了谁的数据？"),
    decision=Words(
        "Repeated looks without a task: snooping; open the person's history.",
        "无任务的反复查看：疑似窥探；查看该个人记录。",
    ),
    sql=(
        "SELECT lower(hex(subject_token)) AS subject, count() AS accesses, min(event_time) AS first_at, "
        f"max(event_time) AS last_at, countIf({UNEXPLAINED}) AS unexplained, max(risk) / 100 AS highest_risk "
        f"FROM (SELECT arrayJoin(subject_tokens) AS subject_token, event_time, explained, risk {accesses(OF_ACTOR)}) "
        "GROUP BY subject_token ORDER BY accesses DESC, last_at DESC, subject LIMIT 50"
    ),
    view="table",
    columns=columns("subject", "accesses", "first_at", "last_at", "unexplained", "highest_risk"),
    unit="risk",
    thresholds=_RISKS,
    max_rows=50,
)

PLACES = Panel(
    uid="places",
    title=Words("Places and devices", "地点与设备"),
    question=Words("From where and from how many devices is it used?", "从何处、多少设备使用？"),
    decision=Words(
        "A new country, or many addresses at once: the credential is shared or stolen.",
        "新国家或同时多地址：凭证可能被共享或盗用。",
    ),
    sql=(
        "SELECT src_country AS country, src_city AS city, toString(network_kind) AS network, count() AS accesses, "
        "uniqExact(src_ip) AS addresses, uniqExact(device_token) AS devices, max(event_time) AS last_at "
        f"{accesses(OF_ACTOR)} GROUP BY ALL ORDER BY accesses DESC, country, city, network LIMIT 50"
    ),
    view="table",
    columns=columns("country", "city", "network", "accesses", "addresses", "devices", "last_at"),
    max_rows=50,
)

RISKIEST = Panel(
    uid="riskiest",
    title=Words("Riskiest accesses", "风险最高的访问"),
    question=Words("What exactly was judged risky, and why?", "具体哪些访问有风险，原因是什么？"),
    decision=Words(
        "Contain the account, or give the reason when closing the incident.", "遏制账号，或在关闭事件时写明原因。"
    ),
    sql=(
        "SELECT event_time AS at, toString(action) AS action_word, resource_type AS what, "
        f"{RECORDS} AS records, toString(explained) AS verdict, risk / 100 AS risk_now, "
        f"arrayStringConcat(reasons, ', ') AS why {accesses(OF_ACTOR)} "
        "ORDER BY risk DESC, at DESC, event_id LIMIT 50"
    ),
    view="table",
    columns=columns("at", "action_word", "what", "records", "verdict", "risk_now", "why"),
    unit="risk",
    thresholds=_RISKS,
    width=12,
    max_rows=50,
)

INCIDENTS = Panel(
    uid="incidents",
    title=Words("Incidents about it", "相关事件"),
    question=Words("What was it in before, and how did that end?", "以往涉及哪些事件，结论如何？"),
    decision=Words("Judge the present one in the light of earlier verdicts.", "结合以往判定处理当前事件。"),
    sql=(
        "SELECT toString(incident_id) AS incident, toString(severity) AS severity_word, state, verdict, "
        f"opened_at, risk / 100 AS risk_now FROM accesstrail.incidents WHERE {INCIDENTS_OF_ACTOR} "
        "ORDER BY opened_at DESC, incident LIMIT 50"
    ),
    view="table",
    columns=columns("incident", "severity_word", "state", "verdict", "opened_at", "risk_now"),
    unit="risk",
    thresholds=_RISKS,
    empty=Words("It was in no incident.", "未涉及任何事件。"),
    width=12,
    max_rows=50,
)

BOARD = Board(
    uid="actor",
    title=Words("Actor", "账号"),
    about=Words(
        "One account: who it is, what it usually does, what it did now.", "单个账号：是谁、通常做什么、刚做了什么。"
    ),
    panels=(WHO, ACCESSES, RISK, HOURS, SUBJECTS, PLACES, RISKIEST, INCIDENTS),
    parameters=(
        Parameter(
            "actor",
            "String",
            Words("Actor (32 hexadecimal digits)", "账号（32 位十六进制）"),
            "",
            choices=(
                "SELECT lower(hex(actor_token)) AS actor FROM accesstrail.incidents "
                "WHERE actor_token != toFixedString('', 16) "
                "GROUP BY actor_token ORDER BY max(changed_at) DESC, actor LIMIT 100"
            ),
            unit="token",
        ),
    ),
    range_s=30 * 86_400,
)
