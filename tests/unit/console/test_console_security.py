"""What every request meets before any page, and what every answer carries."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboards.console.app import console_app
from dashboards.console.routes import PUBLIC, ROUTES, Route
from dashboards.console.security import ASKED_A_MINUTE, MAX_BODY_BYTES
from dashboards.console.visit import Answer, Page, Visit
from tests.console import FIRST_SECRET, ORIGIN, PASSWORD, World, csrf


def own(caplog: pytest.LogCaptureFixture) -> str:
    """What the console itself has logged: the client of these tests logs too."""
    return "\n".join(one.getMessage() for one in caplog.records if one.name.startswith("dashboards."))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("path", ["/login", "/nope", "/static/console.css", "/static/nope.js", "/incidents"])
def test_every_answer_carries_the_headers(path: str, world: World) -> None:
    answer = world.client().get(path)
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    is_static = path == "/static/console.css"
    assert answer.headers["cache-control"] == ("public, max-age=86400" if is_static else "no-store")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "me@evil.example", "localhost.", "[::1"]
)
def test_other_names_are_not_served(host: str, world: World) -> None:
    answer = world.client().get("/login", headers={"Host": host})
    assert answer.status_code == 421
    assert "not offered under this name" in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8443", "localhost", "LOCALHOST:1", "[::1]:9"])
def test_loopback_is_served_under_its_names(host: str, world: World) -> None:
    assert world.client().get("/login", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:9999"}, {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
    ],
)  # fmt: skip
def test_a_form_from_elsewhere_changes_nothing(headers: dict[str, str], world: World) -> None:
    world.account("li.wei", "soc")
    given = {"name": "li.wei", "password": PASSWORD, "code": world.code("li.wei")}
    answer = world.client().post("/login", data=given, headers=headers)
    assert answer.status_code == 403
    assert not answer.cookies


def test_a_right_token_of_another_session_is_not_this_ones(world: World) -> None:
    mine, other = world.signed_in("soc"), world.signed_in("auditor")
    assert mine.post("/logout", data={"csrf": csrf(other)}).status_code == 403
    assert mine.post("/logout", headers={"X-CSRF-Token": csrf(mine)}).status_code == 303


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(method: str, world: World) -> None:
    assert world.client().request(method, "/login").status_code == 405


def test_head_and_options_change_nothing_and_say_little(world: World) -> None:
    client = world.client()
    assert client.head("/login").status_code == 200
    assert client.head("/login").text == ""
    answer = client.options("/logout")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert client.get("/logout").status_code == 405


def test_a_large_body_is_refused_before_it_is_read_as_a_form(world: World) -> None:
    client = world.client()
    assert client.post("/login", data={"name": "x" * MAX_BODY_BYTES}).status_code == 413

    def chunks() -> Iterator[bytes]:
        for _ in range(80):
            yield b"a=" + b"b" * 1022

    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/login", content=chunks(), headers=sent).status_code == 413


def test_files_and_many_fields_are_refused(world: World) -> None:
    client = world.client()
    assert client.post("/login", files={"name": ("a.txt", b"x")}).status_code in (400, 403)
    many = "&".join(f"f{number}=1" for number in range(2_000))
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/login", content=many, headers=sent).status_code == 400


def test_an_address_that_asks_too_often_waits(world: World) -> None:
    client = world.client()
    for _ in range(ASKED_A_MINUTE):
        client.get("/static/icon.svg")
    answer = client.get("/login")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"
    world.pass_time(61)
    assert client.get("/login").status_code == 200


def test_a_session_that_asks_too_often_waits(world: World) -> None:
    client = world.signed_in("soc")
    found = {client.get("/help").status_code for _ in range(601)}
    assert found == {200, 429}


def test_a_broken_page_tells_nobody_why(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def broken(visit: Visit) -> Answer:
        raise ZeroDivisionError(f"secret {PASSWORD}")

    app = console_app(world.parts(), [*ROUTES, Route("GET", "/broken", PUBLIC, broken)])
    client = TestClient(app, base_url=ORIGIN, raise_server_exceptions=False)
    with caplog.at_level(logging.INFO):
        answer = client.get("/broken?who=alice", headers={"Accept-Language": "zh"})
    assert answer.status_code == 500
    assert "系统内部出错" in answer.text
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "code=ZeroDivisionError" in own(caplog)
    assert PASSWORD not in own(caplog)
    assert "alice" not in own(caplog)


def test_the_log_names_routes_never_paths_names_or_questions(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.account("li.wei", "soc")
    with caplog.at_level(logging.INFO):
        client = world.sign_in(world.client(), "li.wei")
        client.get("/incidents?state=open&q=13800138000")
        client.get("/incidents/3fa94c21-0000-0000-0000-000000000000")
        client.get("/first/" + FIRST_SECRET)
        client.get("/nope/alice")
        client.request("EVIL\x1b[31m", "/login")
    for hidden in ("13800138000", "3fa94c21", FIRST_SECRET, "alice", "li.wei", "EVIL", "state=open"):
        assert hidden not in own(caplog), hidden
    assert "GET /incidents/{incident_id} 404" in own(caplog)
    assert "OTHER - 405" in own(caplog)


def test_a_page_of_evidence_that_is_not_told_is_not_sent(world: World) -> None:
    """A handler that forgets to say what it shows is a bug that shows nothing."""

    def careless(visit: Visit) -> Answer:
        return Page("message.html", {"title": "help.title", "said": "yes", "kind": "shown-anyway"})

    rows = [replace(one, handler=careless) if one.path.endswith("/evidence") else one for one in ROUTES]
    name = world.account("soc", "soc")
    client = TestClient(
        console_app(world.parts(), rows), base_url=ORIGIN, headers={"Origin": ORIGIN}, raise_server_exceptions=False
    )
    given = {"name": name, "password": PASSWORD, "code": world.code(name)}
    client.post("/login", data=given, follow_redirects=False)
    answer = client.get("/incidents/x/evidence")
    assert answer.status_code == 500
    assert "shown-anyway" not in answer.text
