"""Board `soc-overview`: is something wrong right now, and where to look first."""

from __future__ import annotations

from dashboards.panels.panel import Board, Drill, Panel, Threshold, Words
from dashboards.panels.sql import (
    NO_TOKEN,
    OPEN,
    RECORDS,
    SERIES_ROWS,
    UNEXPLAINED,
    UNTIL,
    accesses,
    series,
    within,
)
from dashboards.panels.terms import ACTOR_LABEL, columns, label, over_time, value

_TO_INCIDENTS = Drill("incident-response")
_OF_PEOPLE = f"actor_token != {NO_TOKEN}"

WAITING = Panel(
    uid="waiting",
    title=Words("Incidents nobody has taken", "无人处理的事件"),
    question=Words("How many incidents wait for a person?", "有多少事件尚无人处理？"),
    decision=Words("Take the gravest one, or call a second person in.", "处理最严重的事件，或增派人手。"),
    sql=f"SELECT count() AS value FROM accesstrail.incidents WHERE state = 'open' AND opened_at < {UNTIL} LIMIT 1",
    view="stat",
    columns=(value("Incidents", "事件数", drill=_TO_INCIDENTS),),
    thresholds=(Threshold(0, "good"), Threshold(1, "warning"), Threshold(5, "bad")),
    width=3,
    max_rows=1,
)

OPEN_BY_SEVERITY = Panel(
    uid="open-by-severity",
    title=Words("Open incidents by severity", "未关闭事件（按级别）"),
    question=Words("How grave is what is not closed?", "未关闭的事件有多严重？"),
    decision=Words("Decide whether today's plan stands or incidents come first.", "决定照常工作，还是优先处理事件。"),
    sql=(
        f"SELECT toString(severity) AS label, count() AS value FROM accesstrail.incidents WHERE {OPEN} "
        "GROUP BY severity ORDER BY severity DESC LIMIT 5"
    ),
    view="state",
    columns=(label("Severity", "级别", _TO_INCIDENTS), value("Incidents", "事件数")),
    thresholds=(Threshold(0, "good"), Threshold(1, "notice"), Threshold(5, "warning"), Threshold(20, "bad")),
    empty=Words("No incident is open.", "没有未关闭的事件。"),
    width=3,
    max_rows=5,
)

ACCESSES = Panel(
    uid="accesses",
    title=Words("Accesses by outcome", "访问量（按结果）"),
    question=Words("Is the amount of access as usual, and does much of it fail?", "访问量是否正常，失败是否偏多？"),
    decision=Words(
        "A drop: look at pipeline health. A surge or many denials: look at the actors below.",
        "骤降：查看管道健康。激增或大量拒绝：查看下方账号。",
    ),
    sql=series("event_time", "toString(outcome)", "count()", accesses()),
    view="timeseries",
    columns=over_time("Accesses", "访问次数"),
    max_rows=SERIES_ROWS,
)

ALERTS = Panel(
    uid="alerts",
    title=Words("Alerts by severity", "告警（按级别）"),
    question=Words("When did detectors speak up, and how loudly?", "检测何时告警，级别如何？"),
    decision=Words("Open the incidents of the hour that stands out.", "查看异常时段对应的事件。"),
    sql=series(
        "event_time", "toString(severity)", "count()",
        f"FROM accesstrail.alerts WHERE {within('event_time')} AND NOT startsWith(detector, 'system:') "
        "AND NOT has(reasons, 'scheduled:withdrawn')",
    ),
    view="timeseries",
    columns=over_time("Alerts", "告警数"),
    empty=Words("No alert in this range.", "该时段内无告警。"),
    max_rows=SERIES_ROWS,
)  # fmt: skip

RISKIEST_ACTORS = Panel(
    uid="riskiest-actors",
    title=Words("Actors by risk", "高风险账号"),
    question=Words("Whose accesses were judged the riskiest?", "哪些账号的访问风险最高？"),
    decision=Words("Open the actor; ask the department, or contain the account.", "查看该账号；询问部门或遏制账号。"),
    sql=(
        "SELECT lower(hex(actor_token)) AS actor, count() AS accesses, uniqExactArray(subject_tokens) AS subjects, "
        f"countIf({UNEXPLAINED}) AS unexplained, countIf(outcome = 'denied') AS denied, "
        f"max(risk) / 100 AS highest_risk {accesses(_OF_PEOPLE)} GROUP BY actor_token "
        "ORDER BY highest_risk DESC, accesses DESC, actor LIMIT 20"
    ),
    view="table",
    columns=columns("actor", "accesses", "subjects", "unexplained", "denied", "highest_risk"),
    unit="risk",
    thresholds=(Threshold(0, "good"), Threshold(60, "warning"), Threshold(80, "bad")),
    max_rows=20,
)

MOST_SUBJECTS = Panel(
    uid="most-persons",
    title=Words("Actors by persons touched", "接触人数最多的账号"),
    question=Words("Who touched the data of the most different persons?", "谁接触了最多不同个人的数据？"),
    decision=Words(
        "Compare with the actor's work; bulk reading without a task is contained.",
        "与其工作对照；无任务的批量读取应予遏制。",
    ),
    sql=(
        f"SELECT lower(hex(actor_token)) AS label, uniqExactArray(subject_tokens) AS value {accesses(_OF_PEOPLE)} "
        "GROUP BY actor_token HAVING value > 0 ORDER BY value DESC, label LIMIT 10"
    ),
    view="bars",
    columns=(ACTOR_LABEL, value("Persons", "涉及人数")),
    max_rows=10,
)

DENIED = Panel(
    uid="denied",
    title=Words("Actors by denied accesses", "被拒绝最多的账号"),
    question=Words("Who tries what they may not?", "谁在尝试无权访问的数据？"),
    decision=Words(
        "A sweep: lock the credential. One team: its rights are wrong.", "扫描行为：锁定凭证。集中于某团队：核对权限。"
    ),
    sql=(
        "SELECT lower(hex(actor_token)) AS label, count() AS value "
        + accesses(_OF_PEOPLE + " AND outcome = 'denied'")
        + " "
        "GROUP BY actor_token ORDER BY value DESC, label LIMIT 10"
    ),
    view="bars",
    columns=(ACTOR_LABEL, value("Denied", "被拒绝")),
    empty=Words("Nothing was denied.", "没有被拒绝的访问。"),
    max_rows=10,
)

HANDED_OUT = Panel(
    uid="handed-out",
    title=Words("Largest exports", "最大批量导出"),
    question=Words("What left in bulk, and did anybody approve it?", "哪些数据被批量带出，是否经过审批？"),
    decision=Words(
        "Without approval: ask for the reason today, else suspect a breach.", "无审批：当日问明原因，否则标记疑似泄露。"
    ),
    sql=(
        "SELECT event_time AS at, lower(hex(actor_token)) AS actor, toString(action) AS action_word, "
        f"resource_type AS what, {RECORDS} AS records, if(approval_token = {NO_TOKEN}, 'no', 'yes') AS approved "
        + accesses("action IN ('export', 'download', 'share', 'print') AND outcome = 'success'")
        + " "
        "ORDER BY records DESC, at DESC, event_id LIMIT 20"
    ),
    view="table",
    columns=columns("at", "actor", "action_word", "what", "records", "approved"),
    empty=Words("Nothing was exported, downloaded, shared or printed.", "没有导出、下载、共享或打印。"),
    width=12,
    max_rows=20,
)

BOARD = Board(
    uid="soc-overview",
    title=Words("SOC overview", "安全运营总览"),
    about=Words("Is something wrong right now, and where to look first.", "当前是否异常，先看哪里。"),
    panels=(WAITING, OPEN_BY_SEVERITY, ACCESSES, ALERTS, RISKIEST_ACTORS, MOST_SUBJECTS, DENIED, HANDED_OUT),
    refresh_s=30,
)
