"""Rule external_share: sensitive data are handed outside."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case


def holds(facts: Facts) -> Mask:
    """Data of sensitivity 3 or 4 are taken out for an outsider or the public, or by an employee for a partner."""
    to_partner = all_of(facts.is_("recipient", "partner"), facts.person, ~facts.is_("actor_type", "partner"))
    outside = any_of(facts.is_("recipient", "external", "public"), to_partner)
    return all_of(outside, facts.sensitive, facts.taken_out, ~facts.is_("actor_type", "customer"))


RULE = Rule(
    name="external_share",
    detects=("D25",),
    attack=("T1567.002", "T1537"),
    insider=("IF011", "IF022.002"),
    articles=("pipl-23", "pipl-55"),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("sensitive data handed outside without approval", "未经审批向外部提供敏感数据"),
    next_step=Text(
        "Find out who received the data and on what basis; start the transfer record.",
        "核实接收方及其依据，并建立对外提供记录。",
    ),
    needs=Text(
        "recipient_type of the event, sensitivity of the event or resources.csv; without either it stays silent",
        "事件中的 recipient_type，以及事件或 resources.csv 中的敏感级别；缺一则不触发",
    ),
    runbook=Runbook(
        check=Text(
            "Who received what, over which way, and whether the link or file can still be opened.",
            "核查接收方、内容、传输方式，以及链接或文件是否仍可访问。",
        ),
        contain=Text(
            "Withdraw the link, ask the recipient to delete and to confirm it in writing.",
            "撤回链接，要求接收方删除并书面确认。",
        ),
        ask=Text(
            "The sender, the data protection officer, for partners the owner of the contract.",
            "发送人、个人信息保护负责人；涉及合作方时询问合同负责人。",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "an employee shares sensitive records with an outsider",
            action="share",
            recipient="external",
            external=1,
            sensitivity=3,
        ),
        holds=(
            case("to an outsider"),
            case("as a public link, highly sensitive", recipient="public", sensitivity=4),
            case("by an administrator to a partner", actor_type="admin", recipient="partner"),
            case("a work item is claimed that does not cover it", explained="claimed"),
            case("by a service to an outsider", actor_type="service"),
        ),
        silent=(
            case("hardly sensitive", sensitivity=2),
            case("sensitivity unknown", sensitivity=0),
            case("to a colleague", recipient="internal", external=0),
            case("failed", outcome="error"),
        ),
        look_alikes=(
            case("approved", approved=1),
            case("customers fetch their own data", actor_type="customer"),
            case("answer to the person concerned", recipient="subject", external=0),
            case("report to the regulator", recipient="regulator", external=0),
            case("a partner reads what it is given", action="read", recipient="partner", actor_type="partner"),
            case("the nightly feed to a partner", actor_type="service", recipient="partner", channel="batch"),
        ),
    ),
)
