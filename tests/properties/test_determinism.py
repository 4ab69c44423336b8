"""Same log and same versions give the same evidence and alerts: whatever the batches, the crashes, or a replay.

Over the store in memory, with late, duplicate and clock-skewed events, bad records, holes and two changes of the
version set inside the log. A profile that reads the wall clock must be found out.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from detectors import features
from detectors.base import MODEL_DETECTOR
from detectors.exceptions import DAY_US, AlertException
from detectors.policy import Policy
from detectors.profile import Profiles
from detectors.rules import all_rules
from pipeline.adapters.directory import read_directory
from pipeline.batch import Judgement
from pipeline.errors import Away, LedgerConflict, LogIncomplete, UsageError
from pipeline.flow import commit_batch
from pipeline.partition.recovery import LogBounds
from pipeline.ports import LedgerEntry
from pipeline.privacy.keys import Keyring
from pipeline.replay import Outcome, Replay, Silent
from pipeline.version_sets.sets import ARTEFACT_KIND, VersionSet
from tests.corpus.make_poison import event
from tests.exceptions import exception
from tests.fakes import InMemoryStore
from tests.flows import POSITION, RECEIVED_MS, Record, batch_of, chain, memory
from tests.models import small_model

COUNT = 400
BORDERS = (130, 270)
"""Offsets at which another version set comes into force: another directory, then another model."""
SEALING = ("insert_events", "insert_dead_letters", "insert_alerts", "seal", "seal answered", "save_profiles")


def _event(offset: int, rng: random.Random) -> dict[str, Any]:
    """Most in time, some late by days, some ahead of the broker's clock, some sent twice."""
    at_ms = RECEIVED_MS + offset * 40_000 - rng.choice((0, 0, 0, 500, 90_000, 3 * 86_400_000, -3_600_000))
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms // 1000)) + f".{at_ms % 1000:03d}Z"
    name = f"event {offset - 7 if offset % 11 == 10 else offset}"
    return event(
        name,
        event_time=moment,
        actor_id=f"actor-{rng.randrange(5)}",
        action=rng.choice(("read", "search", "export", "unmask")),
        outcome=rng.choice(("success", "success", "denied")),
        records_returned=rng.choice((1, 1, 20, 40_000)),
        src_ip=f"10.0.{rng.randrange(4)}.7",
        device_id=f"device-{rng.randrange(3)}",
        subject_ids=[f"c-{rng.randrange(1000)}" for _ in range(rng.randrange(4))],
    )


@cache
def log_records() -> tuple[Record, ...]:
    """The log: two offsets are missing, three records are no events."""
    rng = random.Random(20)
    made = []
    for offset in range(COUNT):
        value = b"not json" if offset in (5, 131, 300) else msgspec.json.encode(_event(offset, rng))
        if offset not in (60, 61):
            made.append(Record(offset, value, None, RECEIVED_MS + offset * 40_000))
    return tuple(made)


def _exception(actor_id: str, until_us: int) -> AlertException:
    """Everything that the stream can say of an account stays quiet."""
    return exception(
        MODEL_DETECTOR, *(rule.name for rule in all_rules()), up_to=60_000, valid_until_us=until_us,
        valid_from_us=RECEIVED_MS * 1000, scope={"actor": Keyring.offline().token("default", "actor", actor_id).hex()},
    )  # fmt: skip


@cache
def judgements() -> tuple[Judgement, ...]:
    """Three version sets: another directory, then another model; exceptions come with the second, one ends within."""
    made = []
    ends_us = (RECEIVED_MS + 200 * 40_000) * 1000
    quiet = (_exception("actor-1", ends_us), _exception("actor-2", ends_us + DAY_US))
    for name, resources, seed in (("a", "customer_profile,,2,", 1), ("b", "customer_profile,,4,", 1), ("c", "", 2)):
        with tempfile.TemporaryDirectory() as folder:
            header = "resource_type,data_categories,sensitivity,owner_department\n"
            (Path(folder) / "resources.csv").write_text(header + resources, encoding="utf-8")
            directory = read_directory(Path(folder), Keyring.offline())
        versions = VersionSet({"name": name})
        model = small_model(seed=seed)
        made.append(
            Judgement(
                versions, directory, model, all_rules(), Policy(4500, rise=500, rise_percent=10), "Asia/Shanghai",
                exceptions=() if name == "a" else quiet,
            )
        )  # fmt: skip
    return tuple(made)


def judgement_of(versions_id: bytes) -> Judgement:
    return next(one for one in judgements() if one.versions.versions_id == versions_id)


def in_force_at(offset: int) -> Judgement:
    return judgements()[sum(offset >= border for border in BORDERS)]


class MemoryLog:
    """The records as a replay reads them (role `replay.Log`)."""

    def __init__(self, records: Sequence[Record], run: int = 37) -> None:
        self._records, self._run = records, run

    def read(self, topic: str, partition: int, first_offset: int, last_offset: int) -> Iterator[Sequence[Record]]:
        found = [one for one in self._records if first_offset <= one.offset <= last_offset]
        for place in range(0, len(found), self._run):
            yield found[place : place + self._run]


def stream(sizes: Sequence[int], first_offset: int = 0) -> InMemoryStore:
    """What a worker stores that happens to form batches of these sizes (the last one repeats)."""
    store, state, stages = InMemoryStore(), memory(), chain()
    for one in judgements():
        store.save_artefact(ARTEFACT_KIND, one.versions.content())
    left, turn = [one for one in log_records() if one.offset >= first_offset], 0
    while left:
        judged = in_force_at(left[0].offset)
        size = sizes[min(turn, len(sizes) - 1)]
        count = sum(1 for one in left[:size] if in_force_at(one.offset) is judged)
        formed = stages.form(batch_of(left[:count]), state, judged)
        commit_batch(formed, store, Silent(), "worker")
        state.commit(formed.entry)
        del left[:count]
        turn += 1
    return store


@cache
def reference() -> InMemoryStore:
    return stream([5000])


def evidence(store: InMemoryStore) -> tuple[bytes, int, set[tuple[bytes, int]]]:
    """What must be equal: root, leaves, alerts."""
    last: LedgerEntry = store.ledger[-1]
    return last.root, last.tree_size, store.sealed_alerts()


def replayed(
    source: InMemoryStore, target: InMemoryStore | None, batch: int, log: MemoryLog | None = None, first_offset: int = 0
) -> Outcome:
    replay = Replay(
        chain=chain(), log=log or MemoryLog(log_records()), source=source, target=target,
        judgement_of=judgement_of, batch_records=batch,
    )  # fmt: skip
    return replay.run(POSITION, LogBounds("life-1", first_offset, COUNT))


def test_the_log_holds_what_this_test_is_about() -> None:
    rows = reference().sealed_rows("access_events")
    assert len({row.versions_id for row in rows}) == 3
    assert sum(row.duplicate_of >= 0 for row in rows) > 10
    assert len(reference().sealed_alerts()) > 5
    assert [row.reason for row in reference().sealed_rows("dead_letters")].count("bad_json") == 3
    for number, one in enumerate(judgements()[1].exceptions):
        held = [row.offset for row in rows if one.code.encode() in row.canonical]
        assert held
        assert max(held) < 200 or number == 1  # the first ends inside the log


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=30))
@example(sizes=[1])
@example(sizes=[5])
def test_batch_borders_change_nothing(sizes: list[int]) -> None:
    assert evidence(stream(sizes)) == evidence(reference())


def _sealed(log: Sequence[Record], size: int) -> tuple[bytes, int, set[tuple[str, int]]]:
    state, stages, judged = memory(), chain(), judgements()[0]
    alerts: set[tuple[str, int]] = set()
    for place in range(0, len(log), size):
        formed = stages.form(batch_of(log[place : place + size]), state, judged)
        alerts |= {(one.alert_id, one.risk) for one in formed.alerts}
        state.commit(formed.entry)
    assert state.sealed is not None
    return state.sealed.root, state.sealed.tree_size, alerts


def test_batches_of_5_and_of_5_000_records_give_the_same() -> None:
    rng = random.Random(5)
    log = [Record(n, msgspec.json.encode(_event(n, rng)), None, RECEIVED_MS + n * 40_000) for n in range(5_600)]
    small, large = _sealed(log, 5), _sealed(log, 5_000)
    assert small == large
    assert len(small[2]) > 5


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=10), batch=st.sampled_from([1, 5, 64, 5000]))
def test_a_replay_into_an_empty_store_gives_the_same(sizes: list[int], batch: int) -> None:
    source, target = stream(sizes), InMemoryStore()
    outcome = replayed(source, target, batch)
    assert outcome.difference is None
    assert evidence(target) == evidence(source)
    assert bytes.fromhex(outcome.root) == source.ledger[-1].root
    for table in ("access_events", "dead_letters"):
        stored, recorded = target.sealed_rows(table), source.sealed_rows(table)
        assert [row.canonical for row in stored] == [row.canonical for row in recorded]
    assert all(one.versions.versions_id.hex() in target.artefacts for one in judgements())


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    crashes=st.lists(st.tuples(st.sampled_from(SEALING), st.integers(0, 12)), min_size=1, max_size=4),
    batches=st.lists(st.sampled_from([3, 20, 64, 500]), min_size=5, max_size=5),
)
def test_crashes_at_any_step_change_nothing(crashes: list[tuple[str, int]], batches: list[int]) -> None:
    target = InMemoryStore()
    for (method, later), batch in zip([*crashes, ("seal", 10**6)], batches, strict=False):
        # The method works `later` times, then the process is gone; another process goes on with other batches.
        crash = _CrashAfter(target, method, later)
        try:
            outcome = replayed(reference(), target, batch)
        except Away:
            continue
        finally:
            crash.undo()
        assert outcome.difference is None
        break
    else:
        replayed(reference(), target, 64)
    assert evidence(target) == evidence(reference())


class _CrashAfter:
    """Lets a method of the store work some times and fail from then on."""

    def __init__(self, store: InMemoryStore, method: str, times: int) -> None:
        self._store, self._original = store, store._fault
        left = times

        def fault(name: str) -> None:
            nonlocal left
            if name == method:
                left -= 1
                if left < 0:
                    raise Away("gone")

        store._fault = fault  # type: ignore[method-assign, assignment]

    def undo(self) -> None:
        self._store._fault = self._original  # type: ignore[method-assign]


@pytest.mark.parametrize("batch", [1, 5, 5000])
def test_a_check_writes_nothing_and_finds_everything_equal(batch: int) -> None:
    outcome = replayed(reference(), None, batch)
    assert outcome.difference is None
    assert (outcome.next_offset, outcome.tree_size) == (COUNT, reference().ledger[-1].tree_size)
    assert outcome.alerts == len(reference().sealed_alerts())


@pytest.mark.parametrize("batch", [5, 64, 5000])
def test_a_changed_record_is_found_where_it_lies_and_nothing_wrong_is_stored(batch: int) -> None:
    source, target = stream([20]), InMemoryStore()
    other = [Record(one.offset, one.value, one.key, one.timestamp) for one in log_records()]
    other[210].value = other[11].value
    outcome = replayed(source, target, batch, MemoryLog(other))
    assert outcome.difference is not None
    assert outcome.difference.first_offset <= other[210].offset <= outcome.difference.last_offset
    assert "root" in outcome.difference.what
    assert all(entry.last_offset < outcome.difference.last_offset for entry in target.ledger)
    assert replayed(source, None, batch, MemoryLog(other)).difference == outcome.difference


def test_an_alert_that_is_missing_in_the_record_is_a_difference() -> None:
    source = stream([20])
    place = next(place for place, entry in enumerate(source.ledger) if entry.n_alerts)
    entry = source.ledger[place]
    changed = {name: getattr(entry, name) for name in entry.__dataclass_fields__}
    source.ledger[place] = LedgerEntry(**{**changed, "n_alerts": entry.n_alerts - 1})
    outcome = replayed(source, None, 20)
    assert outcome.difference is not None
    assert outcome.difference.what == ("n_alerts",)


def test_a_log_that_begins_too_late_is_said_and_not_replayed() -> None:
    with pytest.raises(LogIncomplete, match="profile_gap") as caught:
        replayed(reference(), InMemoryStore(), 64, MemoryLog(log_records()[50:]), first_offset=50)
    assert caught.value.exit_code == 3


def test_a_log_that_began_late_when_it_was_recorded_is_replayed() -> None:
    source = stream([20], first_offset=50)
    outcome = replayed(source, None, 64, MemoryLog(log_records()[50:]), first_offset=50)
    assert outcome.difference is None
    assert outcome.tree_size == source.ledger[-1].tree_size


def test_a_target_that_another_version_filled_is_refused() -> None:
    target = InMemoryStore()
    replayed(reference(), target, 64)
    target._snapshots[POSITION] = (target._snapshots[POSITION][0], "older")
    with pytest.raises(UsageError, match="another version"):
        replayed(reference(), target, 64)


def test_a_log_that_lost_its_end_is_said() -> None:
    with pytest.raises(LogIncomplete, match="no longer holds offset 399"):
        replayed(reference(), None, 64, MemoryLog(log_records()[:-1]))


def test_a_target_with_other_evidence_is_refused() -> None:
    target = InMemoryStore()
    other = [Record(one.offset, one.value, one.key, one.timestamp) for one in log_records()]
    other[3].value = other[11].value
    commit_batch(chain().form(batch_of(other[:50]), memory(), judgements()[0]), target, Silent(), "somebody")
    with pytest.raises(LedgerConflict):
        replayed(reference(), target, 64)


# -- sabotage: the comparison must be able to fail


def test_a_profile_that_reads_the_wall_clock_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    original = features.compute

    def by_the_clock(events: Any, profiles: Profiles) -> Any:
        found = original(events, profiles)
        slots = profiles.slot_of(events.actor_keys)
        profiles.state["rate_10m"][slots] *= 1.0 + (time.time_ns() % 1000) / 100
        return found

    source = reference()
    monkeypatch.setattr("pipeline.stages.assess.compute", by_the_clock)
    assert evidence(stream([64])) != evidence(source)
    outcome = replayed(source, None, 64)
    assert outcome.difference is not None
    assert "root" in outcome.difference.what


def test_a_profile_that_depends_on_the_batch_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    original = features.compute

    def by_the_batch(events: Any, profiles: Profiles) -> Any:
        found = original(events, profiles)
        profiles.state["rate_10m"][profiles.slot_of(events.actor_keys)] += events.count
        return found

    monkeypatch.setattr("pipeline.stages.assess.compute", by_the_batch)
    assert evidence(stream([5])) != evidence(stream([64]))
