"""Board `compliance`: what an auditor asks about: retention, access to the audit trail, changes, purposes, minors."""

from __future__ import annotations

from dashboards.panels.panel import Board, Panel, Threshold, Words
from dashboards.panels.sql import NO_TOKEN, SENSITIVE, UNTIL, accesses, hexed, within
from dashboards.panels.terms import columns, label, value

_DAY_S = 86_400
_HALF_A_YEAR_S = 183 * _DAY_S
_OF_PEOPLE = "actor_type IN ('employee', 'contractor', 'admin', 'partner')"

RETAINED = Panel(
    uid="retained",
    title=Words("Records reach back", "记录可追溯时长"),
    question=Words("How far back do sealed records reach?", "已封存记录可追溯多久？"),
    decision=Words(
        "Below six months on a system older than that: find what deleted them (CSL 23).",
        "系统运行已久却不足六个月：查明删除原因（网安法第二十三条）。",
    ),
    sql=(
        f"SELECT topic AS label, dateDiff('second', min(first_received_at), {UNTIL}) AS value FROM accesstrail.ledger "
        f"WHERE first_received_at < {UNTIL} GROUP BY topic ORDER BY topic LIMIT 50"
    ),
    view="state",
    columns=(label("Topic", "主题"), value("Reaches back", "可追溯", "seconds")),
    unit="seconds",
    thresholds=(Threshold(0, "notice"), Threshold(_HALF_A_YEAR_S, "good")),
    width=3,
    max_rows=50,
)

AUDIT_READS = Panel(
    uid="audit-reads",
    title=Words("Who read the audit trail", "谁读取了审计记录"),
    question=Words("Who queried or exported the audit trail itself?", "谁查询或导出了审计记录？"),
    decision=Words("Compare with audit orders; a reader without one is asked.", "与审计任务对照；无任务者应问明原因。"),
    sql=(
        "SELECT lower(hex(actor_token)) AS actor, toString(action) AS action_word, count() AS accesses, "
        "max(event_time) AS last_at "
        + accesses("action IN ('audit_query', 'audit_export')")
        + " GROUP BY actor_token, action "
        "ORDER BY accesses DESC, actor, action_word LIMIT 50"
    ),
    view="table",
    columns=columns("actor", "action_word", "accesses", "last_at"),
    empty=Words("Nobody read the audit trail.", "无人读取审计记录。"),
    max_rows=50,
)

PRIVILEGED = Panel(
    uid="privileged",
    title=Words("Rights, policies and logging changed", "权限、策略与日志变更"),
    question=Words("Who granted rights, changed policies or touched logging?", "谁授予了权限、修改了策略或动了日志？"),
    decision=Words(
        "Match each with a change ticket; without one open an incident.", "与变更单逐一核对；无变更单则建立事件。"
    ),
    sql=(
        "SELECT event_time AS at, lower(hex(actor_token)) AS actor, toString(action) AS action_word, "
        f"resource_type AS what, toString(outcome) AS outcome, if(case_token = {NO_TOKEN}, 'no', 'yes') AS ticket "
        + accesses("action IN ('grant', 'policy_change', 'log_control')")
        + " ORDER BY at DESC, event_id LIMIT 100"
    ),
    view="table",
    columns=columns("at", "actor", "action_word", "what", "outcome", "ticket"),
    empty=Words("Nothing of that kind happened.", "无此类操作。"),
)

CHANGES = Panel(
    uid="changes",
    title=Words("Changes of rules, models and exceptions", "规则、模型与例外变更"),
    question=Words("What changed in how accesses are judged, by whom and why?", "判定方式有何变更，由谁、为何？"),
    decision=Words(
        "A change without a good reason is taken back: `accesstrail versions rollback`.",
        "理由不足的变更应撤回：`accesstrail versions rollback`。",
    ),
    sql=(
        f"SELECT activated_at AS at, topic, number, kind, {hexed('by_token')} AS by, reason "
        f"FROM accesstrail.version_activations WHERE {within('activated_at')} "
        "ORDER BY at DESC, topic, number DESC LIMIT 100"
    ),
    view="table",
    columns=columns("at", "topic", "number", "kind", "by", "reason"),
    empty=Words("Nothing changed.", "无变更。"),
)

NO_PURPOSE = Panel(
    uid="no-purpose",
    title=Words("Sensitive data without a purpose", "未注明目的的敏感访问"),
    question=Words(
        "Which systems hand out sensitive data without purpose or legal basis?",
        "哪些系统提供敏感数据却未注明目的或依据？",
    ),
    decision=Words(
        "Have the system send the purpose (PIPL 6, 13); set a date.", "要求系统补充目的并定期限（个保法第6、13条）。"
    ),
    sql=(
        "SELECT source_system AS label, count() AS value "
        + accesses(SENSITIVE + " AND purpose = '' AND legal_basis = ''")
        + " "
        "GROUP BY label ORDER BY value DESC, label LIMIT 20"
    ),
    view="bars",
    columns=(label("System", "系统"), value("Accesses", "访问次数")),
    max_rows=20,
)

MINORS = Panel(
    uid="minors",
    title=Words("Minors' data without approval", "未审批的未成年人数据访问"),
    question=Words("Who accesses minors' data without approval?", "谁在无审批下访问未成年人数据？"),
    decision=Words(
        "Approve the work or withdraw the right (minors' network protection, article 36).",
        "补办审批或收回权限（未成年人网络保护条例第三十六条）。",
    ),
    sql=(
        "SELECT actor_dept AS department, count() AS accesses, uniqExact(actor_token) AS actors, "
        "uniqExactArray(subject_tokens) AS subjects, max(event_time) AS last_at "
        + accesses(f"has(subject_flags, 'minor') AND approval_token = {NO_TOKEN}")
        + " "
        "GROUP BY department ORDER BY accesses DESC, department LIMIT 30"
    ),
    view="table",
    columns=columns("department", "accesses", "actors", "subjects", "last_at"),
    empty=Words("No access to minors' data without approval.", "无未审批的未成年人数据访问。"),
    max_rows=30,
)

NO_MFA = Panel(
    uid="no-mfa",
    title=Words("Sensitive data without a second factor", "未用多因素认证的敏感访问"),
    question=Words(
        "In which systems do people reach sensitive data with a password alone?", "哪些系统仅凭密码即可访问敏感数据？"
    ),
    decision=Words("Enforce a second factor there.", "在该系统强制多因素认证。"),
    sql=(
        "SELECT source_system AS label, 100 * countIf(mfa = 'no') / count() AS value "
        + accesses(f"{SENSITIVE} AND mfa != '' AND {_OF_PEOPLE}")
        + " GROUP BY label ORDER BY value DESC, label LIMIT 30"
    ),
    view="state",
    columns=(label("System", "系统"), value("Without", "未使用", "percent")),
    unit="percent",
    thresholds=(Threshold(0, "good"), Threshold(5, "warning"), Threshold(25, "bad")),
    empty=Words("No system says whether a second factor was used.", "没有系统上报多因素认证情况。"),
    width=3,
    max_rows=30,
)

LEFT = Panel(
    uid="left",
    title=Words("Accounts of people who left or are on leave", "离职或休假人员账号"),
    question=Words("Who acts although the directory says they are not at work?", "谁在离职或休假状态下仍有访问？"),
    decision=Words("Lock the account; correct the directory where it is wrong.", "锁定账号；目录有误则更正。"),
    sql=(
        "SELECT lower(hex(actor_token)) AS actor, toString(actor_status) AS status, actor_dept AS department, "
        "count() AS accesses, uniqExactArray(subject_tokens) AS subjects, max(event_time) AS last_at "
        + accesses("actor_status IN ('left', 'on_leave')")
        + " GROUP BY actor_token, actor_status, department "
        "ORDER BY status, accesses DESC, actor, department LIMIT 50"
    ),
    view="table",
    columns=columns("actor", "status", "department", "accesses", "subjects", "last_at"),
    empty=Words("No such account was used.", "无此类账号活动。"),
    max_rows=50,
)

BOARD = Board(
    uid="compliance",
    title=Words("Compliance", "合规"),
    about=Words(
        "What an auditor asks about: retention, access to the audit trail, changes, purposes, minors.",
        "审计关注：保存期限、审计记录的读取、变更、目的、未成年人。",
    ),
    panels=(RETAINED, NO_MFA, AUDIT_READS, PRIVILEGED, CHANGES, NO_PURPOSE, MINORS, LEFT),
    range_s=7 * _DAY_S,
    refresh_s=600,
)
