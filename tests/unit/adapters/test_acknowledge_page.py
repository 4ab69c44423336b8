"""The page behind a link: looking changes nothing, one button acknowledges once, and it gives nothing away."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import pytest

from pipeline.adapters.acknowledge_page import AcknowledgeServer
from pipeline.errors import Away, StoreRefused
from pipeline.notifications.secret import Secret
from pipeline.response.links import VALID_S, Links
from tests.acknowledging import INCIDENT, LINKS, Incidents, path
from tests.fake_channels import START_US


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str


class Door:
    """A running server and the ways to ask it."""

    def __init__(self, incidents: Incidents) -> None:
        self.server = AcknowledgeServer(
            "127.0.0.1", 0, links=LINKS, look=incidents.look, acknowledge=incidents.acknowledge,
            now_us=lambda: incidents.now_us,
        )  # fmt: skip
        self.server.start()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(*self.server.address, timeout=10)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode())
        finally:
            connection.close()


@pytest.fixture
def incidents() -> Incidents:
    return Incidents()


@pytest.fixture
def door(incidents: Incidents) -> Iterator[Door]:
    made = Door(incidents)
    yield made
    made.server.close()


# -- looking


def test_twenty_looks_of_a_link_scanner_leave_the_incident_open(incidents: Incidents, door: Door) -> None:
    for number in range(20):
        answer = door.ask("HEAD" if number % 2 else "GET", path() + "?utm_source=scan" * (number % 3))
        assert answer.status == 200
        assert bool(answer.body) is not bool(number % 2)
        assert int(answer.headers["content-length"]) > 0
    assert incidents.acknowledged == []


def test_the_page_shows_the_incident_and_one_button(door: Door) -> None:
    page = door.ask("GET", path()).body
    for words in ("Incident 7d1f5b0e", "<dt>Severity</dt><dd>high</dd>", "<dt>Risk</dt><dd>87</dd>", "<dd>open</dd>"):
        assert words in page
    assert "Read 4,000 &lt;customers&gt; &amp; &quot;friends&quot;" in page
    assert page.count("<form") == page.count('<form method="post"><button type="submit">Acknowledge</button>') == 1


def test_it_speaks_chinese_to_who_wants_it(door: Door) -> None:
    answer = door.ask("GET", path(), Accept_Language="zh-CN,zh;q=0.9,en;q=0.8")
    for words in (
        '<html lang="zh-CN">',
        "事件 7d1f5b0e",
        "一夜读取 4,000 名客户",
        "<dd>高</dd>",
        "<dd>未处理</dd>",
        "确认此事件",
    ):
        assert words in answer.body
    assert answer.headers["content-language"] == "zh-CN"


@pytest.mark.parametrize("status", [200, 404])
def test_the_page_is_told_to_nobody_and_loads_nothing(status: int, door: Door) -> None:
    answer = door.ask("GET", path() if status == 200 else "/i/none")
    assert answer.status == status
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not any(one in answer.body for one in ("<script", "src=", "href=", "http://", "https://", "onclick"))


class _Balance(HTMLParser):
    """Every element is closed by its own tag, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_its_html_is_whole(method: str, language: str, incidents: Incidents, door: Door) -> None:
    incidents.found = replace(INCIDENT, title_en="</p><b>x", title_zh="</p><b>x", acknowledged_by="<i>")
    parser = _Balance()
    body = door.ask(method, path(), Accept_Language=language).body
    assert body.startswith("<!doctype html>\n<html lang=")
    parser.feed(body)
    parser.close()
    assert parser.open == []
    assert not {"b", "i"} & set(parser.seen)
    assert parser.seen.count("h1") == parser.seen.count("title") == 1


# -- acknowledging


def test_the_button_acknowledges_once_however_often_it_is_pressed(incidents: Incidents, door: Door) -> None:
    answers = [door.ask("POST", path()) for _ in range(2)]
    assert [one.status for one in answers] == [200, 200]
    assert all("Acknowledged. It may take a few seconds" in one.body for one in answers)
    assert "<form" not in answers[0].body
    assert "link:chat" in answers[0].body
    ((claim, incident),) = incidents.acknowledged
    assert (claim.incident_id, claim.by, incident) == (INCIDENT.incident_id, "link:chat", INCIDENT)


def test_an_incident_that_was_reopened_can_be_acknowledged_again(incidents: Incidents, door: Door) -> None:
    door.ask("POST", path())
    incidents.found = replace(INCIDENT, times_reopened=1)
    door.ask("POST", path())
    assert len(incidents.acknowledged) == 2


@pytest.mark.parametrize(
    ("state", "words"),
    [("acknowledged", "already"), ("assigned", "already"), ("contained", "already"), ("resolved", "closed")],
)
def test_what_needs_nobody_has_no_button_and_no_command(
    state: str, words: str, incidents: Incidents, door: Door
) -> None:
    incidents.found = replace(INCIDENT, state=state, acknowledged_by="li.wei")
    for method in ("GET", "POST"):
        page = door.ask(method, path()).body
        assert words in page
        assert "li.wei" in page
        assert "<form" not in page
    assert incidents.acknowledged == []


def test_a_store_or_broker_that_does_not_answer_is_said_and_the_button_can_be_pressed_again(
    incidents: Incidents, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    for step, code in (("look", StoreRefused("").code), ("acknowledge", Away("").code)):
        incidents.away = {step}
        caplog.clear()
        assert door.ask("POST", path()).status == 503
        assert [record.getMessage() for record in caplog.records] == [
            f"the page of a link cannot be answered: code={code}"
        ], "whoever runs it reads why; who looks at the page does not"
    assert incidents.acknowledged == []
    incidents.away = set()
    assert door.ask("POST", path()).status == 200
    assert len(incidents.acknowledged) == 1


# -- strangers


def test_what_is_changed_or_over_or_of_no_incident_is_the_same_404(incidents: Incidents, door: Door) -> None:
    over, other = path(at_us=START_US - VALID_S * 1_000_000), Links(Secret("t" * 64), "").verify
    assert other(path().removeprefix("/i/"), START_US) is None
    paths = [path()[:-1], path()[:-2] + "AA", over, "/i/", "/i/" + "A" * 3000, "/", "/i", "/favicon.ico", "/x" + path()]
    answers = [door.ask(method, one) for one in paths for method in ("GET", "POST")]
    assert incidents.looked == [], "no store is asked about what we did not sign"
    incidents.found = None
    answers.append(door.ask("POST", path()))
    assert {one.status for one in answers} == {404}
    assert len({one.body for one in answers}) == 1
    assert incidents.acknowledged == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_no_other_method_is_answered(method: str, door: Door) -> None:
    answer = door.ask(method, path())
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_a_large_or_unmeasured_body_is_refused(incidents: Incidents, door: Door) -> None:
    assert door.ask("POST", path(), b"x" * 1024).status == 200
    assert door.ask("POST", path(), b"x" * 1025).status == 413
    assert door.ask("POST", path(), Transfer_Encoding="chunked").status == 411
    assert door.ask("POST", path(), Content_Length="-1").status == 411
    assert len(incidents.acknowledged) == 1


def test_one_address_asks_so_often_a_minute_and_others_still_may(incidents: Incidents, door: Door) -> None:
    asked = [door.ask("GET", path(), X_Forwarded_For="6.6.6.6, 203.0.113.9") for _ in range(61)]
    assert [one.status for one in asked] == [200] * 60 + [429]
    assert asked[-1].headers["retry-after"] == "60"
    assert door.ask("POST", path(), X_Forwarded_For="203.0.113.9, 198.51.100.7").status == 200
    incidents.now_us += 60_000_000
    assert door.ask("GET", path(), X_Forwarded_For="203.0.113.9").status == 200
