"""Coming in: password and code, the first account, what an account must set up, sessions and how they end."""

from __future__ import annotations

import re
from pathlib import Path

import pyotp
import pytest
from httpx import Response
from starlette.testclient import TestClient

from pipeline.adapters.account_secrets import Credentials
from pipeline.adapters.accounts import open_accounts
from tests.accounts import cheap_passwords
from tests.console import FIRST_SECRET, PASSWORD, World, csrf, post

SESSION = "accesstrail_session"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_password_and_code_let_in_and_a_code_works_once(world: World) -> None:
    world.account("li.wei", "soc")
    client, code = world.client(), world.code("li.wei")
    given = {"name": "li.wei", "password": PASSWORD, "code": code}
    answer = client.post("/login", data=given)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert client.get("/help").status_code == 200
    assert world.client().post("/login", data=given).status_code == 403


@pytest.mark.parametrize(
    "wrong", [{"name": "nobody.here"}, {"password": "another password altogether"}, {"code": "000000"}, {"code": ""}]
)
def test_every_refusal_has_the_same_words_whatever_was_wrong(wrong: dict[str, str], world: World) -> None:
    world.account("li.wei", "soc")
    right = {"name": "li.wei", "password": PASSWORD, "code": world.code("li.wei")}
    answer = world.client().post("/login", data=right | wrong)
    assert answer.status_code == 403
    assert "Refused: account, password or one-time code is wrong" in answer.text
    assert SESSION not in answer.cookies
    assert PASSWORD not in answer.text


def test_an_account_that_is_locked_says_how_long(world: World) -> None:
    world.account("li.wei", "soc")
    client = world.client()
    for _ in range(5):
        client.post("/login", data={"name": "li.wei", "password": "wrong wrong wrong"})
    answer = client.post("/login", data={"name": "li.wei", "password": PASSWORD, "code": "123456"})
    assert answer.status_code == 403
    assert "Too many wrong passwords or codes" in answer.text


def test_a_recovery_code_opens_once(world: World) -> None:
    world.account("wu.ling")
    uri = ""
    with open_accounts(world.state_dir, passwords=cheap_passwords()) as accounts:
        admin_code = world.code("wu.ling")
        accounts.logins.remove_own_totp("wu.ling", Credentials(PASSWORD, admin_code), "test", world.now_us)
        uri = accounts.logins.begin_totp("wu.ling", Credentials(PASSWORD), world.now_us).uri
        secret = uri.partition("secret=")[2].partition("&")[0]
        code = pyotp.TOTP(secret).at(world.now_us // 1_000_000)
        codes = accounts.logins.confirm_totp("wu.ling", Credentials(PASSWORD), code, world.now_us)
    given = {"name": "wu.ling", "password": PASSWORD, "code": codes[0]}
    assert world.client().post("/login", data=given).status_code == 303
    assert world.client().post("/login", data=given).status_code == 403


def test_a_session_known_before_login_is_worth_nothing_after_it(world: World) -> None:
    world.account("li.wei", "soc")
    client = world.client()
    planted = "A" * 43
    client.cookies.set(SESSION, planted, domain="127.0.0.1")
    world.sign_in(client, "li.wei")
    ids = [one.value for one in client.cookies.jar if one.name == SESSION and one.value != planted]
    assert len(ids) == 1
    thief = world.client()
    thief.cookies.set(SESSION, planted, domain="127.0.0.1")
    assert thief.get("/help").headers["location"].startswith("/login")


def test_signing_in_again_takes_another_session_and_ends_the_one_before(world: World) -> None:
    world.account("li.wei", "soc")
    client = world.sign_in(world.client(), "li.wei")
    before = client.cookies[SESSION]
    token = csrf(client)
    again = {"name": "li.wei", "password": PASSWORD, "code": world.code("li.wei"), "csrf": token}
    assert client.post("/login", data=again).status_code == 303
    assert client.cookies[SESSION] != before
    thief = world.client()
    thief.cookies.set(SESSION, before, domain="127.0.0.1")
    assert thief.get("/help").status_code == 303


def test_the_first_account_is_made_by_the_link_once_and_must_enrol_before_anything(world: World) -> None:
    client = world.client()
    assert client.get(f"/first/{FIRST_SECRET}").status_code == 200
    assert client.get("/first/" + "x" * 43).status_code == 404
    given = {"name": "wu.ling", "password": PASSWORD, "again": PASSWORD}
    assert client.post(f"/first/{FIRST_SECRET}", data=given).headers["location"] == "/welcome"
    assert client.get("/overview").headers["location"] == "/welcome"
    page = client.get("/welcome").text
    key = re.search(r'class="key">([^<]+)<', page)
    assert key
    assert "data:image/svg+xml" in page
    code = pyotp.TOTP(key[1].replace(" ", "")).at(world.now_us // 1_000_000)
    wrong = post_welcome(client, code="000000")
    assert wrong.status_code == 400
    assert "one-time code is wrong" in wrong.text
    assert post_welcome(client, code=code).headers["location"] == "/welcome"
    codes = client.get("/welcome").text
    assert codes.count("<li><code>") == 10
    assert client.get("/welcome").headers["location"] == "/"
    assert client.get("/help").status_code == 200
    assert world.client().get(f"/first/{FIRST_SECRET}").status_code == 404
    assert world.client().post(f"/first/{FIRST_SECRET}", data=given).status_code == 404


def post_welcome(client: TestClient, **data: str) -> Response:
    answer: Response = client.post(
        "/welcome/totp", data={"csrf": csrf(client, "/welcome"), "password": PASSWORD, **data}
    )
    return answer


def test_the_link_ends_an_hour_after_the_start(world: World) -> None:
    world.pass_time(3601)
    assert world.client().get(f"/first/{FIRST_SECRET}").status_code == 404


def test_a_weak_password_makes_no_account(world: World) -> None:
    answer = world.client().post(f"/first/{FIRST_SECRET}", data={"name": "wu.ling", "password": "x", "again": "x"})
    assert answer.status_code == 400
    assert "12" in answer.text
    assert world.accounts.is_empty()


def test_a_password_set_by_another_must_be_changed_first_and_then_a_second_factor_enrolled(world: World) -> None:
    world.account("wu.ling")
    with open_accounts(world.state_dir, passwords=cheap_passwords()) as accounts:
        accounts.add("wu.ling", "li.wei", ["soc"], "the password of another", "test", world.now_us)
    client = world.client()
    answer = client.post("/login", data={"name": "li.wei", "password": "the password of another"})
    assert answer.headers["location"] == "/welcome"
    assert "Set your own password" in client.get("/welcome").text
    assert client.get("/incidents").headers["location"] == "/welcome"
    given = {"old": "the password of another", "new": PASSWORD, "again": PASSWORD}
    answer = client.post("/welcome/password", data={"csrf": csrf(client, "/welcome"), **given})
    assert answer.headers["location"] == "/welcome"
    assert "second factor" in client.get("/welcome").text
    assert client.get("/incidents").headers["location"] == "/welcome"


def test_a_session_ends_after_half_an_hour_without_a_request_and_after_twelve_hours_anyway(world: World) -> None:
    client = world.signed_in("soc")
    world.pass_time(29 * 60)
    assert client.get("/help").status_code == 200
    world.pass_time(31 * 60)
    assert client.get("/help").status_code == 303
    world.sign_in(client, "soc")
    for _ in range(12 * 3):
        world.pass_time(20 * 60)
        last = client.get("/help").status_code
    assert last == 200
    world.pass_time(60)
    assert client.get("/help").status_code == 303


def _disabled(world: World) -> None:
    with open_accounts(world.state_dir) as accounts:
        accounts.disable("wu.ling", "soc", "left", world.now_us)


def _other_roles(world: World) -> None:
    with open_accounts(world.state_dir) as accounts:
        accounts.change_roles("wu.ling", "soc", grant=["responder"], reason="more", at_us=world.now_us)


def _new_password(world: World) -> None:
    with open_accounts(world.state_dir, passwords=cheap_passwords()) as accounts:
        accounts.reset_password("wu.ling", "soc", "yet another password", "lost", world.now_us)


def _no_totp(world: World) -> None:
    with open_accounts(world.state_dir) as accounts:
        accounts.remove_totp("wu.ling", "soc", "lost", world.now_us)


@pytest.mark.parametrize("change", [_disabled, _other_roles, _new_password, _no_totp])
def test_a_session_ends_as_soon_as_its_account_changes(change: object, world: World) -> None:
    client = world.signed_in("soc")
    assert client.get("/help").status_code == 200
    change(world)  # type: ignore[operator]
    assert client.get("/help").headers["location"].startswith("/login")


def test_changing_ones_password_ends_every_other_session(world: World) -> None:
    here, there = world.signed_in("soc"), world.signed_in("soc")
    new = "another long sentence of mine"
    given = {"old": PASSWORD, "code": world.code("soc"), "new": new, "again": new}
    assert post(here, "/settings/password", given).status_code == 303
    assert there.get("/help").status_code == 303
    assert "Your password is changed" in here.get("/settings").text


def test_signing_out_ends_the_session_on_the_server(world: World) -> None:
    client = world.signed_in("soc")
    stolen = client.cookies[SESSION]
    assert post(client, "/logout").headers["location"] == "/login?why=out"
    thief = world.client()
    thief.cookies.set(SESSION, stolen, domain="127.0.0.1")
    assert thief.get("/help").status_code == 303


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil",
        "javascript:alert(1)",
        "/a\nb",
        "",
        "//",
        "/" * 3_000,
    ],
)
def test_no_login_leads_to_another_site(to: str, world: World) -> None:
    world.account("li.wei", "soc")
    given = {"name": "li.wei", "password": PASSWORD, "code": world.code("li.wei"), "next": to}
    client = world.client()
    assert client.post("/login", data=given).headers["location"] == "/"
    assert client.get("/login", params={"next": to}).headers["location"] == "/"
    chosen = {"language": "zh", "next": to, "csrf": csrf(client)}
    assert client.post("/language", data=chosen).headers["location"] == "/"


def test_a_login_leads_back_to_where_the_viewer_wanted(world: World) -> None:
    world.account("li.wei", "soc")
    client = world.client()
    asked = client.get("/incidents?state=open").headers["location"]
    assert asked == "/login?next=/incidents%3Fstate%3Dopen"
    page = client.get(asked).text
    assert 'name="next" value="/incidents?state=open"' in page


def test_behind_tls_the_cookie_is_secure_and_tied_to_the_host(tmp_path: Path) -> None:
    world = World(tmp_path, public_address="https://console.example.com")
    world.account("li.wei", "soc")
    client = world.client()
    headers = {"Host": "console.example.com", "Origin": "https://console.example.com"}
    given = {"name": "li.wei", "password": PASSWORD, "code": world.code("li.wei")}
    answer = client.post("/login", data=given, headers=headers)
    assert answer.headers["set-cookie"].startswith("__Host-accesstrail=")
    assert "Secure" in answer.headers["set-cookie"]
    assert "Domain" not in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"]


def test_ten_tries_a_minute_from_one_address(world: World) -> None:
    client = world.client()
    given = {"name": "nobody.here", "password": "wrong wrong wrong"}
    assert [client.post("/login", data=given).status_code for _ in range(11)] == [403] * 10 + [429]
    world.pass_time(61)
    assert client.post("/login", data=given).status_code == 403


def test_the_language_is_the_browsers_until_the_viewer_chooses(world: World) -> None:
    client = world.client()
    assert '<html lang="zh-CN">' in client.get("/login", headers={"Accept-Language": "zh-CN,en;q=0.5"}).text
    client.post("/language", data={"language": "en", "next": "/login"})
    assert '<html lang="en">' in client.get("/login", headers={"Accept-Language": "zh-CN"}).text
    assert client.post("/language", data={"language": "xx"}).headers.get("set-cookie") is None


def test_times_stand_in_the_viewers_zone_with_the_exact_instant(world: World) -> None:
    client = world.signed_in("soc")
    client.cookies.set("accesstrail_zone", "Europe/Berlin", domain="127.0.0.1")
    assert "Times are shown in Europe/Berlin" in client.get("/help").text
    client.cookies.set("accesstrail_zone", "../../etc/passwd", domain="127.0.0.1")
    assert "Times are shown in Asia/Shanghai" in client.get("/help").text
    assert post(client, "/settings/zone", {"zone": "Nowhere/Land"}).status_code == 400
    assert post(client, "/settings/zone", {"zone": "America/New_York"}).status_code == 303


def test_nobody_revokes_a_token_of_somebody_else(world: World) -> None:
    client = world.signed_in("soc")
    world.account("auditor", "auditor")
    with open_accounts(world.state_dir, passwords=cheap_passwords()) as accounts:
        _, other = accounts.logins.new_token(
            "auditor", Credentials(PASSWORD, world.code("auditor")), label="x", days=3, at_us=world.now_us
        )
        _, own = accounts.logins.new_token(
            "soc", Credentials(PASSWORD, world.code("soc")), label="<b>mine</b>", days=3, at_us=world.now_us
        )
    assert post(client, f"/settings/tokens/{other.prefix}/revoke").status_code == 404
    assert "&lt;b&gt;mine&lt;/b&gt;" in client.get("/settings").text
    assert post(client, f"/settings/tokens/{own.prefix}/revoke").status_code == 303
    assert "revoked" in client.get("/settings").text
    with open_accounts(world.state_dir) as accounts:
        assert accounts.tokens("auditor")[0].revoked_us is None
