"""Columns that many panels show, each with its words and unit, so that one thing has one name on every board.

Place in the flow: below the boards. A token of an account leads to the board `actor`, one of a person to
`subject-audit`.
"""

from __future__ import annotations

from dashboards.panels.panel import Column, Drill, Unit, Words

_TO_ACTOR = Drill("actor", (("actor", "actor"),))
_TO_SUBJECT = Drill("subject-audit", (("subject", "subject"),))
_TERMS: tuple[tuple[str, str, str, Unit], ...] = (
    ("time", "Time", "时间", "time"),
    ("at", "Time", "时间", "time"),
    ("first_at", "First", "首次", "time"),
    ("last_at", "Last", "最近", "time"),
    ("opened_at", "Opened", "开启时间", "time"),
    ("suspected_at", "Suspected", "标记时间", "time"),
    ("known_at", "Known since", "知悉时间", "time"),
    ("series", "Series", "序列", "text"),
    ("x", "Hour", "小时", "text"),
    ("y", "Weekday", "星期", "text"),
    ("actor", "Actor", "账号", "token"),
    ("subject", "Person", "个人", "token"),
    ("recipient", "Recipient", "接收方", "token"),
    ("by", "By", "操作人", "token"),
    ("incident", "Incident", "事件", "text"),
    ("severity_word", "Severity", "级别", "text"),
    ("state", "State", "状态", "text"),
    ("taken_by", "Assignee", "负责人", "text"),
    ("explanation_en", "What (English)", "说明（英文）", "text"),
    ("explanation_zh", "What (Chinese)", "说明（中文）", "text"),
    ("detector", "Detector", "检测项", "text"),
    ("channel", "Channel", "渠道", "text"),
    ("topic", "Topic", "主题", "text"),
    ("partition", "Partition", "分区", "text"),
    ("reason", "Reason", "原因", "text"),
    ("why", "Reasons", "原因", "text"),
    ("kind", "Kind", "类型", "text"),
    ("actor_type", "Kind of account", "账号类型", "text"),
    ("department", "Department", "部门", "text"),
    ("role", "Role", "角色", "text"),
    ("organisation", "Organisation", "机构", "text"),
    ("status", "Status", "状态", "text"),
    ("country", "Country", "国家/地区", "text"),
    ("city", "City", "城市", "text"),
    ("network", "Network", "网络", "text"),
    ("action_word", "Action", "操作", "text"),
    ("outcome", "Outcome", "结果", "text"),
    ("what", "Kind of data", "数据类型", "text"),
    ("purpose", "Purpose", "目的", "text"),
    ("basis", "Legal basis", "合法性基础", "text"),
    ("verdict", "Verdict", "判定", "text"),
    ("first_verdict", "First verdict", "初次判定", "text"),
    ("approved", "Approved", "有审批", "text"),
    ("ticket", "Ticket", "有工单", "text"),
    ("flags", "Flags", "标记", "text"),
    ("recipient_kind", "Kind of recipient", "接收方类型", "text"),
    ("source_system", "System", "系统", "text"),
    ("source_instance", "Instance", "实例", "text"),
    ("accesses", "Accesses", "访问次数", "count"),
    ("actors", "Actors", "账号数", "count"),
    ("subjects", "Persons", "涉及人数", "count"),
    ("records", "Records", "记录数", "count"),
    ("denied", "Denied", "被拒绝", "count"),
    ("unmasked", "In clear", "明文", "count"),
    ("unexplained", "Not explained", "未解释", "count"),
    ("unapproved", "Without approval", "无审批", "count"),
    ("days", "Days", "天数", "count"),
    ("addresses", "Addresses", "地址数", "count"),
    ("devices", "Devices", "设备数", "count"),
    ("alerts", "Alerts", "告警数", "count"),
    ("true_positive", "True positive", "属实", "count"),
    ("benign", "Benign", "正常行为", "count"),
    ("false_positive", "False positive", "误报", "count"),
    ("delivered", "Delivered", "已送达", "count"),
    ("waiting", "Tried again", "重试中", "count"),
    ("refused", "Given up", "已放弃", "count"),
    ("counted", "Events", "记录数", "count"),
    ("events", "Events", "记录数", "count"),
    ("repeated", "Repeated", "重复", "count"),
    ("astray", "Misrouted", "分区错误", "count"),
    ("rejected", "Rejected", "被拒收", "count"),
    ("gaps", "Gaps", "缺口", "count"),
    ("number", "Number", "序号", "count"),
    ("share", "Share", "占比", "percent"),
    ("precision", "Precision", "准确率", "percent"),
    ("risk_now", "Risk", "风险", "risk"),
    ("highest_risk", "Highest risk", "最高风险", "risk"),
    ("age_s", "Age", "持续时间", "seconds"),
    ("elapsed_s", "Elapsed", "已过时间", "seconds"),
    ("silent_s", "Silent for", "静默时长", "seconds"),
)
_DRILLS = {"actor": _TO_ACTOR, "subject": _TO_SUBJECT}
_COLUMNS = {name: Column(name, Words(en, zh), unit, _DRILLS.get(name)) for name, en, zh, unit in _TERMS}


def columns(*names: str) -> tuple[Column, ...]:
    """Shared columns by name."""
    return tuple(_COLUMNS[name] for name in names)


def value(en: str, zh: str, unit: Unit = "count", drill: Drill | None = None) -> Column:
    """The number that a panel is about."""
    return Column("value", Words(en, zh), unit, drill)


def label(en: str, zh: str, drill: Drill | None = None) -> Column:
    """What a bar or a line of states is about, in words."""
    return Column("label", Words(en, zh), "text", drill)


ACTOR_LABEL = Column("label", Words("Actor", "账号"), "token", Drill("actor", (("actor", "label"),)))


def over_time(en: str, zh: str, unit: Unit = "count") -> tuple[Column, ...]:
    """Columns of view `timeseries`."""
    return (*columns("time", "series"), value(en, zh, unit))
