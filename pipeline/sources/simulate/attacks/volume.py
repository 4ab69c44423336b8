"""Stories of taking much: exports, collecting, copying, printing, decrypting, night work, a little every day."""

from __future__ import annotations

from datetime import date, timedelta

from pipeline.sources.simulate.attacks.story import Act, Scenario, days_of, looks, spread
from pipeline.sources.simulate.desk import Desk, access, through
from pipeline.sources.simulate.life import Steps
from pipeline.sources.simulate.places import HOUR_MS


def bulk_export(desk: Desk, act: Act) -> Steps:
    """Takes the customer list in a few large exports; a cautious one in more, smaller ones, as ordinary reports."""
    act.settle(desk)
    at_ms, kinds = act.moment_ms(desk), desk.company.kinds
    kind = act.chance.choice((kinds["profile"], kinds["profile"], kinds["order"], kinds["contact"]))
    name = act.chance.choice(("all-customers", "segment", "report-adhoc"))
    for _ in range(act.chance.randint(1, 4)):
        at_ms += act.chance.randrange(60_000, 1_500_000)
        count = act.many(20_000, 300)
        more = act.place | act.mandate(desk, at_ms, "report")
        yield at_ms, access(
            desk, act.actor, at_ms, "export", kind, channel=act.chance.choice(("report", "file", "api")),
            records_returned=count, bytes_out=count * act.chance.randint(120, 500), subject_count=count,
            subject_manifest=f"m-{at_ms:x}", resource_id=name, **more,
        )  # fmt: skip
        if act.chance.random() < 0.5:
            at_ms += act.chance.randrange(20_000, 200_000)
            yield at_ms, access(
                desk, act.actor, at_ms, "download", kind, channel="file", resource_id=name, records_returned=count,
                bytes_out=count * 200, subject_count=count, subject_manifest=f"m-{at_ms:x}", **more,
            )  # fmt: skip


def slow_drip(desk: Desk, act: Act) -> Steps:
    """A few more customers each day than the work needs, for three weeks; no single day stands out."""
    for step in days_of(act, 21, 8):
        yield from looks(desk, act, act.moment_ms(desk, step), act.many(45, 4), 80)


def peer_outlier(desk: Desk, act: Act) -> Steps:
    """Quietly does several times what colleagues do, for days."""
    for step in days_of(act, 5, 3):
        at_ms, count = act.moment_ms(desk, step, 7), act.many(150, 20)
        yield from looks(desk, act, at_ms, count, 6 * 3600 / count)


def departing_employee(desk: Desk, act: Act) -> Steps:
    """Has given notice and collects more each day of the last weeks; on the last days an export as well."""
    steps = days_of(act, 8, 4)
    for step in steps:
        growth = 0.3 + 0.7 * step / 7
        yield from looks(desk, act, act.moment_ms(desk, step), act.many(110 * growth, 3), 30)
    if act.strength != "weak":
        at_ms, count = act.moment_ms(desk, steps[-1]), act.many(3_000, 100)
        yield at_ms, access(
            desk, act.actor, at_ms, "export", desk.company.kinds["profile"], channel="report", records_returned=count,
            bytes_out=count * 300, subject_count=count, subject_manifest=f"m-{at_ms:x}", resource_id="my-customers",
            **act.mandate(desk, at_ms, "handover"),
        )  # fmt: skip


def _gives_notice(desk: Desk, act: Act, start: date) -> None:
    act.actor.leaves_on = act.on(act.chance.randint(8, 14))


def unmask_abuse(desk: Desk, act: Act) -> Steps:
    """Reveals numbers one after another to copy them down."""
    act.settle(desk)
    if act.strength == "weak":
        for step in days_of(act, 3):
            yield from looks(desk, act, act.moment_ms(desk, step), act.many(60, 6), 40, "unmask")
        return
    yield from looks(desk, act, act.moment_ms(desk), act.many(160, 10), 18, "unmask")


def print_surge(desk: Desk, act: Act) -> Steps:
    """Prints records to carry them out on paper, or photographs the screen page by page."""
    yield from looks(desk, act, act.moment_ms(desk), act.many(120, 12), 12, "print")


def decrypt_abuse(desk: Desk, act: Act) -> Steps:
    """Uses the key service to open encrypted card numbers that no case needs."""
    act.settle(desk)
    more = through(desk, "warehouse", act.actor.number) if act.chance.random() < 0.5 else {}
    kind = desk.company.kinds["payment"]
    yield from looks(desk, act, act.moment_ms(desk), act.many(260, 15), 6, "decrypt", kind, channel="api", **more)


def off_hours(desk: Desk, act: Act) -> Steps:
    """Comes back alone at night, when nobody sees the screen."""
    act.settle(desk)
    hour = {"weak": 20.5, "medium": 22.0, "strong": 1.5}[act.strength]
    for step in range(1 if act.strength == "weak" else act.chance.randint(1, 2)):
        at_ms = act.clock_ms(hour, hour + 2.5, step)
        yield from looks(desk, act, at_ms, act.many(90, 8), 45)


def night_duty(desk: Desk, act: Act) -> Steps:
    """The same for a day person, or on a night that an incident took."""
    if not act.benign:
        yield from off_hours(desk, act)
        return
    at_ms = act.clock_ms(0.5, 3)
    fields = desk.ticket(act.actor, None, at_ms, "incident", 8) | desk.approval(at_ms)
    yield from looks(desk, act, at_ms, act.many(90, 8), 45, **fields)


def unexplained_access(desk: Desk, act: Act) -> Steps:
    """Reads on in quiet hours: ordinary records in ordinary numbers, and no work item for any of them."""
    for step in days_of(act, 4):
        from_ms = act.moment_ms(desk, step, 6)
        for at_ms in spread(act, from_ms, 5 * HOUR_MS, act.many(14, 3)):
            yield from looks(desk, act, at_ms, 1, 20)


def _works_by_day(desk: Desk, act: Act, start: date) -> None:
    """Nothing must excuse the night: no journey on it."""
    for step in range(2):
        act.actor.away.pop(act.day + timedelta(days=step), None)


SCENARIOS = (
    Scenario("bulk_export", bulk_export),
    Scenario("slow_drip", slow_drip, span=21),
    Scenario("peer_outlier", peer_outlier, span=5),
    Scenario("departing_employee", departing_employee, span=8, prepare=_gives_notice, alone=True),
    Scenario("unmask_abuse", unmask_abuse, span=3),
    Scenario("print_surge", print_surge),
    Scenario("decrypt_abuse", decrypt_abuse, "fraud,data,it,finance"),
    Scenario("off_hours", night_duty, "day_person", "it,data,service,fraud", span=2, prepare=_works_by_day),
    Scenario("unexplained_access", unexplained_access, span=4),
)
