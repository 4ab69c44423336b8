"""Searching the log of accesses, as the database role reader: which accesses answer a question, newest first.

Place in the flow: beside it; used by the console and its exports. Statements are our own text; every value is a typed
parameter that the server puts in. Asked twice: first which positions answer (few columns), then what stands at them;
one question for both would read every column of every access of the period. Evidence lies by day, so the newest day is
asked first, then four, sixteen, sixty-four days before it, until a page is full: no day is read twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.adapters.clickhouse import connect
from pipeline.adapters.reader_pool import Questions
from pipeline.audit.search import ROW_FIELDS, AccessPage, AccessRow, Cursor, Question, checked, page_of
from pipeline.columns import NO_TOKEN
from pipeline.config import ClickHouseSettings
from pipeline.same_person import any_of, tokens_in

SHOWN_SUBJECTS = 20
_DAY_US, _GROWTH = 86_400_000_000, 4
_BY_SUBJECT = "subject_access"
# Days and accounts together are the order in which evidence lies: only their granules are read.
_PAIRS = (
    "SELECT toDate(pair.1), toFixedString(unhex(pair.2), 16) FROM "
    "(SELECT arrayJoin(arrayZip({days:Array(Int32)}, {actors:Array(String)})) AS pair)"
)
_NO_TOKEN = NO_TOKEN.hex()
_PLACE = "topic, incarnation, partition, offset"
_NEWEST_FIRST = "event_time DESC, topic DESC, incarnation DESC, partition DESC, offset DESC"
_MOMENT = "fromUnixTimestamp64Micro({{{name}:Int64}}, 'UTC')"
_SPECIAL: Mapping[str, str] = {
    "event_time_us": "toUnixTimestamp64Micro(event_time)",
    "received_us": "toUnixTimestamp64Micro(received_at)",
    "event_id": "toString(event_id)",
    "subject_tokens": f"arrayMap(one -> lower(hex(one)), arraySlice(subject_tokens, 1, {SHOWN_SUBJECTS}))",
    "is_duplicate": "duplicate_of >= 0",
}
_WORDS = frozenset(
    ("actor_type", "action", "outcome", "channel", "explained", "network_kind", "score_status")
)  # fmt: skip


def _expression(name: str) -> str:
    if name in _SPECIAL:
        return _SPECIAL[name]
    if name.endswith("_token"):
        return f"lower(hex({name}))"
    return f"toString({name})" if name in _WORDS else name


_SELECTED = ", ".join(f"{_expression(name)} AS said_{name}" for name in ROW_FIELDS)


def moment(name: str) -> str:
    """A parameter of microseconds as the server's time."""
    return _MOMENT.format(name=name)


def windows(from_us: int, until_us: int, *, is_whole: bool = False) -> Iterator[tuple[int, int]]:
    """The period cut into pieces that grow, the newest first, each [from, until) in microseconds.

    >>> list(windows(0, 7 * 86_400_000_000))[0] == (6 * 86_400_000_000, 7 * 86_400_000_000)
    True
    """
    span_us = until_us - from_us if is_whole else _DAY_US
    while until_us > from_us:
        begin_us = max(from_us, until_us - span_us)
        yield begin_us, until_us
        until_us, span_us = begin_us, span_us * _GROWTH


class AccessReader:
    """Questions to the log of accesses on one connection; every method may raise Away or StoreRefused."""

    def __init__(self, reader: Questions) -> None:
        self._reader = reader

    def close(self) -> None:
        """Ends the connection."""
        self._reader.close()

    def found(self, question: Question, limit: int, after: Cursor | None = None) -> AccessPage:
        """The accesses that answer, newest first, at most `limit`; `after`: where the page before ended.

        Raises: UsageError: the question cannot be asked.
        """
        places = self._places(checked(question), limit + 1, after)
        at = {place.cursor: place for place in self._rows(question.tenant, places)}
        rows = [at[Cursor(*place[1:])] for place in places if Cursor(*place[1:]) in at]
        return page_of(rows, limit)

    def _places(self, question: Question, limit: int, after: Cursor | None) -> list[tuple[Any, ...]]:
        """Actor token and position of each, in order."""
        view, conditions, given = _asked(question)
        newest_us = question.until_us if after is None else min(question.until_us, after.event_time_us + 1)
        found: list[tuple[Any, ...]] = []
        for from_us, until_us in windows(question.from_us, newest_us, is_whole=view == _BY_SUBJECT):
            period = {"from_us": from_us, "until_us": until_us}
            found += self._within(view, list(conditions), {**given, **period}, limit - len(found), after)
            if len(found) >= limit:
                break
        return found

    def _within(
        self, view: str, conditions: list[str], given: dict[str, object], limit: int, after: Cursor | None
    ) -> list[tuple[Any, ...]]:
        """The same of one window of time."""
        if after is not None:
            conditions.append(
                f"(event_time, {_PLACE}) < ({moment('after_us')}, "
                "{after_topic:String}, {after_life:String}, {after_partition:UInt32}, {after_offset:UInt64})"
            )
            given |= {
                "after_us": after.event_time_us, "after_topic": after.topic, "after_life": after.incarnation,
                "after_partition": after.partition, "after_offset": after.offset,
            }  # fmt: skip
        sql = (
            f"SELECT lower(hex(actor_token)), toUnixTimestamp64Micro(event_time), {_PLACE} FROM accesstrail.{view} "
            f"WHERE {' AND '.join(conditions)} ORDER BY {_NEWEST_FIRST} LIMIT 1 BY {_PLACE} LIMIT {{limit:UInt64}}"
        )
        return [tuple(row) for row in self._reader.query(sql, {**given, "limit": limit})]

    def _rows(self, tenant: str, places: Sequence[tuple[Any, ...]]) -> Iterator[AccessRow]:
        """What stands at the positions, and perhaps others with the same offsets in other partitions."""
        if not places:
            return
        sql = (
            f"SELECT {_SELECTED} FROM accesstrail.access_events WHERE tenant_id = {{tenant:String}} "
            f"AND event_time >= {moment('since')} AND event_time <= {moment('until')} "
            f"AND (toDate(event_time), actor_token) IN ({_PAIRS}) AND offset IN {{offsets:Array(UInt64)}}"
        )
        times = [place[1] for place in places]
        pairs = sorted({(place[1] // _DAY_US, place[0]) for place in places})
        given = {
            "tenant": tenant, "since": min(times), "until": max(times), "days": [day for day, _ in pairs],
            "actors": [actor for _, actor in pairs], "offsets": sorted({place[-1] for place in places}),
        }  # fmt: skip
        for row in self._reader.query(sql, given):
            yield _access(row)


def _asked(question: Question) -> tuple[str, list[str], dict[str, object]]:
    """The view that knows it, conditions on it, and their parameters."""
    # The table by subject is sorted for them, but it knows neither cases nor resources.
    by_subject = bool(question.subjects) and not question.cases and not question.resources
    conditions = [
        "tenant_id = {tenant:String}",
        f"event_time >= {moment('from_us')}",
        f"event_time < {moment('until_us')}",
    ]
    given: dict[str, object] = {
        "tenant": question.tenant, "from_us": question.from_us, "until_us": question.until_us,
    }  # fmt: skip
    for kind, tokens in question.tokens().items():
        given[f"{kind}_tokens"] = list(tokens)
        if kind == "subject" and not by_subject:
            conditions.append(any_of("subject_tokens", "subject_tokens"))
        else:
            conditions.append(tokens_in(f"{kind}_token", f"{kind}_tokens"))
    for name, column in (("actions", "action"), ("outcomes", "outcome"), ("explained", "explained")):
        words = getattr(question, name)
        if words:
            conditions.append(f"toString({column}) IN {{{name}:Array(String)}}")
            given[name] = list(words)
    for name in ("purpose", "resource_type"):
        if getattr(question, name):
            conditions.append(f"{name} = {{{name}:String}}")
            given[name] = getattr(question, name)
    if question.least_risk:
        conditions.append("risk >= {least_risk:UInt16}")
        given["least_risk"] = question.least_risk
    return _BY_SUBJECT if by_subject else "access_events", conditions, given


def _access(row: Sequence[Any]) -> AccessRow:
    named = dict(zip(ROW_FIELDS, row, strict=True))
    absent = {name: "" for name, value in named.items() if name.endswith("_token") and value == _NO_TOKEN}
    return AccessRow(**named | absent | {"is_duplicate": bool(named["is_duplicate"])})


def open_access_reader(settings: ClickHouseSettings) -> AccessReader:
    """Questions as the role reader, with a connection of its own."""
    return AccessReader(connect(settings, "reader"))
