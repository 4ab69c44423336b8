"""The state folder: made once, private, never overwritten."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.configuration import VAULT_KEYS, choose_ports, config_file, prepare_folder, settings, write_config
from deploy.local.files import require_space, unwritable, write_secret, write_text
from deploy.local.ports import Ports, PortWish, choose
from pipeline.cli.stack_run import StackOptions, model_key, model_keys
from pipeline.config import GRAFANA, NOTARY, RESPONDER, RETENTION, SCHEDULER, VAULT
from pipeline.config import ROLES as CONFIGURED_ROLES
from pipeline.errors import ConfigError, LocalStackError
from pipeline.ledger.signed_note import load_public_keys
from pipeline.privacy.keys import Keyring
from pipeline.roles import ROLES

PORTS = Ports(kafka=20_001, kafka_controller=20_002, clickhouse_native=20_003, clickhouse_http=20_004)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return prepare_folder(tmp_path / "state")


@pytest.fixture
def listener() -> socket.socket:
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    holder.listen(1)
    return holder


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_gives_settings_that_are_accepted(state: Path) -> None:
    write_config(state, PORTS, partitions=3)
    made = settings(state, {})
    assert made.state_dir == state
    assert made.kafka.bootstrap_servers == "127.0.0.1:20001"
    assert made.kafka.partitions == 3
    assert (made.clickhouse.native_port, made.clickhouse.http_port) == (20_003, 20_004)
    assert made.detection.model == state / "model"
    assert made.detection.directory == state / "directory"
    assert set(made.clickhouse.password_files) == {
        *CONFIGURED_ROLES,
        SCHEDULER,
        RESPONDER,
        NOTARY,
        VAULT,
        RETENTION,
        GRAFANA,
    }


def test_a_new_configuration_asks_for_signed_models_only_where_that_is_wanted(state: Path) -> None:
    model_keys(state)
    write_config(state, PORTS)
    assert settings(state, {}).detection.model_public_keys is None
    config_file(state).unlink()
    write_config(state, PORTS, signed_models=True)
    assert settings(state, {}).detection.model_public_keys == state / "keys" / "model.pub"
    assert model_key(state).public in load_public_keys(state / "keys" / "model.pub")
    model_keys(state)  # a second start changes nothing
    assert model_key(state).public in load_public_keys(state / "keys" / "model.pub")
    assert _mode(state / "keys" / "model.key") == 0o600
    assert "--signed-models" in StackOptions(signed_models=True).arguments()
    assert "--signed-models" not in StackOptions().arguments()


def test_keys_that_models_must_be_signed_with_have_to_be_there(state: Path) -> None:
    write_config(state, PORTS, signed_models=True)
    with pytest.raises(ConfigError, match=r"model_public_keys: no file"):
        settings(state, {})


@pytest.mark.parametrize("later", [(RESPONDER,), (SCHEDULER, RESPONDER), (NOTARY,), (RETENTION,)])
def test_a_configuration_from_before_a_role_is_still_accepted(state: Path, later: tuple[str, ...]) -> None:
    write_config(state, PORTS)
    lines = config_file(state).read_text(encoding="utf-8").splitlines(keepends=True)
    config_file(state).write_text("".join(line for line in lines if not any(one in line for one in later)), "utf-8")
    found = set(settings(state, {}).clickhouse.password_files)
    assert found == {*CONFIGURED_ROLES, SCHEDULER, RESPONDER, NOTARY, VAULT, RETENTION, GRAFANA} - set(later)


def test_the_roles_of_the_matrix_are_those_of_the_configuration() -> None:
    assert {role.name for role in ROLES} == {*CONFIGURED_ROLES, SCHEDULER, RESPONDER, NOTARY, VAULT, RETENTION, GRAFANA}


def test_secrets_can_be_read_by_their_owner_only_and_hold_nothing_but_the_secret(state: Path) -> None:
    write_config(state, PORTS)
    files = [*(state / "secrets").iterdir(), state / "keys" / "tokens.json", state / VAULT_KEYS, config_file(state)]
    assert len(files) == len(ROLES) + 3
    assert {_mode(path) for path in files} == {0o600}
    assert {_mode(path) for path in (state, state / "secrets", state / "keys")} == {0o700}
    passwords = [path.read_text() for path in (state / "secrets").iterdir()]
    assert len(set(passwords)) == len(ROLES)
    assert all(len(password) >= 32 and password == password.strip() for password in passwords)


def test_the_token_keys_are_in_the_form_the_keyring_reads(state: Path) -> None:
    keyring = Keyring.load(state / "keys" / "tokens.json")
    assert len(keyring.key(1).secret) == 32


def test_preparing_again_keeps_keys_passwords_and_directory(state: Path) -> None:
    (state / "directory" / "actors.csv").write_text("actor_id\n")
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    prepare_folder(state)
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_a_users_edits_stay_and_only_addresses_are_rewritten(state: Path) -> None:
    write_config(state, PORTS)
    path = config_file(state)
    edited = path.read_text().replace("[detection]\n", '[detection]\ndefault_time_zone = "UTC"  # we think in it\n')
    path.write_text(edited)
    write_config(state, Ports(kafka=30_001, kafka_controller=1, clickhouse_native=30_003, clickhouse_http=30_004))
    assert path.read_text() == (edited.replace("20001", "30001").replace("20003", "30003").replace("20004", "30004"))
    assert settings(state, {}).detection.default_time_zone == "UTC"


def test_a_configuration_without_its_addresses_is_refused_and_left_alone(state: Path) -> None:
    write_config(state, PORTS)
    broken = config_file(state).read_text().replace("native_port", "# native_port")
    config_file(state).write_text(broken)
    with pytest.raises(LocalStackError, match=r"\[clickhouse\] native_port"):
        write_config(state, PORTS)
    assert config_file(state).read_text() == broken


def test_the_last_ports_are_chosen_again_when_they_are_free(state: Path) -> None:
    first = choose_ports(state)
    write_config(state, first)
    again = choose_ports(state)
    assert (again.kafka, again.clickhouse_native, again.clickhouse_http) == (
        first.kafka,
        first.clickhouse_native,
        first.clickhouse_http,
    )


def test_a_last_port_that_is_taken_gives_way_to_another(state: Path, listener: socket.socket) -> None:
    taken = listener.getsockname()[1]
    write_config(state, Ports(kafka=taken, kafka_controller=1, clickhouse_native=20_003, clickhouse_http=20_004))
    assert choose_ports(state).kafka != taken
    listener.close()


def test_an_asked_port_that_is_taken_is_an_error_that_says_what_to_do(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]
    with pytest.raises(LocalStackError, match=f"port {taken} is taken.*--kafka-port") as caught:
        choose((PortWish("--kafka-port", asked=taken),))
    assert caught.value.code == "port_taken"
    listener.close()


def test_chosen_ports_are_distinct_and_a_remembered_one_is_not_given_to_another() -> None:
    (remembered,) = choose((PortWish("a"),))
    wishes = (*(PortWish("x") for _ in range(20)), PortWish("y", last=remembered))
    chosen = choose(wishes)
    assert len(set(chosen)) == 21
    assert chosen[-1] == remembered


def test_a_path_that_the_servers_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="may not hold ','"):
        prepare_folder(tmp_path / "a,b")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_with_too_little_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="Make room") as caught:
        require_space(tmp_path, minimum_bytes=1 << 62)
    assert caught.value.code == "disk_full"


def test_a_full_disk_while_writing_is_named() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space") as refused:
        full.write(b"x")
    error = unwritable(Path("somewhere"), refused.value)
    assert error.code == "disk_full"
    assert "disk is full" in str(error)


def test_a_disk_that_fills_up_leaves_no_empty_secret_behind(tmp_path: Path) -> None:
    """An empty password would open a role to everybody at the next start."""
    state = tmp_path / "state"
    script = f"""
import resource
from pathlib import Path
from deploy.local.configuration import prepare_folder
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
prepare_folder(Path({str(state)!r}))
"""
    failed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert failed.returncode != 0
    assert "LocalStackError" in failed.stderr
    assert list((state / "keys").iterdir()) == []
    prepare_folder(state)
    assert len(list((state / "secrets").iterdir())) == len(ROLES)
    assert all(path.stat().st_size > 20 for path in (state / "secrets").iterdir())
    Keyring.load(state / "keys" / "tokens.json")


def test_a_password_file_that_was_emptied_is_refused(state: Path) -> None:
    path = state / "secrets" / "clickhouse-reader"
    path.write_text("\n")
    with pytest.raises(LocalStackError, match="clickhouse-reader holds no password: remove the file"):
        prepare_folder(state)
    path.unlink()
    prepare_folder(state)
    assert path.read_text() != ""


def test_of_two_that_write_one_secret_the_first_wins(tmp_path: Path) -> None:
    write_secret(tmp_path / "secret", "first")
    write_secret(tmp_path / "secret", "second")
    assert (tmp_path / "secret").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalStackError, match="cannot be written"):
        write_text(tmp_path / "file" / "below", "x")


def test_a_folder_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match=f"accesstrail up --state {tmp_path}"):
        settings(tmp_path, {})


def test_the_key_file_states_its_version_and_when_it_was_made(state: Path) -> None:
    document = json.loads((state / "keys" / "tokens.json").read_text())
    assert document["version"] == 1
    assert document["keys"][0]["id"] == 1
    assert document["keys"][0]["created_at"].endswith("+00:00")
