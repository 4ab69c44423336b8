"""Writes the folder that enrichment reads: accounts, places, networks, resources, subjects, partners, work items.

The directory contract, exactly its columns. What enrichment may know is written as a company knows it: some accounts
are missing, some facts are late. Not written: what happens in the simulation beyond that.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.sources.simulate import places
from pipeline.sources.simulate.company import OBJECT_TYPES, RESOURCES, Actor, Company

_ACTOR_COLUMNS = (
    "actor_id", "actor_type", "org", "department", "role", "manager_id", "site", "hired_on", "leaves_on", "status",
    "mfa_required", "own_subject_ids",
)  # fmt: skip


def write_directory(company: Company, folder: Path, work_items: Iterable[dict[str, object]]) -> None:
    """Writes the folder; `work_items` are those of the run, in the order they were made."""
    folder.mkdir(parents=True, exist_ok=True)
    actors = [_actor_row(company, actor) for actor in company.actors if actor.in_directory]
    _write(folder / "actors.csv", _ACTOR_COLUMNS, actors)
    _write(folder / "networks.csv", ("cidr", "kind", "site", "country", "city"), networks(company))
    _write(
        folder / "sites.csv", ("site", "country", "city", "latitude", "longitude", "time_zone"),
        [(s.name, s.country, s.city, s.latitude, s.longitude, s.time_zone) for s in company.sites],
    )  # fmt: skip
    _write(
        folder / "resources.csv", ("resource_type", "data_categories", "sensitivity", "owner_department", "ids"),
        [(name, ";".join(categories), level, "platform", "object" if name in OBJECT_TYPES else "person")
         for name, (categories, level) in RESOURCES.items()],
    )  # fmt: skip
    _write(folder / "subjects.csv", ("subject_id", "region", "flags", "household"), _subjects(company))
    _write(
        folder / "sources.csv", ("source_system", "source_instance", "max_silence_s", "owner"),
        [(one.name, "", one.max_silence_s, "it_operations") for one in company.sources.values()],
    )  # fmt: skip
    _write(
        folder / "partners.csv",
        ("org", "contract_id", "resource_types", "purposes", "daily_subject_limit", "valid_from", "valid_to"),
        [(one.org, one.contract_id, ";".join(one.resource_types), ";".join(one.purposes), one.daily_subject_limit,
          one.valid_from.isoformat(), one.valid_to.isoformat()) for one in company.contracts],
    )  # fmt: skip
    _write(folder / "purposes.csv", ("purpose", "departments", "resource_types", "legal_basis"), _purposes(company))
    if company.network.geo_file:
        _write(
            folder / "geo.csv", ("cidr", "country", "city", "latitude", "longitude"),
            [(f"{one.prefix}.0.0/16", one.country, one.city, one.latitude, one.longitude) for one in places.RANGES],
        )  # fmt: skip
    with (folder / "work_items.ndjson").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(item, separators=(",", ":")) + "\n" for item in work_items)


def _actor_row(company: Company, actor: Actor) -> tuple[object, ...]:
    own = company.customers[actor.customer] if actor.customer >= 0 else ""
    return (
        actor.actor_id, actor.kind, actor.org or "company", actor.department.name, actor.role,
        "" if actor.manager_id == actor.actor_id else actor.manager_id, actor.site.name, actor.hired_on.isoformat(),
        actor.leaves_on.isoformat() if actor.leaves_on else "", actor.status, "true" if actor.human else "false", own,
    )  # fmt: skip


def networks(company: Company) -> list[tuple[object, ...]]:
    """The networks that the company knows, new offices and the tunnel's exits included."""
    rows: list[tuple[object, ...]] = []
    for site in company.sites:
        rows.append((f"{site.prefix}.0.0/16", "office", site.name, site.country, site.city))
        rows.append((f"10.{60 + site.number}.0.0/16", "office", site.name, site.country, site.city))
    rows.append(("10.90.0.0/15", "cloud", company.sites[0].name, company.sites[0].country, company.sites[0].city))
    rows.append(("10.98.0.0/15", "vpn", "", company.sites[0].country, ""))
    rows.append(("203.119.8.0/24", "vpn", "", "SG", "Singapore"))
    rows += [(f"{partner.home_prefix}.0/24", "partner", "", "CN", partner.site.city) for partner in company.partners]
    return rows


def _subjects(company: Company) -> list[tuple[str, str, str, str]]:
    employees = {actor.customer for actor in company.people if actor.customer >= 0}
    listed = sorted({*company.vips, *company.minors, *employees, *company.households})
    groups = (("vip", company.vips), ("minor", company.minors), ("employee", employees))
    flags = {one: ";".join(name for name, members in groups if one in members) for one in listed}
    return [
        (company.customers[one], company.region_of(one), flags[one], company.households.get(one, "")) for one in listed
    ]


def _purposes(company: Company) -> list[tuple[str, str, str, str]]:
    """Which departments may use which records for what; every purpose of the company once."""
    allowed: dict[str, tuple[set[str], set[str]]] = {"delivery": ({"partner"}, set(company.kinds.values()))}
    for department in company.departments:
        names, types = allowed.setdefault(department.purpose, (set(), set()))
        names.add(department.name)
        types.update(department.resource_types)
    basis = {
        "risk_control": "legal_duty",
        "subject_rights": "legal_duty",
        "audit": "legal_duty",
        "marketing": "consent",
    }
    return [
        (purpose, ";".join(sorted(names)), ";".join(sorted(types)), basis.get(purpose, "contract"))
        for purpose, (names, types) in sorted(allowed.items())
    ]


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
