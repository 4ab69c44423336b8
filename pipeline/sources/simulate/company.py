"""What a simulated company consists of: places, departments, accounts, customers, habits and faults.

First module of the package to read: everything else draws, moves or writes what is defined here. Nothing here knows
what a detector looks at. Times are UTC milliseconds; dates are local to the actor's site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

RESOURCES: dict[str, tuple[tuple[str, ...], int]] = {
    "customer_profile": (("mobile", "contact"), 3),
    "member": (("mobile", "contact"), 3),
    "subscriber": (("mobile", "id_number"), 3),
    "policyholder": (("mobile", "id_number", "contact"), 3),
    "patient": (("mobile", "id_number", "contact"), 3),
    "traveller": (("mobile", "id_number", "contact"), 3),
    "order": (("order", "contact"), 2),
    "transaction": (("bank_card", "order"), 3),
    "service_order": (("order", "contact"), 2),
    "policy": (("order", "id_number"), 3),
    "appointment": (("order", "health"), 3),
    "booking": (("order", "location"), 2),
    "lead": (("contact",), 2),
    "payment": (("bank_card", "id_number"), 4),
    "bank_account": (("bank_card", "id_number"), 4),
    "invoice": (("order",), 2),
    "claim_payment": (("bank_card", "health"), 4),
    "device": (("location",), 3),
    "chat_log": (("contact", "order"), 3),
    "credit_report": (("id_number", "credit"), 4),
    "location_trace": (("location",), 4),
    "health_record": (("health",), 4),
    "medical_record": (("health", "id_number"), 4),
    "passport": (("id_number", "biometric"), 4),
    "campaign": (("contact",), 2),
    "address": (("contact", "location"), 3),
    "system_log": ((), 1),
    "audit_log": ((), 2),
    "policy_setting": ((), 1),
    "encryption_key": ((), 3),
    "heartbeat": ((), 1),
    "account": ((), 1),
    "report": (("order",), 2),
}
"""Kind of object → categories of personal data in it and sensitivity (1–4)."""
OBJECT_TYPES = (
    "system_log", "audit_log", "policy_setting", "encryption_key", "heartbeat", "campaign", "report",
)  # fmt: skip
"""Kinds whose ids name objects, not persons."""


@dataclass(frozen=True, slots=True)
class Site:
    """An office. `offset_ms`: local time minus UTC; only zones without summer time are drawn."""

    number: int
    name: str
    city: str
    country: str
    latitude: float
    longitude: float
    time_zone: str
    offset_ms: int
    prefix: str
    region: str


@dataclass(frozen=True, slots=True)
class Department:
    """What a department does all day, as this company does it; rates are shares of its cases.

    `duty`: the kind of work behind the name; `jobs`: kinds of work with cumulative weights; `shift`: day, night,
    rotating, seven (a roster over seven days) or oncall.
    """

    name: str
    duty: str
    roles: tuple[str, ...]
    shift: str
    hours: tuple[int, int]
    cases_a_day: tuple[int, int]
    jobs: tuple[str, ...]
    job_weights: tuple[float, ...]
    resource_types: tuple[str, ...]
    system: str
    purpose: str
    weekend: float
    ticket_discipline: float
    ticket_delay_s: float
    unmask_rate: float
    home_share: float


@dataclass(frozen=True, slots=True)
class Journey:
    """Where somebody is who is away from the office."""

    prefix: str
    country: str
    city: str


@dataclass(slots=True)
class Actor:
    """One account: an employee, a service, a partner's agent or an AI agent.

    `customer`: the number of the customer that this person is themselves, −1 if none; `family`: those of relatives;
    `absent`: first and last day of each leave; `away`: journeys by local day; `joined`: first day at work.
    """

    number: int
    actor_id: str
    kind: str
    department: Department
    role: str
    site: Site
    device: str
    user_agent: str
    home_prefix: str
    pace: float
    hired_on: date
    home_share: float = 0.0
    second_device: str = ""
    second_agent: str = ""
    shift_start: int = 9
    org: str = ""
    credential: str = ""
    owner: str = ""
    task: str = ""
    manager_id: str = ""
    customer: int = -1
    family: tuple[int, ...] = ()
    portfolio: tuple[int, ...] = ()
    leaves_on: date | None = None
    status: str = "active"
    in_directory: bool = True
    absent: list[tuple[date, date]] = field(default_factory=list)
    away: dict[date, Journey] = field(default_factory=dict)

    @property
    def human(self) -> bool:
        """Whether a person sits behind the account."""
        return self.kind in ("employee", "contractor", "admin")


@dataclass(frozen=True, slots=True)
class TicketHabits:
    """How work items are kept: how many are opened after the look, how many never reach the directory."""

    prefix: str
    late_share: float
    lost_share: float
    ref_in_event: float
    hours_open: float


@dataclass(frozen=True, slots=True)
class NetworkHabits:
    """How addresses behave: days of a lease, whether home goes through the tunnel, who knows the country."""

    lease_days: int
    home_through_vpn: bool
    vpn_prefix: str
    sends_country: bool
    geo_file: bool
    nat: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A system that reports: its instances and its faults. `skew_ms`: how wrong the clock of an instance is."""

    name: str
    instances: tuple[str, ...]
    never_sends: tuple[str, ...]
    sometimes_loses: tuple[tuple[str, float], ...]
    skew_ms: Mapping[str, int]
    utc: bool
    max_silence_s: int
    heartbeat_minutes: int


@dataclass(slots=True)
class Contract:
    """What a partner may do; `valid_from` and `valid_to` inclusive."""

    org: str
    contract_id: str
    resource_types: tuple[str, ...]
    purposes: tuple[str, ...]
    daily_subject_limit: int
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class Habits:
    """Shares (0–1) of what is done how in this company; see the draw for their ranges."""

    late_share: float
    duplicate_share: float
    subject_list_limit: int
    purpose_share: float
    flags_in_event: bool
    fields_in_event: bool
    query_fingerprints: bool
    minor_approval: float
    overtime: float
    regional: float
    revisit: float
    exports_a_month: float
    month_end: float
    promotion: float


@dataclass(slots=True)
class Company:
    """The whole company as it was drawn; a simulation works on its own copy.

    Customers are numbers; `customers[number]` is the id on the wire. `popular`: numbers by popularity, `weights`: their
    cumulative weights. A customer's region is `regions[number % len(regions)]`.
    """

    seed: int
    trade: str
    kinds: Mapping[str, str]
    sites: list[Site]
    departments: list[Department]
    people: list[Actor]
    services: list[Actor]
    partners: list[Actor]
    agents: list[Actor]
    customers: list[str]
    popular: list[int]
    weights: list[float]
    consecutive_ids: bool
    vips: frozenset[int]
    minors: frozenset[int]
    households: dict[int, str]
    regions: tuple[str, ...]
    sources: dict[str, Source]
    contracts: list[Contract]
    tickets: TicketHabits
    network: NetworkHabits
    habits: Habits

    @property
    def actors(self) -> list[Actor]:
        """Every account."""
        return [*self.people, *self.services, *self.partners, *self.agents]

    def of_duty(self, *duties: str) -> list[Actor]:
        """The people whose department does one of these."""
        return [one for one in self.people if one.department.duty in duties]

    def region_of(self, customer: int) -> str:
        """Where a customer lives."""
        return self.regions[customer % len(self.regions)]


def hash_of(text: str) -> int:
    """A small stable number of a text (not Python's hash, which changes from run to run)."""
    number = 0
    for character in text:
        number = (number * 131 + ord(character)) % 1_000_003
    return number


def mixed(*numbers: int) -> int:
    """A well-spread number below 2³² of some numbers: a coin that needs no generator (after splitmix64)."""
    value = 0x9E3779B97F4A7C15
    for number in numbers:
        value = (value ^ (number & 0xFFFFFFFFFFFFFFFF)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        value ^= value >> 29
    return value >> 32
