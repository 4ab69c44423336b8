"""Cases of unexplained_access, subject_looked_at_by_many and profile_assembly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.scheduled_rows import Case, EventFields, at, event, item, look, looks, ordinary, token

P1 = token("p1").hex()
STAR = token("star").hex()
LAST = 12
_DAY_BEFORE_US = 23 * 3_600_000_000


def _crowd(count: int, subject: str = "star", **more: Any) -> list[EventFields]:
    return [look(f"q{n}", subject, at(LAST, 9, 60 * n), **more) for n in range(count)]


def _ward(staff: int) -> list[EventFields]:
    """Every day before the last, all of a ward's staff open another patient's record, and no ticket says why."""
    return [look(f"q{n}", f"patient{day}", at(day, 8, n)) for day in range(LAST) for n in range(staff)]


def _assembly(actor: str, count: int, *, day: int = LAST, minutes: float = 2, **more: Any) -> list[EventFields]:
    """Three kinds of resource about each of `count` customers."""
    kinds = (("customer_profile", ("mobile",)), ("payment", ("bank_card",)), ("device", ("location",)))
    return [
        look(actor, f"a{day}-{n}", at(day, 9 + n // 5, 600 * (n % 5) + 60 * minutes * step), resource_type=kind,
             data_categories=categories, **more)
        for n in range(count)
        for step, (kind, categories) in enumerate(kinds)
    ]  # fmt: skip


def _streak(count: int, days: int, last: int = 20, actor: str = "p1", **more: Any) -> list[EventFields]:
    """So many customers on each of `days` days, the last one included."""
    return [one for day in range(last - days + 1, last + 1)
            for one in looks(actor, day, count, first=9000 + 100 * day, **more)]  # fmt: skip


LATE = 20
_HISTORY = ordinary(range(LATE + 1))
_BASE = ordinary(range(LAST + 1))
_STREET = looks("p1", LAST, 40, first=9000)
_TICKETS = [item(f"t{n}", "p1", f"c{9000 + n}", at(LAST, 10, 30 * n) + _DAY_BEFORE_US) for n in range(40)]

UNEXPLAINED: Sequence[Case] = (
    Case("true", "forty customers without a ticket", [*_BASE, *_STREET], (P1,)),
    Case("true", "tickets of somebody else explain nothing", [*_BASE, *_STREET], (P1,),
         [item(f"t{n}", "p2", f"c{9000 + n}", at(LAST, 9)) for n in range(40)]),
    Case("true", "a case number that nobody opened", [*_BASE, *looks("p1", LAST, 40, first=9000, case="invented",
         explained="claimed")], (P1,)),
    Case("true", "tickets opened three days before and closed", [*_BASE, *_STREET], (P1,),
         [item(f"t{n}", "p1", f"c{9000 + n}", at(LAST - 3), at(LAST - 3, 12)) for n in range(40)]),
    Case("false", "everyday work", _BASE),
    Case("false", "explained by the stream", [*_BASE, *looks("p1", LAST, 40, first=9000, explained="explained")]),
    Case("false", "a service", [*_BASE, *looks("p1", LAST, 40, first=9000, actor_type="service")]),
    Case("false", "too little history to know what is usual", [*ordinary(range(2)), *looks("p1", 2, 40, first=9000)]),
    Case("look_alike", "tickets opened 23 hours after the look", [*_BASE, *_STREET], (), _TICKETS),
    Case("look_alike", "one bulk case covers all", [*_BASE, *looks("p1", LAST, 40, first=9000, case="bulk",
         explained="claimed")], (), [item("bulk", "p1", "", at(LAST, 8))]),
    Case("look_alike", "a department that never writes tickets",
         [*_BASE, *ordinary(range(LAST + 1), actors=6, count=30, actor_dept="sales", tenant_id="default")]),
    Case("look_alike", "the ticket system is down for everybody",
         [*_BASE, *[one for n in range(6) for one in looks(f"p{n}", LAST, 40 - n, first=9000 + 100 * n)]]),
    Case("look_alike", "approved in writing, without a ticket",
         [*_BASE, *looks("p1", LAST, 40, first=9000, approval="a1", explained="claimed")]),
)  # fmt: skip

STREAK: Sequence[Case] = (
    Case("true", "fifteen a day for four days", [*_HISTORY, *_streak(15, 4)], (P1,)),
    Case("true", "three days of four", [*_HISTORY, *_streak(15, 1, LATE - 3), *_streak(15, 2)], (P1,)),
    Case("true", "with cases that nobody opened",
         [*_HISTORY, *_streak(15, 4, case="invented", explained="claimed")], (P1,)),
    Case("true", "an agent program", [*_HISTORY, *_streak(15, 4, actor_type="ai_agent")], (P1,)),
    Case("false", "everyday work", _HISTORY),
    Case("false", "one busy day", [*_HISTORY, *_streak(40, 1)]),
    Case("false", "explained by the stream", [*_HISTORY, *_streak(15, 4, explained="explained")]),
    Case("false", "a service", [*_HISTORY, *_streak(15, 4, actor_type="service")]),
    Case("false", "too little history of this account", [*_HISTORY, *_streak(15, 4, actor="new")]),
    Case("look_alike", "tickets opened hours later", [*_HISTORY, *_streak(15, 4)], (),
         [item(f"t{day}-{n}", "p1", f"c{9000 + 100 * day + n}", at(day, 20)) for day in range(LATE - 3, LATE + 1)
          for n in range(15)]),
    Case("look_alike", "the ticket system is down for days",
         [*_HISTORY, *[one for n in range(6) for one in _streak(15, 4, actor=f"p{n}")]]),
    Case("look_alike", "an account that always does",
         [*_HISTORY, *_streak(15, LATE + 1)]),
)  # fmt: skip

BY_MANY: Sequence[Case] = (
    Case("true", "five at a celebrity", [*_BASE, *_crowd(5, subject_flags=("vip",))], (STAR,)),
    Case("true", "eight at an ordinary customer", [*_BASE, *_crowd(8)], (STAR,)),
    Case("true", "partners and administrators too",
         [*_BASE, *_crowd(4), *[look(f"x{n}", "star", at(LAST, 11, n), actor_type="partner") for n in range(3)]], (STAR,)),
    Case("true", "far more than a ward's patients ever see", [*_BASE, *_ward(9), *_crowd(15)], (STAR,)),
    Case("true", "a celebrity on a ward", [*_BASE, *_ward(9), *_crowd(10, subject_flags=("vip",))], (STAR,)),
    Case("true", "a crowd of some days ago hides none",
         [*_BASE, *[look(f"q{n}", "other", at(LAST - 3, 9, n)) for n in range(12)], *_crowd(8)],
         (STAR, token("other").hex())),
    Case("false", "three at a celebrity", [*_BASE, *_crowd(3, subject_flags=("vip",))]),
    Case("false", "five at an ordinary customer", [*_BASE, *_crowd(5)]),
    Case("false", "one account, eight times", [*_BASE, *[look("q", "star", at(LAST, 9, n)) for n in range(8)]]),
    Case("false", "refused", [*_BASE, *_crowd(9, outcome="denied")]),
    Case("look_alike", "a complaint with a case", [*_BASE, *_crowd(9, case="k", explained="claimed")]),
    Case("look_alike", "always popular", [*_BASE, *_crowd(8),
         *[look(f"q{n}", "star", at(day, 9, n)) for day in range(LAST) for n in range(7)]]),
    Case("look_alike", "a ward that shares its patients", [*_BASE, *_ward(9), *_crowd(13)]),
    Case("look_alike", "a celebrity looked at as any patient of a ward",
         [*_BASE, *_ward(9), *_crowd(9, subject_flags=("vip",))]),
    Case("look_alike", "colleagues help with an open case", [*_BASE, *_crowd(8),
         *[look(f"h{n}", "star", at(LAST, 15, n), explained="explained") for n in range(8)]]),
    Case("look_alike", "exports that list everybody", [*_BASE, *[
         event(f"q{n}", at(LAST, 9, n), action="export", subjects=("star", *(f"s{k}" for k in range(150))))
         for n in range(9)]]),
)  # fmt: skip

ASSEMBLY: Sequence[Case] = (
    Case("true", "eight customers put together", [*_BASE, *_assembly("p1", 8)], (P1,)),
    Case("true", "unmasked on the way", [*_BASE, *_assembly("p1", 6, action="unmask")], (P1,)),
    Case("true", "an agent program", [*_BASE, *_assembly("p1", 8, actor_type="ai_agent")], (P1,)),
    Case("false", "three customers", [*_BASE, *_assembly("p1", 3)]),
    Case("false", "with work items", [*_BASE, *_assembly("p1", 8, explained="explained")]),
    Case("false", "two kinds only", [*_BASE, *[one for one in _assembly("p1", 8) if one["resource_type"] != "device"]]),
    Case("look_alike", "one page with four kinds of data", [*_BASE, *looks("p1", LAST, 20, first=9000,
         data_categories=("mobile", "bank_card", "location", "health"))]),
    Case("look_alike", "requests of data subjects, under cases",
         [*_BASE, *_assembly("p1", 12, case="dsar", explained="claimed")]),
    Case("look_alike", "a fraud analyst who always does",
         [*_BASE, *[one for day in range(3, LAST + 1) for one in _assembly("p1", 8, day=day)]][:-1], ()),
    Case("look_alike", "the same customers again hours later", [*_BASE, *_assembly("p1", 8, minutes=65)]),
)  # fmt: skip

CASES: Mapping[str, Sequence[Case]] = {
    "unexplained_access": UNEXPLAINED, "subject_looked_at_by_many": BY_MANY, "profile_assembly": ASSEMBLY,
    "unexplained_streak": STREAK,
}  # fmt: skip
