"""Rule vip_snooping: curiosity about people who need protection."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

LOOKS_TODAY, DEVIATIONS, RETURNS = 6, 1.5, 3


def holds(facts: Facts) -> Mask:
    """A protected person is looked at, not listed: six such looks on an unusual day, or the viewer returned."""
    many = all_of(facts.at_least("vip_day", LOOKS_TODAY), facts.at_least("unexplained_day_own", DEVIATIONS))
    again = any_of(many, facts.at_least("return_visits", RETURNS))
    protected = all_of(facts.events.vip_subjects > 0, facts.few_subjects)
    return all_of(protected, again, facts.person, facts.success)


RULE = Rule(
    name="vip_snooping",
    detects=("D09", "D10"),
    attack=("T1213.004",),
    insider=("MT018",),
    articles=("pipl-51", "pipl-10"),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("protected person looked at again without a work item", "无工单多次查看受保护人员"),
    next_step=Text(
        "Ask for the reason of each look; do not name the protected person in the question.",
        "逐次询问查看原因；询问时不要提及受保护人员的身份。",
    ),
    needs=Text(
        "flags in subjects.csv or subject_flags of the event (vip, employee, complaint); without them stays silent",
        "subjects.csv 中的标记或事件中的 subject_flags（vip、employee、complaint）；缺失时不触发",
    ),
    runbook=Runbook(
        check=Text(
            "All looks of the account at protected people in the last weeks, what the press or others knew afterwards.",
            "核查该账号近几周对受保护人员的查看记录，以及外界此后获知的信息。",
        ),
        contain=Text(
            "Limit the person's record to the few who handle it.",
            "将该人员档案的访问范围限制为少数经办人。",
        ),
        ask=Text(
            "The account's manager first; the account's owner only together with human resources.",
            "先询问其主管；询问本人时须有人力资源在场。",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case("an employee opens a celebrity's profile", {"vip_day": 6, "unexplained_day_own": 2}, vip_subjects=1),
        holds=(
            case("the sixth look at protected people today"),
            case("comes back for the same one a fourth time", {"vip_day": 1, "return_visits": 3.2}),
            case("a work item is claimed that does not cover it", explained="claimed"),
            case("a partner's agent", actor_type="partner"),
        ),
        silent=(
            case("the first look", {"vip_day": 1}),
            case("three looks within one visit", {"vip_day": 3, "repeat_subject": 3}),
            case("an ordinary customer", vip_subjects=0),
            case("refused", outcome="denied"),
            case("a service", actor_type="service"),
        ),
        look_alikes=(
            case("a team without discipline: looks without tickets are usual", {"unexplained_day_own": 0.2}),
            case("in a list of two hundred", records=200, subject_count=200, action="list"),
            case("complaint case: under a work item", {"vip_day": 9, "return_visits": 4}, explained="explained"),
            case("fraud team: approved", approved=1),
        ),
    ),
)
