"""Rule mass_lookup: more customers in an hour than a person can serve."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

IN_AN_HOUR, UNEXPLAINED = 100, 50


def holds(facts: Facts) -> Mask:
    """A hundred customers within the hour and fifty unexplained sensitive looks today, one record at a time."""
    many = all_of(facts.at_least("subjects_1h", IN_AN_HOUR), facts.at_least("unexplained_day", UNEXPLAINED))
    return all_of(many, facts.few_subjects, facts.person, facts.success)


RULE = Rule(
    name="mass_lookup",
    detects=("D12", "D16"),
    attack=("T1213", "T1119"),
    insider=("IF022.002",),
    articles=("pipl-51",),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("more customers in an hour than a person can serve", "一小时内逐个查看的客户数超出人工能力"),
    next_step=Text(
        "End the session; ask whether a script ran under the account.",
        "终止会话；询问是否有脚本使用该账号运行。",
    ),
    needs=Text(
        "subject_ids of the event; work_items.ndjson, without which no look is explained",
        "事件中的 subject_ids；缺少 work_items.ndjson 时全部查看均视为无工单",
    ),
    runbook=Runbook(
        check=Text("Pace between two looks, program used, what followed.", "核查两次查看的间隔、所用程序及后续操作。"),
        contain=Text("End the session; limit the rate of the application.", "终止会话；限制应用速率。"),
        ask=Text("The account's owner and manager.", "账号所有人及其主管。"),
    ),
    holds=holds,
    cases=Cases(
        base=case("one customer after another", {"subjects_1h": 150, "unexplained_day": 90}, sensitivity=3),
        holds=(
            case("a hundred and fifty in the hour"),
            case("a partner's agent", actor_type="partner"),
            case("over the interface by a contractor", actor_type="contractor", channel="api"),
        ),
        silent=(
            case("forty in the hour", {"subjects_1h": 40}),
            case("a service", actor_type="service"),
            case("refused", outcome="denied"),
        ),
        look_alikes=(
            case("marketing campaign day: one list of two hundred", action="list", records=200, subject_count=200),
            case("a busy day with tickets", {"unexplained_day": 10}),
            case("fraud team: under a work item", explained="explained"),
            case("data migration by hand, approved", approved=1),
        ),
    ),
)
