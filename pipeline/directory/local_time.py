"""Local day and hour of UTC times in many time zones at once, exact across changes of the clock.

The offset from UTC is looked up once a zone and UTC day; on a day on which it changes, once a quarter of an hour
(every change of the IANA database since 1972 falls on one).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

_QUARTER_US = 900 * 1_000_000
_DAY_US = 86_400 * 1_000_000
_HOUR_US = 3600 * 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_days_and_hours(
    times_us: npt.NDArray[np.int64], zones: npt.NDArray[np.int32], known_zones: Sequence[ZoneInfo]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Days since 1970-01-01 and hours 0–23 in local time, (n,) each; `zones` indexes `known_zones`.

    `times_us`: UTC microseconds from year 1 to 9999.
    """
    local = times_us.copy()
    days = times_us // _DAY_US
    keys, inverse = np.unique(days * len(known_zones) + zones, return_inverse=True)
    offsets = np.zeros(len(keys), np.int64)
    changing = np.zeros(len(keys), np.bool_)
    for place, key in enumerate(keys.tolist()):
        day, zone = divmod(key, len(known_zones))
        first, last = _offset_us(known_zones[zone], day * 96), _offset_us(known_zones[zone], day * 96 + 95)
        offsets[place], changing[place] = first, first != last
    local += offsets[inverse]
    for row in np.flatnonzero(changing[inverse]).tolist():
        local[row] = times_us[row] + _offset_us(known_zones[zones[row]], int(times_us[row]) // _QUARTER_US)
    return (local // _DAY_US).astype(np.int32), (local % _DAY_US // _HOUR_US).astype(np.uint8)


@lru_cache(maxsize=65_536)
def _offset_us(zone: ZoneInfo, quarter: int) -> int:
    """Offset from UTC in microseconds during one quarter of an hour since 1970."""
    moment = _EPOCH + timedelta(seconds=quarter * 900)
    offset = moment.astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1e6)
