"""Reads the directory folder: CSV files with a header line, and `work_items.ndjson`; only tokens come out.

The format is a contract: UTF-8, every file optional, unknown columns refused, optional ones may be absent, an empty
cell means unknown. Dates are YYYY-MM-DD, lists are separated by `;`, times are RFC 3339 with an offset. Every fault of
every file is listed in one `DirectoryError` as file:line:column. Faults never quote a value: the folder holds personal
data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import events
from pipeline.adapters.geo import read_geo
from pipeline.adapters.table import Cells, Faults, read_table
from pipeline.columns import NO_TOKEN
from pipeline.directory.snapshot import (
    ActorRow,
    DirectorySnapshot,
    NetworkRow,
    PartnerRow,
    PurposeRow,
    ResourceRow,
    SiteRow,
    SourceRow,
    SubjectRow,
)
from pipeline.directory.work_items import WorkItems
from pipeline.errors import DirectoryError
from pipeline.privacy.keys import Keyring
from pipeline.privacy.masks import mask_text
from pipeline.privacy.tokens import Tokeniser
from pipeline.time_zones import TimeZones

WORK_ITEMS_FILE = "work_items.ndjson"
_WORK_ITEM_FIELDS = frozenset(("case_ref", "actor_id", "subject_id", "kind", "opened_at", "closed_at"))
_STATUSES = ("active", "on_leave", "left")
_NETWORK_KINDS = ("office", "vpn", "home", "cloud", "partner")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAXIMUM_COUNT = 2**31 - 1


def read_directory(
    folder: Path, keyring: Keyring, tenant: str = "default", *, time_zones: Iterable[str] = ()
) -> DirectorySnapshot:
    """The folder as one snapshot, identifiers turned into this tenant's canonical tokens.

    `time_zones`: names of zones to keep besides those of the sites.

    Raises: DirectoryError: the folder is missing, or files have faults (every one is named).
    """
    if not folder.is_dir():
        raise DirectoryError(f"no directory folder at {folder}; create it (every file in it is optional)")
    try:
        return _snapshot(folder, keyring, tenant, TimeZones.of_package(time_zones))
    except (TypeError, ValueError) as exc:
        # Whatever we did not think of is a fault of the folder's too; its words could hold personal data.
        raise DirectoryError(f"the directory folder holds a value that cannot be used ({type(exc).__name__})") from None


def read_sources(folder: Path, keyring: Keyring, tenant: str = "default") -> tuple[SourceRow, ...]:
    """What the folder says of sources, without reading the rest; accounts are read too, since an owner may be one.

    Raises: DirectoryError: these files have faults.
    """
    reader = _FolderReader(folder, keyring, tenant)
    reader.actors()
    rows = reader.sources()
    reader.faults.raise_if_any()
    return rows


def _snapshot(folder: Path, keyring: Keyring, tenant: str, time_zones: TimeZones) -> DirectorySnapshot:
    reader = _FolderReader(folder, keyring, tenant)
    snapshot = DirectorySnapshot(
        tenant=tenant,
        key_version=keyring.canonical.version_id,
        actors=reader.actors(),
        sites=reader.sites(),
        networks=reader.networks(),
        resources=reader.resources(),
        subjects=reader.subjects(),
        sources=reader.sources(),
        partners=reader.partners(),
        purposes=reader.purposes(),
        geo=read_geo(folder, reader.faults),
        work_items=reader.work_items(),
        time_zones=time_zones,
    )
    reader.faults.raise_if_any()
    return snapshot


class _FolderReader:
    """One method a file; faults of all files are collected."""

    def __init__(self, folder: Path, keyring: Keyring, tenant: str) -> None:
        self._folder = folder
        self.faults = Faults()
        # One tokeniser a kind; an identifier that many rows name is hashed once.
        self._tokeniser = cache(lambda kind: cache(Tokeniser(keyring.canonical, tenant, kind)))
        self._actor_ids: set[str] = set()
        self._sites: set[str] | None = None

    def _token(self, kind: str, identifier: str) -> bytes:
        token: bytes = self._tokeniser(kind)(identifier) if identifier else NO_TOKEN
        return token

    def actors(self) -> tuple[ActorRow, ...]:
        """actors.csv."""

        def make(cells: Cells) -> ActorRow:
            actor_id = cells.needed("actor_id")
            self._actor_ids.add(actor_id)
            hired_on, leaves_on = cells.day("hired_on"), cells.day("leaves_on")
            if hired_on is not None and leaves_on is not None and leaves_on < hired_on:
                cells.fault("leaves_on", "is before hired_on")
            return ActorRow(
                token=self._token("actor", actor_id),
                actor_type=cells.word("actor_type", events.ACTOR_TYPES),
                org=cells.text("org"),
                department=cells.text("department"),
                role=cells.text("role"),
                manager=self._token("actor", cells.text("manager_id")),
                site=cells.text("site"),
                hired_on=hired_on,
                leaves_on=leaves_on,
                status=cells.word("status", _STATUSES),
                mfa_required=cells.flag("mfa_required"),
                own_subjects=tuple(self._token("subject", item) for item in cells.texts("own_subject_ids")),
                trained_until=cells.day("trained_until"),
            )

        required = (
            "actor_id", "actor_type", "org", "department", "role", "manager_id", "site", "hired_on", "leaves_on",
            "status", "mfa_required",
        )  # fmt: skip
        return read_table(
            self._folder / "actors.csv",
            required,
            ("own_subject_ids", "trained_until"),
            ("actor_id",),
            make,
            self.faults,
        )

    def sites(self) -> tuple[SiteRow, ...]:
        """sites.csv."""

        def make(cells: Cells) -> SiteRow:
            latitude, longitude = cells.degrees("latitude", 90), cells.degrees("longitude", 180)
            if (latitude is None) != (longitude is None):
                cells.fault("latitude", "needs its longitude, and the other way round")
            return SiteRow(
                cells.needed("site"),
                cells.country("country"),
                cells.text("city"),
                latitude,
                longitude,
                cells.time_zone("time_zone"),
            )

        columns = ("site", "country", "city", "latitude", "longitude", "time_zone")
        return read_table(self._folder / "sites.csv", columns, (), ("site",), make, self.faults)

    def networks(self) -> tuple[NetworkRow, ...]:
        """networks.csv."""

        def make(cells: Cells) -> NetworkRow:
            return NetworkRow(
                cells.cidr("cidr"),
                cells.word("kind", _NETWORK_KINDS),
                cells.text("site"),
                cells.country("country"),
                cells.text("city"),
            )

        columns = ("cidr", "kind", "site", "country", "city")
        return read_table(self._folder / "networks.csv", columns, (), ("cidr",), make, self.faults)

    def resources(self) -> tuple[ResourceRow, ...]:
        """resources.csv."""

        def make(cells: Cells) -> ResourceRow:
            return ResourceRow(
                cells.needed("resource_type"),
                cells.texts("data_categories"),
                cells.whole("sensitivity", 1, 4, empty=0) or 0,
                cells.text("owner_department"),
                cells.word("ids", ("object", "person"), empty_ok=True),
            )

        columns = ("resource_type", "data_categories", "sensitivity", "owner_department")
        return read_table(self._folder / "resources.csv", columns, ("ids",), ("resource_type",), make, self.faults)

    def subjects(self) -> tuple[SubjectRow, ...]:
        """subjects.csv."""

        def make(cells: Cells) -> SubjectRow:
            return SubjectRow(
                self._token("subject", cells.needed("subject_id")),
                cells.text("region"),
                cells.texts("flags", events.SUBJECT_FLAGS),
                self._token("household", cells.text("household")),
            )

        columns = ("subject_id", "region", "flags")
        return read_table(self._folder / "subjects.csv", columns, ("household",), ("subject_id",), make, self.faults)

    def sources(self) -> tuple[SourceRow, ...]:
        """sources.csv."""

        def make(cells: Cells) -> SourceRow:
            owner = cells.text("owner")
            return SourceRow(
                cells.needed("source_system"),
                cells.text("source_instance"),
                cells.whole("max_silence_s", 1, _MAXIMUM_COUNT, empty=0) or 0,
                # A team's name stays readable; a person's account does not.
                f"actor:{self._token('actor', owner).hex()}" if owner in self._actor_ids else mask_text(owner),
            )

        columns = ("source_system", "source_instance", "max_silence_s", "owner")
        return read_table(
            self._folder / "sources.csv", columns, (), ("source_system", "source_instance"), make, self.faults
        )

    def partners(self) -> tuple[PartnerRow, ...]:
        """partners.csv."""

        def make(cells: Cells) -> PartnerRow:
            valid_from, valid_to = cells.day("valid_from"), cells.day("valid_to")
            if valid_from is not None and valid_to is not None and valid_to < valid_from:
                cells.fault("valid_to", "is before valid_from")
            return PartnerRow(
                cells.needed("org"),
                cells.text("contract_id"),
                cells.texts("resource_types"),
                cells.texts("purposes"),
                cells.whole("daily_subject_limit", 0, _MAXIMUM_COUNT),
                valid_from,
                valid_to,
            )

        columns = (
            "org", "contract_id", "resource_types", "purposes", "daily_subject_limit", "valid_from", "valid_to",
        )  # fmt: skip
        return read_table(self._folder / "partners.csv", columns, (), ("org", "contract_id"), make, self.faults)

    def purposes(self) -> tuple[PurposeRow, ...]:
        """purposes.csv."""

        def make(cells: Cells) -> PurposeRow:
            return PurposeRow(
                cells.needed("purpose"),
                cells.texts("departments"),
                cells.texts("resource_types"),
                cells.word("legal_basis", events.LEGAL_BASES, empty_ok=True),
            )

        columns = ("purpose", "departments", "resource_types", "legal_basis")
        return read_table(self._folder / "purposes.csv", columns, (), ("purpose",), make, self.faults)

    def work_items(self) -> WorkItems:
        """work_items.ndjson."""
        path = self._folder / WORK_ITEMS_FILE
        rows: list[list[Any]] = []
        if not path.exists():
            return WorkItems.empty()
        line = 0
        try:
            with path.open(encoding="utf-8-sig") as file:
                for line, text in enumerate(file, start=1):
                    if text.strip():
                        row = self._work_item(f"{path.name}:{line}", text)
                        rows.extend([row] if row is not None else [])
        except OSError as exc:
            self.faults.add(path.name, f"cannot be read: {exc.strerror}")
        except UnicodeDecodeError:
            self.faults.add(f"{path.name}:{line + 1}", "is not UTF-8")
        return WorkItems.from_rows(rows)

    def _work_item(self, place: str, text: str) -> list[Any] | None:
        try:
            item = json.loads(text)
        except (ValueError, RecursionError):
            self.faults.add(place, "is not valid JSON")
            return None
        if not isinstance(item, dict) or not set(item) <= _WORK_ITEM_FIELDS:
            self.faults.add(place, f"must be an object of the fields {', '.join(sorted(_WORK_ITEM_FIELDS))}")
            return None
        before = len(self.faults.messages)
        case, actor, kind = (self._field(place, item, name) for name in ("case_ref", "actor_id", "kind"))
        subject = self._field(place, item, "subject_id", null_ok=True)
        opened, closed = self._time(place, item, "opened_at"), self._time(place, item, "closed_at", null_ok=True)
        if opened is not None and closed is not None and closed < opened:
            self.faults.add(f"{place}:closed_at", "is before opened_at")
        if len(self.faults.messages) > before:
            return None
        return [
            self._token("case", case).hex(),
            self._token("actor", actor).hex(),
            self._token("subject", subject).hex() if subject else "",
            opened,
            closed,
            kind,
        ]

    def _field(self, place: str, item: Mapping[str, Any], name: str, *, null_ok: bool = False) -> str:
        value = item.get(name)
        if value is None and null_ok:
            return ""
        if not isinstance(value, str) or not value:
            self.faults.add(f"{place}:{name}", "must be a non-empty text" + (" or null" if null_ok else ""))
            return ""
        if not value.isprintable() and _LONE_SURROGATE.search(value):
            self.faults.add(f"{place}:{name}", "holds half of a character (a lone surrogate): it was cut in the middle")
            return ""
        return value

    def _time(self, place: str, item: Mapping[str, Any], name: str, *, null_ok: bool = False) -> int | None:
        """UTC microseconds since 1970."""
        value = item.get(name)
        if value is None and null_ok:
            return None
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.faults.add(f"{place}:{name}", "must be an RFC 3339 time with an offset")
            return None
        return (moment - _EPOCH) // timedelta(microseconds=1)
