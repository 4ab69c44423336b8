"""Rule search_fishing: people are looked up by name or number, and no work follows."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

SEARCHES, HITS = 40, 1


def holds(facts: Facts) -> Mask:
    """The fortieth search today without a work item, and this one found nobody or one person (or does not say)."""
    aimed = all_of(facts.is_("action", "search"), facts.events.matched <= HITS, facts.events.subject_count <= HITS)
    return all_of(aimed, facts.at_least("searches_day", SEARCHES), facts.person, ~facts.is_("outcome", "error"))


RULE = Rule(
    name="search_fishing",
    detects=("D23",),
    attack=("T1213.004",),
    insider=("MT018", "IF022.002"),
    articles=("pipl-51", "pipl-10"),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("many searches for single people without a work item", "无工单大量检索特定个人"),
    next_step=Text(
        "Ask for whom these people were looked up; somebody may be selling answers.",
        "询问为谁检索；警惕有偿代查。",
    ),
    needs=Text(
        "the application reports search; records_matched makes it sharper, without it every search counts",
        "应用须上报 search 操作；提供 records_matched 更准确，缺失时每次检索均计入",
    ),
    runbook=Runbook(
        check=Text(
            "What was typed (in the application's own log), at which pace, and what was opened afterwards.",
            "在应用日志中核查检索内容、频率及后续打开的记录。",
        ),
        contain=Text("Limit searches by name or number to those with a case.", "将按姓名或号码检索限制为须关联工单。"),
        ask=Text("The account's manager, later human resources.", "其主管，随后是人力资源。"),
    ),
    holds=holds,
    cases=Cases(
        base=case("one more search by telephone number", {"searches_day": 45}, action="search", matched=1),
        holds=(
            case("found one person"),
            case("found nobody", matched=0, subject_count=0, records=0),
            case("the source does not say how many", matched=-1),
            case("refused, but tried", outcome="denied"),
        ),
        silent=(
            case("the tenth search today", {"searches_day": 10}),
            case("a list of forty", matched=40, subject_count=40),
            case("a service", actor_type="service"),
            case("opens a record", action="read"),
        ),
        look_alikes=(
            case("customer service: callers' tickets explain the searches", explained="explained"),
            case("a busy day with tickets: few searches stay unexplained", {"searches_day": 12}),
            case("fraud team: approved", approved=1),
        ),
    ),
)
