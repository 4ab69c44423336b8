"""Sentences of the incident commands in English and Chinese.

Place in the flow: below `incidents.py` and what belongs to it; single words are in `pipeline/incidents/words.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.incidents.words import word

SAID: Mapping[str, tuple[str, str]] = {
    "done": ("done: {0}", "完成：{0}"),
    "unchanged": ("nothing changed: {0}", "无变化：{0}"),
    "refused": ("refused: {0}", "被拒绝：{0}"),
    "queued": (
        "it is queued: nobody has handled it within {0} s; `accesstrail incidents show {1}` tells when it is",
        "已排队：{0} 秒内尚无处理；可用 `accesstrail incidents show {1}` 查看结果",
    ),
    "state_now": ("incident {0} is {1}", "事件 {0} 当前状态：{1}"),
    "nothing": ("no incident", "没有事件"),
}
"""Sentences with places."""


def said(name: str, language: str, *values: object) -> str:
    """One sentence."""
    return word(SAID, name, language).format(*values)
