"""Rule self_grant: somebody gives themselves rights."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case


def holds(facts: Facts) -> Mask:
    """Rights are granted to the account that grants them."""
    return all_of(facts.is_("action", "grant"), facts.events.grant_to_self == 1, facts.success)


RULE = Rule(
    name="self_grant",
    detects=("D06",),
    attack=("T1098", "T1098.003", "T1548"),
    insider=("PR024",),
    articles=("pipl-51",),
    floor=9000,
    severity="high",
    excuse="work",
    title=Text("rights granted to the own account", "为本人账号授予权限"),
    next_step=Text(
        "Take the right back and look at what was done with it since.",
        "收回该权限，并核查授予后的使用情况。",
    ),
    needs=Text(
        "the rights system reports grant with resource_type account... and the receiving account as resource_id",
        "权限系统须上报 grant 操作，resource_type 以 account 开头，resource_id 为被授权账号",
    ),
    runbook=Runbook(
        check=Text("Which right, and every access since it was granted.", "核查所授权限及授予后的全部访问。"),
        contain=Text("Take the right back; review who may grant.", "收回权限；复核授权人员名单。"),
        ask=Text("The owner of the rights system, then the account's manager.", "权限系统负责人，然后是该账号主管。"),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "an administrator grants a role to the own account", action="grant", grant_to_self=1, actor_type="admin"
        ),
        holds=(
            case("an administrator"),
            case("an engineer", actor_type="employee"),
            case("a service", actor_type="service"),
            case("a request is claimed that does not cover it", explained="claimed"),
        ),
        silent=(
            case("to somebody else", grant_to_self=0),
            case("refused", outcome="denied"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("role change: requested and approved", approved=1),
            case("new system set up under a work item", explained="explained"),
            case("new joiner ramp-up: a manager grants", grant_to_self=0, actor_type="employee"),
        ),
    ),
)
