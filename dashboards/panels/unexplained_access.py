"""Board `unexplained-access`: accesses without a ticket, order or assignment behind them, the first thing to triage."""

from __future__ import annotations

from dashboards.panels.panel import Board, Panel, Threshold, Words
from dashboards.panels.sql import NO_TOKEN, SERIES_ROWS, UNEXPLAINED, ZONE, accesses, series, within
from dashboards.panels.terms import ACTOR_LABEL, columns, over_time, value

_JUDGED = "explained != ''"
_FEWEST_VISITS = 3

SHARE = Panel(
    uid="share",
    title=Words("Accesses explained", "已解释的访问占比"),
    question=Words("For which share of accesses is there a task?", "多大比例的访问有业务依据？"),
    decision=Words(
        "Falling: work items no longer arrive, or people work around them. Check the directory first.",
        "下降：工单未同步或绕过工单。先检查目录。",
    ),
    sql=(
        f"SELECT 100 * countIf(explained = 'explained') / count() AS value {accesses(_JUDGED)} "
        "HAVING count() > 0 LIMIT 1"
    ),
    view="stat",
    columns=(value("Explained", "已解释", "percent"),),
    unit="percent",
    thresholds=(Threshold(0, "bad"), Threshold(50, "warning"), Threshold(80, "good")),
    width=3,
    max_rows=1,
)

OVER_TIME = Panel(
    uid="over-time",
    title=Words("Accesses by explanation", "访问量（按解释）"),
    question=Words("When did unexplained accesses rise?", "未解释的访问何时增多？"),
    decision=Words(
        "A step for everybody: the feed of work items. A hump: look at departments and actors of that time.",
        "整体抬升：工单同步问题。局部隆起：查看该时段的部门与账号。",
    ),
    sql=series("event_time", "toString(explained)", "count()", accesses(_JUDGED)),
    view="timeseries",
    columns=over_time("Accesses", "访问次数"),
    width=9,
    max_rows=SERIES_ROWS,
)

DEPARTMENTS = Panel(
    uid="departments",
    title=Words("Departments", "部门"),
    question=Words("Where is access without a task common?", "哪些部门常有无依据的访问？"),
    decision=Words(
        "Talk to the head of the department, or connect its ticket system.", "与部门负责人沟通，或接入其工单系统。"
    ),
    sql=(
        f"SELECT actor_dept AS department, count() AS accesses, countIf({UNEXPLAINED}) AS unexplained, "
        f"100 * unexplained / accesses AS share {accesses(_JUDGED)} GROUP BY department "
        "ORDER BY unexplained DESC, department LIMIT 30"
    ),
    view="table",
    columns=columns("department", "accesses", "unexplained", "share"),
    unit="percent",
    thresholds=(Threshold(0, "good"), Threshold(20, "warning"), Threshold(50, "bad")),
    max_rows=30,
)

ACTORS = Panel(
    uid="actors",
    title=Words("Actors by persons without a task", "无依据接触人数最多的账号"),
    question=Words("Who looked at the most persons without a task?", "谁在无业务依据下查看了最多的人？"),
    decision=Words(
        "Open the actor; ask for the reason and write it into the incident.", "查看账号；问明理由并记入事件。"
    ),
    sql=(
        "SELECT lower(hex(actor_token)) AS label, uniqExactArray(subject_tokens) AS value "
        f"{accesses(UNEXPLAINED)} GROUP BY actor_token HAVING value > 0 ORDER BY value DESC, label LIMIT 15"
    ),
    view="bars",
    columns=(ACTOR_LABEL, value("Persons", "涉及人数")),
    max_rows=15,
)

PAIRS = Panel(
    uid="pairs",
    title=Words("Who comes back to the same person", "反复查看同一人"),
    question=Words("Who looked at one person again and again without a task?", "谁在无依据下反复查看同一人？"),
    decision=Words("On several days: treat as snooping and open an incident.", "跨多日：按窥探处理并建立事件。"),
    sql=(
        f"SELECT lower(hex(actor_token)) AS actor, lower(hex(subject_token)) AS subject, count() AS accesses, "
        f"uniqExact(toDate(event_time, {ZONE})) AS days, min(event_time) AS first_at, max(event_time) AS last_at "
        f"FROM (SELECT actor_token, arrayJoin(subject_tokens) AS subject_token, event_time {accesses(UNEXPLAINED)}) "
        f"GROUP BY actor_token, subject_token HAVING accesses >= {_FEWEST_VISITS} "
        "ORDER BY days DESC, accesses DESC, actor, subject LIMIT 30"
    ),
    view="table",
    columns=columns("actor", "subject", "accesses", "days", "first_at", "last_at"),
    empty=Words("Nobody came back three times.", "无人反复查看三次以上。"),
    width=12,
    max_rows=30,
)

FLAGGED = Panel(
    uid="flagged",
    title=Words("Persons with a flag", "带标记的个人"),
    question=Words(
        "Who looked at prominent persons, colleagues or minors without a task?",
        "谁在无依据下查看了知名人士、同事或未成年人？",
    ),
    decision=Words("Ask the same day; such looks are seldom mistakes.", "当日询问；此类查看很少是误操作。"),
    sql=(
        "SELECT event_time AS at, lower(hex(actor_token)) AS actor, arrayStringConcat(subject_flags, ', ') AS flags, "
        f"toString(action) AS action_word, resource_type AS what, risk / 100 AS risk_now "
        f"{accesses(UNEXPLAINED + ' AND notEmpty(subject_flags)')} ORDER BY at DESC, event_id LIMIT 50"
    ),
    view="table",
    columns=columns("at", "actor", "flags", "action_word", "what", "risk_now"),
    unit="risk",
    thresholds=(Threshold(0, "good"), Threshold(60, "warning"), Threshold(80, "bad")),
    width=12,
    max_rows=50,
)

FINAL = Panel(
    uid="final-verdicts",
    title=Words("Verdicts a day later", "次日最终判定"),
    question=Words("How many accesses found their task after all?", "有多少访问事后找到了业务依据？"),
    decision=Words(
        "Many explained late: tickets are opened after the look; agree on the order of work.",
        "大量事后解释：先查看后建单，应规范流程。",
    ),
    sql=(
        "SELECT stream_verdict AS first_verdict, verdict, count() AS accesses FROM accesstrail.access_explanations "
        f"WHERE {within('event_time')} GROUP BY first_verdict, verdict ORDER BY first_verdict, verdict LIMIT 20"
    ),
    view="table",
    columns=columns("first_verdict", "verdict", "accesses"),
    empty=Words("No day in this range is judged for good yet.", "该时段尚无最终判定。"),
    max_rows=20,
)

BREAK_GLASS = Panel(
    uid="break-glass",
    title=Words("Emergency access", "紧急访问"),
    question=Words("Who used emergency access, and was it approved afterwards?", "谁使用了紧急访问，事后是否审批？"),
    decision=Words(
        "Review each within a day; without approval open an incident.", "一日内逐条复核；无审批则建立事件。"
    ),
    sql=(
        "SELECT event_time AS at, lower(hex(actor_token)) AS actor, toString(action) AS action_word, "
        f"resource_type AS what, if(approval_token = {NO_TOKEN}, 'no', 'yes') AS approved, "
        "toString(explained) AS verdict " + accesses("break_glass = 'yes'") + " ORDER BY at DESC, event_id LIMIT 50"
    ),
    view="table",
    columns=columns("at", "actor", "action_word", "what", "approved", "verdict"),
    empty=Words("Nobody used emergency access.", "无人使用紧急访问。"),
    max_rows=50,
)

BOARD = Board(
    uid="unexplained-access",
    title=Words("Unexplained access", "未解释的访问"),
    about=Words(
        "Accesses without a ticket, order or assignment behind them: the first thing to triage.",
        "没有工单、订单或指派依据的访问：首要排查对象。",
    ),
    panels=(SHARE, OVER_TIME, DEPARTMENTS, ACTORS, PAIRS, FLAGGED, FINAL, BREAK_GLASS),
    range_s=7 * 86_400,
    refresh_s=300,
)
