"""What a viewer asks a board for: a range, a zone, who it is about; checked once, for every surface alike.

Place in the flow: the console and `accesstrail dashboards show` make an `Asked` of what was typed or clicked and bind
its values on the server. Pure. Faults name the parameter, never what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dashboards.panels.panel import Board
from pipeline.errors import UsageError
from pipeline.time_zones import TimeZones

LONGEST_RANGE = timedelta(days=3 * 366)
_BUCKETS_S = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 28 * 86_400)
MOST_BUCKETS = 120
_TOKEN = re.compile(r"[0-9a-f]{32}")
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """A range of aware times [since, until), the IANA zone whose days and hours count, parameters by name."""

    since: datetime
    until: datetime
    zone: str = "UTC"
    parameters: Mapping[str, str] = field(default_factory=dict)


def newest(board: Board, now: datetime, zone: str = "UTC", parameters: Mapping[str, str] | None = None) -> Asked:
    """The range a board shows at first, up to now."""
    return Asked(now - timedelta(seconds=board.range_s), now, zone, parameters or {})


def bucket_s(range_s: float, most: int = MOST_BUCKETS) -> int:
    """The narrowest bucket of a readable width that makes at most `most` of a range, seconds.

    >>> bucket_s(3600), bucket_s(86_400), bucket_s(30 * 86_400)
    (60, 900, 21600)
    """
    return next((width for width in _BUCKETS_S if range_s <= width * most), _BUCKETS_S[-1])


def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises: UsageError: there is none."""
    try:
        return TimeZones().zone(name)
    except ZoneInfoNotFoundError:
        raise UsageError("there is no such time zone: give an IANA name, e.g. Asia/Shanghai") from None


def values_of(board: Board, asked: Asked, most_buckets: int = MOST_BUCKETS) -> dict[str, object]:
    """Values of all parameters that the board's panels use, as the server reads them.

    Raises: UsageError: an empty, naive or endless range, an unknown zone, an unknown parameter, what is no token.
    """
    if asked.since.tzinfo is None or asked.until.tzinfo is None:
        raise UsageError("a range needs times with a time zone")
    if not timedelta() < asked.until - asked.since <= LONGEST_RANGE:
        raise UsageError(f"a range ends after it begins and is at most {LONGEST_RANGE.days} days long")
    zone_of(asked.zone)
    unknown = set(asked.parameters) - {given.name for given in board.parameters}
    if unknown:
        raise UsageError(f"the board {board.uid} has no such parameter")
    values: dict[str, object] = {
        "since": _instant(asked.since), "until": _instant(asked.until), "zone": asked.zone,
        "bucket_s": bucket_s((asked.until - asked.since).total_seconds(), most_buckets),
    }  # fmt: skip
    for given in board.parameters:
        text = asked.parameters.get(given.name, given.default).strip()
        values[given.name] = _token(given.name, text) if given.unit == "token" else _short(given.name, text)
    return values


def _instant(moment: datetime) -> str:
    """As `DateTime64(3, 'UTC')` is written: to the millisecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _token(name: str, text: str) -> str:
    token = text.lower().replace("-", "")
    if token and not _TOKEN.fullmatch(token):
        raise UsageError(f"{name} is a token of 32 hexadecimal digits, as rows of other panels show it")
    return token


def _short(name: str, text: str) -> str:
    if len(text) > _LONGEST_TEXT:
        raise UsageError(f"{name} is longer than {_LONGEST_TEXT} characters")
    return text
