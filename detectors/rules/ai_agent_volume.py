"""Rule ai_agent_volume: an assistant reads more than anybody asked for."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

IN_AN_HOUR, UNUSUAL_IN_AN_HOUR, DEVIATIONS, RECORDS = 500, 60, 2.0, 100


def holds(facts: Facts) -> Mask:
    """500 customers in the hour, 60 where that is far above its own days, or a hundred records taken out at once."""
    unusual = all_of(facts.at_least("subjects_1h", UNUSUAL_IN_AN_HOUR), facts.at_least("subjects_day_own", DEVIATIONS))
    out = all_of(facts.taken_out, facts.size >= RECORDS)
    much = any_of(facts.at_least("subjects_1h", IN_AN_HOUR), unusual, out)
    return all_of(facts.is_("actor_type", "ai_agent"), much, facts.success)


RULE = Rule(
    name="ai_agent_volume",
    detects=("D30",),
    attack=("T1213",),
    insider=("IF022.002",),
    articles=("pipl-51", "pipl-24", "pipl-55"),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("AI agent reads far more than a person would", "智能体的访问量远超人工"),
    next_step=Text(
        "Pause the agent; ask the person behind it what was asked of it.",
        "暂停该智能体；询问其背后的使用者下达了什么指令。",
    ),
    needs=Text(
        "actor_type ai_agent and subject_ids; on_behalf_of tells the responder whom to ask",
        "actor_type 为 ai_agent 且有 subject_ids；on_behalf_of 供响应人员确定询问对象",
    ),
    runbook=Runbook(
        check=Text(
            "The instruction, the scope it was given, where its answers went.", "核查指令、授权范围及结果去向。"
        ),
        contain=Text("Pause the agent, withdraw its key, narrow its scope.", "暂停智能体，收回密钥，缩小授权范围。"),
        ask=Text("The person it acted for, then the owner of the agent.", "被代理人，然后是智能体负责人。"),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "an assistant reads customers",
            {"subjects_1h": 80, "subjects_day_own": 2.5},
            actor_type="ai_agent",
            channel="agent",
        ),
        holds=(
            case("eighty in the hour, far above its days"),
            case("a new one, six hundred in the hour", {"subjects_1h": 600, "subjects_day_own": 0}),
            case("an export of a hundred", {"subjects_1h": 1}, action="export", records=100),
        ),
        silent=(
            case("ten in the hour", {"subjects_1h": 10}),
            case("a person", actor_type="employee"),
            case("refused", outcome="denied"),
        ),
        look_alikes=(
            case("a service desk's assistant: three hundred every hour", {"subjects_1h": 300, "subjects_day_own": 0.2}),
            case("works through a bulk order", {"subjects_1h": 600}, explained="explained"),
            case("a trial that was approved", approved=1),
        ),
    ),
)
