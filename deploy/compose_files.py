"""What `deploy/compose.yaml` mounts, as texts: configuration of accesstrail, ClickHouse and Kafka, and its variables.

Place in the flow: written by `accesstrail compose`. Pure. The roles are those of `pipeline.roles`, the same that the
local stack has; no file holds a password, each names the file with it. One machine, one private network between the
containers: traffic on it is not encrypted.
"""

from __future__ import annotations

from collections.abc import Mapping

from deploy.local.clickhouse import GUARDS
from pipeline.roles import PRIVATE_NETWORKS, ROLES, render_server_users_xml

SECRETS = "/run/secrets"
"""Where compose puts secrets, each as a file, into the containers that are to have it."""
PARTITIONS = 8
KAFKA_PORT, KAFKA_HOST_PORT, KAFKA_CONTROLLER_PORT = 9092, 19092, 9093
STORE_PORT, STORE_HTTP_PORT = 9000, 8123
_MAX_RECORD_BYTES = (1 << 20) + 64 * 1024
_CONFIG = """# Made by `accesstrail compose`, which keeps it as you edit it. Paths are those in the containers.

[accesstrail]
state_dir = "{state}"

[kafka]
bootstrap_servers = "{kafka}"
# Fixed when the topics are created.
partitions = {partitions}

[clickhouse]
host = "{store_host}"
native_port = {store_port}
http_port = {store_http_port}
{password_files}

[protection]
token_keys_file = "{secrets}/token-keys"
vault_keys_file = "{secrets}/vault-keys"

[detection]
directory = "{directory}"
# Made by `accesstrail train`; until there is one, events are stored unscored.
model = "{state}/model"
default_time_zone = "{zone}"

[ledger]
deployment = "accesstrail"
# A folder that only the notary's container has.
signing_key_file = "{ledger}/signing-key"
public_keys_file = "{ledger}/ledger.pub"

# Outside the store, but not outside this machine: docs/guides/evidence-keys.md says what to add.
[ledger.anchors.file]
kind = "file"
file = "{ledger}/anchors/checkpoints.notes"

[health]
host = "127.0.0.1"
"""
_STORE = """<clickhouse>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>0.0.0.0</listen_host>
  <tcp_port>{store_port}</tcp_port>
  <http_port>{store_http_port}</http_port>
  <path>/var/lib/clickhouse/</path>
  <tmp_path>/var/lib/clickhouse/tmp/</tmp_path>
  <user_files_path>/var/lib/clickhouse/user_files/</user_files_path>
  <format_schema_path>/var/lib/clickhouse/format_schemas/</format_schema_path>
  <user_directories><users_xml><path>/etc/accesstrail/clickhouse/users.xml</path></users_xml></user_directories>
  <default_profile>default</default_profile>
  <max_server_memory_usage>{memory_bytes}</max_server_memory_usage>
  <mark_cache_size>{mark_cache_bytes}</mark_cache_size>
{guards}</clickhouse>
""".replace("{guards}", GUARDS)
_KAFKA = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=INSIDE://:{port},MACHINE://:{machine_port},CONTROLLER://:{controller_port}
advertised.listeners=INSIDE://{host}:{port},MACHINE://127.0.0.1:{machine_port}
listener.security.protocol.map=INSIDE:PLAINTEXT,MACHINE:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INSIDE
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=6000
log.message.timestamp.type=LogAppendTime
message.max.bytes={max_record_bytes}
replica.fetch.max.bytes={max_record_bytes}
socket.request.max.bytes=16777216
"""


def config_toml(
    *,
    zone: str,
    secrets: str = SECRETS,
    state: str = "/var/lib/accesstrail",
    directory: str = "/etc/accesstrail/directory",
    ledger: str = "/var/lib/accesstrail-ledger",
    kafka: str = f"kafka:{KAFKA_PORT}",
    store_host: str = "clickhouse",
    store_port: int = STORE_PORT,
) -> str:
    """The configuration of every process of ours."""
    # The role grafana is Grafana's alone: no process here gets its password.
    roles = [role.name for role in ROLES if role.name != "grafana"]
    return _CONFIG.format(
        state=state, kafka=kafka, partitions=PARTITIONS, store_host=store_host, store_port=store_port,
        store_http_port=STORE_HTTP_PORT, secrets=secrets, directory=directory, zone=zone, ledger=ledger,
        password_files="\n".join(f'{role}_password_file = "{secrets}/clickhouse-{role}"' for role in roles),
    )  # fmt: skip


def store_config_xml() -> str:
    """The ClickHouse server's configuration; it logs no statement, since statements may name people."""
    return _STORE.format(
        store_port=STORE_PORT, store_http_port=STORE_HTTP_PORT, memory_bytes=4 << 30, mark_cache_bytes=128 << 20,
        keep_free_bytes=128 << 20,
    )  # fmt: skip


def store_users_xml(password_sha256_hex: Mapping[str, str]) -> str:
    """Its users: the roles, from the containers' own network only."""
    return render_server_users_xml(password_sha256_hex, networks=PRIVATE_NETWORKS)


def kafka_properties(
    *, host: str = "kafka", port: int = KAFKA_PORT, machine_port: int = KAFKA_HOST_PORT,
    controller_port: int = KAFKA_CONTROLLER_PORT, data: str = "/var/lib/kafka/data",
) -> str:  # fmt: skip
    """The broker's properties: one KRaft node; a second listener for producers on this machine."""
    return _KAFKA.format(
        host=host, port=port, machine_port=machine_port, controller_port=controller_port, data=data,
        max_record_bytes=_MAX_RECORD_BYTES,
    )  # fmt: skip


def compose_env(folder: str, user: str, cluster_id: str) -> str:
    """Variables of `compose.yaml`: which folder, as whom, which Kafka cluster. `user`: UID:GID."""
    lines = {"ACCESSTRAIL_DIR": folder, "ACCESSTRAIL_USER": user, "KAFKA_CLUSTER_ID": cluster_id}
    return "".join(f"{name}={text}\n" for name, text in lines.items())
