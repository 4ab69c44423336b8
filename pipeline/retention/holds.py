"""Legal holds: what must not be deleted or erased, whatever its time is.

Place in the flow: placed and released by `accesstrail hold`, and by whoever suspects a breach; asked by retention and
by erasure. A hold keeps the accesses of its accounts, subjects and credentials within its period; one that names none
of these keeps every access of the period. Of several holds each one keeps: the last release frees a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import Forbidden

SUBJECT, ACTOR, INCIDENT, PERIOD, EVERYTHING, BREACH = "subject", "actor", "incident", "period", "everything", "breach"
SCOPES = (SUBJECT, ACTOR, INCIDENT, PERIOD, EVERYTHING, BREACH)
PLACED, RELEASED = "placed", "released"
BEGIN_US, END_US = 0, 4_102_444_800_000_000
"""1970-01-01 and 2100-01-01: where no period is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold. Tokens in hex; event times from `from_us` (included) to `until_us` (not), UTC µs.

    `by`: token of who placed it, "" where a breach was suspected. `scope` only says how it was asked for.
    """

    hold_id: str
    tenant: str
    scope: str
    actors: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    incident_id: str = ""
    from_us: int = BEGIN_US
    until_us: int = END_US
    reason: str = ""
    by: str = ""
    at_us: int = 0

    @property
    def is_of_everybody(self) -> bool:
        """Whether it keeps every access of its period."""
        return not (self.actors or self.subjects or self.credentials)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRow:
    """What a hold looks at in a row. Of a dead letter nothing is known but the time of its receipt."""

    tenant: str
    event_us: int
    actors: tuple[str, ...] = ()
    """Who acted, and for whom."""
    subjects: tuple[str, ...] = ()
    """Data subjects it names, and the resource, which may be one."""
    credential: str = ""
    is_event: bool = True


def holds_on(row: HeldRow, holds: Iterable[Hold]) -> list[Hold]:
    """The holds that keep a row."""
    return [one for one in holds if _keeps(one, row)]


def is_held(row: HeldRow, holds: Iterable[Hold]) -> bool:
    """Whether a row must stay."""
    return any(_keeps(one, row) for one in holds)


def _keeps(hold: Hold, row: HeldRow) -> bool:
    if not hold.from_us <= row.event_us < hold.until_us:
        return False
    if not row.is_event:  # it has no tenant, and whom it is about nobody knows
        return hold.is_of_everybody
    if row.tenant != hold.tenant:
        return False
    return hold.is_of_everybody or bool(
        set(hold.actors) & set(row.actors)
        or set(hold.subjects) & set(row.subjects)
        or (row.credential and row.credential in hold.credentials)
    )


def condition_of(holds: Sequence[Hold]) -> tuple[str, Mapping[str, object]]:
    """The same as a condition on `access_events`, and its typed parameters; equal to `is_held` (tested)."""
    parts: list[str] = []
    given: dict[str, object] = {}
    for number, hold in enumerate(holds):
        name = f"hold_{number}"
        given |= {f"{name}_tenant": hold.tenant, f"{name}_from": hold.from_us, f"{name}_until": hold.until_us}
        parts.append(
            f"(tenant_id = {{{name}_tenant:String}} AND {_within('event_time', name)}{_persons(hold, name, given)})"
        )
    return (f"({' OR '.join(parts)})" if parts else "0"), given


def condition_of_dead(holds: Sequence[Hold]) -> tuple[str, Mapping[str, object]]:
    """The same on `dead_letters`."""
    parts: list[str] = []
    given: dict[str, object] = {}
    for number, hold in enumerate(one for one in holds if one.is_of_everybody):
        name = f"dead_{number}"
        given |= {f"{name}_from": hold.from_us, f"{name}_until": hold.until_us}
        parts.append(f"({_within('received_at', name)})")
    return (f"({' OR '.join(parts)})" if parts else "0"), given


def _within(column: str, name: str) -> str:
    return (
        f"{column} >= fromUnixTimestamp64Micro({{{name}_from:Int64}}, 'UTC') "
        f"AND {column} < fromUnixTimestamp64Micro({{{name}_until:Int64}}, 'UTC')"
    )


def _persons(hold: Hold, name: str, given: dict[str, object]) -> str:
    if hold.is_of_everybody:
        return ""
    looks = {
        "actors": (hold.actors, "(has({}, actor_token) OR has({}, on_behalf_of_token))"),
        "subjects": (hold.subjects, "(has({}, resource_token) OR hasAny({}, subject_tokens))"),
        "credentials": (hold.credentials, "has({}, credential_token)"),
    }
    parts = []
    for kind, (tokens, look) in looks.items():
        if tokens:
            given[f"{name}_{kind}"] = list(tokens)
            values = f"arrayMap(one -> toFixedString(unhex(one), 16), {{{name}_{kind}:Array(String)}})"
            parts.append(look.replace("{}", values))
    return f" AND ({' OR '.join(parts)})"


def refuse_release(hold: Hold, by: str) -> None:
    """Who placed a hold may not release it. Raises: Forbidden `second_person_same`."""
    if hold.by == by:
        raise Forbidden(
            "a hold is released by another person than placed it: ask somebody else with the role dpo",
            code="second_person_same",
        )
