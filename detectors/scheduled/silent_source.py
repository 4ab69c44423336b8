"""Scheduled detector silent_source: a source that must report has stopped.

State is keyed by the source's instance; a line of sources.csv without an instance holds for every instance of its
system. Silence is measured between receipts; heartbeats are signs of life. A silence is told
once, in the hour in which it grows longer than the owner allows; a source whose pauses have often been as long in the
28 days before has a wrong bound, not an incident, and is left alone.
"""

from __future__ import annotations

from detectors.scheduled.base import Cadence, Parameter, Row, ScheduledDetector, Verdict, Words, numbers_of
from detectors.scheduled.sql import PICKED, ROWS

OFTEN = 3

_SOURCES = "{sources:Array(String)}"
_OWN = f"indexOf({_SOURCES}, concat(source_system, '/', source_instance))"
_LISTED = f"if({_OWN} > 0, {_OWN}, indexOf({_SOURCES}, concat(source_system, '/')))"
_EVENT = "tuple(-toInt64(toUnixTimestamp64Micro(received_at)), event_time, event_id, actor_token, topic, incarnation, partition, offset, received_at, sensitivity)"
_SQL = f"""WITH {{until:DateTime64(6, 'UTC')}} AS now_at
SELECT tenant_id, toInt32(intDiv(toUnixTimestamp64Micro(overdue_at) , 3600000000)) AS slot,
    concat(source_system, '/', source_instance) AS key, allowed_s / 60 AS allowed_minutes,
    dateDiff('second', last_at, next_at) / 60 AS silent_minutes,
    arrayCount(pause -> pause.1 < last_at AND pause.1 >= last_at - toIntervalDay(28) AND pause.2 > allowed_s, pauses)
        AS long_pauses_before, is_over, {PICKED}
FROM (
    SELECT tenant_id, source_system, source_instance, allowed_s, pauses, arrayJoin(pauses) AS pause, pause.1 AS last_at,
        pause.3 AS next_at, pause.4 AS picked, next_at < now_at AS is_over, last_at + toIntervalSecond(allowed_s) AS overdue_at
    FROM (
        SELECT tenant_id, source_system, source_instance, any(allowed) AS allowed_s,
            groupArrayIf((last_at, dateDiff('second', last_at, next_at), next_at, event), next_at > last_at + toIntervalSecond(allowed)) AS pauses
        FROM (
            SELECT tenant_id, source_system, source_instance, allowed, last_at, event,
                leadInFrame(first_at, 1, now_at) OVER (PARTITION BY tenant_id, source_system, source_instance
                    ORDER BY minute ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next_at
            FROM (
                SELECT tenant_id, source_system, source_instance, toStartOfMinute(received_at) AS minute,
                    arrayElement({{silences:Array(Int64)}}, {_LISTED}) AS allowed,
                    min(received_at) AS first_at, max(received_at) AS last_at, min({_EVENT}) AS event
                {ROWS} AND {_LISTED} > 0
                GROUP BY tenant_id, source_system, source_instance, minute
            )
        )
        GROUP BY tenant_id, source_system, source_instance
    )
)
WHERE overdue_at < now_at AND slot BETWEEN {{first_slot:Int32}} AND {{last_slot:Int32}} AND long_pauses_before < {OFTEN}"""


def _judge(row: Row) -> Verdict:
    numbers = numbers_of(row)
    del (
        numbers["is_over"],
        numbers["silent_minutes"],
    )  # known only later: the finding must not depend on when it is asked
    numbers["allowed_minutes"] = round(numbers["allowed_minutes"])
    return Verdict(
        8000,
        Words(
            "nothing was received for longer than the {allowed_minutes} minutes its owner allows, not even a heartbeat. "
            "In the 28 days before it paused as long {long_pauses_before} times.",
            "超过所有者允许的 {allowed_minutes} 分钟未收到任何事件，包括心跳。此前 28 天出现过 {long_pauses_before} 次同样长的停顿。",
        ),
        numbers,
    )


SILENT_SOURCE = ScheduledDetector(
    name="silent_source",
    scenarios=("D27",),
    attack_ids=("T1562.008",),
    articles=("pipl-54", "csl-21"),
    state_key="source",
    cadence=Cadence(unit="hour", lateness_s=300, history_days=29, quiet_slots=24, early_s=60),
    parameters=(
        Parameter("sources", "Array(String)", "sources.csv: source_system/source_instance; nothing after the / means every instance"),
        Parameter("silences", "Array(Int64)", "max_silence_s of each"),
    ),
    cold_start=Words(
        "A listed source counts from its first event; sources that are not listed in sources.csv are not watched.",
        "已登记来源自首个事件起生效；未在 sources.csv 登记的来源不监控。",
    ),
    title=Words("A source has fallen silent", "来源静默"),
    next_step=Words(
        "ask the source's owner whether it was stopped on purpose; nothing it does is recorded now.",
        "询问来源负责人是否为计划停机；目前其操作均无记录。",
    ),
    runbook=Words(
        "Check: does the application run, does its emitter, who changed its configuration last. Contain: take the "
        "application's data access away while it cannot report. Ask: the owner named in sources.csv.",
        "核查：应用与采集器是否运行，最近由谁修改配置。控制：无法上报期间收回该应用的数据访问。询问：sources.csv 登记的负责人。",
    ),
    sql=_SQL,
    judge=_judge,
    of_absence=True,
    look_alikes=("a pause within the bound", "a source that pauses every night", "late delivery within the lateness"),
)  # fmt: skip
