"""Rule impossible_travel: somebody else uses the account."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

KM_PER_HOUR, HARDLY_SEEN = 1000, 0.3


def holds(facts: Facts) -> Mask:
    """More than 1,000 km/h between two accesses of a person, to a device that is new to the account.

    Where no device is told, to a network that is new. Behind a VPN or cloud nobody sits; two networks that the account
    uses all the time are exits of one company, and a known telephone on the move has another carrier's address every
    day, in the city where the carrier says it is.
    """
    unknown = all_of(facts.events.device == 0, facts.at_least("new_network", HARDLY_SEEN))
    new = any_of(facts.at_least("new_device", HARDLY_SEEN), unknown)
    human = ~facts.is_("actor_type", "service", "ai_agent")
    return all_of(human, ~facts.is_("network_kind", "vpn", "cloud"), facts.at_least("travel", KM_PER_HOUR), new)


RULE = Rule(
    name="impossible_travel",
    detects=("D05",),
    attack=("T1078",),
    insider=("IF025",),
    articles=("pipl-51",),
    floor=8000,
    severity="medium",
    excuse="nothing",
    title=Text("one account at two places that no journey connects", "同一账号在不可能的时间内出现在两地"),
    next_step=Text(
        "Call the person on a known number; end all sessions of the account.",
        "通过已知电话联系本人，并终止该账号的全部会话。",
    ),
    needs=Text(
        "places of addresses: networks.csv with sites.csv, or the geo table; an address without a place is left out",
        "地址对应的位置：networks.csv 与 sites.csv，或地理位置表；无位置的地址不参与判断",
    ),
    runbook=Runbook(
        check=Text(
            "Both places and devices, which of them is usual, what each of them did.",
            "核查两地及设备、哪一处为平常、各自进行的操作。",
        ),
        contain=Text(
            "End all sessions, reset the password, renew the second factor.",
            "终止全部会话，重置密码，重新绑定第二验证因素。",
        ),
        ask=Text(
            "The person, on a number known from the directory, never by mail to the account.",
            "通过通讯录中的电话询问本人，不要向该账号发邮件。",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case("1,001 km/h since the access before", {"travel": 1001, "new_network": 0.9}, device=0),
        holds=(
            case("from an office"),
            case("from an unlisted network", network_kind="unlisted"),
            case("a known network, an unknown device", {"new_network": 0.0, "new_device": 0.9}),
            case("an unknown network and device", {"new_device": 0.9}, device=7),
            case("a partner from home", network_kind="home", actor_type="partner"),
            case("a work item does not make it possible", explained="explained"),
        ),
        silent=(
            case("an aeroplane", {"travel": 900}),
            case("a service in two data centres", actor_type="service"),
            case("an AI agent", actor_type="ai_agent"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("dialled into the VPN", network_kind="vpn"),
            case("VPN egress change: ends in another country now", {"travel": 9000}, network_kind="vpn"),
            case("a partner with exits in two cities, both in daily use", {"new_network": 0.05}),
            case("a desktop in the cloud", network_kind="cloud"),
            case("the account's own telephone with another carrier's address", device=7),
        ),
    ),
)
