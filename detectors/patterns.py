"""Patterns: which kinds of strangeness go together when something known happens.

Place in the flow: between surprisals and fusion. A pattern is a handful of parts, each a set of features that show the
same thing; its score is the sum of each part's largest surprisal, compared with the same sum on days of history. Two
weak signs that belong together (a new country and a new device) weigh more than any two of forty, because far fewer
pairs are looked at. Written from the threat list, like the rules, but without bounds: history sets them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.base import F32
from detectors.features import INDEX

_ORIGIN = ("new_device", "new_agent", "new_network")
_PACE = ("events_10m", "subjects_1h", "subjects_1h_own")
_HABIT = ("rare_resource", "rare_action", "rare_channel")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern: `parts` are sets of features, `why` says what it is the shape of."""

    name: str
    parts: tuple[tuple[str, ...], ...]
    why: str


PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        "bulk_export",
        (
            ("exported_day", "exported_day_own"),
            ("records", "records_own", "bytes"),
            ("rare_action", "rare_channel", "hour_rarity"),
        ),
        "much is taken out at once by somebody who does not do that",
    ),
    Pattern(
        "slow_drip",
        (
            ("subjects_week", "records_week", "subjects_2w", "slow_rise"),
            ("unexplained_2w", "unexplained_day_own", "unmasked_day_own"),
        ),
        "a little more each day, with nothing to explain it",
    ),
    Pattern(
        "night",
        (("hour_rarity",), (*_PACE, "subjects_day_own", "unmasked_day_own", "records_day_own")),
        "much work at an hour this account never works",
    ),
    Pattern("stranger", (("new_country", "travel"), _ORIGIN), "the account works from another place with other things"),
    Pattern("sharing", (("device_turns", "network_turns"), _ORIGIN), "two devices in turn, one of them unknown"),
    Pattern(
        "awakening",
        (("gap_days",), _ORIGIN, ("subjects_day_own", "unexplained_day_own", "unmasked_day_own")),
        "a sleeping account wakes, elsewhere, and is busy",
    ),
    Pattern("probing", (("denied_10m",), _HABIT), "refused at doors this account never tries"),
    Pattern(
        "curiosity",
        (("repeat_subject", "return_visits"), ("vip_day",), ("unmasked_day_own", "searches_day")),
        "one person looked at again and again",
    ),
    Pattern("clear_text", (("unmasked_day", "unmasked_day_own"), _PACE), "numbers revealed one after the other"),
    Pattern("enumeration", (("sequence",), _PACE), "customers by number, fast"),
    Pattern(
        "stray",
        (
            ("rare_resource",),
            ("unexplained_day_own", "unexplained_day", "subjects_day_own", "unmasked_day_own", "vip_day"),
        ),
        "data this account never touches, without a reason",
    ),
    Pattern(
        "other_tool",
        (
            ("new_agent", "rare_channel"),
            ("rare_action", "rare_resource"),
            ("new_network", "network_turns", "events_10m"),
        ),
        "another program does other things with the account",
    ),
    Pattern(
        "outsiders",
        (("external_day",), ("exported_day", "exported_day_own", "rare_action", "rare_channel")),
        "records handed out by somebody who does not do that",
    ),
    Pattern("tampering", (("changes_day",), ("rare_action", "rare_channel", "hour_rarity")), "records changed unasked"),
    Pattern(
        "fishing",
        (("searches_day",), ("subjects_1h_own", "events_10m", "repeat_subject", "vip_day")),
        "searches that no work asks for",
    ),
    Pattern("audit", (("audit_day",), ("vip_day", "rare_action")), "the audit log read for other purposes"),
    Pattern(
        "collecting",
        (("subjects_1h", "subjects_1h_own"), ("unexplained_day", "unexplained_day_own", "unexplained_2w")),
        "one customer after the other, with nothing to explain it",
    ),
    Pattern(
        "leaving",
        (("exported_day_own", "records_day_own"), ("records_week", "subjects_week")),
        "a rising week, and then much at once",
    ),
)
_PLACES = tuple(tuple([INDEX[name] for name in part] for part in pattern.parts) for pattern in PATTERNS)


def pattern_scores(surprisals: F32) -> F32:
    """Sums of surprisals by pattern, float32 (n, patterns); `surprisals` (n, k or more)."""
    out = np.zeros((len(surprisals), len(PATTERNS)), np.float32)
    for column, parts in enumerate(_PLACES):
        for part in parts:
            out[:, column] += surprisals[:, part].max(axis=1) if len(part) > 1 else surprisals[:, part[0]]
    return out
