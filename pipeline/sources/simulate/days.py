"""Ordinary days: what people, services and partners do, as wire events (plain dicts, times in UTC milliseconds).

Work comes in cases: search, open, look, sometimes unmask or change, mostly under a ticket. China's working calendar
rules the days (holidays, make-up Saturdays). Benign trouble is part of it: overtime, home office, business travel, new
devices, exports that were approved, complaints that touch one customer many times, refusals, late and repeated events.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import chinese_calendar

from pipeline.sources.simulate.company import RESOURCES, Actor, Company

HOUR_MS = 3_600_000
UTC_OFFSET_MS = 8 * HOUR_MS
Event = dict[str, Any]


@dataclass(slots=True)
class Labelled:
    """One event with what it is: empty scenario means ordinary."""

    time_ms: int
    event: Event
    scenario: str = ""
    attack_id: str = ""
    strength: str = ""
    twin: bool = False


@dataclass(slots=True)
class Desk:
    """What a simulation shares between days: chance, tickets, the growing work-item list."""

    company: Company
    chance: random.Random
    work_items: list[dict[str, object]] = field(default_factory=list)
    next_ticket: int = 50_000

    def ticket(self, actor: Actor, subject: str | None, at_ms: int, hours: float = 6.0) -> str:
        """Opens a work item around `at_ms`; some are opened a little after the look, as in life."""
        self.next_ticket += 1
        reference = f"T-{self.next_ticket}"
        late_ms = int(self.chance.gauss(-60_000, self.company.ticket_delay_s * 250))
        self.work_items.append(
            {
                "case_ref": reference,
                "actor_id": actor.actor_id,
                "subject_id": subject,
                "kind": "support" if subject else "bulk_job",
                "opened_at": iso(at_ms + late_ms),
                "closed_at": iso(at_ms + int(hours * HOUR_MS)),
            }
        )
        return reference

    def customer(self) -> str:
        """A customer, popular ones more often."""
        company = self.company
        return self.chance.choices(company.customers, cum_weights=company.weights)[0]


def iso(time_ms: int) -> str:
    """RFC 3339 in China's local time, millisecond precision."""
    local = datetime.fromtimestamp(time_ms / 1000, UTC) + timedelta(hours=8)
    return local.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}+08:00"


def day_start_ms(day: date) -> int:
    """Midnight of the day in China, UTC milliseconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000) - UTC_OFFSET_MS


def is_workday(day: date) -> bool:
    """China's calendar with its make-up working days; weekdays where the calendar ends."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:  # what chinese_calendar raises for years that are not decreed yet
        return day.weekday() < 5


_SYSTEMS = {"customer_service": "crm", "night_service": "crm", "sales": "crm", "logistics": "orders-db"}


def access(desk: Desk, actor: Actor, time_ms: int, action: str, resource_type: str, **more: Any) -> Event:  # noqa: ANN401
    """One access of an actor from where they sit; `more` overrides any wire field, None removes it."""
    chance = desk.chance
    categories, sensitivity = RESOURCES[resource_type]
    human = actor.kind in ("employee", "contractor", "admin")
    system = _SYSTEMS.get(actor.department.name, "crm" if human else "api-gateway")
    event: Event = {
        "schema_version": 1,
        "event_id": "",
        "event_time": "",
        "source_system": system,
        "source_instance": f"{system}-{1 + (hash_of(actor.actor_id) % 3)}",
        "channel": "ui" if human else "api",
        "action": action,
        "outcome": "success",
        "actor_id": actor.actor_id,
        "actor_type": actor.kind,
        "actor_dept": actor.department.name,
        "actor_role": actor.department.role,
        "user_agent": actor.user_agent,
        "src_ip": f"{actor.home_prefix}.{2 + chance.randrange(40)}",
        "app_id": system,
        "endpoint": f"/{resource_type}/{{id}}",
        "resource_type": resource_type,
        "resource_id": f"{resource_type}-{chance.randrange(10_000)}",
        "sensitivity": sensitivity,
        "records_returned": 1,
        "bytes_out": 600 + chance.randrange(3000),
    }
    if actor.org != "company":
        event["actor_org"] = actor.org
    if categories:
        event["data_categories"] = list(categories)
    if human:
        event["device_id"], event["mfa"] = actor.device, True
        event["session_id"] = f"s-{hash_of(actor.actor_id) % 9973}-{time_ms // (12 * HOUR_MS)}"
        event["src_ip"] = _seat(actor, time_ms, chance)
    else:
        event["credential_id"] = actor.credential
    event.update(more)
    return {name: value for name, value in event.items() if value is not None}


def hash_of(text: str) -> int:
    """A small stable number of a text (not Python's hash, which changes from run to run)."""
    number = 0
    for character in text:
        number = (number * 131 + ord(character)) % 1_000_003
    return number


def _seat(actor: Actor, time_ms: int, chance: random.Random) -> str:
    """The address of the day: the office, mostly; home now and then; a hotel on a journey."""
    day = (datetime.fromtimestamp(time_ms / 1000, UTC) + timedelta(hours=8)).date()
    journey = actor.away.get(day)
    if journey is not None:
        return f"{journey[1]}.{2 + hash_of(actor.actor_id) % 200}"
    desk_number = hash_of(actor.actor_id)
    if (day.toordinal() + desk_number) % 11 == 0:
        return f"{actor.home_prefix}.{2 + desk_number % 200}"
    return f"{actor.site.prefix}.{desk_number % 8}.{2 + (desk_number + day.toordinal() // 9) % 250}"


def subject_fields(desk: Desk, customer: str) -> Event:
    """The fields that say whose data it was."""
    return {"resource_id": customer, "subject_ids": [customer], "subject_count": 1}


def person_day(desk: Desk, actor: Actor, day: date) -> Iterator[tuple[int, Event]]:
    """One person's day at work, or nothing."""
    chance, department = desk.chance, actor.department
    if actor.on_leave and actor.on_leave[0] <= day <= actor.on_leave[1]:
        return
    if (actor.leaves_on and day > actor.leaves_on) or day < actor.hired_on:
        return
    if chance.random() > (0.95 if is_workday(day) else department.weekend * 0.5):
        return
    begin, end = actor.shift
    length_h: float = (end - begin) % 24 or 8
    if chance.random() < 0.08:
        length_h += chance.uniform(1, 3)  # overtime
    start_ms = day_start_ms(day) + begin * HOUR_MS + int(chance.gauss(0, 12) * 60_000)
    yield start_ms, access(desk, actor, start_ms, "login", "account", resource_id=actor.actor_id, records_returned=None,
                           bytes_out=None)  # fmt: skip
    cases = int(chance.randint(*department.cases_a_day) * actor.pace) + 1
    for _ in range(cases):
        at_ms = start_ms + int(chance.random() * length_h * HOUR_MS)
        if begin + (at_ms - start_ms) / HOUR_MS > 12 and chance.random() < 0.1:
            at_ms += HOUR_MS // 2
        yield from _case(desk, actor, at_ms)
    if chance.random() < 0.03:
        yield from _approved_export(desk, actor, start_ms + int(chance.uniform(1, length_h) * HOUR_MS))
    if chance.random() < 0.05:
        yield from _refusals(desk, actor, start_ms + int(chance.uniform(1, length_h) * HOUR_MS))


def _case(desk: Desk, actor: Actor, at_ms: int) -> Iterator[tuple[int, Event]]:
    chance, department = desk.chance, actor.department
    customer = desk.customer()
    kind = chance.choice(department.resource_types)
    more = subject_fields(desk, customer) if kind not in ("campaign", "system_log") else {}
    if chance.random() < department.ticket_discipline:
        more["case_ref"] = desk.ticket(actor, customer, at_ms)
        more["purpose"] = "support"
    if customer in desk.company.vips:
        more["subject_flags"] = ["vip"]
    more["subject_region"] = desk.company.regions[customer]
    time_ms = at_ms
    if chance.random() < 0.6:
        yield time_ms, access(desk, actor, time_ms, "search", kind, records_returned=chance.randint(1, 8),
                              resource_id="search", endpoint=f"/{kind}/search")  # fmt: skip
    looks = chance.choice((1, 1, 2, 3)) + (chance.randint(4, 9) if chance.random() < 0.01 else 0)
    for _ in range(looks):
        time_ms += int(chance.expovariate(1 / 45_000)) + 3000
        fields = ["name", "mobile", "address"][: chance.randint(1, 3)]
        yield time_ms, access(desk, actor, time_ms, "read", kind, fields_accessed=fields, **more)
    if chance.random() < department.unmask_rate:
        time_ms += 5000 + chance.randrange(20_000)
        yield time_ms, access(desk, actor, time_ms, "unmask", kind, fields_unmasked=["mobile"], **more)
    if chance.random() < 0.35:
        time_ms += 20_000 + chance.randrange(120_000)
        yield time_ms, access(desk, actor, time_ms, "update", kind, **more)


def _approved_export(desk: Desk, actor: Actor, at_ms: int) -> Iterator[tuple[int, Event]]:
    chance = desk.chance
    count = int(chance.lognormvariate(5.0, 1.0)) + 10
    yield at_ms, access(
        desk, actor, at_ms, "export", chance.choice(("report", "order")), channel="report", records_returned=count,
        bytes_out=count * 300, case_ref=desk.ticket(actor, None, at_ms, 24), approval_ref=f"A-{at_ms % 100_000}",
        resource_id="monthly", recipient_type="internal",
    )  # fmt: skip


def _refusals(desk: Desk, actor: Actor, at_ms: int) -> Iterator[tuple[int, Event]]:
    for step in range(desk.chance.randint(1, 4)):
        time_ms = at_ms + step * 20_000
        yield time_ms, access(desk, actor, time_ms, "read", "payment", outcome="denied", http_status=403,
                              denial_reason="missing role", records_returned=0, bytes_out=0)  # fmt: skip


def service_day(desk: Desk, actor: Actor, day: date) -> Iterator[tuple[int, Event]]:
    """A service's day: a steady trickle of reads, a nightly batch for some, heartbeats."""
    chance, start_ms = desk.chance, day_start_ms(day)
    batch = "etl" in actor.actor_id or "report" in actor.actor_id
    for _ in range(int(90 * actor.pace)):
        at_ms = start_ms + int(chance.random() * 24 * HOUR_MS)
        customer = desk.customer()
        yield at_ms, access(desk, actor, at_ms, "read", chance.choice(("customer_profile", "order")),
                            **subject_fields(desk, customer))  # fmt: skip
    if batch:
        at_ms = start_ms + 2 * HOUR_MS + chance.randrange(20 * 60_000)
        for step in range(6):
            time_ms = at_ms + step * 4 * 60_000
            count = int(20_000 * chance.uniform(0.9, 1.1))
            yield time_ms, access(
                desk, actor, time_ms, "export", "order", channel="batch", records_returned=count,
                bytes_out=count * 200, subject_count=count, subject_manifest=f"manifest-{day}-{step}",
                approval_ref="A-standing", resource_id="nightly",
            )  # fmt: skip
    for hour in range(0, 24, 4):
        at_ms = start_ms + hour * HOUR_MS + chance.randrange(60_000)
        yield at_ms, access(desk, actor, at_ms, "log_control", "heartbeat", resource_id=actor.actor_id,
                            records_returned=None, bytes_out=None, sensitivity=None)  # fmt: skip


def partner_day(desk: Desk, actor: Actor, day: date) -> Iterator[tuple[int, Event]]:
    """A partner's agent: orders to deliver, by key, in working hours."""
    chance, start_ms = desk.chance, day_start_ms(day)
    for _ in range(int(chance.gauss(70, 12) * actor.pace)):
        at_ms = start_ms + int(chance.triangular(8, 20, 13) * HOUR_MS)
        customer = desk.customer()
        more = {**subject_fields(desk, customer), "recipient_type": "partner", "recipient_id": actor.org}
        yield at_ms, access(desk, actor, at_ms, "read", "order", purpose="delivery", legal_basis="contract", **more)


def ordinary_day(desk: Desk, day: date) -> Iterator[tuple[int, Event]]:
    """Everybody's day."""
    for person in desk.company.people:
        yield from person_day(desk, person, day)
    for service in desk.company.services:
        yield from service_day(desk, service, day)
    for partner in desk.company.partners:
        yield from partner_day(desk, partner, day)
