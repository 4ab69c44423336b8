"""What has had its time in the store, and its deletion, as the database role retention.

Place in the flow: under `accesstrail retention`, whose job keeps the order of steps. Rows go by mutation and only where
their leaf is in `pruned_leaves`: a partition is never dropped, since a row that came in between the look and the drop
would be gone without a trace. Every statement may be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.store import OF_LIFE, of_life
from pipeline.column_batch import uuid_bytes
from pipeline.columns import NO_TOKEN
from pipeline.errors import Away, StoreRefused
from pipeline.events import LogPosition
from pipeline.ledger.verify import Leaves
from pipeline.ports import LedgerEntry
from pipeline.retention.holds import Hold, condition_of, condition_of_dead
from pipeline.retention.runs import DELETING, DONE, PLANNED, RetentionRun
from pipeline.rights_columns import PRUNED_COLUMNS
from pipeline.schedule.alert_rows import rows_of

RAW, VIEWS = "accesstrail_raw", "accesstrail"
EVENTS, DEAD_LETTERS = "access_events", "dead_letters"
ALERTS = "alerts"
BY_POSITION = ("subject_access", "features", ALERTS, "access_explanations", EVENTS, DEAD_LETTERS)
"""Tables with a row an event, in the order in which they are emptied: what is derived first."""
_PLACE = "topic, incarnation, partition, offset"
_GIVEN = ("recipient_type IN ('partner', 'external', 'public')", "dst_country NOT IN ('', 'CN')", "action = 'share'")
_BEFORE = "{} < fromUnixTimestamp64Micro({{{}:Int64}}, 'UTC')"
_CLASS = "retention_class = {class:String}"
_DUE_EVENTS = (
    f"{_CLASS} AND {_BEFORE.format('received_at', 'bound')} AND "
    f"({_BEFORE.format('received_at', 'provision_bound')} OR NOT ({' OR '.join(_GIVEN)}))"
)
_DUE_DEAD = f"{_CLASS} AND {_BEFORE.format('received_at', 'bound')} AND leaf_kind = 'dead_letter'"
_ANNOUNCES = f"event_id IN (SELECT run_id FROM {VIEWS}.retention_runs)"
_RUN = (
    "run_id, retention_class, days, provision_days, toUnixTimestamp64Micro(bound), "
    "toUnixTimestamp64Micro(provision_bound), lower(hex(by_token))"
)
_OF_RUN = "run_id = {run:UUID}"
_LEAVES = f"(SELECT {_PLACE} FROM {RAW}.pruned_leaves WHERE {_OF_RUN})"
_STAGE = (
    f"INSERT INTO {RAW}.retention_runs (run_id, stage, tenant_id, retention_class, days, provision_days, bound, "
    "provision_bound, events, dead_letters, held, kept, by_token, at) SELECT {run:UUID}, {stage:String}, 'default', "
    "{class:String}, {days:UInt32}, {provision_days:UInt32}, fromUnixTimestamp64Micro({bound:Int64}, 'UTC'), "
    "fromUnixTimestamp64Micro({provision_bound:Int64}, 'UTC'), {events:UInt64}, {dead:UInt64}, {held:UInt64}, "
    "{kept:UInt64}, toFixedString(unhex({by:String}), 16), now64(6)"
)
_UNENDED = (
    f"SELECT {_RUN} FROM {VIEWS}.retention_runs WHERE stage = 'planned' AND run_id NOT IN "
    f"(SELECT run_id FROM {VIEWS}.retention_runs WHERE stage = 'done') ORDER BY at LIMIT 1"
)
_LONG: Mapping[str, object] = {"max_execution_time": 600}
_POLL_S, _LONGEST_MUTATION_S = 0.1, 3600.0


@dataclass(frozen=True, slots=True)
class Due:
    """How many rows have had their time. `kept`: announcements of runs, which say what was deleted."""

    events: int
    dead_letters: int
    held: int
    kept: int

    @property
    def is_nothing(self) -> bool:
        """Whether nothing would be deleted."""
        return not (self.events or self.dead_letters)


class RetentionStore:
    """One connection of the role retention (a plan needs only the views); every method may raise Away, StoreRefused."""

    def __init__(self, client: ClickHouse) -> None:
        self._client = client

    def due(self, run: RetentionRun, holds: Sequence[Hold]) -> Due:
        """What the run would delete now, and what keeps the rest."""
        held, given = condition_of(holds)
        dead_held, more = condition_of_dead(holds)
        events = (
            f"SELECT countIf(NOT {held} AND NOT {_ANNOUNCES}), countIf({held}), countIf(NOT {held} AND {_ANNOUNCES}) "
            f"FROM {VIEWS}.{EVENTS} WHERE {_DUE_EVENTS}"
        )
        dead = f"SELECT countIf(NOT {dead_held}), countIf({dead_held}) FROM {VIEWS}.{DEAD_LETTERS} WHERE {_DUE_DEAD}"
        [(gone, kept_held, kept)] = self._client.query(events, {**given, **_of(run)}, _LONG)
        [(dead_gone, dead_kept)] = self._client.query(dead, {**more, **_of(run)}, _LONG)
        return Due(gone, dead_gone, kept_held + dead_kept, kept)

    def places(self, run: RetentionRun, holds: Sequence[Hold]) -> list[tuple[LogPosition, int, int]]:
        """Where rows are due: tree, first and last offset."""
        rows, given = _due_rows(holds, "")
        places = "topic, incarnation, partition"
        sql = f"SELECT {places}, min(offset), max(offset) FROM ({rows}) GROUP BY {places} ORDER BY {places}"
        found = self._client.query(sql, {**given, **_of(run)}, _LONG)
        return [(LogPosition(*place), first, last) for *place, first, last in found]

    def due_offsets(
        self, run: RetentionRun, holds: Sequence[Hold], place: LogPosition, first: int, last: int
    ) -> npt.NDArray[np.int64]:
        """The offsets of a range whose rows the run deletes."""
        rows, given = _due_rows(holds, f" AND {OF_LIFE} AND offset BETWEEN {{first:UInt64}} AND {{last:UInt64}}")
        span = of_life(place)
        found = self._client.query(
            f"SELECT offset FROM ({rows})", {**given, **_of(run), **span, "first": first, "last": last}, _LONG
        )
        return np.array([row[0] for row in found], np.int64)

    def end_before(self, place: LogPosition, offset: int) -> int:
        """Last offset of the newest entry that ends before an offset; -1 where none does."""
        sql = (
            f"SELECT max(toInt64(last_offset)), count() FROM {VIEWS}.ledger WHERE {OF_LIFE} "
            "AND last_offset < {offset:UInt64}"
        )
        span = of_life(place)
        [(last, count)] = self._client.query(sql, {**span, "offset": offset})
        return int(last) if count else -1

    # -- the steps

    def unended(self) -> RetentionRun | None:
        """The oldest run that has begun and not ended."""
        for run_id, name, days, provision, bound, provision_bound, by in self._client.query(_UNENDED):
            return RetentionRun(
                run_id=str(run_id), retention_class=name, days=days, provision_days=provision, bound_us=bound,
                provision_bound_us=provision_bound, by="" if by == NO_TOKEN.hex() else by,
            )  # fmt: skip
        return None

    def note(self, run: RetentionRun, stage: str, due: Due) -> None:
        """Writes a stage."""
        if stage not in (PLANNED, DELETING, DONE):
            raise ValueError(stage)
        counts = {"events": due.events, "dead": due.dead_letters, "held": due.held, "kept": due.kept}
        given = {**_of(run), **counts, "stage": stage, "days": run.days, "provision_days": run.provision_days}
        self._client.query(_STAGE, {**given, "by": run.by or NO_TOKEN.hex()})

    def is_announced(self, run: RetentionRun) -> bool:
        """Whether the access event of the run is in the evidence."""
        sql = f"SELECT count() FROM {VIEWS}.{EVENTS} WHERE event_id = {{run:UUID}}"
        return bool(self._client.query(sql, {"run": run.run_id})[0][0])

    def keep_leaves(
        self, run: RetentionRun, entry: LedgerEntry, leaves: Leaves, chosen: npt.NDArray[np.bool_],
        sources: Sequence[str],
    ) -> None:  # fmt: skip
        """Writes the leaf hashes of an entry's chosen rows; `sources`: table of each chosen row."""
        at = np.flatnonzero(chosen)
        count, now_us = len(at), time.time_ns() // 1000
        if not count:
            return
        values: dict[str, Any] = {
            "partition": [entry.partition] * count, "epoch": [entry.epoch] * count, "offset": leaves.offsets[at],
            "last_offset": leaves.last_offsets[at], "received_at": leaves.received_at_us[at],
            "batch_id": [entry.batch_id] * count, "leaf_hash": [leaves.hashes[row] for row in at.tolist()],
            "run_id": [_uuid(run.run_id)] * count, "pruned_at": [now_us] * count, "topic": [entry.topic] * count,
            "incarnation": [entry.incarnation] * count, "source": list(sources),
            "retention_class": [run.retention_class] * count,
        }  # fmt: skip
        self._client.insert(
            f"{RAW}.pruned_leaves", rows_of(PRUNED_COLUMNS, values, {}, count), PRUNED_COLUMNS, token=None
        )

    def free_held(self, run: RetentionRun, holds: Sequence[Hold]) -> None:
        """Takes the leaves back of rows that a hold keeps now: their rows stay."""
        held, given = condition_of(holds)
        dead_held, more = condition_of_dead(holds)
        for table, condition, parameters in ((EVENTS, held, given), (DEAD_LETTERS, dead_held, more)):
            if condition != "0":
                rows = f"SELECT {_PLACE} FROM {VIEWS}.{table} WHERE {_CLASS} AND {condition}"
                sql = f"ALTER TABLE {RAW}.pruned_leaves DELETE WHERE {_OF_RUN} AND ({_PLACE}) IN ({rows})"
                self._mutate("pruned_leaves", sql, {**parameters, "run": run.run_id, "class": run.retention_class})

    def delete_rows(self, run: RetentionRun, table: str) -> None:
        """Deletes a table's rows whose leaf the run has kept."""
        where = f"({_PLACE}) IN {_LEAVES}"
        if table in (EVENTS, DEAD_LETTERS):
            where = f"{_CLASS} AND {_BEFORE.format('received_at', 'bound')} AND {where}"
        if table == DEAD_LETTERS:
            where = f"leaf_kind = 'dead_letter' AND {where}"
        if table == ALERTS:  # one of a scheduled detector is about a window, and only shows one of its events
            where = f"batch_id != 0 AND {where}"
        self._mutate(table, f"ALTER TABLE {RAW}.{table} DELETE WHERE {where}", _of(run))

    def rebuild(self, run: RetentionRun, table: str, from_rows: str) -> None:
        """Makes a batch table's sums again for the batches that lost rows; `from_rows`: what they are now."""
        batches = f"(SELECT DISTINCT batch_id FROM {RAW}.pruned_leaves WHERE {_OF_RUN})"
        self._mutate(table, f"ALTER TABLE {RAW}.{table} DELETE WHERE batch_id IN {batches}", _of(run))
        # The same rows may come again after a crash: they are no repetition of what was deleted.
        self._client.query(from_rows, _of(run), {**_LONG, "insert_deduplicate": 0})

    def left(self, run: RetentionRun) -> int:
        """Rows that readers see although the run has kept their leaf."""
        sql = " UNION ALL ".join(
            f"SELECT count() AS rows FROM {VIEWS}.{table} WHERE {_CLASS} AND ({_PLACE}) IN {_LEAVES}"
            for table in (EVENTS, DEAD_LETTERS)
        )
        return int(self._client.query(f"SELECT sum(rows) FROM ({sql})", _of(run), _LONG)[0][0])

    def gone(self, run: RetentionRun) -> tuple[int, int]:
        """How many events and dead letters the run deleted."""
        sql = (
            f"SELECT countIf(source = '{EVENTS}'), countIf(source = '{DEAD_LETTERS}') FROM {VIEWS}.pruned_leaves "
            f"WHERE {_OF_RUN}"
        )
        [(events, dead)] = self._client.query(sql, {"run": run.run_id}, _LONG)
        return int(events), int(dead)

    def runs(self) -> list[tuple[Any, ...]]:
        """Every stage of every run, the newest first."""
        sql = (
            "SELECT toString(run_id), stage, retention_class, toUnixTimestamp64Micro(bound), events, dead_letters, "
            f"held, toUnixTimestamp64Micro(at) FROM {VIEWS}.retention_runs ORDER BY at DESC LIMIT 1000"
        )
        return self._client.query(sql)

    def _mutate(self, table: str, sql: str, given: Mapping[str, object]) -> None:
        """Asks for it and waits until it is done. Raises: Away: it takes too long; StoreRefused: it cannot be done."""
        self._client.query(f"{sql} SETTINGS mutations_sync = 0", given)
        until_s = time.monotonic() + _LONGEST_MUTATION_S
        state = (
            f"SELECT count(), countIf(latest_failed_part != '') FROM system.mutations "
            f"WHERE database = '{RAW}' AND table = {{table:String}} AND NOT is_done"
        )
        while True:
            [(waiting, failed)] = self._client.query(state, {"table": table})
            if failed:
                raise StoreRefused(f"rows of {table} cannot be deleted: see system.mutations")
            if not waiting:
                return
            if time.monotonic() > until_s:
                raise Away(f"rows of {table} are still being deleted: run it again", code="store_busy")
            time.sleep(_POLL_S)


def _due_rows(holds: Sequence[Hold], more: str) -> tuple[str, Mapping[str, object]]:
    held, given = condition_of(holds)
    dead_held, dead_given = condition_of_dead(holds)
    sql = (
        f"SELECT {_PLACE} FROM {VIEWS}.{EVENTS} WHERE {_DUE_EVENTS} AND NOT {held} AND NOT {_ANNOUNCES}{more} "
        f"UNION ALL SELECT {_PLACE} FROM {VIEWS}.{DEAD_LETTERS} WHERE {_DUE_DEAD} AND NOT {dead_held}{more}"
    )
    return sql, {**given, **dead_given}


def _uuid(text: str) -> bytes:
    return uuid_bytes(UUID(text))


def _of(run: RetentionRun) -> dict[str, object]:
    return {
        "run": run.run_id, "class": run.retention_class, "bound": run.bound_us,
        "provision_bound": run.provision_bound_us,
    }  # fmt: skip
