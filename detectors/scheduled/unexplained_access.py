"""Scheduled detector unexplained_access: the final verdict a day later, when late work items are known.

The stream says `explained`, `claimed` or `not_yet_explained`; tickets are often opened after the look. A day after the
day's end every look that the stream did not find explained is asked again: a work item of this actor covers it when it
was opened up to 24 hours after it and (it was not closed yet, or opened within the 24 hours before it).
`VERDICTS` gives one row an access for `access_explanations`; the detector itself finds people who looked at many more
customers without a reason than they and their colleagues ever do.
"""

from __future__ import annotations

from detectors.scheduled.base import Cadence, Row, ScheduledDetector, Verdict, Words, beyond, numbers_of
from detectors.scheduled.sql import DAY_SLOT, EVENT, LOOK, NO_TOKEN, PEER_GROUP, PEOPLE, ROWS, against_usual

FLOOR = 20
FACTOR = 2

_COVERS = """(span.1 - toIntervalHour(24) <= event_time
            AND (event_time <= span.2 OR event_time <= span.1 + toIntervalHour(24)))"""
# One row an open question: an access and one of its subjects.
_ASKED = f"""SELECT tenant_id, event_time, actor_token, subject, case_token, approval_token, explained, {DAY_SLOT} AS slot,
        {PEER_GROUP} AS peer, {EVENT} AS event
    FROM (SELECT *, arrayJoin(subject_tokens) AS subject {ROWS} AND {LOOK} AND {PEOPLE} AND explained != 'explained')"""
_KEPT = "tenant_id, event_time, actor_token, subject, case_token, approval_token, explained, slot, peer, event"
_ANSWERED = f"""SELECT {", ".join(f"asked.{name} AS {name}" for name in _KEPT.split(", "))},
    arrayExists(span -> {_COVERS}, by_subject.spans)
        OR arrayExists(span -> {_COVERS} AND (span.3 = {NO_TOKEN} OR span.3 = subject), by_case.spans) AS is_explained
FROM ({_ASKED}) AS asked
LEFT JOIN (
    SELECT tenant_id, actor_token, subject_token, groupArray((opened_at, closed_at)) AS spans
    FROM accesstrail.work_items WHERE subject_token != {NO_TOKEN} GROUP BY tenant_id, actor_token, subject_token
) AS by_subject ON by_subject.tenant_id = asked.tenant_id AND by_subject.actor_token = asked.actor_token
    AND by_subject.subject_token = asked.subject
LEFT JOIN (
    SELECT tenant_id, actor_token, case_token, groupArray((opened_at, closed_at, subject_token)) AS spans
    FROM accesstrail.work_items GROUP BY tenant_id, actor_token, case_token
) AS by_case ON by_case.tenant_id = asked.tenant_id AND by_case.actor_token = asked.actor_token
    AND by_case.case_token = asked.case_token"""
# An approval without a case cannot be looked up anywhere: it stays a claim.
_IS_CLAIM = f"case_token = {NO_TOKEN} AND approval_token != {NO_TOKEN}"

VERDICTS = f"""SELECT tenant_id, event.5 AS topic, event.6 AS incarnation, event.7 AS partition, event.8 AS offset,
    event.3 AS event_id, event_time, actor_token, toString(any(explained)) AS stream_verdict,
    multiIf(max(is_explained), 'explained', {_IS_CLAIM}, 'claimed', 'unexplained') AS verdict
FROM ({_ANSWERED})
WHERE slot BETWEEN {{first_slot:Int32}} AND {{last_slot:Int32}}
GROUP BY tenant_id, topic, incarnation, partition, offset, event_id, event_time, actor_token, case_token, approval_token"""
"""One row an access that the stream did not find explained: explained after all, only claimed, or unexplained."""

DAYS = f"""        SELECT tenant_id, slot, actor_token, max(peer) AS peer, uniqExact(subject) AS subjects, min(event) AS picked
        FROM ({_ANSWERED})
        WHERE NOT is_explained AND NOT ({_IS_CLAIM})
        GROUP BY tenant_id, slot, actor_token"""
"""One row an actor and day: customers whose accesses nothing explains."""


def _judge(row: Row) -> Verdict:
    numbers = numbers_of(row)
    bound = max(FLOOR, FACTOR * numbers["usual"])
    return Verdict(
        beyond(numbers["subjects"], bound),
        Words(
            "{subjects} customers on one day without a work item, also a day later. "
            "Own largest of the 28 days before {own_usual}, colleagues' 99th percentile {peer_usual}.",
            "一天内访问了 {subjects} 名客户，一天之后仍无工单。此前 28 天本人最多 {own_usual} 名，同事第 99 百分位为 {peer_usual} 名。",
        ),
        numbers,
    )


UNEXPLAINED_ACCESS = ScheduledDetector(
    name="unexplained_access",
    scenarios=("D11", "D12"),
    attack_ids=("T1213",),
    articles=("pipl-51",),
    state_key="actor",
    cadence=Cadence(unit="day", lateness_s=24 * 3600, history_days=28, quiet_slots=7, early_s=None),
    cold_start=Words(
        "Silent until 50 actor-days of looks without a work item are known; peers count from 50 actor-days of theirs.",
        "在积累 50 个“人·日”的无工单访问之前不告警；同岗位满 50 个“人·日”后才与同岗位比较。",
    ),
    title=Words("Accesses that nothing explains", "访问始终没有依据"),
    next_step=Words(
        "ask the account's manager for the work behind that day's accesses.",
        "向其主管核实当天这些访问的工作依据。",
    ),
    runbook=Words(
        "Check: list the day's accesses (accesstrail search --actor) and their final verdicts (access_explanations). "
        "Contain: none at first; limit the account's search where the number grows. Ask: the manager, then the person.",
        "核查：列出当天访问及最终结论（access_explanations）。控制：先不处置；若数量继续增长则限制其查询。询问：先主管，后本人。",
    ),
    sql=against_usual(DAYS, "subjects", FLOOR, FACTOR),
    judge=_judge,
    look_alikes=("tickets opened hours later", "complaint cases under one case", "a department that writes no tickets"),
)  # fmt: skip
