"""Rule permission_probing: doors are tried one after another."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

REFUSALS, RARE_DATA_BITS, RARE_ACTION_BITS = 8, 2.0, 3.0


def holds(facts: Facts) -> Mask:
    """The eighth refusal within ten minutes, at data or by an action that is not this account's daily work."""
    strange = any_of(facts.at_least("rare_resource", RARE_DATA_BITS), facts.at_least("rare_action", RARE_ACTION_BITS))
    return all_of(facts.is_("outcome", "denied"), facts.at_least("denied_10m", REFUSALS), strange)


RULE = Rule(
    name="permission_probing",
    detects=("D18",),
    attack=("T1110", "T1087"),
    insider=("PR018",),
    articles=("pipl-51",),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("many refusals at data that is not the account's work", "在非本职数据上频繁被拒绝"),
    next_step=Text(
        "Ask what was looked for; check whether any of the tries succeeded.",
        "询问其目的；核查是否有尝试成功。",
    ),
    needs=Text(
        "refused accesses are reported too (outcome denied); an account needs about two weeks before anything is rare",
        "来源须上报被拒绝的访问（outcome 为 denied）；账号使用约两周后方可判断是否少见",
    ),
    runbook=Runbook(
        check=Text(
            "Which doors were tried, whether a later one opened, whether a program tried them.",
            "核查尝试的对象、之后是否成功、是否由程序发起。",
        ),
        contain=Text(
            "End the session; where a program tried, block its address.", "终止会话；若为程序所为，封禁其地址。"
        ),
        ask=Text("The account's owner, then the owner of the data.", "账号所有人，然后是数据负责人。"),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "the ninth refusal in ten minutes", {"denied_10m": 9, "rare_resource": 5}, outcome="denied", records=0
        ),
        holds=(
            case("at data it never touches"),
            case("by an action it never takes", {"rare_resource": 0.5, "rare_action": 6}, action="export"),
            case("a service's key", actor_type="service", channel="api"),
            case("a customer tries other customers' numbers", actor_type="customer", channel="api"),
        ),
        silent=(
            case("the third refusal", {"denied_10m": 3}),
            case("this one was allowed", outcome="success"),
            case("a fault of the system", outcome="error"),
        ),
        look_alikes=(
            case("role change: the daily data are suddenly closed", {"denied_10m": 60, "rare_resource": 0.3}),
            case("new joiner ramp-up: nothing is rare yet", {"rare_resource": 0.8}),
            case("a test of rights under a work item", explained="explained"),
            case("an approved penetration test", approved=1),
        ),
    ),
)
