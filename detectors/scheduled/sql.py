"""Pieces that the detectors' SQL share: which rows count, how a slot is cut, which event speaks for a window.

Constants only; every value arrives as a typed parameter (`{name:Type}`). The SQL runs unchanged on a ClickHouse server,
through the views, and in the engine of the `chdb-core` wheel over tables of the same names.
"""

from __future__ import annotations

EVENT_COLUMNS = (
    "tenant_id", "topic", "incarnation", "partition", "offset", "received_at", "event_time", "event_id", "duplicate_of",
    "actor_token", "actor_type", "actor_org", "actor_dept", "actor_role", "credential_token", "session_token",
    "device_token", "user_agent_hash", "src_ip", "src_country", "network_kind", "action", "outcome", "endpoint",
    "source_system", "source_instance", "source_seq", "resource_type", "resource_token", "sensitivity", "subject_count",
    "subject_tokens", "subject_flags", "data_categories", "purpose", "case_token", "approval_token", "explained",
    "query_fingerprint", "risk",
)  # fmt: skip
"""The columns of `access_events` that any detector reads: what the embedded engine is given."""

_TIME = "DateTime64(6, 'UTC')"

DAY_SLOT = "toInt32(toDate(toTimeZone(event_time, {zone:String})))"
HOUR_SLOT = "toInt32(intDiv(toUnixTimestamp64Micro(event_time), 3600000000))"
IN_SLOTS = "slot BETWEEN {first_slot:Int32} AND {last_slot:Int32}"

ROWS = f"""FROM accesstrail.person_events
    WHERE duplicate_of < 0 AND event_time >= {{since:{_TIME}}} AND event_time < {{until:{_TIME}}}
        AND received_at < {{received_before:{_TIME}}}"""
"""Events of the slots and of the history before them, as far as they were received in time; repetitions left out.

By person: accounts, data subjects and credentials are the same before and after the token key was rotated."""

LOOK = """outcome = 'success' AND notEmpty(subject_tokens) AND action IN
            ('read', 'search', 'list', 'export', 'download', 'share', 'print', 'unmask', 'decrypt')"""
PEOPLE = "actor_type IN ('employee', 'contractor', 'admin', 'partner', 'ai_agent')"
UNEXPLAINED = "explained = 'not_yet_explained'"
PEER_GROUP = "if(actor_dept = '' AND actor_role = '', concat('type:', toString(actor_type)), concat(actor_dept, '/', actor_role))"
NETWORK = "IPv6CIDRToRange(src_ip, if(startsWith(IPv6NumToString(src_ip), '::ffff:'), toUInt8(120), toUInt8(48))).1"
"""The /24 (IPv4) or /48 (IPv6) of an address."""
NO_TOKEN = "toFixedString('', 16)"  # noqa: S105  an expression, no secret

EVENT = "tuple(-toInt32(risk), event_time, event_id, actor_token, topic, incarnation, partition, offset, received_at, sensitivity)"
"""An event as what `min` chooses by: the highest risk of the stream, then the earliest, then the smallest id."""

PICKED = """toUnixTimestamp64Micro(picked.2) AS event_time_us, toUnixTimestamp64Micro(picked.9) AS received_at_us,
    toString(picked.3) AS event_id, hex(picked.4) AS actor, picked.5 AS topic, picked.6 AS incarnation,
    picked.7 AS partition, picked.8 AS offset, picked.10 AS sensitivity"""

OWN_BEFORE = "RANGE BETWEEN 28 PRECEDING AND 1 PRECEDING"
"""The 28 days before a day, as the frame of a window over day slots."""


INPUT_END = """SELECT toUnixTimestamp64Micro(quantileExact(0.5)(last_at)) AS end_us FROM (
    SELECT max(event_time) AS last_at FROM accesstrail.access_events WHERE duplicate_of < 0
    GROUP BY tenant_id, source_system, source_instance)"""
"""Where a file of events ends for whoever looks for silence: half of its sources are not heard after it."""


def against_usual(counted: str, count: str, floor: int, factor: float, *, more: str = "") -> str:
    """SQL that compares each actor's day with the 28 days before: own largest, and the 99th percentile of peers.

    And with the same day: where five peers or more were at work, the upper quartile of them, so that a day on which
    everybody does more (a promotion, a ticket system that is down) is nobody's finding.

    `counted`: a query of (tenant_id, slot, actor_token, peer, picked, `count`), one row an actor and day. Peers are the
    department and role; where these have fewer than 50 actor-days, everybody. Without 50 actor-days of anybody: no row.
    Rows: at least `floor` and more than `factor` times the usual.
    """
    frame = f"ORDER BY slot {OWN_BEFORE}"
    return f"""SELECT tenant_id, slot, lower(hex(actor_token)) AS key, {count}, {more}
    toFloat64(own) AS own_usual, toFloat64(if(peer_days >= 50, of_peers, of_all)) AS peer_usual,
    toFloat64(if(peers_today >= 5, of_today, 0)) AS today_usual, greatest(own_usual, peer_usual, today_usual) AS usual,
    {PICKED}
FROM (
    SELECT *, max({count}) OVER own AS own, quantileExact(0.99)({count}) OVER peers AS of_peers,
        count() OVER peers AS peer_days, quantileExact(0.75)({count}) OVER today AS of_today,
        count() OVER today AS peers_today, quantileExact(0.99)({count}) OVER everyone AS of_all,
        count() OVER everyone AS all_days
    FROM (
{counted}
    )
    WINDOW own AS (PARTITION BY tenant_id, actor_token {frame}),
        peers AS (PARTITION BY tenant_id, peer {frame}),
        today AS (PARTITION BY tenant_id, peer, slot),
        everyone AS (PARTITION BY tenant_id {frame})
)
WHERE {IN_SLOTS} AND all_days >= 50 AND {count} >= {floor} AND {count} > {factor} * usual"""
