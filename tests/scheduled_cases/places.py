"""Cases of credential_many_places and distributed_scraping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.scheduled_rows import Case, EventFields, at, event, look, ordinary, token

K = token("key").hex()
P1 = token("p1").hex()
_BASE = ordinary(range(6), actors=4)


def _turns(
    count: int, fields: Sequence[EventFields], *, day: int = 5, hour: float = 10, **more: Any
) -> list[EventFields]:
    """`count` accesses a minute apart, in turn with each of `fields`."""
    return [
        event("p1", at(day, hour, 60 * n), **{"subjects": (f"t{n}",), **more, **fields[n % len(fields)]})
        for n in range(count)
    ]


_TWO_DEVICES = ({"device": "d1"}, {"device": "d2", "src_ip": "10.20.9.9"})
_THREE = ({"device": "d1"}, {"device": "d2"}, {"device": "d3"})
_ABROAD = ({"src_country": "CN"}, {"src_country": "NL", "src_ip": "91.203.5.18", "network_kind": "unlisted"})
_CLOUD = tuple({"src_ip": f"47.90.{n}.5", "network_kind": "unlisted"} for n in range(6))
_USED = [
    one for day in range(5) for hour in range(9, 17) for one in _turns(2, ({},), day=day, hour=hour, credential="key")
]

MANY_PLACES: Sequence[Case] = (
    Case("true", "one session on two devices in turn", [*_BASE, *_turns(12, _TWO_DEVICES, session="s")], (P1,)),
    Case("true", "one key in two countries", [*_USED, *_turns(8, _ABROAD, credential="key", actor_type="partner")], (K,)),
    Case("true", "one key from six networks", [*_USED, *_turns(18, _CLOUD, credential="key")], (K,)),
    Case("true", "one badge on three devices", [*_USED, *_turns(12, _THREE, credential="key")], (K,)),
    Case("false", "one device", [*_BASE, *_turns(12, ({"device": "d1"},), session="s")]),
    Case("false", "two sessions, a device each", [*_BASE, *_turns(12, tuple(
         {**place, "session": f"s{n}"} for n, place in enumerate(_TWO_DEVICES)))]),
    Case("false", "refused", [*_BASE, *_turns(12, _TWO_DEVICES, session="s", outcome="denied")]),
    Case("look_alike", "from office to home, once", [*_BASE,
         *_turns(6, ({"device": "d1"},), session="s"),
         *_turns(6, ({"device": "d1", "src_ip": "112.4.5.6"},), hour=10.2, session="s")]),
    Case("look_alike", "a VPN whose egress changes", [*_USED, *_turns(12, (
         {"src_ip": "58.30.1.1"}, {"src_ip": "58.30.2.1"}), credential="key", device="d1")]),
    Case("look_alike", "a service that always runs on six networks", [
         one for day in range(6) for hour in range(9, 17)
         for one in _turns(12, _CLOUD, day=day, hour=hour, credential="key", actor_type="service")], (), last_day=None),
    Case("look_alike", "a new phone beside the laptop", [*_USED, *_turns(12, _TWO_DEVICES, credential="key")]),
)  # fmt: skip

_ROUTE = "/orders/{id}"
_OUT = {"network_kind": "unlisted", "user_agent": "python"}


def _hours(days: range, *, actors: int = 8, count: int = 2, offset: int = 0, **more: Any) -> list[EventFields]:
    """Ordinary use of a route: every hour of the working day."""
    return [
        look(f"u{actor}", f"o{offset}{day}{hour}{actor}{n}", at(day, hour, 30 * n + actor),
             endpoint=_ROUTE, **more)
        for day in days for hour in range(9, 17) for actor in range(actors) for n in range(count)
    ]  # fmt: skip


def _swarm(accounts: int, each: int, *, day: int = 6, hour: float = 3, **more: Any) -> list[EventFields]:
    return [
        look(f"z{actor}", f"v{actor * each + n}", at(day, hour, 20 * n + actor),
             **{"endpoint": _ROUTE, "src_ip": f"77.{actor}.3.4", "actor_type": "partner", **_OUT, **more})
        for actor in range(accounts) for n in range(each)
    ]  # fmt: skip


_KNOWN = _hours(range(6))
_KNOWN_LONG = _hours(range(12))

SCRAPING: Sequence[Case] = (
    Case("true", "twenty new accounts, ten customers each", [*_KNOWN, *_swarm(20, 10)], (_ROUTE,)),
    Case("true", "known accounts from thirty new networks", [*_KNOWN, *[
         {**one, "actor": f"u{n % 8}", "src_ip": f"81.{n % 30}.1.1"} for n, one in enumerate(_swarm(20, 10))]], (_ROUTE,)),
    Case("true", "two loud days before do not hide it", [*_KNOWN_LONG, *_swarm(20, 40, day=9), *_swarm(20, 40, day=10),
         *[{**one, "actor": f"new{one['actor']}", "src_ip": f"66.{n % 30}.1.1"}
           for n, one in enumerate(_swarm(20, 10, day=12))]], (_ROUTE,)),
    Case("true", "customers' accounts that read others", [*_KNOWN, *_swarm(20, 10, actor_type="customer")], (_ROUTE,)),
    Case("true", "known accounts, all alike, never twice", [*_KNOWN, *_hours(range(6, 7), count=25, offset=90_000,
         user_agent="python")], (_ROUTE,)),
    Case("false", "ordinary use", _hours(range(7))),
    Case("false", "one account does it all", [*_KNOWN, *_swarm(1, 100)]),
    Case("false", "with work items", [*_KNOWN, *_swarm(20, 10, explained="explained")]),
    Case("false", "an unknown route", [*_KNOWN, *_swarm(20, 10, endpoint="/new/{id}")]),
    Case("look_alike", "everybody has a new browser version", [*_KNOWN, *_hours(range(6, 7), user_agent="next")]),
    Case("look_alike", "the office moved", [*_KNOWN, *[{**one, "src_ip": "10.77.1.1", "network_kind": "unlisted"}
         for one in _hours(range(6, 7))]]),
    Case("look_alike", "a campaign day of the usual people", [*_KNOWN, *[{**one, "user_agent": f"b{one['actor']}"}
         for one in _hours(range(6, 7), count=12, offset=90_000)]]),
    Case("look_alike", "a portal's customers read themselves", [*_KNOWN, *_swarm(200, 1, actor_type="customer")]),
)  # fmt: skip

CASES: Mapping[str, Sequence[Case]] = {"credential_many_places": MANY_PLACES, "distributed_scraping": SCRAPING}
