"""Benign surges: much, odd or hurried work that has a reason, as ordinary life brings it.

War rooms, migrations, subject requests by the dozen, audits, complaints, campaigns, wrong permissions, jobs run again.
Each adds work to somebody's days and is noted as a happening.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from pipeline.sources.simulate import places
from pipeline.sources.simulate.company import Actor
from pipeline.sources.simulate.desk import Desk, access, day_start_ms, through
from pipeline.sources.simulate.jobs import audit, audit_export, denial, investigation, matter, subject_request
from pipeline.sources.simulate.life import Steps
from pipeline.sources.simulate.machines import batch, personal
from pipeline.sources.simulate.places import HOUR_MS
from pipeline.sources.simulate.trouble import Plan


def _at(desk: Desk, actor: Actor, day: date, low: float, high: float) -> int:
    return day_start_ms(day, actor.site.offset_ms) + int(desk.chance.uniform(low, high) * HOUR_MS)


def war_room(plan: Plan) -> None:
    """An outage: engineers at night with break-glass rights, one incident number for all."""
    crew = plan.company.of_duty("it", "data")
    for _ in range(1 + plan.days // 40):
        day = plan.day()
        members = plan.chance.sample(crew, min(len(crew), plan.chance.randint(2, 6))) if crew else []
        begin = plan.chance.uniform(0, 24)

        def work(desk: Desk, actor: Actor, day: date, begin: float = begin) -> Steps:
            at_ms = _at(desk, actor, day, begin, begin + 0.5)
            more = desk.ticket(actor, None, at_ms, "incident", 12) | desk.approval(at_ms)
            for _ in range(desk.chance.randint(15, 90)):
                at_ms += int(desk.chance.expovariate(1 / 60_000)) + 2000
                if desk.chance.random() < 0.6:
                    yield at_ms, access(desk, actor, at_ms, "read", "system_log", break_glass=True, **more)
                else:
                    about = desk.about(desk.customer(actor)) | more
                    kind = personal(actor.department)[0]
                    yield at_ms, access(desk, actor, at_ms, "read", kind, break_glass=True, **about)

        for member in members:
            plan.life.add(day, member, work)
        plan.life.note("war_room", day, day + timedelta(days=1), *members)


def migration(plan: Plan) -> None:
    """A weekend on which everything is copied into another system, approved."""
    crew = plan.company.of_duty("data", "it")
    if not crew:
        return
    actor, day = plan.chance.choice(crew), plan.day(0.2)
    day += timedelta(days=(5 - day.weekday()) % 7)

    def work(desk: Desk, actor: Actor, day: date) -> Steps:
        at_ms = _at(desk, actor, day, 8, 20)
        more = desk.ticket(actor, None, at_ms, "migration", 30) | desk.approval(at_ms)
        for step in range(desk.chance.randint(6, 25)):
            at_ms += desk.chance.randrange(120_000, 900_000)
            count = desk.chance.randint(5_000, 40_000)
            action = "export" if step % 2 == 0 else "import"
            yield at_ms, access(
                desk, actor, at_ms, action, desk.company.kinds["profile"], channel="batch", records_returned=count,
                bytes_out=count * 300, subject_count=count, subject_manifest=f"migration-{day}-{step}",
                resource_id="migration", **through(desk, "warehouse", 0), **more,
            )  # fmt: skip

    plan.life.add(day, actor, work)
    plan.life.note("data_migration", day, day + timedelta(days=1), actor)


def _many(plan: Plan, kind: str, duties: tuple[str, ...], low: int, high: int, job: Callable[..., Steps]) -> None:
    """A day or three with much more of a department's own work."""
    crew = plan.company.of_duty(*duties)
    for _ in range(1 + plan.days // 30):
        if not crew:
            return
        first, length = plan.day(), plan.chance.randint(1, 3)
        members = plan.chance.sample(crew, min(len(crew), plan.chance.randint(1, 3)))

        def work(desk: Desk, actor: Actor, day: date) -> Steps:
            for _ in range(desk.chance.randint(low, high)):
                yield from job(desk, actor, _at(desk, actor, day, 9, 18))

        for member in members:
            for step in range(length):
                plan.life.add(first + timedelta(days=step), member, work)
        plan.life.note(kind, first, first + timedelta(days=length - 1), *members)


def subject_requests(plan: Plan) -> None:
    """Many people ask for their data at once."""
    _many(plan, "subject_requests", ("privacy",), 8, 30, subject_request)


def fraud_wave(plan: Plan) -> None:
    """A wave of fraud: strangers opened from all sides."""
    _many(plan, "fraud_wave", ("fraud",), 8, 25, investigation)


def audit_campaign(plan: Plan) -> None:
    """The yearly audit."""
    _many(plan, "audit_campaign", ("audit", "security"), 15, 40, audit)
    _many(plan, "audit_campaign", ("audit",), 2, 6, audit_export)


def complaint(plan: Plan) -> None:
    """A complaint: one person touched many times over days, by a few people, all for one case."""
    crew = plan.company.of_duty("service", "vip", "claims", "field", "sales")
    for _ in range(1 + plan.days // 10):
        if not crew:
            return
        customer = plan.chance.randrange(len(plan.company.customers))
        famous = plan.chance.random() < 0.3
        if famous:
            customer = plan.chance.choice(sorted(plan.company.vips))
        first, length = plan.day(), plan.chance.randint(2, 6)
        members = plan.chance.sample(crew, min(len(crew), plan.chance.randint(1, 4 + 6 * famous)))

        def work(desk: Desk, actor: Actor, day: date, customer: int = customer) -> Steps:
            at_ms = _at(desk, actor, day, 9, 18)
            fields = desk.ticket(actor, customer, at_ms, "complaint", 72)
            if desk.company.habits.flags_in_event:
                fields["subject_flags"] = ["complaint"]
            yield from matter(desk, actor, customer, at_ms, fields, desk.chance.randint(3, 12))

        for member in members:
            for step in range(length):
                if plan.chance.random() < 0.7:
                    plan.life.add(first + timedelta(days=step), member, work)
        plan.life.note("complaint", first, first + timedelta(days=length - 1), *members)


def marketing_campaign(plan: Plan) -> None:
    """A campaign day: large approved exports and lists to the mailing partner."""
    crew = plan.company.of_duty("marketing", "sales", "data")
    for _ in range(1 + plan.days // 25):
        if not crew:
            return
        actor, day = plan.chance.choice(crew), plan.day()

        def work(desk: Desk, actor: Actor, day: date) -> Steps:
            at_ms = _at(desk, actor, day, 9, 17)
            more = desk.ticket(actor, None, at_ms, "campaign", 48) | desk.approval(at_ms)
            for step in range(desk.chance.randint(1, 5)):
                at_ms += desk.chance.randrange(120_000, 1_200_000)
                count = desk.chance.randint(1_500, 20_000)
                action = "share" if step else "export"
                to = {"recipient_type": "partner", "recipient_id": "mailing-house"} if step else {}
                yield at_ms, access(
                    desk, actor, at_ms, action, desk.company.kinds["profile"], channel="report",
                    records_returned=count, bytes_out=count * 150, subject_count=count,
                    subject_manifest=f"campaign-{day}-{step}", resource_id="segment", **to, **more,
                )  # fmt: skip

        plan.life.add(day, actor, work)
        plan.life.note("campaign_day", day, day, actor)


def wrong_permissions(plan: Plan) -> None:
    """A change takes rights away from a department for some hours; everybody is refused and tries again."""
    for _ in range(1 + plan.days // 40):
        department, day = plan.chance.choice(plan.company.departments), plan.day()
        members = [one for one in plan.company.people if one.department is department][:40]
        begin = plan.chance.uniform(9, 15)

        def work(desk: Desk, actor: Actor, day: date, begin: float = begin) -> Steps:
            at_ms = _at(desk, actor, day, begin, begin + 2)
            for _ in range(desk.chance.randint(2, 14)):
                at_ms += desk.chance.randrange(3_000, 120_000)
                yield at_ms, denial(desk, actor, at_ms, personal(actor.department)[0])

        for member in members:
            if plan.chance.random() < 0.7:
                plan.life.add(day, member, work)
        plan.life.note("wrong_permissions", day, day, *members)


def job_again(plan: Plan) -> None:
    """A nightly job failed and is run again in the daytime; a service is moved to another host."""
    jobs = [one for one in plan.company.services if one.task in ("etl", "report")]
    for _ in range(1 + plan.days // 30):
        actor, day = plan.chance.choice(jobs or plan.company.services), plan.day()

        def work(desk: Desk, actor: Actor, day: date) -> Steps:
            yield from batch(desk, actor, _at(desk, actor, day, 9, 16), f"again-{day}")

        plan.life.add(day, actor, work)
        plan.life.note("job_run_again", day, day, actor)


def partner_peak(plan: Plan) -> None:
    """A partner's busy days, within its contract; promotions bring them."""
    for org in sorted({one.org for one in plan.company.partners}):
        if plan.chance.random() < 0.5:
            continue
        day, agents = plan.day(), [one for one in plan.company.partners if one.org == org]
        for agent in agents:
            plan.life.pace[(agent.actor_id, day)] = plan.chance.uniform(1.2, 1.45)
        plan.life.note("partner_peak", day, day, *agents)


def on_call(plan: Plan) -> None:
    """Somebody on call is woken and looks at two or three things from home."""
    crew = [one for one in plan.company.people if one.department.shift == "oncall"]
    for _ in range(plan.days // 4 if crew else 0):
        actor, day = plan.chance.choice(crew), plan.day()

        def work(desk: Desk, actor: Actor, day: date) -> Steps:
            at_ms = _at(desk, actor, day, 0, 6)
            more = desk.ticket(actor, None, at_ms, "incident", 6)
            for _ in range(desk.chance.randint(3, 25)):
                at_ms += int(desk.chance.expovariate(1 / 60_000)) + 2000
                kind = "system_log" if desk.chance.random() < 0.6 else personal(actor.department)[0]
                about = desk.about(desk.customer(actor)) if kind != "system_log" else {}
                yield at_ms, access(desk, actor, at_ms, "read", kind, **about, **more)

        plan.life.add(day, actor, work)
        plan.life.note("on_call", day, day, actor)


def tools(plan: Plan) -> None:
    """Somebody tries another browser or script library for a day."""
    for person in plan.some(0.05):
        agent, day = plan.chance.choice(places.BROWSERS), plan.day()

        def work(desk: Desk, actor: Actor, day: date, agent: str = agent) -> Steps:
            for _ in range(desk.chance.randint(2, 6)):
                at_ms = _at(desk, actor, day, 9, 18)
                customer = desk.customer(actor)
                fields = desk.ticket(actor, customer, at_ms) | {"user_agent": agent}
                yield from matter(desk, actor, customer, at_ms, fields)

        plan.life.add(day, person, work)
        plan.life.note("new_program", day, day, person)


SURGES: tuple[Callable[[Plan], None], ...] = (
    war_room, migration, subject_requests, fraud_wave, audit_campaign, complaint, marketing_campaign,
    wrong_permissions, job_again, partner_peak, on_call, tools,
)  # fmt: skip
"""Every kind of surge, in the order it is planned."""
