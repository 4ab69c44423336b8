"""What a version set records is what a batch is formed by again, whatever is configured since."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from pipeline.errors import OtherVersion
from pipeline.flow import Chain
from pipeline.privacy.keys import Keyring, new_key_file
from pipeline.privacy.protector import Protectors
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.files import ConfiguredFiles
from pipeline.version_sets.judgements import restore
from tests.corpus.make_poison import event
from tests.flows import Record, batch_of, memory
from tests.unit.versions.deployment import Deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment")


def _formed(deployment: Deployment, keyring: Keyring, versions_id: bytes) -> tuple[bytes, str]:
    """Root and retention class of one batch, formed under a recorded set by a worker configured as it is now."""
    judged = restore(
        deployment.store, versions_id, ConfiguredFiles(deployment.settings(), keyring)
    )  # fmt: skip
    records = [
        Record(number, msgspec.json.encode(event(f"e{number}")), b"another key", 1_764_000_000_000)
        for number in range(5)
    ]
    formed = Chain(Protectors(keyring)).form(batch_of(records), memory(), judged)
    assert formed.events is not None
    texts = formed.events.text("retention_class")
    return formed.entry.root, texts.interner.texts[int(texts.ids[0])]


@pytest.mark.parametrize("setting", ["partitions = 24", 'retention_class = "litigation"', "another key"])
def test_a_recorded_set_gives_the_same_rows_whatever_is_configured_since(deployment: Deployment, setting: str) -> None:
    worker = deployment.worker().started()
    before = _formed(deployment, deployment.keyring, worker.in_force)
    keyring = deployment.keyring
    path = deployment.folder / "config.toml"
    if setting == "another key":
        keys = json.loads((deployment.folder / "keys.json").read_text())
        keys["keys"].append({**keys["keys"][0], "id": 2, "secret_hex": "ab" * 32})
        (deployment.folder / "keys.json").write_text(json.dumps(keys))
        keyring = Keyring.load(deployment.folder / "keys.json")
    elif setting.startswith("partitions"):
        path.write_text(path.read_text().replace("partitions = 8", setting))
    else:
        path.write_text(f"[accesstrail]\n{setting}\n" + path.read_text())
    assert _formed(deployment, keyring, worker.in_force) == before
    deployment.keyring = keyring
    if setting == "another key":  # in the file it signs nothing before somebody rotates it
        assert deployment.worker().started().in_force == worker.in_force
        deployment.activator().rotate_key(deployment.store, deployment.log, Requester("lin.meng"), "a test")
    changed = deployment.worker().started()
    assert changed.in_force != worker.in_force
    assert _formed(deployment, keyring, changed.in_force) != before


def test_a_set_whose_token_key_is_gone_is_another_version(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    (deployment.folder / "keys.json").unlink()
    new_key_file(deployment.folder / "keys.json")
    keyring = Keyring.load(deployment.folder / "keys.json")
    with pytest.raises(OtherVersion, match="token key"):
        restore(deployment.store, worker.in_force, ConfiguredFiles(deployment.settings(), keyring))
