"""Scheduled detector subject_looked_at_by_many: curiosity about one customer, spread over many accounts.

State is keyed by the data subject: no account does anything unusual alone. Looks with a work item, a claimed case or
an approval do not count; where colleagues are helping with an open case (as many explained as unexplained), it is work.
"""

from __future__ import annotations

from detectors.scheduled.base import Cadence, Row, ScheduledDetector, Verdict, Words, beyond, numbers_of
from detectors.scheduled.sql import (
    DAY_SLOT,
    EVENT,
    IN_SLOTS,
    LOOK,
    OWN_BEFORE,
    PEOPLE,
    PICKED,
    ROWS,
    UNEXPLAINED,
)

FLOOR_VIP, FLOOR = 4, 6
DAYS_KNOWN = 7

_SQL = f"""SELECT tenant_id, slot, lower(hex(subject)) AS key, actors, explained_actors, is_vip,
    toFloat64(largest_before) AS usual, {PICKED}
FROM (
    SELECT *, max(actors) OVER before AS largest_before, min(slot) OVER (PARTITION BY tenant_id) AS first_day
    FROM (
        SELECT tenant_id, slot, subject, countIf(looks > 0) AS actors, countIf(looks = 0) AS explained_actors,
            max(vip) AS is_vip, argMinIf(event, (-looks, event), looks > 0) AS picked
        FROM (
            SELECT tenant_id, slot, subject, actor_token, countIf(open) AS looks, max(vip) AS vip, minIf(one, open) AS event
            FROM (
                SELECT tenant_id, {DAY_SLOT} AS slot, arrayJoin(subject_tokens) AS subject, actor_token,
                    {UNEXPLAINED} AS open, has(subject_flags, 'vip') AND length(subject_tokens) = 1 AS vip, {EVENT} AS one
                {ROWS} AND {LOOK} AND {PEOPLE} AND length(subject_tokens) <= 100
            )
            GROUP BY tenant_id, slot, subject, actor_token
        )
        GROUP BY tenant_id, slot, subject
    )
    WINDOW before AS (PARTITION BY tenant_id, subject ORDER BY slot {OWN_BEFORE})
)
WHERE {IN_SLOTS} AND actors >= if(is_vip, {FLOOR_VIP}, {FLOOR}) AND actors >= 2 * usual + 2
    AND actors >= 2 * explained_actors AND (is_vip OR slot - first_day >= {DAYS_KNOWN})"""


def _judge(row: Row) -> Verdict:
    numbers = numbers_of(row)
    floor = FLOOR_VIP if numbers["is_vip"] else FLOOR
    bound = max(floor, 2 * numbers["usual"] + 2)
    who_en, who_zh = ("one prominent customer", "一名重点客户") if numbers["is_vip"] else ("one customer", "一名客户")
    return Verdict(
        beyond(numbers["actors"], bound, floor=7500 if numbers["is_vip"] else 7000),
        Words(
            f"{{actors}} accounts looked at {who_en} on one day without a work item, {{explained_actors}} with one. "
            "Largest day of the 28 before: {usual} without.",
            f"一天内有 {{actors}} 个账号在没有工单的情况下查看了{who_zh}，有工单的为 {{explained_actors}} 个。"
            "此前 28 天单日最多 {usual} 个。",
        ),
        numbers,
    )


SUBJECT_LOOKED_AT_BY_MANY = ScheduledDetector(
    name="subject_looked_at_by_many",
    scenarios=("D09",),
    attack_ids=("T1213",),
    articles=("pipl-51", "pipl-10"),
    state_key="subject",
    cadence=Cadence(unit="day", lateness_s=3600, history_days=28, quiet_slots=7),
    cold_start=Words(
        "Prominent customers from the first day (4 accounts), others after 7 days of data (6 accounts); the customer's own "
        "usual joins in as days pass.",
        "重点客户首日即生效（4 个账号），其他客户须积累 7 天数据（6 个账号）；随后逐日加入该客户自身的历史。",
    ),
    title=Words("Many look at one customer", "多人查看同一客户"),
    next_step=Words(
        "ask two of the accounts why they opened this customer; look for news about them.",
        "向其中两个账号询问查看原因，并留意该客户是否有相关新闻。",
    ),
    runbook=Words(
        "Check: accesstrail search --subject for the day, who had a work item. Contain: hide the record from all but "
        "its case workers. Ask: the data protection officer, then the managers of the accounts.",
        "核查：检索当天对该客户的访问及工单。控制：仅向经办人开放该记录。询问：先个人信息保护负责人，再相关主管。",
    ),
    sql=_SQL,
    judge=_judge,
    look_alikes=("a complaint case with several handlers", "a popular customer", "an export that lists many customers"),
)  # fmt: skip
