"""Events by the million, cheaply: what people of a simulated company do, from templates instead of simulated days.

A case is one person at one customer: a search, one to three looks, sometimes an unmask, an update, or a list of many
customers. Shares are set so that an event touches about 1.3 data subjects; customers follow a Zipf-like law; ids,
sessions, devices, addresses, tickets and times have the variety of real ones, because that is what compresses badly.
The same seed gives the same events, day by day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detectors.model import save
from detectors.policy import HIGHEST_THRESHOLD
from pipeline.adapters.directory import read_directory
from pipeline.offline import EventFile, train_model
from pipeline.partitioning import partition_of
from pipeline.privacy.keys import Keyring
from pipeline.sources.simulate import draw_company, write_directory
from pipeline.sources.simulate.company import RESOURCES, Actor, Company, hash_of
from pipeline.sources.simulate.desk import day_start_ms

SUBJECTS = 50_000
DAY_MS = 24 * 3_600_000
_SEARCH, _UNMASK, _UPDATE, _LIST, _LOOK = 0, 4, 5, 6, 1
_CASE_SHARES = (0.45, 1.0, 0.5, 0.25, 0.15, 0.3, 0.1)
"""How often a case holds: a search, a first, second and third look, an unmask, an update, a list of customers."""
_LIST_SUBJECTS = (4, 25)
_DRAWN_ACTORS = 2_000
"""A company is drawn of at most so many; more actors are copies of these under other names."""


@dataclass(slots=True)
class Day:
    """One day's events in the order of receipt: `actors[i]` sent `lines[i]`, received at `received_ms[i]`."""

    actors: npt.NDArray[np.int64]
    received_ms: npt.NDArray[np.int64]
    lines: list[bytes]


class Workload:
    """A company of `actors` accounts and what they do; endless, one day after the other."""

    def __init__(self, actors: int, events_a_day: int, *, seed: int = 1, start: date = date(2026, 3, 2)) -> None:
        self.company = company(actors)
        self.actors = self.company.actors
        self.keys = [actor.actor_id.encode() for actor in self.actors]
        self._start, self._seed, self.events_a_day = start, seed, events_a_day
        self._heads = [_head(actor) for actor in self.actors]
        self._human = np.array([actor.human for actor in self.actors])
        pace = np.array([actor.pace for actor in self.actors])
        self._pace = np.cumsum(pace / pace.sum())
        popularity = 1.0 / (np.arange(SUBJECTS) + 30.0) ** 0.7
        self._popularity = np.cumsum(popularity / popularity.sum())
        instances = sorted({_instance(actor) for actor in self.actors})
        self._instance = np.array([instances.index(_instance(actor)) for actor in self.actors])
        self._sequence = np.zeros(len(instances), np.int64)
        self._ticket = 0

    def partitions(self, count: int) -> npt.NDArray[np.int64]:
        """The partition of each actor."""
        return np.array([partition_of(key, count) for key in self.keys])

    def days(self) -> Iterator[Day]:
        """Day after day; every run gives the same."""
        number = 0
        while True:
            yield self.day(self._start + timedelta(days=number), np.random.default_rng((self._seed, number)))
            number += 1

    def day(self, day: date, chance: np.random.Generator) -> Day:
        """All events of one day."""
        cases = int(self.events_a_day / 2.55)
        actor = np.searchsorted(self._pace, chance.random(cases))
        parts = chance.random((cases, len(_CASE_SHARES))) < np.array(_CASE_SHARES)
        parts[~self._human[actor]] = (False, True, False, False, False, False, False)
        case, slot = np.nonzero(parts)
        begin = (chance.triangular(7, 13, 23, cases) * 3_600_000).astype(np.int64)
        gap = (chance.exponential(40_000, len(case)) + 1500).astype(np.int64)
        time_ms = day_start_ms(day) + begin[case] + np.cumsum(gap) - np.cumsum(gap)[np.searchsorted(case, case)]
        order = np.argsort(time_ms, kind="stable")
        case, slot, time_ms = case[order], slot[order], time_ms[order]
        tickets = np.where(chance.random(cases) < 0.6, self._ticket + np.arange(cases), -1)
        self._ticket += cases
        subject = np.searchsorted(self._popularity, chance.random(cases))
        lines = self._lines(day, chance, actor[case], slot, time_ms, tickets[case], subject[case])
        received_ms = np.maximum.accumulate(time_ms + 100 + chance.integers(0, 100, len(case)))
        return Day(actor[case], received_ms, lines)

    def _numbers(self, actor: npt.NDArray[np.int64]) -> list[int]:
        """Each source instance's own running number."""
        instance = self._instance[actor]
        order = np.argsort(instance, kind="stable")
        sizes = np.bincount(instance, minlength=len(self._sequence))
        rank = np.empty(len(actor), np.int64)
        rank[order] = np.arange(len(actor)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        numbers = rank + self._sequence[instance] + 1
        self._sequence += sizes
        return [int(number) for number in numbers]

    def _lines(
        self, day: date, chance: np.random.Generator, actor: npt.NDArray[np.int64], slot: npt.NDArray[np.int64],
        time_ms: npt.NDArray[np.int64], tickets: npt.NDArray[np.int64], subject: npt.NDArray[np.int64],
    ) -> list[bytes]:  # fmt: skip
        count = len(actor)
        listed = iter(np.searchsorted(self._popularity, chance.random(count * 4)).tolist())
        sizes = chance.integers(*_LIST_SUBJECTS, count).tolist()
        amounts = (600 + chance.integers(0, 3000, count)).tolist()
        random_bits = chance.integers(0, 1 << 62, (count, 2)).tolist()
        places, numbers = self._places(day), self._numbers(actor)
        times = np.datetime_as_string((time_ms + 8 * 3_600_000).astype("datetime64[ms]")).tolist()
        lines: list[bytes] = []
        for row, (who, what, at, ticket, whom) in enumerate(
            zip(actor.tolist(), slot.tolist(), time_ms.tolist(), tickets.tolist(), subject.tolist(), strict=True)
        ):
            bits, tail = random_bits[row]
            event = f"{at >> 16:08x}-{at & 0xFFFF:04x}-7{bits & 0xFFF:03x}-{0x8000 | bits >> 48:04x}-"
            event += f"{tail & (1 << 48) - 1:012x}"
            subjects = [next(listed) for _ in range(sizes[row])] if what == _LIST else [whom] if what != _SEARCH else []
            lines.append(
                f'{self._heads[who][what]}"event_id":"{event}","event_time":"{times[row]}+08:00",{places[who]}'
                f'"source_seq":{numbers[row]},"bytes_out":{amounts[row]},{_touched(subjects, ticket)}}}'.encode()
            )
        return lines

    def _places(self, day: date) -> list[str]:
        """Address and session of every actor on this day: at home now and then, at the same desk for nine days."""
        number, places = day.toordinal(), []
        for actor in self.actors:
            if not actor.human:
                places.append(f'"src_ip":"{actor.home_prefix}.{2 + number % 40}",')
                continue
            desk = hash_of(actor.actor_id)
            home = (number + desk) % 11 == 0
            seat = f"{actor.home_prefix}.{2 + desk % 200}"
            if not home:
                seat = f"{actor.site.prefix}.{desk % 8}.{2 + (desk + number // 9) % 250}"
            places.append(f'"src_ip":"{seat}","session_id":"s-{desk}-{number}",')
        return places


def company(actors: int) -> Company:
    """A company of `actors` accounts."""
    drawn = draw_company(5, min(actors, _DRAWN_ACTORS))
    people = [
        replace(one, actor_id=f"{one.actor_id}-{copy}", device=f"{one.device}-{copy}") if copy else one
        for copy in range(-(-actors // len(drawn.actors)))
        for one in drawn.people
    ]
    services = len(drawn.services) + len(drawn.partners) + len(drawn.agents)
    return replace(drawn, people=people[: max(1, actors - services)])


def prepare(workload: Workload, folder: Path, *, history: int = 200_000, model_alerts: bool = True) -> None:
    """Writes `directory/` and a model trained on the workload's first events into a folder.

    Without `model_alerts` events are scored, and only rules raise alerts.
    """
    write_directory(workload.company, folder / "directory", [])
    directory = read_directory(folder / "directory", Keyring.offline())
    lines: list[bytes] = []
    for day in Workload(len(workload.actors), workload.events_a_day, seed=99).days():
        lines += day.lines
        if len(lines) >= history:
            break
    events = [json.loads(line) for line in lines]
    times = np.array([one["event_time"][:-6] for one in events], "datetime64[us]").astype(np.int64) - 8 * 3600 * 10**6
    ids = [one["event_id"] for one in events]
    model = train_model(EventFile(lines, times, ids), directory, "Asia/Shanghai")
    save(model if model_alerts else replace(model, threshold=HIGHEST_THRESHOLD), folder / "model")


def _instance(actor: Actor) -> str:
    system = "orders-db" if actor.department.name == "logistics" else "crm"
    system = system if actor.human else "api-gateway"
    return f"{system}-{1 + hash_of(actor.actor_id) % 3}"


def _head(actor: Actor) -> list[str]:
    """What never changes of an actor's event, for each part of a case; JSON without the closing brace."""
    human = actor.human
    system = _instance(actor)[:-2]
    common: dict[str, object] = {
        "schema_version": 1, "source_system": system, "source_instance": _instance(actor),
        "channel": "ui" if human else "api", "outcome": "success", "actor_id": actor.actor_id,
        "actor_type": actor.kind, "actor_dept": actor.department.name, "actor_role": actor.role,
        "user_agent": actor.user_agent, "app_id": system,
    }  # fmt: skip
    common |= {"device_id": actor.device, "mfa": True} if human else {"credential_id": actor.credential}
    kinds = actor.department.resource_types or ("customer_profile", "order")
    heads = []
    for slot in range(len(_CASE_SHARES)):
        kind = kinds[hash_of(f"{actor.actor_id}{slot}") % len(kinds)]
        heads.append(json.dumps(common | _what(slot, kind), separators=(",", ":"))[:-1] + ",")
    return heads


def _what(slot: int, kind: str) -> dict[str, object]:
    categories, sensitivity = RESOURCES[kind]
    action = {_SEARCH: "search", _UNMASK: "unmask", _UPDATE: "update", _LIST: "search"}.get(slot, "read")
    page = "search" if slot in (_SEARCH, _LIST) else "{id}"
    made: dict[str, object] = {
        "action": action, "endpoint": f"/{kind}/{page}", "resource_type": kind, "sensitivity": sensitivity,
        "records_returned": 6 if slot == _SEARCH else 1,
    }  # fmt: skip
    if categories:
        made["data_categories"] = list(categories)
    if slot == _UNMASK:
        made["fields_unmasked"] = ["mobile"]
    elif action == "read":
        made["fields_accessed"] = ["name", "mobile", "address"][: slot - _LOOK + 1]
    return made


def _touched(subjects: list[int], ticket: int) -> str:
    """Whose data, under which ticket."""
    names = [f'"c-{100_000 + one}"' for one in subjects]
    case = f',"case_ref":"T-{ticket}","purpose":"support"' if ticket >= 0 else ""
    resource = names[0] if len(names) == 1 else '"search"'
    listed = f',"subject_ids":[{",".join(names)}],"subject_count":{len(names)}' if names else ""
    return f'"resource_id":{resource}{listed}{case}'
