"""The reading layer on the real engine: every answer equals one worked out in plain Python from the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.adapters.actor_reading import ActorReader
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.health_reading import HealthReader
from pipeline.adapters.store import RAW, ClickHouseStore
from pipeline.adapters.subject_reading import SubjectReader
from pipeline.audit.actor import USUAL_DAYS
from pipeline.columns import DEAD_LETTER_COLUMNS
from pipeline.directory.snapshot import SourceRow
from pipeline.events import LogPosition
from pipeline.migrations.derived import SUBJECT_ACCESS_COLUMNS, subject_access_from_events
from tests.batches import RECEIVED_AT_US
from tests.reading_world import DAY_US, FROM_US, NOW_US, World, give_verdicts
from tests.rows import row_values

pytestmark = pytest.mark.stack


@pytest.fixture
def world(store: ClickHouseStore, position: LogPosition) -> World:
    return World(store, position)


# -- who touched


class _Frugal:
    """Role `Questions`: a server that has little memory for each."""

    def __init__(self, reader: ClickHouse, most_bytes: int) -> None:
        self._reader, self._most_bytes = reader, most_bytes

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        return self._reader.query(sql, parameters, {**(settings or {}), "max_memory_usage": self._most_bytes})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def test_verdicts_about_others_take_no_memory_of_a_subjects_history(
    reader: ClickHouse, world: World, connect_as: Callable[[str], ClickHouse]
) -> None:
    # The place of each is in the subject's period; no access stands there.
    connect_as("writer").query(
        f"INSERT INTO {RAW}.access_explanations (partition, offset, event_id, event_time, actor_token, tenant_id, "
        "topic, incarnation, stream_verdict, verdict, versions_id) SELECT 9, number, generateUUIDv4(), "
        "fromUnixTimestamp64Micro({at:Int64}, 'UTC'), unhex(repeat('ab', 16)), {tenant:String}, {topic:String}, "
        "{life:String}, 'claimed', 'explained', unhex(repeat('00', 32)) FROM numbers(500000)",
        {
            "at": NOW_US - DAY_US,
            "tenant": world.tenant,
            "topic": world.position.topic,
            "life": world.position.incarnation,
        },
    )
    subject = (
        world.rows[0]["subject_tokens"][0] if world.rows[0]["subject_tokens"] else world.rows[1]["subject_tokens"][0]
    )
    history = SubjectReader(_Frugal(reader, 40_000_000)).history(world.tenant, [subject], FROM_US, NOW_US)
    assert history.accesses == sum(subject in row["subject_tokens"] and row["duplicate_of"] < 0 for row in world.rows)
    assert sum(one.accesses for one in history.touchers) == history.accesses
    connect_as("migrator").query(
        f"ALTER TABLE {RAW}.access_explanations DELETE WHERE tenant_id = {{tenant:String}} SETTINGS mutations_sync = 2",
        {"tenant": world.tenant},
    )


def test_who_touched_a_subject_equals_the_counts_of_plain_python(
    reader: ClickHouse, world: World, connect_as: Callable[[str], ClickHouse]
) -> None:
    rows = world.rows
    subject = Counter(one for row in rows for one in row["subject_tokens"]).most_common(1)[0][0]
    mine = [row for row in rows if subject in row["subject_tokens"]]
    counted = [row for row in mine if row["duplicate_of"] < 0]
    late = [row for row in counted if row["explained"] == "not_yet_explained"]
    give_verdicts(connect_as("writer"), world, late[:3], "explained")
    give_verdicts(connect_as("writer"), world, late[3:5], "unexplained")
    final = {row["offset"]: "explained" for row in late[:3]} | {row["offset"]: "unexplained" for row in late[3:5]}
    history = SubjectReader(reader).history(world.tenant, [subject], FROM_US, NOW_US)
    assert (history.accesses, history.repeated) == (len(counted), len(mine) - len(counted))
    assert history.actors == len({row["actor_token"] for row in counted}) == len(history.touchers)
    for one in history.touchers:
        of_actor = [row for row in counted if row["actor_token"] == one.actor_token]
        said = Counter(final.get(row["offset"], row["explained"]) for row in of_actor)
        assert one.accesses == len(of_actor)
        assert (one.first_us, one.last_us) == (of_actor[-1]["event_time"], of_actor[0]["event_time"])
        assert (one.explained, one.claimed, one.unexplained) == (
            said["explained"], said["claimed"], said["unexplained"],
        )  # fmt: skip
        assert one.open == len(of_actor) - one.explained - one.claimed - one.unexplained
        assert one.denied == sum(row["outcome"] == "denied" for row in of_actor)
        assert one.highest_risk == max(row["risk"] for row in of_actor)
        assert list(one.actions) == sorted({row["action"] for row in of_actor})
        assert list(one.purposes) == sorted({row["purpose"] for row in of_actor} - {""})
    assert [one.last_us for one in history.touchers] == sorted((one.last_us for one in history.touchers), reverse=True)
    check = SubjectReader(reader).check(world.tenant, [subject], FROM_US, NOW_US)
    assert check is not None
    assert check.in_evidence == len(counted)
    assert check.unlisted == sum(
        row["subject_count"] > len(row["subject_tokens"]) for row in rows if row["duplicate_of"] < 0
    )
    assert not check.differs


def test_a_subject_that_nobody_touched_has_an_empty_history(reader: ClickHouse, world: World) -> None:
    history = SubjectReader(reader).history(world.tenant, ["cd" * 16], FROM_US, NOW_US)
    assert (history.actors, history.accesses, list(history.touchers)) == (0, 0, [])
    check = SubjectReader(reader).check(world.tenant, ["cd" * 16], FROM_US, NOW_US)
    assert check is not None
    assert check.in_evidence == 0


def test_a_hole_in_the_table_by_subject_is_seen_in_the_evidence(
    reader: ClickHouse, world: World, migrator: ClickHouse
) -> None:
    subject = next(row["subject_tokens"][0] for row in world.rows if row["subject_tokens"])
    migrator.query(
        f"DELETE FROM {RAW}.subject_access WHERE tenant_id = {{tenant:String}} "
        "AND subject_token = toFixedString(unhex({token:String}), 16)",
        {"tenant": world.tenant, "token": subject},
    )
    try:
        history = SubjectReader(reader).history(world.tenant, [subject], FROM_US, NOW_US)
        check = SubjectReader(reader).check(world.tenant, [subject], FROM_US, NOW_US)
        assert history.accesses == 0
        assert check is not None
        assert check.differs
    finally:  # others verify the whole store
        names = ", ".join(spec.name for spec in SUBJECT_ACCESS_COLUMNS)
        migrator.query(
            f"INSERT INTO {RAW}.subject_access ({names}) SELECT {names} FROM ({subject_access_from_events()}) "
            "WHERE tenant_id = {tenant:String} AND subject_token = toFixedString(unhex({token:String}), 16)",
            {"tenant": world.tenant, "token": subject},
        )
    assert SubjectReader(reader).history(world.tenant, [subject], FROM_US, NOW_US).accesses > 0


# -- one account


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
def test_an_account_s_profile_equals_the_sums_of_plain_python(reader: ClickHouse, world: World, zone: str) -> None:
    rows = world.rows
    actor = Counter(row["actor_token"] for row in rows).most_common(1)[0][0]
    of_actor = [row for row in rows if row["actor_token"] == actor]
    counted = [
        row for row in of_actor
        if row["duplicate_of"] < 0 and not (row["action"] == "log_control" and row["resource_type"] == "heartbeat")
    ]  # fmt: skip
    profile = ActorReader(reader).profile(world.tenant, actor, NOW_US, zone)

    def local(row: dict[str, Any]) -> datetime:
        return datetime.fromtimestamp(row["event_time"] / 1e6, UTC).astimezone(ZoneInfo(zone))

    days = Counter((local(row).date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days for row in counted)
    assert {one.day: one.events for one in profile.days} == days
    assert sum(one.denied for one in profile.days) == sum(row["outcome"] == "denied" for row in counted)
    assert sum(one.explained for one in profile.days) == sum(row["explained"] == "explained" for row in counted)
    assert sum(one.records for one in profile.days) == sum(max(row["records_returned"], 0) for row in counted)
    hours = Counter(local(row).hour for row in counted)
    assert profile.hours == [hours[hour] for hour in range(24)]
    types = Counter(row["resource_type"] for row in counted)
    assert {one.name: one.events for one in profile.resource_types} == types
    assert {one.name: one.events for one in profile.networks} == Counter(row["network_kind"] or "–" for row in counted)
    assert sum(one.unexplained for one in profile.actions) == sum(
        row["explained"] == "not_yet_explained" for row in counted
    )
    assert profile.facts is not None
    assert profile.facts.last_us == counted[0]["event_time"]
    assert profile.facts.first_us == counted[-1]["event_time"]
    assert profile.facts.department == counted[0]["actor_dept"]
    assert 0 < profile.usual_days <= USUAL_DAYS


def test_an_account_nobody_has_seen_has_no_facts(reader: ClickHouse, world: World) -> None:
    profile = ActorReader(reader).profile(world.tenant, "ef" * 16, NOW_US, "UTC")
    assert profile.facts is None
    assert list(profile.days) == []
    assert sum(profile.hours) == 0


# -- health


def test_sources_and_dead_letters_equal_the_rows_of_plain_python(reader: ClickHouse, world: World) -> None:
    now_us = max(int(row["received_at"]) for row in world.rows) + 1_000_000
    listed = [
        SourceRow("never-heard", "", 3600, "ops"), SourceRow("customer_profile", "", 1, "crm team"),
        SourceRow("a", "unheard", 60, "a team"),
    ]  # fmt: skip
    health = HealthReader(reader, world.tenant, "access.events")
    sources = health.sources(now_us, listed)
    heard = Counter((row["source_system"], row["source_instance"]) for row in world.rows)
    unheard = [one for one in sources if not one.last_us]
    assert {(one.source_system, one.source_instance): one.events for one in sources if one.last_us} == heard
    assert {(one.source_system, one.source_instance) for one in unheard} == {("never-heard", ""), ("a", "unheard")}
    assert all(
        one.owner == ("crm team" if one.source_system == "customer_profile" else "") for one in sources if one.last_us
    )
    assert any(one.is_silent_at(now_us + 2_000_000) for one in sources if one.source_system == "customer_profile")
    since_us = RECEIVED_AT_US
    dead = [row for one in world.batches for row in row_values(one.dead_letters, DEAD_LETTER_COLUMNS)]
    expected = Counter(row["reason"] for row in dead)
    found = Counter(
        {one.reason: one.records for one in health.dead_letters(since_us) if one.reason in expected}
    )  # fmt: skip
    assert all(found[reason] >= count for reason, count in expected.items()), "other tests' rows may be among them"
    events, unscored = health.events(min(int(row["event_time"]) for row in world.rows))
    counted = [
        row for row in world.rows
        if row["duplicate_of"] < 0 and not (row["action"] == "log_control" and row["resource_type"] == "heartbeat")
    ]  # fmt: skip
    assert events == len(counted)
    assert unscored == sum(row["score_status"] == "unscored" for row in counted)


def test_runs_and_channels_of_a_topic_nobody_uses_are_empty(reader: ClickHouse, world: World) -> None:
    health = HealthReader(reader, world.tenant, f"no.{world.tenant}")
    assert health.runs(0) == []
    assert isinstance(health.channels(NOW_US), list)
