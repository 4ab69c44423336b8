"""Draws a company from a seed and a size, from wide ranges: two companies should look really different.

The same seed and size give the same company on every machine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import accumulate

from pipeline.sources.simulate import places
from pipeline.sources.simulate.company import (
    Actor,
    Company,
    Department,
    Habits,
    NetworkHabits,
    Site,
    Source,
    TicketHabits,
)
from pipeline.sources.simulate.duties import DUTIES, SLOTS, TRADES
from pipeline.sources.simulate.machines import draw_agents, draw_partners, draw_services

_MOST_CUSTOMERS = 300_000
_REGIONS = ("east", "west", "south", "north", "centre", "northwest", "coast", "inland", "border", "capital")


def draw_company(company_seed: int, actors: int) -> Company:
    """Draws a company of about `actors` accounts; the same seed and size give the same company."""
    chance = random.Random(f"company:{company_seed}:{actors}")
    trade = chance.choice(sorted(TRADES))
    kinds = dict(zip(SLOTS, TRADES[trade], strict=True))
    sites = _sites(chance, actors)
    departments = _departments(chance, kinds)
    regions = tuple(chance.sample(_REGIONS, chance.randint(2, 8)))
    customers, consecutive = _customers(chance, actors)
    n_services = max(2, int(actors * chance.uniform(0.02, 0.07)))
    n_partners = max(2, int(actors * chance.uniform(0.02, 0.09)))
    n_agents = max(1, int(actors * chance.uniform(0.0, 0.04))) if actors >= 20 else 0
    people = _people(chance, actors - n_services - n_partners - n_agents, departments, sites)
    households = _relations(chance, people, len(customers))
    popular = list(range(len(customers)))
    chance.shuffle(popular)
    steepness = chance.uniform(0.3, 1.0)
    partners, contracts = draw_partners(chance, n_partners, sites, kinds)
    flagged = chance.uniform(0.002, 0.015)
    return Company(
        seed=company_seed,
        trade=trade,
        kinds=kinds,
        sites=sites,
        departments=departments,
        people=people,
        services=draw_services(chance, n_services, sites[0]),
        partners=partners,
        agents=draw_agents(chance, n_agents, people),
        customers=customers,
        popular=popular,
        weights=list(accumulate(1.0 / (rank + 30) ** steepness for rank in range(len(customers)))),
        consecutive_ids=consecutive,
        vips=frozenset(chance.sample(range(len(customers)), max(8, int(len(customers) * flagged)))),
        minors=frozenset(chance.sample(range(len(customers)), max(8, int(len(customers) * flagged)))),
        households=households if chance.random() < 0.7 else {},
        regions=regions,
        sources=_sources(chance, departments, actors),
        contracts=contracts,
        tickets=TicketHabits(
            prefix=chance.choice(("T-", "CS-", "INC", "SR", "CASE-")),
            late_share=chance.uniform(0.05, 0.6),
            lost_share=chance.choice((0.0, 0.01, 0.03, 0.08)),
            ref_in_event=chance.choice((1.0, 0.98, 0.9, 0.6)),
            hours_open=chance.uniform(2, 48),
        ),
        network=_network_habits(chance),
        habits=_habits(chance),
    )


def _network_habits(chance: random.Random) -> NetworkHabits:
    return NetworkHabits(
        lease_days=chance.choice((1, 3, 7, 14, 60)),
        home_through_vpn=chance.random() < 0.6,
        vpn_prefix="10.99",
        sends_country=chance.random() < 0.7,
        geo_file=chance.random() < 0.75,
        nat=chance.random() < 0.25,
    )


def _habits(chance: random.Random) -> Habits:
    return Habits(
        late_share=chance.choice((0.0, 0.001, 0.004, 0.02)),
        duplicate_share=chance.choice((0.0, 0.0005, 0.002, 0.01)),
        subject_list_limit=chance.choice((10, 50, 100, 1000)),
        purpose_share=chance.choice((0.0, 0.5, 0.9, 1.0)),
        flags_in_event=chance.random() < 0.6,
        fields_in_event=chance.random() < 0.7,
        query_fingerprints=chance.random() < 0.6,
        minor_approval=chance.uniform(0.9, 1.0),
        overtime=chance.uniform(0.02, 0.25),
        regional=chance.choice((0.0, 0.3, 0.7, 0.95)),
        revisit=chance.uniform(0.05, 0.4),
        exports_a_month=chance.uniform(0.2, 3.0),
        month_end=chance.uniform(1.0, 3.0),
        promotion=chance.uniform(1.3, 4.0),
    )


def _sites(chance: random.Random, actors: int) -> list[Site]:
    count = chance.randint(1, max(1, min(6, actors // 25)))
    abroad = min(count - 1, chance.choice((0, 0, 1, 2)))
    cities = [
        *chance.sample(places.HOME_CITIES, count - abroad), *chance.sample(places.FOREIGN_CITIES, abroad)
    ]  # fmt: skip
    return [
        Site(
            number, one.name.lower(), one.name, one.country, one.latitude, one.longitude, one.zone, one.offset_ms,
            f"10.{20 + number}", _REGIONS[number],
        )
        for number, one in enumerate(cities)
    ]  # fmt: skip


def _departments(chance: random.Random, kinds: dict[str, str]) -> list[Department]:
    needed = [name for name, duty in DUTIES.items() if duty.needed]
    others = [name for name in DUTIES if name not in needed]
    chosen = needed + chance.sample(others, chance.randint(2, min(9, len(others))))
    maturity = chance.uniform(-0.2, 0.2)
    unmasking = chance.choice((0.2, 0.6, 1.0, 1.5))
    delay_s = math.exp(chance.uniform(math.log(60), math.log(86_400)))
    found = []
    for name in chosen:
        duty = DUTIES[name]
        low, high = duty.discipline
        cases = sorted(int(chance.uniform(0.7, 1.4) * one) for one in duty.cases)
        found.append(
            Department(
                name=chance.choice(duty.names), duty=name, roles=chance.choice(duty.roles),
                shift=chance.choice(duty.shifts), hours=duty.hours, cases_a_day=(max(1, cases[0]), max(2, cases[1])),
                jobs=tuple(job for job, _ in duty.jobs),
                job_weights=tuple(accumulate(weight * chance.uniform(0.5, 1.5) for _, weight in duty.jobs)),
                resource_types=tuple(dict.fromkeys(kinds[slot] for slot in duty.slots)), system=duty.system,
                purpose=duty.purpose, weekend=min(0.95, duty.weekend * chance.uniform(0.5, 1.3)),
                ticket_discipline=min(high, max(low, chance.uniform(low, high) + maturity)),
                ticket_delay_s=min(86_400.0, delay_s * chance.uniform(0.5, 2.0)),
                unmask_rate=min(0.8, chance.uniform(*duty.unmask) * unmasking),
                home_share=chance.uniform(*duty.home),
            )
        )  # fmt: skip
    return found


def _people(chance: random.Random, count: int, departments: Sequence[Department], sites: Sequence[Site]) -> list[Actor]:
    shares = [chance.uniform(*DUTIES[one.duty].share) for one in departments]
    first = list(departments) if count >= 2 * len(departments) else []
    drawn = first + chance.choices(departments, shares, k=max(0, count - len(first)))
    style = chance.choice(("{surname}.{given}{number}", "u{number:05d}", "{given}_{surname}{number}", "E{badge}"))
    unknown = chance.choice((0.0, 0.0, 0.02, 0.06))
    managers: dict[str, str] = {}
    people = []
    for number, department in enumerate(drawn):
        person = _person(chance, number, style, department, chance.choice(sites))
        person.manager_id = managers.setdefault(department.name, person.actor_id)
        person.in_directory = chance.random() >= unknown
        people.append(person)
    return people


def _person(chance: random.Random, number: int, style: str, department: Department, site: Site) -> Actor:
    names = {"surname": chance.choice(places.SURNAMES), "given": chance.choice(places.GIVEN_NAMES), "number": number}
    home = next(one for one in (*places.HOMES, *places.FOREIGN_HOMES) if one.city == site.city)
    phone = chance.random() < 0.15
    administrator = department.duty == "it" and chance.random() < 0.3
    weights = [0.75, 0.2, 0.05][: len(department.roles)]
    begin = department.hours[0] + chance.choice((-1, 0, 0, 0, 1))
    return Actor(
        number=number,
        actor_id=style.format(**names, badge=100_000 + number * 7),
        kind="admin" if administrator else "contractor" if chance.random() < 0.1 else "employee",
        department=department,
        role=chance.choices(department.roles, weights)[0],
        site=site,
        device=f"d-{1000 + number}",
        user_agent=chance.choice(places.BROWSERS),
        home_prefix=f"{home.prefix}.{chance.randrange(1, 250)}",
        pace=chance.lognormvariate(0, 0.3),
        hired_on=date(2018, 1, 1) + timedelta(days=chance.randrange(2800)),
        home_share=0.0 if chance.random() < 0.3 else department.home_share * chance.uniform(0.3, 1.5),
        second_device=f"m-{1000 + number}" if phone else "",
        second_agent=chance.choice(places.PHONES) if phone else "",
        shift_start=begin % 24,
    )


def _relations(chance: random.Random, people: Sequence[Actor], customers: int) -> dict[int, str]:
    """Employees who are customers themselves, their families, their accounts' portfolios."""
    households: dict[int, str] = {}
    share = chance.uniform(0.1, 0.6)
    for person in people:
        if chance.random() < share:
            person.customer = chance.randrange(customers)
            person.family = tuple(chance.randrange(customers) for _ in range(chance.choice((0, 1, 1, 2, 3))))
            for one in (person.customer, *person.family):
                households[one] = f"h-{person.number}"
        if {"portfolio", "vip"} & set(person.department.jobs):
            person.portfolio = tuple(chance.randrange(customers) for _ in range(chance.randint(25, 150)))
    return households


def _customers(chance: random.Random, actors: int) -> tuple[list[str], bool]:
    """Ids on the wire, and whether the next customer has the next number."""
    count = min(_MOST_CUSTOMERS, max(2_000, int(actors * chance.uniform(30, 150))))
    style = chance.choice(("prefixed", "prefixed", "plain", "stepped", "opaque"))
    first = chance.randrange(100_000, 9_000_000)
    if style == "opaque":
        return [f"cu-{chance.getrandbits(48):012x}{number:06x}" for number in range(count)], False
    step = chance.randint(3, 11) if style == "stepped" else 1
    prefix = {"plain": "", "stepped": "K", "prefixed": chance.choice(("c-", "C", "cust_"))}[style]
    return [f"{prefix}{first + number * step}" for number in range(count)], style != "stepped"


_LOSSES = ("device_id", "session_id", "user_agent", "mfa", "fields_accessed", "purpose", "bytes_out", "subject_count")
_NEVER = (*_LOSSES, "source_seq", "src_ip", "case_ref")


def _sources(chance: random.Random, departments: Sequence[Department], actors: int) -> dict[str, Source]:
    names = sorted({one.system for one in departments} | {"api-gateway", "crm", "warehouse", "it-console"})
    poor = chance.choice([name for name in names if name != "crm"])
    found = {}
    for name in names:
        most = min(6, 1 + actors // 20) if name in ("crm", "api-gateway") else min(3, 1 + actors // 80)
        instances = tuple(f"{name}-{1 + number}" for number in range(chance.randint(1, most)))
        wrong = {chance.choice(instances): chance.choice((-1, 1)) * chance.randrange(2_000, 300_000)}
        losses = chance.sample(_LOSSES, chance.choice((0, 0, 1, 2)))
        found[name] = Source(
            name=name,
            instances=instances,
            never_sends=tuple(chance.sample(_NEVER, chance.randint(1, 2))) if name == poor else (),
            sometimes_loses=tuple((loss, chance.uniform(0.01, 0.2)) for loss in losses),
            skew_ms=wrong if chance.random() < 0.15 else {},
            utc=chance.random() < 0.2,
            max_silence_s=chance.choice((5400, 7200, 10_800)),
            heartbeat_minutes=chance.choice((40, 60)),
        )
    return found
