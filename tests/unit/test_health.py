"""Readiness, liveness, outages and the watchdog, from hand-made observations: one second a tick unless said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.health.findings import Health, HealthLimits, LogEnds, Observation, Probe, Report
from pipeline.health.metrics import METRICS
from pipeline.health.samples import ProcessFacts, samples
from pipeline.partition.status import PartitionStatus, StepClock

LIMITS = HealthLimits(away_alert_after_s=60, stalled_after_s=120)
UP = Probe(asked=True)


def partition(number: int = 0, *, state: str = "running", sealed: int = 99, code: str = "") -> PartitionStatus:
    return PartitionStatus("access.events", number, state=state, code=code, incarnation="life-1", sealed_offset=sealed)


def ends(last: int, first: int = 0) -> Mapping[int, LogEnds]:
    return {number: LogEnds(first, last) for number in range(8)}


@dataclass
class Watch:
    """Ticks a `Health` second by second."""

    limits: HealthLimits = LIMITS
    now_s: float = 1_000_000.0
    turns: int = 0
    health: Health = field(init=False)
    reports: list[Report] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.health = Health(self.limits)

    def see(self, *partitions: PartitionStatus, after_s: float = 1.0, loop: bool = True, **more: Any) -> Report:
        self.now_s += after_s
        self.turns += loop
        seen = Observation(
            monotonic_s=self.now_s, now_s=self.now_s, loop_turns=self.turns, assigned=True, partitions=partitions,
            store=UP, kafka=UP, ends=ends(100),
        )  # fmt: skip
        report = self.health.tick(replace(seen, **more))
        self.reports.append(report)
        return report


def codes(report: Report) -> set[tuple[str, int | None]]:
    return {(reason.code, reason.partition) for reason in report.not_ready}


# -- readiness


def test_ready_is_whoever_has_partitions_that_run() -> None:
    assert Watch().see(partition()).ready
    assert Watch().see().ready  # more workers than partitions


def test_not_ready_names_partition_and_code() -> None:
    watch = Watch()
    report = watch.see(partition(0), partition(1, state="recovering"), partition(2, state="away", code="store_busy"))
    assert not report.ready
    assert codes(report) == {("recovering", 1), ("store_busy", 2), ("store_busy", None)}
    assert codes(watch.see(assigned=False)) == {("not_assigned", None)}
    assert codes(watch.see(partition(), kafka=Probe("kafka_away", asked=True))) == {("kafka_away", None)}
    assert codes(watch.see(partition(), kafka=Probe("topic_missing", asked=True))) == {("topic_missing", None)}
    # Idle, but the next event would stop its partition.
    assert codes(watch.see(partition(), store=Probe("store_refused", asked=True))) == {("store_refused", None)}


def test_a_stopped_partition_leaves_the_others_ready_until_none_can_go_on() -> None:
    watch = Watch()
    stopped = partition(1, state="stopped", code="ledger_conflict")
    report = watch.see(partition(0), stopped)
    assert report.ready
    assert [one.code for one in report.stopped] == ["ledger_conflict"]
    assert watch.see(partition(0), stopped).stopped == ()  # said once
    assert codes(watch.see(stopped)) == {("ledger_conflict", 1)}


# -- outages


def test_an_outage_is_said_once_after_a_minute_and_once_when_it_ends() -> None:
    watch = Watch()
    watch.see(partition())
    began_s = watch.now_s + 1
    away = Probe("store_away", asked=True)
    for _ in range(300):
        watch.see(partition(), store=away)
    watch.see(partition())
    watch.see(partition())
    said = [(number, span) for number, report in enumerate(watch.reports) for span in report.said]
    assert [(span.dependency, span.code, span.since_s, span.until_s) for _, span in said] == [
        ("store", "store_away", began_s, None),
        ("store", "store_away", began_s, began_s + 300),
    ]
    assert said[0][0] == 61
    assert watch.reports[-1].away_total_s["store"] == 299
    assert watch.reports[-1].away == ()


def test_an_outage_is_said_also_where_every_look_comes_late() -> None:
    watch = Watch()
    for _ in range(14):
        watch.see(partition(), after_s=30, store=Probe("store_away", asked=True))
    assert sum(len(report.said) for report in watch.reports) == 1


def test_a_short_outage_is_not_said_but_counted() -> None:
    watch = Watch()
    for _ in range(30):
        watch.see(partition(state="away", code="kafka_away"))
    watch.see(partition())
    assert not any(report.said for report in watch.reports)
    assert watch.reports[-1].away_total_s["kafka"] == 29


# -- the watchdog


def stand_still(watch: Watch, seconds: int, status: PartitionStatus, **more: Any) -> Report:
    for _ in range(seconds):
        report = watch.see(status, **more)
    return report


def test_records_that_wait_before_an_offset_that_stands_still_end_the_process() -> None:
    watch = Watch()
    report = stand_still(watch, 125, partition(3, sealed=50))
    assert [(reason.code, reason.partition) for reason in report.fatal] == [("no_progress", 3)]
    assert not report.live
    assert report.lags == {3: 49}
    assert not any(one.fatal for one in watch.reports[:120])


def test_an_idle_log_is_no_fault() -> None:
    assert not stand_still(Watch(), 1000, partition(sealed=99)).fatal


def test_a_log_whose_unread_rest_was_deleted_is_no_fault() -> None:
    assert not stand_still(Watch(), 1000, partition(sealed=9), ends=ends(100, first=100)).fatal


def test_a_slow_partition_is_no_fault() -> None:
    watch = Watch()
    for second in range(2000):
        report = watch.see(partition(sealed=second // 110))
    assert not report.fatal
    assert report.live


def test_a_partition_that_works_on_one_batch_for_long_is_no_fault() -> None:
    """It looks for the rows that the store refuses: minutes in which nothing is sealed."""
    watch = Watch()
    for second in range(3000):
        status = partition(sealed=5)
        status.turns = second // 30
        assert not watch.see(status).fatal


def test_known_trouble_is_no_fault_of_the_fetcher() -> None:
    assert not stand_still(Watch(), 1000, partition(sealed=5, state="stopped", code="fenced")).fatal
    assert not stand_still(Watch(), 1000, partition(sealed=5, state="away", code="store_away")).fatal
    for name in ("store", "kafka"):
        away: dict[str, Any] = {name: Probe(f"{name}_away", asked=True)}
        assert not stand_still(Watch(), 1000, partition(sealed=5), **away).fatal


def test_after_an_outage_the_consumer_has_the_whole_time_to_come_back() -> None:
    watch = Watch()
    stand_still(watch, 100, partition(sealed=5))
    stand_still(watch, 10, partition(sealed=5), kafka=Probe("kafka_away", asked=True))
    assert not stand_still(watch, 119, partition(sealed=5)).fatal
    assert stand_still(watch, 2, partition(sealed=5)).fatal


def test_a_long_recovery_that_moves_is_no_fault_and_one_that_does_not_is() -> None:
    watch = Watch()
    for second in range(3000):
        status = partition(sealed=5, state="recovering")
        status.turns = second // 100
        assert not watch.see(status).fatal
    assert not stand_still(watch, 1000, status).fatal
    assert stand_still(watch, 300, status).fatal


def test_a_suspended_process_or_machine_begins_to_count_anew() -> None:
    watch = Watch()
    stand_still(watch, 110, partition(sealed=5))
    report = watch.see(partition(sealed=5), after_s=36_000, loop=False)
    assert report.live
    assert not report.fatal
    assert not stand_still(watch, 115, partition(sealed=5)).fatal
    watch = Watch()
    stand_still(watch, 5, partition(sealed=5), store=Probe("store_away", asked=True))
    assert not watch.see(partition(sealed=5), after_s=36_000, store=Probe("store_away", asked=True)).said


@settings(max_examples=40)
@given(st.lists(st.floats(5.1, 1e6), min_size=1, max_size=20), st.integers(1, 100))
def test_no_pattern_of_suspensions_alone_ends_the_process(jumps: list[float], between: int) -> None:
    watch = Watch()
    for jump in jumps:
        stand_still(watch, between, partition(sealed=5))
        watch.see(partition(sealed=5), after_s=jump, loop=False)
    assert all(report.live and not report.fatal for report in watch.reports)


def test_marks_of_transactions_are_nothing_to_read() -> None:
    watch = Watch()
    report = stand_still(watch, 65, partition(sealed=98))
    assert report.suspects == (0,)
    # The fetcher stands at the end: the offset above the last record is a mark, not a record.
    assert not stand_still(watch, 500, partition(sealed=98), positions={0: 100}).fatal
    # It stands at the end, but the partition's thread holds what it fetched: stuck.
    held = partition(sealed=98)
    held.inbox_records = 1
    assert stand_still(watch, 130, held, positions={0: 100}).fatal


def test_a_mark_at_the_end_of_the_log_is_no_old_event() -> None:
    watch = Watch()

    def age_s(report: Report) -> float:
        text = samples(report, ProcessFacts(0, 0, 0.0)).text()
        found = re.search(r'oldest_unsealed_age_seconds\{partition="0"\} (\S+)', text)
        assert found is not None
        return float(found[1])

    for _ in range(300):  # as the monitor asks: for the fetch positions of those it is told to suspect
        suspects = watch.reports[-1].suspects if watch.reports else ()
        watch.see(partition(sealed=98), positions=dict.fromkeys(suspects, 100))
    assert max(map(age_s, watch.reports)) < 15
    late = [watch.see(partition(sealed=50), positions=dict.fromkeys(watch.reports[-1].suspects, 90)) for _ in range(40)]
    assert age_s(late[-1]) > 30


def test_a_loop_that_makes_no_turn_is_not_live_and_ends() -> None:
    watch = Watch()
    watch.see(partition())
    for _ in range(15):
        report = watch.see(partition(), loop=False)
    assert [reason.code for reason in report.not_live] == ["loop_stuck"]
    assert not report.fatal
    for _ in range(120):
        report = watch.see(partition(), loop=False)
    assert [reason.code for reason in report.fatal] == ["loop_stuck"]


def test_before_the_loop_runs_it_is_not_stuck() -> None:
    watch = Watch()
    for _ in range(1000):
        report = watch.see(loop_turns=None, assigned=False, kafka=Probe("kafka_away", asked=True))
    assert report.live
    assert not report.fatal


def test_a_thread_that_ended_is_a_fault() -> None:
    report = Watch().see(partition(2), ended_threads=frozenset({2}))
    assert [(reason.code, reason.partition) for reason in report.fatal] == [("thread_ended", 2)]


# -- metrics


def test_totals_only_grow_when_a_partition_goes_and_comes_back() -> None:
    watch = Watch()
    full, fresh = partition(0), partition(0)
    full.batches, full.records, full.batch_sizes[2] = 7, 70, 7
    full.step_seconds["seal"] = 1.5
    fresh.batches, fresh.records, fresh.batch_sizes[0] = 1, 1, 1
    assert watch.see(full).totals.records == 70
    assert watch.see().totals.records == 70
    report = watch.see(fresh)
    assert report.totals.records == 71
    assert report.totals.step_seconds[3] == 1.5


def parsed(text: str) -> dict[str, float]:
    """The exposition read by the format's grammar; every line must be one of its three kinds."""
    import re

    values: dict[str, float] = {}
    types: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, "one block a metric"
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (\S+)', line)
            assert match, line
            name = match[1]
            assert name in types or re.sub("_(bucket|sum|count)$", "", name) in types
            assert line.rsplit(" ", 1)[0] not in values, "each series once"
            values[line.rsplit(" ", 1)[0]] = float(match[3])
    return values


def test_every_metric_of_the_list_has_a_value_in_the_format() -> None:
    watch = Watch()
    status = partition(1, sealed=49)
    status.reasons, status.versions_id, status.snapshot_at = {"store_rejected": 2, 'od"d\\\n': 1}, "ab" * 32, 1.0
    stopped = partition(2, state="stopped", code="fenced")
    report = watch.see(status, stopped, store=Probe("store_away", asked=True))
    text = samples(report, ProcessFacts(1 << 20, 17, 5.0)).text()
    values = parsed(text)
    for metric in METRICS:
        assert any(key.startswith(metric.name) for key in values), metric.name
    assert values['accesstrail_lag_records{partition="1"}'] == 50
    assert values['accesstrail_partitions_stopped{code="fenced"}'] == 1
    assert values['accesstrail_partition_state{partition="2",state="stopped"}'] == 1
    assert values['accesstrail_dead_letters_total{partition="1",reason="store_rejected"}'] == 2
    assert values["accesstrail_ready"] == 0


def test_the_age_of_the_oldest_unsealed_record_is_known_also_where_none_was_fetched() -> None:
    watch = Watch()
    status = partition(0, sealed=49)
    stand_still(watch, 10, status)
    key = 'accesstrail_oldest_unsealed_age_seconds{partition="0"}'
    process = ProcessFacts(0, 0, 0)
    assert parsed(samples(watch.reports[-1], process).text())[key] == 9
    status.oldest_received_at = watch.now_s - 33
    assert parsed(samples(watch.see(status), process).text())[key] == 34
    assert parsed(samples(watch.see(partition(0, sealed=99)), process).text())[key] == 0


def test_steps_of_a_commit_are_timed_by_their_numbers() -> None:
    status, now = partition(), [0.0]
    clock = StepClock(status, lambda: now[0])
    now[0] = 5.0
    clock.start()
    for step, passed in (("form", 1.0), (1, 9.0), (2, 2.0), (3, 0.5), (4, 0.0), (5, 0.5), (6, 4.0), (7, 8.0)):
        now[0] += passed
        if isinstance(step, str):
            clock.done(step)
        else:
            clock.after_step(step)
    assert status.step_seconds == {"form": 1.0, "rows": 3.0, "publish": 4.0, "seal": 8.0, "snapshot": 0.0}
