"""The evidence pages over Starlette's client: tokens only, told before shown, harmless whatever events say."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from pipeline.audit.export import MOST_EXPORTED
from pipeline.audit.search import ROW_FIELDS
from tests.console import World, post
from tests.evidence_desk import ACTOR, FREE_FIELDS, LISTED_SUBJECT, SUBJECT, access, hostile, token

XSS = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "javascript:alert(1)",
    "{{1337*1337}}", "</textarea><svg/onload=alert(1)>", "<!--", "]]>", "\u202e evil",
)  # fmt: skip
FORMULAS = ("=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1+1", "=cmd|' /C calc'!A0")
LANGUAGES = ("en", "zh")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _search(world: World, **form: str) -> tuple[object, str]:
    client = world.signed_in("auditor")
    answer = post(client, "/search", {"span": "30", **form})
    assert answer.status_code == 303, answer.text
    return client, answer.headers["location"]


# -- search


def test_what_is_typed_stands_in_no_address_and_no_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    typed = {"actor": ACTOR, "subject": SUBJECT, "resource": "report-77", "case": "INC-4711", "ticket": "AUD-9"}
    client, address = _search(world, **typed)
    page = client.get(address)  # type: ignore[attr-defined]
    assert page.status_code == 200
    for word in typed.values():
        assert word not in unquote(address)
        assert word not in caplog.text
    assert SUBJECT not in page.text
    [question] = world.looked.asked
    assert question.actors == (token("actor", ACTOR),)
    assert question.subjects == (token("subject", SUBJECT),)
    assert question.resources == (token("resource", "report-77"), token("subject", "report-77"))
    assert question.cases == (token("case", "INC-4711"),)


def test_words_people_wrote_are_looked_for_and_stand_in_no_address_and_no_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for number in range(3):
        world.looked.rows[number] = replace(
            world.looked.rows[number],
            justification="Frau Krause rief an",
            denial_reason="not her adviser",
            outcome="denied",
        )
    client, address = _search(world, subject=SUBJECT, text="KRAUSE adviser")
    page = client.get(address)  # type: ignore[attr-defined]
    assert page.text.count("<q>Frau Krause rief an</q>") == page.text.count("<q>not her adviser</q>") == 3
    assert "<q>KRAUSE adviser</q>" in page.text
    assert not re.search("krause|adviser", f"{unquote(address)} {caplog.text}", re.IGNORECASE)
    [read] = world.trail.told
    assert read.rows == 3
    assert "krause" not in repr(read).lower()
    hidden = dict(
        re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text.split("/search/export")[1])
    )
    answer = post(client, "/search/export", {**hidden, "reason": "audit 2026", "format": "jsonl"})  # type: ignore[arg-type]
    assert [json.loads(line)["justification"] for line in answer.text.splitlines()] == ["Frau Krause rief an"] * 3


def test_words_are_known_to_the_session_that_typed_them_only(world: World) -> None:
    client, address = _search(world, text="krause")
    assert client.get(address).status_code == 200  # type: ignore[attr-defined]
    other = world.signed_in("dpo").get(address)
    assert other.status_code == 400
    assert "search again" in other.text
    assert len(world.trail.told) == 1


def test_of_many_words_the_first_are_forgotten_and_the_same_words_have_one_address(world: World) -> None:
    client, first = _search(world, text="word 0")
    for number in range(1, 51):
        post(client, "/search", {"span": "30", "text": f"word {number}"})  # type: ignore[arg-type]
    assert client.get(first).status_code == 400  # type: ignore[attr-defined]
    again = [post(client, "/search", {"from": "2026-11-01", "until": "2026-11-02", "text": "word 9"})  # type: ignore[arg-type]
             .headers["location"] for _ in range(2)]  # fmt: skip
    assert again[0] == again[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_number_that_is_masked_wherever_it_is_stored_is_not_looked_for(world: World, language: str) -> None:
    client = world.signed_in("auditor")
    client.cookies.set("accesstrail_language", language)
    answer = post(client, "/search", {"span": "7", "text": "rief 13812345678 an"})
    assert answer.status_code == 400
    assert ("存储的文字已脱敏" if language == "zh" else "masked in stored texts") in answer.text
    assert "13812345678" not in answer.text
    assert world.looked.asked == []


def test_an_access_is_shown_as_the_verdict_of_a_day_later_has_it(world: World) -> None:
    world.looked.rows = [
        access(number, world.now_us - number * 1_000_000, explained="not_yet_explained", verdict=verdict)
        for number, verdict in enumerate(("", "explained", "unexplained"), 1)
    ]
    _, address = _search(world, explained="unexplained")
    text = world.signed_in("auditor").get(address).text
    assert text.count('<span class="badge high">unexplained</span>') == 1
    assert "not explained yet</span>" not in text
    everything = world.signed_in("auditor").get(_search(world)[1]).text
    for said in ("not explained yet", "work item", "unexplained"):
        assert f">{said}</span>" in everything


def test_a_token_is_taken_as_it_is_and_a_name_that_looks_so_behind_a_mark(world: World) -> None:
    known = token("subject", SUBJECT)
    _, address = _search(world, subject=known.upper())
    assert f"subject={known}" in address
    client = world.signed_in("auditor")
    again = post(client, "/search", {"subject": f"id:{known}", "span": "7"}).headers["location"]
    assert f"subject={token('subject', known)}" in again


def test_a_search_is_told_with_rows_subject_case_and_fingerprint_before_it_is_shown(world: World) -> None:
    client, address = _search(world, subject=SUBJECT, ticket="AUD-9")
    client.get(address)  # type: ignore[attr-defined]
    [read] = world.trail.told
    assert (read.look, read.rows, read.account) == ("search", 50, "auditor")
    assert read.subject_ids == (SUBJECT,)
    assert read.about == f"subject:{token('subject', SUBJECT)}"
    assert read.case_ref == "AUD-9"
    assert re.fullmatch("[0-9a-f]{64}", read.fingerprint)


def test_a_listed_subject_is_named_in_the_event_also_where_only_its_token_was_given(world: World) -> None:
    known = token("subject", LISTED_SUBJECT)
    world.signed_in("auditor").get(f"/subjects/{known}")
    assert world.trail.told[0].subject_ids == (LISTED_SUBJECT,)


@pytest.mark.parametrize(
    "path", ["/subjects/" + token("subject", SUBJECT), "/actors/" + token("actor", ACTOR), "/rules"]
)
def test_where_kafka_is_away_nothing_of_the_evidence_is_shown(world: World, path: str) -> None:
    world.trail.is_away = True
    page = world.signed_in("auditor").get(path)
    assert page.status_code == 503
    assert "customer_profile" not in page.text
    assert "bulk_export" not in page.text
    world.trail.is_away = False
    assert world.signed_in("auditor").get(path).status_code == 200


def test_where_the_store_is_away_the_page_says_so_and_comes_back(world: World) -> None:
    client, address = _search(world, subject=SUBJECT)
    world.looked.is_away = True
    assert client.get(address).status_code == 503  # type: ignore[attr-defined]
    assert world.trail.told == []
    world.looked.is_away = False
    assert client.get(address).status_code == 200  # type: ignore[attr-defined]


def test_a_question_that_takes_too_long_is_said_to_and_is_no_outage(world: World) -> None:
    client, address = _search(world, subject=SUBJECT)
    world.looked.away_code = "store_slow"
    world.looked.is_away = True
    page = client.get(address)  # type: ignore[attr-defined]
    assert page.status_code == 503
    assert "Choose a shorter period" in page.text
    assert "data-retry" not in page.text, "asking again by itself makes it slower"
    assert "Since " not in page.text


def test_pages_follow_each_other_without_a_hole(world: World) -> None:
    client, address = _search(world, subject=SUBJECT)
    shown: list[str] = []
    while address:
        text = client.get(address).text  # type: ignore[attr-defined]
        shown += re.findall(
            r'<time datetime="([^"]+)" title="[^"]+">(?:(?!</time>).)+</time>(?:<br>|</td>)', text, re.DOTALL
        )
        found = re.search(r'href="([^"]+)" rel="next"', text)
        address = found[1].replace("&amp;", "&") if found else ""
    assert len(shown) == len(set(shown)) == 120


@pytest.mark.parametrize(
    "form",
    [
        {"span": "9"}, {"action": "steal"}, {"from": "yesterday"}, {"least_risk": "1000"}, {"least_risk": "x"},
        {"from": "2026-11-20T10:00", "until": "2026-11-20T09:00"}, {"outcome": "maybe"},
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_asked_comes_back_without_what_was_typed(world: World, form: dict[str, str]) -> None:
    answer = post(world.signed_in("auditor"), "/search", {"span": "7", "subject": SUBJECT, **form})
    assert answer.status_code == 400
    assert SUBJECT not in answer.text
    assert world.looked.asked == []


@pytest.mark.parametrize(
    "query",
    [
        "subject=c-18823&from_us=1&until_us=2", "from_us=x&until_us=2", "from_us=1&until_us=2&after=nonsense",
        "from_us=5&until_us=2", "from_us=1&until_us=" + "9" * 30, "from_us=1&until_us=2&action=steal",
        "from_us=1&until_us=2&risk=99999", "from_us=1&until_us=2&risk=\u0661",
    ],
)  # fmt: skip
def test_an_address_that_is_no_search_is_refused_and_asks_nothing(world: World, query: str) -> None:
    answer = world.signed_in("auditor").get(f"/search/results?{query}")
    assert answer.status_code == 400
    assert world.looked.asked == []
    assert world.trail.told == []


@pytest.mark.parametrize("name", ["zhang.wei", "x" * 32, "../../etc", "%3Cscript%3E"])
def test_addresses_name_people_by_tokens_only(world: World, name: str) -> None:
    client = world.signed_in("auditor")
    for kind in ("actors", "subjects"):
        assert client.get(f"/{kind}/{name}").status_code in (400, 404)
    assert world.trail.told == []


# -- hostile events


@pytest.mark.parametrize("text", XSS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_events_say_is_text_on_every_page(world: World, text: str, language: str) -> None:
    world.looked.rows = [hostile(n, world.now_us - n * 1_000_000, text) for n in range(1, 4)]
    world.looked.text = text
    client = world.signed_in("dpo")
    client.cookies.set("accesstrail_language", language)
    pages = [
        f"/search/results?from_us=1&until_us={world.now_us}",
        "/subjects/" + token("subject", SUBJECT), "/actors/" + token("actor", ACTOR), "/rules", "/health",
    ]  # fmt: skip
    for path in pages:
        page = client.get(path)
        assert page.status_code == 200, path
        if "<" in text or '"' in text:
            assert text not in page.text, path
        assert not re.search(r"<(img|svg|script)[^>]*(onerror|onload|alert)", page.text), path
        assert "<script>alert" not in page.text
        assert "onmouseover='" not in page.text
        assert "1787569" not in page.text


# -- export


def test_an_export_is_told_with_reason_rows_and_digest_and_is_the_whole_answer(world: World) -> None:
    import hashlib

    client = world.signed_in("auditor")
    form = {"subject": token("subject", SUBJECT), "from_us": "1", "until_us": str(world.now_us), "reason": "audit 2026",
            "format": "jsonl"}  # fmt: skip
    answer = post(client, "/search/export", form)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert re.fullmatch(
        r'attachment; filename="accesstrail-search-[0-9TZ]+\.jsonl"', answer.headers["content-disposition"]
    )
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == 120
    [read] = world.trail.told
    assert (read.look, read.rows, read.reason) == ("export", 120, "audit 2026")
    assert read.fingerprint == hashlib.sha256(answer.content).hexdigest()


def test_an_export_without_a_reason_or_of_too_many_rows_hands_out_nothing(world: World) -> None:
    client = world.signed_in("auditor")
    form = {"from_us": "1", "until_us": str(world.now_us), "format": "csv"}
    assert post(client, "/search/export", form).status_code == 400
    world.looked.rows = [access(n, world.now_us - n) for n in range(1, MOST_EXPORTED + 2)]
    refused = post(client, "/search/export", {**form, "reason": "everything"})
    assert refused.status_code == 400
    assert "attachment" not in str(refused.headers)
    assert world.trail.told == []
    world.looked.rows.pop()
    assert post(client, "/search/export", {**form, "reason": "everything"}).status_code == 200


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_of_a_csv_is_run_by_a_spreadsheet(world: World, formula: str) -> None:
    world.looked.rows = [hostile(1, world.now_us - 1_000_000, formula)]
    form = {"from_us": "1", "until_us": str(world.now_us), "format": "csv", "reason": "check"}
    answer = post(world.signed_in("auditor"), "/search/export", form)
    [head, row] = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert len(head) == len(ROW_FIELDS)
    cells = dict(zip(head, row, strict=True))
    for name in FREE_FIELDS:
        assert cells[name] == f"'{formula}", name
    assert not any(cell.lstrip()[:1] in "=+-@＝" for cell in row if cell)


def test_only_who_may_export_sees_the_form_and_gets_the_file(world: World) -> None:
    address = f"/search/results?from_us=1&until_us={world.now_us}"
    assert "/search/export" in world.signed_in("auditor").get(address).text
    soc = world.signed_in("soc")
    assert "/search/export" not in soc.get(address).text
    told = len(world.trail.told)
    assert post(soc, "/search/export", {"reason": "x", "format": "csv", "until_us": "9"}).status_code == 403
    assert len(world.trail.told) == told


# -- who touched


def _check_address(world: World) -> tuple[str, str]:
    """The page of a subject, and the address its count of the evidence comes from."""
    text = world.signed_in("auditor").get(f"/subjects/{token('subject', SUBJECT)}").text
    found = re.search(r'hx-get="([^"]+/check[^"]+)"', text)
    assert found
    return text, found[1].replace("&amp;", "&")


def test_who_touched_says_the_numbers_and_that_they_agree_with_the_evidence(world: World) -> None:
    page, address = _check_address(world)
    assert "1 accounts touched this data subject 120 times" in page
    client = world.signed_in("auditor")
    whole, part = client.get(address).text, client.get(address, headers={"HX-Request": "true"}).text
    for text in (whole, part):
        assert "the same number" in text
        assert "2 accesses of this period touched more people than they list" in text
    assert "<html" not in part
    assert [read.look for read in world.trail.told] == ["subject", "page", "page"]


def test_who_touched_says_when_the_evidence_holds_another_number_or_takes_too_long(world: World) -> None:
    _, address = _check_address(world)
    world.looked.missing = 5
    assert "115 accesses, the evidence itself 120" in world.signed_in("auditor").get(address).text
    world.looked.is_late = True
    assert "too large to be counted" in world.signed_in("auditor").get(address).text


@pytest.mark.parametrize("query", ["span=90&until_us=0", "span=91&until_us=5", "span=90", "span=90&until_us=9e9"])
def test_a_check_of_no_period_is_refused(world: World, query: str) -> None:
    path = f"/subjects/{token('subject', SUBJECT)}/check?{query}"
    assert world.signed_in("auditor").get(path).status_code == 400


def test_the_form_for_a_subject_leads_to_its_token(world: World) -> None:
    answer = post(world.signed_in("auditor"), "/subjects", {"subject": SUBJECT, "ticket": "T-1"})
    assert answer.headers["location"] == f"/subjects/{token('subject', SUBJECT)}"


# -- rules, health


def test_a_preview_asks_with_a_token_and_says_what_would_be_held_back(world: World) -> None:
    client = world.signed_in("analyst")
    form = {"condition": "actor", "value": ACTOR, "detector": "bulk_export", "days": "30"}
    page = post(client, "/rules/preview", form)
    assert "20 events in scope reach a threshold, 12 of them would raise nothing; 4 alerts" in page.text
    assert ACTOR not in page.text
    [draft] = world.looked.previewed
    assert draft.scope == {"actor": token("actor", ACTOR)}
    assert world.trail.told[-1].rows == 2 + 20


def test_a_preview_that_nobody_may_make_says_why(world: World) -> None:
    client = world.signed_in("analyst")
    form = {"condition": "source_system", "value": "crm", "detector": "isolation_forest", "days": "14"}
    page = post(client, "/rules/preview", form)
    assert page.status_code == 400
    assert "needs a level up to which it holds" in page.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_evidence_page_speaks_both_languages(world: World, language: str) -> None:
    client = world.signed_in("dpo")
    client.cookies.set("accesstrail_language", language)
    for path in ("/search", "/rules", "/health", "/subjects/" + token("subject", SUBJECT),
                 "/actors/" + token("actor", ACTOR), "/actors/" + "ab" * 16, "/subjects/" + "ab" * 16,
                 f"/search/results?from_us=1&until_us={world.now_us}"):  # fmt: skip
        page = client.get(path)
        assert page.status_code == 200, path
        chinese = re.findall("[\u4e00-\u9fff]", re.sub(r"<[^>]*>|中文|客服", "", page.text.partition("<main")[2]))
        assert bool(chinese) == (language == "zh"), (path, chinese[:20])


def test_health_shows_what_is_silent_failed_and_away_and_tells_no_read(world: World) -> None:
    client = world.signed_in("operator")
    page = client.get("/health").text
    for word in ("silent for", "bad_json", "store_away", "never heard", "kafka_away", "9,090"):
        assert word in page
    world.looked.is_away = True
    assert "ClickHouse does not answer" in client.get("/health").text
    assert world.trail.told == []


def test_accesses_of_every_word_the_schema_knows_can_be_shown(world: World) -> None:
    from pipeline import events

    rows = [access(n, world.now_us - n * 1000, action=word) for n, word in enumerate(events.ACTIONS, 1)]
    rows += [access(100 + n, world.now_us - n, network_kind=word) for n, word in enumerate(events.NETWORK_KINDS)]
    rows += [access(200 + n, world.now_us - n, explained=word) for n, word in enumerate((*events.EXPLAINED, ""))]
    rows += [replace(rows[0], offset=300 + n, outcome=word) for n, word in enumerate((*events.OUTCOMES, ""))]
    world.looked.rows = rows
    page = world.signed_in("auditor").get(f"/search/results?from_us=1&until_us={world.now_us}")
    assert page.status_code == 200
