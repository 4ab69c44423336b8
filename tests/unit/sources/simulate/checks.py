"""What the wire format says of simulated events."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from pipeline.stages.decode import decode_values

_ANY_TIME_US = 4_102_444_800_000_000


def rejected(events: list[dict[str, Any]]) -> list[str]:
    """Why events would become dead letters; empty where none would."""
    values = [msgspec.json.encode(event) for event in events]
    return [one.reason for one in decode_values(values, np.full(len(values), _ANY_TIME_US, np.int64)).rejected]
