"""Rule mass_unmask: clear text is collected."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

LOOKS, UNEXPLAINED = 40, 20


def holds(facts: Facts) -> Mask:
    """40 unmasked looks today, 20 unexplained sensitive ones among today's accesses, and this look is unmasked too."""
    many = all_of(facts.at_least("unmasked_day", LOOKS), facts.at_least("unexplained_day", UNEXPLAINED))
    return all_of(many, facts.person, facts.events.unmasked == 1)


RULE = Rule(
    name="mass_unmask",
    detects=("D21",),
    attack=("T1213",),
    insider=("IF022.002",),
    articles=("pipl-51", "pipl-28"),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("many unmasked looks without work items", "无工单的大量明文查看"),
    next_step=Text(
        "Ask for the work behind these looks; restrict unmasking until answered.",
        "要求说明这些查看的工作依据，说明前限制明文查看权限。",
    ),
    needs=Text(
        "fields_unmasked, unmask or decrypt in the event; work_items.ndjson, without which no look is explained",
        "事件中的 fields_unmasked 或 unmask、decrypt 操作；缺少 work_items.ndjson 时全部查看均视为无工单",
    ),
    runbook=Runbook(
        check=Text(
            "Which fields were shown, of how many customers, and what followed: calls, exports, prints.",
            "核查显示的字段、客户数量及后续操作：通话、导出、打印。",
        ),
        contain=Text(
            "Take the right to unmask away until the looks are explained.",
            "在说明之前收回明文查看权限。",
        ),
        ask=Text(
            "The account's manager: which task needs these numbers in clear?",
            "其主管：何种任务需要明文查看？",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case("one more unmasked look", {"unmasked_day": 41, "unexplained_day": 21}, action="unmask", unmasked=1),
        holds=(
            case("the forty-first"),
            case("by an administrator", actor_type="admin"),
            case("a work item is claimed that does not cover it", explained="claimed"),
            case("a read that shows a field in clear", action="read"),
        ),
        silent=(
            case("the thirty-ninth", {"unmasked_day": 39}),
            case("this one is masked", unmasked=0, action="read"),
            case("a service", actor_type="service"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("a busy day with tickets", {"unexplained_day": 3}),
            case("fraud team: this one is explained", explained="explained"),
            case("incident war-room: approved", approved=1),
        ),
    ),
)
