"""Rule purpose_drift: data are used for what this department has no business with."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

PERSONAL, RARE_BITS = 2, 3.0


def holds(facts: Facts) -> Mask:
    """The purpose is not for this department or kind of data, and the account hardly ever touches such data.

    A register that contradicts daily work is wrong itself: what an account does every day stays silent.
    """
    drifts = all_of(
        facts.is_("purpose_fit", "other_department", "other_resource"),
        facts.at_least("rare_resource", RARE_BITS),
        facts.events.sensitivity >= PERSONAL,
    )
    return all_of(drifts, facts.person, facts.success)


RULE = Rule(
    name="purpose_drift",
    detects=("D29",),
    attack=(),
    insider=("ME024",),
    articles=("pipl-6", "pipl-51"),
    floor=7500,
    severity="medium",
    excuse="work",
    title=Text("data used for a purpose that does not fit", "数据使用目的与登记不符"),
    next_step=Text(
        "Ask what the data were for; correct the purpose register where it is out of date.",
        "询问数据用途；若登记过时，更新目的登记。",
    ),
    needs=Text(
        "purpose of the event and purposes.csv; a purpose that nobody registered stays silent",
        "事件中的 purpose 与 purposes.csv；未登记的目的不触发",
    ),
    runbook=Runbook(
        check=Text(
            "The declared purpose, the department's tasks, the kind of data.", "核查所声明目的、部门职责与数据类型。"
        ),
        contain=Text(
            "Close the kind of data to the department until the register says otherwise.",
            "在登记更新前，对该部门关闭此类数据。",
        ),
        ask=Text("The owner of the purpose and the data protection officer.", "目的负责人与个人信息保护负责人。"),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "sales opens payments for support", {"rare_resource": 5}, purpose_fit="other_resource", sensitivity=4
        ),
        holds=(
            case("a kind of data outside the purpose"),
            case("a purpose of another department", purpose_fit="other_department"),
            case("a contractor", actor_type="contractor", sensitivity=2),
        ),
        silent=(
            case("it fits", purpose_fit="fits"),
            case("no purpose given", purpose_fit=""),
            case("nothing personal", sensitivity=1),
            case("refused", outcome="denied"),
        ),
        look_alikes=(
            case("the register is out of date: this is daily work", {"rare_resource": 0.4}),
            case("a purpose nobody registered yet", purpose_fit="unregistered"),
            case("shift swap: helps out under a work item", explained="explained"),
            case("incident war-room: approved", approved=1),
        ),
    ),
)
