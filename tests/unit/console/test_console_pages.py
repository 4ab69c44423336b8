"""Words, templates and vendored files; the overview's verdict and its stream; settings."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import dashboards.console
from dashboards.console.app import console_app
from dashboards.console.live import Snapshots, verdict_values
from dashboards.console.panel_view import in_unit, shown
from dashboards.console.ports import LiveFacts
from dashboards.console.verdict import level_of, sentences
from dashboards.console.visit import same_site
from dashboards.console.words import WORDS, language_of, said
from dashboards.panels import soc_overview
from pipeline.audit.panels import PanelAnswer
from pipeline.errors import StoreRefused
from tests.console import NOW_US, PASSWORD, World, post

HERE = Path(dashboards.console.__file__).parent
_OUTSIDE = ("pipeline.adapters", "pipeline.cli", "socket", "subprocess")
PLACE = re.compile(r"{(\d+)}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# -- words and files


def test_every_word_is_there_in_both_languages_with_the_same_places() -> None:
    for key, (english, chinese) in WORDS.items():
        assert english.strip(), key
        assert chinese.strip(), key
        assert sorted(PLACE.findall(english)) == sorted(PLACE.findall(chinese)), key


def test_every_word_that_a_template_or_a_handler_names_exists() -> None:
    asked = re.compile(r"""\b(?:t|said)\(\s*["']([a-z_.]+)["']\s*[,)]""")
    for path in (*HERE.rglob("*.html"), *HERE.rglob("*.py")):
        for key in asked.findall(path.read_text(encoding="utf-8")):
            assert key in WORDS or key == "key", (path.name, key)  # as docstrings write it


def test_no_template_holds_a_script_a_style_or_a_handler() -> None:
    for path in HERE.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=|\|\s*safe", text), path.name
        for form in re.findall(r'<form method="post".*?</form>', text, re.DOTALL):
            assert "parts.csrf_field()" in form, (path.name, form[:80])


def test_vendored_files_are_what_the_list_says() -> None:
    folder = HERE / "static" / "vendor"
    listed = re.findall(
        r"\| (\S+) \| [^|]+ \| [^|]+ \| \w+ \((\S+)\) \| ([0-9a-f]{64}) \|", (folder / "VENDORED.md").read_text()
    )
    assert {name for name, _, _ in listed} == {one.name for one in folder.iterdir() if one.suffix in (".js", ".css")}
    for name, licence, digest in listed:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert (folder / licence).stat().st_size > 100


def test_our_script_and_style_ask_nothing_from_elsewhere() -> None:
    for path in (HERE / "static").rglob("*"):
        if path.suffix in (".js", ".css") and path.parent.name == "static":
            text = path.read_text(encoding="utf-8")
            assert "http://" not in text
            assert "https://" not in text.replace('location.protocol === "https:"', "")
            assert "eval(" not in text


def test_no_page_asks_the_outside_directly() -> None:
    """Everything from outside is a Protocol of `ports`: no module of the console imports a client of anything."""
    allowed = {"starlette", "jinja2", "markupsafe", "segno", "dashboards", "pipeline", "detectors"}
    for path in HERE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.partition(".")[0]
                assert top in allowed or top in __import__("sys").stdlib_module_names, (path.name, name)
                assert not name.startswith(("pipeline.adapters", "pipeline.cli", "socket", "subprocess")), (
                    path.name,
                    name,
                )


@pytest.mark.parametrize(
    ("accept", "chosen", "wanted"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "", "zh"), ("en-GB", "", "en"), ("", "", "en"), ("en", "zh", "zh"), ("zh", "xx", "zh"),
     ("zh;q=nonsense, en;q=0.1", "", "en"), ("," * 5_000, "", "en")],
)  # fmt: skip
def test_the_language_follows_the_choice_then_the_browser(accept: str, chosen: str, wanted: str) -> None:
    assert language_of(accept, chosen) == wanted


@pytest.mark.parametrize("path", ["/a", "/a?b=//c", "/a#b"])
def test_own_paths_are_kept(path: str) -> None:
    assert same_site(path) == path


# -- the verdict


FACTS = LiveFacts(open={}, gravest=(), problems=(), silent=(), stored_us=NOW_US, events_a_second=12.0)


@pytest.mark.parametrize(
    ("change", "level", "english", "chinese"),
    [
        ({}, "good", "No incident is open.", "没有未关闭的事件。"),
        ({"open": {("critical", "open"): 3}}, "bad", "Critical incidents not closed: 3.", "未关闭的严重事件：3 个。"),
        ({"open": {("low", "acknowledged"): 1}}, "warning", "Other incidents not closed: 1.", "其他未关闭事件：1 个。"),
        (
            {"silent": ("crm/a", "erp/b")},
            "warning",
            "Silent sources: 2 (crm/a, erp/b).",
            "静默的来源：2 个（crm/a、erp/b）。",
        ),
        (
            {"stored_us": NOW_US - 600_000_000},
            "warning",
            "Nothing was stored for 10 minutes.",
            "已有 10 分钟未存入任何记录。",
        ),
        ({"problems": ("store_away",)}, "bad", "ClickHouse does not answer; events wait in Kafka", "ClickHouse"),
        ({"changed": 1_500}, "bad", "found differences in the evidence: 1,500", "最近一次证据校验发现 1,500 处差异"),
        ({"problems": ("never_heard_of",)}, "bad", "has a problem (never_heard_of)", "never_heard_of"),
    ],
)
def test_the_verdict_says_in_words_what_is_wrong(
    change: dict[str, Any], level: str, english: str, chinese: str
) -> None:
    facts = replace(FACTS, **change)
    found = sentences(facts, NOW_US, "en", sees_incidents=True)
    assert level_of(found) == level
    assert any(english in one.text for one in found)
    assert any(chinese in one.text for one in sentences(facts, NOW_US, "zh", sees_incidents=True))


def test_who_may_not_read_incidents_hears_nothing_of_them(world: World) -> None:
    facts = replace(FACTS, open={("critical", "open"): 3})
    assert not any("ncident" in one.text for one in sentences(facts, NOW_US, "en", sees_incidents=False))
    assert "Critical incidents" in world.signed_in("soc").get("/overview").text
    operator = world.signed_in("operator").get("/overview").text
    assert "Critical incidents" not in operator
    assert "/overview/figures" not in operator
    assert "Taking events in works" in operator


def test_the_overview_is_there_without_the_store_and_says_since_when(world: World) -> None:
    client = world.signed_in("soc")
    world.live.is_away = True
    world.panels.is_away = True
    text = client.get("/overview").text
    assert "ClickHouse, where evidence is kept, does not answer" in text
    world.pass_time(180)
    assert "For 3 min" in client.get("/overview").text
    part = client.get("/overview/figures/waiting", headers={"HX-Request": "true"})
    assert part.status_code == 503
    assert 'hx-get="/overview/figures/waiting"' in part.text
    world.live.is_away = False
    world.pass_time(10)
    assert "Silent sources" in client.get("/overview").text


def test_many_viewers_cost_one_set_of_questions(world: World) -> None:
    client = world.signed_in("soc")
    for _ in range(20):
        client.get("/overview")
    assert world.live.asked == 1
    world.pass_time(5)
    client.get("/overview")
    assert world.live.asked == 2


def test_nobody_waits_behind_a_slow_look_at_the_store(world: World) -> None:
    snapshots = Snapshots(world.parts())
    first = snapshots.fresh()
    world.pass_time(5)
    asked, goes_on = threading.Event(), threading.Event()
    facts = world.live.facts

    def slow() -> LiveFacts:
        asked.set()
        assert goes_on.wait(30)
        return facts()

    world.live.facts = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(snapshots.fresh)
        assert asked.wait(30)
        assert snapshots.fresh() is first
        goes_on.set()
        assert taken.result(30) is snapshots.fresh() is not first


def test_a_store_that_refuses_is_no_outage(world: World) -> None:
    def refused() -> LiveFacts:
        raise StoreRefused("rights")

    world.live.facts = refused  # type: ignore[method-assign]
    snapshot = Snapshots(world.parts()).fresh()
    assert verdict_values(snapshot, "en", sees_incidents=True)["level"] == "bad"
    assert world.parts().outages.now() == {}


def test_the_stream_sends_the_verdict_in_the_viewers_language_and_ends_with_the_session(world: World) -> None:
    world.account("soc", "soc")
    app = console_app(world.parts())
    asyncio.run(_watch(app, world))


async def _watch(app: Any, world: World) -> None:
    """Two viewers of one stream, by ASGI itself: the test client reads a response to its end, which never comes."""
    signed = await _ask(app, "POST", "/login", body=f"name=soc&password={_quoted()}&code={world.code('soc')}")
    cookie = dict(signed["headers"])[b"set-cookie"].decode().partition(";")[0]
    sent: list[str] = []
    ended = asyncio.create_task(_stream(app, cookie, sent))
    while not any("event: verdict" in one for one in sent):
        await asyncio.sleep(0.01)
    assert "未关闭的严重事件：2 个。" in "".join(sent)
    assert all(line.startswith(("data:", "event:", ":")) for line in "".join(sent).splitlines() if line)
    assert app.state.broadcast.viewers == 1
    world.pass_time(13 * 3600)
    app.state.broadcast._changed.set()
    await asyncio.wait_for(ended, 5)
    assert "event: over" in "".join(sent)
    assert app.state.broadcast.viewers == 0


def test_a_stream_says_that_it_lives_also_while_snapshots_change_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a proxy closes it for idleness, and a viewer who is gone is never noticed."""
    monkeypatch.setattr("dashboards.console.live.HEARTBEAT_S", 0.2)
    monkeypatch.setattr("dashboards.console.live.EVERY_S", 0.02)
    world.account("soc", "soc")
    asyncio.run(_hear(console_app(world.parts()), world))


async def _hear(app: Any, world: World) -> None:
    signed = await _ask(app, "POST", "/login", body=f"name=soc&password={_quoted()}&code={world.code('soc')}")
    cookie = dict(signed["headers"])[b"set-cookie"].decode().partition(";")[0]
    sent: list[str] = []
    ended = asyncio.create_task(_stream(app, cookie, sent))
    deadline = asyncio.get_running_loop().time() + 5
    while "".join(sent).count(": still here") < 2 and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
    app.state.broadcast.close()
    await asyncio.wait_for(ended, 5)
    assert "".join(sent).count(": still here") >= 2
    assert "".join(sent).count("event: verdict") == 1


def _quoted() -> str:
    return PASSWORD.replace(" ", "+")


def _scope(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    base = [(b"host", b"127.0.0.1"), (b"origin", b"http://127.0.0.1"), (b"accept-language", b"zh")]
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [*base, *headers],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip


async def _ask(app: Any, method: str, path: str, body: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body.encode(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            found.update(message)

    await app(_scope(method, path, [(b"content-type", b"application/x-www-form-urlencoded")]), receive, send)
    assert found["status"] == 303
    return found


async def _stream(app: Any, cookie: str, sent: list[str]) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            sent.append(message.get("body", b"").decode())

    await app(_scope("GET", "/live", [(b"cookie", cookie.encode())]), receive, send)


# -- panels


def test_a_panel_shows_its_answer_as_a_drawing_and_as_a_table(world: World) -> None:
    at = [datetime(2026, 11, 18, hour, tzinfo=UTC) for hour in (1, 2)]
    accesses = next(one for one in soc_overview.BOARD.panels if one.view == "timeseries")
    names = tuple(column.name for column in accesses.columns)
    rows = ((at[0], "success", 5), (at[1], "success", 7), (at[1], "<b>denied", 1))
    world.panels.answers[accesses.uid] = PanelAnswer(names, rows)
    client = world.signed_in("soc")
    text = client.get(f"/overview/figures/{accesses.uid}", headers={"HX-Request": "true"}).text
    assert "&#34;lines&#34;: [[5, 7], [null, 1]]" in text
    assert "<b>denied" not in text
    assert text.count("<tr>") == 4
    assert "<html" in client.get(f"/overview/figures/{accesses.uid}").text


def test_a_panel_that_names_accounts_is_evidence(world: World) -> None:
    client = world.signed_in("soc")
    tokens = {one.uid for one in soc_overview.BOARD.panels if any(column.unit == "token" for column in one.columns)}
    assert tokens
    for panel in soc_overview.BOARD.panels:
        asked = client.get(f"/overview/figures/{panel.uid}")
        assert asked.status_code == (404 if panel.uid in tokens else 200), panel.uid
    assert world.trail.told == []
    riskiest = soc_overview.RISKIEST_ACTORS
    world.panels.answers[riskiest.uid] = PanelAnswer(
        tuple(column.name for column in riskiest.columns), (("ab" * 16, 9, 3, 1, 0, 88.5),)
    )
    text = client.get(f"/overview/panels/{riskiest.uid}").text
    assert 'class="token" title="' + "ab" * 16 in text
    assert 'class="number bad"' in text
    assert [(one.look, one.rows, one.about) for one in world.trail.told] == [
        ("panel", 1, "soc-overview/riskiest-actors")
    ]
    world.trail.is_away = True
    assert "ab" * 16 not in client.get(f"/overview/panels/{riskiest.uid}").text


def test_every_panel_of_the_board_can_be_shown_empty_and_in_both_languages(world: World) -> None:
    client = world.signed_in("soc")
    for panel in soc_overview.BOARD.panels:
        for language in ("en", "zh"):
            view = shown(panel, PanelAnswer(tuple(column.name for column in panel.columns), ()), language, (0, 1))
            assert view.rows == []
        assert said("panel.table", "en")
    assert client.get("/overview/figures/nope").status_code == 404


@pytest.mark.parametrize(
    ("number", "unit", "words"),
    [(12.0, "count", "12"), (1234567, "count", "1,234,567"), (0.5, "count", "0.50"), (99.5, "percent", "99.5 %"),
     (90, "seconds", "90 s"), (7200, "seconds", "2.0 h"), (2048, "bytes", "2 KiB"), (5, "per_second", "5.0/s")],
)  # fmt: skip
def test_numbers_carry_their_unit(number: float, unit: Any, words: str) -> None:
    assert in_unit(number, unit, "en") == words


# -- settings and help


def test_a_test_message_says_whether_it_arrived(world: World) -> None:
    client = world.signed_in("soc")
    assert "Send a test message to chat" in client.get("/settings").text
    post(client, "/settings/channels/chat/test")
    assert world.channels.tested == [("chat", "soc")]
    assert "The channel chat took the test message." in client.get("/settings").text
    world.channels.code = "http_404"
    post(client, "/settings/channels/chat/test")
    assert "did not take the test message: http_404" in client.get("/settings").text
    assert post(client, "/settings/channels/nope/test").status_code == 404
    assert "Channels" not in world.signed_in("auditor").get("/settings").text


@pytest.mark.parametrize("role", ["operator", "soc", "responder", "analyst", "auditor", "dpo", "admin"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_of_a_role_can_be_shown_in_its_language(role: str, language: str, world: World) -> None:
    client = world.signed_in(role)
    headers = {"Accept-Language": language}
    for path in ("/overview", "/settings", "/help"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 200
        assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in answer.text
