"""How strictly looks at evidence are held to somebody, and how many of them one account has a day (promise P6).

Place in the flow: read with the rest of the configuration; asked by `pipeline/cli/looking.py` and `look_quota.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LOOKS_PER_DAY, ROWS_PER_DAY = 20_000, 1_000_000
"""More than anybody's work takes: whoever wants a bound that bites sets one."""
_MOST = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """`looks_need_account`: commands that show evidence are refused without an account and a reason.

    `looks_per_day`, `rows_per_day`: what one account may look at from midnight to midnight; 0: no limit.
    """

    looks_need_account: bool = False
    looks_per_day: int = LOOKS_PER_DAY
    rows_per_day: int = ROWS_PER_DAY


def audit_settings(
    flag: Callable[[str, str], bool], whole: Callable[[str, str, int, int, int], int]
) -> AuditSettings:  # fmt: skip
    """Reads the section [audit]; faults are the caller's."""
    return AuditSettings(
        looks_need_account=flag("audit", "looks_need_account"),
        looks_per_day=whole("audit", "looks_per_day", LOOKS_PER_DAY, 0, _MOST),
        rows_per_day=whole("audit", "rows_per_day", ROWS_PER_DAY, 0, _MOST),
    )
