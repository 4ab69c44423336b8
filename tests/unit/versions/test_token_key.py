"""Rotating the token key: by a person, at one place of the log, taken up by running workers, and never undone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import OtherVersion, UsageError
from pipeline.privacy.key_file import KeyFile, add_key
from pipeline.privacy.keys import Keyring
from pipeline.version_sets.change_events import Requester, opened_event
from pipeline.version_sets.sets import CANONICAL_TOKENS, ROTATE_KEY, TOKENS, Activation
from tests.unit.versions.deployment import Deployment

LIN = Requester("lin.meng")


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    made = Deployment(tmp_path / "deployment")
    made.keys = KeyFile(made.folder / "keys.json")
    return made


def key_file(deployment: Deployment) -> Path:
    return deployment.folder / "keys.json"


def rotated(deployment: Deployment) -> Activation:
    add_key(key_file(deployment))
    return deployment.activator().rotate_key(deployment.store, deployment.log, LIN, "the yearly rotation")


def test_a_key_in_the_file_signs_nothing_before_somebody_rotates_it(deployment: Deployment) -> None:
    before = deployment.worker().started().in_force
    add_key(key_file(deployment))
    assert deployment.worker().started().in_force == before
    assert len(deployment.log.history("access.events")) == 1


def test_a_file_without_the_key_that_signs_brings_no_older_one_back(deployment: Deployment) -> None:
    deployment.worker().started()
    older = key_file(deployment).read_text(encoding="utf-8")
    signing = rotated(deployment).parts[TOKENS]
    key_file(deployment).write_text(older, encoding="utf-8")
    deployment.keys = KeyFile(key_file(deployment))
    with pytest.raises(UsageError, match="is not in the key file"):
        deployment.activator().rotate_key(deployment.store, deployment.log, LIN, "again")
    newest = deployment.log.newest("access.events")
    assert newest is not None
    assert newest.parts[TOKENS] == signing


def test_keys_that_are_added_at_the_same_moment_are_all_kept(tmp_path: Path) -> None:
    path = Deployment(tmp_path / "deployment").folder / "keys.json"
    before = len(Keyring.load(path).version_ids)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: add_key(path), range(24)))
    assert len({key.key_id for key in made}) == 24
    assert len(Keyring.load(path).version_ids) == before + 24


def test_a_running_worker_takes_the_key_up_without_a_restart(deployment: Deployment) -> None:
    worker, first = deployment.worker().started(), Keyring.load(key_file(deployment))
    written = rotated(deployment)
    worker.look()
    ring = Keyring.load(key_file(deployment))
    protection = worker.judgements.current().protection
    assert worker.in_force == written.versions_id
    assert (protection.key_version, protection.canonical_version) == (ring.version_id, first.version_id)
    assert (written.kind, written.parts[TOKENS]) == (ROTATE_KEY, ring.version_id)
    assert written.parts[CANONICAL_TOKENS] == first.version_id
    assert worker.judgements.current().directory.key_version == first.version_id


def test_the_change_is_an_access_event_with_account_and_reason(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    written = rotated(deployment)
    event = json.loads(opened_event(written, Keyring.load(key_file(deployment))))
    assert (event["actor_id"], event["justification"]) == ("lin.meng", "the yearly rotation")
    assert event["fields_accessed"] == [TOKENS, CANONICAL_TOKENS]
    deployment.log.unannounced("access.events")
    worker.watch._activator.written.add(written.number)
    worker.look()
    assert [json.loads(value)["event_id"] for _, value in deployment.topic.acknowledged] == [str(written.event_id)]


def test_changed_files_keep_the_key_that_signs(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    parts = rotated(deployment).parts
    deployment.write_resources("customer_profile", "contract")
    worker.look()
    assert worker.types == ["contract", "customer_profile"]
    in_force = worker.judgements.activation
    assert in_force is not None
    assert {name: in_force.parts[name] for name in (TOKENS, CANONICAL_TOKENS)} == {
        name: parts[name] for name in (TOKENS, CANONICAL_TOKENS)
    }


def test_a_second_rotation_keeps_the_canonical_key(deployment: Deployment) -> None:
    deployment.worker().started()
    first = rotated(deployment)
    second = rotated(deployment)
    assert second.parts[CANONICAL_TOKENS] == first.parts[CANONICAL_TOKENS]
    assert second.parts[TOKENS] != first.parts[TOKENS]
    assert deployment.worker().started().in_force == second.versions_id


def test_nothing_brings_an_old_key_back(deployment: Deployment) -> None:
    before = deployment.worker().started().in_force
    rotated(deployment)
    with pytest.raises(UsageError, match="before the token key was rotated"):
        deployment.activator().rollback(deployment.log, LIN, "enough")
    with pytest.raises(UsageError, match="before the token key was rotated"):
        deployment.activator().use(deployment.log, before, LIN, "enough")


def test_rotating_without_a_new_key_is_refused(deployment: Deployment) -> None:
    deployment.worker().started()
    with pytest.raises(UsageError, match="signs already"):
        deployment.activator().rotate_key(deployment.store, deployment.log, LIN, "again")


def test_a_worker_without_the_key_keeps_its_set_and_none_begins_without_it(deployment: Deployment) -> None:
    deployment.keys = Keyring.load(key_file(deployment))  # on a machine whose key file nobody has replaced yet
    late = deployment.worker().started()
    before = late.in_force
    deployment.keys = KeyFile(key_file(deployment))
    rotated(deployment)
    late.look()
    assert late.in_force == before
    assert late.judgements.faults["follow"] == "token_key_missing"
    deployment.keys = deployment.keyring
    with pytest.raises(OtherVersion, match="token key"):
        deployment.worker().started()
    assert [one.kind for one in deployment.log.history("access.events")] == ["first", ROTATE_KEY]


def test_another_key_leaves_those_that_are_there_and_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment")
    path = key_file(deployment)
    before = json.loads(path.read_text())["keys"]
    added = add_key(path)
    after = json.loads(path.read_text())["keys"]
    assert after[:-1] == before
    assert (added.key_id, after[-1]["secret_hex"]) == (2, added.secret.hex())
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir() if one.name.startswith("keys")] == ["keys.json"]


def test_a_rotation_that_was_cut_off_is_not_written_over(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment")
    path = key_file(deployment)
    path.with_name("keys.json.new").write_text("half")
    before = path.read_bytes()
    with pytest.raises(Exception, match=r"keys\.json\.new exists"):
        add_key(path)
    assert path.read_bytes() == before


def test_a_key_file_that_cannot_be_read_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment")
    path = key_file(deployment)
    keys = KeyFile(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:20])
    assert keys.current.version_ids == deployment.keyring.version_ids
    path.write_bytes(whole)
    added = add_key(path)
    assert keys.current.newest.key_id == added.key_id
