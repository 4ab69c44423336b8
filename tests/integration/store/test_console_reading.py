"""What the console asks of incidents, on the real engine through its pool of connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.adapters.health_reading import HealthReader
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.adapters.incident_store import open_incidents
from pipeline.adapters.reader_pool import ReaderPool
from pipeline.adapters.store import ClickHouseStore
from pipeline.audit.incidents import SUBJECTS_OF_ROW, IncidentFilter, IncidentPlace, IncidentView
from pipeline.cli.console_live import ConsoleLive
from pipeline.cli.console_sources import ListedSources
from pipeline.events import SEVERITIES, LogPosition
from pipeline.privacy.keys import Keyring
from tests.incident_logs import START_US
from tests.integration.store.test_breach_counts import ACTOR, Evidence
from tests.integration.store.test_incidents import Company

pytestmark = pytest.mark.stack


@pytest.fixture
def pool(clickhouse_settings: Any) -> Iterator[ReaderPool]:
    opened = ReaderPool(clickhouse_settings, most=3)
    yield opened
    opened.close()


@pytest.fixture
def company(clickhouse_settings: Any) -> Iterator[Company]:
    store = open_incidents(clickhouse_settings)
    yield Company(store)
    store.close()


def place(one: IncidentView) -> tuple[int, int]:
    return -SEVERITIES.index(one.severity), -one.opened_us


def pages(reader: IncidentReader, wanted: IncidentFilter, company: Company, size: int) -> list[IncidentView]:
    """Every page of a list, the company's own incidents of them."""
    found: list[IncidentView] = []
    after: IncidentPlace | None = None
    while True:
        page = reader.page(wanted, after, size)
        found += page
        if len(page) < size:
            return [one for one in found if one.tenant_id == company.tenant]
        after = IncidentPlace(page[-1].severity, page[-1].opened_us, page[-1].incident_id)


def test_pages_of_any_size_show_every_incident_once_the_gravest_and_newest_first(
    pool: ReaderPool, company: Company
) -> None:
    reader = IncidentReader(pool)
    for number in range(24):
        company.alert(number, key=f"k{number}", severity=SEVERITIES[number % 4], risk=50.0 + number)
    whole = pages(reader, IncidentFilter(), company, 10_000)
    assert len(whole) == 24
    assert [place(one) for one in whole] == sorted(place(one) for one in whole)
    for size in (1, 5, 7):
        assert pages(reader, IncidentFilter(), company, size) == whole


def test_incidents_of_one_moment_are_told_apart_by_their_id(pool: ReaderPool, company: Company) -> None:
    reader = IncidentReader(pool)
    for number in range(6):
        company.world.at_us = START_US
        company.alert(number, key=f"k{number}")
    whole = pages(reader, IncidentFilter(), company, 10_000)
    assert len({one.opened_us for one in whole}) == 1
    assert pages(reader, IncidentFilter(), company, 1) == whole


def test_a_list_is_narrowed_by_state_severity_and_who_handles_it(pool: ReaderPool, company: Company) -> None:
    reader = IncidentReader(pool)
    company.alert(1, key="a", severity="critical", risk=99.0)
    company.alert(2, key="b")
    company.command("assign", key="b", assignee=f"me-{company.tenant[:20]}", by="chen.hua")
    company.alert(3, key="c")
    company.command("resolve", key="c", verdict="benign")

    def keys(**wanted: Any) -> list[str]:
        found = pages(reader, IncidentFilter(**wanted), company, 1_000)
        return sorted(one.incident_key.rpartition(":")[2] for one in found)

    assert keys(states=("open", "assigned")) == ["a", "b"]
    assert keys(states=("resolved",)) == ["c"]
    assert keys(severities=("critical",)) == ["a"]
    assert keys(handler=f"me-{company.tenant[:20]}") == ["b"]
    assert keys(handler="' OR 1=1 --") == []
    counts = reader.open_counts()
    assert counts["critical", "open"] >= 1
    assert not [key for key in counts if key[1] == "resolved"]


def test_the_accesses_behind_alerts_are_found_by_their_place_in_the_log(
    pool: ReaderPool, company: Company, store: ClickHouseStore, position: LogPosition
) -> None:
    evidence = Evidence(company, store, position)
    reader = IncidentReader(pool)
    incident = reader.incident(company.incident(ACTOR.hex()).incident_id)
    assert incident
    alerts = reader.alerts_of(incident)
    assert [one.alert_id for one in alerts] == [str(evidence.alert_id)]
    assert (alerts[0].incarnation, alerts[0].partition) == (position.incarnation, position.partition)
    events = reader.events_of(alerts)
    assert [one.event_id for one in events] == [alerts[0].event_id]
    assert (events[0].actor_token, events[0].offset) == (alerts[0].actor_token, alerts[0].offset)
    assert len(events[0].subject_tokens) == min(events[0].subjects, SUBJECTS_OF_ROW)
    assert all(len(one) == 32 for one in events[0].subject_tokens)
    assert reader.events_of([]) == []


def test_many_threads_share_few_connections(pool: ReaderPool) -> None:
    found: list[int] = []

    def ask(number: int) -> None:
        found.append(int(pool.query("SELECT {n:UInt32}", {"n": number})[0][0]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert sorted(found) == list(range(20))
    assert pool.named_rows("SELECT 1 AS one", {}) == [{"one": 1}]
    assert len(pool._free) <= 3


def test_the_overviews_facts_come_from_the_store_and_the_workers_files(
    pool: ReaderPool, company: Company, tmp_path: Any
) -> None:
    (tmp_path / "sources.csv").write_text(
        "source_system,source_instance,max_silence_s,owner\ncrm,never-heard,60,x\n", encoding="utf-8"
    )
    company.alert(1, severity="critical", risk=99.0)
    health = HealthReader(pool, "default", "access.events")
    listed = ListedSources(tmp_path, Keyring.offline())
    live = ConsoleLive(tmp_path, IncidentReader(pool), health, listed, lambda: START_US)
    facts = live.facts()
    assert facts.open["critical", "open"] >= 1
    assert facts.gravest[0].severity == "critical"
    assert facts.problems == ["not_assigned"]  # no worker says anything
    assert facts.silent == []  # what was never heard cannot have fallen silent
