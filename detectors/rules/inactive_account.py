"""Rule inactive_account: nobody should be using this account."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

HARDLY_SEEN, UNEXPLAINED, PAUSE_DAYS = 0.5, 10, 3


def holds(facts: Facts) -> Mask:
    """A successful access by an account whose owner has left, or is on leave while nothing justifies the access.

    Who is on leave may look in from the usual device: only another device or a day's work counts. The directory says
    who is on leave now, not who was when the event happened: the account must also have been silent before.
    """
    other = any_of(facts.at_least("new_device", HARDLY_SEEN), facts.at_least("unexplained_day", UNEXPLAINED))
    paused = facts.at_least("gap_days", PAUSE_DAYS)
    on_leave = all_of(facts.is_("actor_status", "on_leave"), paused, other, facts.unexplained, facts.unapproved)
    return all_of(any_of(facts.is_("actor_status", "left"), on_leave), facts.success)


RULE = Rule(
    name="inactive_account",
    detects=("D19", "D07"),
    attack=("T1078",),
    insider=("ME021",),
    articles=("pipl-51",),
    floor=9000,
    severity="high",
    excuse="nothing",
    title=Text("account of someone who left or is on leave", "离职或休假人员的账号被使用"),
    next_step=Text("Disable the account now and ask who used it.", "立即停用该账号，并查明使用者。"),
    needs=Text(
        "status and leaves_on of actors.csv; an account that nobody listed stays silent here",
        "actors.csv 中的 status 与 leaves_on；未列出的账号不触发本规则",
    ),
    runbook=Runbook(
        check=Text(
            "From which device and network, what was opened since the last day, who knows the password.",
            "核查所用设备与网络、离职日以来的访问内容、谁知道密码。",
        ),
        contain=Text(
            "Disable the account and every key that belongs to it; take its sessions down.",
            "停用该账号及其全部密钥，终止其会话。",
        ),
        ask=Text(
            "Human resources whether the date is right, then the former manager.",
            "先向人力资源核实日期，再询问其原主管。",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case("used the day after the last day", actor_status="left"),
        holds=(
            case("left"),
            case("on leave, with another device", {"gap_days": 5, "new_device": 0.8}, actor_status="on_leave"),
            case("on leave, a day's work", {"gap_days": 5, "unexplained_day": 12}, actor_status="on_leave"),
            case("left, with a work item", explained="explained"),
            case("a service whose owner is gone", actor_type="service"),
        ),
        silent=(
            case("active", actor_status="active"),
            case("not in the directory", actor_status="unlisted"),
            case("no directory", actor_status=""),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("the lock held", outcome="denied"),
            case("looks in from the usual device while on leave", {"gap_days": 5}, actor_status="on_leave"),
            case(
                "on leave since yesterday says the file, busy until then", {"new_device": 0.8}, actor_status="on_leave"
            ),
            case(
                "holiday cover: called in for a case",
                {"gap_days": 5, "new_device": 0.8},
                actor_status="on_leave",
                explained="explained",
            ),
            case(
                "return approved before the file says so",
                {"gap_days": 5, "new_device": 0.8},
                actor_status="on_leave",
                approved=1,
            ),
        ),
    ),
)
