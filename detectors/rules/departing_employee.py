"""Rule departing_employee: somebody who is about to leave collects."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

LAST_DAYS, DEVIATIONS, LARGER, UNUSUAL, MANY = 30, 1.5, 1.0, 50, 2000


def holds(facts: Facts) -> Mask:
    """In the last thirty days: far more customers than usual, or an export of fifty that is larger than usual."""
    days = facts.events.days_to_leave
    more = any_of(facts.at_least("subjects_day_own", DEVIATIONS), facts.at_least("unexplained_day_own", DEVIATIONS))
    larger = all_of(facts.size >= UNUSUAL, facts.at_least("records_own", LARGER))
    collects = any_of(more, all_of(facts.taken_out, any_of(larger, facts.size >= MANY)))
    return all_of(days >= 0, days <= LAST_DAYS, collects, facts.person, facts.success)


RULE = Rule(
    name="departing_employee",
    detects=("D19",),
    attack=("T1567", "T1020"),
    insider=("IF022.002",),
    articles=("pipl-51",),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("somebody about to leave collects customers' data", "即将离职人员大量收集客户数据"),
    next_step=Text(
        "Ask the manager whether it belongs to the handover; hold exports until answered.",
        "向其主管确认是否属于工作交接；确认前冻结导出。",
    ),
    needs=Text(
        "leaves_on of actors.csv; a departure that the directory does not know yet stays silent",
        "actors.csv 中的 leaves_on；目录尚未登记的离职不触发",
    ),
    runbook=Runbook(
        check=Text(
            "What was opened and taken out since notice was given, compared with the handover plan.",
            "核查提出离职以来的访问与导出，并与交接计划对照。",
        ),
        contain=Text(
            "Reduce the rights to what the handover needs; check devices before they are handed back.",
            "将权限缩减至交接所需；设备归还前进行检查。",
        ),
        ask=Text("The manager and human resources.", "其主管与人力资源。"),
    ),
    holds=holds,
    cases=Cases(
        base=case("an employee with nine days to go", {"subjects_day_own": 2.5}, days_to_leave=9),
        holds=(
            case("far more customers than usual"),
            case(
                "an export of sixty, larger than usual",
                {"subjects_day_own": 0, "records_own": 1.5},
                action="export",
                records=60,
            ),
            case("many unexplained looks", {"subjects_day_own": 0, "unexplained_day_own": 2}),
            case("on the last day", days_to_leave=0),
        ),
        silent=(
            case("a usual day", {"subjects_day_own": 0.5}),
            case("leaves in half a year", days_to_leave=180),
            case("no date known", days_to_leave=32767),
            case("refused", outcome="denied"),
        ),
        look_alikes=(
            case("month-end report: as large as every month", {"subjects_day_own": 0}, action="export", records=700),
            case("handover under a work item", explained="explained"),
            case("a contract that ends and is renewed: a usual day", {"subjects_day_own": 0}, actor_type="contractor"),
            case("data migration approved before leaving", approved=1, action="export", records=5000),
        ),
    ),
)
