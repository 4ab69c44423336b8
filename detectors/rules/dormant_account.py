"""Rule dormant_account: a sleeping account wakes in other surroundings."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

WEEKS_DAYS, LONG_DAYS = 21, 90
HARDLY_SEEN, PERSONAL = 0.5, 2


def holds(facts: Facts) -> Mask:
    """Three weeks of silence, then another device in another network; after ninety days one of the two is enough."""
    device, network = facts.at_least("new_device", HARDLY_SEEN), facts.at_least("new_network", HARDLY_SEEN)
    after_weeks = all_of(facts.at_least("gap_days", WEEKS_DAYS), device, network)
    after_long = all_of(facts.at_least("gap_days", LONG_DAYS), any_of(device, network))
    reads = all_of(facts.person, facts.success, facts.events.sensitivity >= PERSONAL)
    return all_of(any_of(after_weeks, after_long), reads)


RULE = Rule(
    name="dormant_account",
    detects=("D07",),
    attack=("T1078",),
    insider=("ME021",),
    articles=("pipl-51",),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("sleeping account woke up in unknown surroundings", "休眠账号在陌生环境中被唤醒"),
    next_step=Text(
        "Ask the owner whether they are back; lock the account until they say yes.",
        "向账号所有人确认是否已返岗；确认前锁定账号。",
    ),
    needs=Text(
        "device_id and src_ip of the event, and a profile from before the silence; an account seen for the first time "
        "was never asleep",
        "事件中的 device_id 与 src_ip，以及沉默前的行为画像；首次出现的账号不视为休眠",
    ),
    runbook=Runbook(
        check=Text(
            "Why the account slept, who asked for a reset, what was opened since it woke.",
            "核查休眠原因、谁申请过重置、唤醒后访问的内容。",
        ),
        contain=Text(
            "Lock the account, end its sessions, renew its factors.", "锁定账号，终止会话，重新绑定验证因素。"
        ),
        ask=Text("The owner by telephone, human resources for the leave.", "电话询问本人，并向人力资源核实休假情况。"),
    ),
    holds=holds,
    cases=Cases(
        base=case("first access after a month of silence", {"gap_days": 30, "new_device": 0.9, "new_network": 0.9}),
        holds=(
            case("another device, another network"),
            case("a partner's account", actor_type="partner"),
            case("after ninety days, another network", {"gap_days": 95, "new_device": 0.0}),
            case("a work item is claimed that does not cover it", explained="claimed"),
        ),
        silent=(
            case("a week of silence", {"gap_days": 7}),
            case("nothing personal", sensitivity=1),
            case("the lock held", outcome="denied"),
            case("a service that runs once a quarter", actor_type="service"),
        ),
        look_alikes=(
            case("back from long leave at the own desk", {"gap_days": 120, "new_device": 0.0, "new_network": 0.0}),
            case("back from a month's leave with a new laptop", {"new_network": 0.02}),
            case("back, and working on a ticket", explained="explained"),
            case("holiday cover: access was approved", approved=1),
        ),
    ),
)
