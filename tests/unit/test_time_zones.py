"""Zones come from the package and stay as they were recorded: no machine's own table reaches evidence."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.directory import read_directory
from pipeline.directory import DirectorySnapshot
from pipeline.directory.index import DirectoryIndex
from pipeline.directory.local_time import local_days_and_hours
from pipeline.privacy.keys import Keyring
from pipeline.time_zones import TimeZones, zone_data

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
SITES = "site,country,city,latitude,longitude,time_zone\nv,CA,,,,America/Vancouver\n"


@pytest.fixture
def another_machine(tmp_path: Path) -> Iterator[None]:
    """A machine whose own table says that it is always UTC, everywhere."""
    for name in ("America/Vancouver", "Asia/Shanghai"):
        path = tmp_path / "zones" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zone_data("Etc/UTC"))
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([str(tmp_path / "zones")])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath(before)
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.usefixtures("another_machine")
def test_the_machines_own_table_is_not_asked() -> None:
    assert zoneinfo.ZoneInfo("Asia/Shanghai").utcoffset(NOON) == timedelta(0)
    assert TimeZones().zone("Asia/Shanghai").utcoffset(NOON) == timedelta(hours=8)


@pytest.mark.parametrize(
    "name", ["", "Asia", "Mars/Olympus", "../zoneinfo/Asia/Shanghai", "/etc/passwd", "tzdata.zi", "Asia/"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(zoneinfo.ZoneInfoNotFoundError):
        zone_data(name)


def test_a_recorded_zone_stays_what_it_was(tmp_path: Path) -> None:
    """The package says something else since: a replay goes by what was recorded."""
    (tmp_path / "sites.csv").write_text(SITES, encoding="utf-8")
    artefacts = read_directory(tmp_path, Keyring.offline(), time_zones=["Asia/Shanghai"]).artefacts()
    old = TimeZones({"America/Vancouver": zone_data("Etc/GMT+9"), "Asia/Shanghai": zone_data("Etc/GMT-9")})
    recorded = DirectorySnapshot.from_artefacts({**artefacts, "time_zones": old.content()})
    assert recorded.artefacts()["time_zones"] == old.content()
    index = DirectoryIndex(recorded, "Asia/Shanghai")
    times_us = np.array([int(NOON.timestamp() * 1e6)])
    assert local_days_and_hours(times_us, np.array([0], np.int32), index.zones)[1].tolist() == [21]
    assert [zone.utcoffset(NOON) for zone in index.zones] == [timedelta(hours=9)]


def test_zones_of_sites_and_the_default_are_kept(tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text(SITES, encoding="utf-8")
    snapshot = read_directory(tmp_path, Keyring.offline(), time_zones=["Asia/Shanghai"])
    assert sorted(snapshot.time_zones.data) == ["America/Vancouver", "Asia/Shanghai"]
    assert DirectorySnapshot.from_artefacts(snapshot.artefacts()) == snapshot
