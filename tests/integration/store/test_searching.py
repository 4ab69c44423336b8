"""Searches on the real engine: every answer equals one worked out in plain Python from the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from pipeline.adapters import access_reading
from pipeline.adapters.access_reading import AccessReader
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.store import ClickHouseStore
from pipeline.audit.search import BRIEF_FIELDS, VERDICTS, Question
from pipeline.column_batch import ColumnBatch, FixedColumn
from pipeline.events import LogPosition
from tests.batches import batch
from tests.reading_world import DAY_US, FROM_US, NOW_US, World, give_verdicts, life

pytestmark = pytest.mark.stack


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
        give_verdicts(connect_as("writer"), world, of, verdict)
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
    give_verdicts(
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
        world.position, world.batches[-1].entry, events=30, seed=77, change=lambda rows: life(rows, world.tenant, 77)
    )
    more.store_rows(world.store)
    assert _offsets(reader, world.question()) == before
