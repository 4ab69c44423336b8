"""Titles of what evidence names by a code: detectors, reasons, kinds of features, deliveries; English and Chinese.

Place in the flow: asked by templates (`coded`) and by `panel_view.py`. Titles stand where the thing itself is defined
(rules, scheduled detectors, features, words of deliveries); here they are only found. A code without a title (a newer
worker's) is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from detectors.base import EXCEPTION_CODE, MODEL_DETECTOR
from detectors.features import FEATURES
from detectors.rules import all_rules
from detectors.rules.rule import Text
from detectors.scheduled import SCHEDULED
from pipeline.health.troubles import TROUBLES
from pipeline.notifications.code_words import CODE_WORDS
from pipeline.reading import STORE_REJECTED
from pipeline.stages.decode import REASONS
from pipeline.stages.reason_words import GAP_WORDS, REASONS_ZH

_RULE, _FEATURE, _SYSTEM, _SCHEDULED = "rule:", "feature:", "system:", "scheduled:"

DETECTORS: Mapping[str, Text] = {
    MODEL_DETECTOR: Text("unusual behaviour (model)", "行为异常（模型）"),
    **{one.name: one.title for one in all_rules()},
    **{one.name: Text(one.title.en, one.title.zh) for one in SCHEDULED},
}
"""Every detector that can raise an alert, by name."""
FEATURE_TITLES: Mapping[str, Text] = {one.name: Text(one.title_en, one.title_zh) for one in FEATURES}
KINDS: Mapping[str, Text] = {
    "hours": Text("time of day", "活动时段"), "pause": Text("long pause", "长期未使用"),
    "volume": Text("volume", "数据量"),
    "export": Text("export", "导出"), "rate": Text("rate", "频率"), "order": Text("order of ids", "编号顺序"),
    "breadth": Text("breadth", "涉及面"), "clear text": Text("clear text", "明文"),
    "unexplained": Text("without a work item", "无工单"),
    "one customer": Text("one customer again and again", "反复查看同一客户"),
    "protected customers": Text("protected customers", "受保护客户"), "slow rise": Text("slow rise", "缓慢上升"),
    "origin": Text("device or network", "设备或网络"), "place": Text("place", "地点"),
    "habit": Text("rarely used", "少见操作"),
    "region": Text("another region", "跨区域"), "refusals": Text("refusals", "被拒访问"),
    "outsiders": Text("outside recipients", "外部接收方"), "searches": Text("searches", "检索"),
    "changes": Text("changes", "修改"), "audit": Text("audit queries", "审计查询"),
}  # fmt: skip
"""Kinds of features, as exceptions name them."""
_STAGES: Mapping[str, Text] = {
    "provisional": Text("provisional: its window still runs", "暂定：统计窗口尚未结束"),
    "withdrawn": Text("taken back", "已撤回"),
    "final": Text("final", "最终"),
}
DELIVERED: Mapping[str, Text] = {
    "trigger": Text("message", "消息"), "update": Text("update", "更新"), "acknowledge": Text("acknowledged", "确认"),
    "resolve": Text("closed", "关闭"), "contain": Text("containment", "遏制"), "test": Text("test", "测试"),
    "digest": Text("digest", "摘要"), "alarm": Text("alarm of the system", "系统告警"),
    "delivered": Text("delivered", "已送达"), "retry": Text("is tried again", "将重试"),
    "refused": Text("given up", "已放弃"), "skipped": Text("not needed", "无需发送"),
}  # fmt: skip
"""What a message is about, and how an attempt ended."""
DEAD_LETTERS: Mapping[str, Text] = {
    **{code: Text(said, REASONS_ZH.get(code, said)) for code, said in REASONS.items()},
    **{code: Text(*said) for code, said in GAP_WORDS.items()},
    STORE_REJECTED: Text(
        "ClickHouse refused the row because of its content; the record is kept, encrypted",
        "ClickHouse 因内容拒绝了该行；记录已加密保存",
    ),
}
"""Why a record is no event, and why records are missing."""


def title_of(code: str) -> Text | None:
    """The title of a detector or a reason; None: there is none.

    >>> title_of("feature:denied_10m").en, title_of("rule:mass_unmask").zh, title_of("nothing")
    ('many refused accesses within ten minutes', '无工单的大量明文查看', None)
    """
    if code.startswith(EXCEPTION_CODE):
        name = code.removeprefix(EXCEPTION_CODE)
        return Text(f"held back by exception {name}", f"因例外 {name} 未告警")
    if code.startswith(_SYSTEM) and code.removeprefix(_SYSTEM) in TROUBLES:
        trouble = TROUBLES[code.removeprefix(_SYSTEM)]
        return Text(trouble.meaning, trouble.meaning_zh)
    if code.startswith(_FEATURE):
        return FEATURE_TITLES.get(code.removeprefix(_FEATURE))
    if code.startswith(_SCHEDULED):
        name = code.removeprefix(_SCHEDULED)
        return _STAGES.get(name) or DETECTORS.get(name)
    return DETECTORS.get(code.removeprefix(_RULE))


def titled(kind: str, code: str) -> Text:
    """The title of a code of a kind (detector, feature, dead_letter, …); the code itself where there is none."""
    if kind == "feature":
        found = FEATURE_TITLES.get(code)
    elif kind == "kind":
        found = KINDS.get(code)
    elif kind == "stage":
        found = _STAGES.get(code)
    elif kind == "delivery":
        found = DELIVERED.get(code)
    elif kind == "dead_letter":
        found = DEAD_LETTERS.get(code)
    elif kind == "sent":
        found = Text(*CODE_WORDS[code]) if code in CODE_WORDS else None
    else:
        found = title_of(code)
    return found or Text(code, code)
