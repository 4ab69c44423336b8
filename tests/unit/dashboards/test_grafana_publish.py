"""Publishing to a Grafana made from its specification: idempotent, drift found, every trouble a clear error of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboards.grafana.build import DATA_SOURCE_UID
from dashboards.grafana.client import ROUTES, Grafana, GrafanaConflict
from dashboards.grafana.publish import FOLDER_UID, Contact, Look, Store, Wanted, differences, publish
from dashboards.panels.boards import BOARDS
from pipeline.errors import AccesstrailError, Away, Forbidden, UsageError
from tests.grafana_samples import SAMPLES
from tests.grafana_server import TOKEN, FakeGrafana, Specification, serving

PASSWORD, ADDRESS = "the-store-password", "https://hooks.example.com/secret-part"
WANTED = Wanted(
    boards=SAMPLES, languages=("en",), zone="Asia/Shanghai",
    store=Store("clickhouse", 9000, "accesstrail", tls=False, password=PASSWORD), contact=Contact("webhook", ADDRESS),
)  # fmt: skip
PIECES = ["folder", "permissions", "data source", "dashboard", "dashboard", "contact point", "alert rules"]


@pytest.fixture(scope="module")
def specification(real_data: Path) -> Specification:
    return Specification(real_data)


@pytest.fixture
def server(specification: Specification) -> Iterator[FakeGrafana]:
    with serving(specification) as grafana:
        yield grafana
        assert grafana.refused == []


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def client(server: FakeGrafana, token_file: Path) -> Grafana:
    return Grafana(server.url, token_file, timeout_s=5)


def states(looks: list[Look]) -> list[str]:
    return [one.state for one in looks]


# -- publishing


def test_everything_is_published_and_a_second_time_changes_nothing(server: FakeGrafana, client: Grafana) -> None:
    found = publish(client, WANTED)
    assert [one.kind for one in found] == PIECES
    assert states(found) == ["missing", "differs", *["missing"] * 5]
    assert states(differences(client, WANTED)) == ["same"] * 7
    server.asked.clear()
    assert states(publish(client, WANTED)) == ["same"] * 7
    assert server.writes == []
    assert server.data_sources[DATA_SOURCE_UID]["jsonData"]["username"] == "grafana"
    assert server.passwords == [PASSWORD]
    # Whoever may not edit may not look either, unless told so.
    assert server.permissions[FOLDER_UID] == [{"role": "Editor", "permission": 1}]


def test_the_real_boards_are_published_in_both_languages(server: FakeGrafana, client: Grafana) -> None:
    wanted = replace(WANTED, boards=BOARDS, languages=("en", "zh"))
    publish(client, wanted)
    assert len(server.dashboards) == 2 * len(BOARDS) == 16
    assert set(states(differences(client, wanted))) == {"same"}


def test_looking_before_anything_was_published_writes_nothing(server: FakeGrafana, client: Grafana) -> None:
    assert states(differences(client, WANTED)) == ["missing"] * 7
    assert server.writes == []


def test_a_published_data_source_gets_its_password_again_only_when_asked(server: FakeGrafana, client: Grafana) -> None:
    publish(client, WANTED)
    publish(client, WANTED, renew_password=True)
    assert server.passwords == [PASSWORD, PASSWORD]


def test_everyone_may_look_only_where_it_is_said(server: FakeGrafana, client: Grafana) -> None:
    wanted = replace(WANTED, everyone=True)
    publish(client, wanted)
    assert {one["role"] for one in server.permissions[FOLDER_UID]} == {"Viewer", "Editor"}
    assert differences(client, WANTED)[1] == Look("permissions", "accesstrail", "differs", ("role Viewer",))
    publish(client, WANTED)
    assert {one["role"] for one in server.permissions[FOLDER_UID]} == {"Editor"}


def test_without_a_contact_point_the_default_policy_decides(server: FakeGrafana, client: Grafana) -> None:
    publish(client, replace(WANTED, contact=Contact()))
    assert server.contacts == {}
    group = next(iter(server.groups.values()))
    assert all("notification_settings" not in rule for rule in group["rules"])


def test_an_address_for_mail_makes_a_contact_point_for_mail(server: FakeGrafana, client: Grafana) -> None:
    publish(client, replace(WANTED, contact=Contact("email", "oncall@example.com")))
    (point,) = server.contacts.values()
    assert (point["type"], point["settings"]["addresses"]) == ("email", "oncall@example.com")


# -- drift


def _drift(client: Grafana) -> dict[str, tuple[str, ...]]:
    return {f"{one.kind} {one.name}": one.places for one in differences(client, WANTED) if one.state != "same"}


def test_what_was_changed_in_grafana_is_named_by_its_place_and_put_right(server: FakeGrafana, client: Grafana) -> None:
    publish(client, WANTED)
    shown = server.dashboards["accesstrail-sample-overview"]
    shown["dashboard"]["panels"][0]["targets"][0]["rawSql"] = "SELECT 1"
    shown["dashboard"]["panels"].append({"type": "text"})
    shown["meta"]["folderUid"] = "elsewhere"
    server.data_sources[DATA_SOURCE_UID]["jsonData"]["username"] = "default"
    server.contacts["accesstrail-contact"]["settings"]["url"] = "https://elsewhere.example.com"
    rules = next(iter(server.groups.values()))["rules"]
    rules[0]["data"][1]["model"]["conditions"][0]["evaluator"]["params"] = [1e9]
    rules[1]["isPaused"] = True
    server.folders[FOLDER_UID]["title"] = "mine"
    server.permissions[FOLDER_UID].append({"userId": 5, "permission": 2})
    assert _drift(client) == {
        "folder accesstrail": ("title",),
        "permissions accesstrail": ("user 5",),
        "data source accesstrail": ("jsonData.username",),
        "dashboard sample-overview (en)": ("folder", "panels"),
        "contact point accesstrail": ("settings.url",),
        "alert rules accesstrail-dead-man": (
            "rules[0].data[1].model.conditions[0].evaluator.params[0]", "rules[1].isPaused",
        ),
    }  # fmt: skip
    publish(client, WANTED)
    assert _drift(client) == {}
    assert shown["dashboard"]["version"] + 1 == server.dashboards["accesstrail-sample-overview"]["dashboard"]["version"]


def test_what_grafana_adds_by_itself_is_no_drift(server: FakeGrafana, client: Grafana) -> None:
    publish(client, WANTED)
    stored = server.dashboards["accesstrail-one-actor"]["dashboard"]
    stored |= {"preload": False, "weekStart": ""}
    stored["panels"][0]["pluginVersion"] = "12.1.0"
    assert stored["timepicker"] == {}
    del stored["timepicker"]
    assert _drift(client) == {}


def test_a_dashboard_that_is_not_ours_is_never_written_over(server: FakeGrafana, client: Grafana) -> None:
    publish(client, WANTED)
    server.dashboards["accesstrail-one-actor"]["dashboard"] |= {"tags": ["theirs"], "title": "Theirs"}
    with pytest.raises(GrafanaConflict, match="not one of accesstrail"):
        publish(client, WANTED)
    assert server.dashboards["accesstrail-one-actor"]["dashboard"]["title"] == "Theirs"


def test_a_dashboard_that_changes_between_looking_and_writing_is_a_conflict(
    server: FakeGrafana, client: Grafana
) -> None:
    publish(client, WANTED)
    there = client.dashboard("accesstrail-one-actor")
    assert there is not None
    server.dashboards["accesstrail-one-actor"]["dashboard"]["version"] += 1
    with pytest.raises(GrafanaConflict, match="somebody else changed it"):
        client.save_dashboard(there["dashboard"], folder=FOLDER_UID, message="")


@pytest.mark.parametrize("kind", ["data source", "dashboard"])
def test_what_belongs_to_provisioning_files_is_left_to_them(server: FakeGrafana, client: Grafana, kind: str) -> None:
    publish(client, WANTED)
    if kind == "data source":
        server.data_sources[DATA_SOURCE_UID] |= {"readOnly": True, "name": "other"}
    else:
        server.dashboards["accesstrail-one-actor"]["meta"]["provisioned"] = True
        server.dashboards["accesstrail-one-actor"]["dashboard"]["title"] = "other"
    with pytest.raises(GrafanaConflict, match="provisioning files"):
        publish(client, WANTED)


# -- trouble

TROUBLES: list[tuple[int | str, type[AccesstrailError], str]] = [
    (400, UsageError, "grafana_refused"), (401, Forbidden, "grafana_token"), (403, Forbidden, "grafana_role"),
    (409, GrafanaConflict, "grafana_conflict"), (412, GrafanaConflict, "grafana_conflict"),
    (422, UsageError, "grafana_refused"), (429, Away, "grafana_busy"), (500, Away, "grafana_busy"),
    (503, Away, "grafana_busy"), ("number", Away, "grafana_busy"), ("garbage", Away, "grafana_garbage"),
    ("list", Away, "grafana_garbage"), ("deep", Away, "grafana_garbage"), ("redirect", Away, "grafana_garbage"),
    ("huge", Away, "grafana_garbage"), ("cut", Away, "grafana_away"), ("slow", Away, "grafana_slow"),
    ("trickle", Away, "grafana_slow"),
]  # fmt: skip


@pytest.mark.parametrize(("trouble", "kind", "code"), TROUBLES, ids=lambda one: str(one))
def test_every_trouble_is_a_clear_error_without_what_was_sent(
    server: FakeGrafana, token_file: Path, trouble: int | str, kind: type[AccesstrailError], code: str
) -> None:
    server.trouble = trouble
    client = Grafana(server.url, token_file, timeout_s=0.5 if trouble in ("slow", "trickle") else 5)
    for ask in (client.version, lambda: publish(client, WANTED)):
        with pytest.raises(AccesstrailError) as caught:
            ask()
        assert type(caught.value) is kind
        assert caught.value.code == code
        for secret in ("SECRET", PASSWORD, ADDRESS, TOKEN):
            assert secret not in str(caught.value)
            assert secret not in repr(caught.value.__context__)
            assert secret not in repr(caught.value.__cause__)


def test_what_is_not_there_is_said_and_looked_for_without_an_error(server: FakeGrafana, client: Grafana) -> None:
    assert client.folder("none") is None
    assert client.data_source("none") is None
    assert client.dashboard("none") is None
    assert client.rule_group("none", "none") is None
    with pytest.raises(UsageError, match="nothing there"):
        client.update_data_source("none", {"uid": "none"})


def test_a_server_that_is_gone_is_away(server: FakeGrafana, token_file: Path) -> None:
    with pytest.raises(Away, match="does not answer"):
        Grafana("http://127.0.0.1:9/", token_file, timeout_s=2).version()


def test_a_wrong_token_is_refused(server: FakeGrafana, tmp_path: Path) -> None:
    path = tmp_path / "wrong"
    path.write_text("another")
    path.chmod(0o600)
    with pytest.raises(Forbidden, match="does not know the token"):
        differences(Grafana(server.url, path), WANTED)


@pytest.mark.parametrize(
    ("version", "words"), [("11.5.9", "too old"), ("9.0.0-beta1", "too old"), ("", "does not tell"), ("x", "tell")]
)
def test_a_grafana_that_is_too_old_or_says_nothing_is_refused(
    server: FakeGrafana, client: Grafana, version: str, words: str
) -> None:
    server.version = version
    with pytest.raises(UsageError, match=words):
        client.version()


@pytest.mark.parametrize("version", ["11.6.0", "12.0.0-pre", "13.2.3+security-01"])
def test_a_grafana_that_is_new_enough_is_taken(server: FakeGrafana, client: Grafana, version: str) -> None:
    server.version = version
    assert client.version() == version


@pytest.mark.parametrize(
    "url",
    [
        "http://grafana.example.com", "http://10.0.0.1:3000", "ftp://127.0.0.1", "grafana", "", "https://",
        "https://user:pw@grafana.example.com", "https://grafana.example.com?x=1", "https://grafana.example.com#x",
        "http://127.0.0.1:99999", "http://127.0.0.1.example.com", "http://[::1",
    ],
)  # fmt: skip
def test_an_address_that_would_show_the_token_or_is_none_is_refused(url: str, token_file: Path) -> None:
    with pytest.raises(UsageError, match=r"\[grafana\] url"):
        Grafana(url, token_file)


@pytest.mark.parametrize(
    "url", ["https://g.example.com/x", "http://localhost:3000", "http://[::1]:3000", "http://127.0.0.2"]
)
def test_https_and_this_machine_are_taken(url: str, token_file: Path) -> None:
    Grafana(url, token_file)


@pytest.mark.parametrize(("content", "mode"), [("t", 0o644), ("", 0o600), ("two\nlines", 0o600)])
def test_a_token_that_others_may_read_or_that_is_none_is_refused(content: str, mode: int, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(UsageError, match="token"):
        Grafana("http://127.0.0.1:3000", path)


def test_neither_proxies_nor_netrc_of_the_environment_are_used(
    server: FakeGrafana, client: Grafana, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert client.version() == server.version


# -- routes


def test_every_route_the_adapter_may_ask_is_in_the_specification(specification: Specification) -> None:
    for method, template in ROUTES:
        path = re.sub(r"\{[^}]+\}", "x", template)
        assert specification.operation(method, path) is not None, (method, template)


def test_the_adapter_asks_nothing_else_and_no_route_by_number(server: FakeGrafana, client: Grafana) -> None:
    publish(client, WANTED)
    client.version()
    server.folders[FOLDER_UID]["title"] = "mine"
    server.data_sources[DATA_SOURCE_UID]["jsonData"]["port"] = 1
    server.contacts["accesstrail-contact"]["type"] = "email"
    publish(client, WANTED)
    named = {(method, re.sub(r"\{[^}]+\}", "{}", template)) for method, template in ROUTES}
    asked = {(method, re.sub(r"\{[^}]+\}", "{}", template)) for method, template in server.asked}
    assert asked == named


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/datasources/7"), ("PUT", "/datasources/7"), ("GET", "/folders/id/3"), ("GET", "/x")]
)
def test_the_test_server_knows_no_route_by_number(specification: Specification, method: str, path: str) -> None:
    assert specification.operation(method, path) is None


def test_the_test_server_refuses_what_the_specification_refuses(specification: Specification) -> None:
    def faults(method: str, path: str, body: Any) -> list[str]:
        found = specification.operation(method, path)
        assert found is not None
        return specification.faults(found[1], body)

    assert faults("POST", "/folders", {"title": 5}) != []
    assert faults("POST", "/folders", {"tilte": "x"}) == ["unknown key tilte"]
    assert faults("POST", "/folders", {"title": "x"}) == []
    assert faults("GET", "/health", {"x": 1}) == ["no body is taken"]
    rule: dict[str, Any] = {
        "orgID": 1, "folderUID": "f", "ruleGroup": "g", "title": "t", "condition": "A", "data": [],
        "noDataState": "OK", "execErrState": "OK", "for": "5m",
    }  # fmt: skip
    assert faults("POST", "/v1/provisioning/alert-rules", rule) == []
    for wrong in ({"noDataState": "Maybe"}, {"for": 5}, {"condition": None}):
        assert faults("POST", "/v1/provisioning/alert-rules", rule | wrong) != []
    assert faults("POST", "/v1/provisioning/contact-points", {"type": "carrier-pigeon", "settings": {}}) != []
