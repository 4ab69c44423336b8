"""The directory as arrays and tables: what `enrich` looks an event up in, built once a snapshot.

Row 0 of the actor arrays is the account nobody listed. Texts get their ids from one interner a stored column, which
the enriched columns share with what events themselves said.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import reduce
from ipaddress import IPv6Address
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from detectors.base import NO_LOCATION
from pipeline import events
from pipeline.column_batch import Interner
from pipeline.columns import NO_TOKEN
from pipeline.directory.networks import PrefixTable
from pipeline.directory.registers import ContractRegister, PurposeRegister
from pipeline.directory.snapshot import DirectorySnapshot, GeoRow, NetworkRow, SiteRow
from pipeline.directory.text_map import TextMap
from pipeline.directory.work_items import first_half

UNKNOWN_DAY = np.iinfo(np.int32).min
FULL_ENTRIES = 1 << 16
CHINA = "CN"
CHINA_ZONES = frozenset(
    ("Asia/Shanghai", "Asia/Urumqi", "Asia/Chongqing", "Asia/Chungking", "Asia/Harbin", "Asia/Kashgar", "PRC")
)
FLAG_BIT = {flag: 1 << place for place, flag in enumerate(events.SUBJECT_FLAGS)}
_STATUS = events.codes(events.ACTOR_STATUSES)
_NETWORK = events.codes(events.NETWORK_KINDS)
_NO_SITE = SiteRow("", "", "", None, None, "")


def country_code(text: str) -> int:
    """Two letters packed big-endian, 0 where there is none: the detectors' form of a country."""
    return int.from_bytes(text.encode("ascii"), "big") if len(text) == 2 and text.isascii() else 0


@dataclass(slots=True)
class ActorArrays:
    """What the directory says about each actor, by row (row 0: unlisted)."""

    rows: dict[bytes, int]
    zones: npt.NDArray[np.int32]
    in_china: npt.NDArray[np.bool_]
    home_countries: npt.NDArray[np.uint16]
    hired_on: npt.NDArray[np.int32]
    leaves_on: npt.NDArray[np.int32]
    statuses: npt.NDArray[np.uint8]
    orgs: npt.NDArray[np.int32]
    departments: npt.NDArray[np.int32]
    roles: npt.NDArray[np.int32]
    peer_groups: npt.NDArray[np.int32]  # -1: the group of the actor's type
    regions: npt.NDArray[np.int32]  # (rows, 3): what the actor's own region may be called
    own_subjects: npt.NDArray[np.uint64]  # (rows, k): first halves, 0 where none


_ADDRESS = np.dtype(
    [
        ("kind", "u1"),
        ("site", "<i4"),
        ("country", "<i4"),
        ("city", "<i4"),
        ("latitude", "<f4"),
        ("longitude", "<f4"),
    ]
)


class AddressMemo(dict[bytes, int]):
    """Address (16 bytes, IPv4 mapped) → row of what is known about it; row 0 is the absent address."""

    def __init__(self, directory: DirectorySnapshot, interners: dict[str, Interner]) -> None:
        super().__init__({NO_TOKEN: 0})
        self._networks = PrefixTable[NetworkRow]((row.cidr, row) for row in directory.networks)
        self._geo = PrefixTable[GeoRow]((row.cidr, row) for row in directory.geo)
        self._sites = directory.site_of
        self._cities = {(row.country, row.city): row for row in reversed(directory.sites) if row.latitude is not None}
        self._interners = interners
        self._rows = bytearray(self._row(0, "", "", "", None, None))

    def __missing__(self, address: bytes) -> int:
        row = len(self._rows) // _ADDRESS.itemsize
        self._rows += self._resolve(address)
        self[address] = row
        return row

    def of(self, addresses: npt.NDArray[np.generic]) -> npt.NDArray[np.void]:
        """What is known about each address, structured (n,)."""
        rows = np.fromiter(map(self.__getitem__, addresses.tolist()), np.int32, len(addresses))
        known: npt.NDArray[np.void] = np.frombuffer(self._rows, _ADDRESS)[rows]
        return known

    def _resolve(self, address: bytes) -> bytes:
        """Listed networks first (with their site's place), else the geo table, public addresses only."""
        network = self._networks.find(address)
        if network is not None:
            site = self._sites.get(network.site, _NO_SITE)
            country, city = network.country or site.country, network.city or site.city
            place = site if site.latitude is not None else self._cities.get((country, city), _NO_SITE)
            return self._row(_NETWORK[network.kind], network.site, country, city, place.latitude, place.longitude)
        unlisted = _NETWORK["unlisted"]
        parsed = IPv6Address(address)
        geo = self._geo.find(address) if (parsed.ipv4_mapped or parsed).is_global else None
        if geo is None:
            return self._row(unlisted, "", "", "", None, None)
        return self._row(unlisted, "", geo.country, geo.city, geo.latitude, geo.longitude)

    def _row(
        self, kind: int, site: str, country: str, city: str, latitude: float | None, longitude: float | None
    ) -> bytes:
        known = latitude is not None and longitude is not None
        values = (
            kind,
            self._interners["network_site"][site],
            self._interners["src_country"][country],
            self._interners["src_city"][city],
            latitude if known else NO_LOCATION,
            longitude if known else NO_LOCATION,
        )
        return np.array(values, _ADDRESS).tobytes()


class DirectoryIndex:
    """One snapshot, ready to be asked; also the home of the interners of all enriched columns."""

    def __init__(self, directory: DirectorySnapshot, default_time_zone: str) -> None:
        self.directory = directory
        self.default_time_zone = default_time_zone
        self.interners: defaultdict[str, Interner] = defaultdict(Interner)
        self._zone_places: dict[str, int] = {}
        self.zones: list[ZoneInfo] = []
        self._zone(default_time_zone)
        self.peer_groups: list[str] = ["type:", *(f"type:{word}" for word in events.ACTOR_TYPES)]
        self.addresses = AddressMemo(directory, self.interners)
        self.actors = self._actor_arrays()
        self._index_subjects()
        resources = {row.resource_type: row for row in directory.resources}
        categories = self.interners["data_categories"]
        self.sensitivities = TextMap("u1", lambda name: resources[name].sensitivity if name in resources else 0)
        self.category_lists: list[list[int]] = [[]]
        listed: dict[str, int] = {}
        for row in directory.resources:
            listed[row.resource_type] = len(self.category_lists)
            self.category_lists.append([categories[word] for word in row.data_categories])
        self.category_rows = TextMap(np.int32, lambda name: listed.get(name, 0))
        self.purposes = PurposeRegister(directory.purposes)
        self.contracts = ContractRegister(directory.partners)

    @property
    def full(self) -> bool:
        """Whether memory grew so much that a fresh index is due (between two batches)."""
        return len(self.addresses) > FULL_ENTRIES or any(
            len(interner.texts) > FULL_ENTRIES for interner in self.interners.values()
        )

    def subjects_known(self, halves: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Row of each subject in `subject_flags` and `subject_regions`, 0 where the directory has none; (s,)."""
        if len(self._subject_halves) == 1:
            return np.zeros(len(halves), np.int64)
        place = np.minimum(np.searchsorted(self._subject_halves, halves), len(self._subject_halves) - 1)
        return np.where(self._subject_halves[place] == halves, place, 0)

    def _index_subjects(self) -> None:
        """Sorted first halves of the subjects' tokens with their flags and regions; row 0 stands for none."""
        rows = self.directory.subjects
        halves = first_half(np.frombuffer(b"".join(row.token for row in rows), "V16"))
        order = np.argsort(halves, kind="stable")
        regions = self.interners["subject_region"]
        flags = [reduce(int.__or__, (FLAG_BIT[flag] for flag in row.flags), 0) for row in rows]
        self._subject_halves = np.concatenate((np.zeros(1, np.uint64), halves[order]))
        self.subject_flags = np.concatenate((np.zeros(1, np.uint8), np.array(flags, np.uint8)[order]))
        region_ids = np.array([regions[row.region] for row in rows], np.int32)
        self.subject_regions = np.concatenate((np.zeros(1, np.int32), region_ids[order]))
        self._index_households(order)

    def _index_households(self, order: npt.NDArray[np.int64]) -> None:
        """Each subject's household and those of each actor's own subjects, first halves of tokens; 0 none.

        `own_households` has no columns where no actor has one: then nothing need be compared.
        """
        rows = self.directory.subjects
        halves = first_half(np.frombuffer(b"".join(row.household for row in rows), "V16"))
        self.subject_households = np.concatenate((np.zeros(1, np.uint64), halves[order]))
        own = self.actors.own_subjects
        known = self.subject_households[self.subjects_known(own.ravel())].reshape(own.shape)
        self.own_households = known[:, known.any(axis=0)]

    def _zone(self, name: str) -> int:
        place = self._zone_places.setdefault(name, len(self.zones))
        if place == len(self.zones):
            self.zones.append(self.directory.time_zones.zone(name))
        return place

    def _peer_group(self, department: str, role: str) -> int:
        if not department and not role:
            return -1
        name = f"{department}/{role}"
        return self._group_places.setdefault(name, len(self.peer_groups) + len(self._group_places))

    def _actor_arrays(self) -> ActorArrays:
        self._group_places: dict[str, int] = {}
        rows, text = self.directory.actors, self.interners
        sites = [_NO_SITE, *(self.directory.site_of.get(row.site, _NO_SITE) for row in rows)]
        default_country = self._default_country()
        countries = [site.country or (default_country if site is _NO_SITE else "") for site in sites]
        most_own = max((len(row.own_subjects) for row in rows), default=0)
        own = np.zeros((len(rows) + 1, most_own), np.uint64)
        for place, row in enumerate(rows, start=1):
            own[place, : len(row.own_subjects)] = [int.from_bytes(token[:8], "little") for token in row.own_subjects]
        regions = [[text["subject_region"][name] for name in (site.site, site.city, site.country)] for site in sites]
        arrays = ActorArrays(
            rows={row.token: place for place, row in enumerate(rows, start=1)},
            zones=np.array([self._zone(site.time_zone or self.default_time_zone) for site in sites], np.int32),
            in_china=np.array(
                [
                    country == CHINA or (not country and (site.time_zone or self.default_time_zone) in CHINA_ZONES)
                    for site, country in zip(sites, countries, strict=True)
                ]
            ),
            home_countries=np.array([country_code(country) for country in countries], np.uint16),
            hired_on=np.array(
                [UNKNOWN_DAY] + [UNKNOWN_DAY if row.hired_on is None else row.hired_on for row in rows], np.int32
            ),
            leaves_on=np.array(
                [UNKNOWN_DAY] + [UNKNOWN_DAY if row.leaves_on is None else row.leaves_on for row in rows], np.int32
            ),
            statuses=np.array([_STATUS["unlisted"], *(_STATUS[row.status] for row in rows)], np.uint8),
            orgs=np.array([0, *(text["actor_org"][row.org] for row in rows)], np.int32),
            departments=np.array([0, *(text["actor_dept"][row.department] for row in rows)], np.int32),
            roles=np.array([0, *(text["actor_role"][row.role] for row in rows)], np.int32),
            peer_groups=np.array([-1, *(self._peer_group(row.department, row.role) for row in rows)], np.int32),
            regions=np.array(regions, np.int32),
            own_subjects=own,
        )
        self.peer_groups.extend(self._group_places)
        return arrays

    def _default_country(self) -> str:
        """The country of actors without a site: the one whose time the default zone is."""
        if self.default_time_zone in CHINA_ZONES:
            return CHINA
        return next((row.country for row in self.directory.sites if row.time_zone == self.default_time_zone), "")
