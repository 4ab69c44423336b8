"""Rule enumeration: numbers are walked through, not looked up."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

SHARE_IN_ORDER, IN_TEN_MINUTES = 0.5, 20


def holds(facts: Facts) -> Mask:
    """Half of the last 20 steps go to the next number, at 20 accesses in ten minutes or more; no batch job."""
    walking = all_of(facts.at_least("sequence", SHARE_IN_ORDER), facts.at_least("events_10m", IN_TEN_MINUTES))
    return all_of(walking, ~all_of(facts.service, facts.is_("channel", "batch", "file")))


RULE = Rule(
    name="enumeration",
    detects=("D16",),
    attack=("T1119", "T1595"),
    insider=("IF022.002",),
    articles=("pipl-51",),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("customers taken one after another in numerical order", "按编号顺序逐个遍历客户"),
    next_step=Text(
        "Block the session or key at the gateway and look at what was returned.",
        "在网关处阻断该会话或密钥，并核查已返回的数据。",
    ),
    needs=Text(
        "resource or subject ids that end in a number; without numbers it stays silent",
        "以数字结尾的资源或客户编号；无编号时不触发",
    ),
    runbook=Runbook(
        check=Text(
            "Where the walk began and ended, how many answers held data, which program asked.",
            "核查遍历的起止编号、返回数据的次数及所用程序。",
        ),
        contain=Text(
            "Block the session or key; limit the rate of the interface; check that it asks who may see which record.",
            "阻断会话或密钥；限制接口速率；检查接口是否校验记录级权限。",
        ),
        ask=Text(
            "The owner of the interface, and the account's manager or the partner's contact.",
            "接口负责人，以及该账号主管或合作方联系人。",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case("half of the steps in order, 21 in ten minutes", {"sequence": 0.5, "events_10m": 21}),
        holds=(
            case("in the user interface"),
            case("all in order, very fast", {"sequence": 1.0, "events_10m": 400}),
            case("with a service's key over the interface", actor_type="service", channel="api"),
            case("by a customer's own login", actor_type="customer", channel="api"),
        ),
        silent=(
            case("fast, out of order", {"sequence": 0.45, "events_10m": 60}),
            case("in order, slowly", {"sequence": 1.0, "events_10m": 19}),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("batch job: a service walks all customers every night", actor_type="service", channel="batch"),
            case("a short list worked through in order", {"sequence": 1.0, "events_10m": 10}),
            case("data migration: under a work item", explained="explained"),
            case("a test of the interface that was approved", approved=1),
        ),
    ),
)
