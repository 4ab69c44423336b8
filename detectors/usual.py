"""What was seen, against what is usual: for the account, for its colleagues, for the whole company.

Place in the flow: read by `explain`. Ranges hold eight days of ten: the account's own is its mean ± 1.28 deviations on
the logarithmic scale it is kept on, clipped at 0 (p10–p90 of a normal distribution); colleagues' is the model's frozen
quantiles of a day's (or week's) largest value, as they are stored (none is interpolated), hence "daily peak". What is
"more than usual" is decided on the numbers as they are shown, so that no text contradicts itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from detectors.base import Assessment, EventArrays
from detectors.features import FEATURES, INDEX
from detectors.phrases import PHRASES, Phrase, human_value
from detectors.surprisal import PeerStatistics, surprisals

Scope = Literal["", "self", "peers", "organisation"]
"""Whose usual is exceeded, the widest that is; for what is new or seldom: among whom it is rare."""

OWN_WIDTH = 1.28
RARE = 2.0
"""Surprisal (one day in 100) from which something that colleagues do is called rare."""
_P10, _P90 = -math.log10(0.9), -math.log10(0.1)
_SCALES = {feature.name: feature.scale for feature in FEATURES}


class Range(NamedTuple):
    """A usual range as it is shown."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One feature of one event, ready to be told; numbers as they are shown.

    `number`: None where the feature is told without one. `of_group`: whether `peers` are the account's own group, else
    everybody. `surprisal` is that of the amount, or (`is_rise`) of its rise above the account's own usual; 0 unknown.
    `stored`: what all of it follows from, kept with the alert.
    """

    name: str
    number: float | None
    is_new: bool
    own: Range | None
    peers: Range | None
    of_group: bool
    scope: Scope
    surprisal: float
    is_rise: bool
    stored: Mapping[str, float]


def measure(name: str, row: int, events: EventArrays, assessment: Assessment, peers: PeerStatistics | None) -> Measure:
    """The feature `name` (one that has a phrase) of an event, with what is usual."""
    phrase, index = PHRASES[name], INDEX[name]
    value = float(assessment.features[row, index])
    stored = {name: value}
    leader = max((name, phrase.own) if phrase.own else (name,), key=lambda one: assessment.surprisals[row, INDEX[one]])
    surprisal = float(assessment.surprisals[row, INDEX[leader]])
    number = _number(name, phrase, value)
    own = _own(name, phrase, row, assessment, stored) if phrase.form in ("amount", "ratio") else None
    table, range_of, everybody = 0, None, None
    if peers is not None:
        table = int(peers.index(events.peer_groups, events.peer_group_ids[row : row + 1])[0])
        stored[f"{leader}:surprisal"] = surprisal
        if phrase.form in ("amount", "ratio"):
            everybody = _quantiles(name, phrase, 0, peers)
            range_of = _quantiles(name, phrase, table, peers)
            low, high = _knots(name, table, peers)
            stored |= {f"{name}:peers_p10": low, f"{name}:peers_p90": high}
    if phrase.form in ("amount", "ratio"):
        scope = _exceeded(number, own, range_of if table else None, everybody)
    else:
        scope = _rare_among(surprisal, index, row, assessment, table, peers)
    return Measure(
        name=name,
        number=number,
        is_new=phrase.form == "first" and value > 0.5,  # 1 / (1 + days of use): at most 0.5 after one day
        own=own,
        peers=range_of,
        of_group=table > 0,
        scope=scope,
        surprisal=surprisal if peers is not None else 0.0,
        is_rise=leader != name,
        stored=stored,
    )


def shown_number(name: str, value: float) -> float:
    """A value of the feature in the unit of its phrase, as it is shown."""
    places = 1 if PHRASES[name].form == "ratio" else 0
    return round(human_value(name, _SCALES[name], value), places)


def days_at_most(bits: float) -> int:
    """The largest n with a share of days of at most 1 in n; `bits`: −log2 of the smoothed, damped share."""
    return math.floor(math.pow(2.0, bits))


def _number(name: str, phrase: Phrase, value: float) -> float | None:
    if phrase.form == "first":
        return None
    if phrase.form == "seldom":
        return days_at_most(value) if value >= 1.0 else None
    return shown_number(name, value)


def _own(name: str, phrase: Phrase, row: int, assessment: Assessment, stored: dict[str, float]) -> Range | None:
    """The account's own range, where three days of it are known; notes mean and deviation in `stored`."""
    index = INDEX[phrase.own or name]
    mean, deviation = float(assessment.usual[row, index]), float(assessment.spread[row, index])
    # Totals of a day are known from the third day on, sizes and busiest hours from the first: one day is no range.
    if math.isnan(mean) or math.isnan(float(assessment.usual[row, INDEX["subjects_day"]])):
        return None
    stored |= {f"{name}:own_mean": mean, f"{name}:own_deviation": deviation}
    return own_range(name, mean, deviation)


def own_range(name: str, mean: float, deviation: float) -> Range:
    """Mean ± 1.28 deviations on the feature's own scale, shown in its unit."""
    return Range(*(shown_number(name, max(0.0, mean + side * OWN_WIDTH * deviation)) for side in (-1.0, 1.0)))


def _knots(name: str, table: int, peers: PeerStatistics) -> tuple[float, float]:
    """The stored quantiles next to p10 and p90, outwards, on the feature's scale."""
    low = int(np.searchsorted(peers.levels, _P10, side="right")) - 1
    high = int(np.searchsorted(peers.levels, _P90, side="left"))
    values = peers.values[table, INDEX[name]]
    return float(values[max(low, 0)]), float(values[min(high, len(values) - 1)])


def _quantiles(name: str, phrase: Phrase, table: int, peers: PeerStatistics) -> Range:
    return Range(*(shown_number(name, value) for value in _knots(name, table, peers)))


def _exceeded(number: float | None, own: Range | None, group: Range | None, everybody: Range | None) -> Scope:
    """The widest circle whose usual the number exceeds; beyond everybody's is also beyond the group's, or says less."""
    if number is None:
        return ""
    above = [one is not None and number > one.high for one in (everybody, group, own)]
    if above[0] and (group is None or above[1]):
        return "organisation"
    if above[1]:
        return "peers"
    return "self" if above[2] else ""


def _rare_among(
    surprisal: float, index: int, row: int, assessment: Assessment, table: int, peers: PeerStatistics | None
) -> Scope:
    if peers is None or surprisal < RARE:
        return ""
    if table == 0:
        return "organisation"
    everybody = surprisals(assessment.features[row : row + 1], np.zeros(1, np.int32), peers)[0]
    return "organisation" if everybody[index] >= RARE else "peers"
