"""Rule minors_without_approval: children's data need somebody's approval."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

TOP, MANY, UNEXPLAINED = 4, 10, 20


def holds(facts: Facts) -> Mask:
    """A person takes minors' data out or lists ten minors, or sees a minor's clear text or most sensitive data.

    A single look that lacks its work item is an oversight: it takes twenty unexplained sensitive ones that day.
    """
    minors = facts.events.minor_subjects
    shown = any_of(facts.events.sensitivity >= TOP, facts.events.unmasked == 1)
    looks = all_of(shown, facts.at_least("unexplained_day", UNEXPLAINED))
    return all_of(minors > 0, any_of(facts.taken_out, minors >= MANY, looks), facts.person, facts.success)


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
            "an employee opens a minor's most sensitive data", {"unexplained_day": 21}, minor_subjects=1, sensitivity=4
        ),
        holds=(
            case("most sensitive"),
            case("an unmasked look", sensitivity=2, action="unmask", unmasked=1),
            case("an export with one minor in it", sensitivity=2, action="export", records=20),
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
            case("the one look of a good day that lacks its ticket", {"unexplained_day": 3}),
            case("approved", approved=1),
            case("customer service: a masked look at a family's account", sensitivity=2),
            case("under a work item", explained="explained"),
            case("batch job of a service", actor_type="service"),
        ),
    ),
)
