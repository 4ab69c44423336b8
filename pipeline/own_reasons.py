"""Reasons that accesstrail itself writes where a person would give theirs, and how they are said in Chinese.

Place in the flow: below everything that records such a reason (activation log, account changes, access events). The
record keeps the English text: it is evidence and stays as it is. Pages ask `in_chinese` when they show it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

FIRST_SET = "the first version set of this deployment"
FILES_CHANGED = "the configured files have changed"
FIRST_ACCOUNT = "first account, by the console's one-time link"
REVOKED_BY_OWNER = "revoked by its owner in the console"
_NIGHTLY = "alert budget, night after {0}"
_UNUSABLE = "activation {0} cannot be used by this version of accesstrail ({1})"


def nightly_budget(day: str) -> str:
    """Why the nightly turn changed a threshold: `day` is the last day it looked at, YYYY-MM-DD."""
    return _NIGHTLY.format(day)


def unusable_activation(number: int, code: str) -> str:
    """Why another set was put in force instead of one that this version cannot use."""
    return _UNUSABLE.format(number, code)


_WHOLE: Mapping[str, str] = {
    FIRST_SET: "本部署的首个版本集",
    FILES_CHANGED: "配置的文件有变更",
    FIRST_ACCOUNT: "首个账户，由控制台一次性链接建立",
    REVOKED_BY_OWNER: "由所有者在控制台吊销",
}


def _with(text: str, *parts: str) -> re.Pattern[str]:
    """Finds a text and what stands in its places; `parts`: what may stand there, as expressions."""
    return re.compile(re.escape(text).replace(r"\{", "{").replace(r"\}", "}").format(*(f"({one})" for one in parts)))


_WITH_PARTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (_with(_NIGHTLY, r"\d{4}-\d{2}-\d{2}"), "告警预算，{0} 当夜"),
    (_with(_UNUSABLE, r"\d+", r"\w+"), "本版本的 accesstrail 无法使用第 {0} 号启用记录（{1}）"),
)


def in_chinese(reason: str) -> str:
    """A reason in Chinese where accesstrail wrote it; what a person wrote stays as it is.

    >>> in_chinese("the configured files have changed"), in_chinese("asked by legal")
    ('配置的文件有变更', 'asked by legal')
    """
    if reason in _WHOLE:
        return _WHOLE[reason]
    for pattern, words in _WITH_PARTS:
        found = pattern.fullmatch(reason)
        if found is not None:
            return words.format(*found.groups())
    return reason
