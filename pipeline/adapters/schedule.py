"""What the runner of scheduled detectors needs of the store, on ClickHouse: the role `ScheduleStore`, as scheduler.

One connection, so one instance a thread. Detectors' SQL reads views of sealed rows; what is written goes to tables of
its own and to `alerts`. Leases are written under a token that names their number: the first writer has it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.scheduled.base import Value
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.column_batch import ColumnBatch, FixedColumn, Interner, TextColumn, take_rows
from pipeline.columns import (
    ALERT_COLUMNS,
    EXPLANATION_COLUMNS,
    LEASE_COLUMNS,
    RUN_COLUMNS,
    WORK_ITEM_COLUMNS,
    ColumnSpec,
)
from pipeline.config import SCHEDULER, ClickHouseSettings
from pipeline.directory import DirectorySnapshot
from pipeline.directory.work_items import first_half
from pipeline.errors import ConfigError
from pipeline.events import LogPosition
from pipeline.incidents.records import WITHDRAWN_REASON
from pipeline.schedule.findings import work_item_rows
from pipeline.schedule.runner import HandledAlert, KnownAlert, SealedPoint

RAW = "accesstrail_raw"
_ITEM_DAYS = 100
_ITEMS_AT_ONCE = 50_000
_DAY_US = 86_400_000_000
_WITHDRAWN_EN = "Withdrawn: events that arrived later changed the picture. "
_WITHDRAWN_ZH = "已撤回：随后到达的事件改变了结论。"
_WITHDRAWN_AS = {
    "explanation_en": f"concat('{_WITHDRAWN_EN}', alerts.explanation_en)",
    "explanation_zh": f"concat('{_WITHDRAWN_ZH}', alerts.explanation_zh)",
    "reasons": f"arrayPushBack(alerts.reasons, '{WITHDRAWN_REASON}')",
}
"""What a row says once it is taken back, by column."""
_WITHDRAWN_TEXTS = ", ".join(f"{sql} AS {name}" for name, sql in _WITHDRAWN_AS.items())


class ClickHouseSchedule:
    """The role `ScheduleStore` on one connection."""

    def __init__(self, client: ClickHouse) -> None:
        self._client = client
        self._kept_items: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def rows(self, sql: str, parameters: Mapping[str, Value]) -> list[dict[str, Any]]:
        """The rows of a detector's SQL by column name."""
        return self._client.named_rows(sql, parameters)

    def now_us(self) -> int:
        """The store's clock, UTC microseconds."""
        return int(self._client.query("SELECT toUnixTimestamp64Micro(now64(6))")[0][0])

    def lease(self, topic: str, number: int, runner: str) -> str:
        """Takes the lease `number` unless somebody has it; returns who has it."""
        place = {"topic": topic, "number": number}

        def holder() -> str | None:
            rows = self._client.query(
                f"SELECT runner FROM {RAW}.scheduled_leases WHERE topic = {{topic:String}} "
                "AND number = {number:UInt64} ORDER BY taken_at LIMIT 1",
                place,
            )
            return str(rows[0][0]) if rows else None

        found = holder()
        if found is not None:
            return found
        names = Interner()
        row = ColumnBatch(
            1,
            {
                "number": FixedColumn(np.array([number], np.uint64)),
                "topic": TextColumn(np.array([names[topic]], np.int32), names),
                "runner": TextColumn(np.array([names[runner]], np.int32), names),
            },
        )
        token = f"schedule:{topic}:{number}"
        return self._client.insert_first(f"{RAW}.scheduled_leases", row, LEASE_COLUMNS, token=token, look=holder)

    def sealed(self, topic: str, topic_id: str) -> Mapping[int, SealedPoint]:
        """How far each partition of this life of the topic is sealed; a life begun anew has the id and a number.

        The newest life and its last offset count, never the clock of whoever sealed them.
        """
        rows = self._client.query(
            "SELECT partition, argMax((last_offset, toUnixTimestamp64Micro(last_received_at)), "
            "(length(incarnation), incarnation, last_offset)) FROM accesstrail.ledger "
            "WHERE topic = {topic:String} "
            "AND (incarnation = {life:String} OR startsWith(incarnation, concat({life:String}, '+'))) "
            "GROUP BY partition",
            {"topic": topic, "life": topic_id},
        )
        return {int(partition): SealedPoint(int(last) + 1, int(received)) for partition, (last, received) in rows}

    def next_slots(self, topic: str) -> Mapping[str, int]:
        """The oldest slot of each detector that is not done for good; none of a detector that was never begun."""
        final = "stage = 'final' AND result = 'done'"
        rows = self._client.query(
            f"SELECT detector, if(countIf({final}) > 0, maxIf(slot, {final}) + 1, min(slot)) "
            "FROM accesstrail.scheduled_runs WHERE topic = {topic:String} GROUP BY detector",
            {"topic": topic},
        )
        return {str(name): int(slot) for name, slot in rows}

    def add_work_items(self, directory: DirectorySnapshot) -> None:
        """Keeps the work items of the last hundred days that this process has not kept yet; repetitions replace."""
        items = directory.work_items
        keys: npt.NDArray[np.uint64]
        keys = first_half(items.cases) ^ (first_half(items.actors) * np.uint64(3))
        keys = keys ^ items.closed_us.view(np.uint64) ^ (items.opened_us.view(np.uint64) * np.uint64(5))
        recent = items.opened_us >= self.now_us() - _ITEM_DAYS * _DAY_US
        fresh = np.flatnonzero(recent & ~np.isin(keys, self._kept_items))
        rows = work_item_rows(items, directory.tenant)
        for first in range(0, len(fresh), _ITEMS_AT_ONCE):
            self._insert("work_items", take_rows(rows, fresh[first : first + _ITEMS_AT_ONCE]), WORK_ITEM_COLUMNS)
        self._kept_items = keys[recent]

    def write_verdicts(self, sql: str, parameters: Mapping[str, Value], versions_id: bytes) -> None:
        """Keeps the rows of a query in `access_explanations`; they never leave the store."""
        names = [spec.name for spec in EXPLANATION_COLUMNS]
        chosen = ", ".join("unhex({versions:String})" if name == "versions_id" else f"`{name}`" for name in names)
        target = ", ".join(f"`{name}`" for name in names)
        self._client.query(
            f"INSERT INTO {RAW}.access_explanations ({target}) SELECT {chosen} FROM ({sql})",
            {**parameters, "versions": versions_id.hex()}, {"insert_deduplicate": 0},
        )  # fmt: skip

    def known_alerts(self, detector: str, ids: Sequence[str]) -> Mapping[str, KnownAlert]:
        """Which of these alerts were written before."""
        rows = self._client.query(
            f"SELECT toString(alert_id), risk, has(reasons, '{WITHDRAWN_REASON}') FROM accesstrail.alerts "
            "WHERE detector = {detector:String} AND alert_id IN ({ids:Array(UUID)})",
            {"detector": detector, "ids": list(ids)},
        )
        return {str(one): KnownAlert(int(risk), bool(withdrawn)) for one, risk, withdrawn in rows}

    def alerts_of_window(self, detector: str, window_end_us: int) -> Sequence[str]:
        """Alerts of a window that were written and not taken back."""
        rows = self._client.query(
            "SELECT toString(alert_id) FROM accesstrail.alerts WHERE detector = {detector:String} "
            f"AND seen['window_end_us'] = {{end:Float64}} AND NOT has(reasons, '{WITHDRAWN_REASON}')",
            {"detector": detector, "end": float(window_end_us)},
        )
        return [str(row[0]) for row in rows]

    def write_alerts(self, rows: ColumnBatch) -> None:
        """Keeps alert rows; a row of the same alert replaces the one before."""
        self._insert("alerts", rows, ALERT_COLUMNS)

    def handled_alerts(self, ids: Sequence[str]) -> Sequence[HandledAlert]:
        """Those of these alerts that incident handling has taken in, as `withdraw` will leave their rows."""
        rows = self._client.query(
            "SELECT toString(alert_id), tenant_id, incident_key, name, JSONExtractString(detail, 'topic'), "
            "JSONExtractString(detail, 'incarnation'), JSONExtractUInt(detail, 'partition'), "
            "JSONExtractUInt(detail, 'offset'), toUnixTimestamp64Micro(at) FROM accesstrail.incident_log "
            "WHERE kind = 'alert' AND alert_id IN ({ids:Array(UUID)}) ORDER BY received_at LIMIT 1 BY alert_id",
            {"ids": list(ids)},
        )
        said = self._said_withdrawn([row[0] for row in rows])
        return [
            HandledAlert(
                one, tenant, key, detector, LogPosition(topic, life, partition), offset, at_us, *said.get(one, ())
            )
            for one, tenant, key, detector, topic, life, partition, offset, at_us in rows
        ]

    def _said_withdrawn(self, ids: Sequence[str]) -> dict[str, tuple[str, tuple[str, ...], str, str, dict[str, float]]]:
        columns = "lower(hex(actor_token)), reasons, explanation_en, explanation_zh, seen"
        rows = self._client.query(
            f"SELECT toString(alert_id), {columns} FROM (SELECT alert_id, actor_token, seen, {_WITHDRAWN_TEXTS} "
            "FROM accesstrail.alerts WHERE batch_id = 0 AND alert_id IN ({ids:Array(UUID)}))",
            {"ids": list(ids)},
        )
        return {one: (actor, tuple(reasons), en, zh, dict(seen)) for one, actor, reasons, en, zh, seen in rows}

    def withdraw(self, ids: Sequence[str]) -> None:
        """Takes alerts back: their rows stay, with risk 0 and the reason."""
        changed = {"risk": "toUInt16(0)", "severity": "'low'", **_WITHDRAWN_AS}
        names = [spec.name for spec in ALERT_COLUMNS]
        target = ", ".join(f"`{name}`" for name in names)
        chosen = ", ".join(changed.get(name, f"`{name}`") for name in names)
        self._client.query(
            f"INSERT INTO {RAW}.alerts ({target}) SELECT {chosen} FROM accesstrail.alerts "
            "WHERE batch_id = 0 AND alert_id IN ({ids:Array(UUID)})",
            {"ids": list(ids)}, {"insert_deduplicate": 0},
        )  # fmt: skip

    def record_run(self, row: ColumnBatch) -> None:
        """Keeps the row of a run."""
        self._insert("scheduled_runs", row, RUN_COLUMNS)

    def _insert(self, table: str, rows: ColumnBatch, specs: Sequence[ColumnSpec]) -> None:
        # A token of its own each time: a server that was killed may know a token whose rows it lost, and here repeated
        # rows replace themselves.
        self._client.insert(f"{RAW}.{table}", rows, specs, token=uuid.uuid4().hex)


def open_schedule(settings: ClickHouseSettings) -> ClickHouseSchedule:
    """The store as the role scheduler. Raises: ConfigError: its password is not configured."""
    if SCHEDULER not in settings.password_files:
        raise ConfigError(["[clickhouse] scheduler_password_file is missing: the scheduler runs as a role of its own"])
    return ClickHouseSchedule(connect(settings, SCHEDULER))
