"""What is not as it should be, as a sentence in English and Chinese.

Place in the flow: said by `accesstrail status`, shown by the console's page of pipeline health. The Chinese is found by
code among `troubles.py`; a code that is not listed there (a newer worker's) is said in English in both languages.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import AccesstrailError, StoreRefused
from pipeline.health.troubles import TROUBLES

# Its words among the troubles are a worker's, which stops a partition; here somebody only asked.
_REFUSED_ZH = "ClickHouse 拒绝查询：权限、表或设置有误。下一步：运行 `accesstrail doctor`。"


@dataclass(frozen=True, slots=True)
class Problem:
    """One sentence in both languages."""

    english: str
    chinese: str


def problem_of(exc: AccesstrailError) -> Problem:
    """An error as a problem: its own message, and in Chinese what its code means and what to do.

    The code `error` says nothing of its own, so the message is shown for it.
    """
    if exc.code == StoreRefused.code:
        return Problem(str(exc), _REFUSED_ZH)
    known = TROUBLES.get(exc.code) if exc.code != AccesstrailError.code else None
    return Problem(str(exc), known.chinese if known else str(exc))


def told(code: str, english: str, place: str) -> str:
    """A code in Chinese with where it is; the English where the code is not known."""
    known = TROUBLES.get(code)
    return f"{known.meaning_zh if known else english}（{code}{place}）"
