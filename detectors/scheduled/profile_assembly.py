"""Scheduled detector profile_assembly: one account puts together who somebody is, for several customers.

Reads of several kinds of data about one customer within an hour, without a work item: contact here, bank card there,
location elsewhere. One page that shows three kinds of data is no assembly, so two kinds of resource are needed.
"""

from __future__ import annotations

from detectors.scheduled.base import Cadence, Row, ScheduledDetector, Verdict, Words, beyond, numbers_of
from detectors.scheduled.sql import DAY_SLOT, EVENT, LOOK, PEER_GROUP, PEOPLE, ROWS, UNEXPLAINED, against_usual

FLOOR = 5
FACTOR = 2.0
_CATEGORIES, _TYPES = 3, 2

_DAYS = f"""        SELECT tenant_id, slot, actor_token, max(group) AS peer, uniqExact(subject) AS subjects,
            max(categories) AS most_categories, min(event) AS picked
        FROM (
            SELECT tenant_id, {DAY_SLOT} AS slot, actor_token, toStartOfHour(event_time) AS hour,
                arrayJoin(subject_tokens) AS subject, max({PEER_GROUP}) AS group,
                length(groupUniqArrayArray(data_categories)) AS categories, min({EVENT}) AS event
            {ROWS} AND {LOOK} AND {PEOPLE} AND {UNEXPLAINED} AND length(subject_tokens) <= 10
            GROUP BY tenant_id, slot, actor_token, hour, subject
            HAVING categories >= {_CATEGORIES} AND uniqExact(resource_type) >= {_TYPES}
        )
        GROUP BY tenant_id, slot, actor_token"""
# Most days have none: an actor-day counts for "usual" as soon as the account looked at anybody.
_ALL_DAYS = f"""        SELECT tenant_id, slot, actor_token, max(peer) AS peer, max(subjects) AS subjects,
            max(most_categories) AS most_categories, min(picked) AS picked
        FROM (
{_DAYS}
            UNION ALL
            SELECT tenant_id, {DAY_SLOT} AS slot, actor_token, max({PEER_GROUP}) AS peer, 0 AS subjects,
                0 AS most_categories, max({EVENT}) AS picked
            {ROWS} AND {LOOK} AND {PEOPLE}
            GROUP BY tenant_id, slot, actor_token
        )
        GROUP BY tenant_id, slot, actor_token"""


def _judge(row: Row) -> Verdict:
    numbers = numbers_of(row)
    bound = max(FLOOR, FACTOR * numbers["usual"])
    return Verdict(
        beyond(numbers["subjects"], bound, floor=7500),
        Words(
            "up to {most_categories} kinds of data about each of {subjects} customers, within an hour each, without a "
            "work item. Own largest day of the 28 before {own_usual}, colleagues' 99th percentile {peer_usual}.",
            "在没有工单的情况下，于一小时内分别查看了 {subjects} 名客户多达 {most_categories} 类数据。"
            "此前 28 天本人单日最多 {own_usual} 名，同事第 99 百分位为 {peer_usual} 名。",
        ),
        numbers,
    )


PROFILE_ASSEMBLY = ScheduledDetector(
    name="profile_assembly",
    scenarios=("D31",),
    attack_ids=("T1119",),
    articles=("pipl-6", "pipl-51"),
    state_key="actor",
    cadence=Cadence(unit="day", lateness_s=3600, history_days=28, quiet_slots=7),
    cold_start=Words(
        "Silent until 50 actor-days are known; peers count from 50 actor-days of theirs.",
        "在积累 50 个“人·日”之前不告警；同岗位满 50 个“人·日”后才与同岗位比较。",
    ),
    title=Words("Whole persons put together", "拼凑个人画像"),
    next_step=Words(
        "ask what the combined data was for, and whether it left the screen.",
        "询问汇集这些数据的用途，以及是否已外传。",
    ),
    runbook=Words(
        "Check: the account's accesses to one of the customers, kind by kind. Contain: take away the kinds of data the "
        "role does not need. Ask: the manager, then the data protection officer.",
        "核查：按数据类型列出该账号对其中一名客户的访问。控制：收回岗位不需要的数据权限。询问：先主管，再个人信息保护负责人。",
    ),
    sql=against_usual(_ALL_DAYS, "subjects", FLOOR, FACTOR, more="most_categories,"),
    judge=_judge,
    look_alikes=("a team that answers subject requests under cases", "a fraud team that always does so",
                 "one page with many kinds of data"),
)  # fmt: skip
