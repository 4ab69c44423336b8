"""How often and how much one account may look at evidence in a day; beyond that it is refused, whatever its roles.

Place in the flow: asked before a question about evidence runs, and again when its rows are known and before they are
shown. What an account has looked at is what the log itself says: the events of `reads.py`. Data minimisation, and a
bound on what one stolen account can carry away (PIPL art. 51, MLPS 8.1.4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pipeline.errors import Forbidden

LOOK_QUOTA = "look_quota"


@dataclass(frozen=True, slots=True)
class Used:
    """What an account has looked at today."""

    looks: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Looks and rows a day of each account; 0: no limit."""

    looks_per_day: int
    rows_per_day: int

    @property
    def is_unlimited(self) -> bool:
        """Whether nothing need be counted."""
        return not self.looks_per_day and not self.rows_per_day

    def check(self, used: Used, rows: int = 0) -> None:
        """`rows`: what is about to be shown; 0 while that is not known. Raises: Forbidden `look_quota`."""
        if self.looks_per_day and used.looks >= self.looks_per_day:
            raise _refusal(f"you have looked at evidence {used.looks:,} times today", "looks_per_day")
        if self.rows_per_day and (used.rows >= self.rows_per_day or used.rows + rows > self.rows_per_day):
            left = max(0, self.rows_per_day - used.rows)
            raise _refusal(f"{left:,} rows of evidence are left to you today", "rows_per_day")


def _refusal(words: str, setting: str) -> Forbidden:
    return Forbidden(
        f"{words}, and [audit] {setting} allows no more: ask for less, go on tomorrow, or have the limit raised by "
        "whoever keeps the configuration",
        code=LOOK_QUOTA,
    )


def day_begin_us(at_us: int, zone: str) -> int:
    """When the day of a moment began, by the clocks of a zone.

    >>> day_begin_us(1_790_000_000_000_000, "Asia/Shanghai")  # 2026-09-21, 22:13 there
    1789920000000000
    """
    moment = datetime.fromtimestamp(at_us / 1_000_000, UTC).astimezone(ZoneInfo(zone))
    return round(moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1_000_000)
