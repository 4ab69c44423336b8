"""Settings of incident handling: what a table means, and every fault of a wrong one at once."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Any

import pytest

from pipeline.directory.calendar_cn import WorkingCalendar, epoch_day
from pipeline.errors import ConfigError
from pipeline.incidents import escalation_config
from pipeline.incidents.escalation_config import IncidentSettings, incident_settings
from pipeline.incidents.flood import FloodLimits
from pipeline.incidents.rules import Rules
from pipeline.timestamps import utc_us

CHANNELS, DETECTORS = ("pager", "chat", "phone-lead"), ("bulk_export", "isolation_forest")
CALENDAR = WorkingCalendar(2026, 2026, (epoch_day(date(2026, 10, 1)),), (epoch_day(date(2026, 10, 7)),))
LONG_AGO = WorkingCalendar(2020, 2020, (), ())


def parse(text: str, calendar: WorkingCalendar = CALENDAR) -> IncidentSettings:
    raw: dict[str, Any] = tomllib.loads(text)
    return incident_settings(raw.get("incidents", {}), CHANNELS, DETECTORS, calendar)


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value.faults


def example() -> str:
    """The example of the module's own documentation."""
    text = (escalation_config.__doc__ or "").partition("Example:\n")[2]
    return text.replace('"head"', '"lead"')


TOLD = """
[incidents.severity.critical]
channels = ["pager"]
[incidents.severity.high]
channels = ["chat"]
"""


def test_nothing_said_is_the_defaults_and_nobody_told() -> None:
    assert parse("") == IncidentSettings(Rules(), FloodLimits())


def test_the_documented_example_says_what_it_looks_like() -> None:
    settings = parse(example() + '[incidents.severity.high]\nchannels = ["chat"]\n')
    plans = settings.rules.escalation.plans
    assert (plans["critical"].channels, plans["critical"].acknowledge_within_s) == (("pager", "chat"), 300)
    assert [layer.channels for layer in plans["critical"].layers] == [("phone-lead",)]
    office = plans["low"].hours
    assert office is not None
    assert office.open_from(utc_us("2026-10-02T00:00:00Z")) == utc_us("2026-10-02T01:00:00Z")
    (window,) = settings.rules.escalation.maintenance
    assert window.covers("any:key", ["bulk_export"], utc_us("2026-12-05T14:00:00Z"))
    assert settings.rules.reopen_within_us == 7 * 24 * 3600 * 1_000_000


def test_china_calendar_closes_holidays_and_opens_make_up_workdays_unless_said_otherwise() -> None:
    text = TOLD + '[incidents.hours.o]\nzone = "Asia/Shanghai"\nworkdays = "09:00-18:00"\nchina_calendar = true\n'
    low = '[incidents.severity.low]\nchannels = ["chat"]\nhours = "o"\n'
    hours = parse(text + low).rules.escalation.plans["low"].hours
    assert hours is not None
    assert (hours.days_off, hours.worked) == (
        frozenset({epoch_day(date(2026, 10, 1))}),
        frozenset({epoch_day(date(2026, 10, 7))}),
    )
    own = parse(text + 'days_worked = ["2026-10-01"]\n' + low).rules.escalation.plans["low"].hours
    assert own is not None
    assert (own.days_off, own.worked) == (
        frozenset(),
        frozenset({epoch_day(date(2026, 10, 1)), epoch_day(date(2026, 10, 7))}),
    )


def test_every_fault_is_listed_at_once_and_says_where() -> None:
    found = faults("""
        [incidents]
        rise = 0
        surprise = 1
        [incidents.detector_caps]
        no_such = 50
        bulk_export = 101
        [incidents.severity.critical]
        channels = ["fax"]
        layers = ["nobody"]
        hours = "never"
        [incidents.severity.dire]
        [incidents.layer.empty]
        [incidents.hours.odd]
        zone = "Mars/Olympus"
        mon = "18:00-09:00"
        days_off = ["tomorrow"]
        [[incidents.maintenance]]
        name = "x"
        from = "2026-12-05"
        until = "2026-12-05T00:00:00Z"
        detectors = ["no_such"]
        [incidents.flood]
        per_minute = 2
        reserved = 2
    """)
    expected = [
        "[incidents] rise must be",
        "[incidents] surprise is not a known setting",
        "[incidents.detector_caps] there is no detector 'no_such'",
        "[incidents.detector_caps] bulk_export must be",
        "[incidents.severity.critical] channels: there is no channel 'fax'",
        "[incidents.severity.critical] layers: there is no layer 'nobody'",
        "[incidents.severity.critical] hours: there are no hours 'never'",
        "[incidents.severity.critical] layers and repeat_every_s need acknowledge_within_s",
        "[incidents.severity.dire] there is no such severity",
        "[incidents] severity.high has no channels",
        "[incidents.layer.empty] channels must name at least one",
        "[incidents.hours.odd] zone: no time zone named 'Mars/Olympus'",
        "[incidents.hours.odd] mon must be spans",
        "[incidents.hours.odd] no hours at all",
        "[incidents.hours.odd] days_off must be dates",
        "[incidents.maintenance 1] from must be an RFC 3339 time",
        "[incidents.maintenance 1] detectors: there is no detector 'no_such'",
        "[incidents.flood] reserved must be less",
    ]
    for words in expected:
        assert any(fault.startswith(words) for fault in found), words
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    "text",
    [
        "incidents = 1",
        "[incidents]\nseverity = 1",
        "[incidents]\nmaintenance = 1",
        "[incidents]\nmaintenance = [1]",
        "[incidents.severity]\ncritical = 1",
        '[incidents.flood]\nper_minute = "ten"',
        "[incidents.flood]\nper_minute = true",
        '[incidents.severity.high]\nchannels = "chat"',
        "[incidents.severity.high]\nchannels = [1]",
        "[incidents.severity.high]\nhours = 5",
        '[incidents.hours.o]\nzone = ""',
        '[incidents.hours.o]\nzone = "UTC"\nmon = "09:00-24:30"',
        '[incidents.hours.o]\nzone = "UTC"\nmon = "09:00-12:00,11:00-13:00"',
        '[incidents.hours.o]\nzone = "UTC"\nmon = "09:00-12:00"\nchina_calendar = "yes"',
        TOLD + "acknowledge_within_s = 5",
        TOLD + '[[incidents.maintenance]]\nname = "x"\nfrom = "2026-01-01T00:00:00Z"\nuntil = "2026-03-01T00:00:00Z"',
    ],
)
def test_a_value_of_the_wrong_kind_is_a_fault_never_a_crash(text: str) -> None:
    assert all(fault.startswith("[incidents") for fault in faults(text))


def test_a_day_cannot_be_both_off_and_worked() -> None:
    days = '[incidents.hours.o]\nzone = "UTC"\nmon = "closed"\nworkdays = "09:00-10:00"\n'
    assert "1 day(s)" in faults(TOLD + days + 'days_off = ["2026-12-31"]\ndays_worked = ["2026-12-31"]')[0]
    assert parse(TOLD + days, LONG_AGO).rules.escalation.plans["high"].hours is None
