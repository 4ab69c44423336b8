"""Rule unusual_decrypt: keys are used by somebody who never needs them."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

NEVER_BITS, RECORDS = 3.0, 100


def holds(facts: Facts) -> Mask:
    """An account that hardly ever decrypts does, or a person decrypts a hundred records at once."""
    many = all_of(facts.person, facts.size >= RECORDS)
    return all_of(
        facts.is_("action", "decrypt"), facts.success, any_of(facts.at_least("rare_action", NEVER_BITS), many)
    )


RULE = Rule(
    name="unusual_decrypt",
    detects=("D22",),
    attack=("T1552",),
    insider=("ME024",),
    articles=("pipl-51", "pipl-28"),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("decryption by an account that hardly ever decrypts", "极少解密的账号执行了解密操作"),
    next_step=Text(
        "Ask what needed the clear text; rotate the key if nobody can say.",
        "询问为何需要明文；若无人能说明，则轮换密钥。",
    ),
    needs=Text(
        "the key store reports decrypt; an account needs about two weeks before an action is rare",
        "密钥系统须上报 decrypt 操作；账号使用约两周后方可判断操作是否少见",
    ),
    runbook=Runbook(
        check=Text("Which key, which records, where the clear text went.", "核查所用密钥、涉及记录及明文去向。"),
        contain=Text("Withdraw the right to the key, rotate it.", "收回密钥权限并轮换密钥。"),
        ask=Text("The owner of the key, then the account's manager.", "密钥负责人，然后是该账号主管。"),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "a service that never decrypts decrypts",
            {"rare_action": 5},
            action="decrypt",
            unmasked=1,
            actor_type="service",
        ),
        holds=(
            case("one record"),
            case("an engineer who never does", actor_type="employee"),
            case(
                "two hundred records by somebody who does it daily",
                {"rare_action": 0.5},
                actor_type="employee",
                records=200,
            ),
        ),
        silent=(
            case("refused", outcome="denied"),
            case("an unmasked look is another rule's", action="unmask"),
            case("somebody who does it daily", {"rare_action": 0.5}, actor_type="employee"),
        ),
        look_alikes=(
            case("batch job: the payment service decrypts thousands a night", {"rare_action": 0.1}, records=9000),
            case("new joiner ramp-up: nothing is rare yet", {"rare_action": 2}, actor_type="employee"),
            case("key rotation that was approved", approved=1),
            case("incident war-room: under a work item", explained="explained"),
        ),
    ),
)
