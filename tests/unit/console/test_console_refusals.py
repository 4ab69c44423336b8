"""Why something is refused is said in the viewer's language: passwords, codes, waits, the second person, searches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboards.console.errors import refusal
from pipeline.errors import UsageError
from tests.console import FIRST_SECRET, PASSWORD, World, csrf, post
from tests.incident_logs import alert

CHINESE = re.compile(r"[一-鿿]")
ENGLISH_SENTENCE = re.compile(r"[A-Za-z]+(?: [A-Za-z']+){3,}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.logs.put(alert(1))
    return found


def in_chinese(client: TestClient) -> TestClient:
    client.cookies.set("accesstrail_language", "zh")
    return client


def refused(answer: Any) -> str:
    """What the page says of the refusal; it must be in Chinese alone."""
    assert answer.status_code in (400, 403), answer.status_code
    found = re.findall(r'(?s)<p[^>]*(?:role="alert"|class="lead")[^>]*>(.*?)</p>', answer.text.partition("<main")[2])
    text = " ".join(found)
    assert CHINESE.search(text), answer.text.partition("<main")[2][:1500]
    assert not ENGLISH_SENTENCE.search(text), text
    return text


@pytest.mark.parametrize(
    ("given", "words"),
    [({"password": "short", "again": "short"}, "12 至 1,024"), ({"password": "a" * 20, "again": "a" * 20}, "重复字符"),
     ({"name": "X y"}, "账户名不符合要求"), ({"again": "something else"}, "不一致")],
)  # fmt: skip
def test_the_first_account_is_refused_in_chinese(given: dict[str, str], words: str, world: World) -> None:
    client = in_chinese(world.client())
    form = {"name": "wu.ling", "password": PASSWORD, "again": PASSWORD} | given
    assert words in refused(client.post(f"/first/{FIRST_SECRET}", data=form))


def test_a_wait_after_wrong_passwords_is_told_in_seconds_in_both_languages(world: World) -> None:
    world.account("li.wei", "soc")
    client = world.client()
    for _ in range(6):
        answer = client.post("/login", data={"name": "li.wei", "password": "wrong wrong wrong"})
    assert re.search(r"Too many wrong passwords or codes: try again in \d+ s\.", answer.text)
    told = refused(in_chinese(world.client()).post("/login", data={"name": "li.wei", "password": PASSWORD}))
    assert re.search(r"请 \d+ 秒后重试", told)


def test_a_wrong_code_at_enrolment_is_told_in_chinese(world: World) -> None:
    world.account("li.wei", "soc", enrolled=False)
    client = in_chinese(world.client())
    client.post("/login", data={"name": "li.wei", "password": PASSWORD})
    given = {"csrf": csrf(client, "/welcome"), "password": PASSWORD, "code": "000000"}
    assert "动态口令有误" in refused(client.post("/welcome/totp", data=given))


def test_the_same_password_again_is_refused_in_chinese(world: World) -> None:
    client = in_chinese(world.signed_in("soc"))
    given = {"old": PASSWORD, "new": PASSWORD, "again": PASSWORD, "code": world.code("soc")}
    assert "与当前密码相同" in refused(post(client, "/settings/password", given))


@pytest.mark.parametrize(("second", "words"), [("responder", "不能是申请人本人"), ("analyst", "第二人的角色无权确认")])
def test_a_second_person_who_may_not_is_refused_in_chinese(second: str, words: str, world: World) -> None:
    client = in_chinese(world.signed_in("responder", two_people=("contain_actor",)))
    if second != "responder":
        world.account(second, second)
    given = {"until": "2027-01-01T08:00", "why": "copies numbers", "second_name": second, "second_password": PASSWORD,
             "second_code": world.code(second)}  # fmt: skip
    assert words in refused(post(client, f"/incidents/{world.incident.incident_id}/contain", given))


def test_a_search_that_is_none_is_refused_in_chinese(world: World) -> None:
    client = in_chinese(world.signed_in("soc"))
    assert CHINESE.search(refused(post(client, "/search", {"span": "7", "from": "yesterday"})))


def test_english_stays_as_precise_as_the_layer_below_and_unknown_codes_are_shown() -> None:
    error = UsageError("subject: give an id of 1 to 512 characters, or a token", code="bad_search")
    assert refusal(error, "en") == str(error)
    assert refusal(UsageError("said", code="never_heard_of"), "zh") == "said"
