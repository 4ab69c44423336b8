"""Records of `access.incidents`, and a small world that handles them: keys, their logs, what the engine emits.

The world keeps one partition in the order of its offsets, as Kafka does; what is emitted is appended to it. It can be
told to lose what is emitted (a crash before it was written) or to write it twice (a crash after it).
"""

from __future__ import annotations

import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.incidents.changes import fold_log
from pipeline.incidents.effects import Effect, Emit, Notify
from pipeline.incidents.fold import Outcome, apply, next_due_us
from pipeline.incidents.model import EMPTY, Incident, KeyState, LogRow, Position
from pipeline.incidents.records import (
    AlertRecord,
    AnyCommand,
    Explanation,
    Record,
    command_from,
    encode_alert,
    encode_command,
)
from pipeline.incidents.rules import Rules

TENANT, ACTOR = "acme", "00112233445566778899aabbccddeeff"
KEY = f"{TENANT}:{ACTOR}"
OTHER_KEY = f"{TENANT}:subject:ffeeddccbbaa99887766554433221100"
TOPIC, INCARNATION = "access.incidents", "inc-1"
START_US = 1_795_000_000_000_000
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US
PERSON, MACHINE = "chen.hua", "system:schedule"


def uuid_of(name: object) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, str(name))


def alert(name: object = 1, **values: Any) -> AlertRecord:
    """An alert; `name` gives its id."""
    given: dict[str, Any] = {
        "alert_id": uuid_of(name), "tenant_id": TENANT, "incident_key": KEY, "topic": "access.events",
        "incarnation": "ev-1", "partition": 3, "offset": 17, "event_time_us": START_US - SECOND_US,
        "actor_token": ACTOR, "detector": "isolation_forest", "risk": 60.0, "severity": "medium",
        "reasons": ("feature:subjects_1h",), "explanation": Explanation(f"Alert {name}.", f"告警 {name}。"),
    }  # fmt: skip
    return AlertRecord(**given | values)


def command(name: str, command_id: object | None = None, **values: Any) -> AnyCommand:
    """A command of a person; without `command_id` one of its own."""
    given: dict[str, Any] = {
        "type": "command", "command": name, "command_id": str(uuid_of(command_id) if command_id else uuid.uuid4()),
        "tenant_id": TENANT, "incident_key": KEY, "by": MACHINE if name == "tick" else PERSON, "at_us": START_US,
    }  # fmt: skip
    if name in ("comment", "contain", "reopen", "suspect_breach"):
        given["why"] = "because"
    return command_from(given | values)


def encoded(record: Record) -> bytes:
    return encode_alert(record) if isinstance(record, AlertRecord) else encode_command(record)  # type: ignore[arg-type]


@dataclass
class World:
    """All keys of one partition. `effects`: everything that was asked for, in order."""

    rules: Rules = field(default_factory=Rules)
    at_us: int = START_US
    states: dict[str, KeyState] = field(default_factory=lambda: defaultdict(lambda: EMPTY))
    rows: list[LogRow] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    pending: deque[Record] = field(default_factory=deque)
    offset: int = 0
    fate: Callable[[Emit], int] = lambda emitted: 1
    """How often an emitted command is really written."""

    def put(self, *records: Record, step_us: int = SECOND_US) -> Outcome:
        """Handles records and what they lead to; the outcome of the last one given."""
        outcome = None
        for record in records:
            self.at_us += step_us
            outcome = self.handle(record)
            while self.pending:
                self.handle(self.pending.popleft())
        assert outcome is not None
        return outcome

    def handle(self, record: Record) -> Outcome:
        """One record at the next offset; emitted commands wait in `pending`."""
        key = record.incident_key
        position = Position(TOPIC, INCARNATION, 0, self.offset)
        self.offset += 1
        outcome = apply(self.states[key], record, position, self.at_us, self.rules)
        assert outcome.log_row is not None
        self.states[key] = outcome.state
        self.rows.append(outcome.log_row)
        self.effects += outcome.effects
        for one in outcome.effects:
            if isinstance(one, Emit):
                self.pending.extend([one.command] * self.fate(one))
        return outcome

    def tick_until_quiet(self, most: int = 50) -> int:
        """Lets time pass and ticks come as they fall due, until nothing is due; how many."""
        for count in range(most):
            due = {key: next_due_us(state, self.rules) for key, state in self.states.items()}
            due = {key: at_us for key, at_us in due.items() if at_us}
            if not due:
                return count
            key = min(due, key=lambda one: due[one])
            self.at_us = max(self.at_us, due[key])
            self.put(command("tick", incident_key=key))
        raise AssertionError("something is due for ever")

    def incident(self, key: str = KEY) -> Incident:
        found = self.states[key].current
        assert found is not None
        return found

    def told(self) -> list[Notify]:
        return [one for one in self.effects if isinstance(one, Notify)]

    def refold(self, key: str = KEY) -> KeyState:
        """The key's state from its rows alone."""
        return fold_log(row for row in self.rows if row.incident_key == key)
