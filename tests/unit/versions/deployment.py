"""A deployment in memory for the tests of version sets: store, topic, configured files, and workers stepped by hand."""

from __future__ import annotations

from pathlib import Path

from detectors.model import save
from pipeline.config import Settings, load
from pipeline.errors import Away
from pipeline.privacy.key_file import Keys
from pipeline.privacy.keys import Keyring, new_key_file
from pipeline.version_sets.activator import Activator
from pipeline.version_sets.files import ConfiguredFiles
from pipeline.version_sets.judgements import StoreAccess, StoredJudgements
from pipeline.version_sets.watch import VersionWatch
from tests.fakes import InMemoryActivations, InMemoryStore
from tests.models import small_model

TOPIC = "access.events"
RESOURCES = "resource_type,data_categories,sensitivity,owner_department\n"


class Topic:
    """Kafka as far as the watcher sees it."""

    def __init__(self) -> None:
        self.acknowledged: list[tuple[bytes, bytes]] = []
        self.away = 0
        self._sent: list[tuple[bytes, bytes]] = []

    def send(self, key: bytes, value: bytes) -> None:
        self._sent.append((key, value))

    def flush(self) -> None:
        sent, self._sent = self._sent, []
        if self.away:
            self.away -= 1
            raise Away("the broker does not answer", code="kafka_away")
        self.acknowledged += sent


class Deployment:
    """What workers share: the store, the topic, and (unless copied) the configured files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.log, self.topic = folder, InMemoryStore(), InMemoryActivations(), Topic()
        (folder / "directory").mkdir(parents=True)
        new_key_file(folder / "keys.json")
        (folder / "config.toml").write_text(
            '[kafka]\nbootstrap_servers = "127.0.0.1:1"\npartitions = 8\n[clickhouse]\n'
            + "".join(f'{role}_password_file = "keys.json"\n' for role in ("migrator", "writer", "reader"))
            + '[protection]\ntoken_keys_file = "keys.json"\n[detection]\ndirectory = "directory"\nmodel = "model"\n',
            encoding="utf-8",
        )
        self.keyring = Keyring.load(folder / "keys.json")
        self.keys: Keys | None = None
        """The key file as a process holds it; None: the keys stay those of `keyring`."""
        save(small_model(), folder / "model")
        self.write_resources("customer_profile")

    def write_resources(self, *types: str, folder: Path | None = None) -> None:
        """Replaces resources.csv as its owner should: beside, then rename."""
        path = (folder or self.folder) / "directory" / "resources.csv"
        beside = path.with_suffix(".new")
        beside.write_text(RESOURCES + "".join(f"{one},,2,\n" for one in types), encoding="utf-8")
        beside.replace(path)

    def settings(self, folder: Path | None = None) -> Settings:
        return load((folder or self.folder) / "config.toml", {})

    def activator(self, folder: Path | None = None) -> Activator:
        return Activator(TOPIC, ConfiguredFiles(self.settings(folder), self.keys or self.keyring))

    def worker(self, folder: Path | None = None) -> Worker:
        return Worker(self, self.activator(folder))


class Worker:
    """One worker's version set and its watcher, stepped by hand."""

    def __init__(self, deployment: Deployment, activator: Activator) -> None:
        def access() -> StoreAccess:
            return StoreAccess(deployment.store, deployment.log)

        self.activator = activator
        self.judgements = StoredJudgements(activator, access)
        self.watch = VersionWatch(self.judgements, access, deployment.topic, activator.files.keys)

    def started(self) -> Worker:
        self.judgements.current()
        self.watch.step()
        return self

    def look(self, times: int = 3) -> None:
        """Enough rounds for files that stand still to be taken up."""
        for _ in range(times):
            self.watch.step()

    @property
    def in_force(self) -> bytes:
        return self.judgements.current().versions.versions_id

    @property
    def types(self) -> list[str]:
        """What the directory in force says of resources."""
        return [row.resource_type for row in self.judgements.current().directory.resources]
