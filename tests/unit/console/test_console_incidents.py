"""Incidents in the console: the list, what people do, evidence behind the read trail, what happens in outages."""

from __future__ import annotations

import re
import stat
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.command_outbox import FILE_NAME, CommandOutbox
from pipeline.audit.incidents import EvidenceRow
from pipeline.breach.model import Counted
from pipeline.cli.console_incidents import ConsoleIncidents
from pipeline.errors import ConfigError
from pipeline.incidents.records import Explanation
from tests.console import World, csrf, post
from tests.incident_logs import ACTOR, START_US, alert

EVENT = EvidenceRow(
    event_id="e", event_time_us=START_US, received_us=START_US, actor_token=ACTOR, action="export", outcome="success",
    resource_type="customer_profile", resource_id="", subjects=12, records_returned=2_400, purpose="marketing",
    explained="unexplained", channel="api", network_kind="home", src_country="CN", app_id="crm", endpoint="/list",
    fields_unmasked=("phone",), justification="", risk=9_500, topic="access.events", partition=3, offset=17,
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.logs.put(alert(1, detector="bulk_export"), alert(2, risk=95.0, severity="high"))
    found.store.events = [EVENT]
    return found


def notes(text: str) -> list[str]:
    return re.findall(r'<p class="note[^>]*>([^<]*)</p>', text)


# -- what people do


@pytest.mark.parametrize(
    ("action", "given", "transition"),
    [
        ("acknowledge", {}, "acknowledged"),
        ("assign", {"assignee": "responder"}, "assigned"),
        ("comment", {"why": "asked the branch"}, "commented"),
        ("comment", {"why": "a test account", "severity": "low"}, "graded"),
        ("resolve", {"verdict": "true_positive", "why": "confirmed"}, "resolved"),
        ("contain", {"until": "2027-01-01T08:00", "why": "copies numbers"}, "contain_asked"),
    ],
)
def test_an_action_is_one_command_of_the_viewer(
    action: str, given: dict[str, str], transition: str, world: World
) -> None:
    client = world.signed_in("responder")
    answer = post(client, f"/incidents/{world.incident.incident_id}/{action}", given)
    assert answer.headers["location"] == f"/incidents/{world.incident.incident_id}"
    assert world.logs.rows[-1].transition == transition
    assert world.logs.rows[-1].by == "responder"
    assert notes(client.get(answer.headers["location"]).text) == ["Done."]
    assert "responder" in client.get(answer.headers["location"]).text


def test_the_end_of_a_containment_is_read_in_the_viewers_zone(world: World) -> None:
    client = world.signed_in("responder")
    post(client, f"/incidents/{world.incident.incident_id}/contain", {"until": "2026-12-01T08:00", "why": "x"})
    (asked,) = world.incident.containments.values()
    assert asked.expires_us == 1_796_083_200_000_000


def test_reopening_needs_a_reason(world: World) -> None:
    client, path = world.signed_in("soc"), f"/incidents/{world.incident.incident_id}"
    post(client, f"{path}/resolve", {"verdict": "benign"})
    assert post(client, f"{path}/reopen", {"why": "  "}).status_code == 400
    assert post(client, f"{path}/reopen", {"why": "goes on"}).status_code == 303
    assert world.incident.state == "open"


def test_what_a_person_writes_is_masked_before_it_is_kept(world: World) -> None:
    client = world.signed_in("soc")
    post(client, f"/incidents/{world.incident.incident_id}/comment", {"why": "call 13800138000"})
    assert "13800138000" not in world.logs.rows[-1].why


def test_an_engine_that_refuses_is_quoted_in_the_viewers_language(world: World) -> None:
    client, path = world.signed_in("soc"), f"/incidents/{world.incident.incident_id}"
    post(client, f"{path}/resolve", {"verdict": "benign"})
    answer = post(client, f"{path}/assign", {"assignee": "soc"})
    text = client.get(answer.headers["location"], headers={"Accept-Language": "zh"}).text
    assert any("被拒绝" in one or "refused" in one for one in notes(text))


def test_nobody_is_given_an_incident_who_may_not_handle_one(world: World) -> None:
    world.account("auditor", "auditor")
    client = world.signed_in("soc")
    for name in ("auditor", "nobody.here", ""):
        answer = post(client, f"/incidents/{world.incident.incident_id}/assign", {"assignee": name})
        assert answer.status_code == 400, name
    assert all(row.kind == "alert" for row in world.logs.rows)


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("resolve", {"verdict": "guilty"}), ("comment", {"why": "x", "severity": "extreme"}), ("comment", {}),
        ("contain", {"until": "soon", "why": "x"}), ("contain", {"until": "2020-01-01T00:00", "why": "x"}),
        ("suspect", {"known_at": "2099-01-01T00:00", "why": "x"}), ("link", {"other": "zz"}),
        ("comment", {"why": "x" * 5_000}),
    ],
)  # fmt: skip
def test_nonsense_in_a_form_changes_nothing(action: str, given: dict[str, str], world: World) -> None:
    client, rows = world.signed_in("responder"), len(world.logs.rows)
    answer = post(client, f"/incidents/{world.incident.incident_id}/{action}", given)
    assert answer.status_code in (400, 404)
    assert len(world.logs.rows) == rows


def test_containing_takes_a_second_person_where_the_deployment_asks_it(world: World) -> None:
    world.account("dpo", "dpo")
    client = world.signed_in("responder", two_people=("contain_actor",))
    path = f"/incidents/{world.incident.incident_id}"
    assert "This takes two people" in client.get(path).text
    given = {"until": "2027-01-01T08:00", "why": "copies", "second_password": "a sentence that is long enough"}
    assert post(client, f"{path}/contain", given).status_code == 403
    own = given | {"second_name": "responder", "second_code": world.code("responder")}
    assert post(client, f"{path}/contain", own).status_code == 403
    assert not world.incident.containments
    both = given | {"second_name": "dpo", "second_code": world.code("dpo")}
    assert post(client, f"{path}/contain", both).status_code == 303
    assert "(with dpo)" in world.logs.rows[-1].why


def test_a_link_is_taken_away_as_it_was_made(world: World) -> None:
    world.logs.put(alert(3, incident_key="acme:b"))
    client, path = world.signed_in("soc"), f"/incidents/{world.incident.incident_id}"
    other = world.logs.incident("acme:b").incident_id
    assert post(client, f"{path}/link", {"other": other[:8]}).status_code == 303
    assert set(world.incident.links) == {other}
    assert post(client, f"{path}/unlink", {"other": "zz"}).status_code == 404
    answer = post(client, f"{path}/unlink", {"other": other[:8], "why": "another person"})
    assert notes(client.get(answer.headers["location"]).text) == ["Done."]
    assert not world.incident.links
    unlinked = next(row for row in world.logs.rows if row.transition == "unlinked")
    assert (unlinked.by, unlinked.why) == ("soc", "another person")
    again = post(client, f"{path}/unlink", {"other": other[:8]})
    assert notes(client.get(again.headers["location"]).text) != ["Done."]


# -- the list


def test_several_are_acknowledged_at_once_and_the_page_says_how_many(world: World) -> None:
    world.logs.put(alert(3, incident_key="acme:b"), alert(4, incident_key="acme:c"))
    client = world.signed_in("soc")
    ids = re.findall(r'name="incident" value="([^"]+)"', client.get("/incidents").text)
    assert len(ids) == 3
    answer = post(client, "/incidents/acknowledge", {"incident": ids, "next": "/incidents?state=all"})
    assert answer.headers["location"] == "/incidents?state=all"
    assert notes(client.get("/incidents").text) == ["Done: 3 incidents."]
    assert notes(client.get("/incidents").text) == []
    assert {state.current.state for state in world.logs.states.values() if state.current} == {"acknowledged"}


def test_ticking_nothing_says_so(world: World) -> None:
    client = world.signed_in("soc")
    post(client, "/incidents/acknowledge", {})
    assert notes(client.get("/incidents").text) == ["Tick at least one incident."]


def test_pages_go_on_behind_the_last_row_and_show_everything_once(world: World) -> None:
    for number in range(120):
        severity = ("low", "medium", "high", "critical")[number % 4]
        world.logs.put(alert(f"n{number}", incident_key=f"acme:k{number}", severity=severity))
    client, path, seen = world.signed_in("soc"), "/incidents", []
    for _ in range(5):
        text = client.get(path).text
        seen += re.findall(r'<td class="what"><a href="/incidents/([^"]+)"', text)
        following = re.search(r'href="([^"]+)" rel="next"', text)
        if following is None:
            break
        path = following[1].replace("&amp;", "&")
    assert len(seen) == 121
    assert len(set(seen)) == 121


def test_filters_hold_on_every_page_and_nonsense_is_none(world: World) -> None:
    world.logs.put(alert(9, incident_key="acme:z", severity="critical", risk=99.0))
    client = world.signed_in("soc")
    assert client.get("/incidents?severity=critical").text.count('class="what"') == 1
    assert client.get("/incidents?state=resolved").text.count('class="what"') == 0
    assert client.get("/incidents?mine=1").text.count('class="what"') == 0
    for nonsense in ("?state=%00", "?after=../../x", "?severity=' OR 1=1", "?after=high.1.x", "?state[]=1"):
        assert client.get("/incidents" + nonsense).status_code in (200, 400), nonsense


def test_who_may_only_read_is_offered_nothing_to_do(world: World) -> None:
    client = world.signed_in("auditor")
    text = client.get("/incidents").text
    assert 'type="checkbox" name="incident"' not in text
    page = client.get(f"/incidents/{world.incident.incident_id}").text
    assert "Your roles let you read incidents" in page
    path = f"/incidents/{world.incident.incident_id}"
    assert re.findall(r'<form method="post" action="([^"]+)"', page) == ["/language", "/logout", f"{path}/export"]


# -- evidence and the read trail


def test_evidence_is_told_with_its_rows_before_it_is_shown(world: World) -> None:
    client, name = world.signed_in("soc"), world.incident.incident_id
    page = client.get(f"/incidents/{name}").text
    assert "2,400" not in page
    assert world.trail.told == []
    part = client.get(f"/incidents/{name}/evidence", headers={"HX-Request": "true"}).text
    assert "2,400" in part
    assert "<html" not in part
    (read,) = world.trail.told
    assert (read.look, read.account, read.about, read.rows) == ("incident", "soc", name, 3)
    assert "<html" in client.get(f"/incidents/{name}/evidence").text


def test_nothing_of_the_evidence_leaves_while_kafka_is_away(world: World) -> None:
    client, name = world.signed_in("soc"), world.incident.incident_id
    world.trail.is_away = True
    part = client.get(f"/incidents/{name}/evidence", headers={"HX-Request": "true"})
    assert part.status_code == 503
    assert "2,400" not in part.text
    assert "Kafka does not answer" in part.text
    assert 'hx-trigger="load delay:4s"' in part.text  # it comes back by itself
    assert client.get(f"/incidents/{name}").status_code == 200
    world.trail.is_away = False
    assert client.get(f"/incidents/{name}/evidence").status_code == 200


def test_the_grid_says_for_whom_and_how_it_is_unusual(world: World) -> None:
    world.store.seen = {
        "records_day": 8.0, "records_day:own_mean": 2.0, "records_day:own_deviation": 0.5,
        "records_day:peers_p10": 1.0, "records_day:peers_p90": 3.0, "records_day:surprisal": 3.1,
        "new_device": 1.0, "new_device:surprisal": 2.3,
    }  # fmt: skip
    client = world.signed_in("soc")
    text = client.get(f"/incidents/{world.incident.incident_id}/evidence").text
    grid = text[text.index('class="grid"') : text.index("</table>", text.index('class="grid"'))]
    own, colleagues = grid.split('<th scope="row">')[1:3]
    assert "a device used for the first time on this account" in own
    assert "2,980 records today without a work item (usual 3–13)" in own
    assert "2,980 records today without a work item (usual 2–19)" in colleagues
    assert "1 in 200 of days" in colleagues


# -- outages


def test_an_acknowledgement_waits_for_kafka_in_a_private_file_and_is_sent_once(world: World) -> None:
    client, name = world.signed_in("soc"), world.incident.incident_id
    world.topic.is_away = True
    post(client, f"/incidents/{name}/acknowledge")
    assert "kept and sent as soon as it does" in client.get(f"/incidents/{name}").text
    assert "acknowledgement queued" in client.get("/incidents").text
    kept = world.state_dir / FILE_NAME
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    again = CommandOutbox(kept, world.topic)  # the console starts again
    assert again.incidents() == {name}
    assert again.send_all() is False
    world.topic.is_away = False
    assert again.send_all() is True
    assert world.outbox.send_all() is True  # the same command a second time does nothing
    assert kept.read_bytes() == b""
    assert [row.transition for row in world.logs.rows if row.kind == "command"] == ["acknowledged", "no_change"]
    assert "queued" not in client.get("/incidents").text
    assert world.incident.acknowledged_by == "soc"


def test_everything_else_is_refused_while_kafka_is_away(world: World) -> None:
    client, path = world.signed_in("responder"), f"/incidents/{world.incident.incident_id}"
    world.topic.is_away = True
    for action, given in (("comment", {"why": "x"}), ("resolve", {"verdict": "benign"}), ("reopen", {"why": "x"})):
        answer = post(client, f"{path}/{action}", given)
        assert answer.status_code == 503
        assert "Kafka does not answer. Nothing was changed" in answer.text
    assert not (world.state_dir / FILE_NAME).exists()


def test_a_command_that_nobody_handles_yet_is_said_to_wait(world: World) -> None:
    client, path = world.signed_in("soc"), f"/incidents/{world.incident.incident_id}"
    world.topic.is_idle = True
    answer = post(client, f"{path}/comment", {"why": "x"})
    assert "nobody has handled it yet" in notes(client.get(answer.headers["location"]).text)[0]


def test_without_the_store_a_page_says_what_is_missing_and_since_when_and_recovers(world: World) -> None:
    client = world.signed_in("soc")
    world.store.is_away = True
    first = client.get("/incidents")
    assert first.status_code == 503
    assert "ClickHouse, where evidence is kept, does not answer" in first.text
    assert "data-retry" in first.text
    world.pass_time(90)
    again = client.get("/incidents", headers={"Accept-Language": "zh"})
    since = re.search(r'<time datetime="([^"]+)"', first.text)
    assert since
    assert since[1] in again.text
    assert "无响应" in again.text
    world.store.is_away = False
    assert client.get("/incidents").status_code == 200


def test_an_outbox_that_others_can_read_is_not_used(tmp_path: Path, world: World) -> None:
    path = tmp_path / "outbox"
    path.write_text("")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        CommandOutbox(path, world.topic)
    path.chmod(0o600)
    path.write_text("nonsense\n")
    with pytest.raises(ConfigError, match="cannot be used"):
        CommandOutbox(path, world.topic)


# -- the breach clock


def test_a_suspected_breach_shows_who_must_be_told_until_when(world: World) -> None:
    world.evidence.now = type(world.evidence.now)(Counted(at_us=START_US, subjects_all=1_200, minors=3, records=4_000))
    client, path = world.signed_in("responder"), f"/incidents/{world.incident.incident_id}"
    incidents = ConsoleIncidents(world.store, world.clock_desk())
    post(client, f"{path}/suspect", {"known_at": "2026-11-18T18:00", "why": "seen outside"})
    client = world.signed_in("responder", incidents=incidents)
    text = client.get(path).text
    assert "Breach clock" in text
    assert "1,200" in text
    assert re.search(r'class="badge (medium|critical)">(due|overdue)', text)
    assert "泄露处置时钟" in client.get(path, headers={"Accept-Language": "zh"}).text


# -- payloads


PAYLOADS = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'-alert(1)-'", "{{7*7}}", "${7*7}",
    "javascript:alert(1)",
    "</textarea><script>x</script>", "=HYPERLINK(\"http://evil\")", "<svg/onload=alert(1)>", "&#x3c;script&#x3e;",
    "\u202e<b>x", "%3Cscript%3E",
)  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_that_events_or_people_say_becomes_html(payload: str, world: World) -> None:
    everything: dict[str, Any] = {
        name: payload for name, value in vars_of(EVENT).items() if isinstance(value, str)
    } | {"fields_unmasked": (payload,)}  # fmt: skip
    world.store.events = [EvidenceRow(**(vars_of(EVENT) | everything))]
    world.logs.put(
        alert("x", incident_key=f"acme:{payload}", detector=payload[:100], reasons=(payload,), actor_token=payload[:64],
              explanation=Explanation(payload, payload))
    )  # fmt: skip
    client = world.signed_in("responder")
    incident = world.logs.incident(f"acme:{payload}")
    post(client, f"/incidents/{incident.incident_id}/comment", {"why": payload})
    pages = [
        client.get("/incidents").text, client.get(f"/incidents/{incident.incident_id}").text,
        client.get(f"/incidents/{incident.incident_id}/evidence").text, client.get("/overview").text,
        client.get("/incidents", params={"state": payload, "after": payload, "severity": payload}).text,
        client.get("/nope", params={"x": payload}).text,
        client.get("/login", params={"next": payload, "why": payload}).text,
        client.post("/login", data={"name": payload, "password": payload, "csrf": csrf(client), "next": payload}).text,
    ]  # fmt: skip
    for text in pages:
        assert dangers_in(text) == []


class _Reading(HTMLParser):
    """What a browser would run: scripts without a file, handlers and styles in attributes, addresses that are code."""

    def __init__(self) -> None:
        super().__init__()
        self.dangers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: (value or "").strip().lower() for name, value in attrs}
        own = given.get("src", "").startswith("/static/")
        if tag in ("iframe", "object", "embed", "base") or (tag == "script" and not own):
            self.dangers.append(tag)
        if tag == "img" and not given.get("src", "").startswith("data:image/"):
            self.dangers.append(tag)
        for name, value in given.items():
            is_code = name in ("href", "src", "action", "formaction") and value.startswith(("javascript:", "vbscript:"))
            if name.startswith("on") or name == "style" or is_code:
                self.dangers.append(f"{tag} {name}")


def dangers_in(text: str) -> list[str]:
    reading = _Reading()
    reading.feed(text)
    return reading.dangers


def test_the_reading_of_pages_finds_what_is_dangerous() -> None:
    assert dangers_in('<script>x</script><p onclick="x"><a href="javascript:x"><b style="x"><img src=x>') == [
        "script", "p onclick", "a href", "b style", "img",
    ]  # fmt: skip


def vars_of(row: EvidenceRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in EvidenceRow.__dataclass_fields__}
