"""The breach clock in the console: each step is the command of `accesstrail incidents breach`, by whoever may do it."""

from __future__ import annotations

import hashlib
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipeline.adapters.breach_counts import SubjectCounts
from pipeline.breach.clock import Duty
from pipeline.breach.model import Counted
from pipeline.cli.incident_export import incident_export
from pipeline.errors import Away
from pipeline.incidents.records import BreachStep
from tests.console import PASSWORD, World, post
from tests.incident_logs import ACTOR, START_US, alert
from tests.unit.console.test_console_incidents import dangers_in, notes

PIPL, GDPR, CLOSING, LARGE = "cn-pipl-57-individuals", "eu-gdpr-33", "cn-irm-8-closing", "cn-irm-4-other"
KNOWN_AT = {"known_at": "2026-11-18T18:00", "why": "seen outside"}
KNOWN_AT_US = 1_794_996_000_000_000
"""The same as UTC microseconds: the viewer's zone is Asia/Shanghai."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.logs.put(alert(1, detector="bulk_export"), alert(2, risk=95.0, severity="high"))
    return found


@pytest.fixture
def dpo(world: World) -> TestClient:
    """Signed in, with a breach that this account suspects."""
    client = world.signed_in("dpo")
    assert post(client, f"{path_of(world)}/suspect", KNOWN_AT).status_code == 303
    assert notes(client.get(path_of(world)).text) == ["Done."]
    world.topic.commands.clear()
    return client


def path_of(world: World) -> str:
    return f"/incidents/{world.incident.incident_id}"


def grow(world: World, persons: int) -> None:
    world.evidence.now = SubjectCounts(Counted(at_us=START_US, subjects_all=persons, minors=1, records=40))


def steps(world: World) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Steps that were sent: name, by, why, detail."""
    sent = [one for one in world.topic.commands if isinstance(one, BreachStep)]
    return [(one.step, one.by, one.why, dict(one.detail)) for one in sent]


def duty(world: World, name: str) -> Duty:
    incident = world.store.incident(world.incident.incident_id)
    assert incident is not None
    standing = world.parts().incidents.breach(incident)
    assert standing is not None
    return next(one for one in standing.clock.duties if one.law.law_id == name)


def second_of(world: World, name: str) -> dict[str, str]:
    return {"second_name": name, "second_password": PASSWORD, "second_code": world.code(name)}


# -- suspicion and counts


def test_a_suspicion_writes_the_first_count_with_it(world: World) -> None:
    client = world.signed_in("responder")
    post(client, f"{path_of(world)}/suspect", KNOWN_AT)
    assert [row.name for row in world.logs.rows][-2:] == ["suspect_breach", "breach_step"]
    assert world.incident.breach
    assert world.incident.breach.known_at_us == KNOWN_AT_US
    ((step, by, _, detail),) = steps(world)
    assert (step, by, detail["subjects_all"], detail["minors"]) == ("counted", "responder", 12, 1)
    assert notes(client.get(path_of(world)).text) == ["Done."]


def test_a_suspicion_that_is_refused_or_not_handled_yet_counts_nothing(world: World) -> None:
    client = world.signed_in("responder")
    world.topic.is_idle = True
    post(client, f"{path_of(world)}/suspect", KNOWN_AT)
    assert "nobody has handled it yet" in notes(client.get(path_of(world)).text)[0]
    world.topic.is_idle = False
    post(client, f"{path_of(world)}/resolve", {"verdict": "benign"})
    post(client, f"{path_of(world)}/suspect", KNOWN_AT)
    assert "refused" in notes(client.get(path_of(world)).text)[-1]
    assert steps(world) == []


def test_a_suspicion_that_is_written_is_not_denied_because_the_count_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = world.signed_in("dpo")

    def away(_: object) -> SubjectCounts:
        raise Away("the store does not answer", code="store_away")

    with monkeypatch.context() as patched:
        patched.setattr(world.evidence, "counted", away)
        assert post(client, f"{path_of(world)}/suspect", KNOWN_AT).status_code == 303
    done, uncounted = notes(client.get(path_of(world)).text)
    assert done == "Done."
    assert "could not be counted yet" in uncounted
    assert world.incident.breach
    assert steps(world) == []
    post(client, f"{path_of(world)}/breach/state", {"fact": "harm", "why": "as said"})
    assert [one[0] for one in steps(world)] == ["counted", "stated"]


def test_counting_writes_the_present_count_also_where_the_log_knows_it(world: World, dpo: TestClient) -> None:
    post(dpo, f"{path_of(world)}/breach/count", {"why": "every morning"})
    grow(world, 1_000_000)
    post(dpo, f"{path_of(world)}/breach/count", {"why": "grown"})
    assert [(name, why, said["subjects_all"]) for name, _, why, said in steps(world)] == [
        ("counted", "every morning", 12), ("counted", "grown", 1_000_000),
    ]  # fmt: skip
    grow(world, 2)
    assert duty(world, LARGE).state == "due"  # a smaller count takes no duty away


def test_a_step_brings_the_count_along_only_where_the_log_knows_less(world: World, dpo: TestClient) -> None:
    post(dpo, f"{path_of(world)}/breach/state", {"fact": "harm", "why": "as said"})
    assert [one[0] for one in steps(world)] == ["stated"]
    grow(world, 13)
    post(dpo, f"{path_of(world)}/breach/state", {"fact": "high_risk", "why": "as said"})
    assert [one[0] for one in steps(world)] == ["stated", "counted", "stated"]
    assert notes(dpo.get(path_of(world)).text) == ["Done."]  # the count goes along unsaid


# -- steps


@pytest.mark.parametrize(
    ("step", "given", "name", "detail"),
    [
        ("state", {"fact": "high_risk"}, "stated", {"fact": "high_risk"}),
        ("known-at", {"known_at": "2026-11-18T18:00"}, "known_at", {"known_at_us": KNOWN_AT_US}),
        ("period", {"from": "2026-11-18T18:00", "to": "2026-11-18T18:01"}, "period",
         {"from_us": KNOWN_AT_US, "to_us": KNOWN_AT_US + 60_000_000}),
        ("text", {"field": "cause", "zh": "账号被盗，电话 13812345678"}, "text",
         {"field": "cause", "zh": ("账号被盗，电话 138****5678",)}),
        ("end", {}, "handling_ended", {}),
        ("done", {"duty": PIPL}, "done", {"law": PIPL}),
        ("done", {"duty": LARGE}, "done", {"law": LARGE}),  # told although the counts do not ask for it
    ],
)  # fmt: skip
def test_a_step_is_one_command_of_the_viewer(
    step: str, given: dict[str, str], name: str, detail: dict[str, Any], world: World, dpo: TestClient
) -> None:
    answer = post(dpo, f"{path_of(world)}/breach/{step}", given | {"why": "receipt 2026-118"})
    assert answer.headers["location"] == path_of(world)
    assert steps(world) == [(name, "dpo", "receipt 2026-118", detail)]
    assert notes(dpo.get(path_of(world)).text) == ["Done."]


def test_what_was_told_is_done_and_closing_reports_count_from_the_end_of_handling(
    world: World, dpo: TestClient
) -> None:
    grow(world, 1_000_000)
    assert duty(world, CLOSING).deadline_us is None
    post(dpo, f"{path_of(world)}/breach/end", {"why": "closed down"})
    assert duty(world, CLOSING).deadline_us
    post(dpo, f"{path_of(world)}/breach/done", {"duty": LARGE, "why": "receipt 2026-118"})
    assert duty(world, LARGE).state == "done"
    post(dpo, f"{path_of(world)}/resolve", {"verdict": "true_positive"})
    post(dpo, f"{path_of(world)}/breach/done", {"duty": PIPL, "why": "duties outlast the incident"})
    assert duty(world, PIPL).state == "done"


@pytest.mark.parametrize(
    ("step", "given", "status"),
    [
        ("count", {"why": " "}, 400), ("count", {"why": "x" * 3_000}, 400), ("done", {"duty": PIPL}, 400),
        ("done", {"why": "x"}, 400), ("done", {"duty": "' OR 1=1", "why": "x"}, 400),
        ("state", {"fact": "graded_worst", "why": "x"}, 400), ("state", {"fact": "harm"}, 400),
        ("known-at", {"known_at": "2099-01-01T00:00", "why": "x"}, 400), ("known-at", {"why": "x"}, 400),
        ("period", {"from": "2026-11-18T18:01", "to": "2026-11-18T18:00", "why": "x"}, 400),
        ("period", {"from": "2026-11-18T18:01", "why": "x"}, 400),
        ("text", {"field": "subjects", "en": "none", "why": "x"}, 400), ("text", {"field": "cause", "why": "x"}, 400),
        ("text", {"field": "cause", "en": "x" * 4_001, "why": "x"}, 400), ("end", {}, 400),
    ],
)  # fmt: skip
def test_nonsense_in_a_step_writes_nothing(
    step: str, given: dict[str, str], status: int, world: World, dpo: TestClient
) -> None:
    grow(world, 5_000)  # nor is the count written
    assert post(dpo, f"{path_of(world)}/breach/{step}", given).status_code == status
    assert world.topic.commands == []


def test_where_no_breach_is_suspected_no_step_is_written(world: World) -> None:
    world.account("responder", "responder")
    client = world.signed_in("dpo")
    given = {
        "duty": PIPL, "fact": "harm", "why": "x", "known_at": "2026-11-18T18:00", "from": "2026-11-18T18:00",
        "to": "2026-11-18T18:00", "field": "cause", "en": "x",
    }  # fmt: skip
    for step in ("count", "state", "known-at", "period", "text", "done", "end", "waive"):
        answer = post(client, f"{path_of(world)}/breach/{step}", given)
        assert answer.status_code == 400, step
        assert "No breach is suspected in this incident" in answer.text
    assert client.get(f"{path_of(world)}/breach/drafts/{PIPL}").status_code == 400
    assert "/breach/" not in client.get(path_of(world)).text
    assert world.topic.commands == []


def test_while_kafka_is_away_no_step_is_taken(world: World, dpo: TestClient) -> None:
    world.topic.is_away = True
    answer = post(dpo, f"{path_of(world)}/breach/done", {"duty": PIPL, "why": "x"})
    assert answer.status_code == 503
    assert "Nothing was changed" in answer.text
    assert duty(world, PIPL).state == "due"


def test_a_step_that_nobody_handles_yet_is_said_to_wait(world: World, dpo: TestClient) -> None:
    grow(world, 13)
    world.topic.is_idle = True
    post(dpo, f"{path_of(world)}/breach/done", {"duty": PIPL, "why": "x"})
    (said,) = notes(dpo.get(path_of(world)).text)
    assert "nobody has handled it yet" in said


# -- not telling


def test_not_telling_takes_two_people_and_falls_when_much_more_is_known(world: World, dpo: TestClient) -> None:
    world.account("responder", "responder")
    world.account("soc", "soc")
    path, given = f"{path_of(world)}/breach/waive", {"duty": PIPL, "why": "measures avoid the harm"}
    refused = [
        {}, second_of(world, "responder") | {"second_password": "not this one at all"},
        second_of(world, "responder") | {"second_code": "000000"}, second_of(world, "dpo"), second_of(world, "soc"),
    ]  # fmt: skip
    for second in refused:
        assert post(dpo, path, given | second).status_code == 403, second
    assert world.topic.commands == []
    assert post(dpo, path, given | second_of(world, "responder")).status_code == 303
    assert steps(world) == [("waived", "dpo", "measures avoid the harm", {"law": PIPL, "second": "responder"})]
    assert duty(world, PIPL).state == "not_required"
    assert "waived by dpo and responder: measures avoid the harm" in dpo.get(path_of(world)).text
    grow(world, 24)
    assert duty(world, PIPL).state == "due"


def test_a_second_person_is_asked_after_everything_else_is_checked(world: World, dpo: TestClient) -> None:
    world.account("responder", "responder")
    second = second_of(world, "responder")  # a code holds once: a mistake in the form does not use it up
    path = f"{path_of(world)}/breach/waive"
    assert post(dpo, path, {"duty": "no-law", "why": "x"} | second).status_code == 400
    assert post(dpo, path, {"duty": PIPL, "why": ""} | second).status_code == 400
    assert post(dpo, path, {"duty": PIPL, "why": "x"} | second).status_code == 303


def test_few_passwords_of_second_persons_are_taken_in_a_minute(world: World, dpo: TestClient) -> None:
    wrong = {"duty": PIPL, "why": "x", "second_name": "nobody.here", "second_password": "x", "second_code": "0"}
    found = [post(dpo, f"{path_of(world)}/breach/waive", wrong).status_code for _ in range(12)]
    assert found[-1] == 429
    assert set(found) == {403, 429}


# -- who may


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        ("dpo", {"count", "state", "known-at", "period", "text", "done", "waive", "end"}),
        ("responder", {"count", "state", "known-at", "period", "text"}),
        ("soc", set()),
        ("analyst", set()),
        ("auditor", set()),
    ],
)
def test_only_steps_are_offered_that_a_role_may_take(
    role: str, offered: set[str], world: World, dpo: TestClient
) -> None:
    client = dpo if role == "dpo" else world.signed_in(role)
    text = client.get(path_of(world)).text
    assert set(re.findall(rf'action="{path_of(world)}/breach/([^"]+)"', text)) == offered
    for step in {"count", "done", "waive"} - offered:
        given = {"duty": PIPL, "why": "x"}
        assert post(client, f"{path_of(world)}/breach/{step}", given).status_code == 403
    assert (f'action="{path_of(world)}/export"' in text) == (role in ("dpo", "responder", "auditor"))
    assert world.topic.commands == []


def test_duties_are_chosen_by_the_words_of_the_clock(world: World, dpo: TestClient) -> None:
    text = unescape(dpo.get(path_of(world)).text)
    done = text[text.index('id="f-done-duty"') : text.index("</select>", text.index('id="f-done-duty"'))]
    groups = dict(re.findall(r'<optgroup label="([^"]+)">(.*?)</optgroup>', done, re.DOTALL))
    assert set(groups) == {"to be told", "not required"}
    assert f"({PIPL})" in groups["to be told"]
    assert f"({LARGE})" in groups["not required"]
    waive = text[text.index('id="f-waive-duty"') : text.index("</select>", text.index('id="f-waive-duty"'))]
    assert f'value="{PIPL}"' in waive
    assert f'value="{LARGE}"' not in waive
    names = re.findall(r'<(?:input|select|textarea)[^>]* id="([^"]+)"', text)
    assert len(names) == len(set(names))
    assert set(re.findall(r'<label for="([^"]+)"', text)) <= set(names)
    assert "决定不报告某接收方" in dpo.get(path_of(world), headers={"Accept-Language": "zh"}).text


# -- files


def test_a_draft_is_a_file_in_either_language_with_what_was_written(world: World, dpo: TestClient) -> None:
    post(
        dpo, f"{path_of(world)}/breach/text", {"field": "effects", "en": "None known.", "zh": "未见影响。", "why": "x"}
    )
    client = world.signed_in("auditor")
    text = client.get(path_of(world)).text
    assert f'href="{path_of(world)}/breach/drafts/{PIPL}?language=zh"' in text
    for language, title in (("en", "# Notice (draft)"), ("zh", "# 告知书（草稿）")):
        answer = client.get(f"{path_of(world)}/breach/drafts/{PIPL}?language={language}")
        assert answer.status_code == 200
        assert answer.text.startswith(title)
        assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
        name = f"{world.incident.incident_id[:8]}-{PIPL}.{language}.md"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert ACTOR not in answer.text
    assert "未见影响。" in client.get(f"{path_of(world)}/breach/drafts/{LARGE}?language=zh").text
    assert world.trail.told == []  # counts, as the page has them: no evidence
    for nonsense in (f"{PIPL}?language=fr", "no-law", "..%2F..%2Fetc"):
        assert client.get(f"{path_of(world)}/breach/drafts/{nonsense}").status_code in (400, 404), nonsense


def test_the_export_is_the_file_of_the_command_line_and_told_of_before_it_leaves(world: World, dpo: TestClient) -> None:
    client = world.signed_in("auditor")
    answer = post(client, f"{path_of(world)}/export", {"reason": "x", "why": "for the authority"})
    incident = world.store.incident(world.incident.incident_id)
    assert incident is not None
    assert answer.text == incident_export(world.clock_desk(), incident, "auditor").body.decode()
    document = json.loads(answer.text)
    assert document["exported_by"] == "auditor"
    assert (len(document["timeline"]), len(document["alerts"]), document["breach"]["known_by"]) == (4, 2, "dpo")
    assert answer.headers["content-disposition"].endswith('-timeline.json"')
    (read,) = world.trail.told
    assert (read.look, read.account, read.about, read.rows) == (
        "incident_export", "auditor", world.incident.incident_id, 6,
    )  # fmt: skip
    assert (read.reason, read.fingerprint) == ("for the authority", hashlib.sha256(answer.content).hexdigest())


def test_an_export_of_an_incident_without_a_breach_has_no_clock(world: World) -> None:
    client = world.signed_in("responder")
    assert json.loads(post(client, f"{path_of(world)}/export", {"why": "handed over"}).text)["breach"] is None


def test_no_export_leaves_without_a_reason_or_while_kafka_is_away(world: World) -> None:
    client = world.signed_in("auditor")
    assert post(client, f"{path_of(world)}/export", {"why": ""}).status_code == 400
    world.trail.is_away = True
    answer = post(client, f"{path_of(world)}/export", {"why": "for the authority"})
    assert answer.status_code == 503
    assert "bulk_export" not in answer.text
    assert "content-disposition" not in answer.headers
    assert world.trail.told == []


# -- payloads


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}"])
def test_nothing_that_a_step_says_becomes_html(payload: str, world: World, dpo: TestClient) -> None:
    for step, given in (("done", {"duty": PIPL}), ("count", {}), ("known-at", {"known_at": "2026-11-18T18:00"})):
        post(dpo, f"{path_of(world)}/breach/{step}", given | {"why": payload})
    post(dpo, f"{path_of(world)}/breach/text", {"field": "cause", "en": payload, "why": payload})
    assert dangers_in(dpo.get(path_of(world)).text) == []
    wrong = {"duty": payload, "why": payload, "second_name": payload, "fact": payload, "field": payload}
    for step in ("done", "waive", "state", "text"):
        assert dangers_in(post(dpo, f"{path_of(world)}/breach/{step}", wrong).text) == []
