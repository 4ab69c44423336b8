"""Time zones from the installed package `tzdata`, never from the machine: the hour of an access is evidence.

Place in the flow: below the directory, which keeps the zones it names as an artefact of the version set; so neither an
update of the operating system nor one of the package changes what was judged before. Source: IANA time zone database,
as TZif files (RFC 9636).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def zone_data(name: str) -> bytes:
    """The TZif file of a zone. Raises: ZoneInfoNotFoundError: the package knows none of this name."""
    parts = name.split("/")
    if not all(part and part.isascii() and part[0].isalpha() and ".." not in part for part in parts):
        raise ZoneInfoNotFoundError(f"no time zone named {name!r}")
    try:
        data = resources.files("tzdata").joinpath("zoneinfo", *parts).read_bytes()
    except OSError:
        raise ZoneInfoNotFoundError(f"no time zone named {name!r}") from None
    if not data.startswith(b"TZif"):
        raise ZoneInfoNotFoundError(f"no time zone named {name!r}")
    return data


@dataclass(frozen=True)
class TimeZones:
    """Zones by name, as they were when the directory was read."""

    data: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of_package(cls, names: Iterable[str]) -> TimeZones:
        """These zones as the installed package has them. Raises: ZoneInfoNotFoundError."""
        return cls({name: zone_data(name) for name in sorted(set(names))})

    def with_names(self, names: Iterable[str]) -> TimeZones:
        """With the package's zones of these names, where they are not there yet."""
        missing = set(names) - self.data.keys()
        return TimeZones({**self.data, **TimeZones.of_package(missing).data}) if missing else self

    def zone(self, name: str) -> ZoneInfo:
        """A zone; the package's where none of this name was kept."""
        return _zone(name, self.data.get(name) or zone_data(name))

    def content(self) -> bytes:
        """The zones as an artefact: canonical JSON, TZif in hexadecimal."""
        shown = {name: data.hex() for name, data in self.data.items()}
        return json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_content(cls, content: bytes) -> TimeZones:
        """The zones whose `content()` this is."""
        return cls({name: bytes.fromhex(data) for name, data in json.loads(content).items()})


@lru_cache(maxsize=1024)
def _zone(name: str, data: bytes) -> ZoneInfo:
    """One object for equal zones, whichever directory names them: what is computed from one is remembered by it."""
    return ZoneInfo.from_file(io.BytesIO(data), key=name)
