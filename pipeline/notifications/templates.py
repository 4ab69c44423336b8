"""The words of a notification in Chinese and English, from facts about an incident, a digest, a channel.

Place in the flow: incident handling gathers the facts, `notification` makes of them the record of one channel. Words
hold risk, detectors, the explanation of the gravest alert and a link; tokens by their first digits; never the identity
of a customer or an actor. Accounts of responders are named: they are colleagues on duty. Escaping is the senders'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.notifications.message import (
    MAX_LINE,
    MAX_LINES,
    MAX_TITLE,
    Notification,
    Words,
    checked,
    notification_id_of,
)
from pipeline.notifications.outcome import SET_UP_WRONGLY
from pipeline.notifications.text import cut, plain, short_tokens

SEVERITY_ZH = {"low": "低", "medium": "中", "high": "高", "critical": "严重"}
STATE_ZH = {
    "open": "未处理", "acknowledged": "已确认", "assigned": "已指派", "contained": "已遏制", "resolved": "已关闭",
}  # fmt: skip
_VERDICT = {
    "true_positive": ("true positive", "属实"),
    "benign": ("benign", "正常行为"),
    "false_positive": ("false positive", "误报"),
    "test": ("test", "测试"),
}
_HEADINGS: Mapping[str, tuple[str, str]] = {
    "trigger": ("Incident", "事件"),
    "update": ("Incident goes on", "事件有新进展"),
    "acknowledge": ("Incident acknowledged", "事件已确认"),
    "resolve": ("Incident resolved", "事件已关闭"),
}
_WORST_NAMED = 10
_MOST_QUOTED = 600
"""Characters of each that a digest names: all of them together are one record, whatever the alphabet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFacts:
    """What a message says of one incident. `risk`: 0–100. `actor_token`: hexadecimal, "" where none.

    `explanation_en/zh`: of the gravest alert. `acknowledged_by`: account name. `verdict`, `acknowledged_by`,
    `escalation`: "" and 0 where there is none.
    """

    incident_id: str
    tenant_id: str
    dedup_key: str
    severity: str
    risk: float
    state: str
    alert_count: int
    detectors: tuple[str, ...]
    explanation_en: str
    explanation_zh: str
    link: str
    actor_token: str = ""
    acknowledged_by: str = ""
    verdict: str = ""
    times_reopened: int = 0
    escalation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestFacts:
    """What a digest says instead of many messages. `worst`: the messages of the gravest incidents, gravest first.

    `alerts`, `incidents`: in all, none dropped. `per_severity`: incidents by severity. Times UTC microseconds.
    """

    from_us: int
    until_us: int
    alerts: int
    incidents: int
    per_severity: Mapping[str, int]
    worst: tuple[Notification, ...]


@dataclass(frozen=True, slots=True)
class BothWords:
    """The same in two languages."""

    en: Words
    zh: Words


def incident_words(facts: IncidentFacts, action: str) -> BothWords:
    """Words of `trigger`, `update`, `acknowledge` and `resolve`."""
    heading_en, heading_zh = _HEADINGS[action]
    name, severity_zh = facts.incident_id[:8], SEVERITY_ZH[facts.severity]
    return BothWords(
        _words(f"[{facts.severity}] {heading_en} {name}, risk {facts.risk:.0f}", _lines_en(facts)),
        _words(f"【{severity_zh}】{heading_zh} {name}，风险 {facts.risk:.0f}", _lines_zh(facts)),
    )


def _lines_en(facts: IncidentFacts) -> list[str]:
    lines = [facts.explanation_en, f"Alerts: {facts.alert_count}. Detectors: {', '.join(facts.detectors)}."]
    lines.append(f"State: {facts.state}" + _by(facts.acknowledged_by, ", acknowledged by {}") + ".")
    if facts.actor_token:
        lines.append(f"Account (token): {facts.actor_token}")
    if facts.times_reopened:
        lines.append(f"Reopened: {facts.times_reopened} time(s).")
    if facts.escalation:
        lines.append(f"Nobody acknowledged it in time: escalated to layer {facts.escalation}.")
    if facts.verdict:
        lines.append(f"Verdict: {_VERDICT[facts.verdict][0]}.")
    return lines


def _lines_zh(facts: IncidentFacts) -> list[str]:
    lines = [facts.explanation_zh, f"告警 {facts.alert_count} 条；检测器：{'、'.join(facts.detectors)}。"]
    lines.append(f"状态：{STATE_ZH[facts.state]}" + _by(facts.acknowledged_by, "，确认人 {}") + "。")
    if facts.actor_token:
        lines.append(f"账号（代号）：{facts.actor_token}")
    if facts.times_reopened:
        lines.append(f"已重新打开 {facts.times_reopened} 次。")
    if facts.escalation:
        lines.append(f"未在规定时间内确认：已升级到第 {facts.escalation} 级。")
    if facts.verdict:
        lines.append(f"结论：{_VERDICT[facts.verdict][1]}。")
    return lines


def _by(name: str, phrase: str) -> str:
    return phrase.format(name) if name else ""


def digest_words(facts: DigestFacts) -> BothWords:
    """Words of a digest: it says that messages were put together, how many, and names the worst."""
    minutes = max(1, round((facts.until_us - facts.from_us) / 60_000_000))
    counts = [(severity, facts.per_severity.get(severity, 0)) for severity in reversed(SEVERITY_ZH)]
    en = [
        f"{facts.alerts:,} alerts in {minutes} min made {facts.incidents:,} incidents: too many for a message each.",
        "None was dropped. " + ", ".join(f"{severity} {count:,}" for severity, count in counts if count) + ".",
    ]
    zh = [
        f"{minutes} 分钟内 {facts.alerts:,} 条告警形成 {facts.incidents:,} 个事件，数量过多，合并为一条摘要。",
        "没有丢弃任何事件。" + "，".join(f"{SEVERITY_ZH[one]} {count:,} 个" for one, count in counts if count) + "。",
    ]
    for one in facts.worst[:_WORST_NAMED]:
        en.append(cut(": ".join((one.title_en, *one.lines_en[:1])), _MOST_QUOTED, len))
        zh.append(cut("：".join((one.title_zh, *one.lines_zh[:1])), _MOST_QUOTED, len))
    return BothWords(
        _words(f"Digest: {facts.incidents:,} incidents, {facts.alerts:,} alerts", en),
        _words(f"摘要：{facts.incidents:,} 个事件，{facts.alerts:,} 条告警", zh),
    )


def test_words(channel: str, account: str) -> BothWords:
    """Words of `notify test`."""
    return BothWords(
        _words(f"Test of channel {channel}", [f"Sent by {account}. Nothing has happened; nobody needs to act."]),
        _words(f"通道 {channel} 测试", [f"由 {account} 发送。没有发生任何事件，无需处理。"]),
    )


test_words.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect


def outage_words(channel: str, code: str, waiting: int) -> BothWords:
    """Words of the alarm about a channel whose circuit opened: what waits is kept and sent when it is back."""
    wrong = code in SET_UP_WRONGLY
    advice_en = "Its settings have to be repaired." if wrong else "It is tried again by itself."
    advice_zh = "需要人工修正其配置。" if wrong else "系统会自动重试。"
    return BothWords(
        _words(
            f"Channel {channel} does not deliver",
            [f"Undelivered: {waiting} message(s) wait. Cause: {code}. {advice_en}", "Nothing is lost; look there too."],
        ),
        _words(
            f"通道 {channel} 无法送达",
            [f"未送达：{waiting} 条消息等待中。原因：{code}。{advice_zh}", "消息不会丢失；请直接查看事件列表。"],
        ),
    )


def undelivered_words(lost: Notification, code: str) -> BothWords:
    """Words of the alarm about one message that its channel will never take; it repeats the message."""
    en = [f"Channel {lost.channel} did not take this message. Cause: {code}.", lost.title_en, *lost.lines_en]
    zh = [f"通道 {lost.channel} 未接收此消息。原因：{code}。", lost.title_zh, *lost.lines_zh]
    return BothWords(_words(f"Undelivered: {lost.title_en}", en), _words(f"未送达：{lost.title_zh}", zh))


def _words(title: str, lines: Sequence[str]) -> Words:
    cleaned = [cut(plain(short_tokens(line)), MAX_LINE, len) for line in lines]
    return Words(cut(plain(short_tokens(title)), MAX_TITLE, len), tuple(line for line in cleaned if line)[:MAX_LINES])


# -- records


def incident_notification(
    channel: str, action: str, facts: IncidentFacts, *, created_us: int, cause: str
) -> Notification:
    """The record of one channel. `cause`: what made it be sent (a log position), the same on every replay.

    Raises: NotificationRejected: facts that no message can hold (a link too long, an unknown severity).
    """
    return notification(
        channel, action, incident_words(facts, action),
        dedup_key=facts.dedup_key, tenant_id=facts.tenant_id, incident_id=facts.incident_id,
        severity=facts.severity, risk=round(facts.risk * 100), alerts=facts.alert_count, link=facts.link,
        created_us=created_us, cause=cause,
    )  # fmt: skip


def digest_notification(
    channel: str, facts: DigestFacts, *, dedup_key: str, severity: str, tenant_id: str
) -> Notification:
    """The digest of one channel. `dedup_key` says which messages it stands for: the same ones are the same digest."""
    return notification(
        channel, "digest", digest_words(facts),
        dedup_key=dedup_key, tenant_id=tenant_id, incident_id="", severity=severity,
        risk=max((one.risk for one in facts.worst), default=0), alerts=facts.alerts, link="",
        created_us=facts.until_us, cause=dedup_key,
    )  # fmt: skip


def test_notification(channel: str, account: str, *, tenant_id: str, created_us: int) -> Notification:
    """The message of `notify test`; each one is another, so that none is taken for a repetition."""
    key = f"test:{channel}:{created_us}"
    return notification(
        channel, "test", test_words(channel, account),
        dedup_key=key, tenant_id=tenant_id, incident_id="", severity="low", risk=0, alerts=0, link="",
        created_us=created_us, cause=key,
    )  # fmt: skip


test_notification.__test__ = False  # type: ignore[attr-defined]


def outage_alarm(to: str, channel: str, code: str, waiting: int, opened_us: int, tenant_id: str) -> Notification:
    """The alarm about `channel` on the channel `to`; one an opening, however often it is made."""
    return notification(
        to, "alarm", outage_words(channel, code, waiting),
        dedup_key=f"undelivered:{channel}:{opened_us}", tenant_id=tenant_id, incident_id="",
        severity="high", risk=0, alerts=0, link="", created_us=opened_us, cause=f"opened:{opened_us}",
    )  # fmt: skip


def undelivered_alarm(to: str, lost: Notification, code: str, at_us: int) -> Notification:
    """The alarm about one lost message on the channel `to`, with what it said."""
    return notification(
        to, "alarm", undelivered_words(lost, code),
        dedup_key=f"undelivered:{lost.notification_id}", tenant_id=lost.tenant_id, incident_id=lost.incident_id,
        severity=lost.severity, risk=lost.risk, alerts=lost.alerts, link=lost.link, created_us=at_us,
        cause=lost.notification_id,
    )  # fmt: skip


def notification(
    channel: str, action: str, words: BothWords, *, dedup_key: str, tenant_id: str, incident_id: str, severity: str,
    risk: int, alerts: int, link: str, created_us: int, cause: str,
) -> Notification:  # fmt: skip
    """A record of its parts, with the id that follows from them. Raises: NotificationRejected."""
    return checked(
        Notification(
            notification_id=notification_id_of(channel, dedup_key, action, cause),
            channel=channel,
            action=action,
            dedup_key=dedup_key,
            tenant_id=tenant_id,
            incident_id=incident_id,
            severity=severity,
            risk=risk,
            alerts=alerts,
            title_en=words.en.title,
            title_zh=words.zh.title,
            lines_en=words.en.lines,
            lines_zh=words.zh.lines,
            link=link,
            created_us=created_us,
        )
    )
