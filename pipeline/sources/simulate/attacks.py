"""Attacks as a person's steps, each in three strengths, each with a benign twin that looks alike and is justified.

A twin does the same kind of thing for a reason that is on record (work item, approval, known journey). The texts are
data: documents are generated from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.sources.simulate.company import Actor
from pipeline.sources.simulate.days import HOUR_MS, Desk, Event, access, day_start_ms, subject_fields

STRENGTHS = {"weak": 0.35, "medium": 0.65, "strong": 1.0}
Steps = Iterator[tuple[int, Event]]


@dataclass(frozen=True, slots=True)
class Act:
    """One attack or twin: who, when, how hard, and whether it is justified."""

    actor: Actor
    day: date
    force: float
    benign: bool

    @property
    def start_ms(self) -> int:
        """Midnight of the day, UTC milliseconds."""
        return day_start_ms(self.day)


def _reason(desk: Desk, act: Act, subject: str | None, at_ms: int) -> Event:
    """A twin's justification, an attacker's silence."""
    if not act.benign:
        return {}
    return {"case_ref": desk.ticket(act.actor, subject, at_ms, 24), "approval_ref": f"A-{at_ms % 99_991}"}


def _looks(
    desk: Desk, act: Act, at_ms: int, count: int, gap_ms: int, action: str = "read", kind: str = "customer_profile",
    **more: object,
) -> Steps:  # fmt: skip
    """Opens `count` customers one after another."""
    for _ in range(count):
        at_ms += int(desk.chance.uniform(0.6, 1.4) * gap_ms)
        customer = desk.customer()
        fields = {"fields_unmasked": ["mobile", "id_number"]} if action == "unmask" else {}
        extra = {**subject_fields(desk, customer), **fields, **_reason(desk, act, customer, at_ms), **more}
        yield at_ms, access(desk, act.actor, at_ms, action, kind, **extra)


def bulk_export(desk: Desk, act: Act) -> Steps:
    """Takes the customer list home in a few large exports before the evening."""
    at_ms = act.start_ms + int(desk.chance.uniform(15, 19) * HOUR_MS)
    for step in range(1 + int(3 * act.force)):
        time_ms, count = at_ms + step * 9 * 60_000, int(15_000 * act.force)
        yield time_ms, access(
            desk, act.actor, time_ms, "export", "customer_profile", channel="report", records_returned=count,
            bytes_out=count * 400, subject_count=count, subject_manifest=f"m-{time_ms}", resource_id="all-customers",
            **_reason(desk, act, None, time_ms),
        )  # fmt: skip


def credential_sharing(desk: Desk, act: Act) -> Steps:
    """Two people work with one account, from two devices, in turn."""
    at_ms = act.start_ms + 10 * HOUR_MS
    for step in range(int(60 * act.force)):
        at_ms += desk.chance.randrange(30_000, 240_000)
        other = {} if step % 2 or act.benign else {"device_id": "d-9" + act.actor.device[2:], "src_ip": "10.20.7.77"}
        customer = desk.customer()
        more = {**subject_fields(desk, customer), **_reason(desk, act, customer, at_ms), **other}
        yield at_ms, access(desk, act.actor, at_ms, "read", "customer_profile", **more)


def cross_border_share(desk: Desk, act: Act) -> Steps:
    """Sends customers' records to a company abroad."""
    at_ms = act.start_ms + 16 * HOUR_MS
    for step in range(1 + int(4 * act.force)):
        time_ms, count = at_ms + step * 600_000, int(900 * act.force)
        yield time_ms, access(
            desk, act.actor, time_ms, "share", "customer_profile", records_returned=count, bytes_out=count * 500,
            subject_count=count, subject_manifest=f"m-{time_ms}", recipient_type="external", dst_country="SG",
            recipient_id="outside-analytics", resource_id="segment", **_reason(desk, act, None, time_ms),
        )  # fmt: skip


def departing_employee(desk: Desk, act: Act) -> Steps:
    """Collects more each day of the last week."""
    for step in range(5):
        start = act.start_ms + step * 24 * HOUR_MS + 17 * HOUR_MS
        yield from _looks(desk, act, start, int((20 + 18 * step) * act.force), 25_000)


def dormant_account(desk: Desk, act: Act) -> Steps:
    """An account nobody used for weeks wakes up and looks around."""
    at_ms = act.start_ms + int(desk.chance.uniform(9, 22) * HOUR_MS)
    more = {} if act.benign else {"device_id": "d-70017", "src_ip": "36.110.44.9"}
    yield from _looks(desk, act, at_ms, int(50 * act.force), 40_000, **more)


def enumeration(desk: Desk, act: Act) -> Steps:
    """Walks customer numbers one by one through the interface."""
    at_ms, first = act.start_ms + 14 * HOUR_MS, desk.chance.randrange(len(desk.company.customers) - 900)
    for step in range(int(500 * act.force)):
        at_ms += desk.chance.randrange(700, 2600)
        customer = desk.company.customers[first + step]
        more = {**subject_fields(desk, customer), **_reason(desk, act, customer, at_ms)}
        yield at_ms, access(desk, act.actor, at_ms, "read", "customer_profile", **more)


def impossible_travel(desk: Desk, act: Act) -> Steps:
    """The account works in the office and, minutes later, from another continent."""
    at_ms = act.start_ms + 11 * HOUR_MS
    yield from _looks(desk, act, at_ms, 3, 60_000)
    more = {} if act.benign else {"src_ip": "185.22.31.4", "src_country": "DE", "device_id": "d-66001"}
    yield from _looks(desk, act, at_ms + 1_500_000, int(30 * act.force), 45_000, **more)


def new_geo(desk: Desk, act: Act) -> Steps:
    """Stolen credentials used from abroad."""
    at_ms = act.start_ms + int(desk.chance.uniform(1, 23) * HOUR_MS)
    more = {"src_ip": "91.203.5.18", "src_country": "NL"}
    if not act.benign:
        more["device_id"] = "d-55123"
    yield from _looks(desk, act, at_ms, int(60 * act.force), 35_000, **more)


def off_hours(desk: Desk, act: Act) -> Steps:
    """Comes back alone at three in the morning."""
    yield from _looks(desk, act, act.start_ms + 3 * HOUR_MS, int(70 * act.force), 50_000)


def partner_overreach(desk: Desk, act: Act) -> Steps:
    """A partner reads far more customers than the contract is for, at night, in clear text."""
    action = "read" if act.benign else "unmask"
    yield from _looks(desk, act, act.start_ms + HOUR_MS, int(900 * act.force), 15_000, action)


def peer_outlier(desk: Desk, act: Act) -> Steps:
    """Quietly does three times what colleagues do, for days."""
    for step in range(4):
        start = act.start_ms + step * 24 * HOUR_MS + 10 * HOUR_MS
        yield from _looks(desk, act, start, int(110 * act.force), 150_000)


def permission_probing(desk: Desk, act: Act) -> Steps:
    """Tries what the account may not do, one kind of data after another."""
    at_ms = act.start_ms + 13 * HOUR_MS
    for step in range(int(45 * act.force)):
        at_ms += desk.chance.randrange(4_000, 20_000)
        kind = ("payment", "invoice", "device", "system_log", "lead")[step % 5]
        yield at_ms, access(
            desk, act.actor, at_ms, ("read", "export", "unmask")[step % 3], kind, outcome="denied", http_status=403,
            denial_reason="missing role", records_returned=0, bytes_out=0, **_reason(desk, act, None, at_ms),
        )  # fmt: skip


def service_misuse(desk: Desk, act: Act) -> Steps:
    """A person uses a service's key from their own machine."""
    more = {} if act.benign else {"src_ip": "10.20.3.33", "user_agent": "curl/8.9.1", "channel": "sql"}
    yield from _looks(desk, act, act.start_ms + 15 * HOUR_MS, int(80 * act.force), 20_000, **more)


def slow_drip(desk: Desk, act: Act) -> Steps:
    """A few more customers each day than the work needs, for two weeks."""
    for step in range(14):
        start = act.start_ms + step * 24 * HOUR_MS + 15 * HOUR_MS
        yield from _looks(desk, act, start, int(38 * act.force), 90_000)


def snooping(desk: Desk, act: Act) -> Steps:
    """Looks up one famous customer again and again without a reason."""
    target = desk.chance.choice(sorted(desk.company.vips))
    for step in range(2 + int(3 * act.force)):
        at_ms = act.start_ms + step * 24 * HOUR_MS + int(desk.chance.uniform(10, 17) * HOUR_MS)
        for _ in range(1 + int(5 * act.force)):
            at_ms += desk.chance.randrange(20_000, 200_000)
            more = {**subject_fields(desk, target), "subject_flags": ["vip"], **_reason(desk, act, target, at_ms)}
            yield at_ms, access(desk, act.actor, at_ms, "read", "customer_profile", **more)


def unmask_abuse(desk: Desk, act: Act) -> Steps:
    """Reveals numbers one after another to copy them down."""
    yield from _looks(desk, act, act.start_ms + 16 * HOUR_MS, int(120 * act.force), 18_000, "unmask")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of attack: its steps, who can do it, and its story for people."""

    name: str
    steps: Callable[[Desk, Act], Steps]
    kind: str
    title_en: str
    title_zh: str
    days: int = 1


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("bulk_export", bulk_export, "person", "bulk export before leaving", "离开前的批量导出"),
    Scenario("credential_sharing", credential_sharing, "person", "one account, two people", "账号共用"),
    Scenario("cross_border_share", cross_border_share, "person", "records sent abroad", "向境外提供记录"),
    Scenario("departing_employee", departing_employee, "person", "last week's collecting", "离职前收集数据", 5),
    Scenario("dormant_account", dormant_account, "person", "a sleeping account wakes", "休眠账号被唤醒"),
    Scenario("enumeration", enumeration, "person", "customers by number", "按编号遍历客户"),
    Scenario("impossible_travel", impossible_travel, "person", "two places at once", "不可能的异地登录"),
    Scenario("new_geo", new_geo, "person", "credentials used from abroad", "境外使用被盗凭据"),
    Scenario("off_hours", off_hours, "day_person", "alone at three in the morning", "凌晨独自访问"),
    Scenario("partner_overreach", partner_overreach, "partner", "a partner beyond its contract", "合作方超范围访问"),
    Scenario("peer_outlier", peer_outlier, "person", "three times the work of colleagues", "访问量远超同事", 4),
    Scenario("permission_probing", permission_probing, "person", "trying every door", "权限试探"),
    Scenario("service_misuse", service_misuse, "service", "a service's key in a person's hands", "服务密钥被人使用"),
    Scenario("slow_drip", slow_drip, "person", "a little every day", "长期少量窃取", 14),
    Scenario("snooping", snooping, "person", "curious about a celebrity", "窥探名人信息", 5),
    Scenario("unmask_abuse", unmask_abuse, "person", "copying numbers down", "滥用明文查看"),
)


def culprit(desk: Desk, scenario: Scenario, day: date, busy: set[str]) -> Actor | None:
    """Somebody who could do it and is not part of another story; busy accounts are left alone."""
    company = desk.company
    pools = {
        "person": company.people,
        "day_person": [one for one in company.people if one.department.name != "night_service"],
        "partner": company.partners,
        "service": company.services,
    }
    free = [one for one in pools[scenario.kind] if one.actor_id not in busy and one.hired_on < day - timedelta(days=60)]
    if not free:
        free = [one for one in pools[scenario.kind] if scenario.kind != "person"]
    return desk.chance.choice(free) if free else None
