"""Stories that lead outside: scrapers, partners, recipients abroad and in public."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from pipeline.sources.simulate import places
from pipeline.sources.simulate.attacks.story import Act, Scenario, elsewhere, spread
from pipeline.sources.simulate.company import Actor
from pipeline.sources.simulate.desk import Desk, access
from pipeline.sources.simulate.life import Event, Steps
from pipeline.sources.simulate.machines import extend_contract, partner_look, standing_contract
from pipeline.sources.simulate.places import HOUR_MS

_NIGHT_CALLS = 12_432
"""Calls of the partner's agent in the published case: six hours, from one in the morning."""


def _walk(desk: Desk, act: Act) -> Iterator[tuple[int, str, str]]:
    """Customer, kind and id one after another: by customer number, or by order number where customers have none."""
    company = desk.company
    number = act.chance.randrange(len(company.customers))
    first_order = act.chance.randrange(1_000_000, 9_000_000)
    for step in range(1_000_000):
        number = (number + 1 + (act.chance.random() < 0.1)) % len(company.customers)
        if company.consecutive_ids:
            yield number, company.kinds["profile"], company.customers[number]
        else:
            customer = company.popular[(number * 7919) % len(company.popular)]
            yield customer, company.kinds["order"], f"{company.kinds['order']}-{first_order + step}"


def enumeration(desk: Desk, act: Act) -> Steps:
    """Walks through the numbers one by one, by hand with a tool or by script; misses give errors.

    The twin is a service's yearly check of all records in order, a standing job.
    """
    act.settle(desk)
    at_ms, walk = act.moment_ms(desk, spare_h=3), _walk(desk, act)
    gap = {"weak": 9_000, "medium": 3_000, "strong": 900}[act.strength]
    reason = desk.ticket(act.actor, None, at_ms, "quality_check", 24) | desk.approval(at_ms) if act.benign else {}
    for _ in range(act.many(900, 60)):
        at_ms += int(act.chance.expovariate(1 / gap)) + 150
        customer, kind, identity = next(walk)
        miss = act.chance.random() < 0.12
        fields = desk.about(customer) | {"resource_id": identity} | reason | act.place
        if miss:
            fields |= {"outcome": "error", "http_status": 404, "records_returned": 0, "subject_ids": None,
                       "subject_count": 0}  # fmt: skip
        yield at_ms, access(desk, act.actor, at_ms, "read", kind, **fields)


def distributed_scraping(desk: Desk, act: Act) -> Steps:
    """Several accounts and many addresses share one scrape, each with a modest part; the requests look alike.

    The twin is a partner's whole team on an agreed reconciliation, from its own network.
    """
    chance = act.chance
    crew: list[Actor] = [act.actor, *act.crew]
    if not act.benign:
        crew += [_new_account(act.actor, number) for number in range(act.many(9, 2))]
    agent, print_ = chance.choice(places.CLIENTS), f"q{chance.getrandbits(28):07x}"
    wheres = [elsewhere(desk, act, places.RENTED_SERVERS) for _ in range(3 * len(crew))]
    reason = desk.approval(act.midnight_ms()) if act.benign else {}
    for at_ms in spread(act, act.clock_ms(0, 12), int(chance.uniform(4, 10) * HOUR_MS), act.many(4_000, 300)):
        who = chance.choice(crew)
        place: Event = {"query_fingerprint": print_} | reason
        if not act.benign:
            place |= chance.choice(wheres) | {"user_agent": agent, "device_id": None}
        yield at_ms, partner_look(desk, who, at_ms, chance.randrange(len(desk.company.customers)), **place)


def _new_account(of: Actor, number: int) -> Actor:
    """Another account of the same organisation, as its administrator can make them."""
    return replace(of, number=5_000_000 + (of.number % 10_000) * 100 + number, actor_id=f"{of.org}-sub{number}",
                   credential=f"{of.credential}-{number}")  # fmt: skip


def partner_overreach(desk: Desk, act: Act) -> Steps:
    """A partner reads far more customers, and other data, than the contract is for.

    The twin has a larger contract for these days.
    """
    limit = standing_contract(desk.company, act.actor.org).daily_subject_limit
    most = limit * act.chance.uniform(2.5, 4.5)
    from_ms = act.clock_ms(7, 10) if act.benign or act.strength == "weak" else act.clock_ms(0, 4)
    for at_ms in spread(act, from_ms, int(act.chance.uniform(5, 9) * HOUR_MS), act.many(most, int(limit * 1.1))):
        more: Event = {}
        if not act.benign and act.chance.random() > act.caution.covered:
            more["purpose"] = act.chance.choice(("delivery", "marketing", "profiling"))
        action = "unmask" if not act.benign and act.chance.random() < act.caution.volume * 0.4 else "read"
        if action == "unmask":
            more["fields_unmasked"] = ["mobile"]
        yield at_ms, partner_look(desk, act.actor, at_ms, desk.customer(act.actor), action, **more)


def _agreed(desk: Desk, act: Act, start: date) -> None:
    if act.benign:
        limit = standing_contract(desk.company, act.actor.org).daily_subject_limit
        extend_contract(desk.company, act.actor.org, act.day, 2, limit * 6)


def partner_harvest(desk: Desk, act: Act) -> Steps:
    """A partner's authorised agent harvests at night: thousands of calls, rotating addresses, one fixed shape of
    request with changing values, and answers that somebody forgot to mask.

    Bold: 12,432 calls in six hours. The twin fetches an agreed list in order, masked, from its own network.
    """
    chance, walk = act.chance, _walk(desk, act)
    count = _NIGHT_CALLS if act.strength == "strong" else act.many(6_000, 600)
    if act.benign:
        count = act.many(3_000, 300)
    from_ms, span_ms = act.clock_ms(0.9, 1.2), 6 * HOUR_MS
    wheres = [elsewhere(desk, act, places.RENTED_SERVERS) for _ in range(act.many(120, 6))]
    reason = desk.approval(from_ms) if act.benign else {}
    for number, at_ms in enumerate(spread(act, from_ms, span_ms, count)):
        customer, _, _ = next(walk)
        more: Event = {"query_fingerprint": "q-name-id-phone", **reason}
        action = "read"
        if not act.benign:
            where = wheres[(number // 25) % len(wheres)]
            more |= {"src_ip": where["src_ip"], "src_country": where.get("src_country")}
            if chance.random() < 0.3 + 0.7 * act.caution.volume:
                action, more["fields_unmasked"] = "unmask", ["name", "id_number", "mobile"]
        yield at_ms, partner_look(desk, act.actor, at_ms, customer, action, **more)


def cross_border_share(desk: Desk, act: Act) -> Steps:
    """Sends customers' records to a company abroad.

    The twin's recipient abroad is approved, with a purpose and a legal basis on record.
    """
    act.settle(desk)
    at_ms = act.moment_ms(desk)
    country = act.chance.choice(("SG", "US", "DE", "JP", "GB"))
    for _ in range(act.chance.randint(1, 4)):
        at_ms += act.chance.randrange(120_000, 1_500_000)
        count = act.many(3_000, 30)
        basis: Event = {"legal_basis": "contract", "purpose": "claims"} if act.benign else {}
        yield at_ms, access(
            desk, act.actor, at_ms, "share", desk.company.kinds["profile"], records_returned=count,
            bytes_out=count * 400, subject_count=count, subject_manifest=f"m-{at_ms:x}", recipient_type="external",
            dst_country=country, recipient_id=f"vendor-{country.lower()}-{act.chance.randrange(20)}",
            resource_id="segment", **basis, **act.place, **act.mandate(desk, at_ms, "transfer"),
        )  # fmt: skip


def public_link(desk: Desk, act: Act) -> Steps:
    """Puts files with customers' data behind a link that anybody can open, or mails them to a private address.

    The twin shares an approved file with a recipient on record.
    """
    at_ms = act.moment_ms(desk)
    for _ in range(act.many(6, 1)):
        at_ms += act.chance.randrange(60_000, 2_000_000)
        count = act.many(800, 5)
        public = not act.benign and act.chance.random() < 0.6
        yield at_ms, access(
            desk, act.actor, at_ms, "share", desk.company.kinds["profile"], channel="file", records_returned=count,
            bytes_out=count * 300, subject_count=count, subject_manifest=f"m-{at_ms:x}",
            recipient_type="public" if public else "external", resource_id=f"file-{act.chance.randrange(10_000)}",
            recipient_id="anyone-with-link" if public else "lawyer" if act.benign else "private-mailbox",
            **act.place, **act.mandate(desk, at_ms, "official_request"),
        )  # fmt: skip


SCENARIOS = (
    Scenario("enumeration", enumeration, "person,partner", "service"),
    Scenario("distributed_scraping", distributed_scraping, "partner", crew=3),
    Scenario("partner_overreach", partner_overreach, "partner", span=2, prepare=_agreed),
    Scenario("partner_harvest", partner_harvest, "partner"),
    Scenario("cross_border_share", cross_border_share),
    Scenario("public_link", public_link),
)
