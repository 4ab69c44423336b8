"""Rule partner_over_contract: a partner does what was never agreed."""

from __future__ import annotations

import numpy as np

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

TOLERANCE = 1.1
"""Distinct customers are estimated, within a few per cent."""


def holds(facts: Facts) -> Mask:
    """Another kind of data, purpose or period than the contract's, or one account alone above the daily limit.

    What work items or approvals account for does not count towards the limit here; the day's sum is the scheduled
    detector's.
    """
    limit = facts.events.contract_limit
    over = all_of(limit >= 0, facts.counted("subjects_day") > np.maximum(limit, 1) * TOLERANCE)
    outside = facts.is_("contract", "other_resource", "other_purpose", "out_of_period")
    return all_of(any_of(outside, over), facts.is_("actor_type", "partner"), facts.success)


RULE = Rule(
    name="partner_over_contract",
    detects=("D20",),
    attack=("T1199",),
    insider=("IF011",),
    articles=("pipl-21", "pipl-59", "ndr-12"),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("partner goes beyond its contract", "合作方超出合同范围访问"),
    next_step=Text(
        "Ask the owner of the contract whether it was agreed; else limit the partner's key to the contract.",
        "向合同负责人确认是否有约定；否则将合作方密钥限制在合同范围内。",
    ),
    needs=Text(
        "partners.csv and actor_org; a partner whose organisation has no contract there stays silent",
        "partners.csv 与 actor_org；组织未登记合同的合作方不触发",
    ),
    runbook=Runbook(
        check=Text(
            "Kinds of data, purpose, number of customers and dates against the contract.",
            "对照合同核查数据类型、目的、客户数量与期限。",
        ),
        contain=Text(
            "Limit or suspend the partner's key; keep the record of what was provided.",
            "限制或停用合作方密钥；保存提供记录。",
        ),
        ask=Text("The owner of the contract, then the partner's contact.", "合同负责人，然后是合作方联系人。"),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "a partner's agent reads a customer",
            {"subjects_day": 40},
            actor_type="partner",
            contract="within",
            contract_limit=200,
        ),
        holds=(
            case("a kind of data outside the contract", contract="other_resource"),
            case("for a purpose outside the contract", contract="other_purpose"),
            case("after the contract's end", contract="out_of_period", contract_limit=-1),
            case("the two hundred and thirtieth customer of two hundred", {"subjects_day": 230}),
        ),
        silent=(
            case("within the contract"),
            case("just above the limit, within the estimate's error", {"subjects_day": 205}),
            case("no limit agreed", {"subjects_day": 5000}, contract_limit=-1),
            case("refused", contract="other_resource", outcome="denied"),
        ),
        look_alikes=(
            case("an organisation that the register does not know", contract="no_contract", contract_limit=-1),
            case("no register at all", contract="", contract_limit=-1),
            case("marketing campaign day: more was approved", {"subjects_day": 900}, approved=1),
            case("extra work under a work item", {"subjects_day": 300}, explained="explained"),
        ),
    ),
)
