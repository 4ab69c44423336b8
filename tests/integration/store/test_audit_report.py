"""The audit report's statements on the real engine: every number equals one worked out in plain Python."""

from __future__ import annotations

import hashlib
import statistics
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from pipeline import events
from pipeline.adapters.audit_reading import AuditReader
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.incident_store import open_incidents
from pipeline.adapters.store import RAW, ClickHouseStore
from pipeline.audit.controls import COVERED, GAP, NO_CASES, PARTLY
from pipeline.audit.register_reading import read_controls
from pipeline.audit.report import Answer, ReportFacts, Scope
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.columns import ACCESS_EVENT_COLUMNS, ALERT_COLUMNS
from pipeline.events import LogPosition
from tests.batches import RECEIVED_AT_US, Batch, batch
from tests.incident_logs import SECOND_US, START_US
from tests.integration.store.test_incidents import Company
from tests.rows import row_values

pytestmark = pytest.mark.stack

REGISTER = read_controls()
FROM_US, TO_US = RECEIVED_AT_US + 10_000, RECEIVED_AT_US + 95_000
"""Offsets 10 to 94 of every partition: both batches are cut."""
WORDS: Mapping[str, tuple[str, ...]] = {
    "action": events.ACTIONS, "outcome": events.OUTCOMES, "explained": events.EXPLAINED, "mfa": events.FLAG_WORDS,
    "break_glass": events.FLAG_WORDS, "actor_type": events.ACTOR_TYPES, "recipient_type": events.RECIPIENT_TYPES,
    "actor_status": events.ACTOR_STATUSES, "score_status": events.SCORE_STATUSES,
}  # fmt: skip
NONE = "00" * 16
EXPORTS = ("export", "download", "share", "print", "audit_export")


def scope(topic: str, **given: Any) -> Scope:
    plain: dict[str, Any] = {
        "from_us": FROM_US, "to_us": TO_US, "made_us": TO_US, "made_by": "chen.shen", "reason": "plan", "seed": "7",
        "sample_size": 4, "topic": topic, "incidents_topic": f"i-{topic}", "notifications_topic": f"n-{topic}",
    }  # fmt: skip
    return Scope(**plain | given)


def _texts(values: Sequence[str]) -> TextColumn:
    names = Interner()
    return TextColumn(names.ids(list(values), len(values)), names)


def _life(rows: ColumnBatch, seed: int) -> None:
    """A company small enough that everything happens: exports, minors, partners, people abroad, its own looks."""
    chance, count = np.random.default_rng(seed), rows.count

    def pick(*choices: str) -> TextColumn:
        return _texts([choices[place] for place in chance.integers(0, len(choices), count)])

    def tokens(known: int, wanted: int) -> FixedColumn:
        pool = np.frombuffer(b"\0" * 16 + np.random.default_rng(known).bytes(16 * known), "V16")
        return FixedColumn(pool[chance.integers(0, known + 1, wanted)])

    rows.columns["source_system"] = pick("crm", "billing", "accesstrail")
    rows.columns["source_instance"] = pick("one", "two")
    rows.columns["resource_type"] = pick("customer", "heartbeat", "evidence.search", "accesstrail_account", "<b>")
    rows.columns["purpose"] = pick("", "support", "账务")
    rows.columns["justification"] = pick("", "asked by the customer")
    rows.columns["dst_country"], rows.columns["src_country"] = pick("", "CN", "US"), pick("", "CN", "DE")
    rows.columns["duplicate_of"] = FixedColumn(np.where(np.arange(count) % 11 == 5, 0, -1).astype(np.int64))
    rows.columns["source_seq"] = FixedColumn(np.arange(count, dtype=np.int64) * 2 - 1)
    rows.columns["sensitivity"] = FixedColumn(chance.integers(0, 5, count).astype(np.uint8))
    rows.columns["misrouted"] = FixedColumn((np.arange(count) % 17 == 3).astype(np.uint8))
    for name in ("actor_token", "approval_token", "on_behalf_of_token"):
        rows.columns[name] = tokens(3, count)
    sizes = chance.integers(0, 4, count)
    ends = np.cumsum(sizes).astype(np.int64)
    rows.columns["subject_tokens"] = ArrayColumn(ends, tokens(6, int(sizes.sum())))
    flags = [("vip", "minor")[place] for place in chance.integers(0, 2, int(sizes.sum()))]
    rows.columns["subject_flags"] = ArrayColumn(ends, _texts(flags))


class World:
    """A topic of its own: two partitions of two sealed batches, as stored and as plain values."""

    def __init__(self, store: ClickHouseStore, *, is_sealed: Callable[[int, int], bool] = lambda *_: True) -> None:
        self.topic = f"audit-{uuid.uuid4().hex}"
        self.batches: list[Batch] = []
        self.trees: dict[int, int] = {}
        for partition in (0, 5):
            position, before = LogPosition(self.topic, "life-1", partition), None
            for number, count in enumerate((60, 40)):
                seed = partition * 10 + number
                made = batch(
                    position, before, events=count, dead_letters=3, seed=seed, change=partial(_life, seed=seed)
                )
                before = made.entry
                if is_sealed(partition, number):
                    made.commit(store)
                    self.batches.append(made)
                    self.trees[partition] = made.entry.tree_size

    @property
    def stored(self) -> list[dict[str, Any]]:
        """Every event of the period, words in place of codes."""
        found = [row for one in self.batches for row in row_values(one.events, ACCESS_EVENT_COLUMNS)]
        for row in found:
            for name, words in WORDS.items():
                row[name] = ("", *words)[row[name]]
        return [row for row in found if FROM_US <= row["received_at"] < TO_US]

    @property
    def accesses(self) -> list[dict[str, Any]]:
        """Without what was told twice and heartbeats."""
        return [
            row for row in self.stored
            if row["duplicate_of"] < 0 and (row["action"], row["resource_type"]) != ("log_control", "heartbeat")
        ]  # fmt: skip


@pytest.fixture
def world(store: ClickHouseStore) -> World:
    return World(store)


@pytest.fixture
def ask(reader: ClickHouse) -> Callable[[str, Scope], Answer]:
    return lambda name, about: AuditReader(reader).answer(REGISTER.queries[name], about)


def facts(reader: ClickHouse, about: Scope) -> ReportFacts:
    return ReportFacts(scope=about, register=REGISTER, answers=AuditReader(reader).answers(REGISTER.queries, about))


def results(reader: ClickHouse, about: Scope) -> dict[str, str]:
    return {control.control_id: result for control, result, _ in facts(reader, about).results()}


def _count(rows: Sequence[Mapping[str, Any]], holds: Callable[[Any], bool]) -> int:
    return sum(1 for row in rows if holds(row))


def _is_unmasked(row: Mapping[str, Any]) -> bool:
    return bool(row["fields_unmasked"]) or row["action"] in ("unmask", "decrypt")


def _stratum(row: Mapping[str, Any]) -> str:
    if row["action"] in EXPORTS:
        return "export"
    if _is_unmasked(row):
        return "unmasked"
    if row["outcome"] == "denied":
        return "denied"
    return "unexplained" if row["explained"] == "not_yet_explained" else "other"


# -- the whole


def test_every_statement_runs_as_the_role_reader_and_answers_the_columns_it_says(
    reader: ClickHouse, world: World
) -> None:
    found = AuditReader(reader).answers(REGISTER.queries, scope(world.topic))
    assert set(found) == set(REGISTER.queries)
    judged = {one.query for one in REGISTER.controls if one.query}
    for name in judged:
        assert len(found[name].rows) == 1, name
        assert all(isinstance(value, int) and not isinstance(value, bool) for value in found[name].rows[0]), name


def test_a_report_of_nothing_says_so(reader: ClickHouse) -> None:
    about = scope(f"nobody-{uuid.uuid4().hex}")
    told = results(reader, about)
    assert told["log-complete"] == told["log-tamper-evident"] == told["log-scored"] == NO_CASES
    assert facts(reader, about).records == 0


# -- completeness


def test_rows_ranges_and_batches_are_counted_as_in_python(ask: Any, world: World) -> None:
    rows, figures = world.stored, ask("evidence", scope(world.topic)).figures
    dead = len({60, 61, 62})
    assert figures == {
        "events": len(rows), "duplicates": _count(rows, lambda row: row["duplicate_of"] >= 0),
        "heartbeats": _count(rows, lambda row: (row["action"], row["resource_type"]) == ("log_control", "heartbeat")),
        "unscored": _count(rows, lambda row: row["score_status"] == "unscored"),
        "misrouted": _count(rows, lambda row: row["misrouted"] == 1), "dead_letters": 2 * dead, "gaps": 0,
        "missing_records": 0, "batches": 4, "holes": 0,
    }  # fmt: skip
    assert figures["duplicates"] > 0
    assert [(row["partition"], row["first"], row["last"], row["batches"], row["holes"], row["events"])
            for row in ask("ledger", scope(world.topic)).named] == [
        (0, 0, 105, 2, 0, 100), (5, 0, 105, 2, 0, 100),
    ]  # fmt: skip


def test_a_batch_that_is_missing_from_the_ledger_is_a_hole_and_the_control_a_gap(
    reader: ClickHouse, store: ClickHouseStore, ask: Any
) -> None:
    """The first batch of one partition is gone, and of the other a batch between two."""
    whole = World(store)
    assert results(reader, scope(whole.topic))["log-complete"] == PARTLY, "dead letters are a person's work"
    position = LogPosition(whole.topic, "life-1", 9)
    first = batch(position, events=20, dead_letters=0, seed=1)
    lost = batch(position, first.entry, events=30, dead_letters=0, seed=2)
    third = batch(position, lost.entry, events=60, dead_letters=0, seed=3)
    for one in (first, third):
        one.commit(store)
    figures = ask("evidence", scope(whole.topic)).figures
    assert figures["holes"] == 30
    assert results(reader, scope(whole.topic))["log-complete"] == GAP
    # The hole lies before the period's first batch, and is seen all the same.
    late = scope(whole.topic, from_us=RECEIVED_AT_US + 60_000)
    assert ask("evidence", late).figures["holes"] == 30


def test_sources_are_told_with_the_numbers_that_are_missing(ask: Any, world: World) -> None:
    by_source = defaultdict(list)
    for row in world.stored:
        by_source[row["source_system"], row["source_instance"]].append(row)
    found = {(row["source_system"], row["source_instance"]): row for row in ask("sources", scope(world.topic)).named}
    assert set(found) == set(by_source)
    missing = 0
    for name, rows in by_source.items():
        numbers = [row["source_seq"] for row in rows if row["source_seq"] >= 0]
        new = _count(rows, lambda row: row["source_seq"] >= 0 and row["duplicate_of"] < 0)
        lacking = max(numbers) - min(numbers) + 1 - new if new else 0
        assert (found[name]["events"], found[name]["numbered"]) == (len(rows), new)
        assert found[name]["missing_numbers"] == lacking
        assert found[name]["silence"] == 0, "all within two minutes"
        missing += lacking
    totals = ask("source_totals", scope(world.topic)).figures
    assert (totals["sources"], totals["missing_numbers"]) == (len(by_source), missing)


def test_checkpoints_cover_what_they_signed_and_the_rest_is_told(
    reader: ClickHouse, migrator: ClickHouse, ask: Any, world: World
) -> None:
    about, leaves = scope(world.topic), world.trees
    assert ask("checkpoint_totals", about).figures == {
        "trees": 2, "signed_trees": 0, "uncovered": leaves[0] + leaves[5],
    }  # fmt: skip
    assert results(reader, about)["log-tamper-evident"] == GAP

    def sign(partition: int, size: int) -> None:
        migrator.query(
            f"INSERT INTO {RAW}.checkpoints (topic, incarnation, partition, epoch, tree_size, last_offset, signed_at) "
            "SELECT {topic:String}, 'life-1', {partition:UInt32}, 0, {size:UInt64}, {size:UInt64} - 1, "
            "fromUnixTimestamp64Micro({at:Int64}, 'UTC')",
            {"topic": world.topic, "partition": partition, "size": size, "at": TO_US},
        )

    sign(0, 7)
    sign(0, leaves[0] - 2)
    assert [(row["partition"], row["covered"], row["uncovered"]) for row in ask("checkpoints", about).named] == [
        (0, leaves[0] - 2, 2), (5, 0, leaves[5]),
    ]  # fmt: skip
    assert ask("checkpoints", about).named[1]["last_signed"] is None
    assert results(reader, about)["log-tamper-evident"] == PARTLY
    sign(0, leaves[0])
    sign(5, leaves[5])
    assert results(reader, about)["log-tamper-evident"] == COVERED


# -- figures


def test_activity_is_counted_as_in_python(ask: Any, world: World) -> None:
    rows = world.accesses
    subjects = {token for row in rows for token in row["subject_tokens"]}
    assert ask("activity", scope(world.topic)).figures == {
        "events": len(rows), "actors": len({row["actor_token"] for row in rows}), "subjects": len(subjects),
        "exports": _count(rows, lambda row: row["action"] in EXPORTS),
        "exported_records": sum(max(0, row["records_returned"]) for row in rows if row["action"] in EXPORTS),
        "unmasked": _count(rows, _is_unmasked), "denied": _count(rows, lambda row: row["outcome"] == "denied"),
        "unexplained": _count(rows, lambda row: row["explained"] == "not_yet_explained"),
        "break_glass": _count(rows, lambda row: row["break_glass"] == "yes"),
        "without_purpose": _count(rows, lambda row: not row["purpose"]),
        "on_behalf_of": _count(rows, lambda row: row["on_behalf_of_token"] != NONE),
    }  # fmt: skip


def test_what_laws_treat_apart_is_counted_as_in_python(ask: Any, world: World) -> None:
    rows = world.accesses
    minors = [row for row in rows if "minor" in row["subject_flags"]]
    sensitive = [row for row in rows if row["sensitivity"] >= 3]
    partner = [row for row in rows if "partner" in (row["actor_type"], row["recipient_type"])]
    abroad = [
        row for row in rows if row["dst_country"] not in ("", "CN") or row["src_country"] not in ("", "CN")
    ]  # fmt: skip
    found = ask("special", scope(world.topic)).figures
    assert found == {
        "minors": len(minors), "minors_unapproved": _count(minors, lambda row: row["approval_token"] == NONE),
        "sensitive": len(sensitive), "sensitive_single_factor": _count(sensitive, lambda row: row["mfa"] == "no"),
        "sensitive_factor_unknown": _count(sensitive, lambda row: row["mfa"] == ""),
        "partner": len(partner), "partner_without_purpose": _count(partner, lambda row: not row["purpose"]),
        "abroad": len(abroad), "abroad_subjects": len({one for row in abroad for one in row["subject_tokens"]}),
        "after_leaving": _count(rows, lambda row: row["actor_status"] == "left"),
        "regulator": _count(rows, lambda row: row["recipient_type"] == "regulator"),
    }  # fmt: skip
    assert all(found.values()), "every kind is in the history"


def test_looks_at_the_evidence_itself_and_changes_of_accounts_are_told(ask: Any, world: World) -> None:
    own = [row for row in world.stored if row["duplicate_of"] < 0 and row["source_system"] == "accesstrail"]
    looks = [row for row in own if row["resource_type"].startswith("evidence.")]
    changes = [row for row in own if row["resource_type"] == "accesstrail_account"]
    figures = ask("own_reads", scope(world.topic)).figures
    assert (figures["looks"], figures["accounts"]) == (len(looks), len({row["actor_token"] for row in looks}))
    assert figures["without_reason"] == _count(
        looks, lambda row: row["action"] in ("audit_export", "unmask") and not row["justification"]
    )
    told = ask("account_changes", scope(world.topic)).named
    assert sorted(row["account"] for row in told) == sorted(row["resource_token"] for row in changes)
    assert ask("account_totals", scope(world.topic)).figures == {"changes": len(changes)}


def test_subjects_entries_retention_and_alerts(ask: Any, world: World) -> None:
    about, rows = scope(world.topic), world.accesses
    assert ask("subject_rows", about).figures == {
        "named": sum(len(row["subject_tokens"]) for row in world.stored), "missing": 0,
    }  # fmt: skip
    entries = ask("entries", about).figures
    assert entries["without_actor"] == _count(rows, lambda row: row["actor_token"] == NONE)
    assert entries["without_outcome"] == _count(rows, lambda row: row["outcome"] == "")
    assert entries["without_class"] == _count(
        rows, lambda row: row["subject_tokens"] and not row["data_categories"] and not row["sensitivity"]
    )
    later = scope(world.topic, to_us=TO_US + 200 * 86_400_000_000)
    assert ask("retention", later).figures["oldest_days"] == 200
    alerts = [row for one in world.batches for row in row_values(one.alerts, ALERT_COLUMNS)]
    due = [row for row in alerts if FROM_US <= row["received_at"] < TO_US]
    assert ask("alert_totals", about).figures["alerts"] == len(due) == 2
    assert sum(row["alerts"] for row in ask("alerts", about).named) == 2


# -- the sample


def test_strata_hold_every_access_once(ask: Any, world: World) -> None:
    expected = Counter(_stratum(row) for row in world.accesses)
    assert len(expected) == 5
    told = {row["stratum"]: row["population"] for row in ask("strata", scope(world.topic)).named}
    assert told == expected
    assert sum(told.values()) == ask("activity", scope(world.topic)).figures["events"]


@pytest.mark.parametrize("seed", ["0", "7", "20261101"])
def test_anybody_draws_the_same_sample_with_a_hash_and_the_seed(ask: Any, world: World, seed: str) -> None:
    drawn: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for row in world.accesses:
        place = f"{seed}|{row['topic']}|{row['incarnation']}|{row['partition']}|{row['offset']}"
        number = hashlib.sha256(place.encode()).hexdigest()
        drawn[_stratum(row)].append((number, row["partition"], row["offset"]))
    expected = [(name, *one) for name in sorted(drawn) for one in sorted(drawn[name])[:4]]
    about = scope(world.topic, seed=seed)
    told = [(row["stratum"], row["drawn_by"], row["partition"], row["offset"]) for row in ask("sample", about).named]
    assert told == expected
    assert ask("sample", about) == ask("sample", about)


# -- incidents


@pytest.fixture
def company(clickhouse_settings: Any) -> Iterator[Company]:
    store = open_incidents(clickhouse_settings)
    yield Company(store)
    store.close()


def test_incidents_verdicts_and_times_are_those_of_the_log(ask: Any, reader: ClickHouse, company: Company) -> None:
    for number, verdict in enumerate(("true_positive", "benign", "false_positive", "")):
        company.alert(number, key=f"k{number}")
        company.world.at_us += (number + 1) * 100 * SECOND_US
        company.command("acknowledge", f"k{number}")
        company.world.at_us += 50 * SECOND_US
        if verdict:
            company.command("resolve", f"k{number}", verdict=verdict)
    company.alert("nobody's", key="open")
    company.command("suspect_breach", "k3", known_at_us=START_US)
    kept = [company.incident(f"k{number}") for number in (3,)] + [
        one for state in company.world.states.values() for one in state.incidents if one.state == "resolved"
    ]
    taken = [(one.acknowledged_us - one.opened_us) // SECOND_US for one in kept]
    closed = [(one.resolved_us - one.opened_us) // SECOND_US for one in kept if one.state == "resolved"]
    about = scope(
        "none", incidents_topic=company.topic, from_us=START_US - SECOND_US, to_us=company.world.at_us + SECOND_US
    )
    figures = ask("incident_totals", about).figures
    assert figures == {
        "opened": 5, "resolved": 3, "never_taken": 1, "true_positive": 1, "benign": 1, "false_positive": 1, "test": 0,
        "breaches": 1, "to_acknowledge": statistics.median_high(taken), "to_resolve": statistics.median(closed),
    }  # fmt: skip
    assert len(ask("incidents", about).rows) == 5
    assert [row["incident"] for row in ask("breaches", about).named] == [company.incident("k3").incident_id]
    assert ask("breach_totals", about).figures == {"breaches": 1}
    before = scope("none", incidents_topic=company.topic, from_us=START_US - 2 * SECOND_US, to_us=START_US)
    assert ask("incident_totals", before).figures["opened"] == 0
    assert results(reader, about)["incident-handled"] == PARTLY
