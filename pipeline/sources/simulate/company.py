"""A believable company, drawn from a seed: people, shifts, places, networks, services, partners, customers.

Nothing here knows what a detector looks at. `write_directory` writes what enrichment may know of it (the directory
contract): some of it late, some of it missing, as in life.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Site:
    """An office."""

    name: str
    city: str
    country: str
    latitude: float
    longitude: float
    prefix: str
    region: str


@dataclass(frozen=True, slots=True)
class Department:
    """What a department does all day; shares of the company and of its actions."""

    name: str
    share: float
    role: str
    shift: tuple[int, int]
    cases_a_day: tuple[int, int]
    ticket_discipline: float
    unmask_rate: float
    resource_types: tuple[str, ...]
    weekend: float


@dataclass(slots=True)
class Actor:
    """One account: an employee, a service, a partner's agent or an AI agent."""

    actor_id: str
    kind: str
    department: Department
    site: Site
    device: str
    user_agent: str
    home_prefix: str
    shift: tuple[int, int]
    pace: float
    hired_on: date
    own_subject: str = ""
    leaves_on: date | None = None
    on_leave: tuple[date, date] | None = None
    org: str = "company"
    credential: str = ""
    away: dict[date, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Company:
    """The whole company; immutable once drawn but for what a simulation adds (travel, leave)."""

    seed: int
    sites: list[Site]
    departments: list[Department]
    people: list[Actor]
    services: list[Actor]
    partners: list[Actor]
    customers: list[str]
    weights: list[float]
    vips: frozenset[str]
    minors: frozenset[str]
    regions: dict[str, str]
    ticket_delay_s: float
    late_share: float
    duplicate_share: float

    @property
    def actors(self) -> list[Actor]:
        """Every account."""
        return [*self.people, *self.services, *self.partners]


_SITES = (
    Site("shanghai", "Shanghai", "CN", 31.23, 121.47, "10.20", "east"),
    Site("chengdu", "Chengdu", "CN", 30.57, 104.07, "10.21", "west"),
    Site("guangzhou", "Guangzhou", "CN", 23.13, 113.26, "10.22", "south"),
    Site("harbin", "Harbin", "CN", 45.80, 126.53, "10.23", "north"),
)
_DEPARTMENTS = (
    Department("customer_service", 0.38, "agent", (9, 18), (9, 20), 0.9, 0.25, ("customer_profile", "order"), 0.35),
    Department("night_service", 0.08, "agent", (20, 5), (8, 16), 0.88, 0.25, ("customer_profile", "order"), 0.5),
    Department("sales", 0.16, "account_manager", (9, 19), (6, 14), 0.55, 0.12, ("customer_profile", "lead"), 0.1),
    Department("finance", 0.08, "accountant", (9, 18), (5, 12), 0.7, 0.35, ("payment", "invoice"), 0.02),
    Department("risk", 0.07, "analyst", (9, 18), (6, 14), 0.93, 0.5, ("customer_profile", "payment", "device"), 0.1),
    Department("marketing", 0.07, "specialist", (10, 19), (3, 8), 0.5, 0.02, ("campaign", "customer_profile"), 0.03),
    Department("logistics", 0.1, "dispatcher", (7, 16), (10, 22), 0.6, 0.3, ("order", "address"), 0.6),
    Department("it_operations", 0.06, "engineer", (9, 19), (3, 8), 0.6, 0.1, ("system_log", "customer_profile"), 0.15),
)
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Edg/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
)
RESOURCES = {
    "customer_profile": (("mobile", "contact"), 3),
    "order": (("order", "contact"), 2),
    "lead": (("contact",), 2),
    "payment": (("bank_card", "id_number"), 4),
    "invoice": (("order",), 2),
    "device": (("location",), 3),
    "campaign": (("contact",), 2),
    "address": (("contact", "location"), 3),
    "system_log": ((), 1),
    "heartbeat": ((), 1),
    "account": ((), 1),
    "report": (("order",), 2),
}
OBJECT_TYPES = ("system_log", "heartbeat", "campaign", "report")
_SURNAMES = ("zhang", "li", "wang", "chen", "liu", "yang", "zhao", "wu", "zhou", "xu", "sun", "ma", "zhu", "hu", "guo")
_GIVEN = ("wei", "na", "min", "jing", "lei", "yan", "tao", "fang", "qiang", "hui", "bo", "xin", "yu", "jun", "ping")


def draw_company(company_seed: int, actors: int) -> Company:
    """Draws a company of about `actors` accounts; the same seed and size give the same company."""
    chance = random.Random(f"company:{company_seed}:{actors}")
    sites = list(_SITES[: chance.randint(1, min(4, 1 + actors // 25))])
    departments = [
        Department(
            one.name, one.share * chance.uniform(0.6, 1.4), one.role, one.shift, one.cases_a_day,
            min(0.98, one.ticket_discipline * chance.uniform(0.75, 1.08)), one.unmask_rate * chance.uniform(0.5, 1.5),
            one.resource_types, one.weekend * chance.uniform(0.5, 1.3),
        )
        for one in _DEPARTMENTS
    ]  # fmt: skip
    n_services, n_partners = max(2, actors // 25), max(2, actors // 20)
    people = _people(chance, actors - n_services - n_partners, departments, sites)
    customers = [f"c-{100_000 + number}" for number in range(max(2_000, actors * 60))]
    weights = [1.0 / (rank + 30) ** 0.7 for rank in range(len(customers))]
    for person in people:
        if chance.random() < 0.3:
            person.own_subject = chance.choice(customers)
    return Company(
        seed=company_seed,
        sites=sites,
        departments=departments,
        people=people,
        services=_services(chance, n_services, sites),
        partners=_partners(chance, n_partners, sites),
        customers=customers,
        weights=_cumulative(weights),
        vips=frozenset(chance.sample(customers, len(customers) // 100)),
        minors=frozenset(chance.sample(customers, len(customers) // 80)),
        regions={customer: chance.choice(sites).region for customer in customers},
        ticket_delay_s=chance.uniform(30, 900),
        late_share=chance.uniform(0.0, 0.004),
        duplicate_share=chance.uniform(0.0, 0.002),
    )


def _cumulative(weights: Sequence[float]) -> list[float]:
    total, sums = 0.0, []
    for weight in weights:
        total += weight
        sums.append(total)
    return sums


def _people(chance: random.Random, count: int, departments: Sequence[Department], sites: Sequence[Site]) -> list[Actor]:
    people: list[Actor] = []
    drawn = chance.choices(departments, [one.share for one in departments], k=count)
    for number, department in enumerate(drawn):
        start = department.shift[0] + chance.choice((-1, 0, 0, 0, 1))
        people.append(
            Actor(
                actor_id=f"{chance.choice(_SURNAMES)}.{chance.choice(_GIVEN)}{number}",
                kind="contractor" if chance.random() < 0.1 else "employee",
                department=department,
                site=chance.choice(sites),
                device=f"d-{1000 + number}",
                user_agent=chance.choice(_AGENTS),
                home_prefix=f"112.{chance.randrange(16, 250)}.{chance.randrange(1, 250)}",
                shift=(start, department.shift[1]),
                pace=chance.uniform(0.6, 1.5),
                hired_on=date(2018, 1, 1) + timedelta(days=chance.randrange(2800)),
            )
        )
    return people


_SERVICE = Department("platform", 0.0, "service", (0, 24), (0, 0), 0.0, 0.0, ("customer_profile", "order"), 1.0)


def _services(chance: random.Random, count: int, sites: Sequence[Site]) -> list[Actor]:
    names = ("svc-api-gateway", "svc-nightly-etl", "svc-report", "svc-billing", "svc-recommend", "svc-search")
    return [
        Actor(
            actor_id=names[number % len(names)] + ("" if number < len(names) else f"-{number}"),
            kind="service", department=_SERVICE, site=sites[0], device="", user_agent="okhttp/4.12.0",
            home_prefix=f"10.90.{number % 256}", shift=(0, 24), pace=chance.uniform(0.5, 1.5),
            hired_on=date(2020, 1, 1), credential=f"key-svc-{number}",
        )
        for number in range(count)
    ]  # fmt: skip


_PARTNER = Department("partner", 0.0, "partner_agent", (8, 20), (0, 0), 0.2, 0.1, ("order", "customer_profile"), 0.6)


def _partners(chance: random.Random, count: int, sites: Sequence[Site]) -> list[Actor]:
    return [
        Actor(
            actor_id=f"partner{number // 2}-agent{number % 2}", kind="partner", department=_PARTNER,
            site=chance.choice(sites), device="", user_agent="python-requests/2.32.3",
            home_prefix=f"47.{90 + number % 100}.{(number + 3) % 256}", shift=(8, 20), pace=chance.uniform(0.5, 1.5),
            hired_on=date(2021, 1, 1), org=f"partner{number // 2}", credential=f"key-partner-{number}",
        )
        for number in range(count)
    ]  # fmt: skip


def write_directory(company: Company, folder: Path, work_items: Iterable[dict[str, object]]) -> None:
    """Writes the folder that enrichment reads: people, networks, sites, resources, subjects, partners, work items."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "actors.csv", _ACTOR_COLUMNS, [_actor_row(actor) for actor in company.actors])
    _write(folder / "networks.csv", ("cidr", "kind", "site", "country", "city"), _networks(company))
    _write(
        folder / "sites.csv", ("site", "country", "city", "latitude", "longitude", "time_zone"),
        [(s.name, s.country, s.city, s.latitude, s.longitude, "Asia/Shanghai") for s in company.sites],
    )  # fmt: skip
    _write(
        folder / "resources.csv", ("resource_type", "data_categories", "sensitivity", "owner_department", "ids"),
        [(name, ";".join(categories), level, "platform", "object" if name in OBJECT_TYPES else "person")
         for name, (categories, level) in RESOURCES.items()],
    )  # fmt: skip
    flagged = sorted(company.vips | company.minors)
    own = {actor.own_subject for actor in company.people if actor.own_subject}
    _write(
        folder / "subjects.csv", ("subject_id", "region", "flags"),
        [(c, company.regions[c], ";".join(_flags(company, own, c))) for c in sorted({*flagged, *own})],
    )  # fmt: skip
    _write(
        folder / "sources.csv", ("source_system", "source_instance", "max_silence_s", "owner"),
        [(system, "", 3600, "it_operations") for system in ("crm", "orders-db", "api-gateway")],
    )  # fmt: skip
    orgs = sorted({partner.org for partner in company.partners})
    _write(
        folder / "partners.csv",
        ("org", "contract_id", "resource_types", "purposes", "daily_subject_limit", "valid_from", "valid_to"),
        [
            (org, f"contract-{org}", "order;customer_profile", "delivery", 400, "2024-01-01", "2029-12-31")
            for org in orgs
        ],
    )
    _write(
        folder / "purposes.csv", ("purpose", "departments", "resource_types", "legal_basis"),
        [("support", "customer_service;night_service", "customer_profile;order", "contract"),
         ("delivery", "logistics;partner", "order;address;customer_profile", "contract"),
         ("risk_control", "risk", "payment;device;customer_profile", "legal_duty")],
    )  # fmt: skip
    with (folder / "work_items.ndjson").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(item, separators=(",", ":")) + "\n" for item in work_items)


_ACTOR_COLUMNS = (
    "actor_id", "actor_type", "org", "department", "role", "manager_id", "site", "hired_on", "leaves_on", "status",
    "mfa_required", "own_subject_ids",
)  # fmt: skip


def _actor_row(actor: Actor) -> tuple[object, ...]:
    return (
        actor.actor_id, actor.kind, actor.org, actor.department.name, actor.department.role, "", actor.site.name,
        actor.hired_on.isoformat(), actor.leaves_on.isoformat() if actor.leaves_on else "", "active", "true",
        actor.own_subject,
    )  # fmt: skip


def _networks(company: Company) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        (f"{site.prefix}.0.0/16", "office", site.name, site.country, site.city) for site in company.sites
    ]
    rows.append(("10.90.0.0/16", "cloud", company.sites[0].name, "CN", company.sites[0].city))
    rows.append(("10.99.0.0/16", "vpn", "", "CN", ""))
    rows += [(f"{partner.home_prefix}.0/24", "partner", "", "CN", partner.site.city) for partner in company.partners]
    return rows


def _flags(company: Company, own: set[str], customer: str) -> list[str]:
    flags = [("vip", customer in company.vips), ("minor", customer in company.minors), ("employee", customer in own)]
    return [name for name, holds in flags if holds]


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
