"""compose.yaml, Dockerfile and the folder they need: valid by the published schema, and closed where they must be.

`compose-spec.schema.json` is the Compose Specification's (compose-spec/compose-spec, Apache License 2.0) as of 2021,
unchanged; the one key that is newer is taken out before.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

from deploy.compose_files import config_toml, kafka_properties, store_config_xml
from pipeline.cli import COMMANDS, main
from pipeline.config import ROLES as CONFIGURED
from pipeline.config import load
from pipeline.roles import ROLES
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "deploy"
PROGRAMS = ("worker", "scheduler", "responder", "notary", "console", "schema", "topics")


def expanded(text: str, variables: dict[str, str]) -> str:
    """Compose's variables: ${A}, ${A:-default}, ${A:?message}; $$ is a dollar."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name, mark, rest = found[1], found[2], found[3]
        if name in variables:
            return variables[name]
        assert mark == ":-", f"{name} is not set"
        return rest

    return re.sub(r"\$\$|\$\{(\w+)(:-|:\?)?([^}]*)\}", value, text)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The folder as `accesstrail compose` makes it."""
    out = tmp_path / "run"
    assert _compose("--out", str(out)) == 0
    return out


def _compose(*words: str) -> int:
    if os.geteuid() == 0 and "--user" not in words:
        words += ("--user", "10001:10001")
    with pytest.raises(SystemExit) as caught:
        main(["compose", *words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def project(made: Path) -> dict[str, Any]:
    """compose.yaml as compose sees it with the made folder's variables."""
    lines = (made / "compose.env").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines)
    found = yaml.safe_load(expanded((FOLDER / "compose.yaml").read_text(encoding="utf-8"), variables))
    assert isinstance(found, dict)
    return found


# -- compose.yaml


def test_the_file_is_valid_by_the_compose_specification(project: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.schema.json").read_text())
    assert project["name"] == "accesstrail"
    older = {key: value for key, value in project.items() if key != "name"}
    found = list(jsonschema.Draft7Validator(schema).iter_errors(older))
    assert [f"{'/'.join(map(str, one.absolute_path))}: {one.message[:200]}" for one in found] == []
    assert set(project["services"]) == {"kafka", "clickhouse", "grafana", *PROGRAMS}


def test_no_container_has_more_rights_than_it_needs(project: dict[str, Any], made: Path) -> None:
    user = (made / "compose.env").read_text().split("ACCESSTRAIL_USER=")[1].split()[0]
    assert not user.startswith("0:")
    for name, service in project["services"].items():
        assert service["user"] == user, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "network_mode", "pid", "devices", "cap_add"} & set(service), name
        assert "docker.sock" not in json.dumps(service), name


def test_ports_are_published_on_this_machine_only(project: dict[str, Any]) -> None:
    published = {name: one["ports"] for name, one in project["services"].items() if "ports" in one}
    assert set(published) == {"kafka", "console", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert project["networks"]["inside"] == {"internal": True}
    assert project["services"]["clickhouse"]["networks"] == ["inside"]
    assert project["services"]["worker"]["networks"] == ["inside"]


def test_a_secret_is_a_file_and_in_no_container_that_does_without_it(project: dict[str, Any], made: Path) -> None:
    held = {name: set(one.get("secrets", ())) for name, one in project["services"].items()}
    of_ours = {"token-keys", "vault-keys", *(f"clickhouse-{role.name}" for role in ROLES if role.name != "grafana")}
    for name in PROGRAMS:
        assert held[name] == of_ours, name
    assert held["grafana"] == {"grafana-admin", "clickhouse-grafana", "grafana-contact"}
    assert held["kafka"] == held["clickhouse"] == set()
    for name, one in project["secrets"].items():
        path = Path(one["file"])
        assert path.parent == made / "secrets"
        assert path.is_file(), name
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text().strip() not in (FOLDER / "compose.yaml").read_text() or name == "grafana-contact"
    for service in project["services"].values():
        for key in service.get("environment", {}):
            assert "PASSWORD" not in key or key.endswith("__FILE")


def test_everything_that_is_mounted_is_made_by_the_command(project: dict[str, Any], made: Path) -> None:
    for name, service in project["services"].items():
        for volume in service.get("volumes", ()):
            source = Path(volume.split(":")[0])
            assert source.is_relative_to(made), (name, volume)
            assert source.exists(), (name, volume)


def test_each_part_is_looked_after_and_starts_after_what_it_needs(project: dict[str, Any]) -> None:
    services = project["services"]
    for name, service in services.items():
        assert "healthcheck" in service, name
        for other, condition in service.get("depends_on", {}).items():
            once = services[other]["restart"] == "no"
            assert condition["condition"] == ("service_completed_successfully" if once else "service_healthy")
    assert {name for name, one in services.items() if one["restart"] == "no"} == {"schema", "topics"}
    assert set(services["worker"]["depends_on"]) == {"schema", "topics"}


def test_processes_share_their_status_files_and_each_asks_only_after_its_own(project: dict[str, Any]) -> None:
    """With files apart the console said for ever that no worker runs."""
    for kind in ("worker", "scheduler", "responder", "notary"):
        assert project["services"][kind]["healthcheck"]["test"][-2:] == ["/var/lib/accesstrail/run", kind]
    for kind in ("worker", "scheduler", "responder", "notary", "console"):
        service = project["services"][kind]
        assert service["tmpfs"] == ["/tmp"]  # noqa: S108  a folder of the container
        assert any(str(one).endswith("/state:/var/lib/accesstrail") for one in service["volumes"])


def test_the_programs_are_commands_that_there_are(project: dict[str, Any]) -> None:
    for name in PROGRAMS:
        command = project["services"][name]["command"]
        assert command[0] in COMMANDS, name
    assert project["services"]["schema"]["command"] == ["migrate", "--apply"]
    assert project["services"]["topics"]["command"] == ["topics", "create"]


# -- the folder


def test_the_folder_is_private_and_its_passwords_are_drawn(made: Path) -> None:
    passwords = {path.name: path.read_text().strip() for path in (made / "secrets").iterdir()}
    assert len({passwords[name] for name in passwords}) == len(passwords)
    assert all(len(text) >= 32 for name, text in passwords.items() if name != "grafana-contact")
    for path in (made, *made.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    texts = [path.read_text() for path in made.rglob("*") if path.is_file() and path.parent.name != "secrets"]
    secret = [text for name, text in passwords.items() if name not in ("grafana-contact", "token-keys", "vault-keys")]
    assert not [one for one in secret for text in texts if one in text]


def test_a_second_time_keeps_secrets_configuration_and_the_cluster(made: Path) -> None:
    (made / "accesstrail" / "config.toml").write_text("# mine\n")
    kept = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    (made / "grafana" / "provisioning" / "dashboards" / "gone.json").write_text("{}")
    assert _compose("--out", str(made)) == 0
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == kept


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to somebody else")
def test_root_makes_it_for_somebody_else(tmp_path: Path) -> None:
    assert _compose("--out", str(tmp_path / "run"), "--user", "10001:10002") == 0
    for path in (tmp_path / "run", *(tmp_path / "run").rglob("*")):
        assert (path.stat().st_uid, path.stat().st_gid) == (10001, 10002)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--user", "0:0"], "do not run as root"),
        (["--user", "root"], "UID:GID"),
        (["--contact", "email"], "takes --contact-file"),
        (["--zone", "Mars/Olympus"], "no such time zone"),
    ],
)
def test_what_would_not_work_is_refused(
    words: list[str], fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compose("--out", str(tmp_path / "run"), *words) == 2
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_path_that_compose_would_take_apart_is_refused(tmp_path: Path) -> None:
    assert _compose("--out", str(tmp_path / "a b")) == 2


def test_an_address_goes_into_a_file_and_grafana_is_told_of_it(tmp_path: Path) -> None:
    address = tmp_path / "address"
    address.write_text("oncall@example.com\n")
    address.chmod(0o600)
    assert _compose("--out", str(tmp_path / "run"), "--contact", "email", "--contact-file", str(address)) == 0
    assert (tmp_path / "run" / "secrets" / "grafana-contact").read_text() == "oncall@example.com\n"
    alerting = (tmp_path / "run" / "grafana" / "provisioning" / "alerting" / "accesstrail.yaml").read_text()
    assert "$__file{/run/secrets/grafana-contact}" in alerting
    assert "oncall@example.com" not in alerting


def test_the_configuration_is_accepted_with_the_folders_own_secrets(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = config_toml(
        zone="Asia/Shanghai", secrets=str(made / "secrets"), state=str(made / "state"),
        directory=str(made / "directory"),
    )  # fmt: skip
    there = tomllib.loads((made / "accesstrail" / "config.toml").read_text())
    here = tomllib.loads(text)
    assert {section: set(keys) for section, keys in there.items()} == {
        section: set(keys) for section, keys in here.items()
    }
    path = tmp_path / "config.toml"
    path.write_text(text)
    settings = load(path, {})
    assert set(settings.clickhouse.password_files) == {
        *CONFIGURED,
        "scheduler",
        "responder",
        "notary",
        "vault",
        "retention",
    }
    with pytest.raises(SystemExit) as caught:
        main(["check", "--config", str(path), "--json"])
    states = {one["what"]: one["state"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert caught.value.code in (0, None)
    assert states["token keys"] == states["configuration"] == states["directory"] == "ok"


def test_the_stores_users_are_the_roles_and_nobody_else(made: Path) -> None:
    users = ElementTree.fromstring(  # noqa: S314  our own
        (made / "clickhouse" / "users.xml").read_text()
    )
    found = {user.tag: {ip.text for ip in user.iter("ip")} for user in users.find("users") or ()}
    assert set(found) == {role.name for role in ROLES}
    assert all("::/0" not in networks and "0.0.0.0/0" not in networks for networks in found.values())
    config = ElementTree.fromstring(store_config_xml())  # noqa: S314
    assert config.findtext("user_directories/users_xml/path") == "/etc/accesstrail/clickhouse/users.xml"
    # A log of statements would name people.
    assert config.find("query_log") is None


def test_the_broker_makes_no_topic_by_accident_and_stamps_records_itself() -> None:
    found = dict(line.split("=", 1) for line in kafka_properties().splitlines())
    assert found["auto.create.topics.enable"] == "false"
    assert found["log.message.timestamp.type"] == "LogAppendTime"
    assert found["advertised.listeners"] == "INSIDE://kafka:9092,MACHINE://127.0.0.1:19092"


# -- Dockerfile


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"(?m)^\s*#.*\n", "", (FOLDER / "Dockerfile").read_text())
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def test_the_image_runs_as_nobody_special_with_locked_packages_and_no_secret() -> None:
    found = _instructions()
    assert {name for name, _ in found} <= {"FROM", "ENV", "RUN", "COPY", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}
    users = [rest for name, rest in found if name == "USER"]
    assert users == ["10001:10001"]
    assert [name for name, _ in found].index("USER") < [name for name, _ in found].index("ENTRYPOINT")
    installs = [rest for name, rest in found if name == "RUN" and "pip install" in rest]
    assert all("--require-hashes" in rest or "--no-deps" in rest for rest in installs)
    assert all(":latest" not in rest and (":" in rest or rest == "build") for name, rest in found if name == "FROM")
    assert "PASSWORD" not in (FOLDER / "Dockerfile").read_text().upper()


def test_what_the_image_is_made_of_is_there_and_let_through_to_the_builder() -> None:
    let = {line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set()
    for name, rest in _instructions():
        words = shlex.split(rest)
        if name == "COPY" and not words[0].startswith("--from"):
            copied |= set(words[:-1])
    assert copied == let
    for one in copied:
        assert (REPOSITORY / one).exists(), one
