"""How a record changed a key's state, as small JSON in the log's row; and the state as a fold of those rows.

Place in the flow: `fold.apply` writes `changes`, `fold_log` reads them back from the store at a takeover. Why changes
and not whole states: a flood of 10,000 alerts would write 10,000 growing states. Why changes and not the record once
more: rules may have been others when it was consumed; what was decided then stays decided.

Bounded: plain fields once each, of every mapping only the entries that changed; a record touches one alert and at most
one entry of a mapping (a command about a merge: one). The largest row is one whose explanations change: below 32 KiB
(tested at the limits of every field).
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from pipeline.incidents.alert_book import Place
from pipeline.incidents.model import EMPTY, KEPT_COMMANDS, Incident, KeyState, LogRow

MAX_CHANGES_BYTES = 32 * 1024
_MAPPINGS = ("detectors", "links", "children", "containments")
_PLAIN = tuple(name for name in Incident.__struct_fields__ if name not in (*_MAPPINGS, "ordinal"))
_plain_values, _mappings = attrgetter(*_PLAIN), attrgetter(*_MAPPINGS)
_BLANK = Incident()


def _optional_fields() -> list[tuple[str, Any, Any]]:
    types = {one.name: one.type for one in msgspec.structs.fields(Incident)}
    return [(name, types[name] | UnsetType, UNSET) for name in (*_PLAIN, *_MAPPINGS)]


_Partial: Any = msgspec.defstruct("_Partial", _optional_fields(), frozen=True, kw_only=True)


class _Changes(Struct, frozen=True, omit_defaults=True):
    """`ordinal` 0: of no incident. `dropped`: mapping → keys that left. `alert`: id, place. `command`: id to keep."""

    ordinal: int = 0
    after: _Partial = _Partial()
    dropped: dict[str, list[str]] = {}
    alert: tuple[UUID, int, int] | None = None
    command: str = ""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Changes)
_NONE = "{}"


def changes_of(
    before: Incident | None, after: Incident | None, alert: tuple[UUID, Place] | None, command_id: str
) -> str:
    """What a record changed: of an incident (`before` None: it is new), of the alert book, of remembered commands."""
    if after is before and alert is None and not command_id:
        return _NONE
    marked = (alert[0], *alert[1]) if alert else None
    if after is None or after is before:
        return _ENCODER.encode(_Changes(alert=marked, command=command_id)).decode()
    old = before or _BLANK
    changed: dict[str, Any] = {}
    for name, value, former in zip(_PLAIN, _plain_values(after), _plain_values(old), strict=True):
        if value is not former and value != former:
            changed[name] = value
    dropped: dict[str, list[str]] = {}
    for name, value, former in zip(_MAPPINGS, _mappings(after), _mappings(old), strict=True):
        if value is former:
            continue
        put = {key: one for key, one in value.items() if former.get(key) != one}
        if put:
            changed[name] = put
        if gone := [key for key in former if key not in value]:
            dropped[name] = gone
    return _ENCODER.encode(_Changes(after.ordinal, _Partial(**changed), dropped, marked, command_id)).decode()


def next_state(state: KeyState, after: Incident | None, alert: tuple[UUID, Place] | None, command_id: str) -> KeyState:
    """The state once a record's changes are made; its position is not among them."""
    if after is not None:
        state = state.with_incident(after)
    if alert is not None:
        state = msgspec.structs.replace(state, alerts=state.alerts.with_alert(alert[0].bytes, alert[1]))
    if command_id:
        state = msgspec.structs.replace(state, commands=(*state.commands, command_id)[-KEPT_COMMANDS:])
    return state


def fold_row(state: KeyState, row: LogRow) -> KeyState:
    """The state after one more row of the key's log. Raises: msgspec.MsgspecError: the row's changes are not ours."""
    changes = _DECODER.decode(row.changes)
    after: Incident | None = None
    if changes.ordinal:
        former = state.by_ordinal(changes.ordinal) or Incident(ordinal=changes.ordinal)
        after = _changed(former, changes)
    alert = (changes.alert[0], (changes.alert[1], changes.alert[2])) if changes.alert else None
    return msgspec.structs.replace(next_state(state, after, alert, changes.command), position=row.position)


def _changed(former: Incident, changes: _Changes) -> Incident:
    values: dict[str, Any] = {}
    for name in _Partial.__struct_fields__:
        value = getattr(changes.after, name)
        if value is not UNSET:
            values[name] = {**getattr(former, name), **value} if name in _MAPPINGS else value
    for name, keys in changes.dropped.items():
        whole = values.get(name, getattr(former, name))
        values[name] = {key: one for key, one in whole.items() if key not in keys}
    return msgspec.structs.replace(former, **values)


def fold_log(rows: Iterable[LogRow]) -> KeyState:
    """A key's state from its rows, in the order of the log. Raises: msgspec.MsgspecError: changes that are not ours."""
    state = EMPTY
    for row in rows:
        state = fold_row(state, row)
    return state
