"""Words of incidents in English and Chinese, for commands and pages that people read.

Place in the flow: beside the engine; asked by `accesstrail incidents` and by the console. A word that is not known here
is shown as its code, so that a newer engine's log can still be read.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.incidents.decision import CODES, NO_CHANGE, REFUSED
from pipeline.incidents.records import UNREADABLE

LANGUAGES = ("en", "zh")

STATES: Mapping[str, tuple[str, str]] = {
    "open": ("open", "未处理"),
    "acknowledged": ("acknowledged", "已确认"),
    "assigned": ("assigned", "已指派"),
    "contained": ("contained", "已遏制"),
    "resolved": ("resolved", "已关闭"),
}
SEVERITIES: Mapping[str, tuple[str, str]] = {
    "low": ("low", "低"), "medium": ("medium", "中"), "high": ("high", "高"), "critical": ("critical", "严重"),
}  # fmt: skip
VERDICTS: Mapping[str, tuple[str, str]] = {
    "true_positive": ("true positive", "属实"),
    "benign": ("benign", "正常行为"),
    "false_positive": ("false positive", "误报"),
    "test": ("test", "测试"),
}
TRANSITIONS: Mapping[str, tuple[str, str]] = {
    "opened": ("opened", "已开启"),
    "joined": ("one alert more", "新增告警"),
    "updated": ("an alert was brought up to date", "告警已更新"),
    "withdrawn": ("an alert was taken back", "告警已撤回"),
    "acknowledged": ("acknowledged", "已确认"),
    "assigned": ("assigned", "已指派"),
    "commented": ("remark", "已备注"),
    "graded": ("graded anew", "已重新定级"),
    "contain_asked": ("containment asked for", "已请求遏制"),
    "contained": ("contained", "已遏制"),
    "contain_failed": ("containment failed", "遏制失败"),
    "resolved": ("resolved", "已关闭"),
    "reopened": ("reopened", "已重新打开"),
    "linked": ("linked", "已关联"),
    "unlinked": ("unlinked", "已取消关联"),
    "absorbed": ("another incident was merged into it", "已并入另一事件"),
    "merged": ("merged into another incident", "已并入主事件"),
    "released": ("stands alone again", "已脱离主事件"),
    "breach_suspected": ("a breach is suspected", "已标记疑似泄露"),
    "breach_step": ("step of the breach", "泄露处置步骤"),
    "ticked": ("a timer ran", "定时处理"),
    REFUSED: ("refused", "被拒绝"),
    NO_CHANGE: ("nothing changed", "无变化"),
}


def word(words: Mapping[str, tuple[str, str]], name: str, language: str) -> str:
    """The word of a name, the name itself where there is none."""
    return words.get(name, (name, name))[LANGUAGES.index(language)]


def why_not(code: str, language: str) -> str:
    """Why a record changed nothing."""
    if code in UNREADABLE:
        return UNREADABLE[code]
    return word(CODES, code, language)
