"""What panels must answer: pipeline health."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, timedelta

from tests.panel_history import History, Record
from tests.panel_truths.counting import (
    Question,
    Row,
    by,
    entries,
    grouped,
    micros,
    over_time,
    seconds,
    truth_of,
    uuid_order,
)

# -- pipeline health


@truth_of("pipeline-health", "partitions")
def _(h: History, q: Question) -> Sequence[Row]:
    oldest = q.until - timedelta(days=30)
    found = [one for one in h.entries if oldest <= one["last_received_at"] < q.until]
    return [(f"{topic}/{partition}", seconds(max(one["last_received_at"] for one in of), q.until))
            for (topic, partition), of in sorted(grouped(found, by("topic", "partition")).items())]  # fmt: skip


def _received(h: History, first: date, last: date) -> list[Record]:
    return [one for one in h.events if first <= one["received_at"].astimezone(UTC).date() <= last]


@truth_of("pipeline-health", "silent-sources")
def _(h: History, q: Question) -> Sequence[Row]:
    last = q.until.date()
    rows = []
    found = _received(h, last - timedelta(days=30), last)
    for key, of in grouped(found, by("source_system", "source_instance")).items():
        newest = max(one["received_at"] for one in of)
        rows.append((*key, newest, max(0, seconds(newest, q.until)), len(of)))
    return sorted(rows, key=lambda row: (-row[3], row[:2]))


@truth_of("pipeline-health", "sealed")
def _(h: History, q: Question) -> Sequence[Row]:
    return over_time(entries(h, q), q, "last_received_at", lambda one: one["topic"],
                      lambda of: sum(one["n_events"] for one in of))  # fmt: skip


@truth_of("pipeline-health", "delay")
def _(h: History, q: Question) -> Sequence[Row]:
    def worst(of: list[Record]) -> int:
        return max(micros(one["sealed_at"]) // 1000 - micros(one["last_received_at"]) // 1000 for one in of)

    return over_time(entries(h, q), q, "last_received_at", lambda one: one["topic"], worst)


@truth_of("pipeline-health", "unscored")
def _(h: History, q: Question) -> Sequence[Row]:
    events = sum(one["n_events"] for one in entries(h, q))
    return [(100 * sum(one["n_unscored"] for one in entries(h, q)) / events,)] if events else []


@truth_of("pipeline-health", "rejected")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in h.deads if q.holds(one["received_at"])]
    rows = [(*key, sum(one["last_offset"] - one["offset"] + 1 for one in of), max(one["received_at"] for one in of))
            for key, of in grouped(found, by("leaf_kind", "reason")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[2], row[:2]))


@truth_of("pipeline-health", "alarms")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in h.alerts if one["detector"].startswith("system:") and q.holds(one["event_time"])]
    found.sort(key=lambda one: (-micros(one["event_time"]), uuid_order(one["alert_id"])))
    return [(one["event_time"], one["detector"], one["explanation_en"], one["explanation_zh"]) for one in found[:50]]


@truth_of("pipeline-health", "scheduled")
def _(h: History, q: Question) -> Sequence[Row]:
    done = [
        one for one in h.runs if one["stage"] == "final" and one["result"] == "done" and one["started_at"] < q.until
    ]
    rows = [(name, seconds(max(one["window_end"] for one in of), q.until))
            for (name,), of in grouped(done, by("detector")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[1], row[0]))


@truth_of("pipeline-health", "repeats")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = []
    for (name,), of in grouped(_received(h, q.since.date(), q.until.date()), by("source_system")).items():
        twice, astray = sum(one["duplicate_of"] >= 0 for one in of), sum(one["misrouted"] for one in of)
        if twice + astray:
            rows.append((name, len(of), twice, astray, 100 * (twice + astray) / len(of)))
    return sorted(rows, key=lambda row: (-row[4], row[0]))
