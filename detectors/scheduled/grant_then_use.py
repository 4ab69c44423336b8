"""Scheduled detector grant_then_use: a right is given, and within hours it is used for what nothing explains.

State is keyed by the receiving account, which is another actor than the one of the grant. `resource_token` of a grant
is the receiver's actor token. A right given to oneself counts from the first look; one given by somebody else when
customers are read, without a work item, in kinds of data that the account did not read in the 28 days before. In the
first week of data every account would look new, so only rights given to oneself count.
"""

from __future__ import annotations

from detectors.scheduled.base import Cadence, Row, ScheduledDetector, Verdict, Words, beyond, numbers_of
from detectors.scheduled.sql import DAY_SLOT, EVENT, IN_SLOTS, LOOK, PICKED, ROWS, UNEXPLAINED

FLOOR, FLOOR_NEWCOMER = 5, 20
HOURS = 8
DAYS_KNOWN = 7
_SENSITIVE = 3

_GRANTS = f"""SELECT tenant_id, resource_token AS receiver, event_time AS granted_at,
            actor_token = resource_token AS by_itself
        {ROWS} AND action = 'grant' AND outcome = 'success' AND startsWith(resource_type, 'account')"""
_USES = f"""SELECT tenant_id, actor_token, {DAY_SLOT} AS slot, event_time, resource_type, arrayJoin(subject_tokens) AS subject,
            {EVENT} AS event
        {ROWS} AND {LOOK} AND {UNEXPLAINED} AND sensitivity >= {_SENSITIVE}
            AND (tenant_id, actor_token) IN (SELECT tenant_id, receiver FROM ({_GRANTS}))"""
_KNOWN = f"""SELECT tenant_id, actor_token, groupUniqArray((resource_type, {DAY_SLOT})) AS known
        {ROWS} AND {LOOK}
            AND (tenant_id, actor_token) IN (SELECT tenant_id, receiver FROM ({_GRANTS}))
        GROUP BY tenant_id, actor_token"""
_FIRST_DAYS = f"""SELECT tenant_id, min({DAY_SLOT}) AS first_day {ROWS} GROUP BY tenant_id"""
_SQL = f"""SELECT * EXCEPT (picked), {PICKED} FROM (SELECT tenant_id, slot, lower(hex(receiver)) AS key, uniqExact(subject) AS subjects,
    uniqExactIf(subject, is_new) AS new_subjects, max(by_itself) AS is_self_grant, max(newcomer) AS is_newcomer,
    min(minutes) AS minutes_after, if(is_self_grant, minIf(event, by_itself), minIf(event, is_new)) AS picked
FROM (
    SELECT uses.tenant_id AS tenant_id, grants.receiver AS receiver, slot, subject, by_itself, event,
        slot - first_day >= {DAYS_KNOWN} AS is_known,
        dateDiff('minute', granted_at, event_time) AS minutes,
        NOT arrayExists(one -> one.1 = resource_type AND one.2 < slot AND one.2 >= slot - 28, known) AS is_new,
        NOT arrayExists(one -> one.2 < slot AND one.2 >= slot - 28, known) AS newcomer
    FROM ({_USES}) AS uses
    JOIN ({_GRANTS}) AS grants ON grants.tenant_id = uses.tenant_id AND grants.receiver = uses.actor_token
    JOIN ({_KNOWN}) AS before ON before.tenant_id = uses.tenant_id AND before.actor_token = uses.actor_token
    JOIN ({_FIRST_DAYS}) AS data ON data.tenant_id = uses.tenant_id
    WHERE event_time > granted_at AND event_time <= granted_at + toIntervalHour({HOURS}) AND {IN_SLOTS}
)
GROUP BY tenant_id, slot, receiver
HAVING is_self_grant OR max(is_known) AND new_subjects >= if(is_newcomer, {FLOOR_NEWCOMER}, {FLOOR}))"""


def _judge(row: Row) -> Verdict:
    numbers = numbers_of(row)
    if numbers["is_self_grant"]:
        return Verdict(
            9500,
            Words(
                "the account gave itself a right and read {subjects} customers' sensitive data within 8 hours, without a "
                "work item. The first read came {minutes_after} minutes later.",
                "该账号为自己授权，并在 8 小时内无工单读取了 {subjects} 名客户的敏感数据。首次读取在授权后 {minutes_after} 分钟。",
            ),
            numbers,
        )
    return Verdict(
        beyond(numbers["new_subjects"], FLOOR_NEWCOMER if numbers["is_newcomer"] else FLOOR, floor=7500),
        Words(
            "within 8 hours of a new right, {new_subjects} customers were read without a work item in kinds of data that "
            "the account had not read for 28 days. The first read came {minutes_after} minutes later.",
            "获得新权限后 8 小时内，无工单读取了 {new_subjects} 名客户近 28 天从未读过的数据类型。首次读取在授权后 {minutes_after} 分钟。",
        ),
        numbers,
    )


GRANT_THEN_USE = ScheduledDetector(
    name="grant_then_use",
    scenarios=("D06",),
    attack_ids=("T1098", "T1098.003", "T1548"),
    articles=("pipl-51", "csl-21"),
    state_key="actor",
    cadence=Cadence(unit="day", lateness_s=3600, history_days=29, quiet_slots=7),
    cold_start=Words(
        "Rights given to oneself count from the first day, others after 7 days of data; an account without earlier reads is "
        "taken for a newcomer, whose bound is 20 customers.",
        "自我授权首日即生效，其他授权须积累 7 天数据；没有历史读取的账号视为新入职，下限为 20 名客户。",
    ),
    title=Words("A right given and used at once", "授权后立即使用"),
    next_step=Words(
        "take the right back and ask who approved it.",
        "收回该权限，并确认由谁批准。",
    ),
    runbook=Words(
        "Check: the grant, its giver and its approval; what the account read since. Contain: revoke the right and end "
        "its sessions. Ask: the giver, then the owner of the data.",
        "核查：授权记录、授权人及审批；此后读取的内容。控制：撤销权限并终止会话。询问：先授权人，再数据负责人。",
    ),
    sql=_SQL,
    judge=_judge,
    look_alikes=("a newcomer's first day", "a change of role with work items", "a right that is given and not used"),
)  # fmt: skip
