"""A scheduled detector that finds much every week tells the gravest of it only: no single one may use up a budget.

Place in the flow: between findings and alerts, live (`runner.py`) and offline (`simulated.py`) alike. Rules lose what
history takes off them and the model is calibrated; a scheduled detector's bounds were written for companies its author
had seen. In one where they hold every day (sequences that always have holes, teams that share every customer) it would
raise all the alerts that a team can bear, and what is rare would go unseen.

So a finding counts against the week before it: it is *drowned* where as many other keys as `most_of_one_detector`
allows were at least as grave in these days. Nothing is remembered for it: the week is asked for again, so a crash, a
second runner or a new detector changes nothing. A burst of one hour or day after a quiet week is told whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from detectors.budget import most_of_one_detector
from detectors.scheduled.base import DAY_US, HOUR_US, Cadence, Finding
from pipeline.directory import DirectorySnapshot

NOISE_DAYS = 7
NOISE = "noise"
"""What stands in a run's row, in place of an exception's id, for findings that were drowned."""


def slots_before(cadence: Cadence) -> int:
    """How many slots the week before a slot has."""
    return NOISE_DAYS * DAY_US // HOUR_US if cadence.unit == "hour" else NOISE_DAYS


def most_told(directory: DirectorySnapshot) -> int:
    """How many keys of the week before must be as grave as one that is not told any more."""
    return most_of_one_detector(len(directory.actors))


class Week:
    """One detector's findings of the week before a slot: how grave each key was at its gravest, tenant by tenant."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._highest: dict[str, dict[str, int]] = defaultdict(dict)
        for one in findings:
            keys = self._highest[one.tenant_id]
            keys[one.key] = max(one.risk, keys.get(one.key, 0))
        self._sorted = {tenant: sorted(keys.values()) for tenant, keys in self._highest.items()}

    def drowns(self, finding: Finding, most: int) -> bool:
        """Whether `most` other keys of its tenant were at least as grave; its own are for `repeats` to judge."""
        risks = self._sorted.get(finding.tenant_id, [])
        own = self._highest.get(finding.tenant_id, {}).get(finding.key, 0)
        return len(risks) - bisect_left(risks, finding.risk) - (own >= finding.risk) >= most


def told_of(found: Sequence[Finding], cadence: Cadence, most: int) -> list[Finding]:
    """Those of one detector's findings that the others of the week before do not drown, in their order."""
    by_slot: dict[int, list[Finding]] = {}
    for one in found:
        by_slot.setdefault(one.slot, []).append(one)
    weeks = {
        slot: Week(one for before in range(slot - slots_before(cadence), slot) for one in by_slot.get(before, ()))
        for slot in by_slot
    }
    return [one for one in found if not weeks[one.slot].drowns(one, most)]
