"""Which alerts a key has taken in, and whether each one still stands: why a replayed alert adds nothing.

Place in the flow: part of `KeyState`. An immutable map from the 16 bytes of an alert id to where it belongs. Adding
must not copy what is there: 10,000 alerts of one account would cost 50 million copied entries. So entries lie in layers
whose sizes at least halve; a new entry is a layer of one, and layers of like size are joined. Adding costs O(log n)
amortised, looking up O(log n).

Bounded: after `GENERATION` entries the layers become the old generation, and the old one before them is forgotten, so
between one and two generations are known. Detectors raise a handful of alerts a day of one account: that is decades.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GENERATION = 65_536
STANDS, WITHDRAWN = 0, 1

Place = tuple[int, int]
"""Ordinal of the incident that took the alert in; STANDS or WITHDRAWN."""


@dataclass(frozen=True, slots=True, eq=False)
class AlertBook:
    """Alert id (16 bytes) → place. Equal where the same ids have the same places."""

    layers: tuple[Mapping[bytes, Place], ...] = ()
    old: Mapping[bytes, Place] | None = None
    entries: int = 0

    def place(self, alert_id: bytes) -> Place | None:
        """Where the alert belongs; None where it is not known."""
        for layer in reversed(self.layers):
            if alert_id in layer:
                return layer[alert_id]
        return self.old.get(alert_id) if self.old else None

    def with_alert(self, alert_id: bytes, place: Place) -> AlertBook:
        """With this alert at this place, whatever it was before."""
        top: dict[bytes, Place] = {alert_id: place}
        layers = list(self.layers)
        while layers and len(layers[-1]) <= len(top):
            top = {**layers.pop(), **top}
        layers.append(top)
        if self.entries + 1 < GENERATION:
            return AlertBook(tuple(layers), self.old, self.entries + 1)
        return AlertBook((), _joined(layers), 0)

    def as_map(self) -> dict[bytes, Place]:
        """Everything that is known."""
        return {**(self.old or {}), **_joined(self.layers)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AlertBook) and self.as_map() == other.as_map()

    def __hash__(self) -> int:
        return hash(frozenset(self.as_map().items()))


def _joined(layers: list[Mapping[bytes, Place]] | tuple[Mapping[bytes, Place], ...]) -> dict[bytes, Place]:
    joined: dict[bytes, Place] = {}
    for layer in layers:
        joined.update(layer)
    return joined


NO_ALERTS = AlertBook()
