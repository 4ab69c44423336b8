"""Reasons that accesstrail wrote itself are read in the viewer's language; what a person wrote stays as it is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dashboards.console.panel_view import shown
from dashboards.panels import compliance
from pipeline import own_reasons
from pipeline.audit.panels import PanelAnswer
from pipeline.own_reasons import FILES_CHANGED, FIRST_ACCOUNT, FIRST_SET, REVOKED_BY_OWNER, in_chinese
from tests.console import World, post
from tests.evidence_desk import access
from tests.unit.versions.deployment import TOPIC, Deployment

OWN = (
    FIRST_SET, FILES_CHANGED, FIRST_ACCOUNT, REVOKED_BY_OWNER, own_reasons.nightly_budget("2026-11-17"),
    own_reasons.unusable_activation(7, "model_corrupt"),
)  # fmt: skip
PERSONS = ("asked by legal", "the configured files have changed again", "alert budget, night after work", "")


@pytest.mark.parametrize("reason", OWN)
def test_each_own_reason_has_its_chinese(reason: str) -> None:
    said = in_chinese(reason)
    assert re.search("[一-鿿]", said)
    assert set(re.findall(r"\d+", reason)) <= set(re.findall(r"\d+", said))


@pytest.mark.parametrize("reason", PERSONS)
def test_what_a_person_wrote_stays_as_it_is(reason: str) -> None:
    assert in_chinese(reason) == reason


def test_the_first_set_is_not_said_to_be_a_change_of_files(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment")
    deployment.worker().started()
    assert [one.reason for one in deployment.log.history(TOPIC)] == [FIRST_SET]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_say_own_reasons_in_the_viewers_language(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    plain = world.looked.rules(world.now_us)
    changes = [replace(plain.changes[-1], number=n, reason=reason) for n, reason in enumerate(OWN)]
    monkeypatch.setattr(world.looked, "rules", lambda now_us: replace(plain, changes=changes))
    world.looked.rows = [access(1, world.now_us - 1_000_000, justification=FIRST_ACCOUNT)]
    client = world.signed_in("auditor")
    client.cookies.set("accesstrail_language", language)
    rules = client.get("/rules").text
    found = client.get(post(client, "/search", {"span": "30"}).headers["location"]).text
    for page, reasons in ((rules, OWN), (found, (FIRST_ACCOUNT,))):
        for reason in reasons:
            kept = reason.replace("'", "&#39;")
            assert (in_chinese(reason) in page) == (language == "zh"), reason
            assert language == "zh" or kept in page


def test_boards_say_own_reasons_in_chinese() -> None:
    panel = next(one for one in compliance.BOARD.panels if "reason" in {column.name for column in one.columns})
    names = tuple(one.name for one in panel.columns)
    for reason in (*OWN, *PERSONS):
        row = tuple(reason if name == "reason" else None if name == "at" else "1" for name in names)
        cells = shown(panel, PanelAnswer(names, (row,)), "zh", (0, 1)).rows[0]
        assert in_chinese(reason) in [cell.text for cell in cells] or not reason
