"""Settings of incident handling: the table `[incidents]`, checked as a whole at start.

Place in the flow: read once beside `pipeline/config.py`; gives the rules the fold is called with and the flood limits.
Every fault is listed, not only the first, with the place in the file. Example:

    [incidents]
    reopen_within_hours = 168
    [incidents.severity.critical]
    channels = ["pager", "chat"]
    acknowledge_within_s = 300
    layers = ["lead", "head"]
    repeat_every_s = 1800
    [incidents.severity.low]
    channels = ["chat"]
    hours = "office"
    [incidents.layer.lead]
    channels = ["phone-lead"]
    [incidents.hours.office]
    zone = "Asia/Shanghai"
    workdays = "09:00-12:00,13:00-18:00"
    china_calendar = true
    [[incidents.maintenance]]
    name = "migration of the CRM"
    from = "2026-12-05T22:00:00+08:00"
    until = "2026-12-06T04:00:00+08:00"
    detectors = ["bulk_export"]
    [incidents.flood]
    per_minute = 10
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from pipeline.directory.calendar_cn import WorkingCalendar, epoch_day
from pipeline.errors import ConfigError
from pipeline.events import SEVERITIES
from pipeline.incidents.duty_hours import MINUTES_A_DAY, WEEKDAYS, DutyHours, Hours, chinese_days
from pipeline.incidents.escalate import Escalation, Layer, MaintenanceWindow, Plan
from pipeline.incidents.flood import FloodLimits
from pipeline.incidents.rules import Rules
from pipeline.settings_table import SettingsTable
from pipeline.time_zones import TimeZones
from pipeline.timestamps import utc_us

SECTION = "incidents"
WORKDAYS = "workdays"
MUST_BE_TOLD = ("high", "critical")
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_HOUR_US, _SECOND_US = 3_600_000_000, 1_000_000
_YEAR_S = 366 * 86_400
_LONGEST_WINDOW_US = 31 * 24 * _HOUR_US


@dataclass(frozen=True, slots=True)
class IncidentSettings:
    """What the table says."""

    rules: Rules
    flood: FloodLimits


def incident_settings(
    raw: Mapping[str, Any], channels: Collection[str], detectors: Collection[str], calendar: WorkingCalendar
) -> IncidentSettings:
    """The settings of the table `[incidents]` (`raw`: its content; empty: nobody is told, defaults otherwise).

    `channels`, `detectors`: the names there are. Raises: ConfigError: with every fault found.
    """
    faults: list[str] = []
    top = SettingsTable(raw, SECTION, faults)
    reader = _Reader(top, frozenset(channels), frozenset(detectors), calendar)
    settings = reader.settings()
    top.unknown()
    if faults:
        raise ConfigError(faults)
    return settings


class _Reader:
    """Makes settings of the tables."""

    def __init__(
        self, top: SettingsTable, channels: Collection[str], detectors: Collection[str], calendar: WorkingCalendar
    ) -> None:
        self._top, self._channels, self._detectors, self._calendar = top, channels, detectors, calendar

    def settings(self) -> IncidentSettings:
        top = self._top
        rules = Rules(
            reopen_within_us=top.whole("reopen_within_hours", 168, 0, 8784) * _HOUR_US,
            rise=top.whole("rise", 15, 1, 100) * 100,
            ask_again_us=top.whole("ask_again_s", 60, 1, 3600) * _SECOND_US,
            detector_caps=self._caps(),
            escalation=Escalation(
                plans=self._plans(),
                maintenance=tuple(self._window(one) for one in top.rows("maintenance")),
                update_interval_s=top.whole("update_interval_s", 300, 0, 86_400),
                most_updates=top.whole("most_updates", 10, 0, 1000),
            ),
        )
        return IncidentSettings(rules, self._flood())

    def _caps(self) -> dict[str, int]:
        table = self._top.table("detector_caps")
        for name in table.said():
            if name not in self._detectors:
                table.fault(f"there is no detector {name!r}")
        return {name: table.whole(name, 100, 1, 100) * 100 for name in table.said()}

    def _flood(self) -> FloodLimits:
        table = self._top.table("flood")
        per_minute = table.whole("per_minute", 10, 1, 1000)
        reserved = table.whole("reserved", min(3, per_minute - 1), 0, 999)
        worst = table.whole("worst", 10, 1, 10)
        if reserved >= per_minute:
            table.fault("reserved must be less than per_minute: ordinary messages need room too")
            reserved = 0
        table.unknown()
        return FloodLimits(per_minute, reserved, worst=worst)

    # -- who is told

    def _plans(self) -> dict[str, Plan]:
        hours = {name: self._hours(one) for name, one in self._top.tables("hours").items()}
        layers = {name: self._layer(name, one) for name, one in self._top.tables("layer").items()}
        tables = self._top.tables("severity")
        for name, table in tables.items():
            if name not in SEVERITIES:
                table.fault(f"there is no such severity: {', '.join(SEVERITIES)}")
        plans = {name: self._plan(one, layers, hours) for name, one in tables.items()}
        for name in MUST_BE_TOLD if plans else ():
            if name not in plans or not plans[name].channels:
                self._top.fault(f"severity.{name} has no channels: nobody would be told of it")
        return plans

    def _plan(self, table: SettingsTable, layers: Mapping[str, Layer], hours: Mapping[str, DutyHours]) -> Plan:
        within_s = table.whole("acknowledge_within_s", 0, 0, _YEAR_S)
        names = table.names("layers", layers, "layer")
        repeat_s = table.whole("repeat_every_s", 0, 0, _YEAR_S)
        on_duty = table.text("hours", "always")
        if on_duty != "always" and on_duty not in hours:
            table.fault(f"hours: there are no hours {on_duty!r}")
        if (names or repeat_s) and not within_s:
            table.fault("layers and repeat_every_s need acknowledge_within_s: else nobody is ever called further")
        if 0 < within_s < 30 or 0 < repeat_s < 30:
            table.fault("acknowledge_within_s and repeat_every_s must be 30 or more: nobody reads faster")
        plan = Plan(
            channels=table.names("channels", self._channels, "channel"),
            acknowledge_within_s=within_s,
            layers=tuple(layers[one] for one in names if one in layers),
            hours=hours.get(on_duty),
            repeat_every_s=repeat_s,
        )
        table.unknown()
        return plan

    def _layer(self, name: str, table: SettingsTable) -> Layer:
        channels = table.names("channels", self._channels, "channel")
        if not channels:
            table.fault("channels must name at least one")
        within_s = table.whole("acknowledge_within_s", 0, 0, _YEAR_S)
        table.unknown()
        return Layer(name=name, channels=channels, acknowledge_within_s=within_s)

    # -- when

    def _hours(self, table: SettingsTable) -> DutyHours:
        zone = table.text("zone")
        zones = TimeZones()
        try:
            zones = zones.with_names([zone] if zone else [])
        except ZoneInfoNotFoundError:
            table.fault(f"zone: no time zone named {zone!r}")
        workdays = _spans(table, WORKDAYS, ())
        weekly = tuple(_spans(table, name, workdays if number < 5 else ()) for name, number in WEEKDAYS.items())
        if not any(weekly):
            table.fault("no hours at all: say workdays, or mon to sun, as 09:00-12:00,13:00-18:00")
        off, worked = chinese_days(self._calendar) if table.flag("china_calendar") else (frozenset(), frozenset())
        days_off, days_worked = _days(table, "days_off"), _days(table, "days_worked")
        if both := days_off & days_worked:
            table.fault(f"{len(both)} day(s) are in both days_off and days_worked")
        table.unknown()
        return DutyHours(zone, weekly, (off - days_worked) | days_off, (worked - days_off) | days_worked, zones)

    def _window(self, table: SettingsTable) -> MaintenanceWindow:
        name = table.text("name")
        from_us, until_us = _time(table, "from"), _time(table, "until")
        if from_us is not None and until_us is not None and not 0 < until_us - from_us <= _LONGEST_WINDOW_US:
            table.fault("until must come after from, by 31 days at most")
        window = MaintenanceWindow(
            name=name,
            from_us=from_us or 0,
            until_us=until_us or 0,
            detectors=frozenset(table.names("detectors", self._detectors, "detector")),
            incident_keys=frozenset(table.texts("incident_keys")),
        )
        table.unknown()
        return window


def _spans(table: SettingsTable, key: str, default: Hours) -> Hours:
    text = table.text(key, "-")
    if text == "-":
        return default
    if text == "closed":
        return ()
    spans = [_SPAN.fullmatch(part.strip()) for part in text.split(",")]
    minutes = [
        (int(span[1]) * 60 + int(span[2]), int(span[3]) * 60 + int(span[4])) for span in spans if span is not None
    ]
    borders = [border for span in minutes for border in span]
    is_ordered = all(one < other for one, other in pairwise(borders))
    if None in spans or not is_ordered or borders[-1] > MINUTES_A_DAY:
        table.fault(f"{key} must be spans of the day in order, as 09:00-12:00,13:00-18:00, or closed")
        return default
    return tuple(minutes)


def _days(table: SettingsTable, key: str) -> frozenset[int]:
    found = set()
    for text in table.texts(key):
        try:
            found.add(epoch_day(date.fromisoformat(text)))
        except ValueError:
            table.fault(f"{key} must be dates as 2026-12-31")
            break
    return frozenset(found)


def _time(table: SettingsTable, key: str) -> int | None:
    text = table.text(key)
    if not text:
        return None
    try:
        return utc_us(text)
    except ValueError:
        table.fault(f"{key} must be an RFC 3339 time with a zone, as 2026-12-05T22:00:00+08:00")
        return None
