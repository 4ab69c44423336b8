"""Milliseconds and rows read of every panel at millions of events, as the role reader through the views.

`make bench-panels`, or `python -m tests.bench.panels --events 1000000 --state FOLDER`. Events are loaded as `store.py`
loads them, through the product's own chain; a folder that holds them already is taken as it is. Beside them stand
20,000 incidents of a year with 200,000 rows of their log and 100,000 messages. Each panel is asked
for its board's own range up to the newest event: once, then four times more, with the server's query condition cache
off. The account and the person are the busiest of that range, the dearest there are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from dashboards.panels.asked import Asked, values_of
from dashboards.panels.boards import BOARDS
from deploy.local.configuration import settings as state_settings
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.panel_reading import PanelReader
from pipeline.cli.stack_run import StackOptions, end, launch
from pipeline.config import Settings
from pipeline.migrations.schema import RAW
from tests.bench.store import PARTITIONS, Loader, size_options
from tests.bench.workload import Workload, prepare

BAR_MS = 300
_REPEATS = 4
_ZONE = "Asia/Shanghai"
_BUSIEST = {
    "actor": "SELECT lower(hex(actor_token)) FROM accesstrail.access_events "
    "WHERE event_time >= {since:DateTime64(3, 'UTC')} GROUP BY actor_token ORDER BY count() DESC LIMIT 1",
    "subject": "SELECT lower(hex(subject_token)) FROM accesstrail.subject_access GROUP BY subject_token "
    "ORDER BY count() DESC LIMIT 1",
}


INCIDENTS, STEPS, MESSAGES = 20_000, 10, 5
"""What a year of a busy desk leaves behind: incidents, rows of the log and messages of each."""
_OPENED = "{until:DateTime64(6, 'UTC')} - toIntervalSecond(cityHash64(number) % 31536000)"
_ID = "toUUID(concat('00000000-0000-4000-8000-', leftPad(toString({}), 12, '0')))"
_RESPONSE = (
    f"INSERT INTO {RAW}.incidents (tenant_id, incident_id, incident_key, actor_token, state, severity, risk, alerts, "
    "detectors, explanation_en, explanation_zh, opened_at, resolved_at, verdict, version) "
    f"SELECT 'default', {_ID.format('number')}, toString(number), toFixedString(leftPad(toString(number % 2000), 16), "
    "16), if(number % 50 = 0, 'open', 'resolved'), 'medium', 6000, 3, map('drip', 60), repeat('What happened. ', 20), "
    f"repeat('发生了什么。', 20), {_OPENED} AS at, at + 7200, 'benign', 1 FROM numbers({INCIDENTS})",
    f"INSERT INTO {RAW}.incident_log (topic, incarnation, partition, offset, received_at, incident_id, kind, "
    "transition, by, why, changes, detail) SELECT 'access.incidents', 'bench', 0, number, "
    f"{_OPENED.replace('(number)', f'(intDiv(number, {STEPS}))')} + 60 * (1 + number % {STEPS}), "
    f"{_ID.format(f'intDiv(number, {STEPS})')}, 'command', if(number % {STEPS} = 3, 'acknowledged', 'commented'), "
    f"'chen', 'looked at it', repeat('c', 300), repeat('d', 200) FROM numbers({INCIDENTS * STEPS})",
    f"INSERT INTO {RAW}.deliveries (channel, notification_id, attempt, topic, incarnation, partition, offset, at, "
    "outcome) SELECT 'mail', toString(number), 1, 'access.notifications', 'bench', 0, number, "
    f"{_OPENED}, if(number % 100 = 0, 'refused', 'delivered') FROM numbers({INCIDENTS * MESSAGES})",
)


def fill_response(migrator: ClickHouse, until: datetime) -> None:
    """Incidents, their log and messages of a year, where there are none yet."""
    if not migrator.query(f"SELECT count() FROM {RAW}.incidents")[0][0]:
        for statement in _RESPONSE:
            migrator.query(statement, {"until": until.strftime("%Y-%m-%d %H:%M:%S.000")})


def end_of(client: ClickHouse) -> datetime:
    """Just after the newest event."""
    newest: datetime = client.query("SELECT max(last_received_at) FROM accesstrail.ledger")[0][0]
    return newest.replace(tzinfo=UTC) + timedelta(seconds=1)


def _uncached(settings: Settings) -> PanelReader:
    """A reader whose server does not remember which granules a condition left out the last time."""
    connection = connect(settings.clickhouse, "reader")
    connection.query("SET use_query_condition_cache = 0")
    return PanelReader(connection)


def measured(settings: Settings, zone: str = _ZONE) -> Iterator[dict[str, object]]:
    """One line a panel: board, panel, milliseconds of the first and the middle of the next answers, rows read."""
    reader = _uncached(settings)
    plain = connect(settings.clickhouse, "reader")
    until = end_of(plain)
    who = _busiest(plain, until)
    for board in BOARDS:
        given = {parameter.name: who[parameter.name] for parameter in board.parameters}
        values = values_of(board, Asked(until - timedelta(seconds=board.range_s), until, zone, given))
        for panel in board.panels:
            first, *again = [reader.run(panel, values) for _ in range(1 + _REPEATS)]
            yield {
                "board": board.uid, "panel": panel.uid, "first_ms": round(first.elapsed_ms),
                "ms": round(median(one.elapsed_ms for one in again)), "rows_read": first.rows_read,
                "rows": len(first.rows),
            }  # fmt: skip
    reader.close()
    plain.close()


def _busiest(plain: ClickHouse, until: datetime) -> dict[str, str]:
    since = (until - timedelta(days=30)).strftime("%Y-%m-%d %H:%M:%S.000")
    return {name: plain.query(sql, {"since": since})[0][0] for name, sql in _BUSIEST.items()}


def _steps(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    state: Path = options.state
    workload = Workload(options.actors, options.events_a_day)
    if not (state / "model").exists():
        state.mkdir(parents=True, exist_ok=True)
        prepare(workload, state)
    stack = launch(state, StackOptions(worker=False, partitions=PARTITIONS), say=lambda text: None, tied=True)
    try:
        settings = state_settings(state, {})
        settings = replace(settings, clickhouse=replace(settings.clickhouse, timeout_s=300))
        Loader(settings).load(workload, options.events, options.batch)
        migrator = connect(settings.clickhouse, "migrator")
        fill_response(migrator, end_of(migrator))
        migrator.close()
        slowest: dict[str, object] = {}
        over = 0
        for line in measured(settings):
            over += int(str(line["ms"])) > BAR_MS
            slowest = max(slowest, line, key=lambda one: int(str(one.get("ms", -1))))
            yield line
        yield {"events": options.events, "bar_ms": BAR_MS, "over": over, "slowest": slowest}
    finally:
        end(stack)


def main() -> None:
    """Loads what is missing, measures; prints one JSON object a panel and one of all."""
    for step in _steps(size_options("tests.bench.panels", __doc__)):
        print(json.dumps(step), flush=True)


if __name__ == "__main__":
    main()
