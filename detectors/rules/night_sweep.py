"""Rule night_sweep: many unexplained looks at an hour when this account never works."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

RARE_BITS, UNEXPLAINED, IN_AN_HOUR = 4.0, 15, 10


def holds(facts: Facts) -> Mask:
    """An hour that this account hardly ever works in, ten customers within it, fifteen unexplained sensitive looks."""
    strange = all_of(facts.at_least("hour_rarity", RARE_BITS), facts.at_least("unexplained_day", UNEXPLAINED))
    busy = all_of(facts.at_least("subjects_1h", IN_AN_HOUR), facts.sensitive)
    return all_of(strange, busy, facts.person, facts.success)


RULE = Rule(
    name="night_sweep",
    detects=("D03",),
    attack=("T1078",),
    insider=("IF022.002",),
    articles=("pipl-51",),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("many unexplained looks at an hour never worked", "在从不工作的时段大量无工单访问"),
    next_step=Text(
        "Ask the duty manager whether the account's owner was on shift or on call.",
        "向值班主管确认该账号所有人是否在班或待命。",
    ),
    needs=Text(
        "a profile of the account's hours (some weeks); a new account has no usual hours and stays silent",
        "账号的作息画像（数周）；新账号无固定时段，不触发",
    ),
    runbook=Runbook(
        check=Text(
            "Rosters and on-call lists, device and network, what was opened.",
            "核查排班与待命名单、设备与网络、访问内容。",
        ),
        contain=Text("End the session where nobody was on shift.", "若无人在班，终止该会话。"),
        ask=Text("The duty manager, then the person by telephone.", "值班主管，然后电话询问本人。"),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "an employee at three in the morning",
            {"hour_rarity": 5, "unexplained_day": 20, "subjects_1h": 20},
            local_hour=3,
            sensitivity=3,
        ),
        holds=(
            case("twenty customers in the hour"),
            case("a partner's agent on a holiday", actor_type="partner", day_kind="holiday"),
            case("a work item is claimed that does not cover it", explained="claimed"),
        ),
        silent=(
            case("five looks", {"unexplained_day": 5}),
            case("two customers in the hour", {"subjects_1h": 2}),
            case("a service", actor_type="service"),
            case("refused", outcome="denied"),
        ),
        look_alikes=(
            case("night shift: the hour is usual", {"hour_rarity": 0.5}),
            case("make-up workday: hours count as on any workday", {"hour_rarity": 1}, day_kind="make_up_workday"),
            case("shift swap with tickets", {"unexplained_day": 2}),
            case("incident war-room at night: under a work item", explained="explained"),
            case("on call, approved", approved=1),
        ),
    ),
)
