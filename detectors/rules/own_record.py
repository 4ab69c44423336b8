"""Rule own_record: somebody looks at themselves or their family."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case


def holds(facts: Facts) -> Mask:
    """A person opens, finds or changes the record of their own or of their household, not as part of a list."""
    related = any_of(facts.events.own_subject == 1, facts.events.household_subject == 1)
    return all_of(related, facts.few_subjects, facts.person, facts.success, ~facts.is_("action", "login"))


RULE = Rule(
    name="own_record",
    detects=("D10",),
    attack=(),
    insider=("MT018", "ME024.001"),
    articles=("pipl-51", "pipl-10"),
    floor=7500,
    severity="medium",
    excuse="work",
    title=Text("own record or that of the household opened", "查看本人或家庭成员的记录"),
    next_step=Text(
        "Ask whether it was a mistake or a favour; check that nothing was changed.",
        "询问是误操作还是受人之托；核查记录是否被更改。",
    ),
    needs=Text(
        "own_subject_ids in actors.csv, household in subjects.csv; without them stays silent",
        "actors.csv 中的 own_subject_ids 与 subjects.csv 中的 household；缺失时不触发",
    ),
    runbook=Runbook(
        check=Text("Whether anything was changed, credited or sent.", "核查是否有更改、退款或外发。"),
        contain=Text(
            "Undo what was changed; have another colleague handle the record.", "撤销更改；改由其他同事处理该记录。"
        ),
        ask=Text("The account's manager.", "该账号的主管。"),
    ),
    holds=holds,
    cases=Cases(
        base=case("an employee opens their own customer record", own_subject=1),
        holds=(
            case("reads it"),
            case("changes it", action="update"),
            case("searches for the household", own_subject=0, household_subject=1, action="search"),
            case("a work item is claimed that does not cover it", explained="claimed"),
        ),
        silent=(
            case("somebody else's record", own_subject=0),
            case("refused", outcome="denied"),
            case("logs in", action="login"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("the own name is in an export of thousands", action="export", records=4000, subject_count=4000),
            case("a customer at the self-service desk", actor_type="customer"),
            case("DSAR team: an employee's own request, under a work item", explained="explained"),
            case("a test with the own account that was approved", approved=1),
        ),
    ),
)
