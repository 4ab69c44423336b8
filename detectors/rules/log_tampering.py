"""Rule log_tampering: somebody reaches for the log itself."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

NEVER_BITS = 3.0


def holds(facts: Facts) -> Mask:
    """Logging is stopped, cleared or changed, or that is tried: by a person, or a program that never does it."""
    unusual = any_of(facts.person, facts.at_least("rare_action", NEVER_BITS))
    return all_of(facts.is_("action", "log_control"), ~facts.is_("outcome", "error"), unusual)


RULE = Rule(
    name="log_tampering",
    detects=("D27",),
    attack=("T1562.008", "T1070"),
    insider=("AF002", "AF026"),
    articles=("csl-23", "pipl-51"),
    floor=9500,
    severity="high",
    excuse="work",
    title=Text("logging was stopped, cleared or changed", "日志被停止、清除或更改"),
    next_step=Text(
        "Check now whether the source still reports; secure its own log files.",
        "立即核查该来源是否仍在上报；保全其本地日志。",
    ),
    needs=Text(
        "the source reports log_control; heartbeats, log_control too, are never judged. Silence is another detector's",
        "来源须上报 log_control 操作；心跳同为 log_control，但不参与判断。来源静默由其他检测负责",
    ),
    runbook=Runbook(
        check=Text(
            "What was switched off or cleared, for how long, and which accesses fall into that time.",
            "核查被关闭或清除的内容、时长及该时段内的访问。",
        ),
        contain=Text("Switch logging on again; take the right to control it away.", "恢复日志；收回日志控制权限。"),
        ask=Text(
            "The operator of the source and the security officer; not the account's owner first.",
            "来源运维人员与安全负责人；不要先询问账号所有人。",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case("an administrator stops the audit log", action="log_control", actor_type="admin", records=0),
        holds=(
            case("stopped"),
            case("tried and refused", outcome="denied"),
            case("by a program that never does it", {"rare_action": 5}, actor_type="service"),
            case("a change is claimed that does not cover it", explained="claimed"),
        ),
        silent=(
            case("a heartbeat", scorable=0),
            case("a fault of the system", outcome="error"),
            case("the log is read", action="audit_query"),
        ),
        look_alikes=(
            case("batch job: nightly rotation by the log service", {"rare_action": 1}, actor_type="service"),
            case("maintenance under a work item", explained="explained"),
            case("maintenance that was approved", approved=1),
        ),
    ),
)
