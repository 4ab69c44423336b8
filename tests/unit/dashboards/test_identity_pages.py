"""One identity over Starlette's client, whole or in part: by role, told before it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.console.reveal_limit import AN_HOUR
from tests.console import World, csrf, post
from tests.evidence_desk import ACTOR, LISTED_SUBJECT, SUBJECT, token


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_reveal_shows_one_identity_after_it_was_told_with_its_reason(world: World) -> None:
    client = world.signed_in("dpo")
    form = {"kind": "actor", "token": token("actor", ACTOR), "reason": "asked by the works council"}
    page = post(client, "/reveal", form)
    assert page.status_code == 200
    assert f'<b class="identity">{ACTOR}</b>' in page.text
    [read] = world.trail.told
    assert (read.look, read.rows, read.reason, read.unmasked) == ("reveal", 1, form["reason"], ("actor_id",))


def test_a_subject_nobody_lists_stays_a_token_and_the_page_says_why(world: World) -> None:
    client = world.signed_in("dpo")
    known = {"kind": "subject", "token": token("subject", LISTED_SUBJECT), "reason": "request of the person"}
    assert LISTED_SUBJECT in post(client, "/reveal", known).text
    page = post(client, "/reveal", known | {"token": token("subject", SUBJECT)}).text
    assert SUBJECT not in page
    assert "it is not in the vault (never kept here, or erased)" in page
    assert [(read.rows, read.subject_ids, read.unmasked) for read in world.trail.told] == [
        (1, (LISTED_SUBJECT,), ("subject_id",)), (0, (), ()),
    ]  # fmt: skip


def test_a_reveal_that_cannot_be_told_shows_nothing(world: World) -> None:
    client = world.signed_in("dpo")
    world.trail.is_away = True
    form = {"kind": "actor", "token": token("actor", ACTOR), "reason": "asked by the works council"}
    page = post(client, "/reveal", form)
    assert page.status_code == 503
    assert ACTOR not in page.text


@pytest.mark.parametrize("role", ["auditor", "soc", "responder", "analyst", "operator", "admin"])
def test_nobody_but_the_dpo_reveals(world: World, role: str) -> None:
    client = world.signed_in(role)
    form = {"kind": "actor", "token": token("actor", ACTOR), "reason": "asked by the works council"}
    page = post(client, "/reveal", form)
    assert page.status_code == 403
    assert ACTOR not in page.text
    assert world.trail.told == []


def test_reveals_need_a_reason_and_are_few_an_hour(world: World) -> None:
    client = world.signed_in("dpo")
    form = {"kind": "actor", "token": token("actor", ACTOR), "reason": "short"}
    assert post(client, "/reveal", form).status_code == 400
    data = form | {"reason": "asked by the works council", "csrf": csrf(client)}
    codes = [client.post("/reveal", data=data).status_code for _ in range(AN_HOUR + 1)]
    assert codes == [200] * AN_HOUR + [400]
    world.pass_time(1500)
    assert client.post("/reveal", data=data).status_code == 400
    world.pass_time(1500)
    world.pass_time(700)
    assert post(world.signed_in("dpo"), "/reveal", form | {"reason": "asked by the works council"}).status_code == 200


@pytest.mark.parametrize(
    ("role", "seen"), [("soc", "z****ei"), ("responder", "z****ei"), ("auditor", "zh****ei"), ("dpo", "zh****ei")]
)
def test_part_of_an_identity_is_shown_as_the_role_has_it_and_told(world: World, role: str, seen: str) -> None:
    client = world.signed_in(role)
    page = post(client, "/masked", {"kind": "actor", "token": token("actor", ACTOR)})
    assert f'<b class="identity">{seen}</b>' in page.text
    assert ACTOR not in page.text
    [read] = world.trail.told
    assert (read.look, read.rows, read.about, read.unmasked) == ("masked", 1, f"actor:{token('actor', ACTOR)}", ())


def test_a_masked_subject_is_named_to_the_log_and_one_nobody_knows_stays_a_token(world: World) -> None:
    client = world.signed_in("soc")
    for subject in (LISTED_SUBJECT, SUBJECT):
        page = post(client, "/masked", {"kind": "subject", "token": token("subject", subject)}).text
        assert subject not in page
    assert "it is not in the vault (never kept here, or erased)" in page
    assert [(read.rows, read.subject_ids) for read in world.trail.told] == [(1, (LISTED_SUBJECT,)), (0, ())]


@pytest.mark.parametrize("role", ["analyst", "operator", "admin"])
def test_other_roles_see_no_part_of_an_identity(world: World, role: str) -> None:
    page = post(world.signed_in(role), "/masked", {"kind": "actor", "token": token("actor", ACTOR)})
    assert page.status_code == 403
    assert "z****" not in page.text
    assert world.trail.told == []


def test_part_of_an_identity_is_not_shown_while_it_cannot_be_told(world: World) -> None:
    client = world.signed_in("soc")
    world.trail.is_away = True
    page = post(client, "/masked", {"kind": "actor", "token": token("actor", ACTOR)})
    assert page.status_code == 503
    assert "z****" not in page.text


@pytest.mark.parametrize("form", [{"kind": "actor"}, {"kind": "case", "token": "ab" * 16}, {"token": "ab" * 16}])
def test_part_of_what_is_no_token_of_a_person_is_not_asked_for(world: World, form: dict[str, str]) -> None:
    assert post(world.signed_in("soc"), "/masked", form).status_code == 400
    assert world.trail.told == []


def test_an_account_of_its_own_is_known_by_the_identities(world: World) -> None:
    identities = world.looked.identities
    assert identities.of("actor", token("actor", ACTOR)) == ACTOR
    assert identities.of("subject", token("subject", "c-own-2")) == "c-own-2"
    assert identities.of("actor", token("actor", "li.wei")) is None
    folder = world.looked.folder
    (folder / "actors.csv").write_text("actor_id\nli.wei\n", encoding="utf-8")
    assert identities.of("actor", token("actor", "li.wei")) == "li.wei"
    (folder / "actors.csv").unlink()
    assert identities.of("actor", token("actor", "li.wei")) is None
