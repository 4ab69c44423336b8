"""What the evidence says of one data subject, for the report it is entitled to; as the database role reader.

Place in the flow: under `accesstrail subject-report` and the console's page of it. The rows are those of
`access_events` itself, the count beside them that of `subject_access`: where the two differ, nothing is handed out.
Every value is a typed parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.adapters.access_conditions import moment
from pipeline.adapters.reader_pool import Questions
from pipeline.audit.subject_report import SubjectAccess
from pipeline.same_person import any_of, tokens_in

MOST_ACCESSES = 100_000
_LIMIT_S = 300
_PERIOD = f"tenant_id = {{tenant:String}} AND event_time >= {moment('from_us')} AND event_time < {moment('until_us')}"
_MINE = any_of("subject_tokens", "tokens")
_ROWS = (
    "SELECT toUnixTimestamp64Micro(event_time), toString(action), toString(outcome), purpose, toString(legal_basis), "
    "actor_dept, if(actor_type = 'partner', actor_org, ''), toString(channel), data_categories, "
    "toString(recipient_type), dst_country, records_returned, greatest(subject_count, length(subject_tokens)) - 1, "
    f"lower(hex(actor_token)) FROM accesstrail.access_events WHERE {_PERIOD} AND duplicate_of < 0 AND {_MINE} "
    "ORDER BY event_time, topic, partition, offset LIMIT {most:UInt64}"
)
_LISTED = (
    "SELECT uniqExact(topic, incarnation, partition, offset) FROM accesstrail.subject_access "
    f"WHERE {_PERIOD} AND duplicate_of < 0 AND {tokens_in('subject_token', 'tokens')}"
)
_UNLISTED = (
    f"SELECT count() FROM accesstrail.access_events WHERE {_PERIOD} AND duplicate_of < 0 "
    "AND subject_count > length(subject_tokens)"
)
_SOURCES = (
    "SELECT DISTINCT source_system FROM accesstrail.sources WHERE tenant_id = {tenant:String} ORDER BY 1 LIMIT 200"
)


class SubjectReportReader:
    """Questions over one connection; every method may raise Away or StoreRefused. `limit_s`: of the long ones each."""

    def __init__(self, questions: Questions, limit_s: int = _LIMIT_S) -> None:
        self._questions, self._limit = questions, {"max_execution_time": limit_s}

    def accesses(
        self, tenant: str, tokens: Sequence[str], from_us: int, until_us: int, *, with_actors: bool,
        most: int = MOST_ACCESSES,
    ) -> list[SubjectAccess]:  # fmt: skip
        """The accesses that name the subject, oldest first, repetitions left out; at most one more than `most`."""
        given = _given(tenant, tokens, from_us, until_us) | {"most": most + 1}
        rows = self._questions.query(_ROWS, given, self._limit)
        return [
            SubjectAccess(
                event_us=row[0], action=row[1], outcome=row[2], purpose=row[3], legal_basis=row[4], department=row[5],
                partner=row[6], channel=row[7], categories=tuple(row[8]), recipient=row[9], country=row[10],
                records=row[11], others=row[12], actor=row[13] if with_actors else "",
            )
            for row in rows
        ]  # fmt: skip

    def listed(self, tenant: str, tokens: Sequence[str], from_us: int, until_us: int) -> int:
        """How many accesses the table by subject knows."""
        return int(self._questions.query(_LISTED, _given(tenant, tokens, from_us, until_us))[0][0])

    def unlisted(self, tenant: str, from_us: int, until_us: int) -> int:
        """Accesses of the period that count more people than they list."""
        given = _given(tenant, (), from_us, until_us)
        return int(self._questions.query(_UNLISTED, given, self._limit)[0][0])

    def sources(self, tenant: str) -> list[str]:
        """Everything that has reported."""
        return [row[0] for row in self._questions.query(_SOURCES, {"tenant": tenant})]


def _given(tenant: str, tokens: Sequence[str], from_us: int, until_us: int) -> dict[str, object]:
    return {"tenant": tenant, "tokens": list(tokens), "from_us": from_us, "until_us": until_us}
