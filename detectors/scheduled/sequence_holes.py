"""Scheduled detector sequence_holes: numbers that a source has given away and that never arrived.

State is keyed by the source's instance, which counts its events. Missing numbers are evidence that is missing: deleted,
filtered or lost. Where a number follows in value but precedes in time, the source was restarted: that is no hole. A
source whose counter always leaves numbers out (it counts more than it reports) is its own measure.
"""

from __future__ import annotations

from detectors.scheduled.base import Cadence, Row, ScheduledDetector, Verdict, Words, beyond, numbers_of
from detectors.scheduled.sql import DAY_SLOT, EVENT, IN_SLOTS, OWN_BEFORE, PICKED, ROWS

FLOOR = 5
_LARGEST_HOLE = 10_000
_DENSE = 0.9

# (number, time) of two neighbours in the order of numbers: how many are missing between them, and the upper one.
_MISSING = f"""if(b.1 - a.1 BETWEEN 2 AND {_LARGEST_HOLE} AND a.2 <= b.2 + toIntervalMinute(10), b.1 - a.1 - 1, 0)"""
_SEEN = f"""SELECT tenant_id, source_system, source_instance, {DAY_SLOT} AS slot,
            arraySort(groupUniqArray((source_seq, event_time))) AS seen
        {ROWS} AND source_seq >= 0
        GROUP BY tenant_id, source_system, source_instance, slot"""
_HOLES = f"""SELECT tenant_id, source_system, source_instance, slot,
            arraySort(one -> (-one.1, one.2), arrayMap((a, b) -> ({_MISSING}, b),
                arrayConcat([before], arrayPopBack(seen)), seen)) AS holes,
            arraySum(one -> one.1, holes) AS lost, holes[1].1 AS largest_hole, holes[1].2 AS after_hole,
            toInt64(length(seen)) AS present
        FROM (
            SELECT *, if(slot_before = 0, seen[1], last_before) AS before
            FROM (
                SELECT *, lagInFrame(seen[-1]) OVER day AS last_before, lagInFrame(slot) OVER day AS slot_before
                FROM ({_SEEN})
                WINDOW day AS (PARTITION BY tenant_id, source_system, source_instance ORDER BY slot
                    ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
            )
        )"""
_FOUND = f"""SELECT * FROM (
        SELECT * EXCEPT (holes), max(lost) OVER before AS lost_before,
            if(count() OVER before = 0, present / (present + lost),
                sum(present) OVER before / (sum(present + lost) OVER before)) AS density
        FROM ({_HOLES})
        WINDOW before AS (PARTITION BY tenant_id, source_system, source_instance ORDER BY slot {OWN_BEFORE})
    )
    WHERE {IN_SLOTS} AND lost >= {FLOOR} AND lost > 3 * lost_before + {FLOOR} AND density >= {_DENSE}"""
_SQL = f"""SELECT * EXCEPT (picked), {PICKED} FROM (SELECT found.tenant_id AS tenant_id, found.slot AS slot,
    concat(found.source_system, '/', found.source_instance) AS key, any(found.lost) AS lost,
    any(found.largest_hole) AS largest_hole, any(found.present) AS present, toFloat64(any(lost_before)) AS usual,
    min(event) AS picked
FROM (
    SELECT tenant_id, source_system, source_instance, source_seq, event_time, {EVENT} AS event {ROWS} AND source_seq >= 0
) AS upper
JOIN ({_FOUND}) AS found ON upper.tenant_id = found.tenant_id AND upper.source_system = found.source_system
    AND upper.source_instance = found.source_instance AND upper.source_seq = found.after_hole.1
    AND upper.event_time = found.after_hole.2
GROUP BY tenant_id, slot, key)"""


def _judge(row: Row) -> Verdict:
    numbers = numbers_of(row)
    return Verdict(
        beyond(numbers["lost"], 3 * numbers["usual"] + FLOOR, floor=7500, doubling=400),
        Words(
            "{lost} numbers of this source are missing on one day, {largest_hole} of them in a row. "
            "Largest day of the 28 before: {usual}.",
            "该来源一天缺失 {lost} 个序号，其中连续缺失 {largest_hole} 个。此前 28 天单日最多缺失 {usual} 个。",
        ),
        numbers,
    )


SEQUENCE_HOLES = ScheduledDetector(
    name="sequence_holes",
    scenarios=("D27",),
    attack_ids=("T1070", "T1562.008"),
    articles=("pipl-54", "csl-21"),
    state_key="source",
    cadence=Cadence(unit="day", lateness_s=6 * 3600, history_days=29, quiet_slots=7, early_s=None),
    cold_start=Words(
        "Works from the first day for a source that reports at least nine of ten numbers that day.",
        "来源当天上报九成以上序号时，首日即生效。",
    ),
    title=Words("Holes in the evidence", "证据缺失"),
    next_step=Words(
        "fetch the missing numbers from the source's own log and find out who could remove them.",
        "从来源自身日志补回缺失序号，并查明谁能够删除。",
    ),
    runbook=Words(
        "Check: dead letters of the same time, restarts, the source's own log around the hole. Contain: freeze the "
        "source's log. Ask: its owner, and who changed its configuration that day.",
        "核查：同时段的死信、重启及缺口前后的源日志。控制：冻结来源日志。询问：负责人及当天修改配置的人。",
    ),
    sql=_SQL,
    judge=_judge,
    look_alikes=("a restart that counts from one again", "late or repeated events", "a counter that leaves numbers out"),
)  # fmt: skip
