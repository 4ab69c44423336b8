"""Board `pipeline-health`: whether what happens arrives here, is sealed, scored and told of."""

from __future__ import annotations

from dashboards.panels.panel import Board, Panel, Threshold, Words
from dashboards.panels.sql import SERIES_ROWS, SINCE, UNTIL, series, within
from dashboards.panels.terms import columns, label, over_time, value

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_LOOK_BACK = "toIntervalDay(30)"
"""What has been silent for longer is gone for good and no longer listed."""
_SEALED = f"FROM accesstrail.ledger WHERE {within('last_received_at')}"

PARTITIONS = Panel(
    uid="partitions",
    title=Words("Newest sealed record by partition", "各分区最新封存记录"),
    question=Words("How old is the newest record that can be seen?", "可见的最新记录有多旧？"),
    decision=Words(
        "All old: worker, Kafka or store is away. One old: that partition has stopped; `accesstrail status`.",
        "全部陈旧：工作进程、Kafka 或存储不可用。单个陈旧：该分区已停止，见 `accesstrail status`。",
    ),
    sql=(
        f"SELECT concat(topic, '/', toString(partition)) AS label, "
        f"dateDiff('second', max(last_received_at), {UNTIL}) AS value FROM accesstrail.ledger "
        f"WHERE last_received_at >= {UNTIL} - {_LOOK_BACK} AND last_received_at < {UNTIL} "
        "GROUP BY topic, partition ORDER BY topic, partition LIMIT 500"
    ),
    view="state",
    columns=(label("Partition", "分区"), value("Age", "距今", "seconds")),
    unit="seconds",
    thresholds=(Threshold(0, "good"), Threshold(300, "warning"), Threshold(900, "bad")),
    empty=Words("Nothing was sealed in thirty days.", "三十天内无封存记录。"),
    max_rows=500,
)

SILENT = Panel(
    uid="silent-sources",
    title=Words("Sources by silence", "来源静默时长"),
    question=Words("Which source has stopped reporting?", "哪个来源停止上报？"),
    decision=Words("Call whoever runs it: a silent source hides accesses.", "联系其运维：静默的来源会掩盖访问。"),
    sql=(
        "SELECT source_system, source_instance, max(last_received_at) AS last_at, "
        f"greatest(dateDiff('second', last_at, {UNTIL}), 0) AS silent_s, sum(events) AS counted "
        f"FROM accesstrail.sources WHERE day >= toDate({UNTIL}) - 30 AND day <= toDate({UNTIL}) "
        "GROUP BY source_system, source_instance ORDER BY silent_s DESC, source_system, source_instance LIMIT 100"
    ),
    view="table",
    columns=columns("source_system", "source_instance", "last_at", "silent_s", "counted"),
    unit="seconds",
    thresholds=(Threshold(0, "good"), Threshold(_HOUR_S, "warning"), Threshold(_DAY_S, "bad")),
    empty=Words("No source reported in thirty days.", "三十天内无来源上报。"),
)

SEALED = Panel(
    uid="sealed",
    title=Words("Records sealed", "封存记录数"),
    question=Words("Does as much arrive as usual?", "到达量是否正常？"),
    decision=Words(
        "A hole: compare with the sources above, then with Kafka's lag.", "出现空洞：先对照上方来源，再看 Kafka 积压。"
    ),
    sql=series("last_received_at", "topic", "sum(n_events)", _SEALED),
    view="timeseries",
    columns=over_time("Records", "记录数"),
    max_rows=SERIES_ROWS,
)

DELAY = Panel(
    uid="delay",
    title=Words("From receipt to sealed", "接收到封存的延迟"),
    question=Words("How long until an event can be seen, at worst?", "事件最迟多久可见？"),
    decision=Words("Rising: more workers, or look at the store's load.", "上升：增加工作进程，或检查存储负载。"),
    sql=series(
        "last_received_at",
        "topic",
        "max(toUnixTimestamp64Milli(sealed_at) - intDiv(toUnixTimestamp64Micro(last_received_at), 1000))",
        _SEALED,
    ),
    view="timeseries",
    columns=over_time("Delay", "延迟", "milliseconds"),
    unit="milliseconds",
    thresholds=(Threshold(0, "good"), Threshold(2_000, "warning"), Threshold(60_000, "bad")),
    max_rows=SERIES_ROWS,
)

UNSCORED = Panel(
    uid="unscored",
    title=Words("Events without a score", "未评分事件占比"),
    question=Words("Was anything stored without being judged?", "是否有事件未经判定即入库？"),
    decision=Words(
        "Any: the model is missing or broken; `accesstrail models`.", "如有：模型缺失或损坏，见 `accesstrail models`。"
    ),
    sql=f"SELECT 100 * sum(n_unscored) / sum(n_events) AS value {_SEALED} HAVING sum(n_events) > 0 LIMIT 1",
    view="stat",
    columns=(value("Without", "未评分", "percent"),),
    unit="percent",
    thresholds=(Threshold(0, "good"), Threshold(0.1, "warning"), Threshold(1, "bad")),
    width=3,
    max_rows=1,
)

REJECTED = Panel(
    uid="rejected",
    title=Words("Rejected records and gaps", "被拒收的记录与缺口"),
    question=Words("What arrived broken or not at all, and why?", "哪些记录损坏或缺失，原因为何？"),
    decision=Words(
        "Repair the source that sends it; a gap goes into the next report.", "修复发送方；缺口须写入下次报告。"
    ),
    sql=(
        "SELECT toString(leaf_kind) AS kind, reason, sum(last_offset - offset + 1) AS records, "
        f"max(received_at) AS last_at FROM accesstrail.dead_letters WHERE {within('received_at')} "
        "GROUP BY leaf_kind, reason ORDER BY records DESC, kind, reason LIMIT 50"
    ),
    view="table",
    columns=columns("kind", "reason", "records", "last_at"),
    empty=Words("Nothing was rejected.", "无被拒收的记录。"),
    max_rows=50,
)

ALARMS = Panel(
    uid="alarms",
    title=Words("The system's own alarms", "系统自身告警"),
    question=Words("What does the pipeline itself complain about?", "系统自身报告了什么问题？"),
    decision=Words("Do what the alarm says; it names the command.", "按告警提示处理，其中给出了命令。"),
    sql=(
        "SELECT event_time AS at, detector, explanation_en, explanation_zh FROM accesstrail.alerts "
        f"WHERE {within('event_time')} AND startsWith(detector, 'system:') ORDER BY at DESC, alert_id LIMIT 50"
    ),
    view="table",
    columns=columns("at", "detector", "explanation_en", "explanation_zh"),
    empty=Words("No alarm.", "无告警。"),
    width=12,
    max_rows=50,
)

SCHEDULED = Panel(
    uid="scheduled",
    title=Words("Scheduled detectors", "定时检测"),
    question=Words("How far behind is each scheduled detector?", "各定时检测落后多久？"),
    decision=Words(
        "More than two days and a half: see `accesstrail scheduler` and its failed runs.",
        "超过两天半：检查 `accesstrail scheduler` 及失败的运行。",
    ),
    sql=(
        f"SELECT detector AS label, dateDiff('second', max(window_end), {UNTIL}) AS value "
        f"FROM accesstrail.scheduled_runs WHERE stage = 'final' AND result = 'done' AND started_at < {UNTIL} "
        "GROUP BY detector ORDER BY value DESC, label LIMIT 100"
    ),
    view="state",
    columns=(label("Detector", "检测项"), value("Judged for good up to", "最终判定截至", "seconds")),
    unit="seconds",
    thresholds=(Threshold(0, "good"), Threshold(216_000, "warning"), Threshold(4 * _DAY_S, "bad")),
    empty=Words("No scheduled detector has finished a window yet.", "尚无定时检测完成过窗口。"),
)

REPEATS = Panel(
    uid="repeats",
    title=Words("Repeated and misrouted records", "重复与分区错误的记录"),
    question=Words("Which sources send twice, or with the wrong key?", "哪些来源重复发送或键错误？"),
    decision=Words(
        "Repair the emitter: the wrong key splits an account's history.", "修复发送端：键错误会割裂账号历史。"
    ),
    sql=(
        "SELECT source_system, sum(events) AS counted, sum(duplicates) AS repeated, sum(misrouted) AS astray, "
        "100 * (repeated + astray) / counted AS share FROM accesstrail.sources "
        f"WHERE day >= toDate({SINCE}) AND day <= toDate({UNTIL}) GROUP BY source_system "
        "HAVING repeated + astray > 0 ORDER BY share DESC, source_system LIMIT 50"
    ),
    view="table",
    columns=columns("source_system", "counted", "repeated", "astray", "share"),
    unit="percent",
    thresholds=(Threshold(0, "good"), Threshold(1, "warning"), Threshold(10, "bad")),
    empty=Words("No source sends twice or astray.", "无重复或错误发送。"),
    max_rows=50,
)

BOARD = Board(
    uid="pipeline-health",
    title=Words("Pipeline health", "管道健康"),
    about=Words(
        "Whether what happens arrives here, is sealed, scored and told of.", "访问是否到达、封存、评分并告知。"
    ),
    panels=(PARTITIONS, UNSCORED, SILENT, SEALED, DELAY, REJECTED, ALARMS, SCHEDULED, REPEATS),
    refresh_s=30,
)
