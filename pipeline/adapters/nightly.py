"""What the nightly turn needs of the store, on ClickHouse: the role `NightStore`, as the database role scheduler."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detectors.features import N_FEATURES
from detectors.policy import LOWEST_THRESHOLD, NEVER, RULE_THRESHOLD
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.columns import NIGHT_COLUMNS
from pipeline.incidents.records import WITHDRAWN_REASON
from pipeline.schedule.alert_rows import rows_of
from pipeline.schedule.findings import time_text
from pipeline.schedule.nightly import Kept, Sampled

RAW = "accesstrail_raw"
_MOST_KEPT, _MOST_SAMPLED = 100_000, 20_000


class ClickHouseNights:
    """The role `NightStore` on one connection; every method may raise Away or StoreRefused."""

    def __init__(self, client: ClickHouse) -> None:
        self._client = client

    def last_night(self, topic: str) -> int | None:
        """The newest day that has its report."""
        sql = "SELECT count(), max(day) FROM accesstrail.nightly_reports WHERE topic = {topic:String}"
        count, day = self._client.query(sql, {"topic": topic})[0]
        return int(day) if count else None

    def active(self, from_us: int, until_us: int) -> Sequence[int]:
        """How many accounts were active on each day of UTC from the first that had any, oldest first."""
        sql = (
            "SELECT toUInt32(day), uniqExact(tenant_id, actor_token) FROM accesstrail.person_days "
            "WHERE day >= toDate({since:DateTime64(6, 'UTC')}) AND day < toDate({until:DateTime64(6, 'UTC')}) "
            "GROUP BY day ORDER BY day"
        )
        found = {int(day): int(count) for day, count in self._client.query(sql, _times(from_us, until_us))}
        return [found.get(day, 0) for day in range(min(found), max(found) + 1)] if found else []

    def kept(self, topic: str, from_us: int, until_us: int, shadow_id: str) -> Kept:
        """Kept judgements, in log order within each actor; of more than 100,000 the strongest."""
        sql = (
            "SELECT actor, toUnixTimestamp64Micro(event_time), level, floor, reasons, shadow_level, shadow_floor, "
            "shadow_reasons FROM ("
            "SELECT concat(tenant_id, '/', hex(actor_token)) AS actor, event_time, received_at, incarnation, partition,"
            " offset, level, floor, reasons, shadow_reasons, "
            "if(shadow_model = {shadow_model:String}, shadow_level, 0) AS shadow_level, "
            "if(shadow_model = {shadow_model:String}, shadow_floor, 0) AS shadow_floor, "
            "greatest(level, floor) + intDiv(least(level, floor), 2) AS strength, "  # as detectors/strength.py
            "greatest(shadow_level, shadow_floor) + intDiv(least(shadow_level, shadow_floor), 2) AS shadow_strength "
            "FROM accesstrail.person_features WHERE topic = {topic:String} "
            "AND event_time >= {since:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')} "
            "AND (strength >= {lowest:UInt16} OR floor >= {floor:UInt16} OR shadow_strength >= {shadow_lowest:UInt16} "
            "OR shadow_floor >= {floor:UInt16}) ORDER BY greatest(strength, shadow_strength) DESC LIMIT {most:UInt32}"
            ") ORDER BY received_at, incarnation, partition, offset"
        )
        lowest = {
            "lowest": LOWEST_THRESHOLD, "floor": RULE_THRESHOLD, "shadow_model": shadow_id,
            "shadow_lowest": LOWEST_THRESHOLD if shadow_id else NEVER,
        }  # fmt: skip
        rows = self._client.query(sql, {"topic": topic, "most": _MOST_KEPT, **lowest, **_times(from_us, until_us)})
        actors: dict[str, int] = {}
        numbers = np.array(
            [(actors.setdefault(row[0], len(actors)), row[1], row[2], row[3], row[5], row[6]) for row in rows], np.int64
        ).reshape(len(rows), 6)
        return Kept(
            actors=numbers[:, 0].copy(), time_us=numbers[:, 1].copy(), level=numbers[:, 2].copy(),
            floor=numbers[:, 3].copy(), reasons=[tuple(row[4]) for row in rows],
            shadow_level=numbers[:, 4].copy(), shadow_floor=numbers[:, 5].copy(),
            shadow_reasons=[tuple(row[7]) for row in rows],
        )  # fmt: skip

    def sampled(self, topic: str, from_us: int, until_us: int, feature_version: str) -> Sampled:
        """The events kept by chance; of more than 20,000 as many, again by chance."""
        sql = (
            "SELECT features, risk / 100, peer_group FROM accesstrail.features WHERE topic = {topic:String} "
            "AND by_chance = 1 AND feature_version = {version:String} "
            "AND event_time >= {since:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')} "
            "ORDER BY cityHash64(partition, offset) LIMIT {most:UInt32}"
        )
        given = {"topic": topic, "version": feature_version, "most": _MOST_SAMPLED, **_times(from_us, until_us)}
        rows = self._client.query(sql, given)
        return Sampled(
            np.array([row[0] for row in rows], np.float32).reshape(len(rows), N_FEATURES),
            np.array([row[1] for row in rows], np.float64),
            np.array([row[2] for row in rows], np.str_),
        )

    def fired(self, topic: str, from_us: int, until_us: int) -> Mapping[tuple[str, int], int]:
        """Alerts by detector and day of UTC: neither the system's own alarms nor those taken back."""
        sql = (
            "SELECT detector, toUInt32(toDate(event_time)) AS day, count() FROM accesstrail.alerts "
            "WHERE topic = {topic:String} AND NOT startsWith(detector, 'system:') "
            "AND NOT has(reasons, {withdrawn:String}) "
            "AND event_time >= {since:DateTime64(6, 'UTC')} AND event_time < {until:DateTime64(6, 'UTC')} "
            "GROUP BY detector, day ORDER BY detector, day"
        )
        given = {"topic": topic, "withdrawn": WITHDRAWN_REASON, **_times(from_us, until_us)}
        return {(str(name), int(day)): int(count) for name, day, count in self._client.query(sql, given)}

    def record_night(self, row: Mapping[str, Any]) -> None:
        """Keeps the report of a day; another one of the same day replaces it."""
        rows = rows_of(NIGHT_COLUMNS, {name: [value] for name, value in row.items()}, {}, 1)
        token = uuid.uuid4().hex  # a row of the same day replaces the one before
        self._client.insert(f"{RAW}.nightly_reports", rows, NIGHT_COLUMNS, token=token)


def _times(from_us: int, until_us: int) -> dict[str, str]:
    return {"since": time_text(from_us), "until": time_text(until_us)}
