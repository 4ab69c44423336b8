"""Rule minors_without_approval: children's data need somebody's approval."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

TOP, MANY, UNEXPLAINED, DEVIATIONS, RARE_BITS = 4, 10, 20, 1.5, 2.0


def holds(facts: Facts) -> Mask:
    """A person lists ten minors, or takes out, unmasks or reads the most sensitive data of one.

    One such access that lacks its work item is an oversight: it takes an unusual day of them, or data of a kind that
    the account hardly ever touches.
    """
    minors = facts.events.minor_subjects
    grave = any_of(facts.events.sensitivity >= TOP, facts.events.unmasked == 1, facts.taken_out)
    day = all_of(facts.at_least("unexplained_day", UNEXPLAINED), facts.at_least("unexplained_day_own", DEVIATIONS))
    strange = all_of(facts.few_subjects, facts.at_least("rare_resource", RARE_BITS))
    seen = all_of(grave, any_of(day, strange))
    return all_of(minors > 0, any_of(minors >= MANY, seen), facts.person, facts.success)


RULE = Rule(
    name="minors_without_approval",
    detects=("D32",),
    attack=("T1213",),
    insider=("ME024.001",),
    articles=("minors-36", "pipl-31"),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("minors' data seen without approval", "未经审批访问未成年人信息"),
    next_step=Text(
        "Ask who approved it; without approval, report it to the person in charge of minors' data.",
        "询问审批人；若无审批，报告未成年人信息负责人。",
    ),
    needs=Text(
        "the flag minor in subjects.csv or subject_flags of the event; without it stays silent",
        "subjects.csv 或事件 subject_flags 中的 minor 标记；缺失时不触发",
    ),
    runbook=Runbook(
        check=Text(
            "Whose data, which fields, whether guardians must be told.", "核查涉及对象、字段及是否需要告知监护人。"
        ),
        contain=Text("Close minors' data to the account.", "对该账号关闭未成年人信息。"),
        ask=Text(
            "The person in charge of minors' data, then the account's manager.",
            "未成年人信息负责人，然后是该账号主管。",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "an employee opens a minor's most sensitive data",
            {"unexplained_day": 21, "unexplained_day_own": 2},
            minor_subjects=1,
            sensitivity=4,
        ),
        holds=(
            case("most sensitive"),
            case("an unmasked look", sensitivity=2, action="unmask", unmasked=1),
            case("an export with one minor in it", sensitivity=2, action="export", records=20),
            case("data it hardly ever touches", {"unexplained_day": 1, "unexplained_day_own": 0, "rare_resource": 4}),
            case(
                "a list of twelve minors", sensitivity=2, action="list", minor_subjects=12, records=12, subject_count=12
            ),
        ),
        silent=(
            case("an adult", minor_subjects=0),
            case("refused", outcome="denied"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case(
                "month-end report with a child in it",
                {"unexplained_day": 2},
                action="export",
                records=700,
                sensitivity=2,
            ),
            case("the one look of a good day that lacks its ticket", {"unexplained_day": 3}),
            case("approved", approved=1),
            case("customer service: a masked look at a family's account", sensitivity=2),
            case("under a work item", explained="explained"),
            case("batch job of a service", actor_type="service"),
        ),
    ),
)
