"""Rule record_tampering: records are changed so that something looks different."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

RECORDS, CHANGES = 100, 40


def holds(facts: Facts) -> Mask:
    """A person changes or deletes their household's record, a hundred sensitive records at once, or forty a day."""
    related = any_of(facts.events.own_subject == 1, facts.events.household_subject == 1)
    many = all_of(facts.sensitive, any_of(facts.size >= RECORDS, facts.at_least("changes_day", CHANGES)))
    return all_of(facts.is_("action", "update", "delete"), facts.success, facts.person, any_of(related, many))


RULE = Rule(
    name="record_tampering",
    detects=("D26", "D10"),
    attack=("T1565.001",),
    insider=("AF026", "IF022"),
    articles=("pipl-51", "pipl-8"),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("records changed or deleted without a work item", "无工单更改或删除记录"),
    next_step=Text(
        "Compare the records with the last backup; ask who ordered the change.",
        "与最近备份比对记录；询问由谁安排更改。",
    ),
    needs=Text(
        "the application reports update and delete with their number; what was changed is not in the event",
        "应用须上报 update 与 delete 操作及数量；事件中不含更改内容",
    ),
    runbook=Runbook(
        check=Text(
            "Values before and after, in the backup and in the application's history.",
            "核查备份与应用历史中的更改前后值。",
        ),
        contain=Text(
            "Stop further changes by the account; restore what was wrong.", "停止该账号继续更改；恢复错误内容。"
        ),
        ask=Text("The owner of the data, then the account's manager.", "数据负责人，然后是该账号主管。"),
    ),
    holds=holds,
    cases=Cases(
        base=case("an employee changes their own record", action="update", own_subject=1),
        holds=(
            case("the own record"),
            case("deletes that of the household", action="delete", own_subject=0, household_subject=1),
            case("the fortieth sensitive record today", {"changes_day": 40}, own_subject=0, sensitivity=3),
            case("a hundred sensitive records at once", own_subject=0, records=100, sensitivity=3),
        ),
        silent=(
            case("one customer's record", own_subject=0),
            case("reads the own record", action="read"),
            case("failed", outcome="error"),
        ),
        look_alikes=(
            case(
                "data migration under a work item", own_subject=0, records=90_000, sensitivity=3, explained="explained"
            ),
            case(
                "batch job: retention deletes what is due",
                actor_type="service",
                action="delete",
                records=9000,
                sensitivity=4,
            ),
            case("a correction that was approved", approved=1),
            case("a customer changes the own address", actor_type="customer"),
        ),
    ),
)
