"""An evaluation for people: a short table on the screen, a whole report in Markdown, English with Chinese headings.

Text only: every number comes from `detectors.evaluate`. Each table says what it counts; a dash stands where nothing
can be said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]


def report_lines(report: Report) -> list[str]:
    """The short table."""
    lines = [
        f"events {report['events']:,}   attacks {report['attacks']}   alerts {report['alerts']}"
        f" ({report['alerts_per_day']} a day)   precision {report['precision']}",
        f"recall {report['recall']}   PR-AUC by actor-day {report['pr_auc_actor_day']}"
        f"   median minutes to detect {report['median_minutes_to_detect']}",
    ]
    for title in ("recall_by_scenario", "recall_by_strength"):
        for name, row in report[title].items():
            lines.append(f"  {name:24} {row['found']:>3} of {row['attacks']:<3} {row['recall']:.2f}")
    return lines


def markdown(report: Report) -> str:
    """The whole report."""
    parts: list[str] = ["# Evaluation · 评估报告\n", *_summary(report), *_recall(report), *_harmless(report)]
    for title, key, about in (
        ("Peer groups · 同类人群", "peer_groups", "All alerts against the size of each department/role."),
        ("Departments · 部门", "departments", "False alerts against size; ratio 1 is even."),
        ("Sites · 地点", "sites", "False alerts against size; ratio 1 is even."),
    ):
        if report[key]:
            parts += [f"## {title}\n", f"{about} Actors with a scored event or an alert; 95 % interval (Wilson).\n"]
            parts += [*_groups(report[key]), ""]
    return "\n".join([*parts, *_risk(report)])


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A Markdown table; None becomes a dash."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join('–' if cell is None else str(cell).replace('|', '¦') for cell in row)} |"


def _summary(report: Report) -> Iterator[str]:
    minutes: Mapping[str, Any] = report["minutes_to_detect"] or {}
    low, high = report["recall_interval"]
    yield "Hit: an alert on an event of the attack. Recall counts attacks. 命中：告警落在攻击事件上。\n"
    yield from table(
        ("measure · 指标", "value · 数值"),
        (
            ("events · 事件", f"{report['events']:,}"),
            ("days · 天数", report["days"]),
            ("actors · 账号", report["actors"]),
            ("attacks with a scored event · 攻击", report["attacks"]),
            ("attacks without one, not counted · 未计入的攻击", report["attacks_not_scored"]),
            ("alerts · 告警", report["alerts"]),
            ("alerts a day · 日均告警", report["alerts_per_day"]),
            ("precision · 精确率", report["precision"]),
            ("recall · 召回率", f"{_text(report['recall'])} ({low:.2f}–{high:.2f})"),
            ("PR-AUC by actor-day · 账号日 PR-AUC", report["pr_auc_actor_day"]),
            ("… of events' risk alone, alerts left out · 仅按事件风险", report["pr_auc_actor_day_of_events"]),
            *(
                (f"median minutes to detect, {name} · {chinese}", minutes[key]["median_minutes"])
                for key, name, chinese in (
                    ("all", "all", "检测时间中位数"),
                    ("bursts", "attacks under a day", "突发"),
                    ("drips", "longer ones", "长期"),
                )
                if minutes
            ),
        ),
    )
    yield ""


def _recall(report: Report) -> Iterator[str]:
    yield "## Recall by strength and scenario · 按强度与场景\n"
    strengths = list(report["recall_by_strength"])
    yield from table(
        ("scenario · 场景", "found · 发现", "recall · 召回率", *strengths),
        [
            ("all", *_all(report), *(_found(report["recall_by_strength"][name]) for name in strengths)),
            *(
                (name, *_cells(row), *(_found(_both(report, name).get(strength)) for strength in strengths))
                for name, row in report["recall_by_scenario"].items()
            ),
        ],
    )
    yield ""


def _all(report: Report) -> tuple[object, ...]:
    rows = report["recall_by_scenario"].values()
    return _cells({**_total(rows), "recall": report["recall"]})


def _total(rows: Iterable[Report]) -> dict[str, int]:
    kept = list(rows)
    return {name: sum(row[name] for row in kept) for name in ("found", "attacks")}


def _both(report: Report, scenario: str) -> Report:
    found: Report = report["recall_by_scenario_and_strength"].get(scenario, {})
    return found


def _cells(row: Report) -> tuple[object, ...]:
    return _found(row), row["recall"]


def _found(row: Report | None) -> str | None:
    return None if row is None else f"{row['found']} of {row['attacks']}"


def _text(value: object) -> str:
    return "–" if value is None else str(value)


def _harmless(report: Report) -> Iterator[str]:
    if report["twins"]:
        twins = report["twins"]
        yield "## Benign twins · 无害的相似行为\n"
        yield "What an attack does, with the reason on record; alerted when an alert fired on one of its events.\n"
        yield from table(
            ("twin of · 对应场景", "alerted · 告警", "share · 占比", "95 %"),
            [_twin("all", twins), *(_twin(name, row) for name, row in twins["by_scenario"].items() if row["alerted"])],
        )
        yield "\nTwins of scenarios that are not listed raised none. 未列出的场景均未误报。\n"
    if report["lookalikes"]:
        yield "## Look-alikes · 易误判的日常\n"
        yield (
            "Odd but harmless stretches of somebody's days; alerted when a false alert of that actor fell on one of"
            " them. The last line: all other actor-days.\n"
        )
        yield from table(
            (
                "kind · 类型", "alerted · 告警", "share · 占比", "actor-days · 账号日", "with a false alert · 含误报",
                "share · 占比",
            ),
            (
                (row["kind"], f"{row['alerted']} of {row['cases']}" if "cases" in row else None, row.get("share"),
                 row["actor_days"], row["alerted_days"], row["day_share"])
                for row in report["lookalikes"]
            ),
        )  # fmt: skip
        yield ""


def _twin(name: str, row: Report) -> Sequence[object]:
    return name, f"{row['alerted']} of {row['cases']}", row["share"], _interval(row["interval"])


def _interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:g}–{ends[1]:g}"


def _groups(rows: Iterable[Report]) -> Iterator[str]:
    yield from table(
        (
            "group · 分组", "actors · 账号", "share · 占比", "alerts · 告警", "share · 占比", "ratio · 比值", "95 %",
            "actors alerted · 涉及账号",
        ),
        (
            (row["group"], row["actors"], row["actor_share"], row["alerts"], row["alert_share"], row["ratio"],
             _interval(row["ratio_interval"]), row["actors_alerted"])
            for row in rows
        ),
    )  # fmt: skip


def _risk(report: Report) -> Iterator[str]:
    if report["calibration"]:
        yield "## Calibration · 校准\n"
        yield (
            "risk = −20 log10 p: the share of ordinary events at or above each risk, as promised and as seen. Floors of"
            " rules lift events above it. 风险值承诺的尾部概率与实际占比。\n"
        )
        yield from table(
            (
                "risk · 风险", "predicted · 预期", "observed · 实际", "95 %", "by the model alone · 仅模型",
                "events · 事件", "observed / predicted",
            ),
            (
                (f"≥ {row['risk']}", row["predicted"], row["observed"], _interval(row["observed_interval"]),
                 row["model_observed"], row["events"], row["ratio"])
                for row in report["calibration"]
            ),
        )  # fmt: skip
        yield ""
    if report["stability"]:
        yield "## Stability · 稳定性\n"
        yield (
            f"Population stability index of risk, first against second half of the time: {report['stability']['index']}"
            " (0 is equal; above 0.2 is called a shift). 群体稳定性指数（0 为一致，大于 0.2 视为漂移）。\n"
        )
