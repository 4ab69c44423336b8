"""The demo's story in words: each attack, what the system said of it, and where to look.

Place in the flow: called by `demo.py`. What happened is the simulator's own account (`Story.chapters`); what was found
is read back from ClickHouse as the role reader. Nothing is told that no alert shows: a chapter without one says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.config import Settings
from pipeline.errors import LocalStackError
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring
from pipeline.sources.simulate import Chapter

PATIENCE_S = 120.0
QUIET_S = 3.0
ALL_CHAPTERS_S = 60.0
_CHINA = timedelta(hours=8)
_ALERTS = (
    "SELECT hex(actor_token), formatDateTime(event_time, '%F %T', 'Asia/Shanghai'), risk / 100, toString(severity), "
    "detector, explanation_en, explanation_zh FROM accesstrail.alerts "
    "WHERE event_time >= fromUnixTimestamp64Micro({since:Int64}) AND NOT startsWith(detector, 'system:') "
    "ORDER BY risk DESC, event_time LIMIT 200"
)
_STORED = (
    "SELECT count() FROM accesstrail.access_events WHERE actor_token = unhex({actor:String}) "
    "AND event_time BETWEEN fromUnixTimestamp64Milli({first:Int64}) AND fromUnixTimestamp64Milli({last:Int64})"
)
_NAMES = ("actor", "event_time", "risk", "severity", "detector", "en", "zh")
# The scheduled detector that finds what no single day shows; its alert may take the place of any other here.
_TELLING = {"slow_drip": "slow_drip"}
_WORDS: Mapping[str, tuple[str, str, str, str]] = {
    "partner_harvest": (
        "A partner's agent harvests customers at night",
        "{events:,} calls between {first} and {last}, from rotating addresses, one fixed shape of request, answers in "
        "clear text.",
        "合作方程序夜间批量抓取客户信息",
        "{first} 至 {last} 共 {events:,} 次调用，来源地址不断轮换，请求形式固定，返回内容未脱敏。",
    ),
    "slow_drip": (
        "An insider takes a few customers more each day",
        "{events:,} looks since {first}; no single day stands out.",
        "内部人员长期少量查阅",
        "自 {first} 起共 {events:,} 次查阅，单日均不突出。",
    ),
    "snooping": (
        "An employee looks up one well-known customer again and again",
        "{events:,} looks since {first}, without a work item.",
        "员工反复查阅同一位知名客户",
        "自 {first} 起共 {events:,} 次查阅，均无工单。",
    ),
}

Alert = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Told:
    """A chapter with the accounts and alerts it is known by; tokens in hexadecimal, alerts gravest first."""

    chapter: Chapter
    actor_token: str
    subject_token: str
    alerts: Sequence[Alert]

    def summary(self) -> Mapping[str, object]:
        """For `--json`: no text, no identifier."""
        return {
            "scenario": self.chapter.scenario,
            "events": self.chapter.events,
            "actor": self.actor_token,
            "detectors": sorted({alert["detector"] for alert in self.alerts}),
        }


def await_alerts(
    settings: Settings, chapters: Sequence[Chapter], since_us: int, first_seen: Callable[[], object]
) -> tuple[list[Alert], list[Told]]:
    """Reads alerts until each chapter is stored and has its own and no new ones come for some seconds.

    Patience ends the waiting, too. A chapter half stored is not told: its gravest part may be what is missing.
    `first_seen` is called once. Raises: LocalStackError: none came at all.
    """
    reader = connect(settings.clickhouse, "reader")
    wait = Wait(time.monotonic())
    found: list[Alert] = []
    told = _told(settings, chapters, found)
    while not wait.is_over(time.monotonic()):
        rows = reader.query(_ALERTS, {"since": since_us})
        if len(rows) > len(found):
            if not found:
                first_seen()
            found = [dict(zip(_NAMES, row, strict=True)) for row in rows]
            told = _told(settings, chapters, found)
            wait.changed(time.monotonic(), all_told=all(map(_is_found, told)))
        if not wait.is_stored and all(_is_stored(reader, one) for one in told):
            wait.stored(time.monotonic())
        time.sleep(0.25)
    reader.close()
    if not found:
        raise LocalStackError("no alert appeared: see the worker's log in the state folder", code="demo_silent")
    return found, told


@dataclass(slots=True)
class Wait:
    """When the story has been seen to its end; every moment in seconds of one clock."""

    began_s: float
    last_change_s: float = 0.0
    any_found: bool = False
    all_told: bool = False
    is_stored: bool = False

    def changed(self, now_s: float, *, all_told: bool) -> None:
        """A new alert came."""
        self.any_found, self.all_told, self.last_change_s = True, all_told, now_s

    def stored(self, now_s: float) -> None:
        """The last event of the last chapter is stored; its alert may still be on its way."""
        self.is_stored, self.last_change_s = True, now_s

    def is_over(self, now_s: float) -> bool:
        """Everything is told and quiet, or it has taken too long."""
        waited_s = now_s - self.began_s
        if not self.any_found or not self.is_stored:
            return waited_s > PATIENCE_S
        return now_s - self.last_change_s > QUIET_S and (self.all_told or waited_s > ALL_CHAPTERS_S)


def _is_stored(reader: ClickHouse, told: Told) -> bool:
    # Ordinary work of the same account counts, too, a few in a thousand: the quiet seconds are longer than that.
    chapter = told.chapter
    span = {"actor": told.actor_token, "first": chapter.first_ms, "last": chapter.last_ms}
    return int(reader.query(_STORED, span)[0][0]) >= chapter.events


def _told(settings: Settings, chapters: Sequence[Chapter], alerts: Sequence[Alert]) -> list[Told]:
    keyring = Keyring.load(settings.protection.token_keys_file).canonical
    found = []
    for one in chapters:
        actor = keyring.token(DEFAULT_TENANT, "actor", one.actor_id).hex()
        subject = keyring.token(DEFAULT_TENANT, "subject", one.subject_id).hex() if one.subject_id else ""
        found.append(Told(one, actor, subject, [alert for alert in alerts if alert["actor"].lower() == actor]))
    return found


def _is_found(told: Told) -> bool:
    wanted = _TELLING.get(told.chapter.scenario)
    return any(wanted in (None, alert["detector"]) for alert in told.alerts)


def tell(told: Sequence[Told], say: Say) -> None:
    """The chapters, each with the alert that tells most of it."""
    for number, one in enumerate(told, start=1):
        title_en, what_en, title_zh, what_zh = _WORDS[one.chapter.scenario]
        facts = {
            "events": one.chapter.events, "first": _moment(one.chapter.first_ms), "last": _moment(one.chapter.last_ms),
        }  # fmt: skip
        say(f"{number}. {title_en}. {what_en.format(**facts)}")
        say(f"   {title_zh}：{what_zh.format(**facts)}\n")
        if not one.alerts:
            say("   Nothing found yet; the scheduler looks again later. 暂未发现。\n")
            continue
        wanted = _TELLING.get(one.chapter.scenario)
        alert = next((alert for alert in one.alerts if alert["detector"] == wanted), one.alerts[0])
        say(f"   ● {alert['event_time']}  risk {alert['risk']:.0f}  {alert['severity']}  ({alert['detector']})")
        say(f"     {alert['en']}\n\n     {alert['zh']}")
        others = len(one.alerts) - 1
        say(f"   and {others} more about this account\n" if others else "")


def tell_links(console: str, told: Sequence[Told], say: Say) -> None:
    """Where to look in the console, chapter by chapter."""
    say("Look for yourself 请自行查看:\n")
    for number, one in enumerate(told, start=1):
        say(f"  {number}. the account 账号            {console}/actors/{one.actor_token}")
        if one.subject_token:
            say(f"     who touched the customer 谁查阅过该客户  {console}/subjects/{one.subject_token}")
    say(f"     all incidents 全部事件         {console}/incidents\n")


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC) + _CHINA:%m-%d %H:%M}"
