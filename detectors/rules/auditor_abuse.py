"""Rule auditor_abuse: who may see everything looks for somebody."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

RECORDS, QUERIES = 1000, 200


def holds(facts: Facts) -> Mask:
    """An audit query about own household or protected people, a thousand rows taken out, or 200 queries today."""
    about = any_of(
        facts.events.own_subject == 1,
        facts.events.household_subject == 1,
        all_of(facts.events.vip_subjects > 0, facts.few_subjects),
    )
    out = all_of(facts.is_("action", "audit_export"), facts.size >= RECORDS)
    asks = all_of(facts.is_("action", "audit_query", "audit_export"), facts.success, facts.person)
    return all_of(asks, any_of(about, out, facts.at_least("audit_day", QUERIES)))


RULE = Rule(
    name="auditor_abuse",
    detects=("D28",),
    attack=("T1213",),
    insider=("MT018", "ME024"),
    articles=("pipl-51", "pipl-10"),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("audit rights used without a case", "无案件依据使用审计权限"),
    next_step=Text(
        "Have another auditor look at what was asked and for whom.",
        "由另一名审计员复核查询内容及对象。",
    ),
    needs=Text(
        "audit queries are access events too; flags in subjects.csv and own_subject_ids tell whom they are about",
        "审计查询也须作为访问事件上报；subjects.csv 的标记与 own_subject_ids 用于识别查询对象",
    ),
    runbook=Runbook(
        check=Text(
            "The queries of the last weeks, their cases, what was exported.", "核查近几周的查询、对应案件及导出内容。"
        ),
        contain=Text("Suspend the audit right; secure exported files.", "暂停审计权限；保全导出文件。"),
        ask=Text(
            "The head of audit; the person is heard by somebody independent.", "审计负责人；由独立人员与当事人谈话。"
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "an auditor asks who looked at a celebrity",
            action="audit_query",
            vip_subjects=1,
            records=30,
            subject_count=1,
        ),
        holds=(
            case("a protected person", records=3),
            case("the two hundredth query today", {"audit_day": 200}, vip_subjects=0),
            case("the own record", vip_subjects=0, own_subject=1),
            case("a household member", vip_subjects=0, household_subject=1),
            case("a thousand rows taken out", action="audit_export", vip_subjects=0, records=1000),
        ),
        silent=(
            case("an ordinary customer", vip_subjects=0),
            case("refused", outcome="denied", records=0),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("complaint: under a work item", records=3, explained="explained"),
            case("yearly audit that was approved", action="audit_export", records=90_000, approved=1),
            case("batch job: the reporting service", actor_type="service", action="audit_export", records=90_000),
            case("a busy day of an audit", {"audit_day": 60}, vip_subjects=0),
            case("protected people stand in a report of hundreds", records=800, subject_count=400),
        ),
    ),
)
