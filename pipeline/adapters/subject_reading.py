"""Who touched a data subject, as the database role reader.

Place in the flow: beside it; used by the console. The rows themselves are `access_reading.py`'s (a question for a
subject); here they are summed up and checked against the evidence. Every value is a typed parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.adapters.access_conditions import FINAL, PERIOD, PLACE
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.reader_pool import IT_ANSWERS, Questions
from pipeline.audit.subject import MOST_ACTORS, CrossCheck, SubjectHistory, Toucher
from pipeline.config import ClickHouseSettings
from pipeline.errors import Away
from pipeline.same_person import any_of, tokens_in

CHECK_LIMIT_S = 12
"""So long the evidence itself may be counted; it is read for the whole period, whoever the subject is."""
_MINE = (
    "SELECT actor_token, actor_dept, action, outcome, purpose, risk, toString(explained) AS stream_verdict, "
    f"event_time, duplicate_of, {PLACE} FROM accesstrail.person_accesses WHERE {PERIOD} "
    f"AND {tokens_in('stored_subject_token', 'tokens')} LIMIT 1 BY {PLACE}"
)
# Of the accesses that were open alone: a join with every verdict of the period takes the server's memory.
_VERDICTS = (
    f"SELECT {PLACE}, verdict FROM accesstrail.access_explanations WHERE {PERIOD} "
    f"AND ({PLACE}) IN (SELECT {PLACE} FROM ({_MINE}) WHERE stream_verdict != '{FINAL}')"
)
# An access without a verdict gets "" from the join.
_JUDGED = (
    "SELECT mine.*, if(later.verdict = '', mine.stream_verdict, later.verdict) AS said "
    f"FROM ({_MINE}) AS mine LEFT JOIN ({_VERDICTS}) AS later USING ({PLACE})"
)
_COUNTED = "duplicate_of < 0"
_TOUCHERS = (
    "SELECT lower(hex(actor_token)), argMax(actor_dept, event_time), count(), "
    "toUnixTimestamp64Micro(min(event_time)), toUnixTimestamp64Micro(max(event_time)), "
    "countIf(said = 'explained'), countIf(said = 'claimed'), countIf(said = 'unexplained'), "
    "countIf(said NOT IN ('explained', 'claimed', 'unexplained')), countIf(outcome = 'denied'), max(risk), "
    "arraySort(groupUniqArray(50)(toString(action))), "
    "arraySort(arrayFilter(one -> one != '', groupUniqArray(50)(toString(purpose)))) "
    f"FROM ({_JUDGED}) WHERE {_COUNTED} GROUP BY actor_token ORDER BY max(event_time) DESC, actor_token "
    "LIMIT {most:UInt64}"
)
_SUMS = f"SELECT uniqExactIf(actor_token, {_COUNTED}), countIf({_COUNTED}), countIf(NOT {_COUNTED}) FROM ({_MINE})"
_CHECK = (
    f"SELECT countIf({any_of('subject_tokens', 'tokens')}), "
    "countIf(subject_count > length(subject_tokens)) FROM accesstrail.access_events "
    f"WHERE {PERIOD} AND {_COUNTED}"
)


class SubjectReader:
    """Questions about data subjects on one connection; every method may raise Away or StoreRefused."""

    def __init__(self, reader: Questions) -> None:
        self._reader = reader

    def close(self) -> None:
        """Ends the connection."""
        self._reader.close()

    def history(self, tenant: str, tokens: Sequence[str], from_us: int, until_us: int) -> SubjectHistory:
        """Who touched the subject in a period, the latest first. Repetitions of an event count once."""
        given = {"tenant": tenant, "tokens": list(tokens), "from_us": from_us, "until_us": until_us}
        actors, accesses, repeated = self._reader.query(_SUMS, given)[0]
        rows = self._reader.query(_TOUCHERS, {**given, "most": MOST_ACTORS}) if accesses else []
        return SubjectHistory(
            actors=int(actors), accesses=int(accesses), repeated=int(repeated),
            touchers=[_toucher(row) for row in rows],
        )  # fmt: skip

    def check(self, tenant: str, tokens: Sequence[str], from_us: int, until_us: int) -> CrossCheck | None:
        """The same asked of the evidence itself; None: it takes longer than anybody waits for.

        Apart from `history`, since every access of the period is read: seconds where the history takes milliseconds.
        """
        given = {"tenant": tenant, "tokens": list(tokens), "from_us": from_us, "until_us": until_us}
        before = int(self._reader.query(_SUMS, given)[0][1])
        try:
            rows = self._reader.query(_CHECK, given, settings={"max_execution_time": CHECK_LIMIT_S})
        except Away as exc:
            if exc.code not in IT_ANSWERS:
                raise
            return None
        after = int(self._reader.query(_SUMS, given)[0][1])
        return CrossCheck(
            in_evidence=int(rows[0][0]), in_table_before=before, in_table_after=after, unlisted=int(rows[0][1])
        )


def _toucher(row: Sequence[object]) -> Toucher:
    names = (
        "actor_token", "department", "accesses", "first_us", "last_us", "explained", "claimed", "unexplained", "open",
        "denied", "highest_risk", "actions", "purposes",
    )  # fmt: skip
    return Toucher(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]  # as the statement selects them


def open_subject_reader(settings: ClickHouseSettings) -> SubjectReader:
    """Questions as the role reader, with a connection of its own."""
    return SubjectReader(connect(settings, "reader"))
