"""Board `incident-response`: what is to be done next, and how well alerts and their handling do."""

from __future__ import annotations

from dashboards.panels.panel import Board, Panel, Threshold, Words
from dashboards.panels.sql import OPEN, SERIES_ROWS, UNTIL, bucket, hexed, within
from dashboards.panels.terms import columns, label, over_time, value

_HOUR_S = 3600
_TAKEN = (
    "SELECT incident_id, min(received_at) AS taken_at FROM accesstrail.incident_log WHERE transition IN "
    "('acknowledged', 'assigned', 'contain_asked') AND NOT startsWith(by, 'system:') GROUP BY incident_id"
)
_NOT_MERGED = "merged_into = toUUID('00000000-0000-0000-0000-000000000000')"

TO_DO = Panel(
    uid="to-do",
    title=Words("Incidents not closed", "未关闭的事件"),
    question=Words("What is to be done, the gravest and oldest first?", "有哪些待办，最严重、最久的在前？"),
    decision=Words("Take the first one that has no assignee.", "处理第一个无负责人的事件。"),
    sql=(
        "SELECT toString(incident_id) AS incident, toString(severity) AS severity_word, state, risk / 100 AS risk_now, "
        f"dateDiff('second', opened_at, {UNTIL}) AS age_s, if(assignee = '', acknowledged_by, assignee) AS taken_by, "
        f"{hexed('actor_token')} AS actor, explanation_en, explanation_zh FROM accesstrail.incidents WHERE {OPEN} "
        "ORDER BY severity DESC, opened_at, incident LIMIT 50"
    ),
    view="table",
    columns=columns(
        "incident", "severity_word", "state", "risk_now", "age_s", "taken_by", "actor", "explanation_en",
        "explanation_zh",
    ),
    unit="seconds",
    thresholds=(Threshold(0, "good"), Threshold(_HOUR_S, "notice"), Threshold(4 * _HOUR_S, "warning"),
                Threshold(24 * _HOUR_S, "bad")),
    empty=Words("No incident is open.", "没有未关闭的事件。"),
    width=12,
    max_rows=50,
)  # fmt: skip

TO_ACKNOWLEDGE = Panel(
    uid="to-acknowledge",
    title=Words("Time until somebody takes an incident", "事件响应用时（中位数）"),
    question=Words("How long does an incident wait for a person, in the middle?", "事件等待处理的中位时长是多少？"),
    decision=Words("Above the bar: change duty hours or escalation.", "超出目标：调整值班或升级规则。"),
    sql=(
        "SELECT quantileExact(0.5)(took_s) AS value FROM (SELECT dateDiff('second', opened_at, taken_at) AS took_s "
        f"FROM accesstrail.incidents AS one INNER JOIN ({_TAKEN}) AS taken ON one.incident_id = taken.incident_id "
        f"WHERE {within('taken_at')}) HAVING count() > 0 LIMIT 1"
    ),
    view="stat",
    columns=(value("Median", "中位数", "seconds"),),
    unit="seconds",
    thresholds=(Threshold(0, "good"), Threshold(900, "warning"), Threshold(_HOUR_S, "bad")),
    empty=Words("Nobody took an incident in this range.", "该时段内无人接手事件。"),
    width=3,
    max_rows=1,
)

TO_RESOLVE = Panel(
    uid="to-resolve",
    title=Words("Time until an incident is closed", "事件关闭用时（中位数）"),
    question=Words("How long does an incident stay open, in the middle?", "事件从开启到关闭的中位时长是多少？"),
    decision=Words(
        "Rising: too many incidents for the people there are; tune or staff.", "上升：人手不足，调优检测或增派人手。"
    ),
    sql=(
        "SELECT quantileExact(0.5)(dateDiff('second', opened_at, resolved_at)) AS value FROM accesstrail.incidents "
        f"WHERE verdict != '' AND {_NOT_MERGED} AND {within('resolved_at')} HAVING count() > 0 LIMIT 1"
    ),
    view="stat",
    columns=(value("Median", "中位数", "seconds"),),
    unit="seconds",
    thresholds=(Threshold(0, "good"), Threshold(24 * _HOUR_S, "warning"), Threshold(72 * _HOUR_S, "bad")),
    empty=Words("No incident was closed in this range.", "该时段内无事件关闭。"),
    width=3,
    max_rows=1,
)

FLOW = Panel(
    uid="opened-and-closed",
    title=Words("Incidents opened and closed", "事件开启与关闭"),
    question=Words("Does the team keep up?", "处理速度是否跟得上？"),
    decision=Words(
        "More opened than closed for days: tune the detector that leads below.",
        "连续多日开启多于关闭：调优下方居首的检测项。",
    ),
    sql=(
        "SELECT time, series, count() AS value FROM ("
        f"SELECT {bucket('opened_at')} AS time, 'opened' AS series FROM accesstrail.incidents "
        f"WHERE {within('opened_at')} UNION ALL "
        f"SELECT {bucket('resolved_at')} AS time, 'closed' AS series FROM accesstrail.incidents "
        f"WHERE {within('resolved_at')} AND state = 'resolved') GROUP BY time, series ORDER BY time, series LIMIT 5000"
    ),
    view="timeseries",
    columns=over_time("Incidents", "事件数"),
    max_rows=SERIES_ROWS,
)

VERDICTS = Panel(
    uid="verdicts",
    title=Words("Verdicts by detector", "各检测项判定"),
    question=Words("Which detectors are right, and which cry wolf?", "哪些检测项准确，哪些误报多？"),
    decision=Words("Many false positives: write an exception or raise its threshold.", "误报多：设置例外或提高阈值。"),
    sql=(
        "SELECT detector, countIf(verdict = 'true_positive') AS true_positive, countIf(verdict = 'benign') AS benign, "
        "countIf(verdict = 'false_positive') AS false_positive, 100 * true_positive / count() AS precision "
        "FROM accesstrail.incidents ARRAY JOIN mapKeys(detectors) AS detector "
        f"WHERE verdict IN ('true_positive', 'benign', 'false_positive') AND {within('resolved_at')} "
        "GROUP BY detector ORDER BY false_positive DESC, detector LIMIT 50"
    ),
    view="table",
    columns=columns("detector", "true_positive", "benign", "false_positive", "precision"),
    unit="percent",
    thresholds=(Threshold(0, "bad"), Threshold(30, "warning"), Threshold(60, "good")),
    empty=Words("No verdict in this range.", "该时段内无判定。"),
    max_rows=50,
)

MESSAGES = Panel(
    uid="messages",
    title=Words("Messages by channel", "通知送达情况"),
    question=Words("Do messages reach people?", "通知是否送达？"),
    decision=Words("Given up: repair the channel and tell people another way.", "已放弃：修复渠道并改用其他方式通知。"),
    sql=(
        "SELECT channel, countIf(arrived) AS delivered, countIf(NOT arrived AND NOT failed AND tried) AS waiting, "
        "countIf(NOT arrived AND failed) AS refused FROM (SELECT channel, notification_id, "
        "max(outcome = 'delivered') AS arrived, max(outcome = 'refused') AS failed, max(outcome = 'retry') AS tried "
        f"FROM accesstrail.deliveries WHERE {within('at')} GROUP BY channel, notification_id) "
        "GROUP BY channel ORDER BY refused DESC, channel LIMIT 50"
    ),
    view="table",
    columns=columns("channel", "delivered", "waiting", "refused"),
    empty=Words("No message in this range.", "该时段内无通知。"),
    max_rows=50,
)

BREACHES = Panel(
    uid="breaches",
    title=Words("Suspected breaches", "疑似泄露"),
    question=Words("Which breach clocks run, and since when?", "哪些泄露时钟在走，已过多久？"),
    decision=Words(
        "Report before the duty's hour is over: `accesstrail incidents breach` shows it.",
        "在法定时限前报告：见 `accesstrail incidents breach`。",
    ),
    sql=(
        f"SELECT toString(incident_id) AS incident, {hexed('actor_token')} AS actor, since AS suspected_at, known_at, "
        f"dateDiff('second', known_at, {UNTIL}) AS elapsed_s FROM accesstrail.evidence_holds WHERE since < {UNTIL} "
        "AND incident_id NOT IN (SELECT incident_id FROM accesstrail.incidents WHERE state = 'resolved') "
        "ORDER BY known_at, incident LIMIT 50"
    ),
    view="table",
    columns=columns("incident", "actor", "suspected_at", "known_at", "elapsed_s"),
    unit="seconds",
    thresholds=(Threshold(0, "notice"), Threshold(_HOUR_S, "warning"), Threshold(4 * _HOUR_S, "bad")),
    empty=Words("No breach is suspected.", "没有疑似泄露。"),
    max_rows=50,
)

WORKLOAD = Panel(
    uid="workload",
    title=Words("Open incidents by assignee", "各负责人未关闭事件"),
    question=Words("Who has how much to do?", "每人手上有多少事件？"),
    decision=Words("Give incidents to whoever has room.", "将事件分给有余力的人。"),
    sql=(
        f"SELECT if(assignee = '', acknowledged_by, assignee) AS label, count() AS value FROM accesstrail.incidents "
        f"WHERE {OPEN} GROUP BY label HAVING label != '' ORDER BY value DESC, label LIMIT 20"
    ),
    view="bars",
    columns=(label("Assignee", "负责人"), value("Incidents", "事件数")),
    empty=Words("Nobody has an open incident.", "无人持有未关闭事件。"),
    max_rows=20,
)

BOARD = Board(
    uid="incident-response",
    title=Words("Incident response", "事件响应"),
    about=Words(
        "What is to be done next, and how well alerts and their handling do.", "下一步做什么，告警与处置效果如何。"
    ),
    panels=(TO_DO, TO_ACKNOWLEDGE, TO_RESOLVE, FLOW, VERDICTS, MESSAGES, BREACHES, WORKLOAD),
    range_s=7 * 86_400,
    refresh_s=30,
)
