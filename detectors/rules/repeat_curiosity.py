"""Rule repeat_curiosity: the same customer again and again."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

LOOKS, RETURNS, PERSONAL = 25, 6, 2


def holds(facts: Facts) -> Mask:
    """Twenty-five looks within seven days, or six returns within two weeks, at one customer without a work item."""
    again = any_of(facts.at_least("repeat_subject", LOOKS), facts.at_least("return_visits", RETURNS))
    looks = all_of(again, facts.few_subjects, facts.events.sensitivity >= PERSONAL)
    return all_of(looks, facts.person, facts.success)


RULE = Rule(
    name="repeat_curiosity",
    detects=("D10",),
    attack=("T1213.004",),
    insider=("MT018", "ME024.001"),
    articles=("pipl-51", "pipl-10"),
    floor=7500,
    severity="medium",
    excuse="work",
    title=Text("one customer looked at again and again without a work item", "无工单反复查看同一客户"),
    next_step=Text(
        "Ask how the account's owner knows this customer; consider whether the customer is in danger.",
        "询问该账号所有人与该客户的关系；评估客户是否面临风险。",
    ),
    needs=Text(
        "subject_ids of the event; work_items.ndjson, without which no look is explained",
        "事件中的 subject_ids；缺少 work_items.ndjson 时全部查看均视为无工单",
    ),
    runbook=Runbook(
        check=Text(
            "Which fields were opened (address, telephone, location), at which hours, over how many weeks.",
            "核查查看的字段（地址、电话、位置）、时段及持续周数。",
        ),
        contain=Text("Close the customer's record to this account.", "对该账号关闭该客户的记录。"),
        ask=Text(
            "Human resources; where somebody may be stalked or threatened, the police.",
            "人力资源；如可能涉及跟踪或威胁，联系警方。",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case("an employee opens the same customer once more this week", {"repeat_subject": 26}),
        holds=(
            case("the twenty-sixth look"),
            case("comes back for the seventh time in two weeks", {"repeat_subject": 7, "return_visits": 6}),
            case("with sensitive data", {"repeat_subject": 40}, sensitivity=4),
            case("by a partner's agent", actor_type="partner"),
            case("a work item is claimed that does not cover it", explained="claimed"),
        ),
        silent=(
            case("the fifth look", {"repeat_subject": 5}),
            case("nothing personal", sensitivity=1),
            case("refused", outcome="denied"),
            case("a service that polls one record", actor_type="service"),
        ),
        look_alikes=(
            case("complaint case: forty looks under a work item", {"repeat_subject": 40}, explained="explained"),
            case("the customer stands in a list of fifty", action="list", records=50, subject_count=50),
            case("DSAR team: approved", approved=1),
        ),
    ),
)
