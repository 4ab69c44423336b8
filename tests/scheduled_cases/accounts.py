"""Cases of slow_drip and grant_then_use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.scheduled_rows import Case, EventFields, at, event, looks, ordinary, token

P1, P2 = token("p1").hex(), token("p2").hex()
NEW = token("new").hex()
_BASE = ordinary(range(30))


def _drip(actor: str, days: range, count: int, **more: Any) -> list[EventFields]:
    return [one for day in days for one in looks(actor, day, count, hour=15, first=50_000 + 100 * day, **more)]


def _grant(giver: str, receiver: str, when: int) -> EventFields:
    return event(giver, when, action="grant", resource_type="account_role", resource=receiver, sensitivity=1)


def _payments(actor: str, day: int, count: int, **more: Any) -> list[EventFields]:
    return looks(actor, day, count, hour=11, first=70_000, **{"resource_type": "payment", "sensitivity": 4, **more})


DRIP: Sequence[Case] = (
    Case("true", "fifteen a day for two weeks", [*_BASE, *_drip("p1", range(15, 29), 15)], (P1,)),
    Case("true", "ten a day for three weeks", [*_BASE, *_drip("p1", range(8, 29), 10)], (P1,)),
    Case("true", "two people at once", [*_BASE, *_drip("p1", range(15, 29), 15), *_drip("p2", range(15, 29), 15)], (P1, P2)),
    Case("true", "in a department of one, against everybody",
         [*_BASE, *_drip("new", range(8, 29), 25, actor_dept="legal", actor_role="counsel")], (NEW,)),
    Case("false", "everyday work", _BASE),
    Case("false", "one more a day", [*_BASE, *_drip("p1", range(15, 29), 1)]),
    Case("false", "with work items", [*_BASE, *_drip("p1", range(15, 29), 15, explained="explained")]),
    Case("false", "a service", [*_BASE, *_drip("svc", range(0, 29), 40, actor_type="service")]),
    Case("look_alike", "the same fifteen customers every day",
         [*_BASE, *[one for day in range(15, 29) for one in looks("p1", day, 15, hour=15, first=50_000)]]),
    Case("look_alike", "a department that writes no tickets",
         [*_BASE, *ordinary(range(30), count=25, actor_dept="sales")]),
    Case("look_alike", "the busiest colleague, with twice the work", [*_BASE, *_drip("p1", range(30), 3)]),
    Case("look_alike", "three busy days", [*_BASE, *_drip("p1", range(20, 23), 90), *_drip("p1", range(25, 29), 3)]),
    Case("look_alike", "three people of whom none writes tickets",
         [*_BASE, *ordinary(range(30), actors=3, count=25, actor_dept="audit", actor_role="auditor")]),
    Case("look_alike", "two agents of a partner, who have no tickets",
         [*_BASE, *ordinary(range(30), actors=2, count=40, actor_type="partner", actor_dept="", actor_role="")]),
    Case("look_alike", "the first days of a new system", [*ordinary(range(10)), *_drip("p1", range(2, 10), 20)]),
)  # fmt: skip

GRANT: Sequence[Case] = (
    Case("true", "gives itself a right", [*_BASE, _grant("p1", "p1", at(29, 10)), *_payments("p1", 29, 1)], (P1,)),
    Case("true", "a right for payments, used at once",
         [*_BASE, _grant("boss", "p1", at(29, 10)), *_payments("p1", 29, 8)], (P1,)),
    Case("true", "a newcomer who reads forty",
         [*_BASE, _grant("boss", "new", at(29, 10)), *_payments("new", 29, 40)], (NEW,)),
    Case("true", "a right to another person does not hide one's own",
         [*_BASE, _grant("p1", "p2", at(29, 9)), _grant("p1", "p1", at(29, 10)), *_payments("p1", 29, 3)], (P1,)),
    Case("false", "a grant and no use", [*_BASE, _grant("boss", "p1", at(29, 10))]),
    Case("false", "a use and no grant", [*_BASE, *_payments("p1", 29, 8)]),
    Case("false", "used before it was given", [*_BASE, *_payments("p1", 29, 8), _grant("boss", "p1", at(29, 16))]),
    Case("false", "a refused grant",
         [*_BASE, {**_grant("p1", "p1", at(29, 10)), "outcome": "denied"}, *_payments("p1", 29, 8)]),
    Case("look_alike", "a change of role, with work items",
         [*_BASE, _grant("boss", "p1", at(29, 10)), *_payments("p1", 29, 8, explained="explained")]),
    Case("look_alike", "the first days of a new system, where everybody is new",
         [*ordinary(range(25, 30)), _grant("boss", "new", at(29, 10)), *_payments("new", 29, 40)]),
    Case("true", "in the first days, to oneself", [*ordinary(range(28, 30)), _grant("p1", "p1", at(29, 10)),
         *_payments("p1", 29, 1)], (P1,)),
    Case("look_alike", "a newcomer's first ten customers",
         [*_BASE, _grant("boss", "new", at(29, 10)), *_payments("new", 29, 10)]),
    Case("look_alike", "a right renewed for known work",
         [*_BASE, *[one for day in range(20, 29) for one in _payments("p1", day, 8)],
          _grant("boss", "p1", at(29, 10)), *_payments("p1", 29, 8)]),
    Case("look_alike", "twelve hours later", [*_BASE, _grant("boss", "p1", at(28, 22)), *_payments("p1", 29, 8)]),
)  # fmt: skip

CASES: Mapping[str, Sequence[Case]] = {"slow_drip": DRIP, "grant_then_use": GRANT}
