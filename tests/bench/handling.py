"""CPU per alert of incident handling, part by part, and what a key costs in memory; no server needed.

`make bench-handling`. A flood over one account, and one over many: every alert is parsed, applied, and its row encoded
as the store's block; the store and Kafka take everything and keep nothing. Beside it the fold of the log at a takeover.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence

from pipeline.adapters.block import native_rows
from pipeline.adapters.incident_rows import incident_columns, log_columns
from pipeline.events import LogPosition
from pipeline.incident_columns import INCIDENT_COLUMNS, INCIDENT_LOG_COLUMNS
from pipeline.incidents.changes import fold_row
from pipeline.incidents.effects import FreezeEvidence
from pipeline.incidents.escalate import Escalation, Plan
from pipeline.incidents.model import EMPTY, KeyState, LogRow
from pipeline.incidents.records import parse_record
from pipeline.incidents.rules import Rules
from pipeline.response.handling import Asking, handled
from pipeline.response.roles import IncidentSnapshot
from tests.flows import Record, batch_of
from tests.incident_logs import INCARNATION, START_US, TOPIC, alert, encoded

_RUN = 2000
_RULES = Rules(
    escalation=Escalation(plans={one: Plan(channels=("chat",)) for one in ("low", "medium", "high", "critical")})
)
_ASKING = Asking(lambda incident_id, channel, at_us: f"https://accesstrail.example/i/{incident_id}")


class NullStore:
    """Encodes what it is given and keeps the rows."""

    def __init__(self) -> None:
        self.kept: list[LogRow] = []

    def append(
        self,
        rows: Sequence[LogRow],
        snapshots: Sequence[IncidentSnapshot],
        holds: Sequence[FreezeEvidence],
        writer: str,
    ) -> None:
        """One block of rows and one of incidents."""
        self.kept += rows
        native_rows(log_columns(rows, writer), INCIDENT_LOG_COLUMNS)
        native_rows(incident_columns(snapshots), INCIDENT_COLUMNS)


def flood(count: int, accounts: int) -> list[Record]:
    """Alerts as Kafka has them, a thousand a second, round the accounts."""
    made = []
    for number in range(count):
        actor = f"{number % accounts:032x}"
        record = alert(number, incident_key=f"acme:{actor}", actor_token=actor)
        made.append(Record(number, encoded(record), record.incident_key.encode(), START_US // 1000 + number))
    return made


def measure(count: int, accounts: int) -> dict[str, object]:
    """CPU in microseconds a record; bytes a key."""
    records, store, position = flood(count, accounts), NullStore(), LogPosition(TOPIC, INCARNATION, 0)
    runs = [batch_of(records[first : first + _RUN], position) for first in range(0, count, _RUN)]
    states: dict[str, KeyState] = {}
    spent = {"parse": 0.0, "whole": 0.0, "append": 0.0}
    messages = 0
    gc.collect()
    for run in runs:
        spent["parse"] += _cpu(lambda run=run: [parse_record(*one) for one in zip(run.keys, run.values, strict=True)])  # type: ignore[misc]
        begun = time.process_time()
        made = handled(run, states, _RULES, _ASKING)
        spent["whole"] += time.process_time() - begun
        spent["append"] += _cpu(lambda made=made: store.append(made.rows, list(made.snapshots.values()), [], "w"))  # type: ignore[misc]
        states |= made.states
        messages += len(made.messages)
    return {
        "alerts": count,
        "accounts": accounts,
        "messages": messages,
        "parse_us": _each(spent["parse"], count),
        "apply_and_messages_us": _each(spent["whole"] - spent["parse"], count),
        "encode_rows_us": _each(spent["append"], count),
        "handle_us": _each(spent["whole"] + spent["append"], count),
        "fold_us": _each(_cpu(lambda: _fold(store.kept)), count),
        "bytes_a_key": _bytes(lambda: _fold(store.kept)) // accounts,
        "changes_bytes": sum(len(one.changes) for one in store.kept) // count,
    }


def _fold(rows: Iterable[LogRow]) -> dict[str, KeyState]:
    states: dict[str, KeyState] = {}
    for row in rows:
        states[row.incident_key] = fold_row(states.get(row.incident_key, EMPTY), row)
    return states


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _bytes(make: Callable[[], object]) -> int:
    tracemalloc.start()
    made = make()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del made
    return held


def _each(seconds: float, count: int) -> float:
    return round(seconds / count * 1e6, 1)


def main() -> None:
    """Runs the floods and prints one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=20_000)
    options = parser.parse_args()
    for accounts in (1, 1000, options.alerts):
        print(json.dumps(measure(options.alerts, accounts)), flush=True)


if __name__ == "__main__":
    main()
