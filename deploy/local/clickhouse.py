"""ClickHouse for one machine: the engine of the chdb-core wheel, with generated configuration and named users.

Files, all below the state folder: `clickhouse/data` (the tables), `clickhouse/work` (0700: configuration, users,
FIFO), `secrets/clickhouse-ROLE` (0600: one password a role, nothing else). Only loopback listens. The user `default`,
which the engine needs for itself, keeps two rights that read nothing (see `clickhouse_process`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
from pathlib import Path

from deploy.local.clickhouse_process import STOP_FIFO
from deploy.local.files import private_folder, write_secret, write_text
from deploy.local.process import Service, accepts, tail, tethered
from pipeline.errors import LocalStackError
from pipeline.roles import ROLES, render_users_xml

_PREPARE_TIMEOUT_S = 60
_LAUNCHER_GRANTS = ("GRANT SYSTEM LISTEN ON *.*", "GRANT SELECT ON launcher.stop")
_MIB = 1 << 20
# The engine refuses an insert or a merge before it begins where less is left. It must: one that meets the end of the
# disk in mid-write may leave a part whose files are empty, and call the insert done when it is repeated.
_KEEP_FREE_BYTES = 128 * _MIB
_PREPARATION_CONFIG = """<clickhouse>
  <users_config>users.xml</users_config>
</clickhouse>
"""
GUARDS = """  <storage_configuration>
    <disks><default><keep_free_space_bytes>{keep_free_bytes}</keep_free_space_bytes></default></disks>
  </storage_configuration>
  <access_control_improvements>
    <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
    <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
  </access_control_improvements>
  <send_crash_reports><enabled>false</enabled></send_crash_reports>
"""
"""Sections of every server's configuration: room on the disk, no look at what nobody granted, nothing sent out."""
# No logger section: the engine's log would repeat statements, and statements may name people.
_CONFIG = """<clickhouse>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>{native_port}</tcp_port>
  <http_port>{http_port}</http_port>
  <users_config>users.xml</users_config>
  <max_server_memory_usage>{max_server_memory_usage}</max_server_memory_usage>
  <mark_cache_size>{mark_cache_size}</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_mark_cache_size>{mark_cache_size}</index_mark_cache_size>
  <mmap_cache_size>0</mmap_cache_size>
  <background_pool_size>4</background_pool_size>
{guards}</clickhouse>
""".replace("{guards}", GUARDS)


def password_file(state: Path, role: str) -> Path:
    """Where a role's password lies."""
    return state / "secrets" / f"clickhouse-{role}"


def ensure_passwords(state: Path) -> dict[str, str]:
    """SHA-256 (hex) of each role's password; a missing password is drawn, an existing one kept.

    Raises: LocalStackError: a password cannot be written, or its file is empty.
    """
    private_folder(state / "secrets")
    digests = {}
    for role in ROLES:
        path = password_file(state, role.name)
        if not path.is_file():
            write_secret(path, secrets.token_urlsafe(32))
        password = path.read_text(encoding="utf-8").strip()
        if not password:
            raise LocalStackError(f"{path} holds no password: remove the file, and the next start draws one")
        digests[role.name] = hashlib.sha256(password.encode()).hexdigest()
    return digests


def service(state: Path, native_port: int, http_port: int) -> Service:
    """The child process, its files written; runs the preparation where this data folder has not had it.

    Raises: LocalStackError: the preparation failed.
    """
    home = private_folder(state / "clickhouse")
    work = private_folder(home / "work")
    data = private_folder(home / "data")
    digests = ensure_passwords(state)
    _prepare(state, work, data, digests)
    config = _CONFIG.format(
        native_port=native_port,
        http_port=http_port,
        max_server_memory_usage=4096 * _MIB,
        mark_cache_size=128 * _MIB,
        keep_free_bytes=_KEEP_FREE_BYTES,
    )
    write_text(work / "config.xml", config)
    write_text(work / "users.xml", render_users_xml(digests, launcher_grants=_LAUNCHER_GRANTS))
    log = state / "logs" / "clickhouse.log"
    return Service(
        name="clickhouse",
        command=_command("serve", data),
        folder=work,
        log=log,
        ready=lambda: accepts(native_port) and accepts(http_port),
        start_timeout_s=60,
        stop_timeout_s=15,
        explain=lambda: explain(tail(log), native_port, http_port),
    )


def _command(step: str, data: Path) -> list[str]:
    return [sys.executable, "-m", "deploy.local.clickhouse_process", step, str(data)]


def _prepare(state: Path, work: Path, data: Path, digests: dict[str, str]) -> None:
    """Makes the table that blocks; done once a place: the table names the FIFO by its absolute path."""
    marker = work / "prepared"
    place = str(work / STOP_FIFO)
    if marker.is_file() and marker.read_text(encoding="utf-8") == place and any(data.iterdir()):
        return
    write_text(work / "config.xml", _PREPARATION_CONFIG)
    write_text(work / "users.xml", render_users_xml(digests, launcher_grants=None))
    log = state / "logs" / "clickhouse.log"
    with log.open("ab") as out:
        try:
            done = subprocess.run(
                tethered(_command("prepare", data)), cwd=work, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                timeout=_PREPARE_TIMEOUT_S, check=False, env=os.environ,
            )  # fmt: skip
        except subprocess.TimeoutExpired as exc:
            raise LocalStackError(f"ClickHouse could not be prepared within {_PREPARE_TIMEOUT_S} s; see {log}") from exc
    if done.returncode != 0:
        words = tail(log)
        raise LocalStackError(explain(words, None, None) or f"ClickHouse could not be prepared:\n{words[-2000:]}")
    write_text(marker, place)


def explain(text: str, native_port: int | None, http_port: int | None) -> str:
    """What a person can do about its end, from the engine's last words; empty where they say nothing known."""
    if "Address already in use" in text:
        return (
            f"ClickHouse cannot listen: port {native_port} or {http_port} is taken. Stop what listens there, or choose "
            "others with --clickhouse-port and --clickhouse-http-port"
        )
    if "Cannot lock file" in text:
        return (
            "another ClickHouse uses this state folder: stop it first (accesstrail down --state DIR), "
            "or use another --state"
        )
    if "No space left on device" in text or "NOT_ENOUGH_SPACE" in text:
        return "the disk is full: make room for ClickHouse's data in the state folder, then start again"
    if "Authentication failed" in text or "Not enough privileges" in text:
        return "ClickHouse refuses its own launcher: the generated users.xml does not fit this chdb-core version"
    if "No module named 'chdb'" in text:
        return "the package chdb-core is missing from this environment: create it again with `make env`"
    return ""
