"""Accounts without a person at them: services, partners' agents, AI agents; how they are drawn, what they do.

Standing jobs carry standing approvals; partners keep to contracts; AI agents act for a person in that person's hours.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta

from pipeline.sources.simulate import places
from pipeline.sources.simulate.calendar import begins_at, is_workday, length_h, works_on
from pipeline.sources.simulate.company import Actor, Company, Contract, Department, Site, mixed
from pipeline.sources.simulate.desk import Desk, access, day_start_ms, stamp, through
from pipeline.sources.simulate.life import Event, Steps
from pipeline.sources.simulate.places import HOUR_MS

_FIRST_SERVICE, _FIRST_PARTNER, _FIRST_AGENT = 1_000_000, 2_000_000, 3_000_000
_TASKS = ("gateway", "etl", "report", "billing", "recommend", "search", "notify", "scoring")


def _department(name: str, system: str, purpose: str) -> Department:
    return Department(
        name, name, (), "seven", (0, 24), (0, 0), (), (), (), system, purpose, 1.0, 0.0, 600.0, 0.0, 0.0
    )  # fmt: skip


PLATFORM = _department("platform", "api-gateway", "operations")
PARTNERS = _department("partner", "api-gateway", "delivery")


def draw_services(chance: random.Random, count: int, site: Site) -> list[Actor]:
    """Services of the platform; `task` says what each does."""
    found = []
    for number in range(count):
        task = _TASKS[number % len(_TASKS)]
        suffix = "" if number < len(_TASKS) else f"-{number // len(_TASKS) + 1}"
        found.append(
            Actor(
                number=_FIRST_SERVICE + number, actor_id=f"svc-{task}{suffix}", kind="service", department=PLATFORM,
                role="service", site=site, device="", user_agent=chance.choice(places.CLIENTS),
                home_prefix=f"10.90.{number % 256}", pace=chance.lognormvariate(0, 0.5), hired_on=date(2020, 1, 1),
                credential=f"key-{task}-{number}", task=task,
            )
        )  # fmt: skip
    return found


def draw_partners(
    chance: random.Random, count: int, sites: Sequence[Site], kinds: dict[str, str]
) -> tuple[list[Actor], list[Contract]]:
    """Partners' agents, two to four an organisation, and the contracts."""
    agents: list[Actor] = []
    contracts: list[Contract] = []
    while len(agents) < count:
        org = f"partner{len(contracts)}"
        slots = ("order", "profile") if chance.random() < 0.5 else ("order", "contact")
        task = chance.choice(("lookups", "lookups", "nightly", "office"))
        usual = 0.0
        for seat in range(min(chance.randint(2, 4), count - len(agents))):
            number = len(agents)
            agent = Actor(
                number=_FIRST_PARTNER + number, actor_id=f"{org}-agent{seat}", kind="partner", department=PARTNERS,
                role="partner_agent", site=chance.choice(sites), device="", user_agent=chance.choice(places.CLIENTS),
                home_prefix=f"47.{90 + number % 100}.{(number + 3) % 256}", pace=chance.lognormvariate(0, 0.5),
                hired_on=date(2021, 1, 1), org=org, credential=f"key-{org}-{seat}", task=task,
            )  # fmt: skip
            usual += 70 * agent.pace
            agents.append(agent)
        contracts.append(
            Contract(
                org, f"contract-{org}", tuple(kinds[slot] for slot in slots), ("delivery",),
                int(usual * chance.uniform(1.5, 4.0)), date(2024, 1, 1), date(2029, 12, 31),
            )
        )  # fmt: skip
    return agents, contracts


def draw_agents(chance: random.Random, count: int, people: Sequence[Actor]) -> list[Actor]:
    """AI agents, each the assistant of one person."""
    owners = chance.sample([one for one in people if one.department.cases_a_day[1] > 4] or list(people), k=1 + count)
    return [
        Actor(
            number=_FIRST_AGENT + number, actor_id=f"copilot-{number}", kind="ai_agent", department=owner.department,
            role="assistant", site=owner.site, device="", user_agent="assistant-runtime/2.4",
            home_prefix=f"10.91.{number % 256}", pace=chance.lognormvariate(0, 0.4), hired_on=date(2025, 6, 1),
            credential=f"key-copilot-{number}", owner=owner.actor_id, task="assist",
        )
        for number, owner in enumerate(owners[:count])
    ]  # fmt: skip


def service_day(desk: Desk, actor: Actor, day: date) -> Steps:
    """A service's day: a steady trickle of reads, and what its task is."""
    chance, start_ms = desk.chance, day_start_ms(day, actor.site.offset_ms)
    kinds = desk.company.kinds
    for _ in range(int(60 * actor.pace * desk.life.pace.get((actor.actor_id, day), 1.0))):
        at_ms = start_ms + int(chance.triangular(0, 24, 15) * HOUR_MS)
        kind = kinds["order"] if chance.random() < 0.4 else kinds["profile"]
        yield at_ms, access(desk, actor, at_ms, "read", kind, **desk.about(desk.customer(actor)))
    if actor.task in ("etl", "report"):
        yield from batch(desk, actor, start_ms + 2 * HOUR_MS + chance.randrange(20 * 60_000), f"nightly-{day}")
    if actor.task == "billing":
        for at_ms in _spread(chance, start_ms + 4 * HOUR_MS, 30 * 60_000, int(40 * actor.pace)):
            more = desk.about(desk.customer(actor))
            yield at_ms, access(desk, actor, at_ms, "decrypt", kinds["payment"], approval_ref="A-standing", **more)
    if actor.task == "notify":
        for at_ms in _spread(chance, start_ms + 10 * HOUR_MS, 8 * HOUR_MS, int(25 * actor.pace)):
            more = {**desk.about(desk.customer(actor)), "recipient_type": "partner", "recipient_id": "sms-gateway"}
            yield at_ms, access(desk, actor, at_ms, "share", kinds["order"], approval_ref="A-standing", **more)


def batch(desk: Desk, actor: Actor, at_ms: int, name: str) -> Steps:
    """One run of the nightly export."""
    chance, size = desk.chance, min(20_000, len(desk.company.customers))
    for step in range(5):
        time_ms = at_ms + step * 4 * 60_000 + chance.randrange(20_000)
        count = int(size * chance.uniform(0.9, 1.1))
        yield time_ms, access(
            desk, actor, time_ms, "export", desk.company.kinds["order"], channel="batch", records_returned=count,
            bytes_out=count * 200, subject_count=count, subject_manifest=f"manifest-{name}-{step}",
            approval_ref="A-standing", resource_id="nightly",
        )  # fmt: skip


def heartbeats(desk: Desk, day: date) -> Steps:
    """Every instance of every source says that it lives."""
    collector, start_ms = desk.company.services[0], day_start_ms(day)
    for source in desk.company.sources.values():
        for number, _ in enumerate(source.instances):
            where = through(desk, source.name, number)
            shift = mixed(number, len(source.name)) % 60_000
            for minute in range(0, 24 * 60, source.heartbeat_minutes):
                at_ms = start_ms + minute * 60_000 + shift
                yield at_ms, access(
                    desk, collector, at_ms, "log_control", "heartbeat", resource_id=where["source_instance"],
                    records_returned=None, bytes_out=None, sensitivity=None, **where,
                )  # fmt: skip


def partner_day(desk: Desk, actor: Actor, day: date) -> Steps:
    """A partner's agent: orders to deliver, by key, in its hours; some fetch their list at night."""
    chance, start_ms = desk.chance, day_start_ms(day, actor.site.offset_ms)
    if actor.task == "office" and not is_workday(day):
        return
    count = max(3.0, chance.gauss(70, 12) * actor.pace) * desk.life.pace.get((actor.actor_id, day), 1.0)
    for _ in range(int(count)):
        at_ms = start_ms + int(chance.triangular(*((1, 5, 3) if actor.task == "nightly" else (8, 20, 13))) * HOUR_MS)
        yield at_ms, partner_look(desk, actor, at_ms, desk.customer(actor))


def partner_look(desk: Desk, actor: Actor, at_ms: int, customer: int, action: str = "read", **more: object) -> Event:
    """One look of a partner's agent under its contract."""
    kinds = next((one.resource_types for one in desk.company.contracts if one.org == actor.org), ("order",))
    kind = kinds[0] if desk.chance.random() < 0.8 else kinds[-1]
    fields = {"recipient_type": "partner", "recipient_id": actor.org, "purpose": "delivery", "legal_basis": "contract"}
    return access(desk, actor, at_ms, action, kind, **{**desk.about(customer), **fields, **more})


def agent_day(desk: Desk, actor: Actor, day: date) -> Steps:
    """An AI agent's day: searches and summaries for its person while they work."""
    owner = owner_of(desk.company, actor)
    if not works_on(desk.life, owner, day):
        return
    chance = desk.chance
    start_ms = day_start_ms(day, owner.site.offset_ms) + begins_at(desk.life, owner, owner.department, day) * HOUR_MS
    span_ms = length_h(owner.department) * HOUR_MS
    for _ in range(int(chance.randint(5, 20) * actor.pace)):
        at_ms = start_ms + int(chance.random() * span_ms)
        customer = desk.customer(owner)
        more = desk.about(customer)
        if chance.random() < owner.department.ticket_discipline:
            more |= desk.ticket(actor, customer, at_ms)
        for _ in range(chance.randint(1, 4)):
            at_ms += chance.randrange(300, 4_000)
            yield at_ms, access(desk, actor, at_ms, "read", chance.choice(personal(owner.department)), **more)


def owner_of(company: Company, actor: Actor) -> Actor:
    """The person an AI agent works for."""
    return next(one for one in company.people if one.actor_id == actor.owner)


def personal(department: Department) -> tuple[str, ...]:
    """The kinds of personal records a department works with."""
    return department.resource_types


def standing_contract(company: Company, org: str) -> Contract:
    """A partner's main contract."""
    return next(one for one in company.contracts if one.org == org)


def extend_contract(company: Company, org: str, first_day: date, days: int, limit: int) -> None:
    """A larger contract for some days, on record before they begin."""
    main = standing_contract(company, org)
    last = first_day + timedelta(days=days)
    name = f"{main.contract_id}-{stamp(day_start_ms(first_day), 0)[:10]}"
    taken = [one.contract_id for one in company.contracts if one.contract_id.startswith(name)]
    if taken:  # two reasons on one day: the directory wants each contract once
        name = f"{name}-{len(taken) + 1}"
    company.contracts.append(Contract(org, name, main.resource_types, main.purposes, limit, first_day, last))


def _spread(chance: random.Random, from_ms: int, span_ms: int, count: int) -> list[int]:
    return sorted(from_ms + int(chance.random() * span_ms) for _ in range(count))
