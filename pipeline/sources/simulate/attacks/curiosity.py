"""Stories about whose data it is: the famous, colleagues, family, oneself, minors, everybody at once."""

from __future__ import annotations

from pipeline.sources.simulate.attacks.story import Act, Scenario, days_of, looks, spread
from pipeline.sources.simulate.desk import Desk, access
from pipeline.sources.simulate.jobs import search
from pipeline.sources.simulate.life import Event, Steps
from pipeline.sources.simulate.machines import personal
from pipeline.sources.simulate.places import HOUR_MS


def snooping(desk: Desk, act: Act) -> Steps:
    """Looks up one famous customer again and again without a reason; the twin handles that customer's complaint."""
    target = act.chance.choice(desk.famous)
    for step in days_of(act, {"weak": 3, "medium": 4, "strong": 6}[act.strength]):
        yield from looks(desk, act, act.moment_ms(desk, step), act.many(9, 1), 90, target=target)


def vip_crowd(desk: Desk, act: Act) -> Steps:
    """A customer is in the news and many colleagues peek, each once or twice.

    The twin: the same customer has a matter that many hands work on, each under a work item.
    """
    target = act.chance.choice(desk.famous)
    crowd = (act.actor, *act.crew)
    for person in crowd[: max(3, int(len(crowd) * act.caution.volume))]:
        for at_ms in spread(act, act.midnight_ms() + 9 * HOUR_MS, 9 * HOUR_MS, act.chance.choice((1, 1, 2, 3))):
            fields = desk.about(target)
            if act.benign:
                fields |= desk.ticket(person, target, at_ms, "complaint", 24)
            elif act.chance.random() < act.caution.borrowed:
                fields |= {"case_ref": desk.reference()}
            kind = personal(person.department)[0]
            if act.chance.random() < 0.6:
                case = {"case_ref": fields["case_ref"]} if "case_ref" in fields else {}
                yield at_ms - 9_000, search(desk, person, at_ms - 9_000, 1, **case)
            yield at_ms, access(desk, person, at_ms, "read", kind, **fields)


def colleague_snooping(desk: Desk, act: Act) -> Steps:
    """Reads about a colleague, or somebody at home, several times over weeks; the twin has that person's case."""
    family = act.actor.family
    colleagues = [one.customer for one in desk.company.people if one.customer >= 0 and one is not act.actor]
    target = act.chance.choice(
        family if family and act.chance.random() < 0.5 else colleagues or [desk.customer(act.actor)]
    )
    for step in days_of(act, {"weak": 2, "medium": 5, "strong": 10}[act.strength]):
        yield from looks(desk, act, act.moment_ms(desk, step), act.many(7, 1), 60, target=target)


def own_record(desk: Desk, act: Act) -> Steps:
    """Opens and changes the own customer record or that of the own family: a discount, a score, a limit.

    The twin is asked to by the team, as a test of a change on the own account, with a ticket.
    """
    target = act.actor.customer if act.actor.customer >= 0 else desk.customer(act.actor)
    at_ms = act.moment_ms(desk)
    yield from looks(desk, act, at_ms, act.many(6, 1), 60, target=target)
    for _ in range(act.many(4, 1)):
        at_ms += act.chance.randrange(60_000, 900_000)
        fields = desk.about(target) | act.reason(desk, target, at_ms, "change", real=False)
        yield at_ms, access(desk, act.actor, at_ms, "update", personal(act.actor.department)[0], **fields)


def profile_assembly(desk: Desk, act: Act) -> Steps:
    """Puts whole persons together for a buyer: identity, phone, payment, address and place of the same few people.

    The twin is the privacy office or the fraud team, which does just this for a living and for a case.
    """
    act.settle(desk)
    at_ms, kinds = act.moment_ms(desk), desk.company.kinds
    for _ in range(act.many(22, 2)):
        target = desk.customer(act.actor)
        reason = act.reason(desk, target, at_ms, "subject_request") | act.place
        if act.benign:
            reason |= desk.approval(at_ms)
        for slot in ("profile", "contact", "payment", "special", "order"):
            at_ms += int(act.chance.expovariate(1 / 25_000)) + 2_000
            action = "unmask" if slot in ("profile", "payment") and act.chance.random() < 0.6 else "read"
            more: Event = {"fields_unmasked": ["id_number", "mobile"]} if action == "unmask" else {}
            yield at_ms, access(desk, act.actor, at_ms, action, kinds[slot], **desk.about(target), **reason, **more)
        at_ms += act.chance.randrange(30_000, 400_000)


def minors_without_approval(desk: Desk, act: Act) -> Steps:
    """Reads the most sensitive records of minors without the approval that they need; the twin has it."""
    minors = sorted(desk.company.minors)
    at_ms, kinds = act.moment_ms(desk), desk.company.kinds
    for _ in range(act.many(40, 2)):
        at_ms += int(act.chance.lognormvariate(3.8, 0.8) * 1000)
        target = act.chance.choice(minors)
        fields = desk.about(target) | act.reason(desk, target, at_ms)
        if act.benign:
            fields |= desk.approval(at_ms)
        kind = kinds["special"] if act.chance.random() < 0.7 else kinds["payment"]
        yield at_ms, access(desk, act.actor, at_ms, "read", kind, **fields)


def purpose_drift(desk: Desk, act: Act) -> Steps:
    """Uses records for another purpose than they were given for: support data for selling, risk data for marketing.

    The twin lends a hand in another department for a day, under that department's work items and purpose.
    """
    kinds, chance = desk.company.kinds, act.chance
    others = [one for one in desk.company.departments if one.purpose != act.actor.department.purpose]
    purpose = chance.choice(others).purpose if act.benign else chance.choice(("marketing", "sales", "profiling"))
    basis = "contract" if act.benign else "consent"
    at_ms = act.moment_ms(desk, spare_h=5)
    for _ in range(act.many(110, 8)):
        at_ms += int(chance.lognormvariate(3.6, 0.8) * 1000)
        target = desk.customer(act.actor)
        fields = desk.about(target) | act.reason(desk, target, at_ms)
        kind = (
            kinds["special"]
            if chance.random() < 0.4
            else kinds["payment"]
            if chance.random() < 0.5
            else kinds["profile"]
        )
        yield at_ms, access(desk, act.actor, at_ms, "read", kind, purpose=purpose, legal_basis=basis, **fields)


def search_fishing(desk: Desk, act: Act) -> Steps:
    """Types in phone numbers and names from a list to see who is a customer; most give nothing or one.

    The twin matches a returned mailing or a sanctions list, one work item for the whole list.
    """
    act.settle(desk)
    at_ms = act.moment_ms(desk)
    reason = act.mandate(desk, at_ms, "list_check")
    for _ in range(act.many(200, 20)):
        at_ms += int(act.chance.lognormvariate(2.5, 0.7) * 1000)
        hits = act.chance.choice((0, 0, 0, 1, 1, 2))
        key = act.chance.choice(("mobile", "id_number", "name"))
        yield at_ms, search(desk, act.actor, at_ms, hits, attrs={"search_key": key}, **reason, **act.place)
        if hits == 1 and act.chance.random() < 0.3:
            yield from looks(desk, act, at_ms + 2_000, 1, 5)


def record_tampering(desk: Desk, act: Act) -> Steps:
    """Changes customers' records to hide something: deletes complaints, swaps phone numbers, moves addresses.

    The twin corrects a wrong import, record by record, under an approved correction job.
    """
    act.settle(desk)
    at_ms, kinds = act.moment_ms(desk), desk.company.kinds
    targets = [desk.customer(act.actor) for _ in range(act.many(14, 1))]
    for target in targets:
        for _ in range(act.many(6, 1)):
            at_ms += int(act.chance.lognormvariate(3.6, 0.9) * 1000)
            action = "delete" if act.chance.random() < 0.35 else "update"
            fields = desk.about(target) | act.reason(desk, target, at_ms, "correction") | act.place
            if act.benign:
                fields |= desk.approval(at_ms)
            slot = act.chance.choice(("profile", "order", "contact"))
            if desk.company.habits.fields_in_event:
                fields["fields_accessed"] = [act.chance.choice(("mobile", "address", "bank_card", "complaint_note"))]
            yield at_ms, access(desk, act.actor, at_ms, action, kinds[slot], **fields)


_MOST_PEERS = 30
SCENARIOS = (
    Scenario("snooping", snooping, twin_pool="service,vip,sales,field", span=6),
    Scenario("vip_crowd", vip_crowd, crew=_MOST_PEERS),
    Scenario("colleague_snooping", colleague_snooping, span=10),
    Scenario("own_record", own_record, "customer_too"),
    Scenario("profile_assembly", profile_assembly, twin_pool="privacy,fraud"),
    Scenario("minors_without_approval", minors_without_approval),
    Scenario("purpose_drift", purpose_drift),
    Scenario("search_fishing", search_fishing),
    Scenario("record_tampering", record_tampering),
)
