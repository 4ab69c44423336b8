"""The state folder: keys, directory and configuration of a local stack; made once, never overwritten.

STATE/                0700
  config.toml         what every command reads; ours are only its addresses, the rest is the user's to edit
  keys/tokens.json    0600, the secret behind every token: made once, never replaced
  keys/vault.json     0600, wraps the keys of identities: made once, never replaced
  keys/model.key      0600, signs models; keys/model.pub is its public half: made once, never replaced
  keys/ledger.pub     public keys of the ledger's checkpoints, one a line; the private one is a secret:
                      secrets/ledger-signing-key, 0600, made once
  secrets/            0600 each, one password a role
  directory/          what enrichment knows (may be empty)
  model/              what `accesstrail train` writes (may be absent: events are stored unscored)
  kafka/ clickhouse/  the data
  logs/ run/          logs, and what runs now
"""

from __future__ import annotations

import json
import re
import secrets
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.clickhouse import ensure_passwords, password_file
from deploy.local.files import private_folder, require_space, write_secret, write_text
from deploy.local.ports import Ports, PortWish, choose
from deploy.local.process import LOOPBACK
from pipeline.config import Settings, load
from pipeline.errors import LocalStackError
from pipeline.roles import ROLES

DEFAULT_PARTITIONS = 8
LEDGER_KEY, LEDGER_PUBLIC_KEYS = "secrets/ledger-signing-key", "keys/ledger.pub"
VAULT_KEYS = "keys/vault.json"
LEDGER_ANCHOR = "anchors/checkpoints.notes"
MODEL_KEY, MODEL_PUBLIC_KEYS = "keys/model.key", "keys/model.pub"
# Each of these means something to Java's class path, Kafka's log.dirs, log4j's patterns or an SQL literal.
_UNUSABLE = frozenset("'\"\\:,%$#\n\r\t")
_TEMPLATE = """# Made by `accesstrail up`. Edit what you like: only addresses and ports are rewritten, when they change.
# Paths are relative to this file.

[accesstrail]
state_dir = "."

[kafka]
bootstrap_servers = "{bootstrap_servers}"
# Fixed when the topic is created.
partitions = {partitions}

[clickhouse]
host = "{host}"
native_port = {native_port}
http_port = {http_port}
{password_files}

[protection]
token_keys_file = "keys/tokens.json"
vault_keys_file = "{vault_keys}"

[detection]
directory = "directory"
model = "model"
{signatures}

[ledger]
deployment = "accesstrail"
signing_key_file = "{ledger_key}"
public_keys_file = "{ledger_public_keys}"

# Outside the store, but not outside this machine: docs/guides/evidence-keys.md says what to add.
[ledger.anchors.file]
kind = "file"
file = "{ledger_anchor}"
"""
_SIGNED = f'model_public_keys = "{MODEL_PUBLIC_KEYS}"'
_UNSIGNED = f"""# Take up only models signed with keys/model.key (`train --sign-with`, `models sign`):
# {_SIGNED}"""


def config_file(state: Path) -> Path:
    """Where the configuration of a state folder lies."""
    return state / "config.toml"


def prepare_folder(state: Path) -> Path:
    """Makes the state folder with keys, secrets and an empty directory; returns its absolute path.

    Raises: LocalStackError: it cannot be made, its path cannot be used, or the disk is full.
    """
    state = state.absolute()
    unusable = sorted(set(str(state)) & _UNUSABLE)
    if unusable:
        raise LocalStackError(
            f"the state folder's path may not hold {' '.join(map(repr, unusable))}: use another --state"
        )
    private_folder(state)
    require_space(state)
    for name in ("keys", "logs", "run"):
        private_folder(state / name)
    if not (state / "directory").exists():
        private_folder(state / "directory")
    ensure_token_keys(state / "keys" / "tokens.json")
    ensure_token_keys(state / VAULT_KEYS)
    ensure_passwords(state)
    return state


def ensure_token_keys(path: Path) -> None:
    """Draws the secret behind tokens or the vault; one that is there is kept. Raises: LocalStackError."""
    if path.exists():
        return
    key = {"id": 1, "created_at": datetime.now(UTC).isoformat(timespec="seconds"), "secret_hex": secrets.token_hex(32)}
    write_secret(path, json.dumps({"version": 1, "keys": [key]}, indent=2) + "\n")


def choose_ports(
    state: Path,
    *,
    kafka: int | None = None,
    clickhouse_native: int | None = None,
    clickhouse_http: int | None = None,
) -> Ports:
    """The ports to listen on: those asked for, else those this state folder had, else free ones.

    Raises: LocalStackError: an asked port is taken.
    """
    last_kafka, last_native, last_http = _last_ports(config_file(state))
    return Ports(
        *choose(
            (
                PortWish("--kafka-port", kafka, last_kafka),
                PortWish("--kafka-controller-port"),
                PortWish("--clickhouse-port", clickhouse_native, last_native),
                PortWish("--clickhouse-http-port", clickhouse_http, last_http),
            )
        )
    )


def _last_ports(path: Path) -> tuple[int | None, int | None, int | None]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None, None, None
    kafka, clickhouse = raw.get("kafka"), raw.get("clickhouse")
    servers = str(kafka.get("bootstrap_servers", "")) if isinstance(kafka, dict) else ""
    store = clickhouse if isinstance(clickhouse, dict) else {}
    return _port(servers.rpartition(":")[2]), _port(store.get("native_port")), _port(store.get("http_port"))


def _port(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and 0 < int(text) < 65_536 else None


def write_config(
    state: Path, ports: Ports, *, partitions: int = DEFAULT_PARTITIONS, signed_models: bool = False
) -> None:
    """Writes a new configuration, or the addresses into the one that is there; all else stays as its owner wrote it.

    `signed_models`: a new configuration asks for signed models.

    Raises: LocalStackError: an edited file has lost a line that must be rewritten.
    """
    path = config_file(state)
    bootstrap = f"{LOOPBACK}:{ports.kafka}"
    if not path.exists():
        names = (
            f'{role.name}_password_file = "{password_file(state, role.name).relative_to(state)}"' for role in ROLES
        )
        write_text(
            path,
            _TEMPLATE.format(
                bootstrap_servers=bootstrap, partitions=partitions, host=LOOPBACK, native_port=ports.clickhouse_native,
                http_port=ports.clickhouse_http, password_files="\n".join(names),
                signatures=_SIGNED if signed_models else _UNSIGNED, ledger_key=LEDGER_KEY,
                ledger_public_keys=LEDGER_PUBLIC_KEYS, ledger_anchor=LEDGER_ANCHOR, vault_keys=VAULT_KEYS,
            ),
        )  # fmt: skip
        return
    text = path.read_text(encoding="utf-8")
    rewritten = _rewrite(
        text,
        {
            ("kafka", "bootstrap_servers"): f'"{bootstrap}"',
            ("clickhouse", "host"): f'"{LOOPBACK}"',
            ("clickhouse", "native_port"): str(ports.clickhouse_native),
            ("clickhouse", "http_port"): str(ports.clickhouse_http),
        },
        path,
    )
    if rewritten != text:
        write_text(path, rewritten)


def _rewrite(text: str, values: Mapping[tuple[str, str], str], path: Path) -> str:
    """Replaces values line by line, so that comments, order and other settings stay."""
    section, left, lines = "", dict(values), []
    for line in text.splitlines(keepends=True):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        assignment = re.match(r"(\s*([A-Za-z_]+)\s*=\s*)(\"[^\"]*\"|\d+)(.*)", line, re.DOTALL)
        if header:
            section = header[1].strip()
        elif assignment and (section, assignment[2]) in left:
            line = assignment[1] + left.pop((section, assignment[2])) + assignment[4]
        lines.append(line)
    if left:
        missing = ", ".join(f"[{name}] {key}" for name, key in left)
        raise LocalStackError(
            f"{path} lacks {missing}: put the setting back on a line of its own (any value), then start again"
        )
    return "".join(lines)


def settings(state: Path, environment: Mapping[str, str]) -> Settings:
    """The settings of a state folder.

    Raises: ConfigError: every fault of the file; LocalStackError: no local stack was ever started there.
    """
    path = config_file(state)
    if not path.is_file():
        raise LocalStackError(
            f"no local stack in {state}: start one with `accesstrail up --state {state}`", code="no_stack"
        )
    return load(path, environment)
