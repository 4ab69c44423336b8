"""What model and rules say together: a rule is a floor, and half of it adds to what the model says.

Place in the flow: end of `assess`, and wherever findings are compared with thresholds. Rules are floors under the risk
and the model has a level; both are on one scale, hundredths of risk (20 for every tenfold of rarity). They look at an
event in different ways, so two who agree weigh more than one, as among the model's own witnesses (`combine`): on nine
simulated companies this lifted the area under the precision-recall curve by actor-day from 0.43 to 0.47 over the larger
of the two. A rule that the model does not second stays the floor it is: adding half of the model's level to it, too,
put a rule's false alarms above what is rare, in companies drawn by simulators of other authors (0.02 to 0.03 of that
area). A floor that history lowered to nothing adds nothing.

Risk is the strength up to 98, from where on severity no longer changes; above, it is pressed together towards 100,
which nothing reaches. A plain end at 100 made a quarter of all attacks' days equal to the strangest ordinary ones: who
ranks by risk alone lost 0.04 of that area.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MAX_RISK = 10_000
PRESSED_FROM = 9_800
"""Risk equals the strength up to here: above every rule's floor, and where the gravest severity begins."""
_ROOM = MAX_RISK - PRESSED_FROM
_HALF_WAY = 2_000
"""So much strength beyond takes half of the room that is left."""

Hundredths = npt.NDArray[np.uint16] | npt.NDArray[np.int64]


def strength(level: Hundredths, floor: Hundredths) -> npt.NDArray[np.int64]:
    """Of each event, (n,), without an upper end; at most 64,750, as levels end at 60,000 and floors at 9,500."""
    under = floor.astype(np.int64)
    together: npt.NDArray[np.int64] = np.maximum(under, level.astype(np.int64) + under // 2)
    return together


def strength_of(level: int, floor: int) -> int:
    """The same of one event."""
    return max(floor, level + floor // 2)


def risk_of(level: Hundredths, floor: Hundredths) -> npt.NDArray[np.uint16]:
    """Risk of each event, (n,) hundredths, 0–9,992."""
    return _pressed(strength(level, floor)).astype(np.uint16)


def pressed(together: int) -> int:
    """The risk (hundredths) of one strength."""
    return int(_pressed(np.array([together], np.int64))[0])


def _pressed(together: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    beyond = np.maximum(together - PRESSED_FROM, 0)
    risk: npt.NDArray[np.int64] = np.minimum(together, PRESSED_FROM) + _ROOM * beyond // (beyond + _HALF_WAY)
    return risk
