"""What each feature is called in an alert: one phrase in English and Chinese around one number.

Place in the flow: read by `explain`. A feature that compares with the account's own past shares the phrase of the
amount it compares, so that both are told once: the amount, beside the account's own usual range and colleagues'.
"Without a work item" stands for accesses that neither a work item explains nor an approval covers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from detectors.features import KINDS, NAMES
from detectors.rules.rule import Text

Form = Literal["amount", "ratio", "first", "seldom"]
"""`amount`: a count with usual ranges; `ratio`: times the usual, likewise; `first`: new or rarely used; `seldom`: used on
few days."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """The words of a feature. `{n}` is its number: `scale` times the value in its unit.

    `more`: said instead where the number says nothing: not for the first time, or not seldom enough to count.
    `own`: the feature whose usual range is the account's own.
    """

    form: Form
    text: Text
    more: Text | None = None
    own: str = ""
    scale: float = 1.0


def _amount(en: str, zh: str, *, own: str = "", scale: float = 1.0) -> Phrase:
    return Phrase("amount", Text(en, zh), own=own, scale=scale)


def _ratio(en: str, zh: str) -> Phrase:
    return Phrase("ratio", Text(en, zh))


_USED = Text("used", "使用")


def _first(noun_en: str, noun_zh: str, verb: Text = _USED) -> Phrase:
    new = Text(f"{noun_en} {verb.en} for the first time on this account", f"首次{verb.zh}的{noun_zh}")
    return Phrase("first", new, Text(f"{noun_en} rarely {verb.en} on this account", f"很少{verb.zh}的{noun_zh}"))


def _seldom(en: str, zh: str, more_en: str, more_zh: str) -> Phrase:
    """`zh` follows on the days."""
    few = Text(f"{en} on at most 1 in {{n}} of its days", f"至多 1/{{n}} 的活跃日{zh}")
    return Phrase("seldom", few, Text(more_en, more_zh))


PHRASES: Mapping[str, Phrase] = {
    "hour_rarity": _seldom("an hour at which this account was active", "在此时段活动过", "an unusual hour for this account", "不常用的时段"),
    "gap_days": _amount("active again after {n} days of silence", "沉寂 {n} 天后重新活跃"),
    "records": _amount("{n} records in one access", "单次访问 {n} 条记录", own="records_own"),
    "bytes": _amount("{n} kB in one access", "单次访问 {n} KB", scale=0.001),
    "events_10m": _amount("{n} accesses within 10 minutes", "10 分钟内访问 {n} 次"),
    "subjects_1h": _amount("{n} customers within the hour without a work item", "一小时内无工单查阅 {n} 名客户", own="subjects_1h_own"),
    "subjects_day": _amount("{n} customers today without a work item", "今日无工单查阅 {n} 名客户", own="subjects_day_own"),
    "exposure_day": _amount("{n} customers today without a work item, weighted by sensitivity", "今日无工单接触客户 {n} 名（按敏感度加权）"),
    "records_day": _amount("{n} records today without a work item", "今日无工单访问 {n} 条记录", own="records_day_own"),
    "exported_day": _amount("{n} records taken out today without a work item", "今日无工单导出或共享 {n} 条记录", own="exported_day_own"),
    "unmasked_day": _amount("{n} looks at unmasked data today without a work item", "今日无工单查看明文 {n} 次", own="unmasked_day_own"),
    "unexplained_day": _amount("{n} sensitive accesses today without a work item", "今日无工单访问敏感数据 {n} 次", own="unexplained_day_own"),
    "records_week": _ratio("records of the last 7 days at {n} times their usual level", "近 7 天记录量为平常的 {n} 倍"),
    "subjects_week": _ratio("customers of the last 7 days at {n} times their usual level", "近 7 天查阅客户数为平常的 {n} 倍"),
    "new_network": _first("a network", "网络"),
    "new_device": _first("a device", "设备"),
    "new_country": _first("a country", "国家或地区", Text("seen", "出现")),
    "new_agent": _first("a program", "程序"),
    "rare_resource": _seldom("a kind of data that this account used", "接触过此类数据", "a kind of data that this account rarely uses", "很少接触的数据类型"),
    "rare_action": _seldom("an action that this account took", "执行过此操作", "an action that this account rarely takes", "很少执行的操作"),
    "rare_channel": _seldom("a way of access that this account used", "用过此访问方式", "a way of access that this account rarely uses", "很少使用的访问方式"),
    "travel": _amount("two places in a row at {n} km/h", "前后两地之间移动速度达 {n} 公里/小时"),
    "denied_10m": _amount("{n} refused accesses within 10 minutes", "10 分钟内被拒绝 {n} 次"),
    "repeat_subject": _amount("{n} looks at one customer within 7 days without a work item", "7 天内无工单查看同一客户 {n} 次"),
    "vip_day": _amount("{n} looks at protected customers today without a work item", "今日无工单查看受保护客户 {n} 次"),
    "sequence": _amount("{n} of the last 20 steps in numerical order", "最近 20 步中有 {n} 步按编号顺序访问", scale=20.0),
    "device_turns": _amount("{n} changes of device within 30 minutes", "30 分钟内切换设备 {n} 次"),
    "off_region": _amount("share of customers from other regions up by {n} percentage points", "非本区域客户占比上升 {n} 个百分点", scale=100.0),
    "external_day": _amount("{n} records handed to outsiders today without a work item", "今日无工单向外部提供 {n} 条记录"),
    "searches_day": _amount("{n} searches today without a work item", "今日无工单搜索 {n} 次"),
    "changes_day": _amount("{n} changes or deletions today without a work item", "今日无工单修改或删除 {n} 次"),
    "audit_day": _amount("{n} queries of the audit log today", "今日查询审计日志 {n} 次"),
    "network_turns": _amount("{n} changes of network within 30 minutes", "30 分钟内切换网络 {n} 次"),
    "unexplained_2w": _amount("{n} sensitive accesses within 14 days without a work item", "14 天内无工单访问敏感数据 {n} 次"),
    "subjects_2w": _amount("{n} customers within 14 days without a work item, counted day by day", "14 天内无工单查阅客户 {n} 人次（按日累计）"),
    "slow_rise": _amount("small rises above this account's own usual that add up to {n} deviations", "连日略高于本人平常，累计偏离 {n} 倍标准差"),
    "return_visits": _amount("{n} returns to one customer within 14 days without a work item", "14 天内无工单回访同一客户 {n} 次"),
    "all_subjects_day": _amount("{n} customers today in all", "今日共查阅 {n} 名客户"),
    "all_records_day": _amount("{n} records today in all", "今日共访问 {n} 条记录"),
}  # fmt: skip
"""Every feature that is no comparison with the account's own past."""

AMOUNT_OF: Mapping[str, str] = {
    **{name: name for name in PHRASES},
    **{phrase.own: name for name, phrase in PHRASES.items() if phrase.own},
}
"""Each feature and the one whose phrase tells it."""
assert set(AMOUNT_OF) == set(NAMES)  # noqa: S101  every feature can be told

WEAK_SIGNS = Text("several weak signs together, none of them rare alone", "多个弱信号同时出现，单独看均不罕见")
LOOK = Text("Look at the account's accesses of today and ask for the work behind them.", "查看该账号今日的访问，并要求说明其工作依据。")  # fmt: skip
_CALL = Text("Call the person on a known number: was it them, and are these their place and device?", "通过已知电话联系本人：是否本人操作，地点和设备是否属实？")  # fmt: skip
_SHIFT = Text("Ask the duty manager whether the account's owner was on shift or on call.", "向值班主管确认该账号所有人是否在班或待命。")  # fmt: skip
_TAKEN = Text(
    "Ask the account's manager what the data are for and where they are now.", "向其主管确认数据的用途与去向。"
)
_SCRIPT = Text("Ask whether a script runs under the account; if nobody knows of one, end its session.", "询问是否有脚本使用该账号运行；若无人知晓，终止其会话。")  # fmt: skip
_PERSON = Text(
    "Ask for the reason of each look, without naming the customer.", "逐次询问查看原因，询问时不要提及客户身份。"
)
_PROBE = Text("Ask what was looked for; check whether any of the tries succeeded.", "询问其目的；核查是否有尝试成功。")
_CHANGED = Text("Compare the changed records with the last backup and ask who ordered the change.", "与最近备份比对被改记录，并询问由谁安排更改。")  # fmt: skip
_AUDIT = Text("Have another auditor look at what was asked and for whom.", "由另一名审计员复核查询内容及对象。")
_NEXT_OF_KIND: Mapping[str, Text] = {
    "pause": _CALL, "origin": _CALL, "place": _CALL, "hours": _SHIFT, "export": _TAKEN, "outsiders": _TAKEN,
    "volume": _TAKEN, "rate": _SCRIPT, "order": _SCRIPT, "one customer": _PERSON, "protected customers": _PERSON,
    "searches": _PERSON, "refusals": _PROBE, "changes": _CHANGED, "audit": _AUDIT,
}  # fmt: skip
NEXT_STEPS: Mapping[str, Text] = {name: _NEXT_OF_KIND.get(kind, LOOK) for kind, names in KINDS for name in names}
"""What to do first about each feature, where no rule says it."""


def human_value(name: str, scale: str, value: float) -> float:
    """A feature's value in the unit of its phrase; `scale`: how the feature is kept ("log1p", "exp" or as it is)."""
    plain = math.expm1(value) if scale == "log1p" else math.exp(value) if scale == "exp" else value
    return max(0.0, plain) * PHRASES[name].scale
