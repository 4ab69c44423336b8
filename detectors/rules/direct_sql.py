"""Rule direct_sql: a person asks the database instead of the application."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

RARE_BITS, RECORDS, DEVIATIONS = 2.0, 5000, 2.0


def holds(facts: Facts) -> Mask:
    """A person who hardly ever uses SQL reads sensitive data by it, or anybody many more records than usual."""
    more = all_of(facts.size >= RECORDS, facts.at_least("records_own", DEVIATIONS))
    unusual = any_of(facts.at_least("rare_channel", RARE_BITS), more)
    reads = facts.is_("action", "read", "search", "list", "export", "download")
    return all_of(facts.is_("channel", "sql"), reads, unusual, facts.sensitive, facts.person, facts.success)


RULE = Rule(
    name="direct_sql",
    detects=("D14",),
    attack=("T1213.006",),
    insider=("PR018", "ME024"),
    articles=("pipl-51",),
    floor=8000,
    severity="medium",
    excuse="work",
    title=Text("sensitive data read past the application by SQL", "绕过应用以 SQL 直接读取敏感数据"),
    next_step=Text(
        "Ask which change or incident needed the query; look at the statement's fingerprint and its result size.",
        "询问该查询对应的变更或故障；核查语句指纹与结果规模。",
    ),
    needs=Text(
        "channel sql of the event, sensitivity of the event or resources.csv; unknown sensitivity stays silent. An "
        "account needs about a week before a channel is rare",
        "事件中的 channel=sql，以及事件或 resources.csv 中的敏感级别；级别未知时不触发。约一周后方可判断渠道是否少见",
    ),
    runbook=Runbook(
        check=Text(
            "The statement, the rows returned, where the result was kept.",
            "核查语句、返回行数及结果保存位置。",
        ),
        contain=Text(
            "Take the direct right to the table away; delete kept results.", "收回对该表的直接权限；删除已保存的结果。"
        ),
        ask=Text("The owner of the database and of the change.", "数据库负责人与变更负责人。"),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "an engineer selects from the customers' table",
            {"rare_channel": 4},
            channel="sql",
            sensitivity=3,
            records=40,
            agent_kind="database_client",
        ),
        holds=(
            case("forty rows"),
            case("an administrator", actor_type="admin"),
            case("a daily user takes far more", {"rare_channel": 0.2, "records_own": 3}, records=5000),
            case("a download of the payments", action="download", sensitivity=4),
            case("a change is claimed that does not cover it", explained="claimed"),
        ),
        silent=(
            case("not sensitive", sensitivity=2),
            case("in the application", channel="ui"),
            case("refused", outcome="denied"),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("batch job: the application's own account", actor_type="service"),
            case("data migration under a work item", explained="explained", records=90_000),
            case("incident war-room: approved", approved=1),
            case("an analyst whose tool is SQL", {"rare_channel": 0.2}, records=4000),
            case("a statement that changes one row", action="update"),
        ),
    ),
)
