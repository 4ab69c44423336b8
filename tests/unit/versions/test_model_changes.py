"""Another model in force, as a person: promotion, going back, and that changed files leave the choice alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from detectors.model import pack, save
from detectors.policy import NEVER, Policy
from pipeline.errors import UsageError
from pipeline.version_sets.activator import Edit, policy_of
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.model_changes import Promotion, going_back
from pipeline.version_sets.model_terms import terms
from pipeline.version_sets.sets import ARTEFACT_KIND, MODEL_OF_FILES, MODEL_ROLLBACK, PROMOTE, Activation, VersionSet
from tests.models import small_model
from tests.unit.versions.deployment import TOPIC, Deployment, Worker

LIN = Requester("lin.meng")
DAY_US = 86_400_000_000


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment")


def _promote(deployment: Deployment, folder: Path, *, keep_threshold: bool = False) -> Activation:
    activator = deployment.activator()
    promotion = Promotion.of(folder, activator.files)
    edit = promotion.edit(keep_threshold=keep_threshold)
    return activator.change(deployment.store, deployment.log, PROMOTE, edit, LIN, "monthly")


def _go_back(deployment: Deployment) -> Activation:
    activator = deployment.activator()
    _, edit = going_back(deployment.log.history(TOPIC), deployment.store, activator.files)
    return activator.change(deployment.store, deployment.log, MODEL_ROLLBACK, edit, LIN, "worse")


def _made(deployment: Deployment, seed: int = 2, threshold: int = 7000) -> Path:
    folder = deployment.folder.parent / f"model-{seed}-{threshold}"
    save(small_model(threshold, seed), folder)
    return folder


def _model_id(worker: Worker) -> str:
    model = worker.judgements.current().model
    assert model is not None
    return sha256(pack(model)).hexdigest()


def _artefact(seed: int, threshold: int) -> str:
    return sha256(pack(small_model(threshold, seed))).hexdigest()


FOLDERS, OURS = _artefact(1, 6543), _artefact(2, 7000)


def test_a_promoted_model_is_taken_up_with_its_own_policy_and_nothing_else_changes(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    before = dict(deployment.log.log[-1].parts)
    made = _promote(deployment, _made(deployment))
    worker.look(1)
    assert _model_id(worker) == OURS
    assert worker.judgements.current().policy == small_model(7000, 2).policy
    assert (made.kind, made.threshold, made.by_token) == (
        PROMOTE, 7000, deployment.keyring.token("default", "actor", "lin.meng"),
    )  # fmt: skip
    changed = {name for name in {*before, *made.parts} if before.get(name) != made.parts.get(name)}
    assert changed == {"model", "policy"}


def test_a_promoted_model_and_its_threshold_survive_daily_changes_of_the_directory(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    _promote(deployment, _made(deployment))
    worker.look(1)
    for number in range(4):
        deployment.write_resources(*(f"type_{place}" for place in range(number + 2)))
        worker.look()
        assert len(worker.types) == number + 2
        assert _model_id(worker) == OURS
        if number == 1:
            deployment.activator().set_threshold(deployment.store, deployment.log, 8100, LIN, "too many")
            worker.look(1)
        assert deployment.log.log[-1].threshold == (8100 if number else 7000)
        assert worker.judgements.current().policy.threshold == deployment.log.log[-1].threshold
    assert _model_id(deployment.worker().started()) == OURS  # a restart changes nothing


def test_a_policy_that_was_changed_in_more_than_its_threshold_survives_changed_files(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    policy = Policy(7777, 9000)
    deployment.activator().change(
        deployment.store, deployment.log, "threshold", lambda _: Edit({"policy": policy.content()}, 7777), LIN, "budget"
    )
    deployment.write_resources("invoice")
    worker.look()
    assert worker.types == ["invoice"]
    assert worker.judgements.current().policy == policy
    assert deployment.log.log[-1].threshold == 7777


def test_the_folders_model_takes_over_when_the_folder_gives_another_one(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    _promote(deployment, _made(deployment))
    worker.look(1)
    save(small_model(7200, 3), deployment.folder / "model")
    worker.look()
    assert _model_id(worker) == _artefact(3, 7200)
    assert deployment.log.log[-1].threshold == 7200
    save(small_model(), deployment.folder / "model")  # what the folder gave first is another one now
    worker.look()
    assert _model_id(worker) == FOLDERS


def test_the_promoted_model_put_into_the_folder_keeps_the_policy_in_force(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    _promote(deployment, _made(deployment), keep_threshold=True)
    worker.look(1)
    save(small_model(7000, 2), deployment.folder / "model")
    worker.look()
    newest = deployment.log.log[-1]
    assert (newest.parts[MODEL_OF_FILES], newest.parts["model"], newest.threshold) == (OURS, OURS, 6543)


def test_a_damaged_folder_is_said_and_leaves_the_promoted_model(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    _promote(deployment, _made(deployment))
    worker.look(1)
    (deployment.folder / "model" / "forest.npz").write_bytes(b"damaged")
    worker.look(6)
    assert _model_id(worker) == OURS
    assert worker.judgements.model_state()["not_reloaded"] == {"files": "model_corrupt"}


def test_a_system_without_a_model_folder_takes_a_promoted_one_and_goes_on_with_its_directory(
    deployment: Deployment,
) -> None:
    shutil.rmtree(deployment.folder / "model")
    worker = deployment.worker().started()
    assert worker.judgements.current().model is None
    with pytest.raises(UsageError, match="no threshold to keep"):
        _promote(deployment, _made(deployment), keep_threshold=True)
    _promote(deployment, _made(deployment))
    worker.look(1)
    deployment.write_resources("invoice")
    worker.look()
    assert (worker.types, _model_id(worker)) == (["invoice"], OURS)
    assert "not_reloaded" not in worker.judgements.model_state()


def test_the_threshold_in_force_is_kept_where_that_is_asked_for(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    made = _promote(deployment, _made(deployment), keep_threshold=True)
    worker.look(1)
    policy = worker.judgements.current().policy
    assert (made.threshold, policy.threshold, policy.rule_threshold) == (
        6543,
        6543,
        small_model(7000, 2).rule_threshold,
    )


def test_the_model_in_force_is_not_promoted_again_but_may_get_its_own_threshold_back(deployment: Deployment) -> None:
    deployment.worker().started()
    with pytest.raises(UsageError, match="already"):
        _promote(deployment, deployment.folder / "model")
    deployment.activator().set_threshold(deployment.store, deployment.log, 8000, LIN, "quieter")
    assert _promote(deployment, deployment.folder / "model").threshold == 6543


def test_a_model_that_cannot_be_used_is_refused_with_its_code(deployment: Deployment) -> None:
    deployment.worker().started()
    folder = _made(deployment)
    (folder / "tables.npz").write_bytes(b"damaged")
    with pytest.raises(UsageError, match="refused") as caught:
        _promote(deployment, folder)
    assert caught.value.code == "model_corrupt"
    assert len(deployment.log.log) == 1


def test_going_back_is_to_the_model_before_with_the_policy_it_had_and_leaves_the_directory(
    deployment: Deployment,
) -> None:
    worker = deployment.worker().started()
    deployment.activator().set_threshold(deployment.store, deployment.log, 6900, LIN, "quieter")
    _promote(deployment, _made(deployment))
    deployment.write_resources("invoice")
    worker.look()
    made = _go_back(deployment)
    worker.look(1)
    assert (worker.types, _model_id(worker)) == (["invoice"], FOLDERS)
    assert (made.kind, made.threshold) == (MODEL_ROLLBACK, 6900)
    assert policy_of(deployment.store, made).threshold == 6900
    assert _go_back(deployment).parts["model"] == OURS  # twice returns to where one was


def test_going_back_from_the_folders_new_model_survives_a_changed_directory(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    save(small_model(7200, 3), deployment.folder / "model")
    worker.look()
    _go_back(deployment)
    deployment.write_resources("invoice")
    worker.look()
    assert (worker.types, _model_id(worker)) == (["invoice"], FOLDERS)


def test_without_an_earlier_model_there_is_no_going_back(deployment: Deployment) -> None:
    with pytest.raises(UsageError, match="start a worker"):
        _go_back(deployment)
    deployment.worker().started()
    deployment.write_resources("invoice")
    deployment.worker().started()
    with pytest.raises(UsageError, match="no earlier model"):
        _go_back(deployment)


def test_a_set_of_another_version_of_the_rules_hands_its_promoted_model_on(deployment: Deployment) -> None:
    """An upgrade that leaves the features alone must not undo a promotion."""
    deployment.worker().started()
    _promote(deployment, _made(deployment), keep_threshold=True)
    newest = deployment.log.log[-1]
    deployment.log.log[-1] = _with_parts(deployment, newest, rules="another")
    upgraded = deployment.worker().started()
    assert (_model_id(upgraded), deployment.log.log[-1].threshold) == (OURS, 6543)


def test_a_set_of_other_features_gives_way_to_the_folders_model(deployment: Deployment) -> None:
    deployment.worker().started()
    _promote(deployment, _made(deployment))
    deployment.log.log[-1] = _with_parts(deployment, deployment.log.log[-1], features="another")
    upgraded = deployment.worker().started()
    assert (_model_id(upgraded), deployment.log.log[-1].threshold) == (FOLDERS, 6543)


def _with_parts(deployment: Deployment, activation: Activation, **words: str) -> Activation:
    """As another version of the code would have written it."""
    versions = VersionSet({**activation.parts, **words})
    deployment.store.save_artefact(ARTEFACT_KIND, versions.content())
    return replace(activation, parts=versions.parts, versions_id=versions.versions_id)


def test_sets_from_before_the_word_keep_their_threshold_and_gain_it(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    first = deployment.log.log[0]
    del deployment.log.log[0].parts[MODEL_OF_FILES]  # type: ignore[attr-defined]
    deployment.activator().set_threshold(deployment.store, deployment.log, 8000, LIN, "quieter")
    deployment.write_resources("invoice")
    worker.look()
    newest = deployment.log.log[-1]
    assert (newest.threshold, newest.parts[MODEL_OF_FILES]) == (8000, first.parts["model"])


def test_terms_add_up_the_spells_of_each_model(deployment: Deployment) -> None:
    def one(number: int, day: int, threshold: int = 5000, **parts: str) -> Activation:
        return Activation(
            topic=TOPIC, number=number, versions_id=bytes([number]) * 32, previous_id=bytes(32), files_id=bytes(32),
            kind="files", reason="", by_token=bytes(16), threshold=threshold, activated_at_us=day * DAY_US, parts=parts,
        )  # fmt: skip

    history = [
        one(1, 0, model_fault="model_missing"), one(2, 1, model="a"), one(3, 3, 6000, model="a"), one(4, 4, model="b"),
        one(5, 9, NEVER - 1, model="a"),
    ]  # fmt: skip
    latest, other = terms(history, 10 * DAY_US)
    assert (latest.latest.parts["model"], latest.days, latest.until_us, latest.since_us) == ("a", 4.0, None, DAY_US)
    assert latest.latest.threshold == NEVER - 1
    assert latest.versions_ids == {bytes([2]) * 32, bytes([3]) * 32, bytes([5]) * 32}
    assert (other.latest.parts["model"], other.days, other.until_us) == ("b", 5.0, 9 * DAY_US)
    assert terms([], 0) == []
