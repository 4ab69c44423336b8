"""Which accesses an incident is about, and how many persons they concern, asked of the store as the role reader.

Place in the flow: asked by `accesstrail incidents breach`, whenever it tells of the clock or writes a step, and by
`accesstrail incidents exclusions`. Counted are successful accesses of whoever the incident is about, in the time its
alerts lie in or a person has named; denied ones gave nothing away, repeated ones are counted once. Every value is a
typed parameter.

Two numbers are upper bounds, which is the strict reading: flags and regions are an event's, so that of an event with
several subjects all count as minors where one is. One is a lower bound: events that say how many subjects they touched
without listing them count under `unlisted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.adapters.reader_pool import Questions
from pipeline.breach.model import Counted
from pipeline.breach.record import Period
from pipeline.incidents.records import WITHDRAWN_REASON
from pipeline.same_person import same_person

SENSITIVE_FROM = 3
"""Sensitivity of 4 from which information counts as sensitive, as the detectors have it."""
EU = (
    "EU", "EEA", "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV", "LT",
    "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE", "IS", "LI", "NO",
)  # fmt: skip
"""Regions of subjects where the GDPR holds: member states and the EEA by ISO 3166 code."""
_LARGEST_AMOUNT = 10**12
_TOKENS = {"credential": "credential_token = {}", "subject": "has(subject_tokens, {})"}
"""Conditions on `person_events`: keys of incidents hold canonical tokens."""
_TEXTS = {"endpoint": "endpoint", "partner": "actor_org", "source": "concat(source_system, '/', source_instance)"}
_FIRST = (
    "if(mapContains(seen, 'window_start_us'), toInt64(seen['window_start_us']), toUnixTimestamp64Micro(event_time))"
)
_LAST = "if(mapContains(seen, 'window_end_us'), toInt64(seen['window_end_us']) - 1, toUnixTimestamp64Micro(event_time))"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose accesses, and when. `incident_key`: `tenant:actor`, or `tenant:kind:value` for others than one actor."""

    tenant_id: str
    incident_key: str
    period: Period

    @property
    def kind(self) -> str:
        """What the key names: `actor`, or the kind that it says."""
        return self._rest[0] if len(self._rest) > 1 else "actor"

    @property
    def value(self) -> str:
        """Whom or what it names."""
        return self._rest[-1]

    @property
    def _rest(self) -> list[str]:
        return self.incident_key.removeprefix(self.tenant_id + ":").split(":", 1)


@dataclass(frozen=True, slots=True)
class SubjectCounts:
    """`counted` at the store's present; `unlisted`: subjects that events count without naming them."""

    counted: Counted
    unlisted: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class KnownIncident:
    """What evidence needs of an incident. Ids as text, "" where it is part of none."""

    incident_id: str
    tenant_id: str
    incident_key: str
    state: str
    verdict: str
    merged_into: str


@dataclass(frozen=True, slots=True)
class AlertPlace:
    """The event that an alert names, and the time it is about: one moment, or a scheduled detector's window."""

    event_id: str
    period: Period


class IncidentEvidence:
    """Questions to the store; all raise Away or StoreRefused."""

    def __init__(self, reader: Questions) -> None:
        self._reader = reader

    def family(self, incident_id: str) -> Sequence[KnownIncident]:
        """An incident and those that were merged into it."""
        return self._incidents("incident_id = {id:UUID} OR merged_into = {id:UUID}", {"id": incident_id})

    def teaching_nothing(self) -> Sequence[KnownIncident]:
        """Incidents whose accesses no model should learn from: true positives, and those nobody has judged yet."""
        return self._incidents("verdict = 'true_positive' OR state != 'resolved'", {})

    def _incidents(self, where: str, parameters: dict[str, Any]) -> Sequence[KnownIncident]:
        sql = (
            "SELECT toString(incident_id), tenant_id, incident_key, state, verdict, "
            "if(merged_into = toUUID('00000000-0000-0000-0000-000000000000'), '', toString(merged_into)) "
            f"FROM accesstrail.incidents WHERE {where} ORDER BY opened_at, incident_id"
        )
        return [KnownIncident(*map(str, row)) for row in self._reader.query(sql, parameters)]

    def alerts(self, incident_id: str) -> Sequence[AlertPlace]:
        """The places of an incident's alerts, those that were taken back excepted."""
        sql = (
            f"SELECT toString(event_id), {_FIRST}, {_LAST} FROM accesstrail.alerts WHERE alert_id IN "
            "(SELECT alert_id FROM accesstrail.incident_log WHERE incident_id = {id:UUID} AND kind = 'alert') "
            f"AND NOT has(reasons, '{WITHDRAWN_REASON}') ORDER BY event_time, alert_id"
        )
        rows = self._reader.query(sql, {"id": incident_id})
        return [AlertPlace(str(row[0]), Period(int(row[1]), int(row[2]))) for row in rows]

    def event_ids(self, scopes: Sequence[Scope]) -> Sequence[str]:
        """Ids of all accesses in these scopes, denied ones included, in order."""
        where, parameters = _condition(scopes)
        sql = (
            f"SELECT DISTINCT toString(event_id) AS id FROM accesstrail.person_events WHERE duplicate_of < 0 "
            f"AND ({where}) ORDER BY id"
        )
        return [str(row[0]) for row in self._reader.query(sql, parameters)]

    def counted(self, scopes: Sequence[Scope]) -> SubjectCounts:
        """Distinct subjects over all scopes together, and what else the clock asks for."""
        where, parameters = _condition(scopes)
        sql = (
            "SELECT toUnixTimestamp64Micro(now64(6)), uniqExactArray(subject_tokens), "
            "uniqExactArrayIf(subject_tokens, sensitivity >= {sensitive:UInt8}), "
            "uniqExactArrayIf(subject_tokens, has(subject_flags, 'minor')), "
            "uniqExactArrayIf(subject_tokens, upper(subject_region) IN {eu:Array(String)}), "
            "sum(least(toUInt64(greatest(if(records_returned < 0, subject_count, records_returned), 0)), "
            "{largest:UInt64})), "
            "groupUniqArrayArray(data_categories), "
            "sum(least(toUInt64(greatest(subject_count - toInt64(length(subject_tokens)), 0)), {largest:UInt64})), "
            f"count() FROM accesstrail.person_events WHERE duplicate_of < 0 AND outcome = 'success' AND ({where})"
        )
        fixed = {"sensitive": SENSITIVE_FROM, "eu": list(EU), "largest": _LARGEST_AMOUNT}
        ((now_us, everybody, sensitive, minors, eu, records, categories, unlisted, events),) = self._reader.query(
            sql, {**fixed, **parameters}
        )
        counted = Counted(
            at_us=int(now_us), subjects_all=int(everybody), subjects_sensitive=int(sensitive), minors=int(minors),
            subjects_eu=int(eu), records=int(records), categories=frozenset(map(str, categories)),
        )  # fmt: skip
        return SubjectCounts(counted, int(unlisted), int(events))


def _condition(scopes: Iterable[Scope]) -> tuple[str, dict[str, Any]]:
    """Any of the scopes as SQL; one that names nobody (a campaign, the system itself) is none."""
    question = _Question()
    for scope in scopes:
        question.add(scope)
    return " OR ".join(question.conditions) or "0", question.parameters


@dataclass(slots=True)
class _Question:
    conditions: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)

    def add(self, scope: Scope) -> None:
        """One scope more."""
        number, condition = len(self.conditions), ""
        token = f"toFixedString(unhex({{value_{number}:String}}), 16)"
        if scope.kind == "actor" and _is_token(scope.value):  # what the table is sorted by
            condition = f"stored_actor_token IN ({same_person(f'SELECT {token}')})"
        elif scope.kind in _TOKENS and _is_token(scope.value):
            condition = _TOKENS[scope.kind].format(token)
        elif scope.kind in _TEXTS:
            condition = f"{_TEXTS[scope.kind]} = {{value_{number}:String}}"
        if not condition:
            return
        self.conditions.append(
            f"(tenant_id = {{tenant_{number}:String}} AND {condition} "
            f"AND event_time >= fromUnixTimestamp64Micro({{first_{number}:Int64}}, 'UTC') "
            f"AND event_time <= fromUnixTimestamp64Micro({{last_{number}:Int64}}, 'UTC'))"
        )
        self.parameters |= {
            f"tenant_{number}": scope.tenant_id, f"value_{number}": scope.value,
            f"first_{number}": scope.period.from_us, f"last_{number}": scope.period.to_us,
        }  # fmt: skip


def _is_token(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef")
