"""Which judged events become alerts: threshold, suppression, caps; and the threshold that keeps an alert budget.

Place in the flow: first half of `decide`. Suppression lives in the actor's own profile and counts event time only, so a
replay fires the same alerts: one open alert an actor and 24 hours, unless the risk rises by 15 or a new *kind* of
reason appears; at most five alerts an actor and day. Nothing here looks at other actors: the overall number is held by
the threshold, which a budget sets on history (`threshold_for_budget`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numba
import numpy as np
import numpy.typing as npt

from detectors.base import I64, U64, Assessment, EventArrays
from detectors.features import INDEX
from detectors.profile import Profiles

OPEN_US = 24 * 3600 * 1_000_000
RISE = 1500
MAX_A_DAY = 5
DEFAULT_BUDGET_PER_DAY = 10.0
BUDGET_ACTORS = 500
_LOWEST_THRESHOLD = 4000

_KINDS: tuple[tuple[str, ...], ...] = (
    ("hour_rarity",),
    ("gap_days",),
    ("records", "records_own", "bytes", "records_day", "records_day_own", "exported_day"),
    ("events_10m", "sequence"),
    ("subjects_1h", "subjects_day", "subjects_day_own", "exposure_day"),
    ("unmasked_day", "unmasked_day_own"),
    ("unexplained_day", "repeat_subject", "vip_day"),
    ("records_week", "subjects_week"),
    ("new_network", "new_device", "new_country", "new_agent", "device_turns", "travel"),
    ("rare_resource", "rare_action", "off_region"),
    ("denied_10m",),
    ("external_day",),
)
_FIRST_RULE_BIT = 16


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers alerts are decided by; immutable, part of the version set. Risks in hundredths."""

    threshold: int
    open_us: int = OPEN_US
    rise: int = RISE
    max_a_day: int = MAX_A_DAY

    def content(self) -> bytes:
        """Canonical JSON, kept as an artefact."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_content(cls, content: bytes) -> Policy:
        """The policy whose `content()` this is."""
        return cls(**json.loads(content))


def kind_bits(reason_codes: Sequence[str]) -> U64:
    """The kind of each reason code as one bit, uint64 (codes,): features by group, every rule its own."""
    kinds = {name: bit for bit, names in enumerate(_KINDS) for name in names}
    bits = np.zeros(len(reason_codes), np.uint64)
    rule = _FIRST_RULE_BIT
    for index, code in enumerate(reason_codes):
        kind, _, name = code.partition(":")
        if kind == "feature":
            bits[index] = np.uint64(1) << np.uint64(kinds[name])
        else:
            bits[index] = np.uint64(1) << np.uint64(min(rule, 63))
            rule += 1
    return bits


def row_kinds(assessment: Assessment) -> U64:
    """The kinds of reasons of each event as a bit mask, uint64 (n,)."""
    bits = kind_bits(assessment.reason_codes)
    masks = np.zeros(len(assessment.reason_ends), np.uint64)
    sizes = np.diff(assessment.reason_ends, prepend=0)
    np.bitwise_or.at(masks, np.repeat(np.arange(len(sizes)), sizes), bits[assessment.reasons])
    return masks


@numba.njit(cache=True)
def _fire(
    rows: I64,
    slots: I64,
    time_us: I64,
    risk: npt.NDArray[np.int64],
    kinds: U64,
    last_us: I64,
    last_risk: I64,
    last_kinds: U64,
    day: I64,
    today: I64,
    open_us: int,
    rise: int,
    max_a_day: int,
    fired: npt.NDArray[np.uint8],
) -> None:
    """Marks which of `rows` (in log order, all at or above the threshold) fire; updates the actors' alert state."""
    for place in range(rows.shape[0]):
        i, actor = rows[place], slots[rows[place]]
        if time_us[i] // 86_400_000_000 > day[actor]:  # an event of yesterday counts today: it resets nothing
            day[actor] = time_us[i] // 86_400_000_000
            today[actor] = 0
        is_open = last_us[actor] != 0 and abs(time_us[i] - last_us[actor]) < open_us
        reopened = risk[i] >= last_risk[actor] + rise or (kinds[i] & ~last_kinds[actor]) != 0
        if (is_open and not reopened) or today[actor] >= max_a_day:
            continue
        fired[place] = 1
        joins = is_open or time_us[i] < last_us[actor]  # a late alert never closes the open one
        last_kinds[actor] = (last_kinds[actor] | kinds[i]) if joins else kinds[i]
        last_risk[actor] = max(last_risk[actor], risk[i]) if joins else risk[i]
        last_us[actor] = max(last_us[actor], time_us[i])
        today[actor] += 1


def fire(events: EventArrays, assessment: Assessment, profiles: Profiles, policy: Policy) -> I64:
    """Rows of the events that raise an alert, int64, in log order; remembers it in the actors' profiles."""
    rows = np.flatnonzero((assessment.risk >= policy.threshold) & (assessment.status == 1)).astype(np.int64)
    if not len(rows):
        return rows
    slots = profiles.slot_of(events.actor_keys)
    used, local = np.unique(slots[rows], return_inverse=True)
    wide = np.zeros(len(slots), np.int64)
    wide[rows] = local
    state = profiles.state
    last_us, last_risk = state["last_alert_us"][used].astype(np.int64), state["last_alert_risk"][used].astype(np.int64)
    last_kinds = state["last_alert_reasons"][used].astype(np.uint64)
    day, today = state["alert_day"][used].astype(np.int64), state["alerts_today"][used].astype(np.int64)
    fired = np.zeros(len(rows), np.uint8)
    _fire(
        rows, wide, events.event_time_us, assessment.risk.astype(np.int64), row_kinds(assessment),
        last_us, last_risk, last_kinds, day, today, policy.open_us, policy.rise, policy.max_a_day, fired,
    )  # fmt: skip
    state["last_alert_us"][used], state["last_alert_risk"][used] = last_us, last_risk
    state["last_alert_reasons"][used], state["alert_day"][used] = last_kinds, day
    state["alerts_today"][used] = today
    kept: I64 = rows[fired == 1]
    return kept


def count_fired(threshold: int, actors: I64, time_us: I64, risk: I64, kinds: U64) -> int:
    """How many alerts would have fired on history under this threshold, suppression included."""
    rows = np.flatnonzero(risk >= threshold).astype(np.int64)
    size = int(actors.max()) + 1 if len(actors) else 1
    fired = np.zeros(len(rows), np.uint8)
    zeros = [np.zeros(size, np.int64) for _ in range(4)]
    _fire(
        rows, actors, time_us, risk, kinds, zeros[0], zeros[1], np.zeros(size, np.uint64), zeros[2], zeros[3],
        OPEN_US, RISE, MAX_A_DAY, fired,
    )  # fmt: skip
    return int(fired.sum())


def threshold_for_budget(actors: I64, time_us: I64, risk: I64, kinds: U64, fired_at_most: float) -> int:
    """The smallest risk threshold (hundredths) under which at most this many alerts fire on this history.

    Arrays (n,) in log order. 10,001 (never) where even the largest risk fires too often.
    """
    low, high = _LOWEST_THRESHOLD, 10_001
    while low < high:
        middle = (low + high) // 2
        if count_fired(middle, actors, time_us, risk, kinds) <= fired_at_most:
            high = middle
        else:
            low = middle + 1
    return low


def budget_for(active_actors: float) -> float:
    """Alerts a day that a team accepts for this many active actors: 10 for 500, at least one a week."""
    return max(DEFAULT_BUDGET_PER_DAY * active_actors / BUDGET_ACTORS, 1.0 / 7.0)


assert {name for names in _KINDS for name in names} == set(INDEX)  # noqa: S101  every feature has a kind
