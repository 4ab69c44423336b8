"""Alert rules inside Grafana: an independent dead-man's check of the pipeline, and nothing else.

Place in the flow: beside everything. accesstrail raises its own alarms; these still speak when it cannot, because they
need no process of ours: Grafana asks the store. Pure data and JSON, used by `publish.py` and `provisioning.py`.

The shape of each answer is fixed, since Grafana takes no other and then stays silent for ever: exactly one column is a
number, every other is a text (one alert a row, the texts are its labels), and the threshold stands directly on it.
"Now" is the end of the range asked for, so that tests can move it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dashboards.grafana.build import DATA_SOURCE_UID, PLUGIN, PLUGIN_VERSION
from dashboards.grafana.macros import grafana_sql
from dashboards.grafana.views import Json, uid_of
from dashboards.panels.boards import board
from dashboards.panels.panel import Words

GROUP = "accesstrail-dead-man"
INTERVAL_S = 60
_NOW = "{until:DateTime64(3, 'UTC')}"
_EXPRESSION = "__expr__"
_WEEK_S, _DAY_S, _HOUR_S, _MINUTE_S = 7 * 86_400, 86_400, 3_600, 60


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One rule: fires for each row whose number is above `above`, after `for_s` of that.

    `no_data`: what an answer without rows means: `Alerting` where rows are a sign of life. `panel`: board and panel
    that show the same to a person.
    """

    uid: str
    title: Words
    sql: str
    above: float
    for_s: int
    range_s: int
    summary: Words
    description: Words
    panel: tuple[str, str]
    severity: Literal["critical", "warning"] = "critical"
    no_data: Literal["Alerting", "OK"] = "OK"


def rules(*, silence_after_s: int = _DAY_S) -> tuple[AlertRule, ...]:
    """All rules. `silence_after_s`: how long a source may keep silent."""
    return (_SEALED, _LAG, _silence(silence_after_s), _UNSCORED, _UNDELIVERED, _SCHEDULER)


_SEALED = AlertRule(
    uid="accesstrail-sealed",
    title=Words("accesstrail: nothing is sealed", "accesstrail：无新封存记录"),
    sql=f"SELECT CAST(topic AS String) AS topic, toFloat64(dateDiff('second', max(sealed_at), {_NOW})) AS value "
    f"FROM accesstrail.ledger WHERE sealed_at >= {_NOW} - toIntervalDay(7) AND sealed_at < {_NOW} GROUP BY topic",
    above=15 * _MINUTE_S, for_s=5 * _MINUTE_S, range_s=_WEEK_S,
    summary=Words(
        "{{ $labels.topic }}: nothing sealed for {{ humanizeDuration $values.A.Value }}",
        "{{ $labels.topic }}：已有 {{ humanizeDuration $values.A.Value }} 无封存",
    ),
    description=Words(
        "Worker, Kafka, store or every source is away. See `accesstrail status` and `accesstrail doctor`. Where quarters "
        "of an hour without any access are usual, let sources send heartbeats.",
        "工作进程、Kafka、存储或全部来源不可用。运行 `accesstrail status` 与 `accesstrail doctor`。若一刻钟无访问属正常，"
        "请让来源发送心跳。",
    ),
    panel=("pipeline-health", "partitions"),
    no_data="Alerting",
)  # fmt: skip

_LAG = AlertRule(
    uid="accesstrail-lag",
    title=Words("accesstrail: events are sealed late", "accesstrail：封存延迟"),
    sql="SELECT CAST(topic AS String) AS topic, toFloat64(max(toUnixTimestamp64Milli(sealed_at) - "
    f"intDiv(toUnixTimestamp64Micro(last_received_at), 1000))) / 1000 AS value FROM accesstrail.ledger "
    f"WHERE sealed_at >= {_NOW} - toIntervalMinute(15) AND sealed_at < {_NOW} GROUP BY topic",
    above=2 * _MINUTE_S, for_s=10 * _MINUTE_S, range_s=15 * _MINUTE_S,
    summary=Words(
        "{{ $labels.topic }}: {{ humanizeDuration $values.A.Value }} from receipt to sealed",
        "{{ $labels.topic }}：接收到封存耗时 {{ humanizeDuration $values.A.Value }}",
    ),
    description=Words(
        "The pipeline does not keep up: findings come late. More workers, or look at the store's load.",
        "处理跟不上：告警会迟到。增加工作进程，或检查存储负载。",
    ),
    panel=("pipeline-health", "delay"),
    severity="warning",
)  # fmt: skip


def _silence(after_s: int) -> AlertRule:
    return AlertRule(
        uid="accesstrail-silence",
        title=Words("accesstrail: a source is silent", "accesstrail：来源静默"),
        sql="SELECT CAST(source_system AS String) AS source_system, CAST(source_instance AS String) AS source_instance, "
        f"toFloat64(greatest(dateDiff('second', max(last_received_at), {_NOW}), 0)) AS value "
        f"FROM accesstrail.sources WHERE day >= toDate({_NOW}) - 7 AND day <= toDate({_NOW}) "
        "GROUP BY source_system, source_instance",
        above=after_s, for_s=5 * _MINUTE_S, range_s=_WEEK_S,
        summary=Words(
            "{{ $labels.source_system }} {{ $labels.source_instance }}: silent for "
            "{{ humanizeDuration $values.A.Value }}",
            "{{ $labels.source_system }} {{ $labels.source_instance }}：已静默 "
            "{{ humanizeDuration $values.A.Value }}",
        ),
        description=Words(
            "A silent source hides accesses. Call whoever runs it; `sources.csv` names the owner.",
            "静默的来源会掩盖访问。联系其运维，负责人见 `sources.csv`。",
        ),
        panel=("pipeline-health", "silent-sources"),
        severity="warning",
    )  # fmt: skip


_UNSCORED = AlertRule(
    uid="accesstrail-unscored",
    title=Words("accesstrail: events are not scored", "accesstrail：事件未评分"),
    sql="SELECT CAST(topic AS String) AS topic, 100 * sum(n_unscored) / sum(n_events) AS value FROM accesstrail.ledger "
    f"WHERE sealed_at >= {_NOW} - toIntervalHour(1) AND sealed_at < {_NOW} GROUP BY topic HAVING sum(n_events) > 0",
    above=1, for_s=5 * _MINUTE_S, range_s=_HOUR_S,
    summary=Words(
        "{{ $labels.topic }}: {{ humanize $values.A.Value }} % of events of the last hour have no score",
        "{{ $labels.topic }}：最近一小时 {{ humanize $values.A.Value }}% 的事件未评分",
    ),
    description=Words(
        "The model is missing or broken: events are kept, anomalies are not found. See `accesstrail models`.",
        "模型缺失或损坏：事件仍入库，但不再发现异常。见 `accesstrail models`。",
    ),
    panel=("pipeline-health", "unscored"),
)  # fmt: skip

_UNDELIVERED = AlertRule(
    uid="accesstrail-undelivered",
    title=Words("accesstrail: messages do not arrive", "accesstrail：通知未送达"),
    sql="SELECT CAST(channel AS String) AS channel, toFloat64(countIf(NOT arrived AND (failed OR first_at < "
    f"{_NOW} - toIntervalMinute(10)))) AS value FROM (SELECT channel, notification_id, "
    "max(outcome = 'delivered') AS arrived, max(outcome = 'refused') AS failed, "
    "min(at) AS first_at, max(outcome IN ('retry', 'refused')) AS tried FROM accesstrail.deliveries "
    f"WHERE at >= {_NOW} - toIntervalDay(1) AND at < {_NOW} GROUP BY channel, notification_id HAVING tried) "
    "GROUP BY channel",
    above=0, for_s=5 * _MINUTE_S, range_s=_DAY_S,
    summary=Words(
        "{{ $labels.channel }}: {{ humanize $values.A.Value }} messages of the last day did not arrive",
        "{{ $labels.channel }}：最近一天有 {{ humanize $values.A.Value }} 条通知未送达",
    ),
    description=Words(
        "Nobody may know of an incident. Look at the incidents themselves, then repair the channel: "
        "`accesstrail notify test`.",
        "可能无人知晓事件。先查看事件本身，再修复渠道：`accesstrail notify test`。",
    ),
    panel=("incident-response", "messages"),
)  # fmt: skip

_SCHEDULER = AlertRule(
    uid="accesstrail-scheduler",
    title=Words("accesstrail: the scheduler has stopped", "accesstrail：调度进程已停止"),
    sql=f"SELECT CAST(topic AS String) AS topic, toFloat64(dateDiff('second', max(started_at), {_NOW})) AS value "
    f"FROM accesstrail.scheduled_runs WHERE started_at >= {_NOW} - toIntervalDay(7) AND started_at < {_NOW} "
    "GROUP BY topic",
    # Hourly windows are looked at every few minutes.
    above=2 * _HOUR_S, for_s=5 * _MINUTE_S, range_s=_WEEK_S,
    summary=Words(
        "{{ $labels.topic }}: no scheduled detector ran for {{ humanizeDuration $values.A.Value }}",
        "{{ $labels.topic }}：已有 {{ humanizeDuration $values.A.Value }} 无定时检测运行",
    ),
    description=Words(
        "Slow drips, silent sources and unexplained accesses are not found. Start `accesstrail scheduler`; "
        "without one on purpose, pause this rule.",
        "缓慢泄露、来源静默、无理由访问将无法发现。启动 `accesstrail scheduler`；若有意不运行，请暂停本规则。",
    ),
    panel=("pipeline-health", "scheduled"),
    no_data="Alerting",
)  # fmt: skip


def rule_sql(rule: AlertRule) -> str:
    """The statement as Grafana sends it."""
    return grafana_sql(rule.sql, ())


def as_rule(rule: AlertRule, *, receiver: str) -> Json:
    """What a rule's file and its API have alike. `receiver`: a contact point, "" for the default policy."""
    built: Json = {
        "uid": rule.uid,
        "title": rule.title.en,
        "condition": "B",
        "data": [_query(rule), _threshold(rule)],
        "noDataState": rule.no_data,
        # The store away is one matter: the sign of life says it, the others would say it five times more.
        "execErrState": "Alerting" if rule is _SEALED else "Error",
        "for": f"{rule.for_s // _MINUTE_S}m",
        "labels": {"product": "accesstrail", "severity": rule.severity},
        "annotations": {
            "summary": rule.summary.en, "summary_zh": rule.summary.zh, "title_zh": rule.title.zh,
            "description": rule.description.en, "description_zh": rule.description.zh,
            "__dashboardUid__": uid_of(rule.panel[0], "en"), "__panelId__": str(_panel_id(*rule.panel)),
        },
        "isPaused": False,
    }  # fmt: skip
    if receiver:
        built["notification_settings"] = {"receiver": receiver}
    return built


def _panel_id(board_uid: str, panel_uid: str) -> int:
    shown = board(board_uid)
    if shown is None:
        raise ValueError(f"there is no board {board_uid}")
    return [one.uid for one in shown.panels].index(panel_uid) + 1


def _query(rule: AlertRule) -> Json:
    return {
        "refId": "A", "queryType": "table", "datasourceUid": DATA_SOURCE_UID,
        "relativeTimeRange": {"from": rule.range_s, "to": 0},
        "model": {
            "refId": "A", "datasource": {"type": PLUGIN, "uid": DATA_SOURCE_UID}, "editorType": "sql",
            "pluginVersion": PLUGIN_VERSION, "rawSql": rule_sql(rule), "format": 1, "queryType": "table",
            "intervalMs": 60_000, "maxDataPoints": 1000,
        },
    }  # fmt: skip


def _threshold(rule: AlertRule) -> Json:
    return {
        "refId": "B", "queryType": "", "datasourceUid": _EXPRESSION, "relativeTimeRange": {"from": 0, "to": 0},
        "model": {
            "refId": "B", "datasource": {"type": _EXPRESSION, "uid": _EXPRESSION}, "type": "threshold",
            "expression": "A", "conditions": [{"type": "query", "evaluator": {"type": "gt", "params": [rule.above]}}],
        },
    }  # fmt: skip


def group_body(chosen: Sequence[AlertRule], *, folder: str, receiver: str) -> Json:
    """The group as the API takes it."""
    of_group = {"orgID": 1, "folderUID": folder, "ruleGroup": GROUP}
    return {
        "title": GROUP, "folderUid": folder, "interval": INTERVAL_S,
        "rules": [of_group | as_rule(one, receiver=receiver) for one in chosen],
    }  # fmt: skip


def group_file(chosen: Sequence[AlertRule], *, folder_title: str, receiver: str) -> Json:
    """The group as a provisioning file has it."""
    return {
        "orgId": 1, "name": GROUP, "folder": folder_title, "interval": f"{INTERVAL_S // _MINUTE_S}m",
        "rules": [
            # The file's reader takes the panel from these two, the API's from the annotations.
            as_rule(one, receiver=receiver)
            | {"dashboardUid": uid_of(one.panel[0], "en"), "panelId": _panel_id(*one.panel)}
            for one in chosen
        ],
    }  # fmt: skip
