"""The page behind the link of a message: shows one incident; a button, and nothing else, acknowledges it.

Adapter without a vendor, over `small_server.py`. Mail gateways and chats follow every link they see, so GET and HEAD
change nothing (RFC 9110 §9.2.1); only the form's POST does, and however often it comes, it gives one command. No
script, nothing loaded, nothing kept: the address of the page is what lets people in, so it is not told to other sites,
not cached and not indexed. A link that is changed, over, or of no incident is the same 404. Loopback by default: before
it stands the company's own TLS.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from uuid import UUID

from pipeline.adapters.small_server import Page, Request, SmallServer
from pipeline.errors import AccesstrailError
from pipeline.notifications.templates import SEVERITY_ZH, STATE_ZH
from pipeline.response.links import PATH, LinkClaim, Links
from pipeline.web_requests import Rates, wanted_language

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024
ASKED_A_MINUTE = 60
"""Requests of one address."""
_REMEMBERED = 10_000
_LOCAL = ("127.0.0.1", "::1")
_HTML = "text/html; charset=utf-8"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPage:
    """What is shown of an incident, and what its command needs. `risk`: hundredths; `acknowledged_by`: "" nobody."""

    incident_id: str
    tenant_id: str
    incident_key: str
    severity: str
    risk: int
    title_en: str
    title_zh: str
    state: str
    times_reopened: int
    acknowledged_by: str


Look = Callable[[str], IncidentPage | None]
"""The incident of this id; None: there is none. Raises: Away."""
DoAcknowledge = Callable[[LinkClaim, IncidentPage], None]
"""Gives the command and returns when it is acknowledged. Raises: Away."""

_WORDS = {
    "en": {
        "lang": "en", "incident": "Incident", "severity": "Severity", "risk": "Risk", "state": "State",
        "by": "Acknowledged by", "button": "Acknowledge",
        "ask": "Acknowledging tells everybody that you look after it.",
        "done": "Acknowledged. It may take a few seconds until it shows everywhere.",
        "before": "Somebody looks after this incident already. There is nothing to do here.",
        "resolved": "This incident is closed. There is nothing to do here.",
        "gone": "This link is not valid, or not any more. Open the incident where you usually do.",
        "busy": "Too many requests. Wait a minute and try again.",
        "away": "This cannot be done just now, and nothing was changed. Try again in a moment.",
    },
    "zh": {
        "lang": "zh-CN", "incident": "事件", "severity": "严重程度", "risk": "风险", "state": "状态",
        "by": "确认人", "button": "确认此事件", "ask": "确认后，其他人会知道由你跟进。",
        "done": "已确认。几秒后各处将显示新状态。",
        "before": "此事件已有人跟进，无需操作。",
        "resolved": "此事件已关闭，无需操作。",
        "gone": "链接无效或已过期。请通过平时使用的入口查看事件。",
        "busy": "请求过多，请一分钟后再试。",
        "away": "暂时无法完成，未作任何变更，请稍后再试。",
    },
}  # fmt: skip
_STYLE = (
    "body{font:1rem/1.6 system-ui,sans-serif;max-width:36rem;margin:10vh auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.5rem}dt{color:#555}dd{margin:0}"
    "button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.4rem;background:#0b57d0;color:#fff}"
    "button:focus-visible{outline:3px solid #e8a200;outline-offset:2px}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}dt{color:#aaa}}"
)


class AcknowledgeServer(SmallServer):
    """Serves the pages until closed."""

    def __init__(
        self, host: str, port: int, *, links: Links, look: Look, acknowledge: DoAcknowledge,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:  # fmt: skip
        """Binds; port 0, or a port that is taken, means a free one (`address` tells which)."""
        self._links, self._look, self._acknowledge, self._now_us = links, look, acknowledge, now_us
        self._rates = Rates(ASKED_A_MINUTE)
        self._given = _Given()
        super().__init__(
            host, port, self._answer, name="links", methods=("GET", "HEAD", "POST"), max_body_bytes=MAX_BODY_BYTES
        )

    def _answer(self, request: Request) -> Page:
        language = wanted_language(request.headers.get("accept-language", ""))
        if not self._rates.takes(_asking(request), self._now_us()):
            return _page(language, "busy", 429)
        token = request.path.removeprefix(PATH) if request.path.startswith(PATH) else ""
        claim = self._links.verify(token, self._now_us())
        try:
            incident = self._look(claim.incident_id) if claim else None
            if claim is None or incident is None:
                return _page(language, "gone", 404)
            if request.method == "POST" and incident.state == "open":
                self._acknowledge_once(claim, incident)
                incident = replace(incident, state="acknowledged", acknowledged_by=claim.by)
                return _page(language, "done", 200, incident)
        except AccesstrailError as exc:
            _log.warning("the page of a link cannot be answered: code=%s", exc.code)
            return _page(language, "away", 503)
        return _page(language, {"open": "ask", "resolved": "resolved"}.get(incident.state, "before"), 200, incident)

    def _acknowledge_once(self, claim: LinkClaim, incident: IncidentPage) -> None:
        command_id = claim.command_id(incident.times_reopened)
        with self._given.lock:
            if command_id not in self._given.ids:
                self._acknowledge(claim, incident)
                self._given.add(command_id)


class _Given:
    """Commands given of late. Saves repetitions only: a command that comes twice does nothing in the incident."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ids: OrderedDict[UUID, None] = OrderedDict()

    def add(self, command_id: UUID) -> None:
        self.ids[command_id] = None
        if len(self.ids) > _REMEMBERED:
            self.ids.popitem(last=False)


def _asking(request: Request) -> str:
    """Who asks: where a proxy of this machine passes it on, whom it names last, since that is its own word."""
    if request.address not in _LOCAL:
        return request.address
    return request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()[:64] or request.address


def _page(language: str, note: str, status: int, incident: IncidentPage | None = None) -> Page:
    words = _WORDS[language]
    headers = {**_HEADERS, "Content-Language": words["lang"], "Vary": "Accept-Language"}
    if note == "busy":
        headers["Retry-After"] = "60"
    title = f"{words['incident']} {incident.incident_id[:8]}" if incident else "accesstrail"
    button = f'<form method="post"><button type="submit">{words["button"]}</button></form>' if note == "ask" else ""
    body = (
        f'<!doctype html>\n<html lang="{words["lang"]}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{_facts(language, incident) if incident else ''}"
        f'<p role="status">{words[note]}</p>\n{button}\n</main>\n</body>\n</html>\n'
    )
    return Page(body, status, _HTML, headers)


def _facts(language: str, incident: IncidentPage) -> str:
    words = _WORDS[language]
    is_chinese = language == "zh"
    facts = [
        ("severity", SEVERITY_ZH.get(incident.severity, incident.severity) if is_chinese else incident.severity),
        ("risk", f"{incident.risk / 100:.0f}"),
        ("state", STATE_ZH.get(incident.state, incident.state) if is_chinese else incident.state),
    ]
    if incident.acknowledged_by:
        facts.append(("by", incident.acknowledged_by))
    rows = "".join(f"<dt>{words[name]}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return f"<p>{escape(incident.title_zh if is_chinese else incident.title_en)}</p>\n<dl>{rows}</dl>\n"
