"""Looks that are refused in the console: told as denied, and in the viewer's words why."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.audit.quota import Quota, Used
from tests.console import World
from tests.incident_logs import alert


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.logs.put(alert(1))
    return found


def test_a_page_of_evidence_that_the_role_does_not_allow_is_told_as_denied(world: World) -> None:
    client = world.signed_in("operator")
    assert client.get("/rules").status_code == 403
    [read] = world.trail.denied
    assert (read.account, read.outcome, read.rows, read.about) == ("operator", "denied", 0, "/rules")
    assert client.get("/incidents").status_code == 403
    assert len(world.trail.denied) == 1, "a list of incidents is no evidence"


@pytest.mark.parametrize(
    ("language", "words"), [("en", "looks_per_day allows no more"), ("zh", "单个账户的上限")]
)  # fmt: skip
def test_whoever_has_used_up_the_day_asks_nothing_and_is_told_why(world: World, language: str, words: str) -> None:
    client, name = world.signed_in("soc"), world.incident.incident_id
    client.cookies.set("accesstrail_language", language)
    world.trail.looked.limits = Quota(looks_per_day=2, rows_per_day=0)
    answers = [client.get(f"/incidents/{name}/evidence") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 403]
    assert words in answers[2].text
    assert "2,400" not in answers[2].text
    assert (len(world.trail.told), [one.outcome for one in world.trail.denied]) == (2, ["denied"])
    assert client.get(f"/incidents/{name}").status_code == 200, "what is no evidence may be seen"


def test_more_rows_than_are_left_do_not_leave(world: World) -> None:
    world.logs.put(alert(2))
    world.logs.put(alert(3))
    client, name = world.signed_in("soc"), world.incident.incident_id
    world.trail.looked.limits = Quota(looks_per_day=0, rows_per_day=10)
    world.trail.looked.used_before = Used(looks=1, rows=8)
    answer = client.get(f"/incidents/{name}/evidence")
    assert answer.status_code == 403
    assert "2,400" not in answer.text
    [read] = world.trail.denied
    assert (read.look, read.about, read.rows, read.outcome) == ("incident", name, 0, "denied")
    assert world.trail.told == []
