"""Rule credential_sharing: two people work with one account."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

TURNS, BOTH = 5, 3


def holds(facts: Facts) -> Mask:
    """Within half an hour a person's account changes devices five times, or devices and networks three times each."""
    both = all_of(facts.at_least("device_turns", BOTH), facts.at_least("network_turns", BOTH))
    return all_of(facts.person, any_of(facts.at_least("device_turns", TURNS), both))


RULE = Rule(
    name="credential_sharing",
    detects=("D08",),
    attack=("T1078", "T1550.001", "T1539"),
    insider=("IF025",),
    articles=("pipl-51",),
    floor=8000,
    severity="medium",
    excuse="nothing",
    title=Text("one account used on several devices in turn", "同一账号在多台设备间交替使用"),
    next_step=Text(
        "Ask the owner who else knows the password; end all sessions and renew it.",
        "询问账号所有人还有谁知道密码；终止全部会话并更换密码。",
    ),
    needs=Text("device_id of the event; without it stays silent", "事件中的 device_id；缺失时不触发"),
    runbook=Runbook(
        check=Text(
            "Which devices, whose they are, and whether both worked on the same customers.",
            "核查涉及的设备及归属，以及是否访问相同客户。",
        ),
        contain=Text(
            "End all sessions, renew the password and the second factor.", "终止全部会话，更换密码和第二验证因素。"
        ),
        ask=Text("The owner and the owners of the other devices.", "账号所有人及其他设备的所有人。"),
    ),
    holds=holds,
    cases=Cases(
        base=case("two devices in turn, six times in half an hour", {"device_turns": 6}),
        holds=(
            case("an employee"),
            case("a partner's account", actor_type="partner"),
            case("an administrator", actor_type="admin"),
            case("two homes in turn", {"device_turns": 3.5, "network_turns": 3.5}, network_kind="home"),
            case("with tickets: a ticket does not make two people one", explained="explained"),
        ),
        silent=(
            case("three changes", {"device_turns": 3}),
            case("a service on many hosts", actor_type="service"),
            case("no device known", {"device_turns": 0}, device=0),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("telephone and desktop on one desk", {"device_turns": 4}),
            case("NAT change: the address alone changes", {"device_turns": 0, "network_turns": 9}),
            case("shift swap: the computer is handed over once", {"device_turns": 1}),
            case("a customer with telephone and tablet", {"device_turns": 8}, actor_type="customer"),
        ),
    ),
)
