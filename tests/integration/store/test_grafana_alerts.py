"""Each alert rule on the real engine, as Grafana's role: silent while all is well, firing where something is broken.

"Now" is the end of the range that Grafana asks for, so a broken state is a healthy one looked at later.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboards.grafana.alert_rules import AlertRule, rule_sql, rules
from pipeline.adapters.clickhouse import ClickHouse, connect
from tests.grafana_samples import expanded

pytestmark = pytest.mark.stack

BY_UID = {one.uid.removeprefix("accesstrail-"): one for one in rules()}
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def grafana(clickhouse_settings: Any) -> Any:
    with closing(connect(clickhouse_settings, "grafana")) as client:
        yield client


@pytest.fixture
def topic(migrator: ClickHouse) -> Iterator[str]:
    """A name of this test's own: in one store with others, each finds its own rows by it."""
    name = f"alerts-{uuid.uuid4().hex}"
    yield name
    for table in ("ledger", "sources"):  # entries without rows: others verify the whole store
        sql = f"ALTER TABLE accesstrail_raw.{table} DELETE WHERE topic = {{topic:String}} SETTINGS mutations_sync = 2"
        migrator.query(sql, {"topic": name})


def _sealed(
    migrator: ClickHouse, topic: str, *, events: int = 100, unscored: int = 0, delay_s: int = 1, batch: int = 1
) -> None:
    migrator.query(
        "INSERT INTO accesstrail_raw.ledger (topic, incarnation, partition, first_offset, last_offset, batch_id, "
        "n_events, n_unscored, last_received_at, sealed_at) SELECT {topic:String}, 'life', 0, 0, 99, {batch:UInt64}, "
        "{events:UInt64}, {unscored:UInt64}, {received:DateTime64(6, 'UTC')}, {sealed:DateTime64(3, 'UTC')}",
        {
            "topic": topic, "batch": batch, "events": events, "unscored": unscored,
            "received": NOW - timedelta(seconds=delay_s + 60), "sealed": NOW - timedelta(seconds=60),
        },
    )  # fmt: skip


def _found(client: ClickHouse, rule: AlertRule, name: str, later: timedelta = timedelta()) -> dict[str, float]:
    """Label → number of the rows about `name`, as Grafana would ask at `NOW + later`; the shape it needs asserted."""
    until = NOW + later
    sql = expanded(rule_sql(rule), until - timedelta(seconds=rule.range_s), until, {})
    rows, columns = client.query_with_columns(sql)
    kinds = [kind for _, kind in columns]
    assert [kind for kind in kinds if kind != "String"] == ["Float64"], "one number, all else texts"
    assert columns[-1][0] == "value"
    texts = [tuple(cell.decode() if isinstance(cell, bytes) else cell for cell in row) for row in rows]
    return {"/".join(map(str, row[:-1])): float(row[-1]) for row in texts if name in row}


def _fires(client: ClickHouse, rule: AlertRule, name: str, later: timedelta = timedelta()) -> bool:
    return any(number > rule.above for number in _found(client, rule, name, later).values())


def test_where_something_was_sealed_a_minute_ago_nothing_fires(
    grafana: ClickHouse, migrator: ClickHouse, topic: str
) -> None:
    _sealed(migrator, topic)
    assert _found(grafana, BY_UID["sealed"], topic) == {topic: 60.0}
    assert _found(grafana, BY_UID["lag"], topic) == {topic: 1.0}
    assert _found(grafana, BY_UID["unscored"], topic) == {topic: 0.0}
    assert not any(_fires(grafana, one, topic) for one in rules())


def test_a_pipeline_that_stopped_fires_and_later_has_no_rows_which_fires_too(
    grafana: ClickHouse, migrator: ClickHouse, topic: str
) -> None:
    _sealed(migrator, topic)
    assert not _fires(grafana, BY_UID["sealed"], topic, timedelta(minutes=13))
    assert _fires(grafana, BY_UID["sealed"], topic, timedelta(minutes=20))
    assert _found(grafana, BY_UID["sealed"], topic, timedelta(days=8)) == {}
    assert BY_UID["sealed"].no_data == "Alerting"


def test_events_sealed_late_or_without_a_score_fire(grafana: ClickHouse, migrator: ClickHouse, topic: str) -> None:
    _sealed(migrator, topic, delay_s=300, unscored=2)
    assert _found(grafana, BY_UID["lag"], topic) == {topic: 300.0}
    assert _fires(grafana, BY_UID["lag"], topic)
    assert _found(grafana, BY_UID["unscored"], topic) == {topic: 2.0}
    assert _fires(grafana, BY_UID["unscored"], topic)


def test_a_source_that_keeps_silent_for_longer_than_said_fires(
    grafana: ClickHouse, migrator: ClickHouse, topic: str
) -> None:
    batch = uuid.uuid4().int >> 64
    _sealed(migrator, topic, batch=batch)
    migrator.query(
        "INSERT INTO accesstrail_raw.sources (tenant_id, source_system, source_instance, day, topic, incarnation, "
        "partition, batch_id, events, last_received_at) SELECT 't', {name:String}, 'a', {day:Date}, {name:String}, "
        "'life', 0, {batch:UInt64}, 5, {received:DateTime64(6, 'UTC')}",
        {"name": topic, "day": NOW.date(), "batch": batch, "received": NOW - timedelta(minutes=5)},
    )
    rule = BY_UID["silence"]
    assert _found(grafana, rule, topic) == {f"{topic}/a": 300.0}
    assert not _fires(grafana, rule, topic, timedelta(hours=23))
    assert _fires(grafana, rule, topic, timedelta(hours=25))
    sooner = next(one for one in rules(silence_after_s=3600) if one.uid == rule.uid)
    assert _fires(grafana, sooner, topic, timedelta(hours=2))


def _attempt(migrator: ClickHouse, channel: str, message: str, outcome: str, ago: timedelta, attempt: int = 1) -> None:
    migrator.query(
        "INSERT INTO accesstrail_raw.deliveries (channel, notification_id, attempt, topic, offset, at, outcome) "
        "SELECT {channel:String}, {message:String}, {attempt:UInt32}, {channel:String}, 1, "
        "{at:DateTime64(6, 'UTC')}, {outcome:String}",
        {"channel": channel, "message": message, "attempt": attempt, "at": NOW - ago, "outcome": outcome},
    )


def test_messages_given_up_or_long_tried_fire_and_those_that_arrived_do_not(
    grafana: ClickHouse, migrator: ClickHouse, topic: str
) -> None:
    rule, minute = BY_UID["undelivered"], timedelta(minutes=1)
    _attempt(migrator, topic, "arrived", "retry", 40 * minute)
    _attempt(migrator, topic, "arrived", "delivered", 39 * minute, attempt=2)
    _attempt(migrator, topic, "not sent on purpose", "skipped", 30 * minute)
    _attempt(migrator, topic, "just tried", "retry", 2 * minute)
    assert _found(grafana, rule, topic) == {topic: 0.0}
    assert _found(grafana, rule, topic, 20 * minute) == {topic: 1.0}
    _attempt(migrator, topic, "given up", "refused", 1 * minute)
    assert _found(grafana, rule, topic) == {topic: 1.0}
    assert _fires(grafana, rule, topic)


def test_a_scheduler_that_stopped_fires(grafana: ClickHouse, migrator: ClickHouse, topic: str) -> None:
    migrator.query(
        "INSERT INTO accesstrail_raw.scheduled_runs (topic, detector, slot, stage, started_at) "
        "SELECT {topic:String}, 'silent_source', 1, 'final', {at:DateTime64(6, 'UTC')}",
        {"topic": topic, "at": NOW - timedelta(minutes=10)},
    )
    rule = BY_UID["scheduler"]
    assert _found(grafana, rule, topic) == {topic: 600.0}
    assert not _fires(grafana, rule, topic, timedelta(hours=1))
    assert _fires(grafana, rule, topic, timedelta(hours=3))
    assert rule.no_data == "Alerting"


@pytest.mark.parametrize("rule", rules(), ids=lambda one: one.uid)
def test_an_empty_store_is_an_answer_without_rows(rule: AlertRule, grafana: ClickHouse) -> None:
    assert _found(grafana, rule, "nothing", timedelta(days=-3000)) == {}
