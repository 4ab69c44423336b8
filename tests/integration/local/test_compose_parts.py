"""The configuration that compose mounts, run on the local parts: its users on the engine, its properties on the broker.

Only addresses and paths are others than in the containers; the engine, which logs in as `default` from inside, gets
that user besides, as the local stack has it.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from deploy.compose_files import STORE_HTTP_PORT, STORE_PORT, kafka_properties, store_config_xml, store_users_xml
from deploy.local import clickhouse, jars, kafka
from deploy.local.configuration import prepare_folder
from deploy.local.files import private_folder
from deploy.local.process import accepts
from pipeline.adapters.kafka import TopicAdmin, topic_specs
from pipeline.config import load
from pipeline.roles import ROLES

pytestmark = pytest.mark.stack

_START_S = 120
AUTHENTICATION_FAILED = 516
NOT_ENOUGH_PRIVILEGES = 497


def free_ports(count: int) -> list[int]:
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in holders]
    for one in holders:
        one.close()
    return ports


@contextmanager
def child(command: list[str], folder: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """A process of this test's own, ended with it."""
    log = folder / "child.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        ends_s = time.monotonic() + _START_S
        while not ready():
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < ends_s, log.read_text()[-2000:]
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_the_stores_configuration_and_users_are_what_the_engine_takes(tmp_path: Path) -> None:
    state = prepare_folder(tmp_path / "state")
    native, http = free_ports(2)
    made = clickhouse.service(state, native, http)
    local_users = (made.folder / "users.xml").read_text()
    launcher = re.findall(r"<launcher>.*</launcher>|<default><password/>.*</default>", local_users)
    assert len(launcher) == 2
    users = store_users_xml(clickhouse.ensure_passwords(state))
    assert "<default><password/>" not in users
    users = users.replace("<default/>", f"<default/>{launcher[0]}", 1).replace("<users>", f"<users>{launcher[1]}")
    (made.folder / "users.xml").write_text(users)
    config = store_config_xml().replace("0.0.0.0", "127.0.0.1")  # noqa: S104  replaced, not bound
    config = config.replace(f">{STORE_PORT}<", f">{native}<").replace(f">{STORE_HTTP_PORT}<", f">{http}<")
    config = re.sub(r"<user_directories>.*</user_directories>", "<users_config>users.xml</users_config>", config)
    config = re.sub(r"  <(path|\w+_path)>.*</\1>\n", "", config)
    (made.folder / "config.xml").write_text(config)
    with child(list(made.command), made.folder, lambda: accepts(native) and accepts(http)):
        for role in ROLES:
            password = clickhouse.password_file(state, role.name).read_text()
            assert _code(native, role.name, password, "SELECT 1") == 0, role.name
            assert _code(native, role.name, "wrong", "SELECT 1") == AUTHENTICATION_FAILED, role.name
        secret = clickhouse.password_file(state, "grafana").read_text()
        assert _code(native, "grafana", secret, "SELECT 1 SETTINGS max_execution_time = 20") == 0
        assert _code(native, "grafana", secret, "SELECT * FROM system.users") == NOT_ENOUGH_PRIVILEGES


def _code(port: int, user: str, password: str, sql: str) -> int:
    client = Client("127.0.0.1", port=port, user=user, password=password)
    try:
        client.execute(sql)
    except ServerException as exc:
        return int(exc.code)
    finally:
        client.disconnect()
    return 0


def test_the_brokers_properties_are_what_kafka_takes(tmp_path: Path) -> None:
    home = private_folder(tmp_path / "kafka")
    port, machine, controller = free_ports(3)
    properties = home / "server.properties"
    # In a container a listener without a host is every address of it; here it must be this machine's.
    text = kafka_properties(
        host="127.0.0.1", port=port, machine_port=machine, controller_port=controller, data=str(home / "data")
    )
    properties.write_text(text.replace("://:", "://127.0.0.1:"))
    (home / "log4j2.properties").write_text(kafka._LOG4J)
    class_path = jars.ensure(jars.cache_folder(os.environ), jars.read_lock(), os.environ, progress=print)
    java = kafka._java(home, class_path)
    kafka._format(java, properties, home / "data")
    with child([*java, "kafka.Kafka", str(properties)], home, lambda: accepts(port) and accepts(machine)):
        settings = load(_config(tmp_path, f"127.0.0.1:{machine}"), {})
        admin = TopicAdmin(settings.kafka.bootstrap_servers)
        try:
            made = admin.create(topic_specs(settings.kafka), replication_factor=-1)
            assert "access.events" in made
            facts = admin.describe("access.events")
            assert facts is not None
            assert facts.partitions == settings.kafka.partitions
            assert admin.configs("access.events")["message.timestamp.type"] == "LogAppendTime"
        finally:
            admin.close()


def _config(folder: Path, bootstrap: str) -> Path:
    secret = folder / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    roles = "\n".join(f'{one}_password_file = "secret"' for one in ("migrator", "writer", "reader"))
    path = folder / "config.toml"
    path.write_text(
        f'[kafka]\nbootstrap_servers = "{bootstrap}"\npartitions = 3\n[clickhouse]\n{roles}\n'
        '[protection]\ntoken_keys_file = "secret"\n[detection]\ndirectory = "."\n'
    )
    return path
