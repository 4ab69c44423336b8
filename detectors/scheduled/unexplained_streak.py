"""Scheduled detector unexplained_streak: several days on end with more unexplained accesses than this account's usual.

Who reads on in quiet hours stays under every daily limit: fifteen customers a day are nothing where colleagues have
twenty on a bad one. What gives it away is that it goes on. A day *counts* where two customers more than the upper
quartile of the account's own days before, and of its colleagues on that very day, have no work item (as
`unexplained_access` finds a day later). Three of the last four active days that count, and three times what so
many days usually come to, are a finding. A day on which the ticket system fails lifts the colleagues too.
"""

from __future__ import annotations

from detectors.scheduled.base import Cadence, Row, ScheduledDetector, Verdict, Words, beyond, numbers_of
from detectors.scheduled.sql import DAY_SLOT, EVENT, IN_SLOTS, LOOK, PEER_GROUP, PEOPLE, PICKED, ROWS
from detectors.scheduled.unexplained_access import DAYS

ACTIVE_DAYS, COUNTING_DAYS = 4, 3
LEAST_MORE, FLOOR, FACTOR = 2, 20, 3
_SPAN_DAYS = 6
"""Within which the active days lie: a weekend may come between."""
_LEAST_DAYS_BEFORE = 10

_WITH_IDLE_DAYS = f"""SELECT tenant_id, slot, actor_token, max(peer) AS peer, sum(opened) AS subjects,
            minIf(event, opened > 0) AS picked
        FROM (
        SELECT tenant_id, slot, actor_token, peer, subjects AS opened, picked AS event FROM (
{DAYS}
        )
        UNION ALL
        SELECT tenant_id, {DAY_SLOT} AS slot, actor_token, max({PEER_GROUP}) AS peer, toUInt64(0) AS opened,
            min({EVENT}) AS event {ROWS} AND {LOOK} AND {PEOPLE} GROUP BY tenant_id, slot, actor_token
        )
        GROUP BY tenant_id, slot, actor_token"""
_BESIDE_PEERS = f"""SELECT *, if(count() OVER today >= 5, quantileExact(0.75)(subjects) OVER today, 0) AS of_today
        FROM ({_WITH_IDLE_DAYS})
        WINDOW today AS (PARTITION BY tenant_id, peer, slot)"""
_WINDOWS = f"""SELECT *, count() OVER before AS days_before, quantileExact(0.75)(subjects) OVER before AS own_quartile,
            avg(subjects) OVER before AS a_day,
            arraySlice(groupArray((subjects, of_today)) OVER lately, -{ACTIVE_DAYS}) AS streak
        FROM ({_BESIDE_PEERS})
        WINDOW before AS (PARTITION BY tenant_id, actor_token ORDER BY slot
                RANGE BETWEEN {27 + _SPAN_DAYS + 1} PRECEDING AND {_SPAN_DAYS} PRECEDING),
            lately AS (PARTITION BY tenant_id, actor_token ORDER BY slot
                RANGE BETWEEN {_SPAN_DAYS - 1} PRECEDING AND CURRENT ROW)"""
_COUNTS = f"(day -> day.1 >= greatest(own_quartile, day.2) + {LEAST_MORE})"
_SQL = f"""SELECT tenant_id, slot, lower(hex(actor_token)) AS key, arraySum(day -> day.1, streak) AS in_all,
    length(streak) AS active_days, arrayCount({_COUNTS}, streak) AS counting_days, toFloat64(own_quartile) AS own_usual,
    round(a_day * active_days, 1) AS usual, {PICKED}
FROM ({_WINDOWS})
WHERE {IN_SLOTS} AND days_before >= {_LEAST_DAYS_BEFORE}
    AND subjects >= greatest(own_quartile, of_today) + {LEAST_MORE} AND counting_days >= {COUNTING_DAYS}
    AND in_all >= {FLOOR} AND in_all >= {FACTOR} * a_day * active_days"""


def _judge(row: Row) -> Verdict:
    numbers = numbers_of(row)
    return Verdict(
        beyond(numbers["in_all"], max(FLOOR, FACTOR * numbers["usual"])),
        Words(
            "{in_all} customers without a work item on the last {active_days} active days, also a day later; on "
            "{counting_days} of them clearly more than on three quarters of this account's days before ({own_usual}) and "
            "than colleagues had that day. So many days usually come to {usual}.",
            "最近 {active_days} 个活跃日共访问 {in_all} 名客户，一天之后仍无工单；其中 {counting_days} 天明显多于本人此前"
            "四分之三的日子（{own_usual} 名）及同事当日。同样天数平常合计 {usual} 名。",
        ),
        numbers,
    )


UNEXPLAINED_STREAK = ScheduledDetector(
    name="unexplained_streak",
    scenarios=("D02", "D11", "D12"),
    attack_ids=("T1213",),
    articles=("pipl-51",),
    state_key="actor",
    cadence=Cadence(
        unit="day", lateness_s=24 * 3600, history_days=28 + _SPAN_DAYS, quiet_slots=7, reach=_SPAN_DAYS, early_s=None
    ),
    cold_start=Words(
        "Silent about an account until it was active on 10 of the days 6 to 34 days back.",
        "账号在 6 至 34 天之前的活跃日满 10 天后才告警。",
    ),
    title=Words("Unexplained accesses day after day", "连日访问缺少依据"),
    next_step=Words(
        "ask the account's manager what it was working on in these days.",
        "向其主管核实这几天的工作内容。",
    ),
    runbook=Words(
        "Check: the days' accesses by hour (accesstrail search --actor) and what the customers have in common. Contain: "
        "ask for a reason at each look. Ask: the manager first, then the person.",
        "核查：按小时查看这几天的访问（accesstrail search --actor），并寻找这些客户的共同点。控制：逐次要求填写理由。询问：先主管，后本人。",
    ),
    sql=_SQL,
    judge=_judge,
    look_alikes=("the ticket system is down for days", "a department that writes no tickets", "tickets opened hours later"),
)  # fmt: skip
