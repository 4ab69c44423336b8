"""Compiles every kernel once and leaves the result in numba's cache: run at set-up, never at the first event."""

from __future__ import annotations

import numpy as np

from detectors import attribution, isolation_forest, policy, surprisal
from detectors.base import NO_LOCATION, EventArrays
from detectors.features import N_FEATURES, compute
from detectors.profile import Profiles


def main() -> None:
    """Runs each kernel on a handful of rows."""
    profiles = Profiles()
    profiles.begin()
    compute(_events(4), profiles)
    rows = np.random.default_rng(1).gamma(1.0, 1.0, (256, N_FEATURES)).astype(np.float32)
    peers = surprisal.fit(rows, ["all"], np.zeros(256, np.int32))
    surprise = surprisal.surprisals(rows, np.zeros(256, np.int32), peers)
    forest = isolation_forest.fit(surprise)
    isolation_forest.scores(forest, surprise)
    attribution.of_features(forest, surprise[0])
    numbers = np.arange(4, dtype=np.int64)
    bits = numbers.astype(np.uint64)
    policy.count_fired(policy.Findings(numbers, numbers, numbers, numbers, bits, bits), policy.Policy(0))


def _events(count: int) -> EventArrays:
    """Quiet events of one actor."""

    def full(value: float, dtype: str) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        return np.full(count, value, dtype)

    byte, hashed = full(1, "u1"), full(7, "u8")
    fields: dict[str, object] = {
        "count": count, "actor_keys": [b"warm-up\0" + bytes(16)] * count, "peer_group_ids": full(0, "i4"),
        "peer_groups": ["all"], "tenure_days": full(1, "i4"), "days_to_leave": full(1, "i4"),
        "event_time_us": np.arange(count, dtype=np.int64), "local_day": full(1, "i4"), "holidays": full(0, "i4"),
        "resource_type_ids": full(0, "i4"), "resource_types": ["all"], "records": full(1, "i8"),
        "bytes_out": full(1, "i8"), "country": full(1, "u2"), "latitude": full(float(NO_LOCATION), "f4"),
        "longitude": full(float(NO_LOCATION), "f4"), "subject_ends": np.arange(1, count + 1, dtype=np.int64),
        "subjects": full(7, "u8"), "subject_count": full(1, "i8"), "vip_subjects": full(0, "u2"),
        "minor_subjects": full(0, "u2"), "sequence": full(1, "u4"), "matched": full(-1, "i8"),
        "contract_limit": full(-1, "i4"),
    }  # fmt: skip
    for name in EventArrays.__slots__:
        if name not in fields:
            fields[name] = hashed if EventArrays.__annotations__[name] == "U64" else byte
    return EventArrays(**fields)  # type: ignore[arg-type]  # filled by name


if __name__ == "__main__":
    main()
