"""Rule bulk_export: much data leaves in one step and nothing justifies it."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

MANY, UNUSUAL, DEVIATIONS = 2000, 500, 1.0


def holds(facts: Facts) -> Mask:
    """2,000 records or data subjects are taken out at once, or 500 where that is more than usual; by no service."""
    unusual = all_of(facts.size >= UNUSUAL, facts.at_least("records_own", DEVIATIONS))
    return all_of(facts.taken_out, ~facts.service, any_of(facts.size >= MANY, unusual))


RULE = Rule(
    name="bulk_export",
    detects=("D01",),
    attack=("T1213.004", "T1213.006", "T1567"),
    insider=("IF022.002",),
    articles=("pipl-51", "pipl-55"),
    floor=9000,
    severity="high",
    excuse="work",
    title=Text("bulk export without approval or work item", "无审批且无工单的批量导出"),
    next_step=Text(
        "Ask the account's manager whether it was ordered; hold the file at its recipient.",
        "向其主管确认是否有此导出任务，并在接收方处冻结文件。",
    ),
    needs=Text(
        "records_returned or subject_count of the event; without both an export counts as nothing and stays silent",
        "事件中的 records_returned 或 subject_count；两者皆无时无法计数，规则不触发",
    ),
    runbook=Runbook(
        check=Text(
            "Which data, how many customers, to which device or recipient; what the account exported before.",
            "核查数据内容、客户数量、目标设备或接收方，以及该账号近几周的导出情况。",
        ),
        contain=Text(
            "Hold or delete the file where it lies; withdraw the account's right to export until answered.",
            "在文件所在处冻结或删除文件；查明前收回该账号的导出权限。",
        ),
        ask=Text(
            "The account's manager: was it ordered, by whom, for what?",
            "其主管：是否有人安排此导出，由谁安排，用途为何？",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "an employee exports 500 customers", {"records_own": 1.5}, action="export", records=500, channel="report"
        ),
        holds=(
            case("500, more than usual"),
            case("2,000 by a new account", {"records_own": 0}, records=2000),
            case("a download of 20,000", action="download", records=20_000),
            case("printed by a partner", action="print", actor_type="partner"),
            case("a work item is claimed that does not cover it", explained="claimed"),
            case("shared by an AI agent", action="share", actor_type="ai_agent"),
            case("the source counts people, not records", records=0, subject_count=900),
        ),
        silent=(
            case("499 records", records=499),
            case("refused", outcome="denied"),
            case("a search that lists 500", action="search"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("month-end report: 900 as every month", {"records_own": 0.2}, records=900),
            case("the nightly export of a service", actor_type="service", records=90_000),
            case("marketing campaign day: ordered by a work item", explained="explained"),
            case("data migration: approved", approved=1, records=200_000),
        ),
    ),
)
