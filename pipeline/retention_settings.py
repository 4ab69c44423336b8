"""How long rows are kept: classes and their times, checked against what the law asks at least.

Place in the flow: read with the rest of the configuration. Six months: Cybersecurity Law art. 23(3) (as amended, in
force 2026-01-01). Three years for records of provision to others: Network Data Security Regulations art. 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

PRODUCTION, TEST = "production", "test"
PROFILES = (PRODUCTION, TEST)
FLOOR_DAYS, PROVISION_FLOOR_DAYS = 184, 1096
DEFAULT_CLASSES: Mapping[str, int] = {"standard": 396}
DEFAULT_PROVISION_DAYS, LONGEST_DAYS = 1127, 36_500
DEFAULT_HOUR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """Days by class; rows of a class that is not named here stay. `provision_days`: what was handed to others.

    `nightly`: the scheduler deletes what has had its time, each night from `nightly_hour` on, local time.
    """

    profile: str = PRODUCTION
    classes: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULT_CLASSES))
    provision_days: int = DEFAULT_PROVISION_DAYS
    nightly: bool = False
    nightly_hour: int = DEFAULT_HOUR


class RetentionReader(Protocol):
    """Values of the configuration by section and key; what is wrong goes to `faults`."""

    faults: list[str]

    def choice(self, section: str, key: str, words: tuple[str, ...]) -> str:
        """One of these words."""
        ...

    def whole(self, section: str, key: str, default: int, low: int, high: int) -> int:
        """A whole number of the range."""
        ...

    def flag(self, section: str, key: str) -> bool:
        """True or false."""
        ...

    def inner_tables(self, section: str, key: str) -> Mapping[str, Any]:
        """A table within the section."""
        ...


def retention_settings(reader: RetentionReader) -> RetentionSettings:
    """Reads and checks the section [retention]."""
    profile = reader.choice("retention", "profile", PROFILES)
    classes = _classes(profile, reader.inner_tables("retention", "classes"), reader.faults)
    provision_days = reader.whole("retention", "provision_days", DEFAULT_PROVISION_DAYS, 1, LONGEST_DAYS)
    if profile == PRODUCTION and provision_days < PROVISION_FLOOR_DAYS:
        reader.faults.append(
            f"[retention] provision_days must be {PROVISION_FLOOR_DAYS} or more: such records are kept three years"
        )
    return RetentionSettings(
        profile=profile, classes=classes, provision_days=provision_days,
        nightly=reader.flag("retention", "nightly"),
        nightly_hour=reader.whole("retention", "nightly_hour", DEFAULT_HOUR, 0, 23),
    )  # fmt: skip


def _classes(profile: str, named: Mapping[str, object], faults: list[str]) -> dict[str, int]:
    """Days by class."""
    classes: dict[str, int] = {}
    for name, days in (named or DEFAULT_CLASSES).items():
        if type(days) is not int or not 1 <= days <= LONGEST_DAYS:
            faults.append(f"[retention.classes] {name} must be a whole number of days from 1 to {LONGEST_DAYS:,}")
        elif profile == PRODUCTION and days < FLOOR_DAYS:
            faults.append(
                f"[retention.classes] {name} must be {FLOOR_DAYS} days or more: logs are kept six months at least"
            )
        else:
            classes[name] = days
    return classes
