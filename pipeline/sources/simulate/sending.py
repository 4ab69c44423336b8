"""How sources send events: numbers, ids, fields they never send or lose, repeated and late deliveries, silences.

Last step before the wire. Labels of stories that have no events of their own (a silence, erased rows) are put on the
first events of the same source instance that show them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pipeline.sources.simulate.attacks.story import Act
from pipeline.sources.simulate.company import Company
from pipeline.sources.simulate.life import Labelled, Life, Silence
from pipeline.sources.simulate.places import HOUR_MS

SHOWING_SILENCE = 5
"""So many events of an instance after a silence carry its label."""
SHOWING_HOLES = 20
"""At most so many events after erased rows carry the label, one a hole."""


class Sender:
    """Turns what happened into what is sent; keeps each instance's running number."""

    def __init__(self, company: Company, life: Life, seed: int, acts: Mapping[str, Act]) -> None:
        self._company, self._life, self._acts = company, life, acts
        self._chance = random.Random(f"sending:{company.seed}:{seed}")
        self._numbers: dict[str, int] = {}
        self._holes: dict[str, Labelled] = {}
        self._shown: dict[str, int] = {}
        self._sent: list[tuple[int, int, Labelled]] = []
        self._count = 0

    def send(self, due: list[Labelled], until_ms: int | None) -> Iterator[Labelled]:
        """Sends what happened, in order of sending; what is sent after `until_ms` waits for the next call."""
        for one in due:
            self._enter(one)
        self._sent.sort(key=lambda sent: sent[:2])
        if until_ms is None:
            ready, self._sent = self._sent, []
        else:
            cut = next((at for at, sent in enumerate(self._sent) if sent[0] >= until_ms), len(self._sent))
            ready, self._sent = self._sent[:cut], self._sent[cut:]
        for _, _, one in ready:
            yield one

    def _enter(self, one: Labelled) -> None:
        event, chance, habits = one.event, self._chance, self._company.habits
        instance = event["source_instance"]
        silences = self._life.silences.get(instance)
        if silences is not None and not self._heard(one, silences, instance):
            return
        number = self._numbers[instance] = self._numbers.get(instance, 0) + 1
        if one.erased:
            self._holes[instance] = one
            return
        if instance in self._holes:
            one = self._shows_hole(one, self._holes.pop(instance))
        event["event_id"] = event_id(one.time_ms, chance)
        event["source_seq"] = number
        source = self._company.sources[event["source_system"]]
        for name in source.never_sends:
            event.pop(name, None)
        for name, share in source.sometimes_loses:
            if chance.random() < share:
                event.pop(name, None)
        at_ms = one.time_ms + one.delay_ms
        if chance.random() < habits.late_share:
            at_ms += int(chance.lognormvariate(7.5, 1.5) * 1000)
        self._put(at_ms, one)
        if chance.random() < habits.duplicate_share:
            self._put(at_ms + int(chance.expovariate(1 / HOUR_MS)), one)  # the source sent it twice

    def _put(self, at_ms: int, one: Labelled) -> None:
        self._count += 1
        self._sent.append((at_ms, self._count, one))

    def _heard(self, one: Labelled, silences: list[Silence], instance: str) -> bool:
        """False while the instance is silent; afterwards the first events are labelled."""
        for silence in silences:
            if silence.from_ms <= one.time_ms < silence.to_ms:
                if silence.numbered:
                    self._numbers[instance] = self._numbers.get(instance, 0) + 1
                return False
            if one.time_ms >= silence.to_ms and not one.attack_id:
                shown = self._shown.get(silence.identity, 0)
                if shown < SHOWING_SILENCE:
                    self._shown[silence.identity] = shown + 1
                    self._label(one, self._acts[silence.identity])
        return True

    def _shows_hole(self, one: Labelled, hole: Labelled) -> Labelled:
        shown = self._shown.get(hole.attack_id, 0)
        if one.attack_id or shown >= SHOWING_HOLES:
            return one
        self._shown[hole.attack_id] = shown + 1
        return replace(one, scenario=hole.scenario, attack_id=hole.attack_id, strength=hole.strength)

    @staticmethod
    def _label(one: Labelled, act: Act) -> None:
        one.scenario, one.attack_id, one.strength, one.twin = act.scenario, act.identity, act.strength, act.benign


def event_id(time_ms: int, chance: random.Random) -> str:
    """A UUIDv7 (RFC 9562): the event's millisecond and seeded random bits."""
    tail = chance.getrandbits(74)
    value = (time_ms << 80) | (0x7 << 76) | ((tail >> 62) << 64) | (0b10 << 62) | (tail & ((1 << 62) - 1))
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
