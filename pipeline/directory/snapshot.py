"""One state of the directory: immutable rows with tokens in place of identifiers, and its form as artefacts.

A version set (`version_sets/sets.py`) names the artefacts, so a replay reads the very rows a batch was judged by from
the store, never the folder. An artefact is canonical JSON: sorted rows, sorted keys, no spaces, UTF-8; equal content
gives equal bytes. Dates are days since 1970-01-01, times UTC microseconds since then, tokens lower-case hexadecimal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, TypeVar

from pipeline.columns import NO_TOKEN
from pipeline.directory.calendar_cn import WorkingCalendar
from pipeline.directory.work_items import WorkItems
from pipeline.time_zones import TimeZones

FORMAT = 1


@dataclass(frozen=True, slots=True, order=True)
class ActorRow:
    """One account. `manager` NO_TOKEN where unknown; days None where unknown."""

    token: bytes
    actor_type: str
    org: str
    department: str
    role: str
    manager: bytes
    site: str
    hired_on: int | None
    leaves_on: int | None
    status: str
    mfa_required: bool
    own_subjects: tuple[bytes, ...] = ()
    trained_until: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class NetworkRow:
    """One address range (`cidr` in its shortest form)."""

    cidr: str
    kind: str
    site: str
    country: str
    city: str


@dataclass(frozen=True, slots=True, order=True)
class SiteRow:
    """One place of work; degrees None where unknown; `time_zone` "" where the default applies."""

    site: str
    country: str
    city: str
    latitude: float | None
    longitude: float | None
    time_zone: str


@dataclass(frozen=True, slots=True, order=True)
class ResourceRow:
    """One type of resource; `ids` says whether its ids name an `object`, a `person` or are not declared ("")."""

    resource_type: str
    data_categories: tuple[str, ...]
    sensitivity: int
    owner_department: str
    ids: str = ""


@dataclass(frozen=True, slots=True, order=True)
class SubjectRow:
    """One data subject with a region or flags; `household` is a token."""

    token: bytes
    region: str
    flags: tuple[str, ...]
    household: bytes = NO_TOKEN


@dataclass(frozen=True, slots=True, order=True)
class SourceRow:
    """One source that must not fall silent."""

    source_system: str
    source_instance: str
    max_silence_s: int
    owner: str


@dataclass(frozen=True, slots=True, order=True)
class PartnerRow:
    """What one partner organisation may do, and when (days, inclusive)."""

    org: str
    contract_id: str
    resource_types: tuple[str, ...]
    purposes: tuple[str, ...]
    daily_subject_limit: int | None
    valid_from: int | None
    valid_to: int | None


@dataclass(frozen=True, slots=True, order=True)
class PurposeRow:
    """Who may use which data for a purpose."""

    purpose: str
    departments: tuple[str, ...]
    resource_types: tuple[str, ...]
    legal_basis: str


@dataclass(frozen=True, slots=True, order=True)
class GeoRow:
    """Where the addresses of one range are, from an offline table."""

    cidr: str
    country: str
    city: str
    latitude: float | None
    longitude: float | None


Row = TypeVar("Row", ActorRow, NetworkRow, SiteRow, ResourceRow, SubjectRow, SourceRow, PartnerRow, PurposeRow, GeoRow)


@dataclass(frozen=True, kw_only=True)
class DirectorySnapshot:
    """The whole directory of one tenant; `key_version`: of the key of its tokens, which are canonical."""

    tenant: str = "default"
    key_version: str = ""
    actors: tuple[ActorRow, ...] = ()
    networks: tuple[NetworkRow, ...] = ()
    sites: tuple[SiteRow, ...] = ()
    resources: tuple[ResourceRow, ...] = ()
    subjects: tuple[SubjectRow, ...] = ()
    sources: tuple[SourceRow, ...] = ()
    partners: tuple[PartnerRow, ...] = ()
    purposes: tuple[PurposeRow, ...] = ()
    geo: tuple[GeoRow, ...] = ()
    work_items: WorkItems = field(default_factory=WorkItems.empty)
    calendar: WorkingCalendar = field(default_factory=WorkingCalendar.of_package)
    time_zones: TimeZones = field(default_factory=TimeZones)

    def __post_init__(self) -> None:
        # Canonical order: what is derived from a snapshot must not depend on the order of lines in a file.
        for name in _ROW_TYPES:
            object.__setattr__(self, name, tuple(sorted(getattr(self, name))))
        named = self.time_zones.with_names(row.time_zone for row in self.sites if row.time_zone)
        object.__setattr__(self, "time_zones", named)

    @cached_property
    def site_of(self) -> Mapping[str, SiteRow]:
        """Sites by name."""
        return {row.site: row for row in self.sites}

    @cached_property
    def object_types(self) -> frozenset[str]:
        """Resource types whose ids name objects, never persons: `protect` may keep their ids."""
        return frozenset(row.resource_type for row in self.resources if row.ids == "object")

    def artefacts(self) -> dict[str, bytes]:
        """The snapshot as immutable content, one artefact a kind; `from_artefacts` gives it back."""
        head = {"format": FORMAT, "tenant": self.tenant, "key_version": self.key_version}
        made = {name: _canonical({**head, "rows": [_plain(row) for row in getattr(self, name)]}) for name in _ROW_TYPES}
        made["work_items"] = _canonical({**head, "rows": self.work_items.rows()})
        made["calendar"] = self.calendar.content()
        made["time_zones"] = self.time_zones.content()
        return made

    @classmethod
    def from_artefacts(cls, artefacts: Mapping[str, bytes]) -> DirectorySnapshot:
        """The snapshot whose `artefacts()` these are.

        Raises: KeyError, ValueError, TypeError: they are not; artefacts are checked against their id before.
        """
        parsed = {name: json.loads(artefacts[name]) for name in (*_ROW_TYPES, "work_items")}
        formats = {document["format"] for document in parsed.values()}
        if formats != {FORMAT}:
            raise ValueError("directory artefacts of another format")
        shared: dict[Any, Any] = {}
        rows: dict[str, Any] = {
            name: tuple(_row(row_type, values, shared) for values in parsed[name]["rows"])
            for name, row_type in _ROW_TYPES.items()
        }
        return cls(
            tenant=parsed["actors"]["tenant"],
            key_version=parsed["actors"]["key_version"],
            work_items=WorkItems.from_rows(parsed["work_items"]["rows"]),
            calendar=WorkingCalendar.from_content(artefacts["calendar"]),
            time_zones=TimeZones.from_content(artefacts["time_zones"]),
            **rows,
        )


_ROW_TYPES: Mapping[str, type[Any]] = {
    "actors": ActorRow,
    "networks": NetworkRow,
    "sites": SiteRow,
    "resources": ResourceRow,
    "subjects": SubjectRow,
    "sources": SourceRow,
    "partners": PartnerRow,
    "purposes": PurposeRow,
    "geo": GeoRow,
}


def _plain(value: Any) -> Any:  # noqa: ANN401  any field of any row
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return [_plain(getattr(value, spec.name)) for spec in fields(value)]


def _row(row_type: type[Row], values: list[Any], shared: dict[Any, Any]) -> Row:
    """One row from its plain values; the field's annotation says which are tokens and which are lists.

    Equal values are one object by way of `shared`: a hundred thousand rows name the same few departments and managers.
    """
    made = []
    for spec, value in zip(fields(row_type), values, strict=True):
        if spec.type == "bytes":
            value = bytes.fromhex(value)
        elif spec.type == "tuple[bytes, ...]":
            value = tuple(bytes.fromhex(item) for item in value)
        elif spec.type == "tuple[str, ...]":
            value = tuple(value)
        # By type too: equal numbers and flags of two types must stay what they are.
        made.append(shared.setdefault((type(value), value), value))
    return row_type(*made)


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
