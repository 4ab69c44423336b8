"""Legal holds in the store: those in force, and rows for new ones.

Place in the flow: read by retention and erasure over any connection that sees the views, written as the database role
responder by `accesstrail hold`, after Kafka has the access event that tells of it. Rows are only added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline.adapters.person_tokens import every_token
from pipeline.adapters.reader_pool import Questions
from pipeline.columns import NO_TOKEN
from pipeline.errors import UsageError
from pipeline.retention.holds import PLACED, RELEASED, Hold, condition_of

RAW, VIEWS = "accesstrail_raw", "accesstrail"
_NO_ID = "00000000-0000-0000-0000-000000000000"
_KINDS = ("actors", "subjects", "credentials")
_TOKENS = ("actor_tokens", "subject_tokens", "credential_tokens")
_HEX = ", ".join(f"arrayMap(one -> lower(hex(one)), {name})" for name in _TOKENS)
_IN_FORCE = (
    f"SELECT toString(hold_id), tenant_id, scope, {_HEX}, toString(incident_id), toUnixTimestamp64Micro(from_time), "
    "toUnixTimestamp64Micro(until_time), reason, lower(hex(by_token)), toUnixTimestamp64Micro(at) "
    f"FROM {VIEWS}.legal_holds_in_force ORDER BY at, hold_id"
)
_BYTES = ", ".join(
    f"arrayMap(one -> toFixedString(unhex(one), 16), {{{name}:Array(String)}})" for name in _TOKENS
)  # fmt: skip
_ADD = (
    f"INSERT INTO {RAW}.legal_holds (hold_id, event_id, kind, tenant_id, scope, {', '.join(_TOKENS)}, incident_id, "
    "from_time, until_time, reason, by_token, at) SELECT {hold_id:UUID}, {event_id:UUID}, {kind:String}, "
    f"{{tenant:String}}, {{scope:String}}, {_BYTES}, {{incident_id:UUID}}, "
    "fromUnixTimestamp64Micro({from_us:Int64}, 'UTC'), fromUnixTimestamp64Micro({until_us:Int64}, 'UTC'), "
    "{reason:String}, toFixedString(unhex({by:String}), 16), fromUnixTimestamp64Micro({at_us:Int64}, 'UTC')"
)
_UNENDED = (
    f"SELECT count() FROM (SELECT run_id FROM {VIEWS}.retention_runs GROUP BY run_id "
    "HAVING countIf(stage = 'deleting') > 0 AND countIf(stage = 'done') = 0)"
)


class HoldReader:
    """Holds over one connection or pool; every method may raise Away or StoreRefused."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def in_force(self) -> list[Hold]:
        """All of them, the oldest first; each names whom it is about by every token that person ever had."""
        return self._about_persons([_hold(row) for row in self._questions.query(_IN_FORCE)])

    def _about_persons(self, holds: list[Hold]) -> list[Hold]:
        """A hold is placed on a person, whatever key signs afterwards."""
        named = {(hold.hold_id, kind): getattr(hold, kind) for hold in holds for kind in _KINDS}
        every = every_token(self._questions, named)
        everybody: list[dict[str, Any]] = [{kind: every[hold.hold_id, kind] for kind in _KINDS} for hold in holds]
        return [replace(hold, **persons) for hold, persons in zip(holds, everybody, strict=True)]

    def one(self, name: str) -> Hold:
        """The hold in force of an id or its beginning. Raises: UsageError: none, or several."""
        found = [one for one in self.in_force() if one.hold_id.startswith(name.lower())]
        if len(found) != 1:
            raise UsageError(f"{len(found) or 'no'} holds in force begin with that id: see `accesstrail hold list`")
        return found[0]

    def is_retention_deleting(self) -> bool:
        """Whether a run of retention was just deleting, so that it may not have seen a new hold."""
        return bool(self._questions.query(_UNENDED)[0][0])

    def holds_of_subject(self, tenant: str, token: str) -> list[Hold]:
        """The holds that keep what is known of a data subject: those that name it, and those that keep any access
        which names it, since whom that access was about must stay known. `token`: hex.
        """
        return [one for one in self.in_force() if one.tenant == tenant and self._keeps(one, tenant, token)]

    def _keeps(self, hold: Hold, tenant: str, token: str) -> bool:
        if token in hold.subjects:
            return True
        condition, given = condition_of([hold])
        sql = (
            f"SELECT 1 FROM {VIEWS}.access_events WHERE tenant_id = {{tenant:String}} AND {condition} "
            "AND has(subject_tokens, toFixedString(unhex({token:String}), 16)) LIMIT 1"
        )
        return bool(self._questions.query(sql, {**given, "tenant": tenant, "token": token}))


class HoldWriter:
    """Adds rows over a connection of the role responder."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def place(self, hold: Hold, event_id: str) -> None:
        """A new hold: in force when this returns."""
        self._questions.query(_ADD, _row(hold, PLACED, event_id))

    def release(self, hold: Hold, event_id: str) -> None:
        """`hold`: the one that ends, with reason, person and time of its release."""
        self._questions.query(_ADD, _row(hold, RELEASED, event_id))


def _hold(row: Sequence[Any]) -> Hold:
    hold_id, tenant, scope, actors, subjects, credentials, incident, from_us, until_us, reason, by, at_us = row
    return Hold(
        hold_id=hold_id, tenant=tenant, scope=scope, actors=tuple(actors), subjects=tuple(subjects),
        credentials=tuple(credentials), incident_id="" if incident == _NO_ID else incident, from_us=from_us,
        until_us=until_us, reason=reason, by="" if by == NO_TOKEN.hex() else by, at_us=at_us,
    )  # fmt: skip


def _row(hold: Hold, kind: str, event_id: str) -> dict[str, object]:
    return {
        "hold_id": hold.hold_id, "event_id": event_id, "kind": kind, "tenant": hold.tenant, "scope": hold.scope,
        "actor_tokens": list(hold.actors), "subject_tokens": list(hold.subjects),
        "credential_tokens": list(hold.credentials), "incident_id": hold.incident_id or _NO_ID,
        "from_us": hold.from_us, "until_us": hold.until_us, "reason": hold.reason, "by": hold.by or NO_TOKEN.hex(),
        "at_us": hold.at_us,
    }  # fmt: skip
