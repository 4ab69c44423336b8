"""Stories of rights: tried, taken, given, stretched; and of those who watch others."""

from __future__ import annotations

from pipeline.sources.simulate import places
from pipeline.sources.simulate.attacks.story import Act, Scenario, days_of, looks
from pipeline.sources.simulate.company import Actor
from pipeline.sources.simulate.desk import Desk, access, through
from pipeline.sources.simulate.jobs import denial, grant, login
from pipeline.sources.simulate.life import Event, Steps
from pipeline.sources.simulate.machines import owner_of, personal
from pipeline.sources.simulate.places import HOUR_MS

_POWERFUL = ("payments_admin", "customer_admin", "data_owner", "superuser")


def permission_probing(desk: Desk, act: Act) -> Steps:
    """Tries what the account may not do, one kind of data after another, until something gives.

    The twin tests a new role's limits for a change, with a ticket.
    """
    act.settle(desk)
    at_ms, kinds = act.moment_ms(desk), desk.company.kinds
    reason = act.mandate(desk, at_ms, "role_test") | act.place
    for _ in range(act.many(60, 6)):
        at_ms += int(act.chance.lognormvariate(2.2, 0.8) * 1000)
        kind = act.chance.choice((*kinds.values(), "system_log", "audit_log", "policy_setting"))
        action = act.chance.choice(("read", "read", "export", "unmask", "list"))
        if act.chance.random() < 0.08:
            yield at_ms, access(desk, act.actor, at_ms, "read", kind, **reason)
        else:
            yield at_ms, denial(desk, act.actor, at_ms, kind, action, **reason)


def grant_then_use(desk: Desk, act: Act) -> Steps:
    """A helper gives the account a strong role; within hours it reads what it never could.

    The twin was moved to that work: an access request, an approval, then cases.
    """
    helper = act.crew[0] if act.crew else act.actor
    at_ms = act.moment_ms(desk, spare_h=5)
    yield at_ms, grant(desk, helper, act.actor, at_ms, _role(act), **act.mandate(desk, at_ms, "access_request"))
    at_ms += act.chance.randrange(300_000, 6_000_000)
    kind = desk.company.kinds[act.chance.choice(("payment", "special"))]
    yield from looks(desk, act, at_ms, act.many(80, 5), 35, kind=kind)


def self_grant(desk: Desk, act: Act) -> Steps:
    """An administrator gives the own account a strong role and uses it.

    The twin does so in an outage, with an incident and an approval, and gives the role back.
    """
    at_ms = act.moment_ms(desk)
    reason = act.mandate(desk, at_ms, "incident")
    yield at_ms, grant(desk, act.actor, act.actor, at_ms, _role(act), **reason)
    kind = desk.company.kinds[act.chance.choice(("payment", "special", "profile"))]
    yield from looks(desk, act, at_ms + 120_000, act.many(60, 3), 35, kind=kind)
    if act.benign or act.strength == "weak":
        at_ms += 5 * HOUR_MS
        yield at_ms, grant(desk, act.actor, act.actor, at_ms, act.actor.role, **reason)


def _role(act: Act) -> str:
    return act.chance.choice(_POWERFUL)


def break_glass_misuse(desk: Desk, act: Act) -> Steps:
    """Uses the emergency right without an emergency, and beyond its hour; the twin has the incident."""
    for step in days_of(act, {"weak": 1, "medium": 2, "strong": 3}[act.strength], 1):
        at_ms = act.moment_ms(desk, step)
        reason = act.mandate(desk, at_ms, "incident")
        if not act.benign and act.chance.random() < act.caution.covered:
            reason["justification"] = "urgent"
        yield from looks(desk, act, at_ms, act.many(50, 4), 45, break_glass=True, **reason)


def direct_sql(desk: Desk, act: Act) -> Steps:
    """Goes round the application and queries the customer tables directly.

    The twin is the data team repairing a table under a change ticket.
    """
    at_ms, kinds = act.moment_ms(desk), desk.company.kinds
    reason = act.mandate(desk, at_ms, "change")
    client = act.chance.choice(places.SQL_CLIENTS)
    for number in range(act.many(30, 4)):
        at_ms += int(act.chance.lognormvariate(4.3, 0.9) * 1000)
        rows = act.many(4_000, 20)
        yield at_ms, access(
            desk, act.actor, at_ms, "read", kinds[act.chance.choice(("profile", "payment", "order"))], channel="sql",
            resource_id=f"public.customers_{number % 4}", records_returned=rows, bytes_out=rows * 150, endpoint=None,
            subject_count=rows, subject_manifest=f"sql-{at_ms:x}", user_agent=client,
            query_fingerprint=f"q{act.chance.getrandbits(20):05x}", **through(desk, "warehouse", number), **reason,
        )  # fmt: skip


def auditor_abuse(desk: Desk, act: Act) -> Steps:
    """Somebody who may ask the audit log asks about persons: rivals, a manager, a friend; and reveals names in bulk.

    The twin works on an audit or on an authority's request that is on record.
    """
    targets: list[Actor] = act.chance.sample(desk.company.people, min(4, len(desk.company.people)))
    for step in days_of(act, 2, 1):
        at_ms = act.moment_ms(desk, step)
        reason = act.mandate(desk, at_ms, "audit")
        for _ in range(act.many(45, 4)):
            at_ms += int(act.chance.lognormvariate(3.3, 0.8) * 1000)
            target = act.chance.choice(targets)
            rows = act.chance.randint(5, 600)
            action = "unmask" if act.chance.random() < 0.3 else "audit_query"
            more: Event = {"fields_unmasked": ["actor_id", "subject_id"]} if action == "unmask" else {}
            yield at_ms, access(desk, act.actor, at_ms, action, "audit_log", resource_id=f"actor:{target.actor_id}",
                                records_returned=rows, **more, **reason)  # fmt: skip
    if act.strength == "strong":
        at_ms += 600_000
        rows, reason = act.many(9_000), act.mandate(desk, at_ms, "audit")
        yield at_ms, access(desk, act.actor, at_ms, "audit_export", "audit_log", resource_id="by-person",
                            records_returned=rows, bytes_out=rows * 300, **reason)  # fmt: skip


def agent_overreach(desk: Desk, act: Act) -> Steps:
    """An AI agent works through customers on its person's behalf far beyond what the person could or was asked to.

    The twin summarises an agreed list of open cases, each with its work item.
    """
    owner = owner_of(desk.company, act.actor)
    at_ms = act.clock_ms(9, 15)
    if act.strength == "strong" and not act.benign:
        at_ms = act.clock_ms(19, 23)
    else:
        yield at_ms, login(desk, owner, at_ms)
    kinds = personal(owner.department) if act.strength == "weak" or act.benign else tuple(desk.company.kinds.values())
    for _ in range(act.many(900, 60)):
        at_ms += int(act.chance.lognormvariate(0.9, 0.6) * 1000)
        target = desk.customer(owner)
        fields = desk.about(target) | act.reason(desk, target, at_ms)
        action = "unmask" if not act.benign and act.chance.random() < 0.1 else "read"
        more: Event = {"fields_unmasked": ["mobile"]} if action == "unmask" else {}
        yield at_ms, access(desk, act.actor, at_ms, action, act.chance.choice(kinds), **fields, **more)


SCENARIOS = (
    Scenario("permission_probing", permission_probing),
    Scenario("grant_then_use", grant_then_use, crew=1),
    Scenario("self_grant", self_grant, "it,hr"),
    Scenario("break_glass_misuse", break_glass_misuse, "it,data,service,fraud", span=3),
    Scenario("direct_sql", direct_sql, twin_pool="data,it"),
    Scenario("auditor_abuse", auditor_abuse, "audit,security,privacy", span=2),
    Scenario("agent_overreach", agent_overreach, "ai_agent"),
)
