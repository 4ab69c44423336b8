"""`accesstrail incidents`: what a responder handles: list, show, statistics, what models shall not learn from.

Place in the flow: reads views as the role reader, and tells of the look before it is shown (`looking.py`); what changes
an incident is in `incident_actions.py`, suspected breaches in `incident_breach.py`. Accounts of customers and actors
appear as tokens only, responders by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import click

from pipeline.audit.incidents import AlertView, IncidentStatistics, IncidentView, TimelineEntry
from pipeline.cli.incident_actions import (
    ack_command,
    assign_command,
    comment_command,
    contain_command,
    reopen_command,
    resolve_command,
)
from pipeline.cli.incident_breach import breach_command
from pipeline.cli.incident_clock import BreachView, clock_document, clock_lines, view_of
from pipeline.cli.incident_desk import SHOWN_ID, Desk, open_desk, reading_options
from pipeline.cli.incident_documents import (
    Row,
    plain_alert,
    plain_delivery,
    plain_entry,
    plain_incident,
    plain_statistics,
)
from pipeline.cli.incident_feedback import exclusion_lines
from pipeline.cli.incident_links import link_command, unlink_command
from pipeline.cli.incident_words import said
from pipeline.cli.looking import Looker, Seen, looking_as
from pipeline.cli.options import moment, settings_options
from pipeline.cli.table import aligned, moment_of
from pipeline.config import Settings
from pipeline.errors import EXIT_OK
from pipeline.incidents.words import SEVERITIES, STATES, TRANSITIONS, VERDICTS, why_not, word
from pipeline.notifications.policy import DeliveryRow

_NOT_CLOSED = tuple(state for state in STATES if state != "resolved")
_HEADS = {
    "en": ("id", "state", "severity", "risk", "alerts", "opened", "assignee", "what"),
    "zh": ("编号", "状态", "级别", "风险", "告警", "开启时间", "负责人", "说明"),
}


@click.group("incidents")
def incidents_command() -> None:
    """Show and handle incidents: alerts about one actor or thing that belong together.

    An ID is an incident's id, its first six digits or more. Whatever changes an incident asks for an account: see
    `accesstrail users`. It is one command in the incident's own log, and `accesstrail responder` carries it out.
    Reading asks for an account where [audit] looks_need_account is set; with a personal token the look is recorded
    before anything is printed.
    """


for _command in (
    ack_command, assign_command, comment_command, contain_command, resolve_command, reopen_command, link_command,
    unlink_command, breach_command,
):  # fmt: skip
    incidents_command.add_command(_command)


# -- list


@incidents_command.command("list")
@reading_options
@click.option("--state-is", "states", multiple=True, type=click.Choice(list(STATES)),
              help="Only these; may be repeated.  [default: all that are not closed]")  # fmt: skip
@click.option("--severity", "severities", multiple=True, type=click.Choice(list(SEVERITIES)), help="Only these.")
@click.option("--all", "with_closed", is_flag=True, help="Closed ones too.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Gravest and newest.")
@looking_as("read_incidents", look="incidents")
def list_command(
    settings: Settings, states: Sequence[str], severities: Sequence[str], limit: int, language: str, looker: Looker, *,
    with_closed: bool, as_json: bool,
) -> int:  # fmt: skip
    """List incidents that are not closed, the gravest first.

    \b
    Examples:
      accesstrail incidents list --state ./state
      accesstrail incidents list --severity critical --language zh --config /etc/accesstrail/config.toml
      accesstrail incidents list --all --json --state ./state
    """
    wanted = tuple(states) or (tuple(STATES) if with_closed else _NOT_CLOSED)
    with open_desk(settings) as desk:
        found = desk.reader.listed(wanted, tuple(severities), limit)
    question = {"command": "incidents list", "states": wanted, "severities": tuple(severities), "limit": limit}
    looker.tell(Seen(look="incidents", rows=len(found), question=question))
    if as_json:
        for one in found:
            click.echo(json.dumps(plain_incident(one), ensure_ascii=False))
        return EXIT_OK
    for line in aligned(_HEADS[language], [_cells(one, language) for one in found]):
        click.echo(line)
    if not found:
        click.echo(said("nothing", language), err=True)
    return EXIT_OK


def _cells(one: IncidentView, language: str) -> list[Any]:
    return [
        one.incident_id[:SHOWN_ID], _state(one, language), word(SEVERITIES, one.severity, language),
        f"{one.risk / 100:.0f}", one.alerts, moment_of(one.opened_us), one.assignee or one.acknowledged_by or "-",
        one.explanation_zh if language == "zh" else one.explanation_en,
    ]  # fmt: skip


def _state(one: IncidentView, language: str) -> str:
    state = word(STATES, one.state, language)
    return f"{state} ({word(VERDICTS, one.verdict, language)})" if one.verdict else state


# -- show


@incidents_command.command("show")
@click.argument("name", metavar="ID")
@reading_options
@looking_as("read_incidents", look="incident")
def show_command(settings: Settings, name: str, language: str, looker: Looker, *, as_json: bool) -> int:
    """Show one incident: what it is about, its alerts, what happened to it, who was told, a suspected breach.

    \b
    Examples:
      accesstrail incidents show 3fa94c21 --state ./state
      accesstrail incidents show 3fa94c21 --language zh --state ./state
      accesstrail incidents show 3fa94c21 --json --state ./state

    Exit codes: 0 shown, 2 there is none or several begin so, 69 unreachable.
    """
    with open_desk(settings) as desk:
        whole = _whole(desk, desk.incident(name))
    about = whole.incident.incident_id
    question = {"command": "incidents show", "incident_id": about}
    looker.tell(Seen(look="incident", rows=len(whole.timeline) + len(whole.alerts), question=question, about=about))
    if as_json:
        click.echo(json.dumps(_document(whole), ensure_ascii=False))
        return EXIT_OK
    for line in _shown(whole, language):
        click.echo(line)
    return EXIT_OK


class _Whole(NamedTuple):
    """All that is shown of one incident. `breach` None: none is suspected."""

    incident: IncidentView
    timeline: Sequence[TimelineEntry]
    alerts: Sequence[AlertView]
    deliveries: Sequence[DeliveryRow]
    breach: BreachView | None


def _whole(desk: Desk, one: IncidentView) -> _Whole:
    return _Whole(
        incident=one, timeline=desk.reader.timeline(one.incident_key, one.incident_id),
        alerts=desk.reader.alerts_of(one), deliveries=desk.reader.deliveries_of(one.incident_id),
        breach=view_of(desk, one) if one.breach_since_us else None,
    )  # fmt: skip


def _document(whole: _Whole) -> Row:
    return {
        **plain_incident(whole.incident),
        "alert_list": [plain_alert(alert) for alert in whole.alerts],
        "timeline": [plain_entry(entry) for entry in whole.timeline],
        "deliveries": [plain_delivery(delivery) for delivery in whole.deliveries],
        "breach": clock_document(whole.breach) if whole.breach else None,
    }


_LABELS = {
    "en": ("incident", "state", "severity", "key", "risk", "alerts", "opened", "assignee", "merged into", "detectors",
           "alerts:", "what happened:", "messages:"),
    "zh": ("事件", "状态", "级别", "键", "风险", "告警数", "开启时间", "负责人", "已并入", "检测项", "告警：", "经过：",
           "通知："),
}  # fmt: skip


def _shown(whole: _Whole, language: str) -> Iterator[str]:
    labels, one = _LABELS[language], whole.incident
    detectors = ", ".join(f"{name} {risk / 100:.0f}" for name, risk in sorted(one.detectors.items()))
    values = (
        one.incident_id, _state(one, language), word(SEVERITIES, one.severity, language), one.incident_key,
        f"{one.risk / 100:.0f}", one.alerts, moment_of(one.opened_us), one.assignee or one.acknowledged_by or "-",
        one.merged_into or "-", detectors,
    )  # fmt: skip
    for label, value in zip(labels, values, strict=False):
        yield f"{label:12} {value}"
    yield one.explanation_en
    yield one.explanation_zh
    yield labels[10]
    cells = [[moment_of(alert.event_time_us), f"{alert.risk / 100:.0f}", alert.severity, alert.detector]
             for alert in whole.alerts]  # fmt: skip
    yield from _indented(("at", "risk", "severity", "detector"), cells)
    yield labels[11]
    yield from _indented(("at", "what", "who", "why"), [_entry_cells(entry, language) for entry in whole.timeline])
    if whole.deliveries:
        yield labels[12]
        rows = [[moment_of(at.at_us), at.channel, at.action, at.outcome, at.code] for at in whole.deliveries]
        yield from _indented(("at", "channel", "action", "outcome", "code"), rows)
    if whole.breach:
        yield from clock_lines(whole.breach, language)


def _entry_cells(entry: TimelineEntry, language: str) -> list[Any]:
    what = word(TRANSITIONS, entry.transition, language)
    if entry.code:
        what = f"{entry.name}: {what} ({why_not(entry.code, language)})"
    elif entry.kind == "alert":
        what = f"{what} ({entry.name})"
    return [moment_of(entry.at_us), what, entry.by or "-", entry.why]


def _indented(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    for line in aligned(names, rows):
        yield f"  {line}"


# -- statistics and feedback


@incidents_command.command("stats")
@reading_options
@click.option("--from", "since", callback=moment, metavar="TIME", help="From then on.  [default: 30 days ago]")
@click.option("--to", "until", callback=moment, metavar="TIME", help="Until then, excluded.  [default: now]")
@looking_as("read_incidents", look="incidents")
def stats_command(
    settings: Settings, since: datetime | None, until: datetime | None, language: str, looker: Looker, *, as_json: bool
) -> int:
    """Tell how alerts and their handling do: alerts a day, precision by detector, times, messages.

    Precision is true positives among the incidents with a verdict, tests excepted.

    \b
    Examples:
      accesstrail incidents stats --state ./state
      accesstrail incidents stats --from 2026-11-01 --to 2026-12-01 --json --state ./state
    """
    last = until or datetime.now(UTC)
    first = since or last - timedelta(days=30)
    period = round(first.timestamp() * 1e6), round(last.timestamp() * 1e6)
    with open_desk(settings) as desk:
        found = desk.reader.statistics(*period)
    looker.tell(Seen(look="incidents", rows=0, question={"command": "incidents stats", "period_us": period}))
    if as_json:
        click.echo(json.dumps(plain_statistics(found), ensure_ascii=False))
        return EXIT_OK
    for line in _told(found, language):
        click.echo(line)
    return EXIT_OK


_NUMBERS = {
    "en": ("alerts {0:,} ({1:.1f} a day), incidents opened {2:,}", "{0}: median {1}, 9 of 10 within {2} ({3:,})",
           "to acknowledge", "to resolve", ("detector", "true positive", "benign", "false positive", "precision"),
           ("channel", "delivered", "failed")),
    "zh": ("告警 {0:,} 条（每日 {1:.1f} 条），开启事件 {2:,} 个",
           "{0}：中位数 {1}，九成在 {2} 内（{3:,} 次）", "确认用时", "关闭用时",
           ("检测项", "属实", "正常行为", "误报", "准确率"), ("渠道", "已送达", "失败")),
}  # fmt: skip


def _told(found: IncidentStatistics, language: str) -> Iterator[str]:
    head, took, acknowledge, resolve, detectors, channels = _NUMBERS[language]
    yield head.format(found.alerts, found.alerts_a_day, found.opened)
    for label, one in ((acknowledge, found.to_acknowledge), (resolve, found.to_resolve)):
        yield took.format(label, _span(one.median_s), _span(one.p90_s), one.count) if one.count else f"{label} -"
    if found.detectors:
        yield from aligned(detectors, [
            [name, one.true_positive, one.benign, one.false_positive,
             "-" if one.precision is None else f"{one.precision:.0%}"]
            for name, one in found.detectors.items()
        ])  # fmt: skip
    if found.channels:
        yield from aligned(channels, [[name, one.delivered, one.failed] for name, one in found.channels.items()])


def _span(seconds: float) -> str:
    """A duration to the minute, below an hour to the second."""
    return str(timedelta(seconds=round(seconds if seconds < 3600 else seconds / 60) * (1 if seconds < 3600 else 60)))


@incidents_command.command("exclusions")
@settings_options
@looking_as("read_incidents", look="incidents")
def exclusions_command(settings: Settings, looker: Looker) -> int:
    """Write the events that no model should learn from, for `accesstrail train --exclude`.

    Of true positives: the events their alerts name, and what lies in the windows of their scheduled detectors. Of
    incidents that nobody has judged yet: everything of whoever they are about, from the first alert to the last.

    \b
    Example:
      accesstrail incidents exclusions --state ./state > exclusions.ndjson
      accesstrail train history.ndjson --directory DIR --model OUT --exclude exclusions.ndjson
    """
    with open_desk(settings) as desk:
        lines = list(exclusion_lines(desk.evidence))
    looker.tell(Seen(look="incidents", rows=len(lines), question={"command": "incidents exclusions"}))
    for line in lines:
        click.echo(line)
    click.echo(f"{len(lines):,} event(s)", err=True)
    return EXIT_OK
