"""The pages of an audit: told before shown, role by role, one verdict in words, harmless whatever the store says."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboards.console.pages.subject_report import SHOWN
from dashboards.console.words import WORDS
from tests.audit_desk import ACTOR_TOKEN, BODY, differing, failed, intact, made, notary
from tests.console import PASSWORD, World, post
from tests.evidence_desk import LISTED_SUBJECT, SUBJECT, token
from tests.unit.dashboards.test_evidence_pages import LANGUAGES, XSS

DAY_US = 86_400_000_000
REPORT, BUNDLE = "/audit/subject-report", "/audit/evidence"
ASKED = {"subject": SUBJECT, "span": "90", "reason": "request of 20 November"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _main(answer: Any) -> str:
    return str(answer.text).partition("<main")[2]


# -- the subject report


def test_a_report_is_told_with_reason_rows_and_digest_before_it_is_shown(world: World) -> None:
    client = world.signed_in("dpo")
    page = post(client, REPORT, ASKED | {"language": "en", "case": "R-7"})
    assert page.status_code == 200
    assert "Who accessed your personal data" in page.text
    assert "R-7" in page.text
    [read] = world.trail.told
    assert (read.look, read.account, read.rows, read.reason, read.case_ref) == (
        "subject_report", "dpo", 3, ASKED["reason"], "R-7",
    )  # fmt: skip
    assert read.about == f"subject:{token('subject', SUBJECT)}"
    assert read.subject_ids == (SUBJECT,)
    [(tokens, from_us, until_us)] = world.audited.reported
    assert tokens == (token("subject", SUBJECT),)
    assert until_us - from_us == 90 * DAY_US


def test_the_id_that_was_typed_stands_nowhere_in_the_page_and_in_no_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client = world.signed_in("dpo")
    for page in (post(client, REPORT, ASKED), post(client, REPORT, ASKED | {"reason": ""})):
        assert SUBJECT not in page.text
    assert SUBJECT not in caplog.text


@pytest.mark.parametrize(("form", "media"), [("md", "text/markdown; charset=utf-8"), ("json", "application/json")])
def test_the_file_is_what_the_command_writes_and_is_told_by_itself(world: World, form: str, media: str) -> None:
    client = world.signed_in("dpo")
    page = post(client, REPORT, ASKED | {"language": "zh"}).text
    again = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    found = post(client, REPORT, {**again, "as": form})
    assert found.headers["content-type"] == media
    assert re.fullmatch(
        rf'attachment; filename="accesstrail-subject-report-[0-9TZ]+\.{form}"', found.headers["content-disposition"]
    )
    if form == "json":
        assert json.loads(found.text)["totals"]["accesses"] == 3
    else:
        assert found.text.startswith("# 您的个人信息访问记录\n")
    shown, file = world.trail.told
    assert shown.subject_ids == file.subject_ids == (SUBJECT,), "the page brings back a token, the session the name"
    assert file.fingerprint == hashlib.sha256(found.content).hexdigest()
    assert world.audited.reported[0][1:] == world.audited.reported[1][1:], "of the same period"


@pytest.mark.parametrize(
    ("change", "said"),
    [({"reason": ""}, "say why"), ({"subject": ""}, "give an id"), ({"as": "pdf"}, "no such format"),
     ({"span": "9"}, "no such period"), ({"from_us": "9", "until_us": "5"}, "a period ends after it begins"),
     ({"from": "2026-11-20T10:00", "until": "2026-11-20T09:00"}, "a period ends after it begins")],
)  # fmt: skip
def test_a_report_that_cannot_be_asked_for_asks_and_tells_nothing(
    world: World, change: dict[str, str], said: str
) -> None:
    page = post(world.signed_in("dpo"), REPORT, ASKED | change)
    assert page.status_code == 400
    assert said in page.text
    assert world.audited.reported == []
    assert world.trail.told == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_the_counts_differ_nothing_is_handed_out_and_the_page_says_what_to_do(
    world: World, language: str
) -> None:
    world.audited.differs = True
    client = world.signed_in("dpo")
    client.cookies.set("accesstrail_language", language)
    page = post(client, REPORT, ASKED)
    assert page.status_code == 400
    assert "accesstrail verify --store" in page.text
    assert "contact" not in _main(page)
    assert [(one.look, one.rows) for one in world.trail.told] == [("subject_report", 0)], "an answer about somebody"


def test_a_long_report_shows_its_beginning_and_tells_of_all_of_it(world: World) -> None:
    world.audited.accesses = [made(n, world.now_us) for n in range(SHOWN + 30)]
    page = post(world.signed_in("dpo"), REPORT, ASKED | {"language": "en"})
    assert _main(page).count("<tr>") == SHOWN + 1
    assert "The first 200 of 230 accesses are shown" in page.text
    assert world.trail.told[0].rows == SHOWN + 30


def test_a_token_whose_name_was_typed_before_asks_for_all_of_its_tokens(world: World) -> None:
    client = world.signed_in("dpo")
    post(client, REPORT, ASKED)
    post(client, REPORT, ASKED | {"subject": token("subject", SUBJECT)})
    assert world.audited.reported[0][0] == world.audited.reported[1][0]
    post(client, REPORT, ASKED | {"subject": token("subject", LISTED_SUBJECT)})
    assert world.trail.told[-1].subject_ids == (LISTED_SUBJECT,)


# -- the report that names accounts

ACCOUNTS = "/audit/subject-report/accounts"


def _second(world: World, name: str) -> dict[str, str]:
    world.account(name, name)
    return {"second_name": name, "second_password": PASSWORD, "second_code": world.code(name)}


@pytest.mark.parametrize("form", ["md", "json"])
def test_two_people_get_the_report_that_names_accounts_and_both_are_told(world: World, form: str) -> None:
    client = world.signed_in("dpo")
    found = post(client, ACCOUNTS, ASKED | {"as": form} | _second(world, "responder"))
    assert found.status_code == 200
    assert "attachment" in found.headers["content-disposition"]
    assert ACTOR_TOKEN in found.text
    [read] = world.trail.told
    assert (read.look, read.account, read.approval_ref, read.rows) == ("subject_report", "dpo", "responder", 3)
    assert read.fingerprint == hashlib.sha256(found.content).hexdigest()
    for as_ in ("page", "md", "json"):
        assert ACTOR_TOKEN not in post(client, REPORT, ASKED | {"as": as_}).text, "one person gets no accounts"


@pytest.mark.parametrize("second", ["dpo", "analyst", "nobody"])
def test_nobody_is_their_own_second_person_and_not_everybody_may_be(world: World, second: str) -> None:
    client = world.signed_in("dpo")
    given = _second(world, second) if second == "analyst" else {"second_name": second, "second_password": PASSWORD}
    if second == "dpo":
        given["second_code"] = world.code("dpo")
    found = post(client, ACCOUNTS, ASKED | {"as": "md"} | given)
    assert found.status_code == 403
    assert ACTOR_TOKEN not in found.text
    assert world.audited.reported == []
    assert world.trail.told == []


def test_a_mistake_in_the_form_uses_up_no_code_and_such_a_report_is_no_page(world: World) -> None:
    client = world.signed_in("dpo")
    second = _second(world, "responder")
    for change in ({"as": "page"}, {"reason": ""}, {"subject": ""}):
        assert post(client, ACCOUNTS, ASKED | {"as": "md"} | second | change).status_code == 400
    assert post(client, ACCOUNTS, ASKED | {"as": "md"} | second).status_code == 200


def test_where_kafka_is_away_no_account_is_named(world: World) -> None:
    client = world.signed_in("dpo")
    world.trail.is_away = True
    found = post(client, ACCOUNTS, ASKED | {"as": "json"} | _second(world, "responder"))
    assert found.status_code == 503
    assert ACTOR_TOKEN not in found.text


@pytest.mark.parametrize("role", ["auditor", "responder", "soc", "admin"])
def test_nobody_else_asks_for_accounts(world: World, role: str) -> None:
    client = world.signed_in(role)
    assert client.get(ACCOUNTS).status_code == 403
    assert post(client, ACCOUNTS, ASKED | {"as": "md"}).status_code == 403
    assert world.trail.told == []


# -- evidence with proofs


def test_a_bundle_is_told_with_reason_rows_and_the_digest_of_its_manifest(world: World) -> None:
    found = post(world.signed_in("auditor"), BUNDLE, ASKED)
    assert found.status_code == 200
    assert found.content == BODY
    assert found.headers["content-type"] == "application/zip"
    assert found.headers["content-disposition"].startswith('attachment; filename="accesstrail-evidence-')
    assert found.headers["cache-control"] == "no-store"
    [read] = world.trail.told
    assert (read.look, read.rows, read.reason, read.fingerprint) == ("export", 7, ASKED["reason"], "ab" * 32)
    assert read.subject_ids == (SUBJECT,)


@pytest.mark.parametrize("code", ["nothing_found", "export_large", "not_signed_yet", "export_busy", "draft_failed"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_why_there_is_no_bundle_is_said_in_the_viewers_language(world: World, code: str, language: str) -> None:
    world.audited.refused = code
    client = world.signed_in("auditor")
    client.cookies.set("accesstrail_language", language)
    page = post(client, BUNDLE, ASKED)
    assert page.status_code == 400
    assert "attachment" not in str(page.headers)
    if language == "zh":
        assert WORDS[f"error.{code}"][1] in page.text
    tells = code in ("nothing_found", "export_large", "not_signed_yet")  # whether somebody was accessed
    assert [(one.look, one.rows, one.reason) for one in world.trail.told] == [("export", 0, ASKED["reason"])] * tells


def test_whether_there_was_an_access_is_not_said_while_kafka_is_away(world: World) -> None:
    world.audited.refused, world.trail.is_away = "nothing_found", True
    page = post(world.signed_in("auditor"), BUNDLE, ASKED)
    assert page.status_code == 503
    assert WORDS["error.nothing_found"][0] not in page.text


def test_a_form_that_is_refused_keeps_its_period_and_the_token(world: World) -> None:
    world.audited.refused = "export_busy"
    who = token("subject", SUBJECT)
    sent = {"subject": who, "from_us": str(world.now_us - DAY_US), "until_us": str(world.now_us), "reason": "why"}
    text = _main(post(world.signed_in("auditor"), BUNDLE, sent))
    for name in ("subject", "from_us", "until_us"):
        assert f'name="{name}" value="{sent[name]}"' in text
    assert 'name="span"' not in text
    spanned = _main(post(world.signed_in("auditor"), BUNDLE, ASKED | {"span": "30"}))
    assert '<option value="30" selected>' in spanned
    assert SUBJECT not in spanned


def test_a_bundle_without_a_reason_is_not_even_made(world: World) -> None:
    assert post(world.signed_in("auditor"), BUNDLE, ASKED | {"reason": " "}).status_code == 400
    assert world.audited.bundled == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_that_ranges_take_two_people_and_the_command(world: World, language: str) -> None:
    client = world.signed_in("auditor")
    client.cookies.set("accesstrail_language", language)
    page = client.get(BUNDLE).text
    assert "--second-token-file" in page
    assert ("Two people export it, by command" if language == "en" else "须由两人") in page


# -- what holds of both


@pytest.mark.parametrize(("role", "path"), [("dpo", REPORT), ("auditor", BUNDLE)])
def test_where_kafka_is_away_nothing_leaves(world: World, role: str, path: str) -> None:
    client = world.signed_in(role)
    world.trail.is_away = True
    answer = post(client, path, ASKED)
    assert answer.status_code == 503
    assert "attachment" not in str(answer.headers)
    assert BODY not in answer.content
    assert "Who accessed" not in answer.text
    world.trail.is_away = False
    assert post(client, path, ASKED).status_code == 200


@pytest.mark.parametrize(("role", "path"), [("dpo", REPORT), ("auditor", BUNDLE)])
def test_where_the_store_is_away_the_page_says_so_and_tells_nothing(world: World, role: str, path: str) -> None:
    world.audited.is_away = True
    assert post(world.signed_in(role), path, ASKED).status_code == 503
    assert world.trail.told == []


@pytest.mark.parametrize("role", ["auditor", "dpo", "soc", "responder", "analyst", "operator", "admin"])
@pytest.mark.parametrize(("path", "allowed"), [(REPORT, "dpo"), (BUNDLE, "auditor")])
def test_one_role_gets_each_of_them(world: World, role: str, path: str, allowed: str) -> None:
    client = world.signed_in(role)
    expected = 200 if role == allowed else 403
    assert post(client, path, ASKED).status_code == expected
    assert client.get(path).status_code == expected
    assert len(world.trail.told) == (role == allowed)


@pytest.mark.parametrize(("role", "path"), [("dpo", REPORT), ("auditor", BUNDLE)])
def test_a_form_without_its_token_hands_out_nothing(world: World, role: str, path: str) -> None:
    client = world.signed_in(role)
    for given in ({}, {"csrf": "x" * 43}):
        answer = client.post(path, data={**ASKED, **given})
        assert answer.status_code == 403
    assert world.audited.reported == world.audited.bundled == []
    assert world.trail.told == []


@pytest.mark.parametrize(
    ("role", "shown", "hidden"), [("auditor", BUNDLE, REPORT), ("dpo", REPORT, BUNDLE), ("soc", "", REPORT)]
)
def test_the_page_of_a_data_subject_leads_to_what_the_viewer_may_take(
    world: World, role: str, shown: str, hidden: str
) -> None:
    client = world.signed_in(role)
    page = client.get(f"/subjects/{token('subject', SUBJECT)}").text
    assert f'action="{hidden}"' not in page
    if not shown:
        return
    [form] = re.findall(rf'<form method="post" action="{shown}">.*?</form>', page, re.DOTALL)
    given = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    answer = post(client, shown, {**given, "reason": "case 17"})
    assert answer.status_code == 200
    [(_, from_us, until_us)] = world.audited.reported or world.audited.bundled
    assert until_us - from_us == 90 * DAY_US
    assert len(re.findall(r'id="(f-[\w-]+)"', page)) == len(set(re.findall(r'id="(f-[\w-]+)"', page)))


# -- every page


def _pages(client: TestClient, role: str, language: str) -> list[Any]:
    paths = {
        "auditor": ["/audit", "/audit/verification", "/audit/controls", "/audit/controls?days=7", BUNDLE],
        "dpo": ["/audit", REPORT, ACCOUNTS],
    }[role]
    found = [client.get(path) for path in paths]
    return found + ([post(client, REPORT, ASKED | {"language": language})] if role == "dpo" else [])


@pytest.mark.parametrize("role", ["auditor", "dpo"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_speaks_both_languages(world: World, language: str, role: str) -> None:
    world.audited.runs = [failed(world.now_us), intact(world.now_us - 60_000_000)]
    world.audited.notaries_found = [notary(world.now_us)]
    client = world.signed_in(role)
    client.cookies.set("accesstrail_language", language)
    for page in _pages(client, role, language):
        assert page.status_code == 200
        text = re.sub(r'<(\w+)[^>]* lang="en"[^>]*>.*?</\1>', "", _main(page))
        said = re.sub(r"<[^>]*>|中文|English", " ", text)
        assert bool(re.search("[一-鿿]", said)) == (language == "zh"), page.url


@pytest.mark.parametrize("text", XSS)
def test_whatever_the_store_says_is_text_on_every_page(world: World, text: str) -> None:
    world.audited.runs = [differing(world.now_us - 60_000_000, text), differing(world.now_us - DAY_US, text)]
    world.audited.notaries_found = [notary(world.now_us, text)]
    world.audited.accesses = [made(1, world.now_us, text)]
    for role in ("auditor", "dpo"):
        client = world.signed_in(role)
        pages = _pages(client, role, "en")
        if role == "dpo":
            pages.append(post(client, REPORT, ASKED | {"reason": text, "case": text, "language": "en"}))
        for page in pages:
            assert page.status_code == 200
            if "<" in text or '"' in text:
                assert text not in page.text
            assert not re.search(r"<(img|svg|script)[^>]*(onerror|onload|alert)", page.text)
            assert "<script>alert" not in page.text
            assert "onmouseover='" not in page.text
            assert "1787569" not in page.text


@pytest.mark.parametrize(
    ("role", "pages"),
    [("auditor", 3), ("dpo", 2), ("operator", 1), ("soc", 1), ("admin", 0)],
)
def test_the_first_page_of_an_audit_leads_where_the_viewer_may_go(world: World, role: str, pages: int) -> None:
    client = world.signed_in(role)
    text = _main(client.get("/audit"))
    links = re.findall(r'<h2><a href="(/audit/[^"]+)">', text)
    assert len(links) == pages
    for link in links:
        assert client.get(link).status_code == 200
    assert "accesstrail verify --bundle" in text, "how to verify is for everybody"
