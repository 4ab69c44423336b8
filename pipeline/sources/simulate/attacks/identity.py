"""Stories of accounts that are not used by whom they belong to: shared, stolen, woken, outlived."""

from __future__ import annotations

from datetime import date, timedelta

from pipeline.sources.simulate import places
from pipeline.sources.simulate.attacks.story import Act, Scenario, Seat, days_of, elsewhere, looks
from pipeline.sources.simulate.calendar import begins_at
from pipeline.sources.simulate.company import Journey
from pipeline.sources.simulate.desk import Desk, access, placed, seat
from pipeline.sources.simulate.jobs import login
from pipeline.sources.simulate.life import Event, Steps
from pipeline.sources.simulate.places import HOUR_MS


def credential_sharing(desk: Desk, act: Act) -> Steps:
    """Two people work with one account at the same time, from two machines and two sessions.

    The twin has two machines of their own, both in use for months: a desk computer and a phone or tablet.
    """
    other = _second_machine(desk, act)
    for step in days_of(act, {"weak": 1, "medium": 2, "strong": 4}[act.strength], 1):
        begin = begins_at(desk.life, act.actor, act.actor.department, act.on(step))
        at_ms = act.midnight_ms(step) + int((begin + act.chance.uniform(0.5, 4)) * HOUR_MS)
        for _ in range(act.many(70, 10)):
            at_ms += int(act.chance.expovariate(1 / 90_000)) + 2_000
            act.place = other if act.chance.random() < 0.5 else {}
            yield from looks(desk, act, at_ms, 1, 5)


def _second_machine(desk: Desk, act: Act) -> Event:
    if act.benign:
        here = seat(desk, act.actor, act.day)
        return {
            **placed(here, desk.company),
            "device_id": act.actor.second_device,
            "user_agent": act.actor.second_agent,
        }
    site, host = act.actor.site, act.chance.randint(2, 250)
    address = f"{site.prefix}.{act.chance.randrange(12)}.{host}"
    if act.chance.random() > act.caution.own_place:
        return elsewhere(desk, act)
    where = Seat(address, "", "", f"d-{act.chance.randint(1000, 9000)}", act.chance.choice(places.BROWSERS))
    return placed(where, desk.company) | {"session_id": f"s-{act.chance.getrandbits(32):08x}"}


def _owns_two_machines(desk: Desk, act: Act, start: date) -> None:
    if act.benign and not act.actor.second_device:
        act.actor.second_device = f"m-{1000 + act.actor.number}"
        act.actor.second_agent = act.chance.choice(places.PHONES)


def impossible_travel(desk: Desk, act: Act) -> Steps:
    """Works in the office and, minutes later, from another continent: somebody else has the password.

    The twin's later accesses leave through the company's own tunnel, whose exit stands abroad and is on the list.
    """
    at_ms = act.moment_ms(desk, spare_h=4)
    yield from looks(desk, act, at_ms, 3, 60)
    if act.benign:
        act.place = {**placed(seat(desk, act.actor, act.day), desk.company), "src_ip": f"203.119.8.{2 + at_ms % 200}"}
        if desk.company.network.sends_country:
            act.place |= {"src_country": "SG", "src_city": "Singapore"}
    else:
        act.place = elsewhere(desk, act, places.ABROAD + places.RENTED_SERVERS[:3])
        if act.chance.random() < act.caution.own_place:
            act.place["user_agent"] = act.actor.user_agent  # a stolen session: nothing but the address differs
            del act.place["session_id"]
    at_ms += act.chance.randrange(900_000, 5_400_000)
    yield from looks(desk, act, at_ms, act.many(45, 4), 45)


def new_geo(desk: Desk, act: Act) -> Steps:
    """Stolen credentials used from abroad, at any hour; the twin is on a journey that lasts days."""
    if not act.benign:
        act.place = elsewhere(desk, act, places.ABROAD + places.RENTED_SERVERS[:4])
        at_ms = act.clock_ms(0, 23)
        if act.chance.random() < 0.7:
            yield at_ms, login(desk, act.actor, at_ms, **act.place)
        yield from looks(desk, act, at_ms, act.many(90, 6), 35)
        return
    for step in range(3):
        yield from looks(desk, act, act.moment_ms(desk, step), act.many(40, 3), 35)


def _travels(desk: Desk, act: Act, start: date) -> None:
    if act.benign:
        place = act.chance.choice(places.ABROAD)
        journey = Journey(f"{place.prefix}.{act.chance.randrange(250)}", place.country, place.city)
        for step in range(-1, 4):
            act.actor.away[act.on(step)] = journey


def dormant_account(desk: Desk, act: Act) -> Steps:
    """An account nobody used for weeks wakes up and looks around; the twin comes back from a long leave."""
    act.settle(desk)
    if not act.benign and act.strength == "strong":
        act.place = elsewhere(desk, act)
    at_ms = act.moment_ms(desk)
    yield at_ms, login(desk, act.actor, at_ms, **act.place)
    yield from looks(desk, act, at_ms, act.many(70, 6), 40)


def _sleeps(desk: Desk, act: Act, start: date) -> None:
    away = max(7, (act.day - start).days - act.chance.randint(0, 3))
    last = act.day + timedelta(days=-1 if act.benign else 60)
    act.actor.absent.append((act.day - timedelta(days=away), last))
    if act.benign:
        act.actor.status = "on_leave"


def access_after_leaving(desk: Desk, act: Act) -> Steps:
    """The last day is over, the account still works.

    The twin's contract was prolonged with a ticket before the directory knew.
    """
    if not act.benign:
        act.place = elsewhere(desk, act) if act.chance.random() > act.caution.own_place - 0.4 else {}
    for step in days_of(act, 2, 1):
        at_ms = act.clock_ms(9, 17, step) if act.benign else act.clock_ms(7, 23, step)
        yield at_ms, login(desk, act.actor, at_ms, **act.place)
        yield from looks(desk, act, at_ms, act.many(60, 3), 40)


def _has_left(desk: Desk, act: Act, start: date) -> None:
    act.actor.leaves_on = act.day - timedelta(days=act.chance.randint(1, 12))
    if act.chance.random() < 0.5 and not act.benign:
        act.actor.status = "left"


def key_in_many_places(desk: Desk, act: Act) -> Steps:
    """One service's or partner's key leaked: used from many addresses at once.

    The twin moved into a cloud cluster whose address range was registered with an approved change.
    """
    count = act.many(24, 4)
    wheres = [elsewhere(desk, act, places.RENTED_SERVERS) for _ in range(count)]
    if act.benign:
        wheres = [{"src_ip": f"10.90.240.{10 + number}", "device_id": None} for number in range(count)]
    agents = [act.actor.user_agent, act.chance.choice(places.HAND_TOOLS), act.chance.choice(places.CLIENTS)]
    at_ms = act.clock_ms(0, 18)
    for _ in range(act.many(420, 40)):
        at_ms += int(act.chance.expovariate(1 / 40_000)) + 200
        same = act.benign or act.chance.random() < act.caution.own_place
        agent = agents[0] if same else act.chance.choice(agents)
        act.place = act.chance.choice(wheres) | {"user_agent": agent}
        customer = desk.customer(act.actor)
        more = desk.about(customer) | act.place | ({"approval_ref": "A-standing"} if act.benign else {})
        yield at_ms, access(desk, act.actor, at_ms, "read", desk.company.kinds["profile"], **more)


def service_misuse(desk: Desk, act: Act) -> Steps:
    """A person uses a service's key from their own machine, with their own tools, in their own hours.

    The twin is the service on a newly assigned host of the same network, under an approved change.
    """
    site = act.chance.choice(desk.company.sites)
    if act.benign:
        act.place = {"src_ip": f"10.90.250.{act.chance.randint(2, 250)}"} | desk.approval(act.midnight_ms())
        act.place |= desk.ticket(act.actor, None, act.midnight_ms(), "change", 48)
    else:
        act.place = {"src_ip": f"{site.prefix}.{act.chance.randrange(12)}.{act.chance.randint(2, 250)}"}
        if act.chance.random() > act.caution.own_place - 0.35:
            act.place["user_agent"] = act.chance.choice(places.HAND_TOOLS)
        if act.chance.random() > act.caution.own_hours:
            act.place["channel"] = act.chance.choice(("sql", "ui"))
    at_ms = act.clock_ms(9, 17)
    for _ in range(act.many(130, 12)):
        at_ms += int(act.chance.lognormvariate(2.8, 0.9) * 1000) + 400
        more = desk.about(desk.customer(act.actor)) | act.place
        yield at_ms, access(desk, act.actor, at_ms, "read", desk.company.kinds["profile"], **more)


SCENARIOS = (
    Scenario("credential_sharing", credential_sharing, span=4, prepare=_owns_two_machines),
    Scenario("impossible_travel", impossible_travel),
    Scenario("new_geo", new_geo, span=3, prepare=_travels),
    Scenario("dormant_account", dormant_account, prepare=_sleeps, alone=True),
    Scenario("access_after_leaving", access_after_leaving, span=2, prepare=_has_left, alone=True),
    Scenario("key_in_many_places", key_in_many_places, "service,partner", "service"),
    Scenario("service_misuse", service_misuse, "service"),
)
