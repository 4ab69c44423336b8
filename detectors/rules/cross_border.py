"""Rule cross_border: personal data leave the country."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

PERSONAL = 2


def holds(facts: Facts) -> Mask:
    """Personal data go to another country than the account's own; a service's batch feed is somebody's contract."""
    feed = all_of(facts.service, facts.is_("channel", "batch"))
    abroad = all_of(facts.events.destination_abroad == 1, facts.success, facts.events.sensitivity >= PERSONAL)
    return all_of(abroad, ~feed, ~facts.is_("actor_type", "customer"))


RULE = Rule(
    name="cross_border",
    detects=("D04", "D25"),
    attack=("T1567", "T1537"),
    insider=("IF011", "IF022.002"),
    articles=("pipl-38", "pipl-39", "pipl-55"),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("personal data sent abroad without approval", "未经审批向境外提供个人信息"),
    next_step=Text(
        "Stop the transfer and find the legal route it was meant to take; count the people concerned.",
        "停止传输，核实所依据的出境路径，并统计涉及人数。",
    ),
    needs=Text(
        "dst_country of the event; sites.csv or the default time zone for the account's own country",
        "事件中的 dst_country；账号所在国家取自 sites.csv 或默认时区",
    ),
    runbook=Runbook(
        check=Text(
            "Which country and recipient, how many people, how many with sensitive data, which route covers it.",
            "核查目的国家与接收方、人数、敏感个人信息人数及适用的出境路径。",
        ),
        contain=Text(
            "Stop the transfer; have the recipient hold or delete what arrived.",
            "停止传输；要求接收方冻结或删除已收到的数据。",
        ),
        ask=Text(
            "The data protection officer, who keeps the ledger of transfers abroad.",
            "管理出境台账的个人信息保护负责人。",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "an employee sends a customer's file to another country",
            action="share",
            destination_abroad=1,
            external=1,
            sensitivity=3,
            recipient="external",
        ),
        holds=(
            case("one file"),
            case("a whole segment, hardly sensitive", records=900, sensitivity=2),
            case("to the group's own office abroad", recipient="internal"),
            case("read by an AI agent abroad", action="read", actor_type="ai_agent", recipient=""),
            case("by a service over the interface", actor_type="service", channel="api"),
        ),
        silent=(
            case("within the country", destination_abroad=0),
            case("public data", sensitivity=1),
            case("refused", outcome="denied"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("the nightly feed of a service", actor_type="service", channel="batch"),
            case("approved transfer", approved=1),
            case("a customer fetches their own data while travelling", actor_type="customer"),
            case("data subject's request under a work item", explained="explained", recipient="subject"),
        ),
    ),
)
