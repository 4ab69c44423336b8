"""Rule copy_surge: many small copies instead of one large export."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

TODAY, RARE_BITS, DEVIATIONS = 100, 2.0, 2.0


def holds(facts: Facts) -> Mask:
    """A print or download, a hundred records taken out today, and the action or the amount is not its habit."""
    copies = all_of(facts.is_("action", "print", "download"), facts.success, facts.at_least("exported_day", TODAY))
    unusual = any_of(facts.at_least("rare_action", RARE_BITS), facts.at_least("exported_day_own", DEVIATIONS))
    return all_of(copies, unusual, facts.person)


RULE = Rule(
    name="copy_surge",
    detects=("D24", "D01"),
    attack=("T1113", "T1052"),
    insider=("IF002", "IF022.002"),
    articles=("pipl-51",),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("many prints or downloads in one day", "一日内大量打印或下载"),
    next_step=Text(
        "Ask where the copies are and what they are for; secure the paper or files.",
        "询问复制件的去向与用途；收存纸张或文件。",
    ),
    needs=Text(
        "the application reports print and download with records_returned",
        "应用须上报 print 与 download 操作及 records_returned",
    ),
    runbook=Runbook(
        check=Text(
            "Printer and device, number of pages or files, which customers.",
            "核查打印机与设备、页数或文件数、涉及客户。",
        ),
        contain=Text("Hold the print queue; secure paper and files.", "冻结打印队列；收存纸张与文件。"),
        ask=Text("The account's manager.", "该账号的主管。"),
    ),
    holds=holds,
    cases=Cases(
        base=case("one more printed sheet", {"exported_day": 120, "rare_action": 4}, action="print", records=10),
        holds=(
            case("by somebody who hardly ever prints"),
            case("far more than usual", {"rare_action": 0.5, "exported_day_own": 3}),
            case("downloads", action="download", channel="file"),
            case("a partner", actor_type="partner"),
        ),
        silent=(
            case("thirty records today", {"exported_day": 30}),
            case("a service", actor_type="service"),
            case("failed", outcome="error"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("logistics prints address labels all day", {"exported_day": 400, "rare_action": 0.4}),
            case("month-end report: printed under a work item", explained="explained"),
            case("data subject's file, approved", approved=1),
        ),
    ),
)
