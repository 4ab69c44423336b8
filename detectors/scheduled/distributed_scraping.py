"""Scheduled detector distributed_scraping: many accounts or addresses empty one route together, each of them slowly.

State is keyed by the route (endpoint, else kind of resource). What must be beyond its history is the number of
different customers read there in an hour without a work item (its two busiest days left out); a new browser version, an office move or a VPN change
alter who and where, not how many. On top of that the readers must be new to the route, or all alike and never look
twice. One account that does most of it is the business of the detectors of accounts.
"""

from __future__ import annotations

from detectors.scheduled.base import LOWEST_RISK, Cadence, Row, ScheduledDetector, Verdict, Words, beyond, numbers_of
from detectors.scheduled.sql import (
    DAY_SLOT,
    EVENT,
    HOUR_SLOT,
    IN_SLOTS,
    LOOK,
    NETWORK,
    OWN_BEFORE,
    PICKED,
    ROWS,
    UNEXPLAINED,
)

FLOOR = 50
FACTOR = 1.5
SOURCES = 5
_HOURS_KNOWN = 24
_DAYS_KNOWN, _DAYS_LEFT_OUT = 10, 2

_ROUTE = "if(endpoint = '', toString(resource_type), toString(endpoint))"
_DAY = "toInt32(toDate(toTimeZone(toDateTime(slot * 3600, 'UTC'), {zone:String})))"
_READS = f"""SELECT tenant_id, {_ROUTE} AS route, {HOUR_SLOT} AS slot, {_DAY} AS day, actor_token, actor_type,
            arrayJoin(subject_tokens) AS subject, cityHash64({NETWORK}) AS network,
            network_kind IN ('office', 'vpn') AS is_own_network,
            cityHash64(user_agent_hash, query_fingerprint) AS one_shape, {EVENT} AS event
        {ROWS} AND {LOOK} AND {UNEXPLAINED} AND actor_type != 'service' AND length(subject_tokens) <= 100"""
# Customers of a portal read themselves: an account of a customer counts from its third customer on.
_BY_ACTOR = f"""SELECT tenant_id, route, slot, day, actor_token, groupUniqArray(subject) AS subjects,
            groupUniqArray((network, is_own_network)) AS networks, count() AS reads, min(event) AS event,
            sumMap([one_shape], [toInt64(1)]) AS shapes, arraySort((s, n) -> (-n, s), shapes.1, shapes.2)[1] AS shape
        FROM ({_READS})
        GROUP BY tenant_id, route, slot, day, actor_token
        HAVING max(actor_type) != 'customer' OR length(subjects) >= 3"""
_HOURS = f"""SELECT tenant_id, route, slot, day, uniqExactArray(subjects) AS subjects
                FROM ({_BY_ACTOR})
                GROUP BY tenant_id, route, slot, day"""
# What a burst of one or two days reached does not become the measure of the days after it.
_CANDIDATES = f"""SELECT hours.tenant_id AS tenant_id, hours.route AS route, slot, hours.day AS day, usual
        FROM ({_HOURS}) AS hours
        JOIN (
            SELECT tenant_id, route, day, sum(hours) OVER before AS hours_before,
                arrayReverseSort(groupArray(busiest) OVER before) AS days_before,
                toFloat64(days_before[if(length(days_before) >= {_DAYS_KNOWN}, {_DAYS_LEFT_OUT} + 1, 1)]) AS usual
            FROM (
                SELECT tenant_id, route, day, max(subjects) AS busiest, count() AS hours
                FROM ({_HOURS})
                GROUP BY tenant_id, route, day
            )
            WINDOW before AS (PARTITION BY tenant_id, route ORDER BY day {OWN_BEFORE})
        ) AS days ON days.tenant_id = hours.tenant_id AND days.route = hours.route AND days.day = hours.day
        WHERE {IN_SLOTS} AND hours_before >= {_HOURS_KNOWN} AND subjects >= {FLOOR} AND subjects > {FACTOR} * usual"""
_KNOWN_ACTORS = f"""SELECT tenant_id, {_ROUTE} AS route, actor_token, groupUniqArray({DAY_SLOT}) AS days
        {ROWS} AND {LOOK} GROUP BY tenant_id, route, actor_token"""
# Only for the hours in question, and each network once: the arrays are copied to every reader of such an hour.
_KNOWN_NETWORKS = f"""SELECT hot.tenant_id AS tenant_id, hot.route AS route, hot.slot AS slot,
            groupUniqArray(used.network) AS known
        FROM (
            SELECT DISTINCT tenant_id, {_ROUTE} AS route, cityHash64({NETWORK}) AS network, {DAY_SLOT} AS day
            {ROWS} AND {LOOK}
        ) AS used
        JOIN ({_CANDIDATES}) AS hot ON hot.tenant_id = used.tenant_id AND hot.route = used.route
        WHERE used.day < hot.day AND used.day >= hot.day - 28
        GROUP BY tenant_id, route, slot"""
_SQL = f"""SELECT * EXCEPT (picked), {PICKED} FROM (SELECT tenant_id, slot, route AS key, uniqExactArray(subjects) AS customers, count() AS accounts,
    uniqExactArray(arrayMap(one -> one.1, networks)) AS addresses, sum(reads) AS all_reads,
    max(length(subjects)) AS largest_share, uniqExactArrayIf(subjects, is_new) AS by_new, max(usual) AS usual,
    arrayMax(sumMap([shape], [toUInt64(length(subjects))]).2) AS of_one_shape,
    argMin(event, (-length(subjects), event)) AS picked
FROM (
    SELECT found.tenant_id AS tenant_id, found.slot AS slot, found.route AS route, subjects, networks, reads, event, shape,
        arrayDistinct(arrayMap(n -> n.1, arrayFilter(n -> NOT n.2, networks))) AS outside,
        usual, NOT arrayExists(d -> d < found.day AND d >= found.day - 28, days)
            OR length(arrayIntersect(outside, known)) < length(outside) AS is_new
    FROM ({_BY_ACTOR}) AS found
    JOIN ({_CANDIDATES}) AS hot ON hot.tenant_id = found.tenant_id AND hot.route = found.route AND hot.slot = found.slot
    JOIN ({_KNOWN_ACTORS}) AS actor ON actor.tenant_id = found.tenant_id AND actor.route = found.route
        AND actor.actor_token = found.actor_token
    LEFT JOIN ({_KNOWN_NETWORKS}) AS network ON network.tenant_id = found.tenant_id AND network.route = found.route
        AND network.slot = found.slot
)
GROUP BY tenant_id, slot, route
HAVING greatest(accounts, addresses) >= {SOURCES} AND largest_share <= 0.5 * customers)"""


def _judge(row: Row) -> Verdict | None:
    numbers = numbers_of(row)
    customers, bound = numbers["customers"], max(FLOOR, FACTOR * numbers["usual"])
    numbers["new_percent"] = round(100 * numbers["by_new"] / customers)
    alike = numbers["of_one_shape"] >= 0.9 * customers and numbers["all_reads"] <= 1.2 * customers
    if numbers["new_percent"] >= 50:
        floor = 7500
    elif alike and customers > 2 * bound:
        floor = LOWEST_RISK
    else:
        return None
    return Verdict(
        beyond(customers, bound, floor=floor),
        Words(
            "{customers} different customers in one hour without a work item, by {accounts} accounts from {addresses} "
            "networks, {new_percent} percent of them by readers new to this route. Usual busiest hour of a day in the 28 days before: at most {usual}.",
            "一小时内 {accounts} 个账号从 {addresses} 个网络无工单读取了 {customers} 名不同客户，其中 {new_percent}% 来自此前未使用该接口的访问者。"
            "此前 28 天每日最忙一小时通常不超过 {usual} 名。",
        ),
        numbers,
    )


DISTRIBUTED_SCRAPING = ScheduledDetector(
    name="distributed_scraping",
    scenarios=("D17", "D16"),
    attack_ids=("T1119", "T1090"),
    articles=("pipl-51", "dsl-27"),
    state_key="endpoint",
    cadence=Cadence(unit="hour", lateness_s=900, history_days=29, quiet_slots=24, early_s=300),
    cold_start=Words(
        "Silent for a route until it was used in 24 different hours.",
        "接口在 24 个不同小时内被使用之前不告警。",
    ),
    title=Words("One route emptied by many", "多源分布式爬取"),
    next_step=Words(
        "slow the route down, and look at what the accounts have in common.",
        "对该接口限速，并查看这些账号的共同点。",
    ),
    runbook=Words(
        "Check: user agent, query shape and networks of the hour, in order of customers read. Contain: rate-limit the "
        "route, lock the new accounts. Ask: the route's owner whether a campaign or migration runs.",
        "核查：按读取客户数列出该小时的客户端、查询形态与网络。控制：接口限速并锁定新账号。询问：接口负责人是否有活动或迁移。",
    ),
    sql=_SQL,
    judge=_judge,
    look_alikes=("a new browser version", "an office move", "a campaign day by the usual people", "customers of a portal"),
)  # fmt: skip
