"""Boards in the console: which are there for whom, their ranges, their panels; whoever is looked at is told of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dashboards.console.pages.boards import HEALTH, RANGES_S
from dashboards.panels.boards import BOARDS, board
from dashboards.panels.panel import Board, Panel
from pipeline.audit.panels import PanelAnswer
from tests.console import World, post
from tests.evidence_desk import ACTOR, SUBJECT, token

ACTOR_TOKEN, SUBJECT_TOKEN = token("actor", ACTOR), token("subject", SUBJECT)


@dataclass
class Asked:
    """Panels that note what they were asked with."""

    values: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def run(self, panel: Panel, values: Any) -> PanelAnswer:
        self.values.append((panel.uid, dict(values)))
        rows = ((ACTOR_TOKEN,),) if panel.uid == "choices-actor" else ()
        return PanelAnswer(tuple(one.name for one in panel.columns), rows)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def the(uid: str) -> Board:
    found = board(uid)
    assert found is not None
    return found


def addresses(text: str) -> list[str]:
    found = re.findall(r'hx-get="([^"]+)"', text)
    return [one.replace("&amp;", "&") for one in found]


def test_the_list_shows_each_role_the_boards_that_it_may_open(world: World) -> None:
    for role, expected in (("analyst", {one.uid for one in BOARDS}), ("operator", {HEALTH})):
        client = world.signed_in(role)
        page = client.get("/boards").text
        assert set(re.findall(r'href="/boards/([a-z-]+)"', page)) == expected
        for one in BOARDS:
            assert client.get(f"/boards/{one.uid}").status_code == (200 if one.uid in expected else 403), one.uid
    assert "Boards" in page
    assert world.signed_in("soc").get("/boards/nothing").status_code == 404


def test_every_panel_of_every_board_follows_the_page_and_answers(world: World) -> None:
    panels = Asked()
    client = world.signed_in("analyst", panels=panels)
    for one in BOARDS:
        of = "" if not one.parameters else f"/of/{ACTOR_TOKEN if one.uid == 'actor' else SUBJECT_TOKEN}"
        page = client.get(f"/boards/{one.uid}{of}").text
        assert panels.values == [], "no panel is asked before the page is there"
        asked = [address for address in addresses(page) if "/choices" not in address]
        assert [re.split(r"[/?]", address)[-2] for address in asked] == [panel.uid for panel in one.panels], one.uid
        for panel in one.panels:
            assert str(panel.question.en).replace("'", "&#39;") in page
            assert str(panel.decision.en).replace("'", "&#39;") in page
        for address in asked:
            answer = client.get(address, headers={"HX-Request": "true"})
            assert answer.status_code == 200, address
            assert client.get(address).status_code == 200, address
        panels.values.clear()


def test_panels_that_name_accounts_are_shown_only_when_their_look_is_told(world: World) -> None:
    client = world.signed_in("analyst")
    world.trail.is_away = True
    shown, hidden = 0, 0
    for one in (each for each in BOARDS if not each.parameters):
        for address in addresses(client.get(f"/boards/{one.uid}").text):
            status = client.get(address).status_code
            assert status == (503 if "/panels/" in address else 200), address
            shown, hidden = shown + ("/figures/" in address), hidden + ("/panels/" in address)
            other = address.replace("/panels/", "/figures/")
            assert "/panels/" not in address or client.get(other).status_code == 404, "no way around the trail"
    assert shown >= 5
    assert hidden >= 5
    for path in (
        f"/boards/actor/of/{ACTOR_TOKEN}",
        f"/boards/actor/of/{ACTOR_TOKEN}/panels/who",
        "/boards/actor/choices",
    ):
        assert client.get(path).status_code == 503, path


def test_the_board_of_the_pipeline_has_no_panel_that_names_anybody() -> None:
    for panel in the(HEALTH).panels:
        assert not any(column.unit == "token" for column in panel.columns), panel.uid


def test_opening_somebodys_board_is_a_question_about_them_and_each_panel_is_told(world: World) -> None:
    client = world.signed_in("dpo")
    client.get(f"/boards/subject-audit/of/{SUBJECT_TOKEN}")
    client.get(f"/boards/subject-audit/of/{SUBJECT_TOKEN}/panels/history")
    page, panel = world.trail.told
    assert (page.look, page.about) == ("subject", f"subject:{SUBJECT_TOKEN}")
    assert (panel.look, panel.about) == ("panel", f"subject-audit/history subject:{SUBJECT_TOKEN}")
    assert page.fingerprint
    assert page.fingerprint != panel.fingerprint


def test_an_id_is_typed_into_a_form_and_becomes_a_token_in_the_address(world: World) -> None:
    client = world.signed_in("dpo")
    answer = post(client, "/boards/subject-audit", {"who": SUBJECT, "range": "2592000"})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/boards/subject-audit/of/{SUBJECT_TOKEN}?range=2592000"
    client.get(answer.headers["location"])
    assert world.trail.told[-1].subject_ids == (SUBJECT,), "rules see who looks for whom"
    chosen = post(client, "/boards/actor", {"choice": ACTOR_TOKEN})
    assert chosen.headers["location"].startswith(f"/boards/actor/of/{ACTOR_TOKEN}?")
    assert post(client, "/boards/actor", {}).status_code == 400
    assert post(client, "/boards/compliance", {"who": "x"}).status_code == 404
    assert client.get(f"/boards/actor/of/{ACTOR}").status_code == 400, "a name is no address"


def test_accounts_of_recent_incidents_can_be_chosen_and_that_is_told(world: World) -> None:
    client = world.signed_in("soc", panels=Asked())
    part = client.get("/boards/actor/choices", headers={"HX-Request": "true"}).text
    assert f'<option value="{ACTOR_TOKEN}">' in part
    assert world.trail.told[-1].rows == 1
    assert f'href="/boards/actor/of/{ACTOR_TOKEN}"' in client.get("/boards/actor/choices").text


@pytest.mark.parametrize("length_s", RANGES_S)
def test_a_range_ends_now(length_s: int, world: World) -> None:
    panels = Asked()
    client = world.signed_in("soc", panels=panels)
    page = client.get(f"/boards/compliance?range={length_s}")
    assert client.get(addresses(page.text)[0]).status_code == 200
    values = panels.values[0][1]
    since, until = (seconds_of(str(values[name])) for name in ("since", "until"))
    assert until - since == length_s
    assert world.now_us / 1e6 - 10 <= until <= world.now_us / 1e6


def test_a_range_of_ones_own_is_read_in_the_viewers_zone_and_refused_where_it_is_none(world: World) -> None:
    panels = Asked()
    client = world.signed_in("soc", panels=panels)
    page = client.get("/boards/compliance?from=2026-11-01T08:00&until=2026-11-02T08:00")
    assert 'value="2026-11-01T08:00"' in page.text
    assert "every 60s" not in page.text, "what ended is not asked again"
    client.get(addresses(page.text)[0])
    assert panels.values[0][1]["since"] == "2026-11-01 00:00:00.000", "08:00 in Shanghai"
    for query in ("from=2026-11-02T08:00&until=2026-11-01T08:00", "from=2001-01-01T00:00", "from=yesterday"):
        assert client.get(f"/boards/compliance?{query}").status_code == 400, query
    assert client.get("/boards/compliance?range=17").status_code == 200, "a range that nobody offers is the board's own"


def test_pages_of_accounts_and_persons_lead_to_their_boards(world: World) -> None:
    client = world.signed_in("dpo")
    assert f'href="/boards/actor/of/{ACTOR_TOKEN}"' in client.get(f"/actors/{ACTOR_TOKEN}").text
    assert f'href="/boards/subject-audit/of/{SUBJECT_TOKEN}"' in client.get(f"/subjects/{SUBJECT_TOKEN}").text
    assert f'href="/actors/{ACTOR_TOKEN}"' in client.get(f"/boards/actor/of/{ACTOR_TOKEN}").text


def seconds_of(text: str) -> float:
    """A value of `DateTime64(3)` as UTC seconds."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
