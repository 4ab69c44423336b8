"""How truths about panels are counted in plain Python from a history's records: the range, buckets of time, groups.

Below the truths, which are one function a panel, kept here under its board's and its own uid. Rows stand in the order
in which the panel shows them; tokens are hexadecimal digits, times aware UTC times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.panel_history import History, Record, hexed

Row = tuple[Any, ...]
_EPOCH = date(1970, 1, 1)
SEVERITIES = ("", "low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Question:
    """A range, a bucket of time, a zone, whom it is about."""

    since: datetime
    until: datetime
    bucket_s: int
    zone: ZoneInfo
    actor: str = ""
    subject: str = ""

    def holds(self, at: datetime) -> bool:
        """Whether a time lies in the range."""
        return self.since <= at < self.until

    def bucket(self, at: datetime) -> datetime:
        """Begin of the bucket a time lies in, by the clock of the zone."""
        local = at.astimezone(self.zone)
        if self.bucket_s >= 86_400:
            days = (local.date() - _EPOCH).days
            first = _EPOCH + timedelta(days=days - days % (self.bucket_s // 86_400))
            return datetime.combine(first, time(), self.zone).astimezone(UTC)
        offset = local.utcoffset()
        assert offset is not None
        wall_s = int((at.replace(microsecond=0) + offset).timestamp())
        return datetime.fromtimestamp(wall_s - wall_s % self.bucket_s, UTC) - offset


Truth = Callable[[History, Question], Sequence[Row]]
TRUTHS: dict[tuple[str, str], Truth] = {}


def truth_of(board: str, panel: str) -> Callable[[Truth], Truth]:
    """Keeps a function as the truth of a panel."""

    def keep(truth: Truth) -> Truth:
        TRUTHS[board, panel] = truth
        return truth

    return keep


# -- what many of them need


def accesses(h: History, q: Question) -> list[Record]:
    return [
        one for one in h.events
        if q.holds(one["event_time"]) and one["duplicate_of"] < 0
        and not (one["action"] == "log_control" and one["resource_type"] == "heartbeat")
    ]  # fmt: skip


def grouped(rows: Iterable[Record], key: Callable[[Record], Hashable]) -> dict[Any, list[Record]]:
    found: defaultdict[Any, list[Record]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def by(*names: str) -> Callable[[Record], Hashable]:
    return lambda row: tuple(row[name] for name in names)


def persons(rows: Iterable[Record]) -> int:
    return len({subject for row in rows for subject in row["subject_tokens"]})


def different(rows: Iterable[Record], name: str) -> int:
    return len({row[name] for row in rows})


def records(row: Record) -> int:
    return int(min(max(row["records_returned"], row["subject_count"], 0), 10**12))


def count_of(rows: Iterable[Record], name: str, value: Any) -> int:
    return sum(row[name] == value for row in rows)


def unexplained(rows: Iterable[Record]) -> int:
    return count_of(rows, "explained", "not_yet_explained")


def highest_risk(rows: Iterable[Record]) -> float:
    return int(max(row["risk"] for row in rows)) / 100


def first_at(rows: Iterable[Record]) -> datetime:
    times: list[datetime] = [row["event_time"] for row in rows]
    return min(times)


def last_at(rows: Iterable[Record]) -> datetime:
    times: list[datetime] = [row["event_time"] for row in rows]
    return max(times)


def micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def seconds(first: datetime, last: datetime) -> int:
    """Seconds that begin between two times: how `dateDiff` counts."""
    return micros(last) // 1_000_000 - micros(first) // 1_000_000


def median_of(values: Sequence[int]) -> Sequence[Row]:
    return [(sorted(values)[int(len(values) * 0.5)],)] if values else []


def over_time(
    rows: Iterable[Record], q: Question, at: str, name: Callable[[Record], str], value: Callable[[list[Record]], float]
) -> list[Row]:
    groups = grouped(rows, lambda row: (q.bucket(row[at]), name(row)))
    return [(*key, value(groups[key])) for key in sorted(groups)]


def bars(groups: dict[Any, list[Record]], value: Callable[[list[Record]], int], most: int) -> list[Row]:
    rows = [(key, value(group)) for key, group in groups.items()]
    return sorted((row for row in rows if row[1]), key=lambda row: (-row[1], row[0]))[:most]


def by_actor(rows: Iterable[Record]) -> dict[str, list[Record]]:
    return grouped(rows, lambda row: hexed(row["actor_token"]) or "0" * 32)


def approved(row: Record) -> str:
    return "yes" if row["approval_token"] else "no"


def newest(rows: Iterable[Record], most: int) -> list[Record]:
    return sorted(rows, key=lambda row: (-micros(row["event_time"]), uuid_order(row["event_id"])))[:most]


def uuid_order(text: str) -> tuple[int, int]:
    """How the store orders ids: by their second half, then by their first."""
    plain = text.replace("-", "")
    return int(plain[16:], 16), int(plain[:16], 16)


def open_incidents(h: History, q: Question) -> list[Record]:
    return [one for one in h.incidents if one["state"] != "resolved" and one["opened_at"] < q.until]


def entries(h: History, q: Question) -> list[Record]:
    return [one for one in h.entries if q.holds(one["last_received_at"])]
