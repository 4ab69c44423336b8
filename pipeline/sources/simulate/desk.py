"""Writes single access events: who acts, from where, on what, under which ticket; and keeps the list of work items.

Between the planners (work, machines, trouble, attacks) and the wire: they say what somebody does, this module knows how
the company's systems report it. Wire events are plain dicts; times are UTC milliseconds.
"""

from __future__ import annotations

import random
from bisect import bisect
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from pipeline.sources.simulate import places
from pipeline.sources.simulate.company import RESOURCES, Actor, Company, hash_of, mixed
from pipeline.sources.simulate.life import Event, Life
from pipeline.sources.simulate.places import CHINA_OFFSET_MS, HOUR_MS

DAY_MS = 24 * HOUR_MS
_EPOCH = date(1970, 1, 1)
_CACHED = 4_000


class Seat(NamedTuple):
    """Where and on what somebody works: address, country and city if the edge resolves them, device, program."""

    src_ip: str
    country: str
    city: str
    device: str
    user_agent: str


@dataclass(slots=True)
class Desk:
    """What the writers of one run share; `chance` is replaced for each person-day and each story."""

    company: Company
    life: Life
    chance: random.Random
    work_items: list[dict[str, object]] = field(default_factory=list)
    open_cases: dict[str, list[tuple[int, Event, int]]] = field(default_factory=dict)
    bases: dict[tuple[int, str, int], Event] = field(default_factory=dict)
    kinds: dict[tuple[str, str], Event] = field(default_factory=dict)
    famous: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.famous = tuple(sorted(self.company.vips))

    def customer(self, actor: Actor) -> int:
        """A customer, popular ones more often, those of one's own region more often where regions matter."""
        company, chance = self.company, self.chance
        number = company.popular[bisect(company.weights, chance.random() * company.weights[-1])]
        if chance.random() < company.habits.regional:
            count = len(company.regions)
            home = actor.site.number % count
            number = min(number - number % count + home, len(company.customers) - 1)
        return number

    def reference(self) -> str:
        """A ticket's number in the company's style."""
        return f"{self.company.tickets.prefix}{self.chance.randrange(10_000_000, 1_000_000_000)}"

    def ticket(self, actor: Actor, customer: int | None, at_ms: int, kind: str = "case", hours: float = 0.0) -> Event:
        """Opens a work item around `at_ms`, some a little or a long time after the look, as in life.

        Returns the fields that an event of this work carries: a reference, or nothing where the system sends none.
        """
        chance, habits = self.chance, self.company.tickets
        reference = self.reference()
        if chance.random() < habits.late_share:
            opened = at_ms + int(chance.expovariate(1 / (1000 * (actor.department.ticket_delay_s or 600.0))))
        else:
            opened = at_ms - int(chance.expovariate(1 / 1_200_000)) - 5_000
        closed = max(opened + 60_000, at_ms + int((hours or chance.uniform(0.2, 1) * habits.hours_open) * HOUR_MS))
        if chance.random() >= habits.lost_share:
            self.work_items.append(
                {
                    "case_ref": reference,
                    "actor_id": actor.actor_id,
                    "subject_id": None if customer is None else self.company.customers[customer],
                    "kind": kind,
                    "opened_at": stamp(opened, CHINA_OFFSET_MS),
                    "closed_at": None if chance.random() < 0.05 else stamp(closed, CHINA_OFFSET_MS),
                }
            )
        return {"case_ref": reference} if chance.random() < habits.ref_in_event else {}

    def approval(self, at_ms: int) -> Event:
        """An approval on record."""
        return {"approval_ref": f"A-{mixed(at_ms, self.chance.randrange(1 << 30)) % 1_000_000:06d}"}

    def about(self, customer: int) -> Event:
        """The fields that say whose data it was."""
        company = self.company
        identity = company.customers[customer]
        fields: Event = {
            "resource_id": identity,
            "subject_ids": [identity],
            "subject_count": 1,
            "subject_region": company.regions[customer % len(company.regions)],
        }
        if company.habits.flags_in_event and (customer in company.vips or customer in company.minors):
            flags = [
                name for name, members in (("vip", company.vips), ("minor", company.minors)) if customer in members
            ]
            fields["subject_flags"] = flags
        return fields

    def about_many(self, customers: list[int], at_ms: int) -> Event:
        """The same for a list; beyond the company's limit only some are named and a manifest holds the rest."""
        names = list(dict.fromkeys(self.company.customers[one] for one in customers))
        limit = self.company.habits.subject_list_limit
        fields: Event = {"subject_ids": names[:limit], "subject_count": len(names), "records_returned": len(names)}
        if len(names) > limit:
            fields["subject_manifest"] = f"m-{mixed(at_ms, len(names)):08x}"
        return fields

    def base(self, actor: Actor, time_ms: int) -> Event:
        """What all events of an account have in common on one half of a local day."""
        half = (time_ms + actor.site.offset_ms) // (DAY_MS // 2)
        key = (actor.number, actor.kind, half)
        found = self.bases.get(key)
        if found is None:
            if len(self.bases) > _CACHED:
                self.bases.clear()
            found = self.bases[key] = self._base(actor, _EPOCH + timedelta(days=half // 2), half)
        return found

    def _base(self, actor: Actor, day: date, half: int) -> Event:
        company = self.company
        department = self.life.department_of(actor, day)
        source = company.sources[department.system]
        event: Event = {
            "schema_version": 1,
            "source_system": source.name,
            "source_instance": source.instances[mixed(actor.number, half // 6) % len(source.instances)],
            "channel": "ui" if actor.human else "agent" if actor.kind == "ai_agent" else "api",
            "outcome": "success",
            "actor_id": actor.actor_id,
            "actor_type": actor.kind,
            "actor_dept": self.life.name_of(department, day),
            "actor_role": self.life.role_of(actor, day),
            "app_id": source.name,
        }
        if actor.org:
            event["actor_org"] = actor.org
        if actor.human:
            event["mfa"] = True
            event["session_id"] = f"s-{mixed(actor.number, half, company.seed):08x}"
        else:
            event["credential_id"] = actor.credential
        if actor.owner:
            event["on_behalf_of"] = actor.owner
        return event | placed(seat(self, actor, day), company)


def placed(where: Seat, company: Company) -> Event:
    """The fields of a seat, as the company's edge reports them."""
    fields: Event = {"src_ip": where.src_ip, "user_agent": where.user_agent}
    if where.device:
        fields["device_id"] = where.device
    if company.network.sends_country and where.country:
        fields["src_country"] = where.country
        if where.city:
            fields["src_city"] = where.city
    return fields


def access(desk: Desk, actor: Actor, time_ms: int, action: str, resource_type: str, **more: Any) -> Event:  # noqa: ANN401
    """One access of an actor from where they sit; `more` overrides any wire field, None removes it."""
    chance = desk.chance
    event = desk.base(actor, time_ms).copy()
    kind = desk.kinds.get((resource_type, action))
    if kind is None:
        kind = desk.kinds[(resource_type, action)] = _kind(desk.company, resource_type, action)
    event |= kind
    event["bytes_out"] = 500 + int(chance.random() * 3500)
    event |= more
    if None in more.values():
        event = {name: value for name, value in event.items() if value is not None}
    if "resource_id" not in event:
        event["resource_id"] = f"{resource_type}-{chance.randrange(100_000)}"
    source = desk.company.sources.get(event["source_system"])
    if source is None:
        event["event_time"] = stamp(time_ms, actor.site.offset_ms)
    else:
        skew = source.skew_ms.get(event["source_instance"], 0)
        event["event_time"] = stamp(time_ms + skew, 0 if source.utc else actor.site.offset_ms)
    return event


def _kind(company: Company, resource_type: str, action: str) -> Event:
    categories, sensitivity = RESOURCES[resource_type]
    tail = {"search": "/search", "list": "", "export": "/export"}.get(action, "/{id}")
    kind: Event = {
        "action": action,
        "resource_type": resource_type,
        "endpoint": f"/{resource_type}{tail}",
        "records_returned": 1,
        "sensitivity": sensitivity,
    }
    if categories:
        kind["data_categories"] = list(categories)
    if company.habits.query_fingerprints and action in ("search", "list", "export"):
        kind["query_fingerprint"] = f"{mixed(hash_of(resource_type + action), company.seed):08x}"
    return kind


def through(desk: Desk, system: str, number: int) -> Event:
    """The fields of an event that another system than the department's own reports."""
    source = desk.company.sources.get(system) or desk.company.sources["crm"]
    instance = source.instances[number % len(source.instances)]
    return {"source_system": source.name, "source_instance": instance, "app_id": source.name}


_STAMPS: dict[tuple[int, int], tuple[str, str]] = {}


def stamp(time_ms: int, offset_ms: int) -> str:
    """RFC 3339 in the local time of an offset, millisecond precision."""
    hour, rest = divmod(time_ms + offset_ms, HOUR_MS)
    found = _STAMPS.get((hour, offset_ms))
    if found is None:
        if len(_STAMPS) > _CACHED:
            _STAMPS.clear()
        minutes = offset_ms // 60_000
        zone = f"{'+' if minutes >= 0 else '-'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}" if minutes else "Z"
        head = datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%H")
        found = _STAMPS[(hour, offset_ms)] = (head, zone)
    seconds, milliseconds = divmod(rest, 1000)
    return f"{found[0]}:{seconds // 60:02d}:{seconds % 60:02d}.{milliseconds:03d}{found[1]}"


def day_start_ms(day: date, offset_ms: int = CHINA_OFFSET_MS) -> int:
    """Local midnight of the day, UTC milliseconds; China's unless another offset is given."""
    return (day - _EPOCH).days * DAY_MS - offset_ms


def local_day(time_ms: int, offset_ms: int = CHINA_OFFSET_MS) -> date:
    """The local date of a time."""
    return _EPOCH + timedelta(days=(time_ms + offset_ms) // DAY_MS)


def seat(desk: Desk, actor: Actor, day: date) -> Seat:
    """Where an account works on a day: office, home, tunnel, journey; the same answer whoever asks.

    Leases, home days and phones are coins of the account's number and the day, not of the run's chance.
    """
    company, life, number = desk.company, desk.life, actor.number
    ordinal = day.toordinal()
    if not actor.human:
        return Seat(f"{actor.home_prefix}.{2 + mixed(number, ordinal // 5) % 6}", "", "", "", actor.user_agent)
    device, user_agent = actor.device, actor.user_agent
    changed = life.new_devices.get(actor.actor_id)
    if changed is not None and day >= changed[0]:
        device = changed[1]
    journey = actor.away.get(day)
    host = 2 + mixed(number, ordinal // max(1, company.network.lease_days), 3) % 250
    if journey is not None:
        return Seat(f"{journey.prefix}.{host}", journey.country, journey.city, device, user_agent)
    if actor.second_device and mixed(number, ordinal, 5) % 4 == 0:
        mobile = places.MOBILE[mixed(number) % len(places.MOBILE)]
        address = f"{mobile.prefix}.{mixed(number, ordinal) % 250}.{host}"
        return Seat(address, mobile.country, mobile.city, actor.second_device, actor.second_agent)
    if mixed(number, ordinal, 7) % 1000 < 1000 * actor.home_share:
        if company.network.home_through_vpn:
            vpn = company.network.vpn_prefix if life.vpn is None or day < life.vpn[0] else life.vpn[1]
            return Seat(f"{vpn}.{mixed(number, ordinal, 9) % 8}.{host}", "", "", device, user_agent)
        third = (int(actor.home_prefix.rsplit(".", 1)[1]) + mixed(number, ordinal // 20) % 3) % 256
        address = f"{actor.home_prefix.rsplit('.', 1)[0]}.{third}.{2 + number % 200}"
        return Seat(address, actor.site.country, actor.site.city, device, user_agent)
    moved = life.moves.get(actor.site.name)
    prefix = actor.site.prefix if moved is None or day < moved[0] else moved[1]
    if company.network.nat:
        return Seat(f"{prefix}.0.{2 + mixed(hash_of(actor.department.name)) % 4}", "", "", device, user_agent)
    return Seat(f"{prefix}.{hash_of(actor.department.name) % 12}.{host}", "", "", device, user_agent)
