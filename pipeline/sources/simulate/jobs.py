"""Kinds of ordinary work: cases, lists, reports, prints, queries, grants, audits, mostly under a ticket.

Each is one function that yields the events of one piece of it; departments mix them. Nothing here is an attack; how
well it is documented is the department's discipline.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.sources.simulate import places
from pipeline.sources.simulate.company import Actor, hash_of, mixed
from pipeline.sources.simulate.desk import Desk, access, through
from pipeline.sources.simulate.life import Event, Steps
from pipeline.sources.simulate.machines import personal
from pipeline.sources.simulate.places import HOUR_MS

Work = Callable[[Desk, Actor, int], Steps]
_FIELDS = ("name", "mobile", "address", "id_number", "bank_card")
_OPEN_CASES = 6


def login(desk: Desk, actor: Actor, at_ms: int, **more: object) -> Event:
    """Signs in."""
    return access(desk, actor, at_ms, "login", "account", resource_id=actor.actor_id, records_returned=None,
                  bytes_out=None, **more)  # fmt: skip


def reasoned(desk: Desk, actor: Actor, customer: int | None, at_ms: int, kind: str = "case") -> Event:
    """A ticket where the department's discipline makes one, a purpose where the company records them."""
    chance, department = desk.chance, actor.department
    fields: Event = {}
    if chance.random() < department.ticket_discipline:
        fields = desk.ticket(actor, customer, at_ms, kind)
    if chance.random() < desk.company.habits.purpose_share:
        fields["purpose"] = department.purpose
    return fields


def approved(desk: Desk, customer: int, kind: str, at_ms: int, fields: Event) -> Event:
    """Adds the approval that the sensitive data of a minor needs, nearly always."""
    sensitive = kind in (desk.company.kinds["special"], desk.company.kinds["payment"])
    if sensitive and customer in desk.company.minors and desk.chance.random() < desk.company.habits.minor_approval:
        return fields | desk.approval(at_ms)
    return fields


def case(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """One customer's matter: search, look, sometimes reveal a number, sometimes change something."""
    chance = desk.chance
    open_cases = desk.open_cases.setdefault(actor.actor_id, [])
    if open_cases and chance.random() < desk.company.habits.revisit:
        customer, fields, until_ms = chance.choice(open_cases)
        if at_ms < until_ms:
            yield from matter(desk, actor, customer, at_ms, fields)
            return
    customer = desk.customer(actor)
    fields = reasoned(desk, actor, customer, at_ms)
    open_cases.append((customer, fields, at_ms + chance.randint(1, 60) * HOUR_MS))
    del open_cases[:-_OPEN_CASES]
    if chance.random() < 0.5:
        yield at_ms, search(desk, actor, at_ms, chance.randint(0, 6))
    yield from matter(desk, actor, customer, at_ms, fields)


def matter(desk: Desk, actor: Actor, customer: int, at_ms: int, fields: Event, looks: int = 0) -> Steps:
    """The looks, reveals and changes of one case; `looks` 0: as many as usual."""
    chance, department = desk.chance, actor.department
    kind = chance.choice(personal(department))
    more = approved(desk, customer, kind, at_ms, desk.about(customer) | fields)
    for _ in range(looks or chance.choice((1, 1, 1, 2, 2, 3, 5))):
        at_ms += int(chance.expovariate(1 / 45_000)) + 3000
        if desk.company.habits.fields_in_event:
            more["fields_accessed"] = list(_FIELDS[: 1 + int(chance.random() * 3)])
        yield at_ms, access(desk, actor, at_ms, "read", kind, **more)
    more.pop("fields_accessed", None)
    if chance.random() < department.unmask_rate:
        at_ms += 5000 + int(chance.random() * 20_000)
        yield at_ms, access(desk, actor, at_ms, "unmask", kind, fields_unmasked=["mobile"], **more)
    if chance.random() < 0.3:
        at_ms += 20_000 + int(chance.random() * 120_000)
        yield at_ms, access(desk, actor, at_ms, "update", kind, **more)


def search(desk: Desk, actor: Actor, at_ms: int, hits: int, **more: object) -> Event:
    """Looks for a customer; nobody's record is opened yet."""
    kind = personal(actor.department)[0]
    return access(desk, actor, at_ms, "search", kind, resource_id="search", records_returned=hits, **more)


def portfolio(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """One of the customers that are this person's own, again and again over months."""
    chance = desk.chance
    customer = chance.choice(actor.portfolio) if actor.portfolio and chance.random() < 0.8 else desk.customer(actor)
    yield from matter(desk, actor, customer, at_ms, reasoned(desk, actor, customer, at_ms, "assignment"))


def vip_case(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """A famous customer's wish; this desk has no others."""
    customer = desk.chance.choice(desk.famous)
    yield from matter(desk, actor, customer, at_ms, reasoned(desk, actor, customer, at_ms, "assignment"))


def worklist(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """A page of customers to work through."""
    kind = personal(actor.department)[0]
    customers = [desk.customer(actor) for _ in range(desk.chance.randint(5, 60))]
    more = desk.about_many(customers, at_ms) | reasoned(desk, actor, None, at_ms, "worklist")
    yield at_ms, access(desk, actor, at_ms, "list", kind, resource_id="worklist", **more)


def investigation(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """The fraud team opens a stranger from all sides: identity, payments, places, and people linked to them."""
    chance, customer = desk.chance, desk.customer(actor)
    fields = reasoned(desk, actor, customer, at_ms, "investigation")
    for step in range(chance.randint(1, 4)):
        other = (customer + step * chance.randint(1, 500)) % len(desk.company.customers)
        for kind in personal(actor.department):
            at_ms += int(chance.expovariate(1 / 40_000)) + 2000
            action = "unmask" if chance.random() < actor.department.unmask_rate * 0.4 else "read"
            more = {"fields_unmasked": ["id_number"]} if action == "unmask" else {}
            about = approved(desk, other, kind, at_ms, desk.about(other) | fields)
            yield at_ms, access(desk, actor, at_ms, action, kind, **about, **more)


def subject_request(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """The privacy office opens one person everywhere, hands out the copy, now and then erases."""
    chance, customer = desk.chance, desk.customer(actor)
    fields = desk.about(customer) | reasoned(desk, actor, customer, at_ms, "subject_request") | desk.approval(at_ms)
    for kind in personal(actor.department):
        for _ in range(chance.randint(1, 3)):
            at_ms += int(chance.expovariate(1 / 60_000)) + 3000
            yield at_ms, access(desk, actor, at_ms, "read", kind, **fields)
    kind = personal(actor.department)[0]
    yield at_ms + 60_000, access(
        desk, actor, at_ms + 60_000, "export", kind, channel="report", records_returned=chance.randint(20, 400),
        recipient_type="subject", **fields,
    )  # fmt: skip
    if chance.random() < 0.2:
        yield at_ms + 120_000, access(desk, actor, at_ms + 120_000, "delete", kind, **fields)


def report(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """A report or a list for the team, asked for and mostly on record."""
    chance = desk.chance
    count = int(chance.lognormvariate(5.0, 1.1)) + 10
    kind = chance.choice(("report", "report", desk.company.kinds["order"]))
    more = reasoned(desk, actor, None, at_ms, "report")
    if chance.random() < actor.department.ticket_discipline:
        more |= desk.approval(at_ms)
    yield at_ms, access(
        desk, actor, at_ms, "export", kind, channel="report", records_returned=count, bytes_out=count * 300,
        resource_id=f"monthly-{mixed(hash_of(actor.department.name)) % 40}", recipient_type="internal", **more,
    )  # fmt: skip


def download(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """One document of a case."""
    customer = desk.customer(actor)
    more = desk.about(customer) | reasoned(desk, actor, customer, at_ms)
    kind = personal(actor.department)[0]
    yield at_ms, access(desk, actor, at_ms, "download", kind, channel="file", bytes_out=200_000, **more)


def printing(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """A label, a letter, a form; a few in a row."""
    for _ in range(desk.chance.randint(1, 5)):
        at_ms += 8_000 + int(desk.chance.random() * 60_000)
        customer = desk.customer(actor)
        more = desk.about(customer) | reasoned(desk, actor, customer, at_ms)
        yield at_ms, access(desk, actor, at_ms, "print", personal(actor.department)[0], **more)


def creating(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """A new customer's or lead's record."""
    customer = desk.customer(actor)
    yield at_ms, access(desk, actor, at_ms, "create", personal(actor.department)[-1], **desk.about(customer))


def share_partner(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """A list for a partner with a contract."""
    contract = desk.chance.choice(desk.company.contracts)
    customers = [desk.customer(actor) for _ in range(desk.chance.randint(20, 300))]
    more = desk.about_many(customers, at_ms) | reasoned(desk, actor, None, at_ms, "share") | desk.approval(at_ms)
    yield at_ms, access(
        desk, actor, at_ms, "share", contract.resource_types[0], resource_id="segment", recipient_type="partner",
        recipient_id=contract.org, legal_basis="contract", **more,
    )  # fmt: skip


def share_regulator(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """What an authority asked for."""
    customer = desk.customer(actor)
    more = desk.about(customer) | reasoned(desk, actor, customer, at_ms, "official_request") | desk.approval(at_ms)
    yield at_ms, access(
        desk, actor, at_ms, "share", personal(actor.department)[0], recipient_type="regulator",
        recipient_id="authority", legal_basis="legal_duty", **more,
    )  # fmt: skip


def campaign(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """Plans and watches a campaign."""
    for _ in range(desk.chance.randint(1, 4)):
        at_ms += 30_000 + int(desk.chance.random() * 200_000)
        action = "update" if desk.chance.random() < 0.3 else "read"
        yield at_ms, access(desk, actor, at_ms, action, "campaign")


def system_log(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """Reads technical logs."""
    for _ in range(desk.chance.randint(1, 6)):
        at_ms += 10_000 + int(desk.chance.random() * 100_000)
        yield at_ms, access(desk, actor, at_ms, "read", "system_log")


def sql(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """Queries of the data team: aggregates mostly, rows sometimes, in the warehouse."""
    chance, client = desk.chance, places.SQL_CLIENTS[actor.number % len(places.SQL_CLIENTS)]
    fields = reasoned(desk, actor, None, at_ms, "data_request")
    for _ in range(chance.randint(1, 6)):
        at_ms += 20_000 + int(chance.random() * 240_000)
        rows = int(chance.lognormvariate(2.0, 1.8)) + 1
        yield at_ms, access(
            desk, actor, at_ms, "read", chance.choice(personal(actor.department)), channel="sql",
            resource_id=f"warehouse.t{chance.randrange(30)}", records_returned=rows, bytes_out=rows * 80,
            query_fingerprint=f"q{chance.randrange(400):05x}", user_agent=client, endpoint=None,
            **through(desk, "warehouse", actor.number), **fields,
        )  # fmt: skip


def decrypting(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """Opens a few encrypted values for a case."""
    for _ in range(desk.chance.randint(1, 3)):
        at_ms += 10_000 + int(desk.chance.random() * 60_000)
        customer = desk.customer(actor)
        more = desk.about(customer) | desk.ticket(actor, customer, at_ms, "investigation")
        yield (
            at_ms,
            access(desk, actor, at_ms, "decrypt", desk.company.kinds["payment"], **more, **desk.approval(at_ms)),
        )


def granting(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """Gives a colleague a role that was asked for."""
    receiver = desk.chance.choice(desk.company.people)
    if receiver is actor:
        return
    more = reasoned(desk, actor, None, at_ms, "access_request") | desk.approval(at_ms)
    yield at_ms, grant(desk, actor, receiver, at_ms, receiver.role, **more)


def grant(desk: Desk, actor: Actor, receiver: Actor, at_ms: int, role: str, **more: object) -> Event:
    """One grant of a role to an account."""
    return access(desk, actor, at_ms, "grant", "account", resource_id=receiver.actor_id, attrs={"role": role},
                  records_returned=None, bytes_out=None, **more)  # fmt: skip


def policy(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """A change of a setting that somebody approved."""
    more = reasoned(desk, actor, None, at_ms, "change") | desk.approval(at_ms)
    setting = f"setting-{desk.chance.randrange(40)}"
    yield at_ms, access(desk, actor, at_ms, "policy_change", "policy_setting", resource_id=setting, **more)


def audit(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """Questions to the audit log: mostly about systems, sometimes about one person's accesses."""
    chance = desk.chance
    fields = reasoned(desk, actor, None, at_ms, "audit")
    for _ in range(chance.randint(1, 8)):
        at_ms += 15_000 + int(chance.random() * 150_000)
        about = f"actor:{chance.choice(desk.company.people).actor_id}" if chance.random() < 0.3 else "system"
        rows = int(chance.lognormvariate(4, 1)) + 1
        yield at_ms, access(desk, actor, at_ms, "audit_query", "audit_log", resource_id=about, records_returned=rows,
                            **fields)  # fmt: skip


def audit_export(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """The evidence for a report."""
    more = desk.ticket(actor, None, at_ms, "audit") | desk.approval(at_ms)
    rows = desk.chance.randint(200, 4000)
    yield at_ms, access(desk, actor, at_ms, "audit_export", "audit_log", resource_id="evidence", records_returned=rows,
                        bytes_out=rows * 300, **more)  # fmt: skip


def refused(desk: Desk, actor: Actor, at_ms: int) -> Steps:
    """Clicks on what the role may not see; a few times, then gives up."""
    for step in range(desk.chance.randint(1, 4)):
        yield at_ms + step * 20_000, denial(desk, actor, at_ms + step * 20_000, desk.company.kinds["payment"])


def denial(desk: Desk, actor: Actor, at_ms: int, kind: str, action: str = "read", **more: object) -> Event:
    """One refused access."""
    return access(desk, actor, at_ms, action, kind, outcome="denied", http_status=403, denial_reason="missing role",
                  records_returned=0, bytes_out=0, **more)  # fmt: skip


JOBS: dict[str, Work] = {
    "case": case, "portfolio": portfolio, "vip": vip_case, "list": worklist, "investigation": investigation,
    "subject_request": subject_request, "report": report, "download": download, "print": printing, "create": creating,
    "share_partner": share_partner, "share_regulator": share_regulator, "campaign": campaign, "log": system_log,
    "sql": sql, "decrypt": decrypting, "grant": granting, "policy": policy, "audit": audit,
    "audit_export": audit_export, "refused": refused,
}  # fmt: skip
"""The kinds of work that departments mix."""
