"""Rule break_glass: the emergency right is used and nobody says for which emergency."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case


def holds(facts: Facts) -> Mask:
    """A successful access by emergency right that names neither case nor approval."""
    return all_of(facts.events.break_glass == 1, facts.success, facts.is_("explained", "not_yet_explained"))


RULE = Rule(
    name="break_glass",
    detects=("D15",),
    attack=("T1078", "T1548"),
    insider=("PR018",),
    articles=("pipl-51",),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("emergency access without an incident", "紧急访问未关联任何事件工单"),
    next_step=Text(
        "Ask for the incident; without one, end the emergency right and review what was opened.",
        "要求提供事件工单；若无，则终止紧急权限并复核访问内容。",
    ),
    needs=Text("break_glass of the event; without it stays silent", "事件中的 break_glass；缺失时不触发"),
    runbook=Runbook(
        check=Text(
            "Whether an emergency existed, how long the right was used, what was opened with it.",
            "核查是否确有紧急情况、权限使用时长及访问内容。",
        ),
        contain=Text("End the emergency right and its sessions.", "终止紧急权限及其会话。"),
        ask=Text("The incident manager on duty, then the account's manager.", "值班事件经理，然后是该账号主管。"),
    ),
    holds=holds,
    cases=Cases(
        base=case("an engineer uses the emergency right", break_glass=1, sensitivity=3),
        holds=(
            case("one record"),
            case("an administrator, many records", actor_type="admin", records=300, action="list"),
            case("a change of a record", action="update"),
        ),
        silent=(
            case("without the emergency right", break_glass=0),
            case("the right was refused", outcome="denied"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("incident war-room: the incident is named, its ticket comes later", explained="claimed"),
            case("incident war-room: under the incident's work item", explained="explained"),
            case("a drill that was approved", approved=1),
        ),
    ),
)
