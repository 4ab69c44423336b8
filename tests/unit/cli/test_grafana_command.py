"""`accesstrail dashboards export | provision | publish | diff`: files and a Grafana made from its specification."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dashboards.panels.boards import BOARDS
from pipeline.cli import main
from tests.grafana_server import TOKEN, FakeGrafana, Specification, serving

_CONFIG = """
[kafka]
bootstrap_servers = "127.0.0.1:9"
[clickhouse]
host = "store.example.com"
migrator_password_file = "password"
writer_password_file = "password"
reader_password_file = "password"
{role}
[protection]
token_keys_file = "password"
[detection]
directory = "."
[grafana]
{grafana}
"""
PASSWORD = "the-stores-password"


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["dashboards", *words])
    said = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, said.out, said.err


@pytest.fixture
def server(real_data: Path) -> Iterator[FakeGrafana]:
    with serving(Specification(real_data)) as grafana:
        yield grafana
        assert grafana.refused == []


def _configured(folder: Path, grafana: str, role: str = 'grafana_password_file = "password"') -> str:
    for name, content in (("password", PASSWORD), ("token", TOKEN), ("contact", "oncall@example.com")):
        path = folder / name
        path.write_text(content)
        path.chmod(0o600)
    path = folder / "config.toml"
    path.write_text(_CONFIG.format(grafana=grafana, role=role))
    return str(path)


@pytest.fixture
def config(server: FakeGrafana, tmp_path: Path) -> str:
    lines = f'url = "{server.url}"\ntoken_file = "token"\ncontact = "email"\ncontact_file = "contact"'
    return _configured(tmp_path, lines)


# -- files


def test_export_writes_one_json_file_a_board(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "new" / "boards"
    code, said, _ = _run(capsys, "export", "--out", str(out))
    assert code == 0
    assert {path.name for path in out.iterdir()} == {f"{one.uid}.json" for one in BOARDS}
    assert sorted(said.split()) == sorted(str(path) for path in out.iterdir())
    for path in out.iterdir():
        built = json.loads(path.read_text(encoding="utf-8"))
        assert built["uid"] == f"accesstrail-{path.stem}"
        assert built["timezone"] == "Asia/Shanghai"


def test_export_in_two_languages_and_another_zone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["export", "--out", str(tmp_path), "--language", "zh", "--language", "en", "--zone", "Europe/Berlin"]
    code, said, _ = _run(capsys, *words, "--json")
    assert code == 0
    assert len([json.loads(line)["file"] for line in said.splitlines()]) == 2 * len(BOARDS)
    built = json.loads((tmp_path / "actor.zh.json").read_text(encoding="utf-8"))
    assert (built["uid"], built["timezone"]) == ("accesstrail-actor-zh", "Europe/Berlin")


def test_a_zone_there_is_not_and_a_folder_that_cannot_be_made_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, error = _run(capsys, "export", "--out", str(tmp_path), "--zone", "Mars/Olympus")
    assert (code, "no such time zone" in error) == (2, True)
    (tmp_path / "file").write_text("")
    code, _, error = _run(capsys, "export", "--out", str(tmp_path / "file" / "x"))
    assert (code, "cannot be written" in error) == (2, True)


def test_provision_writes_what_compose_mounts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [
        "--contact",
        "email",
        "--store-host",
        "ch",
        "--store-port",
        "9440",
        "--store-tls",
        "--silence-after",
        "3600",
    ]
    code, _, _ = _run(capsys, "provision", "--out", str(tmp_path), *words)
    assert code == 0
    source = yaml.safe_load((tmp_path / "datasources" / "accesstrail.yaml").read_text())["datasources"][0]["jsonData"]
    assert (source["host"], source["port"], source["secure"]) == ("ch", 9440, True)
    alerting = yaml.safe_load((tmp_path / "alerting" / "accesstrail.yaml").read_text())
    assert (
        alerting["contactPoints"][0]["receivers"][0]["settings"]["addresses"] == "$__file{/run/secrets/grafana-contact}"
    )
    silence = next(one for one in alerting["groups"][0]["rules"] if one["uid"] == "accesstrail-silence")
    assert silence["data"][1]["model"]["conditions"][0]["evaluator"]["params"] == [3600]
    assert len(list((tmp_path / "dashboards").glob("*.json"))) == len(BOARDS)
    assert not list(tmp_path.rglob(".*"))


# -- a Grafana


def test_publish_then_diff_then_drift(
    server: FakeGrafana, config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, said, _ = _run(capsys, "diff", "--config", config)
    assert (code, said.split()[:2]) == (1, ["missing", "folder"])
    assert server.writes == []
    code, said, _ = _run(capsys, "publish", "--config", config)
    assert code == 0
    assert {line.split()[0] for line in said.splitlines()} == {"created", "updated"}
    code, said, _ = _run(capsys, "diff", "--config", config)
    assert (code, {line.split()[0] for line in said.splitlines()}) == (0, {"same"})
    code, said, _ = _run(capsys, "publish", "--config", config, "--json")
    assert {json.loads(line)["state"] for line in said.splitlines()} == {"unchanged"}
    server.dashboards["accesstrail-actor"]["dashboard"]["title"] = "Mine"
    code, said, _ = _run(capsys, "diff", "--config", config, "--json")
    changed = [json.loads(line) for line in said.splitlines() if json.loads(line)["state"] == "differs"]
    assert code == 1
    assert changed == [{"kind": "dashboard", "name": "actor (en)", "state": "differs", "places": ["title"]}]
    code, said, _ = _run(capsys, "diff", "--config", config)
    assert "differs    dashboard actor (en)\n           title\n" in said
    (source,) = server.data_sources.values()
    assert (source["jsonData"]["host"], source["jsonData"]["port"]) == ("store.example.com", 9000)


def test_the_password_is_sent_again_when_asked(
    server: FakeGrafana, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(capsys, "publish", "--config", config)
    code, said, _ = _run(capsys, "publish", "--config", config, "--renew-password")
    assert code == 0
    assert server.passwords == [PASSWORD, PASSWORD]
    assert PASSWORD not in said


@pytest.mark.parametrize(
    ("trouble", "code", "name"), [(401, 77, "grafana_token"), (500, 69, "grafana_busy"), (400, 2, "grafana_refused")]
)
def test_trouble_is_an_exit_code_and_says_no_secret(
    server: FakeGrafana, config: str, capsys: pytest.CaptureFixture[str], trouble: int, code: int, name: str
) -> None:
    server.trouble = trouble
    found, said, error = _run(capsys, "publish", "--config", config, "--json")
    assert (found, json.loads(error)["error"]) == (code, name)
    assert not any(secret in said + error for secret in (PASSWORD, TOKEN, "SECRET"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "url and token_file are missing"),
        ('url = "https://g.example.com"', "token_file is missing"),
        ('url = "https://g.example.com"\ntoken_file = "none"', "no file at"),
        ('contact = "email"', "contact_file is missing"),
        ('contact = "pigeon"', "must be one of none, email, webhook"),
        ('viewers = "nobody"', "must be one of editors, everyone"),
    ],
)
def test_a_configuration_that_does_not_say_where_to_is_refused(
    lines: str, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, error = _run(capsys, "publish", "--config", _configured(tmp_path, lines))
    assert (code, words in error) == (78, True), error


def test_without_the_roles_password_nothing_is_published(
    server: FakeGrafana, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = _configured(tmp_path, f'url = "{server.url}"\ntoken_file = "token"', role="")
    code, _, error = _run(capsys, "publish", "--config", config)
    assert (code, "grafana_password_file is missing" in error) == (78, True)
    assert server.asked == []
