"""Rule foreign_access: an account works from a country and a device it does not know."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

HARDLY_SEEN, PERSONAL = 0.5, 2


def holds(facts: Facts) -> Mask:
    """A person's account reads personal data from abroad; country and device are both new to it; no VPN or cloud."""
    unknown = all_of(facts.at_least("new_country", HARDLY_SEEN), facts.at_least("new_device", HARDLY_SEEN))
    abroad = all_of(facts.events.source_abroad == 1, ~facts.is_("network_kind", "vpn", "cloud", "office"))
    return all_of(unknown, abroad, facts.person, facts.success, facts.events.sensitivity >= PERSONAL)


RULE = Rule(
    name="foreign_access",
    detects=("D04",),
    attack=("T1078.004",),
    insider=("IF025",),
    articles=("pipl-38", "pipl-51"),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("account used from abroad with an unknown device", "账号在境外由未知设备使用"),
    next_step=Text(
        "Call the person on a known number: are they travelling, and is this their device?",
        "通过已知电话联系本人：是否在境外出差，该设备是否为本人所有？",
    ),
    needs=Text(
        "a country of the address (networks.csv, geo table or src_country), device_id, and the account's own country; "
        "an account needs some days before anything counts as new to it",
        "地址所属国家（networks.csv、地理位置表或 src_country）、device_id 及账号所在国家；账号使用数日后方可判断",
    ),
    runbook=Runbook(
        check=Text(
            "Travel bookings, the device's first use, what was opened from there.",
            "核查出差记录、设备首次使用时间及在境外访问的内容。",
        ),
        contain=Text(
            "End the sessions; let the account in from abroad only after the second factor was renewed.",
            "终止会话；重新绑定第二验证因素后方可从境外登录。",
        ),
        ask=Text("The person by telephone, then their manager.", "先电话询问本人，再询问其主管。"),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "an employee's account reads from abroad",
            {"new_country": 0.9, "new_device": 0.9},
            source_abroad=1,
            network_kind="unlisted",
        ),
        holds=(
            case("country and device are new"),
            case("highly sensitive data", sensitivity=4),
            case("a partner's account", actor_type="partner"),
            case("a work item is claimed that does not cover it", explained="claimed"),
        ),
        silent=(
            case("at home", source_abroad=0),
            case("nothing personal", sensitivity=1),
            case("the password was refused", outcome="denied"),
            case("a service", actor_type="service"),
        ),
        look_alikes=(
            case("business travel with the usual laptop", {"new_device": 0.01}),
            case("a new laptop in a country the account knows", {"new_country": 0.02}),
            case("VPN egress change", network_kind="vpn"),
            case("the company's office abroad", network_kind="office"),
            case("called in for one case while travelling", explained="explained"),
        ),
    ),
)
