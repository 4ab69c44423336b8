"""Who and what pages name: links by token for whoever may follow them, titles instead of codes, numbers in groups."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import dashboards.console.visit
from dashboards.console.code_names import DELIVERED, DETECTORS, FEATURE_TITLES, KINDS, title_of, titled
from dashboards.console.panel_view import shown
from dashboards.console.rendering import number_text, span_text
from dashboards.panels import actor, incident_response, soc_overview, subject_audit, unexplained_access
from dashboards.panels.panel import Panel
from detectors.features import KINDS as FEATURE_KINDS
from pipeline.audit.actor import Comparison
from pipeline.audit.panels import PanelAnswer
from pipeline.notifications.message import ACTIONS
from pipeline.notifications.outcome import OUTCOMES
from tests.console import World
from tests.evidence_desk import ACTOR as ACTOR_ID
from tests.evidence_desk import token
from tests.incident_logs import ACTOR, alert
from tests.unit.console.test_console_incidents import EVENT

AT = datetime(2026, 11, 18, 8, tzinfo=UTC)
PERSON = "cd" * 16
INCIDENT = "0193a5b0-0000-7000-8000-0000000000ab"
EVERYTHING = frozenset({"search_evidence", "read_incidents"})


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    reasons = ("rule:bulk_export", "feature:denied_10m", "scheduled:provisional", "exception:3fa94c01d2e7")
    found.logs.put(alert(1, detector="bulk_export", reasons=reasons), alert(2, risk=95.0, severity="high"))
    found.store.events = [replace(EVENT, subject_tokens=(PERSON,))]
    found.looked.incidents = [found.store.incident(found.incident.incident_id)]  # type: ignore[list-item]
    found.looked.alerts = list(found.store.alerts_of(found.looked.incidents[0]))
    return found


def answer(panel: Panel, **given: Any) -> PanelAnswer:
    """One row: what is not given is a word or a number of the column's unit."""
    plain = {"text": "word", "token": ACTOR, "time": AT}
    names = tuple(one.name for one in panel.columns)
    return PanelAnswer(names, (tuple(given.get(one.name, plain.get(one.unit, 1.0)) for one in panel.columns),))


def links(panel: Panel, may: frozenset[str], **given: Any) -> list[str]:
    view = shown(panel, answer(panel, **given), "en", (0, 1), may.__contains__)
    return [cell.to for row in view.rows for cell in row if cell.to]


# -- links


def test_tokens_and_incidents_of_panels_lead_to_their_pages_for_whoever_may_open_them() -> None:
    both = next(one for one in unexplained_access.BOARD.panels if {"actor", "subject"} <= {c.name for c in one.columns})
    told = {"actor": ACTOR, "subject": PERSON}
    assert links(both, EVERYTHING, **told) == [f"/actors/{ACTOR}", f"/subjects/{PERSON}"]
    assert links(both, frozenset(), **told) == []
    queue = next(one for one in incident_response.BOARD.panels if "incident" in {c.name for c in one.columns})
    assert f"/incidents/{INCIDENT}" in links(queue, EVERYTHING, incident=INCIDENT)
    assert links(queue, frozenset({"read_incidents"}), incident=INCIDENT) == [f"/incidents/{INCIDENT}"]
    assert links(both, EVERYTHING, actor="", subject=PERSON) == [f"/subjects/{PERSON}"]


def test_a_ranking_of_accounts_leads_to_each_of_them(world: World) -> None:
    ranking = next(one for one in soc_overview.BOARD.panels if one.view == "bars" and one.columns[0].unit == "token")
    world.panels.answers[ranking.uid] = answer(ranking, label=ACTOR)
    page = world.signed_in("soc").get(f"/overview/panels/{ranking.uid}").text
    assert f'<a href="/actors/{ACTOR}">' in page


def test_the_incident_page_leads_to_its_account_only_for_whoever_may_search(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/incidents/{world.incident.incident_id}"
    link = f'href="/actors/{ACTOR}"'
    client = world.signed_in("responder")
    assert link in client.get(path).text
    evidence = client.get(f"{path}/evidence").text
    assert link in evidence
    assert f'href="/subjects/{PERSON}"' in evidence
    # Today the matrix gives both to the same roles; the page asks all the same.
    monkeypatch.setattr(dashboards.console.visit, "may", lambda roles, name: name != "search_evidence")
    page = client.get(path).text
    assert link not in page
    assert ACTOR in page


# -- titles


def test_everything_that_has_a_code_has_a_title_in_both_languages() -> None:
    assert set(KINDS) == {name for name, _ in FEATURE_KINDS}
    assert set(ACTIONS) | set(OUTCOMES) <= set(DELIVERED)
    for table in (DETECTORS, FEATURE_TITLES, KINDS, DELIVERED):
        for code, title in table.items():
            assert re.search(r"[一-鿿]", title.zh), code
            assert "_" not in title.en, code
    assert title_of("rule:mass_unmask") == DETECTORS["mass_unmask"] == title_of("mass_unmask")
    assert titled("detector", "newer_one") == ("newer_one", "newer_one")
    assert "ClickHouse" in titled("detector", "system:store_away").zh


CODES = sorted({*DETECTORS, *(name for name in FEATURE_TITLES if "_" in name)})
_DELIVERIES = ("trigger", "update", "resolve", "delivered", "retry", "refused", "skipped", "timeout", "provisional")
BARE = re.compile(rf"\b({'|'.join(CODES)}|{'|'.join(_DELIVERIES)})\b|\b(rule|feature|scheduled|exception):")


def visible(html: str) -> str:
    """The text of a page without what only pointing shows."""
    return re.sub(r"<[^>]*>", " ", html.partition("<main")[2])


def test_no_page_shows_a_bare_code_in_chinese(world: World) -> None:
    client = world.signed_in("dpo")
    client.cookies.set("accesstrail_language", "zh")
    incident = f"/incidents/{world.incident.incident_id}"
    for path in (
        incident,
        f"{incident}/evidence",
        "/incidents",
        "/rules",
        "/health",
        "/actors/" + token("actor", ACTOR_ID),
    ):
        page = client.get(path)
        assert page.status_code == 200, path
        assert BARE.findall(visible(page.text)) == [], path
    assert "无工单的大量导出" in visible(client.get(f"{incident}/evidence").text) or DETECTORS[
        "bulk_export"
    ].zh in visible(client.get(f"{incident}/evidence").text)


def test_panels_show_words_instead_of_codes() -> None:
    riskiest = next(one for one in actor.BOARD.panels if one.uid == "riskiest")
    told = answer(riskiest, why="rule:mass_unmask, feature:denied_10m", action_word="unmask", verdict="claimed")
    texts = [cell.text for cell in shown(riskiest, told, "zh", (0, 1)).rows[0]]
    assert f"{DETECTORS['mass_unmask'].zh}；{FEATURE_TITLES['denied_10m'].zh}" in texts
    assert "查看明文" in texts
    assert "仅声称" in texts
    history = next(one for one in subject_audit.BOARD.panels if one.uid == "history")
    row = shown(history, answer(history, outcome="denied", purpose="read"), "zh", (0, 1)).rows[0]
    assert "被拒" in [cell.text for cell in row]
    assert "read" in [cell.text for cell in row], "a purpose that happens to be a word stays what it is"


def test_an_explanation_is_shown_in_one_language() -> None:
    queue = next(one for one in incident_response.BOARD.panels if "explanation_en" in {c.name for c in one.columns})
    told = answer(queue, explanation_en="Much at night.", explanation_zh="夜间大量。", incident=INCIDENT)
    for language, there, gone in (("en", "Much at night.", "夜间大量。"), ("zh", "夜间大量。", "Much at night.")):
        view = shown(queue, told, language, (0, 1))  # type: ignore[arg-type]
        texts = [cell.text for cell in view.rows[0]]
        assert there in texts
        assert gone not in texts
        assert len(view.heads) == len(view.rows[0])


def test_a_heat_map_is_a_grid_with_every_hour_in_its_place() -> None:
    hours = next(one for one in actor.BOARD.panels if one.view == "heatmap")
    told = PanelAnswer(("x", "y", "value"), (("9", "1", 4.0), ("10", "1", 2.0), ("9", "7", 1.0)))
    view = shown(hours, told, "en", (0, 1))
    assert view.columns == ["9", "10"]
    assert [[(cell.text, cell.level) for cell in row] for row in view.rows] == [
        [("Mon", 0), ("4", 5), ("2", 2)], [("Sun", 0), ("1", 1), ("0", 0)],
    ]  # fmt: skip


# -- numbers


@pytest.mark.parametrize(
    ("number", "text"),
    [(12_500.0, "12,500"), (12_432, "12,432"), (1e15, "1,000,000,000,000,000"), (2**63, "9,223,372,036,854,775,808"),
     (1234.56, "1,235"), (0.5, "0.5"), (73.37, "73.37"), (0.0000123, "0.0000123"), (0, "0"), (0.0, "0"),
     (-20_000.0, "-20,000"), (float("nan"), "–"), (float("inf"), "–")],
)  # fmt: skip
def test_numbers_are_whole_and_grouped_and_never_with_an_exponent(number: float, text: str) -> None:
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("days", "english", "chinese"),
    [(31.04, "31 d", "31 天"), (1.5, "1 d 12 h", "1 天 12 小时"), (1.0, "1 d", "1 天"),
     (0.9999, "23 h 59 min", "23 小时 59 分钟"), (0.21, "5 h 2 min", "5 小时 2 分钟"),
     (0.05, "1 h 12 min", "1 小时 12 分钟"), (0.02, "28 min", "28 分钟"),
     (0.0, "less than a minute", "不到 1 分钟"), (-1.0, "less than a minute", "不到 1 分钟")],
)  # fmt: skip
def test_a_short_time_is_said_in_hours_or_minutes(days: float, english: str, chinese: str) -> None:
    span_us = days * 86_400e6
    assert (span_text(span_us, "en"), span_text(span_us, "zh")) == (english, chinese)


def test_a_model_of_today_is_not_said_to_be_in_force_for_no_days(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = world.looked.rules(world.now_us)
    models = [replace(plain.models[0], days=0.03, alerts=21)]
    monkeypatch.setattr(world.looked, "rules", lambda now_us: replace(plain, models=models))
    client = world.signed_in("dpo")
    assert "Alerts it has raised in 43 min: 21." in client.get("/rules").text
    client.cookies.set("accesstrail_language", "zh")
    assert "启用 43 分钟以来共产生 21 条告警" in client.get("/rules").text


def test_the_actor_page_shows_large_numbers_as_people_write_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = world.looked.actor

    def large(*given: Any) -> Any:
        return replace(plain(*given), comparisons=[Comparison("records", 12_500.0, 4.2e9)])

    monkeypatch.setattr(world.looked, "actor", large)
    page = world.signed_in("dpo").get("/actors/" + token("actor", ACTOR_ID)).text
    assert "12,500" in page
    assert "4,200,000,000" in page
    assert not re.search(r"\de[+-]\d", visible(page))
