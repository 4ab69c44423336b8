"""Pieces of SQL that many panels share: the range shown, what counts as an access, buckets of time, tokens as text.

Place in the flow: put together when the boards are imported; nothing that anybody types ever gets in here. Tables are
named with their database, `accesstrail`, so that a statement means the same whatever a connection's default is: the
role reader's, Grafana's data source, a person's own client.
"""

from __future__ import annotations

from pipeline.same_person import same_person

SINCE = "{since:DateTime64(3, 'UTC')}"
UNTIL = "{until:DateTime64(3, 'UTC')}"
_BUCKET_S = "{bucket_s:UInt32}"
ZONE = "{zone:String}"
_DAY_S = 86_400

COUNTED = "duplicate_of < 0 AND NOT (action = 'log_control' AND resource_type = 'heartbeat')"
"""What the rollups count: no repetition, no sign of life. Whoever names another kind of access so still counts."""
RECORDS = "toUInt64(least(greatest(records_returned, subject_count, 0), 1000000000000))"
"""Records that one event handed out; one that says how many persons it touched, but not how many records, counts those.
Bounded as in the rollups: sources may report up to 2^63, and two of those would overflow."""
UNMASKED = "(action IN ('unmask', 'decrypt') OR notEmpty(fields_unmasked))"
UNEXPLAINED = "explained = 'not_yet_explained'"
ABROAD = "(dst_country != '' AND NOT startsWith(upper(subject_region), upper(dst_country)))"
"""Data went to a country that is not the subjects' own; where their region is not told, any country counts."""
SENSITIVE = "sensitivity >= 3"
OPEN = f"state != 'resolved' AND opened_at < {UNTIL}"
NO_TOKEN = "toFixedString('', 16)"  # noqa: S105  sixteen zero bytes: no token


def _same_person(column: str, name: str) -> str:
    """The condition that a stored token is one of a person's: that of a parameter (hex), and those under other keys."""
    text = f"{{{name}:String}}"
    given = f"SELECT toFixedString(if(length({text}) = 32, unhex({text}), ''), 16)"
    return f"({column} IN ({same_person(given)}) AND length({text}) = 32)"


OF_ACTOR = _same_person("stored_actor_token", "actor")
"""Of `person_events`: the column that its table is sorted by."""
INCIDENTS_OF_ACTOR = _same_person("actor_token", "actor")
OF_SUBJECT = _same_person("stored_subject_token", "subject")


def within(column: str) -> str:
    """The condition that a time lies in the range shown."""
    return f"{column} >= {SINCE} AND {column} < {UNTIL}"


def accesses(more: str = "") -> str:
    """FROM and WHERE of the accesses in the range shown, by person: no rotation of the token key makes two of one."""
    return f"FROM accesstrail.person_events WHERE {within('event_time')} AND {COUNTED}" + (
        f" AND {more}" if more else ""
    )


def hexed(column: str) -> str:
    """A token as 32 hexadecimal digits, "" where there is none."""
    return f"if({column} = {NO_TOKEN}, '', lower(hex({column})))"


def bucket(column: str) -> str:
    """Begin of the bucket that a time lies in, by the clock of the viewer's zone; a day or more: midnight there."""
    offset = f"timezoneOffset(toTimeZone({column}, {ZONE}))"
    short = f"toDateTime(intDiv(toInt64(toUnixTimestamp({column})) + {offset}, {_BUCKET_S}) * {_BUCKET_S} - {offset}, 'UTC')"
    days = f"greatest(intDiv({_BUCKET_S}, {_DAY_S}), 1)"
    midnight = f"toDateTime(toDate(intDiv(toUInt16(toDate({column}, {ZONE})), {days}) * {days}), {ZONE})"
    return f"if({_BUCKET_S} < {_DAY_S}, {short}, toTimeZone({midnight}, 'UTC'))"


def series(column: str, name: str, value: str, source: str) -> str:
    """A statement of view `timeseries`: `name` and `value` are expressions, `source` is FROM and WHERE."""
    return (
        f"SELECT {bucket(column)} AS time, {name} AS series, {value} AS value {source} "
        "GROUP BY time, series ORDER BY time, series LIMIT 5000"
    )


SERIES_ROWS = 5000
