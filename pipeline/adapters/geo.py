"""The optional offline geo table, `geo.csv`: cidr, country, city, latitude, longitude.

No online look-ups, ever: they would tell a third party who works from where. Addresses that are not globally
reachable (private, loopback, link-local, carrier NAT) are never resolved; a table that lists them is refused.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from pipeline.adapters.table import Cells, Faults, read_table
from pipeline.directory.snapshot import GeoRow

GEO_FILE = "geo.csv"
_COLUMNS = ("cidr", "country", "city", "latitude", "longitude")


def read_geo(folder: Path, faults: Faults) -> tuple[GeoRow, ...]:
    """The rows of the folder's geo table; none where there is no such file."""
    return read_table(folder / GEO_FILE, _COLUMNS, (), ("cidr",), _geo_row, faults)


def _geo_row(cells: Cells) -> GeoRow:
    cidr = cells.cidr("cidr")
    if cidr and not ip_network(cidr).is_global:
        cells.fault("cidr", "is no range of public addresses; list it in networks.csv")
    return GeoRow(
        cidr,
        cells.country("country"),
        cells.text("city"),
        cells.degrees("latitude", 90),
        cells.degrees("longitude", 180),
    )
