"""Scheduled detector partner_over_contract_day: all agents of one partner together against its contract.

State is keyed by the organisation: each agent may stay below every limit of its own. Judged are customers a day,
the contracts' dates, and kinds of data or purposes that no contract of the day names; of several contracts that hold on
a day the widest limit counts. What was approved or has a work item is beside the contract and does not count.
"""

from __future__ import annotations

from detectors.scheduled.base import Cadence, Parameter, Row, ScheduledDetector, Verdict, Words, beyond, numbers_of
from detectors.scheduled.sql import DAY_SLOT, EVENT, IN_SLOTS, NO_TOKEN, OWN_BEFORE, PICKED, ROWS

OFF_CONTRACT_FLOOR = 20
UNLIMITED_FLOOR, UNLIMITED_FACTOR = 100, 3.0

_HERE = """{orgs:Array(String)}[at] = actor_org
                        AND slot BETWEEN {valid_from:Array(Int64)}[at] AND {valid_to:Array(Int64)}[at]"""
_ALLOWS = """({resource_types:Array(String)}[at] = ''
                        OR has(splitByChar(';', {resource_types:Array(String)}[at]), resource_type))
                    AND (purpose = '' OR {purposes:Array(String)}[at] = ''
                        OR has(splitByChar(';', {purposes:Array(String)}[at]), purpose))"""
_LIMIT = """if(empty(terms) OR arrayExists(at -> {limits:Array(Int64)}[at] < 0, terms), -1,
                        arrayMax(at -> {limits:Array(Int64)}[at], terms))"""
_SQL = f"""SELECT tenant_id, slot, actor_org AS key, subjects, off_contract, is_outside_dates, agents, daily_limit,
    toFloat64(most_before) AS usual, toFloat64(off_before) AS off_usual, days_before, {PICKED}
FROM (
    SELECT *, max(subjects) OVER before AS most_before, max(off_contract) OVER before AS off_before,
        count() OVER before AS days_before
    FROM (
        SELECT tenant_id, slot, actor_org, uniqExactArray(tokens) + sum(unlisted) AS subjects,
            uniqExactArray(off_tokens) AS off_contract, max(outside) AS is_outside_dates, max(day_limit) AS daily_limit,
            count() AS agents, argMin(event, (-own_subjects, event)) AS picked
        FROM (
            SELECT tenant_id, slot, actor_org, actor_token, groupUniqArrayArray(subject_tokens) AS tokens,
                groupUniqArrayArrayIf(subject_tokens, off) AS off_tokens,
                sum(greatest(subject_count - toInt64(length(subject_tokens)), 0)) AS unlisted,
                length(tokens) + unlisted AS own_subjects, max(out_of_dates) AS outside, max(one_limit) AS day_limit,
                min(one) AS event
            FROM (
                SELECT tenant_id, {DAY_SLOT} AS slot, actor_org, actor_token, subject_tokens, subject_count,
                    arrayFilter(at -> {_HERE}, arrayEnumerate({{orgs:Array(String)}})) AS terms,
                    empty(terms) AS out_of_dates,
                    NOT out_of_dates AND NOT arrayExists(at -> {_ALLOWS}, terms) AS off,
                    {_LIMIT} AS one_limit, {EVENT} AS one
                {ROWS} AND has({{orgs:Array(String)}}, actor_org) AND outcome = 'success' AND subject_count > 0
                    AND explained != 'explained' AND approval_token = {NO_TOKEN}
            )
            GROUP BY tenant_id, slot, actor_org, actor_token
        )
        GROUP BY tenant_id, slot, actor_org
    )
    WINDOW before AS (PARTITION BY tenant_id, actor_org ORDER BY slot {OWN_BEFORE})
)
WHERE {IN_SLOTS}"""


def _judge(row: Row) -> Verdict | None:
    """The gravest of: outside the contract's dates, above its limit, off its terms, far above the partner's own usual."""
    numbers = numbers_of(row)
    subjects, limit = numbers["subjects"], numbers["daily_limit"]
    if numbers["is_outside_dates"]:
        return Verdict(
            beyond(subjects, 10, floor=9000, doubling=100),
            Words(
                "{subjects} customers on a day outside the contract's dates.",
                "在合同有效期之外访问了 {subjects} 名客户。",
            ),
            numbers,
        )
    if limit >= 0 and subjects > limit:
        return Verdict(
            beyond(subjects, limit, floor=8000),
            Words(
                "This partner read {subjects} customers on one day (accounts used: {agents}). The contract allows "
                "{daily_limit}; the largest of the 28 days before is {usual}.",
                "该合作方 {agents} 个账号一天共访问 {subjects} 名客户。合同允许 {daily_limit} 名；此前 28 天最多 {usual} 名。",
            ),
            numbers,
        )
    if numbers["off_contract"] >= OFF_CONTRACT_FLOOR and numbers["off_contract"] > 2 * numbers["off_usual"]:
        return Verdict(
            beyond(numbers["off_contract"], max(OFF_CONTRACT_FLOOR, 2 * numbers["off_usual"])),
            Words(
                "{off_contract} customers on one day with a kind of data or purpose that the contract does not name. "
                "Largest of the 28 days before: {off_usual}.",
                "一天内对 {off_contract} 名客户的访问超出合同约定的数据类型或用途。此前 28 天最多 {off_usual} 名。",
            ),
            numbers,
        )
    bound = max(UNLIMITED_FLOOR, UNLIMITED_FACTOR * numbers["usual"])
    if limit < 0 and numbers["days_before"] >= 7 and subjects > bound:
        return Verdict(
            beyond(subjects, bound),
            Words(
                "This partner read {subjects} customers on one day (accounts used: {agents}). The contract names no limit; "
                "the largest of the 28 days before is {usual}.",
                "该合作方 {agents} 个账号一天共访问 {subjects} 名客户。合同未约定上限；此前 28 天最多 {usual} 名。",
            ),
            numbers,
        )
    return None


PARTNER_OVER_CONTRACT_DAY = ScheduledDetector(
    name="partner_over_contract_day",
    scenarios=("D20", "D29"),
    attack_ids=("T1199",),
    articles=("pipl-21", "pipl-23"),
    state_key="partner",
    cadence=Cadence(unit="day", lateness_s=3600, history_days=28, quiet_slots=7),
    parameters=(
        Parameter("orgs", "Array(String)", "partners.csv: organisation of each contract"),
        Parameter("limits", "Array(Int64)", "daily_subject_limit of each contract, -1 where there is none"),
        Parameter("resource_types", "Array(String)", "resource types of each, parted by ;"),
        Parameter("purposes", "Array(String)", "purposes of each, parted by ;"),
        Parameter("valid_from", "Array(Int64)", "first day of each contract, days since 1970"),
        Parameter("valid_to", "Array(Int64)", "last day of each contract, days since 1970"),
    ),
    cold_start=Words(
        "Limits, dates and terms hold from the first day; a partner without a limit is compared with itself after 7 days.",
        "合同上限、期限与约定首日即生效；没有上限的合作方满 7 天后才与自身比较。",
    ),
    title=Words("Partner beyond its contract", "合作方超出合同"),
    next_step=Words(
        "stop the partner's key if it goes on; ask the contract's owner.",
        "若仍在继续则停用该合作方密钥，并询问合同负责人。",
    ),
    runbook=Words(
        "Check: the partner's accounts of the day, their networks, which customers were never theirs. Contain: revoke "
        "the key or lower its quota. Ask: the contract's owner, then the partner's security contact.",
        "核查：当天该合作方的账号、网络以及与其无关的客户。控制：吊销密钥或降低配额。询问：先合同负责人，再对方安全联系人。",
    ),
    sql=_SQL,
    judge=_judge,
    look_alikes=("a sales holiday within the limit", "a new agent of the partner", "one standing deviation every day"),
)  # fmt: skip
