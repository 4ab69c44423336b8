"""Searching the log of accesses, as the database role reader: which accesses answer a question, newest first.

Place in the flow: beside it; used by the console and its exports. Statements are our own text; every value is a typed
parameter that the server puts in. Asked twice: first which positions answer (few columns), then what stands at them;
one question for both would read every column of every access of the period. Evidence lies by day, so the newest day is
asked first, then four, sixteen, sixty-four days before it, until a page is full: no day is read twice.

Words that are looked for never leave this process: the different texts of a window come here, and the digests of those
that hold the words go back. A question for a data subject goes through the accesses themselves instead, which are few.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline.adapters.access_conditions import (
    BY_SUBJECT,
    FINAL,
    PLACE,
    Conditions,
    conditions_of,
    is_by_subject,
    moment,
)
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.person_tokens import every_token
from pipeline.adapters.reader_pool import Questions
from pipeline.audit.search import (
    BRIEF_FIELDS,
    MOST_ROWS,
    ROW_FIELDS,
    AccessBrief,
    AccessPage,
    AccessRow,
    Cursor,
    Question,
    checked,
    page_of,
)
from pipeline.audit.text_search import holds, words_of
from pipeline.columns import NO_TOKEN
from pipeline.config import ClickHouseSettings

_Place = tuple[Any, ...]
"""Actor token (hex), event time, topic, incarnation, partition, offset: where evidence lies, as a question finds it."""
SHOWN_SUBJECTS = 20
MOST_TEXTS = 50_000
"""Different texts looked through at once; of a window with more of them each half is asked for itself."""
_MOST_ENTRIES, _COUNT_HOLDS_S = 100_000, 60.0
_DAY_US, _GROWTH, _SHORTEST_US = 86_400_000_000, 4, 1_000_000
# Days and accounts together are the order in which evidence lies: only their granules are read.
_PAIRS = (
    "SELECT toDate(pair.1), toFixedString(unhex(pair.2), 16) FROM "
    "(SELECT arrayJoin(arrayZip({days:Array(Int32)}, {actors:Array(String)})) AS pair)"
)
_NO_TOKEN = NO_TOKEN.hex()
_NEWEST_FIRST = "event_time DESC, topic DESC, incarnation DESC, partition DESC, offset DESC"
_TEXTS = "justification, toString(denial_reason)"
_WRITTEN = "(justification != '' OR denial_reason != '')"
_HELD = f"sipHash64({_TEXTS}) IN {{digests:Array(UInt64)}}"
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


_STORED = tuple(name for name in ROW_FIELDS if name != "verdict")
_SELECTED = ", ".join(f"{_expression(name)} AS said_{name}" for name in _STORED)
_STORED_BRIEF = tuple(name for name in BRIEF_FIELDS if name != "verdict")
_BRIEF = ", ".join(f"{_expression(name)} AS said_{name}" for name in _STORED_BRIEF)
_WHERE = f"lower(hex(actor_token)), toUnixTimestamp64Micro(event_time), {PLACE}"
_BEHIND = (
    f"(event_time, {PLACE}) < ({moment('after_us')}, "
    "{after_topic:String}, {after_life:String}, {after_partition:UInt32}, {after_offset:UInt64})"
)
_VERDICTS = (
    f"SELECT {PLACE}, verdict FROM accesstrail.access_explanations WHERE tenant_id = {{tenant:String}} "
    f"AND event_time >= {moment('since')} AND event_time <= {moment('until')} AND topic IN {{topics:Array(String)}} "
    "AND incarnation IN {lives:Array(String)} AND partition IN {partitions:Array(UInt32)} "
    "AND offset IN {offsets:Array(UInt64)}"
)


def windows(
    from_us: int, until_us: int, *, is_whole: bool = False, ahead_us: int | None = None
) -> Iterator[tuple[int, int]]:
    """The period cut into pieces that grow, the newest first, each [from, until) in microseconds.

    `ahead_us`: what lies behind it, where hardly anything can be, is one piece of its own.

    >>> list(windows(0, 7 * 86_400_000_000))[0] == (6 * 86_400_000_000, 7 * 86_400_000_000)
    True
    """
    span_us = until_us - from_us if is_whole else _DAY_US
    if ahead_us is not None and from_us < ahead_us < until_us and not is_whole:
        yield ahead_us, until_us
        until_us = ahead_us
    while until_us > from_us:
        begin_us = max(from_us, until_us - span_us)
        yield begin_us, until_us
        until_us, span_us = begin_us, span_us * _GROWTH


def is_listed(question: Question) -> bool:
    """Whether the table by subject knows everything that a question asks for."""
    return is_by_subject(question) and not question.text and not question.explained


class AccessReader:
    """Questions to the log of accesses on one connection; every method may raise Away or StoreRefused."""

    def __init__(self, reader: Questions) -> None:
        self._reader = reader
        self._entries, self._counted_s = 0, -_COUNT_HOLDS_S

    def close(self) -> None:
        """Ends the connection."""
        self._reader.close()

    def found(self, question: Question, limit: int, after: Cursor | None = None) -> AccessPage:
        """The accesses that answer, newest first, at most `limit`; `after`: where the page before ended.

        Raises: UsageError: the question cannot be asked.
        """
        checked(question)
        if is_by_subject(question) and not is_listed(question):
            return self._sifted(question, limit, after)
        return page_of(self._in_order(question.tenant, self._places(question, limit + 1, after)), limit)

    def _in_order(self, tenant: str, places: Sequence[_Place]) -> list[AccessRow]:
        """The accesses at the places, in their order."""
        at = {row.cursor: row for row in self._rows(tenant, places)}
        return [at[cursor] for _, *place in places if (cursor := Cursor(*place)) in at]

    def listed(self, question: Question, limit: int, *, with_verdicts: bool = False) -> Sequence[AccessBrief]:
        """The newest accesses to a subject as the table by subject has them: a fraction of the time of `found`.

        `with_verdicts`: also what is said for good, for which another table is read all over; else "" each.

        Raises: UsageError: the question cannot be asked; ValueError: this table does not answer it.
        """
        if not is_listed(checked(question)):
            raise ValueError("the table by subject does not answer this")
        asked, period = self._asked(question), (question.from_us, question.until_us)
        return self._briefs(asked, period, limit, question.tenant if with_verdicts else "")

    def _briefs(self, asked: Conditions, period: tuple[int, int], limit: int, judged_in: str) -> list[AccessBrief]:
        """What the table by subject has; `judged_in`: the tenant whose verdicts are shown, "" for none."""
        rows = [dict(zip(_STORED_BRIEF, row, strict=True)) for row in self._newest(_BRIEF, asked, period, limit)]
        verdicts = self._verdicts(judged_in, rows) if judged_in else {}
        return [AccessBrief(**row, verdict=verdicts.get(_place_of(row), "")) for row in rows]

    def _sifted(self, question: Question, limit: int, after: Cursor | None) -> AccessPage:
        """Of all accesses to a subject those that are explained as asked and hold the words."""
        words, found = words_of(question.text), list[_Place]()
        every, period = self._asked(replace(question, explained=())), (question.from_us, question.until_us)
        judged_in = question.tenant if question.explained else ""
        while len(found) <= limit:
            page = self._briefs(_behind(every, after), period, MOST_ROWS, judged_in)
            kept = [
                (one.actor_token, *one.cursor) for one in page
                if not question.explained or one.said in question.explained
            ]  # fmt: skip
            found += self._of_words(question.tenant, kept, words) if words else kept
            if len(page) < MOST_ROWS:
                break
            after = page[-1].cursor
        return page_of(self._in_order(question.tenant, found[: limit + 1]), limit)

    def _of_words(self, tenant: str, places: Sequence[_Place], words: Sequence[str]) -> list[_Place]:
        """Those places whose texts hold the words."""
        columns = f"toUnixTimestamp64Micro(event_time), {PLACE}, {_TEXTS}"
        written = self._standing(columns, tenant, places, f" AND {_WRITTEN}")
        held = {tuple(place) for *place, justification, denial in written if holds(words, justification, denial)}
        return [place for place in places if place[1:] in held]

    def _asked(self, question: Question) -> Conditions:
        """A question's conditions, with all tokens of whom it names."""
        tokens = every_token(self._reader, question.tokens())
        named: dict[str, Any] = {f"{kind}s": every for kind, every in tokens.items()}
        return conditions_of(replace(question, **named))

    def _newest(
        self, columns: str, asked: Conditions, period: tuple[int, int], limit: int
    ) -> Sequence[tuple[Any, ...]]:
        """Columns of what answers within a period, the newest first, each access once."""
        sql = (
            f"SELECT {columns} FROM accesstrail.{asked.view} WHERE {' AND '.join(asked.conditions)} "
            f"ORDER BY {_NEWEST_FIRST} LIMIT 1 BY {PLACE} LIMIT {{limit:UInt64}}"
        )
        given = {**asked.given, "from_us": period[0], "until_us": period[1], "limit": limit}
        return self._reader.query(sql, given, self._join_settings() if asked.view == BY_SUBJECT else None)

    def _join_settings(self) -> Mapping[str, object]:
        """What a question to the table by subject is asked with.

        The server keeps the smaller side of its join in memory. It guesses that few rows of a subject stay, and keeps a
        popular one's many columns rather than a small ledger's numbers: 85 instead of 35 ms. With a large ledger its
        order is the better one.
        """
        if time.monotonic() > self._counted_s + _COUNT_HOLDS_S:
            self._entries = int(self._reader.query("SELECT count() FROM accesstrail.ledger")[0][0])
            self._counted_s = time.monotonic()
        return {"query_plan_optimize_join_order_limit": 0} if self._entries <= _MOST_ENTRIES else {}

    def _places(self, question: Question, limit: int, after: Cursor | None) -> list[_Place]:
        """Where each lies, in order."""
        asked, words = _behind(self._asked(question), after), words_of(question.text)
        newest_us = question.until_us if after is None else min(question.until_us, after.event_time_us + 1)
        tomorrow_us = time.time_ns() // 1000 + _DAY_US
        found: list[_Place] = []
        for window in windows(question.from_us, newest_us, is_whole=asked.view == BY_SUBJECT, ahead_us=tomorrow_us):
            left = limit - len(found)
            found += self._holding(words, asked, window, left) if words else self._within(asked, window, left)
            if len(found) >= limit:
                break
        return found

    def _holding(self, words: Sequence[str], asked: Conditions, window: tuple[int, int], limit: int) -> list[_Place]:
        """What answers within one window and holds the words."""
        from_us, until_us = window
        is_divisible = until_us - from_us > _SHORTEST_US
        sql = (
            f"SELECT DISTINCT sipHash64({_TEXTS}), {_TEXTS} FROM accesstrail.{asked.view} "
            f"WHERE {' AND '.join((*asked.conditions, _WRITTEN))} LIMIT {{most:UInt64}}"
        )
        given = {**asked.given, "from_us": from_us, "until_us": until_us}
        texts = self._reader.query(sql, {**given, "most": MOST_TEXTS + 1 if is_divisible else 2**32})
        if len(texts) > MOST_TEXTS and is_divisible:
            middle_us = (from_us + until_us) // 2
            newer = self._holding(words, asked, (middle_us, until_us), limit)
            if len(newer) >= limit:
                return newer
            return newer + self._holding(words, asked, (from_us, middle_us), limit - len(newer))
        digests = [digest for digest, *written in texts if holds(words, *written)]
        if not digests:
            return []
        held = asked._replace(conditions=[*asked.conditions, _HELD], given={**asked.given, "digests": digests})
        return self._within(held, window, limit)

    def _within(self, asked: Conditions, window: tuple[int, int], limit: int) -> list[_Place]:
        """What answers within one window of time."""
        return [tuple(row) for row in self._newest(_WHERE, asked, window, limit)]

    def _rows(self, tenant: str, places: Sequence[_Place]) -> Iterator[AccessRow]:
        """What stands at the places, and perhaps others with the same offsets in other partitions."""
        rows = [dict(zip(_STORED, row, strict=True)) for row in self._standing(_SELECTED, tenant, places)]
        verdicts = self._verdicts(tenant, rows)
        for row in rows:
            yield _access(row, verdicts.get(_place_of(row), ""))

    def _standing(
        self, columns: str, tenant: str, places: Sequence[_Place], more: str = ""
    ) -> Sequence[tuple[Any, ...]]:
        """Columns of the evidence at the places."""
        if not places:
            return ()
        sql = (
            f"SELECT {columns} FROM accesstrail.access_events WHERE tenant_id = {{tenant:String}} "
            f"AND event_time >= {moment('since')} AND event_time <= {moment('until')} "
            f"AND (toDate(event_time), actor_token) IN ({_PAIRS}) AND offset IN {{offsets:Array(UInt64)}}{more}"
        )
        times = [place[1] for place in places]
        pairs = sorted({(place[1] // _DAY_US, place[0]) for place in places})
        given = {
            "tenant": tenant, "since": min(times), "until": max(times), "days": [day for day, _ in pairs],
            "actors": [actor for _, actor in pairs], "offsets": sorted({place[-1] for place in places}),
        }  # fmt: skip
        return self._reader.query(sql, given)

    def _verdicts(self, tenant: str, rows: Sequence[Mapping[str, Any]]) -> Mapping[tuple[Any, ...], str]:
        """What is said for good of accesses that were not explained when they happened."""
        open_rows = [row for row in rows if row["explained"] != FINAL]
        if not open_rows:
            return {}
        times = [row["event_time_us"] for row in open_rows]
        names = {"topics": "topic", "lives": "incarnation", "partitions": "partition", "offsets": "offset"}
        given = {"tenant": tenant, "since": min(times), "until": max(times)}
        given |= {name: sorted({row[column] for row in open_rows}) for name, column in names.items()}
        return {tuple(place): verdict for *place, verdict in self._reader.query(_VERDICTS, given)}


def _behind(asked: Conditions, after: Cursor | None) -> Conditions:
    """The same, and what answers lies behind the last access of the page before."""
    if after is None:
        return asked
    given = {
        "after_us": after.event_time_us, "after_topic": after.topic, "after_life": after.incarnation,
        "after_partition": after.partition, "after_offset": after.offset,
    }  # fmt: skip
    return asked._replace(conditions=[*asked.conditions, _BEHIND], given={**asked.given, **given})


def _place_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["topic"], row["incarnation"], row["partition"], row["offset"]


def _access(named: Mapping[str, Any], verdict: str) -> AccessRow:
    absent = {name: "" for name, value in named.items() if name.endswith("_token") and value == _NO_TOKEN}
    return AccessRow(**{**named, **absent, "verdict": verdict, "is_duplicate": bool(named["is_duplicate"])})


def open_access_reader(settings: ClickHouseSettings) -> AccessReader:
    """Questions as the role reader, with a connection of its own."""
    return AccessReader(connect(settings, "reader"))
