"""Rule service_misuse: a machine's credential is in somebody's hands."""

from __future__ import annotations

from detectors.rules.facts import Facts, Mask, all_of, any_of
from detectors.rules.rule import Cases, Rule, Runbook, Text, case

NEVER_SEEN, HARDLY_SEEN = 0.8, 0.5


def holds(facts: Facts) -> Mask:
    """A service whose network and program are both new, or one used by hand or from somebody's home for the first time.

    By hand: a browser or database client that this account hardly ever used.
    """
    new_program, new_network = facts.at_least("new_agent", HARDLY_SEEN), facts.at_least("new_network", HARDLY_SEEN)
    by_hand = all_of(new_program, facts.is_("agent_kind", "browser", "database_client"))
    from_home = all_of(new_network, facts.is_("network_kind", "home"))
    both_new = all_of(facts.at_least("new_network", NEVER_SEEN), facts.at_least("new_agent", NEVER_SEEN))
    return all_of(facts.service, any_of(both_new, by_hand, from_home))


RULE = Rule(
    name="service_misuse",
    detects=("D13",),
    attack=("T1078.003", "T1078.004"),
    insider=("IF025.001",),
    articles=("pipl-51",),
    floor=8500,
    severity="high",
    excuse="work",
    title=Text("service account used like a person or from elsewhere", "服务账号被人工使用或从陌生环境使用"),
    next_step=Text("Rotate the credential and find where it leaked.", "轮换该凭据，并查明泄露途径。"),
    needs=Text(
        "user_agent and src_ip of the event; networks.csv for homes. An account needs about "
        "two weeks before anything counts as new to it",
        "事件中的 user_agent 与 src_ip；识别家庭网络需要 networks.csv。账号使用约两周后方可判断新旧",
    ),
    runbook=Runbook(
        check=Text(
            "Which machine and program used the key, what it asked for, whether a release or move was planned.",
            "核查使用密钥的机器与程序、请求内容，以及是否有计划中的发布或迁移。",
        ),
        contain=Text(
            "Rotate the credential; allow it only from the service's own addresses.",
            "轮换凭据；仅允许从该服务自身的地址使用。",
        ),
        ask=Text(
            "The team that owns the service, then whoever works at that address.",
            "该服务的负责团队，以及该地址的使用者。",
        ),
    ),
    holds=holds,
    cases=Cases(
        base=case(
            "a service's key, another network, another program",
            {"new_network": 0.9, "new_agent": 0.9},
            actor_type="service",
            agent_kind="script",
            channel="api",
        ),
        holds=(
            case("both new"),
            case("both new, from a cloud", network_kind="cloud"),
            case("in a browser, from the usual office", {"new_network": 0.0, "new_agent": 0.6}, agent_kind="browser"),
            case("with a database client", {"new_network": 0.0}, agent_kind="database_client", channel="sql"),
            case("from somebody's home, same program", {"new_agent": 0.0}, network_kind="home"),
        ),
        silent=(
            case("a person", actor_type="employee"),
            case("a new program of the same kind only", {"new_network": 0.0, "new_agent": 1.0}),
            case("a new network only", {"new_network": 1.0, "new_agent": 0.1}),
            case("a heartbeat", scorable=0),
        ),
        look_alikes=(
            case("office move or NAT change: moved last week, known by now", {"new_network": 0.05, "new_agent": 0.05}),
            case("a robot that always drove a browser", {"new_network": 0.0, "new_agent": 0.01}, agent_kind="browser"),
            case("data migration: re-run by hand under a work item", explained="explained"),
            case("a move of the service that was approved", approved=1),
        ),
    ),
)
