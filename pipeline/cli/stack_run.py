"""Running the local stack: the order in which its parts start, in this process or in one of its own.

Order: folder, keys and configuration → Kafka and ClickHouse side by side → topics → schema → worker, scheduler,
responder, notary and console side by side → ready. Whatever fails says what to do, and what had started is stopped
again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deploy.local import clickhouse, kafka
from deploy.local.configuration import (
    DEFAULT_PARTITIONS,
    LEDGER_KEY,
    LEDGER_PUBLIC_KEYS,
    MODEL_KEY,
    choose_ports,
    config_file,
    prepare_folder,
    settings,
    write_config,
)
from deploy.local.files import read_json
from deploy.local.ports import Ports
from deploy.local.process import LOOPBACK, Service, start_ticks, tail, tethered
from deploy.local.supervisor import Stopped, Supervisor, is_locked, run_file
from pipeline.adapters.kafka import TopicAdmin, topic_specs
from pipeline.adapters.status_file import read_workers
from pipeline.config import NOTARY, RESPONDER, SCHEDULER, Settings
from pipeline.errors import LocalStackError
from pipeline.ledger import signing_keys
from pipeline.ledger.signed_note import PrivateKey, ensure_key_files, load_private_key
from pipeline.migrations.runner import apply_all

# A first start compiles the scoring kernels.
_WORKER_START_TIMEOUT_S = 180
_WORKER_MARGIN_S = 14
"""A worker ends within twice its drain time-out and ten seconds; one that is killed may leave a batch unsealed."""
_RESPONDER_MARGIN_S = 14
"""A responder ends the partitions of two topics, one after the other, and is given as long again to leave its group."""
_SCHEDULER_STOP_S = 30
"""A query under way is waited for; one that is cut off is repeated by the next scheduler."""
_NOTARY_STOP_S = 45
"""What anchors lack is handed over once more: an attempt over HTTP takes 15 s unless it is set otherwise."""
_CONSOLE_STOP_S = 15
"""Requests under way are waited for."""
_LAUNCH_POLL_S = 0.1
# Children are asked to stop in turn, each within its own limit.
_LAUNCH_STOP_TIMEOUT_S = 200

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """What a person may choose about a local stack; None: the last port, else a free one."""

    kafka_port: int | None = None
    clickhouse_port: int | None = None
    clickhouse_http_port: int | None = None
    partitions: int = DEFAULT_PARTITIONS
    worker: bool = True
    signed_models: bool = False
    """Of a new state folder: its configuration asks for signed models."""

    def arguments(self) -> list[str]:
        """The same options on a command line."""
        words = [f"--partitions={self.partitions}", *(["--signed-models"] if self.signed_models else [])]
        for name in ("kafka_port", "clickhouse_port", "clickhouse_http_port"):
            port = getattr(self, name)
            if port is not None:
                words.append(f"--{name.replace('_', '-')}={port}")
        return words if self.worker else [*words, "--no-worker"]


def run_stack(state: Path, options: StackOptions, *, say: Say, when_ready: Callable[[Settings], None]) -> None:
    """Runs the stack in this process until SIGTERM, SIGINT or SIGHUP. Main thread only.

    Raises: LocalStackError: a part cannot be started; ConfigError: an edited configuration has faults; Away.
    """
    state = prepare_folder(state)
    model_keys(state)
    ledger_keys(state)
    try:
        with Supervisor(state, progress=say) as supervisor:
            ports = choose_ports(
                state,
                kafka=options.kafka_port,
                clickhouse_native=options.clickhouse_port,
                clickhouse_http=options.clickhouse_http_port,
            )
            write_config(state, ports, partitions=options.partitions, signed_models=options.signed_models)
            chosen = settings(state, os.environ)
            supervisor.announce(**_addresses(ports), worker=options.worker)
            say(f"starting Apache Kafka and ClickHouse in {state}")
            supervisor.start(*_servers(state, ports, say))
            _prepare_store_and_topics(chosen, say)
            if options.worker:
                supervisor.start(
                    _worker(state, chosen.recovery.drain_timeout_s), *_schedulers(state, chosen, say),
                    *_responders(state, chosen, say), *_notaries(state, chosen, say),
                    _service(state, "console", _CONSOLE_STOP_S),
                )  # fmt: skip
            supervisor.announce(state="ready")
            when_ready(chosen)
            supervisor.watch()
            say("stopping")
    except Stopped:
        say("stopped before it was ready")
        return
    say("stopped; the data stays where it is")


def model_keys(state: Path) -> None:
    """The pair that this stack's models may be signed with; made once. Raises: ConfigError: it cannot be."""
    ensure_key_files(state / MODEL_KEY, "local-stack")


def ledger_keys(state: Path) -> None:
    """The key that checkpoints are signed with, where there is none. Raises: ConfigError: it cannot be made."""
    signing_keys.ensure(signing_keys.KeyFiles(state / LEDGER_KEY, state / LEDGER_PUBLIC_KEYS), "accesstrail")


def model_key(state: Path) -> PrivateKey:
    """The private half. Raises: ConfigError: it is not here, or others may read it."""
    return load_private_key(state / MODEL_KEY)


def _addresses(ports: Ports) -> dict[str, object]:
    return {
        "bootstrap_servers": f"{LOOPBACK}:{ports.kafka}",
        "clickhouse": {"host": LOOPBACK, "native_port": ports.clickhouse_native, "http_port": ports.clickhouse_http},
    }


def _servers(state: Path, ports: Ports, say: Say) -> tuple[Service, Service]:
    return (
        kafka.service(state, ports.kafka, ports.kafka_controller, os.environ, progress=say),
        clickhouse.service(state, ports.clickhouse_native, ports.clickhouse_http),
    )


def _prepare_store_and_topics(chosen: Settings, say: Say) -> None:
    """Makes what is missing of topics and schema; repeats are free."""
    admin = TopicAdmin(chosen.kafka.bootstrap_servers)
    try:
        made = admin.create(topic_specs(chosen.kafka))
    finally:
        admin.close()
    if made:
        say(f"made the topics {', '.join(made)} with {chosen.kafka.partitions} partitions each")
    steps = apply_all(chosen)
    if steps:
        say(f"applied {len(steps)} schema steps")


def _worker(state: Path, drain_timeout_s: int) -> Service:
    return _service(state, "worker", 2 * drain_timeout_s + _WORKER_MARGIN_S)


def _schedulers(state: Path, chosen: Settings, say: Say) -> list[Service]:
    """The scheduled detectors' runner; a configuration from before they existed lacks their role's password."""
    if not _has_role(state, chosen, SCHEDULER, "scheduled detectors do not run", say):
        return []
    return [_service(state, "scheduler", _SCHEDULER_STOP_S)]


def _responders(state: Path, chosen: Settings, say: Say) -> list[Service]:
    """Incident handling and messages; likewise."""
    if not _has_role(state, chosen, RESPONDER, "incidents are not handled", say):
        return []
    return [_service(state, "responder", 4 * chosen.recovery.drain_timeout_s + _RESPONDER_MARGIN_S)]


def _notaries(state: Path, chosen: Settings, say: Say) -> list[Service]:
    """The notary; a configuration from before it existed lacks its role's password, or names no key."""
    if not _has_role(state, chosen, NOTARY, "checkpoints are not signed", say):
        return []
    if chosen.ledger.signing_key_file is None or chosen.ledger.public_keys_file is None:
        lines = f'signing_key_file = "{LEDGER_KEY}" and public_keys_file = "{LEDGER_PUBLIC_KEYS}"'
        say(f"checkpoints are not signed: add {lines} to [ledger] in {config_file(state)}")
        return []
    return [_service(state, "notary", _NOTARY_STOP_S)]


def _has_role(state: Path, chosen: Settings, role: str, without: str, say: Say) -> bool:
    if role in chosen.clickhouse.password_files:
        return True
    line = f'{role}_password_file = "{clickhouse.password_file(state, role).relative_to(state)}"'
    say(f"{without}: add {line} to [clickhouse] in {config_file(state)}")
    return False


def _service(state: Path, name: str, stop_timeout_s: float) -> Service:
    """The command of this name, as a child that says in its status file that it is ready."""
    return Service(
        name=name,
        command=[sys.executable, "-m", "pipeline.cli", name, "--config", str(config_file(state))],
        folder=state,
        log=state / "logs" / f"{name}.log",
        ready=lambda: any(one.get("ready") is True for one in read_workers(state / "run", name)),
        explain=lambda: "",
        start_timeout_s=_WORKER_START_TIMEOUT_S,
        stop_timeout_s=stop_timeout_s,
        start_attempts=3,
    )


def launch(state: Path, options: StackOptions, *, say: Say, tied: bool = False) -> subprocess.Popen[bytes]:
    """Starts the stack as a process of its own and returns when it is ready.

    `tied`: it ends with the calling process, however that ends (call it from the main thread); else it lives on.

    Raises: LocalStackError: it could not start, in its own words.
    """
    state = prepare_folder(state)
    log = state / "logs" / "stack.log"
    command = [sys.executable, "-m", "pipeline.cli", "up", "--state", str(state), *options.arguments()]
    with log.open("wb") as out:
        process = subprocess.Popen(
            tethered(command) if tied else command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    try:
        _await_launch(state, process, log, say)
    except BaseException:
        end(process)
        raise
    return process


def _await_launch(state: Path, process: subprocess.Popen[bytes], log: Path, say: Say) -> None:
    said = 0
    while True:
        ended = process.poll() is not None
        facts = read_json(run_file(state)) or {}
        ready = facts.get("pid") == process.pid and facts.get("state") == "ready"
        lines = tail(log, 1 << 20).splitlines()
        # Its last lines are the error's text, which is reported once, as the error.
        for line in [] if ended else lines[said:]:
            say(line)
        said = said if ended else len(lines)
        if ready:
            return
        if ended:
            words = "\n".join(lines[said:]).removeprefix("accesstrail: ")
            raise LocalStackError(words or f"the local stack ended by itself; see {log}", code="start_failed")
        time.sleep(_LAUNCH_POLL_S)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stops a launched stack and waits for its end."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_LAUNCH_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # Its children die with it.
            process.kill()
            process.wait()


def stop(state: Path, *, timeout_s: float = _LAUNCH_STOP_TIMEOUT_S) -> bool:
    """Stops the stack that runs in a state folder and waits for its end; False where none runs.

    Raises: LocalStackError: it does not end.
    """
    state = state.absolute()
    if not is_locked(state):
        return False
    asked: _Process | None = None
    deadline = time.monotonic() + timeout_s
    # Its lock is free before its process has ended: Python takes its time for that.
    while is_locked(state) or (asked is not None and start_ticks(asked.pid) == asked.ticks):
        # Again and again until asked: a stack that is only starting has not yet said who it is.
        if asked is None:
            asked = _ask_to_stop(state)
        if time.monotonic() > deadline:
            who = "unknown" if asked is None else asked.pid
            raise LocalStackError(f"the stack in {state} (process {who}) did not stop within {timeout_s:.0f} s")
        time.sleep(_LAUNCH_POLL_S)
    return True


class _Process(NamedTuple):
    """One process for good: ids are used again, ids with the time of their start are not."""

    pid: int
    ticks: int


def _ask_to_stop(state: Path) -> _Process | None:
    """Signals the stack that the run file names; None where that is another process by now, or none."""
    facts = read_json(run_file(state)) or {}
    pid, ticks = facts.get("pid"), facts.get("start_ticks")
    if not isinstance(pid, int) or not isinstance(ticks, int) or start_ticks(pid) != ticks:
        return None
    os.kill(pid, signal.SIGTERM)
    return _Process(pid, ticks)


def as_json(document: object) -> str:
    """One document for machines."""
    return json.dumps(document, indent=2, ensure_ascii=False)
