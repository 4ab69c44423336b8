"""Writes docs/reference/detections.md from the rules and the coverage table; a test fails when the file is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from detectors.coverage import SCENARIOS, STATES, Scenario
from detectors.rules import all_rules
from detectors.rules.rule import Rule, Text

PATH = Path(__file__).resolve().parents[2] / "docs" / "reference" / "detections.md"
_EXCUSES = {
    "work": Text("a covering work item or an approval", "有效工单或审批"),
    "approval": Text("an approval only", "仅审批"),
    "nothing": Text("nothing", "无"),
}
_HEAD = """# Detections

Generated from the rules and the coverage table by `python -m tests.golden.make_detections`.

A scenario is watched in up to three ways: a **rule** looks at one event and what is remembered of its actor, the
**model** weighs the named features against the actor's own past and colleagues, a **scheduled** detector asks the
store about many actors at once. **Not observable** names what no event shows.

每个场景最多由三种方式监测：规则（单个事件及其账号的历史）、模型（所列特征）、定时检测（跨账号查询）；“不可观测”说明事件无法体现的部分。
"""
_RULES_HEAD = """## Rules

A rule puts a floor under the risk of an event (0–100). Of several rules the highest counts; where the model finds the
event unusual too, the risk is the higher of the two and half of the other. Alerts about data of the highest sensitivity
are one step graver than the severity given here. A floor of 80 or more alerts by itself; a lower one is named as a
reason, and alerts where the threshold has come down to the risk. Articles are ids of the law register.

规则为事件风险设定下限（0–100），多条规则取最大值；模型也认为异常时，风险为两者中较高者加较低者的一半。涉及最高敏感级别数据时，告警级别再升一级。
不低于 80 的下限可单独触发告警；更低的下限列为原因，仅当阈值已降至该风险时告警。条款为法规登记册中的编号。
"""


def render() -> str:
    """The whole reference."""
    parts = [_HEAD, "## Coverage\n", *_table(("id", "scenario", "场景", "watched by", "rules", "features", "scheduled", "not observable"), map(_coverage, SCENARIOS)), ""]  # fmt: skip
    parts += [_RULES_HEAD, *_table(("rule", "title", "标题", "floor", "severity", "detects", "ATT&CK", "Insider Threat Matrix", "articles", "silenced by"), map(_rule, all_rules())), ""]  # fmt: skip
    parts.append("## What to do when a rule holds\n")
    for rule in all_rules():
        parts += _runbook(rule)
    return "\n".join(parts)


def _coverage(scenario: Scenario) -> Sequence[str]:
    unseen = scenario.unseen
    return (
        scenario.number,
        *scenario.title,
        ", ".join(STATES[state].en for state in scenario.states),
        _codes(scenario.rules),
        _codes(scenario.features),
        _codes(scenario.scheduled),
        f"{unseen.en} {unseen.zh}" if unseen else "",
    )


def _rule(rule: Rule) -> Sequence[str]:
    return (
        f"[`{rule.name}`](#{rule.name})",
        *rule.title,
        f"{rule.floor / 100:g}",
        rule.severity,
        ", ".join(rule.detects),
        ", ".join(rule.attack),
        ", ".join(rule.insider),
        _codes(rule.articles),
        f"{_EXCUSES[rule.excuse].en} {_EXCUSES[rule.excuse].zh}",
    )


def _runbook(rule: Rule) -> Iterator[str]:
    runbook = rule.runbook
    yield f"### {rule.name}\n"
    yield f"{_sentence(rule.title.en)} {rule.title.zh}。\n"
    for english, chinese, text in (
        ("Next", "下一步", rule.next_step),
        ("Check", "核查", runbook.check),
        ("Contain", "处置", runbook.contain),
        ("Ask", "询问", runbook.ask),
        ("Needs", "所需数据", rule.needs),
    ):
        yield f"- **{english}**: {_sentence(text.en)}  \n  **{chinese}**：{text.zh}"
    yield f"- **Silent on**: {'; '.join(one.text for one in rule.cases.look_alikes)}.\n"


def _sentence(text: str) -> str:
    whole = text[:1].upper() + text[1:]
    return whole if whole.endswith((".", "?")) else f"{whole}."


def _codes(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(names: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(render())
    else:
        PATH.write_text(render(), encoding="utf-8")
