"""The reading layer on the real engine: every answer equals one worked out in plain Python from the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from pipeline import events
from pipeline.adapters import access_reading
from pipeline.adapters.access_reading import AccessReader
from pipeline.adapters.actor_reading import ActorReader
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.health_reading import HealthReader
from pipeline.adapters.store import RAW, ClickHouseStore
from pipeline.adapters.subject_reading import SubjectReader
from pipeline.audit.actor import USUAL_DAYS
from pipeline.audit.search import BRIEF_FIELDS, VERDICTS, Question
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.columns import ACCESS_EVENT_COLUMNS, DEAD_LETTER_COLUMNS, EXPLANATION_COLUMNS
from pipeline.directory.snapshot import SourceRow
from pipeline.events import LogPosition
from pipeline.migrations.derived import SUBJECT_ACCESS_COLUMNS, subject_access_from_events
from tests.batches import RECEIVED_AT_US, Batch, batch, same_text
from tests.rows import row_values, rows_from

pytestmark = pytest.mark.stack

DAY_US = 86_400_000_000
NOW_US = 1_795_000_000_000_000
"""2026-11-18T11:06:40Z; everything happens in the 35 days before."""
FROM_US = NOW_US - 35 * DAY_US
WORDS: Mapping[str, tuple[str, ...]] = {
    "action": events.ACTIONS, "outcome": events.OUTCOMES, "explained": events.EXPLAINED,
    "network_kind": events.NETWORK_KINDS, "actor_type": events.ACTOR_TYPES, "channel": events.CHANNELS,
    "score_status": events.SCORE_STATUSES,
}  # fmt: skip
PURPOSES = ("", "support", "billing", "客服")
TYPES = ("customer_profile", "order", "{{7*7}}")
WRITTEN = ("", "", "Nightly batch 7", "处理客户投诉", "complaint of a customer, 138****5678", "night shift, no batch")
DENIED = ("", "", "", "outside the shift", "投诉未受理")


def _tokens(chance: np.random.Generator, count: int, known: int) -> np.ndarray[Any, np.dtype[np.void]]:
    pool = np.frombuffer(np.random.default_rng(known).bytes(16 * known), "V16")
    return pool[chance.integers(0, known, count)]


def _texts(values: list[str]) -> TextColumn:
    names = Interner()
    return TextColumn(names.ids(values, len(values)), names)


def _life(rows: ColumnBatch, tenant: str, seed: int) -> None:
    """A company of its own: few accounts, customers, purposes, so that everything meets."""
    chance, count = np.random.default_rng(seed), rows.count
    same_text(rows, "tenant_id", tenant)
    # Several accesses at the same moment, and one at the border of a day in China.
    times = FROM_US + chance.integers(0, 35 * 48, count) * (DAY_US // 48)
    times[:2] = 1_794_844_799_999_999, 1_794_844_800_000_000
    rows.columns["event_time"] = FixedColumn(times.astype(np.int64))
    rows.columns["actor_token"] = FixedColumn(_tokens(chance, count, 5))
    rows.columns["case_token"] = FixedColumn(_tokens(chance, count, 6))
    rows.columns["resource_token"] = FixedColumn(_tokens(chance, count, 9))
    rows.columns["risk"] = FixedColumn(chance.integers(0, 10_001, count).astype(np.uint16))
    rows.columns["duplicate_of"] = FixedColumn(np.where(np.arange(count) % 11 == 5, 0, -1).astype(np.int64))
    rows.columns["purpose"] = _texts([PURPOSES[place] for place in chance.integers(0, len(PURPOSES), count)])
    rows.columns["resource_type"] = _texts([TYPES[place] for place in chance.integers(0, len(TYPES), count)])
    sizes = chance.integers(0, 4, count)
    rows.columns["subject_tokens"] = ArrayColumn(
        np.cumsum(sizes).astype(np.int64), FixedColumn(_tokens(chance, int(sizes.sum()), 8))
    )
    rows.columns["justification"] = _texts([WRITTEN[place] for place in chance.integers(0, len(WRITTEN), count)])
    rows.columns["denial_reason"] = _texts([DENIED[place] for place in chance.integers(0, len(DENIED), count)])


class World:
    """Two sealed batches of a tenant, as stored and as plain values."""

    def __init__(self, store: ClickHouseStore, position: LogPosition) -> None:
        self.tenant, self.position, self.store = position.incarnation, position, store
        self.batches: list[Batch] = []
        self.add(seed=3, count=300)
        self.add(seed=4, count=200)

    def add(self, seed: int, count: int, change: Callable[[ColumnBatch], None] = lambda rows: None) -> None:
        def with_life(rows: ColumnBatch) -> None:
            _life(rows, self.tenant, seed)
            change(rows)

        made = batch(
            self.position, self.batches[-1].entry if self.batches else None, events=count, seed=seed, change=with_life
        )
        made.commit(self.store)
        self.batches.append(made)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Plain values, words in place of codes, newest first."""
        found = [row for one in self.batches for row in row_values(one.events, ACCESS_EVENT_COLUMNS)]
        for row in found:
            for name, words in WORDS.items():
                row[name] = ("", *words)[row[name]]
        return sorted(found, key=lambda row: (row["event_time"], row["offset"]), reverse=True)

    def question(self, **given: Any) -> Question:
        plain: dict[str, Any] = {"tenant": self.tenant, "from_us": FROM_US, "until_us": NOW_US}
        return Question(**plain | given)


@pytest.fixture
def world(store: ClickHouseStore, position: LogPosition) -> World:
    return World(store, position)


def _offsets(reader: ClickHouse, question: Question, page: int = 1000) -> list[int]:
    """Every answer, page by page."""
    access, found, after = AccessReader(reader), list[int](), None
    while True:
        got = access.found(question, page, after)
        assert len(got.rows) <= page
        found += [row.offset for row in got.rows]
        after = got.after
        if after is None:
            return found


def test_each_condition_finds_what_plain_python_finds(reader: ClickHouse, world: World) -> None:
    rows = world.rows
    some = next(row for row in rows if row["subject_tokens"] and row["purpose"])
    subject = some["subject_tokens"][0]
    asked: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
        ({}, lambda row: True),
        ({"actors": (some["actor_token"],)}, lambda row: row["actor_token"] == some["actor_token"]),
        ({"subjects": (subject,)}, lambda row: subject in row["subject_tokens"]),
        ({"resources": (some["resource_token"],)}, lambda row: row["resource_token"] == some["resource_token"]),
        ({"cases": (some["case_token"],)}, lambda row: row["case_token"] == some["case_token"]),
        (
            {"subjects": (subject,), "cases": (some["case_token"],)},
            lambda row: subject in row["subject_tokens"] and row["case_token"] == some["case_token"],
        ),
        (
            {"subjects": (subject,), "actors": (some["actor_token"],), "least_risk": 5000},
            lambda row: (
                subject in row["subject_tokens"] and row["actor_token"] == some["actor_token"] and row["risk"] >= 5000
            ),
        ),
        ({"purpose": "客服"}, lambda row: row["purpose"] == "客服"),
        ({"resource_type": "{{7*7}}"}, lambda row: row["resource_type"] == "{{7*7}}"),
        ({"actions": ("read", "export")}, lambda row: row["action"] in ("read", "export")),
        ({"outcomes": ("denied",)}, lambda row: row["outcome"] == "denied"),
        ({"explained": ("not_yet_explained",)}, lambda row: row["explained"] == "not_yet_explained"),
        ({"least_risk": 9000}, lambda row: row["risk"] >= 9000),
        (
            {"from_us": NOW_US - 3 * DAY_US, "until_us": NOW_US - DAY_US},
            lambda row: NOW_US - 3 * DAY_US <= row["event_time"] < NOW_US - DAY_US,
        ),
        ({"actors": ("ab" * 16,)}, lambda row: False),
    ]
    for given, holds in asked:
        expected = [row["offset"] for row in rows if holds(row) and FROM_US <= row["event_time"] < NOW_US]
        assert _offsets(reader, world.question(**given)) == expected, given
        assert expected or given.get("actors") == ("ab" * 16,), given


def _written(row: dict[str, Any]) -> str:
    return f"{row['justification']} | {row['denial_reason']}".lower()


def test_words_are_found_in_what_people_wrote_and_never_leave_the_process(
    reader: ClickHouse, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = world.rows
    subject = next(row for row in rows if row["subject_tokens"] and "batch" in row["justification"])["subject_tokens"][
        0
    ]
    actor = rows[0]["actor_token"]
    asked: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
        ({"text": "BATCH"}, lambda row: "batch" in _written(row)),
        ({"text": "batch night"}, lambda row: "batch" in _written(row) and "night" in _written(row)),
        ({"text": "投诉"}, lambda row: "投诉" in _written(row)),
        ({"text": "shift 投诉"}, lambda row: "shift" in _written(row) and "投诉" in _written(row)),
        ({"text": "138****5678"}, lambda row: "138****5678" in _written(row)),
        ({"text": "nobody wrote this"}, lambda row: False),
        ({"text": "batch", "actors": (actor,)}, lambda row: "batch" in _written(row) and row["actor_token"] == actor),
        (
            {"text": "batch", "subjects": (subject,)},
            lambda row: "batch" in _written(row) and subject in row["subject_tokens"],
        ),
        (
            {"text": "batch", "subjects": (subject,), "resource_type": "order"},
            lambda row: (
                "batch" in _written(row) and subject in row["subject_tokens"] and row["resource_type"] == "order"
            ),
        ),
    ]  # fmt: skip
    sent: list[str] = []
    ordinary = reader.query

    def watched(sql: str, given: Mapping[str, object] | None = None, settings: Any = None) -> list[tuple[Any, ...]]:
        sent.append(f"{sql} {given}".lower())
        return ordinary(sql, given, settings)

    monkeypatch.setattr(reader, "query", watched)
    for most_texts in (access_reading.MOST_TEXTS, 3):  # of so few, windows are halved again and again
        monkeypatch.setattr(access_reading, "MOST_TEXTS", most_texts)
        for given, holds in asked:
            expected = [row["offset"] for row in rows if holds(row)]
            assert _offsets(reader, world.question(**given)) == expected, given
            assert _offsets(reader, world.question(**given), page=7) == expected, given
            assert expected or "nobody" in given["text"], given
    assert not any(word in text for text in sent for word in ("batch", "投诉", "5678", "nobody", "shift"))


def test_what_explains_an_access_goes_by_the_verdict_of_a_day_later(
    reader: ClickHouse, world: World, connect_as: Callable[[str], ClickHouse]
) -> None:
    rows = world.rows
    late = [row for row in rows if row["explained"] != "explained"]
    judged = {"unexplained": late[:60:2], "explained": late[1:60:2]}
    for verdict, of in judged.items():
        _verdicts(connect_as("writer"), world, of, verdict)
    final = {row["offset"]: verdict for verdict, of in judged.items() for row in of}
    subject = Counter(one for row in judged["unexplained"] for one in row["subject_tokens"]).most_common(1)[0][0]
    for words in (*((word,) for word in VERDICTS), ("unexplained", "not_yet_explained"), ("explained", "claimed")):
        expected = [row["offset"] for row in rows if final.get(row["offset"], row["explained"]) in words]
        assert _offsets(reader, world.question(explained=words)) == expected, words
        of_subject = {row["offset"] for row in rows if subject in row["subject_tokens"]}
        mine = [offset for offset in expected if offset in of_subject]
        assert _offsets(reader, world.question(explained=words, subjects=(subject,)), page=5) == mine, words
        assert expected, words
    found = AccessReader(reader).found(world.question(), 1000).rows
    assert {row.offset: row.verdict for row in found} == {row["offset"]: final.get(row["offset"], "") for row in rows}


@pytest.mark.parametrize("most_entries", [0, 200_000], ids=["large ledger", "small ledger"])
def test_what_the_table_by_subject_lists_is_what_the_evidence_says(
    reader: ClickHouse, world: World, connect_as: Callable[[str], ClickHouse], monkeypatch: pytest.MonkeyPatch,
    most_entries: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(access_reading, "_MOST_ENTRIES", most_entries)
    _verdicts(
        connect_as("writer"), world, [row for row in world.rows if row["explained"] != "explained"][:40], "unexplained"
    )
    subject = Counter(one for row in world.rows for one in row["subject_tokens"]).most_common(1)[0][0]
    question = world.question(subjects=(subject,))
    listed = AccessReader(reader).listed(question, 1000, with_verdicts=True)
    whole = AccessReader(reader).found(question, 1000).rows
    assert [asdict(one) for one in listed] == [{name: getattr(row, name) for name in BRIEF_FIELDS} for row in whole]
    assert any(one.verdict == "unexplained" for one in listed)
    assert AccessReader(reader).listed(question, 7) == [replace(one, verdict="") for one in listed[:7]]
    narrowed = world.question(subjects=(subject,), purpose="客服", least_risk=3000)
    expected = [one for one in listed if one.purpose == "客服" and one.risk >= 3000]
    assert AccessReader(reader).listed(narrowed, 1000, with_verdicts=True) == expected
    assert expected


@pytest.mark.parametrize("more", [{"text": "batch"}, {"explained": ("explained",)}, {"cases": ("ab" * 16,)}])
def test_the_table_by_subject_lists_nothing_that_it_does_not_know(
    reader: ClickHouse, world: World, more: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="does not answer"):
        AccessReader(reader).listed(world.question(subjects=("ab" * 16,), **more), 10)


def test_pages_one_after_the_other_are_the_whole_also_where_many_accesses_share_a_moment(
    reader: ClickHouse, world: World
) -> None:
    assert _offsets(reader, world.question(), page=7) == [row["offset"] for row in world.rows]


def test_what_arrives_while_somebody_turns_pages_neither_repeats_nor_hides_anything(
    reader: ClickHouse, world: World
) -> None:
    before = [row["offset"] for row in world.rows]
    first = AccessReader(reader).found(world.question(), 50)

    def newest(rows: ColumnBatch) -> None:
        rows.columns["event_time"] = FixedColumn(np.full(rows.count, NOW_US - 1, np.int64))

    world.add(seed=9, count=20, change=newest)
    rest = AccessReader(reader).found(world.question(), 1000, first.after)
    assert [row.offset for row in first.rows] + [row.offset for row in rest.rows] == before


def test_a_row_says_what_the_evidence_says(reader: ClickHouse, world: World) -> None:
    expected = {row["offset"]: row for row in world.rows}
    found = AccessReader(reader).found(world.question(), 1000).rows
    assert len(found) == len(expected)
    for row in found:
        plain = expected[row.offset]
        assert row.event_time_us == plain["event_time"]
        assert row.actor_token == plain["actor_token"]
        assert list(row.subject_tokens) == plain["subject_tokens"]
        assert row.is_duplicate == (plain["duplicate_of"] >= 0)
        for name in ("action", "outcome", "purpose", "resource_type", "risk", "network_kind", "explained", "reasons",
                     "records_returned", "subject_count", "justification", "src_country", "endpoint"):  # fmt: skip
            said = getattr(row, name)
            assert (list(said) if name == "reasons" else said) == plain[name], name


def test_nothing_that_is_not_sealed_is_found(reader: ClickHouse, world: World) -> None:
    before = _offsets(reader, world.question())
    more = batch(
        world.position, world.batches[-1].entry, events=30, seed=77, change=lambda rows: _life(rows, world.tenant, 77)
    )
    more.store_rows(world.store)
    assert _offsets(reader, world.question()) == before


# -- who touched


def _verdicts(writer: ClickHouse, world: World, rows: list[dict[str, Any]], verdict: str) -> None:
    values = [
        {
            **{name: row[name] for name in ("partition", "offset", "event_time", "actor_token", "tenant_id", "topic",
                                            "incarnation", "event_id")},
            "stream_verdict": row["explained"], "verdict": verdict, "versions_id": "00" * 32,
        }
        for row in rows
    ]  # fmt: skip
    columns = rows_from(values, EXPLANATION_COLUMNS)
    writer.insert(f"{RAW}.access_explanations", columns, EXPLANATION_COLUMNS, token=f"{world.tenant}:{verdict}")


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
    _verdicts(connect_as("writer"), world, late[:3], "explained")
    _verdicts(connect_as("writer"), world, late[3:5], "unexplained")
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
