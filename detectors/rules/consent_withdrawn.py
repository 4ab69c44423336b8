"""Rule consent_withdrawn: data are used although the person said no."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case


def holds(facts: Facts) -> Mask:
    """Consent is withdrawn, no other legal basis is named, and the data are used, not deleted or corrected."""
    used = ~facts.is_("action", "delete", "update", "audit_query", "audit_export", "login")
    other_basis = facts.is_("legal_basis", "contract", "legal_duty", "public_emergency", "news", "published", "other")
    return all_of(
        facts.events.consent_withdrawn == 1, used, ~other_basis, facts.success, ~facts.is_("actor_type", "customer")
    )


RULE = Rule(
    name="consent_withdrawn",
    detects=("D29",),
    attack=(),
    insider=(),
    articles=("pipl-15", "pipl-47"),
    floor=8500,
    severity="high",
    excuse="approval",
    title=Text("data used after consent was withdrawn", "撤回同意后仍使用个人信息"),
    next_step=Text(
        "Stop the use, find out why the withdrawal did not reach this system, delete what must go.",
        "停止使用，查明撤回同意为何未同步至该系统，并删除应删除的数据。",
    ),
    needs=Text(
        "the source says attrs.consent_state = withdrawn; it is kept in the rows only where allow-listed",
        "来源须给出 attrs.consent_state = withdrawn；是否在记录中保存该属性由白名单决定",
    ),
    runbook=Runbook(
        check=Text(
            "When consent was withdrawn, which systems were told, who used the data since.",
            "核查撤回时间、已通知系统及此后的使用者。",
        ),
        contain=Text(
            "Stop the campaign or job; take the person off its list.", "停止相关活动或任务；将该人从名单移除。"
        ),
        ask=Text("The owner of the purpose and the data protection officer.", "目的负责人与个人信息保护负责人。"),
    ),
    holds=holds,
    cases=Cases(
        base=case("marketing reads a customer who withdrew consent", consent_withdrawn=1, legal_basis="consent"),
        holds=(
            case("on the basis of consent"),
            case("no legal basis named", legal_basis=""),
            case("a service builds the campaign's list", actor_type="service", channel="batch", action="export"),
            case("a work item does not bring consent back", explained="explained"),
        ),
        silent=(
            case("consent stands", consent_withdrawn=0),
            case("refused", outcome="denied"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("the withdrawal is carried out", action="delete", explained="explained"),
            case("an order that must be delivered", legal_basis="contract"),
            case("tax records that must be kept", legal_basis="legal_duty"),
            case("DSAR team: approved", approved=1),
        ),
    ),
)
