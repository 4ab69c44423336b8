"""The live runner of scheduled detectors over a store in memory, whose findings a test says."""

from __future__ import annotations

import dataclasses
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from detectors.scheduled import SCHEDULED
from detectors.scheduled.base import HOUR_US, Finding, Row, ScheduledDetector, Value, Verdict, Words
from pipeline.column_batch import ColumnBatch, FixedColumn, MapColumn
from pipeline.directory import DirectorySnapshot
from pipeline.errors import AccesstrailError
from pipeline.events import LogPosition
from pipeline.incidents.records import WITHDRAWN
from pipeline.schedule.alert_rows import FINAL
from pipeline.schedule.runner import (
    HandledAlert,
    KnownAlert,
    LogEnd,
    Runner,
    SealedPoint,
    Versions,
)

ZONE = ZoneInfo("Asia/Shanghai")
TOPIC = "access.events"
START_US = 1_790_000_000_000_000 // HOUR_US * HOUR_US
SLOT = START_US // HOUR_US
VERSIONS = Versions(bytes(32), DirectorySnapshot(), ZONE)
_BASE = next(one for one in SCHEDULED if one.name == "credential_many_places")


def judge(row: Row) -> Verdict:
    return Verdict(int(row["risk"]), Words("{n} seen.", "看到 {n}。"), {"n": float(row["n"])})


def detector(name: str = "first", **more: Any) -> ScheduledDetector:
    """An hourly detector whose findings are the rows the store holds for it."""
    cadence = dataclasses.replace(_BASE.cadence, **{"lateness_s": 900, "quiet_slots": 3, "early_s": 300, **more})
    return dataclasses.replace(_BASE, name=name, cadence=cadence, sql=name, judge=judge, parameters=())


class Store:
    """Implements `ScheduleStore`: rows by detector and slot, everything written kept."""

    def __init__(self) -> None:
        self.at_us = START_US
        self.findings: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.alerts: dict[str, tuple[int, str, int, bool]] = {}
        self.runs: list[tuple[str, int, str, str]] = []
        self.held: list[tuple[str, Mapping[str, int], int]] = []
        """Of each run its stage, what each exception or noise kept back, and how much was found."""
        self.holder = ""
        self.leases: dict[int, str] = {}
        self.when_asked: Callable[[], None] = lambda: None
        self.faults: dict[str, list[AccesstrailError]] = defaultdict(list)
        self.asked: list[tuple[str, int, str, str]] = []
        self.points: Mapping[int, SealedPoint] = {0: SealedPoint(1, 0)}
        self.items: list[DirectorySnapshot] = []

    def fault(self, step: str) -> None:
        if self.faults[step]:
            raise self.faults[step].pop(0)

    def rows(self, sql: str, parameters: Mapping[str, Value]) -> list[dict[str, Any]]:
        self.fault(f"ask {sql}")
        slot = int(str(parameters["first_slot"]))
        self.asked.append((sql, slot, str(parameters["until"]), str(parameters["received_before"])))
        self.when_asked()
        return [row for row in self.findings[sql] if slot <= row["slot"] <= int(str(parameters["last_slot"]))]

    def now_us(self) -> int:
        return self.at_us

    def lease(self, topic: str, number: int, runner: str) -> str:
        return self.holder or self.leases.setdefault(number, runner)

    def sealed(self, topic: str, topic_id: str) -> Mapping[int, SealedPoint]:
        self.fault("sealed")
        return self.points

    def next_slots(self, topic: str) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for name in {run[0] for run in self.runs}:
            slots = [slot for run, slot, *_ in self.runs if run == name]
            final = [slot for run, slot, stage, result in self.runs if (run, stage, result) == (name, FINAL, "done")]
            found[name] = max(final) + 1 if final else min(slots)
        return found

    def add_work_items(self, directory: DirectorySnapshot) -> None:
        self.items.append(directory)

    def write_verdicts(self, sql: str, parameters: Mapping[str, Value], versions_id: bytes) -> None:
        raise AssertionError("only unexplained_access has verdicts")

    def known_alerts(self, detector: str, ids: Sequence[str]) -> Mapping[str, KnownAlert]:
        return {one: KnownAlert(self.alerts[one][0], self.alerts[one][3]) for one in ids if one in self.alerts}

    def alerts_of_window(self, detector: str, window_end_us: int) -> Sequence[str]:
        here = (detector, window_end_us, False)
        return [one for one, (_, *rest) in self.alerts.items() if tuple(rest) == here]

    def write_alerts(self, rows: ColumnBatch) -> None:
        self.fault("write")
        names, seen = rows.text("detector"), rows.columns["seen"]
        values = seen.values.values.tolist()  # type: ignore[union-attr]
        keys = [seen.keys.interner.texts[number] for number in seen.keys.ids]  # type: ignore[union-attr]
        begin = 0
        for row, end in enumerate(seen.ends.tolist()):  # type: ignore[union-attr]
            numbers = dict(zip(keys[begin:end], values[begin:end], strict=True))
            raw = bytes(rows.fixed("alert_id")[row])
            identity = str(uuid.UUID(bytes=raw[7::-1] + raw[:7:-1]))
            name = names.interner.texts[int(names.ids[row])]
            risk = int(rows.fixed("risk")[row])
            self.alerts[identity] = (risk, name, int(numbers["window_end_us"]), False)
            begin = end

    def handled_alerts(self, ids: Sequence[str]) -> Sequence[HandledAlert]:
        at = LogPosition(TOPIC, "life", 0)
        return [HandledAlert(one, "default", f"default:k:{one}", self.alerts[one][1], at, 0, 0) for one in ids]

    def withdraw(self, ids: Sequence[str]) -> None:
        self.fault("withdraw")
        for one in ids:
            _, name, end, _ = self.alerts[one]
            self.alerts[one] = (0, name, end, True)

    def record_run(self, row: ColumnBatch) -> None:
        self.fault("record")
        text = {
            name: row.text(name).interner.texts[int(row.text(name).ids[0])] for name in ("detector", "stage", "result")
        }
        self.runs.append((text["detector"], int(row.fixed("slot")[0]), text["stage"], text["result"]))
        column = row.columns["held_back"]
        assert isinstance(column, MapColumn)
        assert isinstance(column.values, FixedColumn)
        keys = [column.keys.interner.texts[number] for number in column.keys.ids.tolist()]
        counts = dict(zip(keys, column.values.values.tolist(), strict=True))
        self.held.append((text["stage"], counts, int(row.fixed("findings")[0])))

    # -- what tests say

    def found(self, name: str, slot: int, key: str = "k", risk: int = 8000, n: int = 1) -> None:
        self.findings[name].append(
            {
                "tenant_id": "default", "slot": slot, "key": key, "risk": risk, "n": n, "event_time_us": slot * HOUR_US,
                "received_at_us": slot * HOUR_US, "event_id": str(uuid.UUID(int=slot)), "actor": "00" * 16,
                "topic": TOPIC, "incarnation": "life", "partition": 0, "offset": slot, "sensitivity": 3,
            }
        )  # fmt: skip


class Published:
    """Implements `FindingPublisher`."""

    def __init__(self, store: Store) -> None:
        self.told: list[tuple[str, str]] = []
        self._store = store

    def publish_findings(self, findings: Sequence[tuple[str, str, Finding]], stage: str) -> None:
        self._store.fault("publish")
        self.told += [(alert, stage) for alert, _, _ in findings]

    def publish_withdrawn(self, alerts: Sequence[HandledAlert]) -> None:
        self._store.fault("publish withdrawn")
        self.told += [(alert.alert_id, WITHDRAWN) for alert in alerts]


def runner(
    store: Store, *detectors: ScheduledDetector, versions: Versions | None = VERSIONS, name: str = "me",
    go_on: Callable[[], bool] = lambda: True, retention: Callable[[int, Versions], None] | None = None,
) -> tuple[Runner, Published]:  # fmt: skip
    published = Published(store)
    made = Runner(
        TOPIC, name, store, published, lambda: ("life", {0: LogEnd(1)}), lambda: versions, retention_class="standard",
        detectors=detectors or (detector(),), go_on=go_on, retention=retention,
    )  # fmt: skip
    return made, published


def advance(store: Store, made: Runner, hours: float) -> None:
    """Time passes, and the runner has its turn."""
    store.at_us += round(hours * HOUR_US)
    made.tick()
