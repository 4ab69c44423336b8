"""Panels read by sort key and range: what they cost follows from what they show, not from what is stored.

Rows read, not time: 400,000 events of 100 accounts over five days, ten granules a day, in sealed batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from dashboards.panels.asked import Asked, values_of
from dashboards.panels.boards import BOARDS
from dashboards.panels.panel import Board, Panel
from pipeline.migrations.schema import RAW
from tests.panel_engine import PanelEngine
from tests.panel_history import START

EVENTS, DAYS, ACTORS, PERSONS, BATCH = 400_000, 5, 100, 5_000, 40_000
_DAY_US = 86_400_000_000
_AT_US = f"{round(START.timestamp() * 1e6)} + intDiv(number * {DAYS * _DAY_US}, {EVENTS})"
_TOKEN = "toFixedString(leftPad(toString({}), 16, 'a'), 16)"
_FILL = (
    f"INSERT INTO {RAW}.access_events (tenant_id, topic, incarnation, offset, batch_id, event_time, received_at, "
    "duplicate_of, action, outcome, explained, actor_token, subject_tokens, retention_class) "
    f"SELECT 'default', 'access.events', 'life', number, 1 + intDiv(number, {BATCH}), "
    f"fromUnixTimestamp64Micro(toInt64({_AT_US}), 'UTC') AS at, at, -1, 'read', 'success', 'explained', "
    f"{_TOKEN.format(f'cityHash64(number) % {ACTORS}')}, [{_TOKEN.format(f'cityHash64(number, 1) % {PERSONS}')}], "
    f"'standard' FROM numbers({EVENTS})"
)
_SEAL = (
    f"INSERT INTO {RAW}.ledger (topic, incarnation, batch_id, first_offset, n_events, first_received_at, "
    f"last_received_at) SELECT 'access.events', 'life', batch_id, min(offset), count(), min(received_at), "
    f"max(received_at) FROM {RAW}.access_events GROUP BY batch_id"
)
ONE = "0".rjust(16, "a").encode().hex()
MOST_SHARES = {"actor": 0.25, "subject-audit": 0.05}
"""Of the rows of the table asked: an account has one or two granules of ten a day; a person one of all."""


@pytest.fixture(scope="module")
def engine() -> Iterator[PanelEngine]:
    with PanelEngine() as opened:
        opened.run(_FILL)
        opened.run(_SEAL)
        opened.run(f"OPTIMIZE TABLE {RAW}.access_events FINAL")
        opened.run(f"OPTIMIZE TABLE {RAW}.subject_access FINAL")
        yield opened


def _read(engine: PanelEngine, one: Board, panel: Panel, range_: timedelta) -> tuple[int, int]:
    until = START + timedelta(days=DAYS)
    given = {parameter.name: ONE for parameter in one.parameters}
    values = values_of(one, Asked(until - range_, until, "Asia/Shanghai", given))
    answer = engine.ask(panel.sql, {name: values[name] for name, _ in panel.places()})
    return answer.rows_read, len(answer.rows)


def _panels(of: str) -> list[object]:
    return [pytest.param(one, panel, id=f"{one.uid}/{panel.uid}")
            for one in BOARDS for panel in one.panels if of in panel.sql]  # fmt: skip


@pytest.mark.parametrize(("one", "panel"), _panels("unhex("))
def test_a_board_about_somebody_reads_a_small_share(one: Board, panel: Panel, engine: PanelEngine) -> None:
    read, rows = _read(engine, one, panel, timedelta(days=DAYS))
    assert read <= MOST_SHARES[one.uid] * EVENTS
    assert (rows and read) or "incidents" in panel.sql


@pytest.mark.parametrize(("one", "panel"), _panels("FROM accesstrail.person_events"))
def test_a_day_reads_a_day(one: Board, panel: Panel, engine: PanelEngine) -> None:
    read, _rows = _read(engine, one, panel, timedelta(days=1))
    assert read <= 1.5 / DAYS * EVENTS
    assert read >= 1 / DAYS * EVENTS or one.parameters


@pytest.mark.parametrize(("one", "panel"), [pytest.param(one, panel, id=panel.uid) for one in BOARDS
                                            if one.uid == "pipeline-health" for panel in one.panels])  # fmt: skip
def test_pipeline_health_reads_no_events(one: Board, panel: Panel, engine: PanelEngine) -> None:
    read, _rows = _read(engine, one, panel, timedelta(days=DAYS))
    assert read <= 100
