"""Which attacks were found, and how soon.

A hit is an alert that fired *on* an event of the attack: an alert on the same actor a minute before does not count, for
it would have explained something else. Recall is counted by attack, never by event. Time to detect runs from the
attack's first scored event to the first hit, of those found. A scenario is a *burst* when the median length of its
attacks (first to last scored event) is under a day, else a *drip*: minutes matter in one, days in the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from detectors.base import I64
from detectors.evaluation.evidence import DAY_US, Evidence
from detectors.evaluation.shares import share, wilson

_STRENGTHS = ("weak", "medium", "strong")
NEVER_US = np.iinfo(np.int64).max


def first_hits(evidence: Evidence) -> I64:
    """Event time of the first alert on an event of each attack, (attacks,), UTC µs; `NEVER_US` where none fired."""
    hits = np.full(len(evidence.attacks), NEVER_US, np.int64)
    true = np.flatnonzero(~evidence.is_false)
    np.minimum.at(hits, evidence.attacks.of_event[evidence.alert_row[true]], evidence.alert_time_us[true])
    return hits


def recall(evidence: Evidence) -> dict[str, Any]:
    """Recall of all attacks, by scenario, by strength and by both; attacks of unknown strength are in the first two."""
    found = (first_hits(evidence) < NEVER_US).tolist()
    scenarios = evidence.attacks.scenarios
    strengths = [evidence.strengths.get(name, "") for name in evidence.attacks.ids]
    both: dict[str, Any] = {}
    for scenario in sorted(set(scenarios)):
        rows = [row for row, name in enumerate(scenarios) if name == scenario]
        both[scenario] = _by([strengths[row] for row in rows], [found[row] for row in rows])
    return {
        "recall": share(sum(found), len(found)),
        "recall_interval": [round(end, 4) for end in wilson(sum(found), len(found))],
        "recall_by_strength": _by(strengths, found),
        "recall_by_scenario": _by(scenarios, found),
        "recall_by_scenario_and_strength": {name: rows for name, rows in both.items() if rows},
    }


def _by(names: Sequence[str], found: Sequence[bool]) -> dict[str, Any]:
    rows = {}
    for name in sorted({name for name in names if name}, key=_order):
        here = [hit for other, hit in zip(names, found, strict=True) if other == name]
        rows[name] = {"attacks": len(here), "found": sum(here), "recall": share(sum(here), len(here))}
    return rows


def _order(name: str) -> tuple[int, str]:
    """Strengths from weak to strong, everything else by name."""
    return (_STRENGTHS.index(name) if name in _STRENGTHS else len(_STRENGTHS)), name


def minutes_to_detect(evidence: Evidence) -> dict[str, Any]:
    """Attacks, found ones and the median minutes to detect, of all, of bursts and of drips; None where none was found.

    An alert of a scheduled detector stands at the time of its event: what the detector waited for is not in it.
    """
    hits = first_hits(evidence)
    first, last = _extents(evidence)
    drips = _drips(evidence.attacks.scenarios, last - first)
    result = {}
    for name, rows in (
        ("all", range(len(hits))),
        ("bursts", np.flatnonzero(~drips).tolist()),
        ("drips", np.flatnonzero(drips).tolist()),
    ):
        waits = [(int(hits[row]) - int(first[row])) / 60e6 for row in rows if hits[row] < NEVER_US]
        result[name] = {
            "attacks": len(rows),
            "found": len(waits),
            "median_minutes": round(median(waits), 2) if waits else None,
        }
    return result


def _extents(evidence: Evidence) -> tuple[I64, I64]:
    """First and last event of each attack, (attacks,) each, UTC µs."""
    rows = np.flatnonzero(evidence.attacks.of_event >= 0)
    story = evidence.attacks.of_event[rows]
    first, last = np.full(len(evidence.attacks), NEVER_US, np.int64), np.zeros(len(evidence.attacks), np.int64)
    np.minimum.at(first, story, evidence.time_us[rows])
    np.maximum.at(last, story, evidence.time_us[rows])
    return first, last


def _drips(scenarios: Sequence[str], lengths_us: I64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    lengths: dict[str, list[int]] = {}
    for name, length in zip(scenarios, lengths_us.tolist(), strict=True):
        lengths.setdefault(name, []).append(length)
    long = {name for name, values in lengths.items() if median(values) >= DAY_US}
    return np.array([name in long for name in scenarios], np.bool_)
