"""What a verdict teaches: exceptions for what was benign, exclusions from training for what was not.

Place in the flow: exceptions are made by the mechanism of `accesstrail exceptions`, exclusions written in the format of
`accesstrail train --exclude`. Exclusions name events, never people: here only tokens are known.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import click

from detectors.base import MODEL_DETECTOR
from detectors.exceptions import DAY_US, OF_EVENTS, OF_WINDOWS, STATE_KEYS, AlertException, checked
from detectors.rules import all_rules
from pipeline.accounts.model import Account
from pipeline.adapters.breach_counts import AlertPlace, KnownIncident, Scope
from pipeline.audit.incidents import IncidentView
from pipeline.breach.record import Period
from pipeline.cli.changing import changing, finish, refuse_unusable
from pipeline.cli.table import moment_of
from pipeline.config import Settings
from pipeline.errors import UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.exceptions import add_exception

# -- exceptions


@dataclass(frozen=True, slots=True)
class ExceptionWish:
    """An exception for whomever a benign incident is about. `up_to`: level of the model, None: no model in it."""

    scope: Mapping[str, str]
    detectors: tuple[str, ...]
    up_to: int | None
    owner: str
    reason: str
    days: int

    @classmethod
    def of(cls, incident: IncidentView, owner: str, reason: str, days: int) -> ExceptionWish:
        """Raises: UsageError: nobody can be named by what the incident is about, or no detector can be kept quiet."""
        scope = _scope_of(incident)
        highest = {name: risk for name, risk in incident.detectors.items() if _can_ask(name, scope)}
        if not highest:
            raise UsageError(
                f"no exception can be made of incident {incident.incident_id[:8]}: none of its detectors can be kept "
                "quiet about what it is about; see `accesstrail exceptions add`"
            )
        return cls(scope, tuple(sorted(highest)), highest.get(MODEL_DETECTOR), owner, reason, days)


def _scope_of(incident: IncidentView) -> dict[str, str]:
    named = Scope(incident.tenant_id, incident.incident_key, Period(0, 0))
    if named.kind in ("actor", "subject", "credential", "endpoint", "partner"):
        return {named.kind: named.value}
    if named.kind == "source" and "/" in named.value:
        system, instance = named.value.split("/", 1)
        return {"source_system": system, "source_instance": instance}
    return {}


def _can_ask(detector: str, scope: Mapping[str, str]) -> bool:
    if detector in STATE_KEYS:
        known: Sequence[str] = OF_WINDOWS[STATE_KEYS[detector]]
    elif detector == MODEL_DETECTOR or detector in {rule.name for rule in all_rules()}:
        known = OF_EVENTS
    else:
        return False
    return bool(scope) and set(scope) <= set(known)


def make_exception(settings: Settings, wish: ExceptionWish, account: Account, *, as_json: bool) -> int:
    """Puts it in force. Raises: UsageError: refused; Away; ConfigError."""
    keyring = Keyring.load(settings.protection.token_keys_file).canonical
    now_us = time.time_ns() // 1000
    exception = checked(
        AlertException(
            scope=wish.scope, detectors=wish.detectors, up_to=wish.up_to, reason=wish.reason,
            owner=keyring.token(DEFAULT_TENANT, "actor", wish.owner).hex(), key_version=keyring.version_id,
            created_us=now_us, valid_from_us=now_us, valid_until_us=now_us + wish.days * DAY_US,
        )
    )  # fmt: skip
    with changing(settings) as change:
        newest = change.access.activations.newest(settings.kafka.events_topic)
        if newest is not None:
            refuse_unusable(change, newest.versions_id)
        made = add_exception(change.activator, change.access, exception, Requester(account.name))
        if not as_json:
            click.echo(f"exception {exception.exception_id} until {moment_of(exception.valid_until_us)}")
        return finish(change, made, as_json=as_json, said={"exception_id": exception.exception_id})


# -- exclusions

TRUE_POSITIVE, DISPUTED = "true_positive", "disputed"


class Evidence(Protocol):
    """What exclusions ask of the store (`adapters.breach_counts.IncidentEvidence`)."""

    def teaching_nothing(self) -> Sequence[KnownIncident]:
        """True positives and open incidents."""
        ...

    def alerts(self, incident_id: str) -> Sequence[AlertPlace]:
        """Places of an incident's alerts."""
        ...

    def event_ids(self, scopes: Sequence[Scope]) -> Sequence[str]:
        """Ids of all accesses in these scopes."""
        ...


def exclusion_lines(evidence: Evidence) -> Iterator[str]:
    """Lines for `train --exclude`, one an event, each event once.

    Of a true positive: the events its alerts name, and what lies in the windows of its scheduled detectors. Of one that
    nobody has judged: everything of whoever it is about, from its first alert to its last.
    """
    why: dict[str, str] = {}
    known = evidence.teaching_nothing()
    for one in sorted(known, key=lambda each: each.verdict != TRUE_POSITIVE):
        found = evidence.alerts(one.incident_id)
        for event_id in _events_of(evidence, one, found):
            why.setdefault(event_id, TRUE_POSITIVE if one.verdict == TRUE_POSITIVE else DISPUTED)
    for event_id in sorted(why):
        yield json.dumps({"event_id": event_id, "why": why[event_id]})


def _events_of(evidence: Evidence, one: KnownIncident, alerts: Sequence[AlertPlace]) -> Iterable[str]:
    if not alerts:
        return ()
    if one.verdict == TRUE_POSITIVE:
        periods = _joined(place.period for place in alerts if place.period.from_us < place.period.to_us)
    else:
        periods = [Period(min(at.period.from_us for at in alerts), max(at.period.to_us for at in alerts))]
    scopes = [Scope(one.tenant_id, one.incident_key, period) for period in periods]
    around = evidence.event_ids(scopes) if scopes else ()
    return (*(place.event_id for place in alerts), *around)


def _joined(periods: Iterable[Period]) -> list[Period]:
    """The same time in as few periods as it takes."""
    joined: list[Period] = []
    for one in sorted(periods, key=lambda each: (each.from_us, each.to_us)):
        if joined and one.from_us <= joined[-1].to_us:
            joined[-1] = Period(joined[-1].from_us, max(joined[-1].to_us, one.to_us))
        else:
            joined.append(one)
    return joined
