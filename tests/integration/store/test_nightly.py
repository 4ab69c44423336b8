"""The nightly turn on the real server: it reads what the stream kept; a night moves the threshold and says so."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from detectors.features import FEATURE_VERSION
from detectors.model import save
from detectors.policy import NEVER, Policy
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.nightly import ClickHouseNights
from pipeline.adapters.store import ClickHouseStore
from pipeline.batch import FormedBatch
from pipeline.column_batch import ArrayColumn, FixedColumn
from pipeline.events import LogPosition
from pipeline.flow import commit_batch
from tests.conftest import Stack
from tests.corpus.make_poison import event
from tests.flows import Published, Record, batch_of, chain, judgement, memory, records
from tests.models import small_model
from tests.systems import System

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
_BEGIN_US, _END_US = 0, 4_000_000_000_000_000


def committed(store: ClickHouseStore, position: LogPosition, *, shadow: bool = False) -> FormedBatch:
    """Twelve hundred events, every hundredth by emergency right, judged by a model, stored and sealed."""
    judged = replace(judgement(), model=small_model(), policy=Policy(NEVER))
    if shadow:
        judged = replace(judged, shadow=replace(small_model(seed=2), model_id="candidate"))
    formed = chain().form(batch_of(_records(), position), memory(position), judged)
    commit_batch(formed, store, Published(), "test")
    commit_batch(formed, store, Published(), "test")  # a repetition adds nothing
    return formed


def _records() -> list[Record]:
    """A rule holds on the events by emergency right: these are watched, others are kept by chance only."""
    found = records(1200)
    for offset in range(50, 1200, 100):
        body = event(f"emergency {offset}", actor_id=f"actor-{offset % 7}", break_glass=True)
        found[offset] = Record(offset, msgspec.json.encode(body))
    return found


@pytest.fixture
def nights(connect_as: Callable[[str], ClickHouse]) -> ClickHouseNights:
    return ClickHouseNights(connect_as("scheduler"))


@pytest.fixture
def own(position: LogPosition) -> LogPosition:
    return replace(position, topic=f"nightly.{position.incarnation}")


def test_kept_judgements_are_read_as_the_stream_made_them(
    store: ClickHouseStore, nights: ClickHouseNights, own: LogPosition
) -> None:
    formed = committed(store, own)
    rows = formed.features
    assert rows is not None
    kept = nights.kept(own.topic, _BEGIN_US, _END_US, "")
    watched = rows.fixed("floor").astype(np.int64) >= 8000
    assert watched.sum() == 12
    for name in ("level", "floor"):
        assert getattr(kept, name).tolist() == rows.fixed(name)[watched].tolist()
    assert kept.time_us.tolist() == rows.fixed("event_time")[watched].tolist()
    assert {reasons[0] for reasons in kept.reasons} == {"rule:break_glass"}


def test_a_shadow_models_judgements_count_only_under_its_own_id(
    store: ClickHouseStore, nights: ClickHouseNights, own: LogPosition
) -> None:
    formed = committed(store, own, shadow=True)
    rows = formed.features
    assert rows is not None
    watched = rows.fixed("floor").astype(np.int64) >= 8000
    named = nights.kept(own.topic, _BEGIN_US, _END_US, "candidate")
    assert named.shadow_floor.tolist() == rows.fixed("shadow_floor")[watched].tolist()
    assert min(named.shadow_floor.tolist()) >= 8000
    other = nights.kept(own.topic, _BEGIN_US, _END_US, "another")
    assert other.level.tolist() == named.level.tolist()
    assert set(other.shadow_floor.tolist()) == {0}


def test_the_sample_holds_the_features_of_its_events(
    store: ClickHouseStore, nights: ClickHouseNights, own: LogPosition
) -> None:
    rows = committed(store, own).features
    assert rows is not None
    column = rows.columns["features"]
    assert isinstance(column, ArrayColumn)
    assert isinstance(column.items, FixedColumn)
    made = column.items.values.astype(np.float32).reshape(rows.count, -1)[rows.fixed("by_chance") == 1]
    read = nights.sampled(own.topic, _BEGIN_US, _END_US, FEATURE_VERSION)
    assert len(read.risk) == len(made) > 0
    assert sorted(map(tuple, read.features.tolist())) == sorted(map(tuple, made.tolist()))
    assert len(nights.sampled(own.topic, _BEGIN_US, _END_US, "another").risk) == 0


def test_what_is_not_sealed_is_nobodys(store: ClickHouseStore, nights: ClickHouseNights, own: LogPosition) -> None:
    judged = replace(judgement(), model=small_model(), policy=Policy(NEVER))
    formed = chain().form(batch_of(_records(), own), memory(own), judged)
    assert formed.features is not None
    store.insert_features(formed.features, formed.token())
    assert len(nights.kept(own.topic, _BEGIN_US, _END_US, "").level) == 0


def test_a_night_is_remembered_and_replaced_never_doubled(nights: ClickHouseNights, own: LogPosition) -> None:
    assert nights.last_night(own.topic) is None
    row: dict[str, Any] = {
        "day": 20_000, "watermark": 1, "versions_id": bytes(32), "threshold_before": 9000, "threshold": 9500,
        "topic": own.topic, "runner": "r", "report": "{}",
    }  # fmt: skip
    nights.record_night(row)
    nights.record_night({**row, "threshold": 9600})
    assert nights.last_night(own.topic) == 20_000


def test_a_night_moves_the_threshold_once_and_its_report_is_shown(
    stack: Stack, tmp_path: Path, connect_as: Callable[[str], ClickHouse]
) -> None:
    system = System(stack, tmp_path / "system", "nightly.live")
    save(small_model(threshold=6000), system.folder / "model")
    with system.worker():
        sent = 0
        for back in range(9, 0, -1):
            moment = (datetime.now(UTC) - timedelta(days=back)).isoformat(timespec="milliseconds")
            system.produce(40, salt=f"day{back}-", event_time=moment, break_glass=True)
            sent += 40
        system.await_sealed(sent)
        _begin(connect_as("scheduler"), system.topic)
        first, second = (system.scheduler() for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr[-2000:]
    shown = _run(system, "models", "report", "--json")
    assert shown.returncode == 0, shown.stderr
    report = json.loads(shown.stdout)
    assert report["budget"]["days"] >= 7
    assert report["day"] < datetime.now(ZoneInfo("Asia/Shanghai")).date().isoformat()
    sql = "SELECT kind, reason, threshold FROM accesstrail.version_activations WHERE topic = {t:String} ORDER BY number"
    kinds = [(kind, reason) for kind, reason, _ in system.reader.query(sql, {"t": system.topic}) if kind == "budget"]
    assert report["budget"]["why"] == "moved"
    assert kinds == [("budget", f"alert budget, night after {report['day']}")]
    assert "alerts a day" in _run(system, "models", "report").stdout
    system.close()


def _begin(scheduler: ClickHouse, topic: str) -> None:
    """As if the night before the last one had been reported."""
    day = (datetime.now(ZoneInfo("Asia/Shanghai")).date() - date(1970, 1, 1)).days - 3
    ClickHouseNights(scheduler).record_night(
        {
            "day": day, "watermark": 1, "versions_id": bytes(32), "threshold_before": 6000, "threshold": 6000,
            "topic": topic, "runner": "r", "report": "{}",
        }
    )  # fmt: skip


def _run(system: System, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *words, "--config", str(system.config)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
