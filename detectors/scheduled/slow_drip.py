"""Scheduled detector slow_drip: little every day, much in a month.

Counts each account's distinct customers of the last 30 days that it looked at without a work item, exactly, leaves the
three largest days out (a busy day is no drip), and compares the logarithm with the peers' median by their median
absolute deviation. Each pair of account and customer counts once: a look adds it for 30 days, or until the next look.
Told on a day that adds at least the month's average, so that what is over is not told late.

Peers are staff of the same department and role on the same day, partners and agent programs among themselves. Two to
four are too few for a spread of their own: the larger of their middle and everybody's counts.
"""

from __future__ import annotations

from detectors.scheduled.base import Cadence, Row, ScheduledDetector, Verdict, Words, numbers_of
from detectors.scheduled.sql import DAY_SLOT, EVENT, IN_SLOTS, LOOK, PEER_GROUP, PEOPLE, PICKED, ROWS, UNEXPLAINED

DAYS = 30
FLOOR, FLOOR_STEADY = 40, 30
PEAKS = 3
DEVIATIONS = 4.5
_SMALLEST_DEVIATION = 0.25
_FIRST_DAYS = 13
_PEERS = 5

_FAR = 2_000_000
"""A day after all days: no next look."""

# A pair's look counts from its day to the day before its next look, at most 30 days.
_PAIRS = f"""SELECT tenant_id, actor_token, arraySort(groupUniqArray(slot)) AS all_days,
                    arraySort(groupUniqArrayIf(slot, open)) AS open_days
                FROM (
                    SELECT tenant_id, actor_token, arrayJoin(subject_tokens) AS subject, {DAY_SLOT} AS slot,
                        {UNEXPLAINED} AS open
                    {ROWS} AND {LOOK} AND {PEOPLE}
                )
                GROUP BY tenant_id, actor_token, subject"""
_ENDS = "arrayMap((d, n) -> (least(d + {days}, n), {all}, {open}), {list}, arraySlice(arrayPushBack({list}, {far}), 2))"
_CHANGES = f"""SELECT tenant_id, actor_token, change.1 AS slot, sum(change.2) AS added_all, sum(change.3) AS added_open,
                countIf(change.3 > 0) AS open_today, '' AS peer, '' AS kind
            FROM (
                SELECT tenant_id, actor_token, arrayJoin(arrayConcat(
                    arrayMap(d -> (d, 1, 0), all_days),
                    {_ENDS.format(days=DAYS, all="-1", open="0", list="all_days", far=_FAR)},
                    arrayMap(d -> (d, 0, 1), open_days),
                    {_ENDS.format(days=DAYS, all="0", open="-1", list="open_days", far=_FAR)})) AS change
                FROM ({_PAIRS})
            )
            GROUP BY tenant_id, actor_token, slot"""
_PEERS_OF_DAYS = f"""SELECT tenant_id, actor_token, {DAY_SLOT} AS slot, 0, 0, 0, max({PEER_GROUP}),
                max(if(actor_type IN ('partner', 'ai_agent'), toString(actor_type), 'staff'))
            {ROWS} AND {LOOK} AND {PEOPLE}
            GROUP BY tenant_id, actor_token, slot"""
# Every account on every day, so that peers are compared on the same day.
_GRID = f"""SELECT tenant_id, actor_token, arrayJoin(range({{first_slot:Int32}}, {{last_slot:Int32}} + 1)), 0, 0, 0, '', ''
            {ROWS} AND {LOOK} AND {PEOPLE}
            GROUP BY tenant_id, actor_token"""
_RUNNING = f"""SELECT tenant_id, actor_token, slot, open_today,
            sum(added_all) OVER so_far AS all_subjects, sum(added_open) OVER so_far AS subjects,
            anyLast(nullIf(group, '')) OVER so_far AS peer_group, anyLast(nullIf(kind_today, '')) OVER so_far AS kind,
            arraySum(arraySlice(arrayReverseSort(groupArray(open_today) OVER month), 1, {PEAKS})) AS peaks, min(slot) OVER (PARTITION BY tenant_id) AS first_day
        FROM (
            SELECT tenant_id, actor_token, toInt32(slot) AS slot, sum(added_all) AS added_all,
                sum(added_open) AS added_open, sum(open_today) AS open_today, max(peer) AS group,
                max(kind) AS kind_today
            FROM (
            {_CHANGES}
            UNION ALL
            {_PEERS_OF_DAYS}
            UNION ALL
            {_GRID}
            )
            GROUP BY tenant_id, actor_token, slot
        )
        WINDOW so_far AS (PARTITION BY tenant_id, actor_token ORDER BY slot ROWS UNBOUNDED PRECEDING),
            month AS (PARTITION BY tenant_id, actor_token ORDER BY slot RANGE BETWEEN {DAYS - 1} PRECEDING AND CURRENT ROW)"""
_MEDIANS = f"""SELECT *, greatest(toInt64(subjects) - toInt64(peaks), 0) AS steady, log1p(steady) AS height,
            count() OVER peers AS peers_seen, quantileExactLow(0.5)(log1p(steady)) OVER peers AS of_peers,
            quantileExact(0.5)(log1p(steady)) OVER everyone AS of_all,
            multiIf(peers_seen >= {_PEERS}, of_peers, peers_seen > 1, greatest(of_peers, of_all), of_all) AS middle
        FROM ({_RUNNING})
        WHERE {IN_SLOTS} AND all_subjects > 0 AND slot - first_day >= {_FIRST_DAYS}
        WINDOW peers AS (PARTITION BY tenant_id, slot, peer_group), everyone AS (PARTITION BY tenant_id, slot, kind)"""
_DEVIATIONS = f"""SELECT *, greatest({_SMALLEST_DEVIATION}, 1.4826 * if(peers_seen >= {_PEERS},
            quantileExact(0.5)(abs(height - middle)) OVER peers,
            quantileExact(0.5)(abs(height - middle)) OVER everyone)) AS deviation
        FROM ({_MEDIANS})
        WINDOW peers AS (PARTITION BY tenant_id, slot, peer_group), everyone AS (PARTITION BY tenant_id, slot, kind)"""
_FOUND = f"""SELECT * FROM ({_DEVIATIONS})
    WHERE open_today * {DAYS} >= subjects AND subjects >= {FLOOR} AND steady >= {FLOOR_STEADY}
        AND steady >= 2 * (exp(middle) - 1)
        AND height >= middle + {DEVIATIONS} * deviation"""
_SQL = f"""SELECT * EXCEPT (picked), {PICKED} FROM (SELECT found.tenant_id AS tenant_id, found.slot AS slot, lower(hex(found.actor_token)) AS key,
    any(found.subjects) AS subjects, any(found.all_subjects) AS all_subjects, any(found.open_today) AS open_today,
    any(found.steady) AS steady,
    round(exp(any(middle)) - 1) AS usual, any((height - middle) / deviation) AS deviations, min(event) AS picked
FROM (
    SELECT tenant_id, actor_token, {DAY_SLOT} AS slot, {EVENT} AS event {ROWS} AND {LOOK} AND {PEOPLE} AND {UNEXPLAINED}
) AS day
JOIN ({_FOUND}) AS found
    ON day.tenant_id = found.tenant_id AND day.actor_token = found.actor_token AND day.slot = found.slot
GROUP BY tenant_id, slot, key)"""


def _judge(row: Row) -> Verdict:
    numbers = numbers_of(row)
    numbers["share_percent"] = round(100 * numbers["subjects"] / max(numbers["all_subjects"], 1))
    numbers["deviations"] = round(numbers["deviations"], 1)
    risk = 7000 + round(400 * (numbers["deviations"] - DEVIATIONS))
    return Verdict(
        min(9300, max(7000, risk)),
        Words(
            "{subjects} different customers in 30 days without a work item, {share_percent} percent of all this account "
            "looked at, {steady} of them outside its three busiest days. Colleagues' median of these is {usual}; this lies "
            "{deviations} median deviations above it.",
            "30 天内在没有工单的情况下访问了 {subjects} 名不同客户，占其访问客户的 {share_percent}%，"
            "其中 {steady} 名不在其最忙的三天内。同事的该项中位数为 {usual} 名，高出 {deviations} 个中位绝对偏差。",
        ),
        numbers,
    )


SLOW_DRIP = ScheduledDetector(
    name="slow_drip",
    scenarios=("D02", "D12"),
    attack_ids=("T1030", "T1020"),
    articles=("pipl-51",),
    state_key="actor",
    cadence=Cadence(unit="day", lateness_s=3600, history_days=31, quiet_slots=30, reach=DAYS),
    cold_start=Words(
        "Silent for the first 13 days of data; until day 30 everybody is compared over the same shorter time. Roles with "
        "fewer than five people are compared with everybody too.",
        "数据的前 13 天不告警；第 30 天之前所有人按同样较短的时间比较。不足五人的岗位同时与全体比较。",
    ),
    title=Words("A little every day", "长期少量访问"),
    next_step=Words(
        "ask the manager which work explains a month of customers without work items.",
        "请主管说明这一个月内无工单客户的工作依据。",
    ),
    runbook=Words(
        "Check: distinct customers by week against two colleagues, and what the customers have in common. Contain: ask "
        "for a reason at each look. Ask: the manager; with a planned exit also human resources.",
        "核查：按周与两名同事比较不同客户数，并寻找这些客户的共同点。控制：逐次要求填写理由。询问：主管；若即将离职，同时询问人事。",
    ),
    sql=_SQL,
    judge=_judge,
    look_alikes=("a department that writes no tickets", "a new joiner who ramps up", "the busiest colleague"),
)  # fmt: skip
