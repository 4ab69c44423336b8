"""Scheduled detector subject_looked_at_by_many: curiosity about one customer, spread over many accounts.

State is keyed by the data subject: no account does anything unusual alone. Looks with a work item, a claimed case or
an approval do not count; where colleagues are helping with an open case (as many explained as unexplained), it is work.
What many means is the company's own: on a ward a dozen people open one patient's record every day, and no ticket says
why. A day's most looked-at customer, the median of the 28 days before, is what any customer may come to.
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
OF_ANY_VIP, OF_ANY = 1.0, 1.5
"""More than so many times what the most looked-at customer of an ordinary day comes to."""
DAYS_KNOWN = 7

_BY_DAY = f"""SELECT tenant_id, slot, subject, countIf(looks > 0) AS actors, countIf(looks = 0) AS explained_actors,
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
        GROUP BY tenant_id, slot, subject"""
# Of each day only what may be a finding and its most looked-at customer go on: customers are many.
_LARGEST = f"""SELECT *, max(actors) OVER before AS largest_before, min(slot) OVER (PARTITION BY tenant_id) AS first_day,
            max(actors) OVER today AS largest_today, argMax(subject, actors) OVER today AS most_looked_at
        FROM (
        {_BY_DAY}
        )
        WINDOW before AS (PARTITION BY tenant_id, subject ORDER BY slot {OWN_BEFORE}),
            today AS (PARTITION BY tenant_id, slot)"""
_SQL = f"""SELECT tenant_id, slot, lower(hex(subject)) AS key, actors, explained_actors, is_vip,
    toFloat64(largest_before) AS usual,
    toFloat64(if(empty(days_before), 0, arrayReduce('quantileExact', arrayMap(day -> day.2, days_before)))) AS usual_of_any,
    {PICKED}
FROM (
    SELECT *, groupUniqArray((slot, largest_today)) OVER company AS days_before
    FROM (
        {_LARGEST}
    )
    WHERE actors >= {FLOOR_VIP} OR subject = most_looked_at
    WINDOW company AS (PARTITION BY tenant_id ORDER BY slot {OWN_BEFORE})
)
WHERE {IN_SLOTS} AND actors >= if(is_vip, {FLOOR_VIP}, {FLOOR}) AND actors >= 2 * usual + 2
    AND actors > if(is_vip, {OF_ANY_VIP}, {OF_ANY}) * usual_of_any
    AND actors >= 2 * explained_actors AND (is_vip OR slot - first_day >= {DAYS_KNOWN})"""


def _judge(row: Row) -> Verdict:
    numbers = numbers_of(row)
    floor, of_any = (FLOOR_VIP, OF_ANY_VIP) if numbers["is_vip"] else (FLOOR, OF_ANY)
    bound = max(floor, 2 * numbers["usual"] + 2, of_any * numbers["usual_of_any"])
    who_en, who_zh = ("one prominent customer", "一名重点客户") if numbers["is_vip"] else ("one customer", "一名客户")
    return Verdict(
        beyond(numbers["actors"], bound, floor=7500 if numbers["is_vip"] else 7000),
        Words(
            f"{{actors}} accounts looked at {who_en} on one day without a work item, {{explained_actors}} with one. "
            "Largest day of the 28 before: {usual} without; any customer's on an ordinary day: {usual_of_any}.",
            f"一天内有 {{actors}} 个账号在没有工单的情况下查看了{who_zh}，有工单的为 {{explained_actors}} 个。"
            "此前 28 天单日最多 {usual} 个；平常一天中任一客户最多 {usual_of_any} 个。",
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
    look_alikes=(
        "a complaint case with several handlers",
        "a popular customer",
        "an export that lists many customers",
        "a company where teams share every customer and write no tickets",
    ),
)  # fmt: skip
