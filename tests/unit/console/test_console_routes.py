"""Every route with every role and with nobody: the table decides, and the table follows the one matrix."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboards.console.app import console_app
from dashboards.console.routes import PUBLIC, ROUTES, SIGNED_IN, UNFINISHED, Route
from dashboards.console.visit import Answer, Page, Visit
from pipeline.accounts.permissions import ACTIONS, ROLES, may
from tests.console import ORIGIN, PASSWORD, World, csrf

_PLACES = {"secret": "x", "prefix": "atp_12345678"}


def reached(visit: Visit) -> Answer:
    return Page("message.html", {"title": "help.title", "said": "yes", "kind": "reached"})


def _path(route: Route) -> str:
    return re.sub(r"{(\w+)(:\w+)?}", lambda place: _PLACES.get(place[1], "x"), route.path)


def _client(world: World) -> TestClient:
    """The real table, whose handlers only say that they were reached."""
    routes = [replace(one, handler=reached, shows_evidence=False, is_login=False) for one in ROUTES]
    routes.append(
        Route(
            "POST",
            "/test-login",
            PUBLIC,
            next(one.handler for one in ROUTES if one.path == "/login" and one.method == "POST"),
        )
    )
    routes.append(Route("GET", "/test-token", UNFINISHED, reached))
    app = console_app(world.parts(), routes)
    return TestClient(app, base_url=ORIGIN, headers={"Origin": ORIGIN}, follow_redirects=False)


def _ask(client: TestClient, route: Route, token: str = "") -> tuple[int, str]:
    path = _path(route)
    answer = client.get(path) if route.method == "GET" else client.post(path, data={"csrf": token})
    return answer.status_code, answer.headers.get("location", "") if "reached" not in answer.text else "reached"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_every_row_needs_something_that_exists_and_changes_only_by_post() -> None:
    for route in ROUTES:
        assert route.needs in (PUBLIC, UNFINISHED, SIGNED_IN) or route.needs in ACTIONS, route
        assert route.method in ("GET", "POST"), route
        assert route.method == "GET" or not route.shows_evidence or route.needs not in (PUBLIC, UNFINISHED), route
    assert len({(one.method, one.path) for one in ROUTES}) == len(ROUTES)


def test_nobody_reaches_only_what_is_public(world: World) -> None:
    world.account("wu.ling")
    client = _client(world)
    for route in ROUTES:
        status, where = _ask(client, route)
        assert (where == "reached") == (route.needs == PUBLIC), route
        assert route.needs == PUBLIC or (status == 303 and where.startswith("/login")), route


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reaches_exactly_what_the_matrix_gives_it(role: str, world: World) -> None:
    name = world.account("wu.ling" if role == "admin" else role, role)
    client = _client(world)
    code = world.code(name)
    assert client.post("/test-login", data={"name": name, "password": PASSWORD, "code": code}).status_code == 303
    token = csrf(client, "/test-token")
    for route in ROUTES:
        status, where = _ask(client, route, token)
        allowed = route.needs in (PUBLIC, UNFINISHED, SIGNED_IN) or may({role}, route.needs)
        assert (where == "reached") == allowed, (route, status, where)
        assert allowed or status == 403, (route, status)


def test_an_account_without_a_second_factor_reaches_nothing_but_setting_it_up(world: World) -> None:
    name = world.account("li.wei", "soc", "analyst", enrolled=False)
    client = _client(world)
    assert client.post("/test-login", data={"name": name, "password": PASSWORD}).headers["location"] == "/welcome"
    token = csrf(client, "/test-token")
    for route in ROUTES:
        _, where = _ask(client, route, token)
        assert where == ("reached" if route.needs in (PUBLIC, UNFINISHED) else "/welcome"), route


def test_a_form_without_its_token_changes_nothing_on_any_route(world: World) -> None:
    name = world.account("wu.ling")
    client = _client(world)
    client.post("/test-login", data={"name": name, "password": PASSWORD, "code": world.code(name)})
    for route in (one for one in ROUTES if one.method == "POST" and one.needs in (PUBLIC, UNFINISHED, SIGNED_IN)):
        for given in ("", "x" * 43):
            status, where = _ask(client, route, given)
            assert status == 403, (route, where)
