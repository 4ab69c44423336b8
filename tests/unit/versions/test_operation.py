"""Version sets in operation over stores in memory: hot change, faults, several workers, people, access events."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from detectors.model import save
from detectors.policy import Policy
from pipeline.errors import AccesstrailError, Away, BrokenInvariant, DirectoryError, UsageError
from pipeline.events import SCORE_STATUSES
from pipeline.stages.decode import decode
from pipeline.version_sets import judgements as judgements_module
from pipeline.version_sets.change_events import Requester, opened_event
from pipeline.version_sets.sets import FILES, FIRST, NO_SET, ROLLBACK, THRESHOLD, USE, Activation
from tests.corpus.make_poison import event
from tests.flows import Record, batch_of, chain, judgement, memory
from tests.models import small_model
from tests.unit.versions.deployment import TOPIC, Deployment

LIN = Requester("lin.meng")


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment")


def _kinds(deployment: Deployment) -> list[str]:
    return [one.kind for one in deployment.log.history(TOPIC)]


def test_the_first_set_is_recorded_and_is_no_change(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    (first,) = deployment.log.history(TOPIC)
    assert (first.number, first.kind, first.previous_id, first.by_token) == (1, FIRST, NO_SET, bytes(16))
    assert first.versions_id == worker.in_force
    worker.look()
    assert deployment.topic.acknowledged == []


@pytest.mark.parametrize("what", ["directory", "model"])
def test_changed_files_are_taken_up_without_a_restart(deployment: Deployment, what: str) -> None:
    worker = deployment.worker().started()
    before = worker.judgements.current()
    if what == "directory":
        deployment.write_resources("customer_profile", "invoice")
    else:
        save(small_model(seed=2), deployment.folder / "model")
    worker.look()
    after = worker.judgements.current()
    assert after.versions.versions_id != before.versions.versions_id
    if what == "directory":
        assert worker.types == ["customer_profile", "invoice"]
    else:
        assert after.model is not None
        assert before.model is not None
        assert after.model.model_id != before.model.model_id
    assert _kinds(deployment) == [FIRST, FILES]
    assert worker.judgements.by_id(before.versions.versions_id).directory.artefacts() == before.directory.artefacts()


def test_a_set_in_force_is_the_one_the_store_gives_back(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    again = judgements_module.restore(deployment.store, worker.in_force, worker.activator.files)
    current = worker.judgements.current()
    assert again.versions == current.versions
    assert again.directory.artefacts() == current.directory.artefacts()
    assert again.policy == current.policy


@pytest.mark.parametrize(
    ("damage", "code"), [("directory", "directory"), ("model", "model_corrupt"), ("no model", "model_missing")]
)
def test_files_that_cannot_be_used_keep_the_old_set_and_are_said(
    deployment: Deployment, damage: str, code: str
) -> None:
    worker = deployment.worker().started()
    before = worker.in_force
    path = deployment.folder / ("directory/resources.csv" if damage == "directory" else "model/forest.npz")
    good = path.read_bytes()
    if damage == "no model":
        shutil.move(deployment.folder / "model", deployment.folder / "away")
    else:
        path.write_bytes(good[:-20] + b"\xff" * 20)
    worker.look(6)
    assert worker.in_force == before
    assert worker.judgements.model_state()["not_reloaded"] == {"files": code}
    assert [token for token in deployment.store.alerts if token.startswith("alarm:")] == [
        f"alarm:reload_failed:{before.hex()}"
    ]
    if damage == "no model":
        shutil.move(deployment.folder / "away", deployment.folder / "model")
    else:
        path.write_bytes(good)
    worker.look()
    assert "not_reloaded" not in worker.judgements.model_state()
    assert worker.in_force == before


def test_files_in_the_middle_of_being_replaced_are_not_read(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    before = worker.in_force
    for count in range(5):
        deployment.write_resources(*(f"type_{number}" for number in range(count + 2)))
        worker.look(1)
        assert worker.in_force == before
    worker.look()
    assert len(worker.types) == 6
    assert len(deployment.log.log) == 2


def test_a_set_is_not_put_in_force_before_all_of_it_is_in_the_store(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    before = worker.in_force
    deployment.write_resources("invoice")
    deployment.store.faults["save_artefact"] = [Away("cut")] * 3
    for _ in range(4):
        worker.look(1)
        assert (worker.in_force == before) == (len(deployment.log.log) == 1)
    worker.look(2)
    assert worker.types == ["invoice"]


def test_at_the_start_a_faulty_directory_does_not_keep_a_worker_from_the_set_in_force(deployment: Deployment) -> None:
    before = deployment.worker().started().in_force
    (deployment.folder / "directory" / "resources.csv").write_text("nonsense\n", encoding="utf-8")
    worker = deployment.worker().started()
    assert worker.in_force == before
    assert worker.judgements.model_state()["not_reloaded"] == {"files": "directory"}


def test_a_faulty_directory_with_nothing_in_force_is_an_error(deployment: Deployment) -> None:
    (deployment.folder / "directory" / "resources.csv").write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(DirectoryError):
        deployment.worker().judgements.current()


def test_without_any_model_a_changed_directory_is_taken_up(deployment: Deployment) -> None:
    shutil.rmtree(deployment.folder / "model")
    worker = deployment.worker().started()
    assert worker.judgements.current().model_fault == "model_missing"
    deployment.write_resources("invoice")
    worker.look()
    assert worker.types == ["invoice"]
    save(small_model(), deployment.folder / "model")
    worker.look()
    assert worker.judgements.current().model is not None


def test_two_workers_agree_and_one_change_is_one_activation(deployment: Deployment) -> None:
    workers = [deployment.worker().started() for _ in range(2)]
    deployment.write_resources("invoice")
    for _ in range(4):
        for worker in workers:
            worker.look(1)
    assert workers[0].in_force == workers[1].in_force
    assert [worker.types for worker in workers] == [["invoice"]] * 2
    assert len(deployment.log.log) == 2
    assert len(deployment.topic.acknowledged) == 1


def test_workers_with_copies_of_the_files_do_not_undo_each_other(deployment: Deployment, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(deployment.folder, copy)
    early, late = deployment.worker().started(), deployment.worker(copy).started()
    deployment.write_resources("invoice")
    for _ in range(5):
        early.look(1)
        late.look(1)
    assert early.types == late.types == ["invoice"]
    restarted = deployment.worker(copy).started()  # its files are still the old ones
    assert restarted.types == ["invoice"]
    deployment.write_resources("invoice", folder=copy)
    for worker in (late, restarted, early):
        worker.look()
    assert len(deployment.log.log) == 2
    assert early.types == late.types == restarted.types == ["invoice"]


def test_a_race_for_the_next_number_leaves_one_log(deployment: Deployment) -> None:
    worker, other = deployment.worker().started(), deployment.worker().started()
    deployment.write_resources("invoice")
    other.look()
    theirs = deployment.log.log.pop()
    deployment.log.before_append = [theirs]
    worker.look()
    assert deployment.log.log[-1] == theirs
    assert worker.in_force == theirs.versions_id


def test_a_change_while_nobody_ran_is_taken_up_at_the_start(deployment: Deployment) -> None:
    deployment.worker().started()
    deployment.write_resources("invoice")
    assert deployment.worker().started().types == ["invoice"]


def test_a_rollback_stays_until_the_files_change(deployment: Deployment) -> None:
    workers = [deployment.worker().started() for _ in range(2)]
    deployment.write_resources("invoice")
    for worker in workers:
        worker.look()
    written = deployment.activator().rollback(deployment.log, LIN, "too many alerts since the change")
    for worker in (*workers, deployment.worker().started()):  # a restart changes nothing
        worker.look()
        assert worker.types == ["customer_profile"]
    assert written.kind == ROLLBACK
    assert written.by_token == deployment.keyring.token("default", "actor", "lin.meng")
    (deployment.folder / "directory" / "resources.csv").touch()
    workers[0].look()
    assert workers[0].types == ["customer_profile"]
    deployment.write_resources("invoice", "campaign")
    for worker in workers:
        worker.look()
        assert worker.types == ["campaign", "invoice"]


def test_files_that_return_to_what_was_rolled_back_to_are_a_new_state_of_the_files(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    deployment.write_resources("invoice")
    worker.look()
    deployment.activator().rollback(deployment.log, LIN, "no")
    worker.look()
    deployment.write_resources("customer_profile")  # what is in force already
    worker.look()
    deployment.write_resources("invoice")
    worker.look()
    assert worker.types == ["invoice"]
    # a new state of the files under the same set is recorded, but is no change to tell of
    assert [bool(one.event) for one in deployment.log.log] == [False, True, True, False, True]


def test_use_takes_any_set_that_was_in_force_and_no_other(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    first = worker.in_force
    for name in ("invoice", "campaign"):
        deployment.write_resources(name)
        worker.look()
    with pytest.raises(UsageError, match="never in force"):
        deployment.activator().use(deployment.log, b"x" * 32, LIN, "typo")
    with pytest.raises(UsageError, match="already"):
        deployment.activator().use(deployment.log, worker.in_force, LIN, "again")
    deployment.activator().use(deployment.log, first, LIN, "back to the first")
    worker.look(1)
    assert worker.in_force == first
    assert _kinds(deployment)[-1] == USE


def test_without_an_earlier_set_there_is_no_rollback(deployment: Deployment) -> None:
    deployment.worker().started()
    with pytest.raises(UsageError, match="no earlier"):
        deployment.activator().rollback(deployment.log, LIN, "why not")


def test_a_threshold_is_part_of_the_set_and_stays_with_its_model(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    deployment.activator().set_threshold(deployment.store, deployment.log, 8000, LIN, "too many")
    worker.look(1)
    assert worker.judgements.current().policy == Policy(8000, small_model().rule_threshold)
    deployment.write_resources("invoice")
    worker.look()
    assert worker.types == ["invoice"]
    assert worker.judgements.current().policy == Policy(8000, small_model().rule_threshold)
    other = small_model(seed=2, rule_threshold=9100)
    save(other, deployment.folder / "model")
    worker.look()
    assert worker.judgements.current().policy == other.policy == Policy(6543, 9100)
    assert _kinds(deployment) == [FIRST, THRESHOLD, FILES, FILES]


def test_the_change_event_is_valid_and_says_who_what_and_why(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    before = worker.in_force
    made = deployment.activator().set_threshold(deployment.store, deployment.log, 8000, LIN, "too many")
    worker.look(1)
    assert deployment.topic.acknowledged == []  # who wrote it tells first
    deployment.log.log[-1] = replace(made, activated_at_us=made.activated_at_us - 60_000_000)
    worker.look(1)
    ((key, value),) = deployment.topic.acknowledged
    told = json.loads(value)
    decoded = decode(batch_of([Record(0, value, key, made.activated_at_us // 1000)]))
    assert [one.event_id for one in decoded.events] == [told["event_id"]]
    assert key == b"lin.meng"
    assert told["event_id"] == str(made.event_id)
    assert (told["action"], told["source_system"], told["actor_id"]) == ("policy_change", "accesstrail", "lin.meng")
    assert told["resource_id"] == made.versions_id.hex()
    assert told["query_fingerprint"] == before.hex()
    assert told["fields_accessed"] == ["policy"]
    assert told["justification"] == "too many"
    assert "lin.meng" not in repr(deployment.log.log)


def test_a_change_is_told_once_through_outages_and_crashes(deployment: Deployment) -> None:
    workers = [deployment.worker().started() for _ in range(3)]
    deployment.topic.away = 3
    deployment.log.faults["mark_announced"] = [Away("cut")]
    deployment.write_resources("invoice")
    for _ in range(8):
        for worker in workers:
            worker.look(1)
    # acknowledged, then the note of it was lost: sent again as the same bytes, which the duplicate window knows
    sent = deployment.topic.acknowledged
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert deployment.log.unannounced(TOPIC) == []


def test_a_set_of_another_version_of_the_code_is_refused_and_the_worker_goes_on(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = deployment.worker().started()
    monkeypatch.setattr("pipeline.version_sets.files.FEATURE_VERSION", "next")
    new = deployment.worker().started()  # other code, so other words: a set that was never in force
    assert new.in_force != old.in_force
    with pytest.raises(BrokenInvariant, match="another version of features"):
        new.judgements.by_id(old.in_force)
    monkeypatch.undo()
    before = old.in_force
    old.look()
    assert old.in_force == before
    assert old.judgements.model_state()["not_reloaded"] == {"follow": "other_version"}
    started_again = deployment.worker().started()
    assert started_again.in_force == before  # what the files give under this code
    numbers = len(deployment.log.log)
    for worker in (old, new, started_again):
        worker.look()
    assert len(deployment.log.log) == numbers


def test_a_changed_activation_does_not_open(deployment: Deployment) -> None:
    deployment.worker().started()
    made = deployment.activator().set_threshold(deployment.store, deployment.log, 8000, LIN, "x")
    moved: Activation = replace(made, number=made.number + 1)
    with pytest.raises(AccesstrailError):
        opened_event(moved, deployment.keyring)


def test_a_change_event_is_stored_but_is_nobodys_behaviour(deployment: Deployment) -> None:
    deployment.worker().started()
    made = deployment.activator().set_threshold(deployment.store, deployment.log, 8000, LIN, "x")
    value, other = opened_event(made, deployment.keyring), msgspec.json.encode(event("other", actor_id="lin.meng"))
    state, stages = memory(), chain()
    now_ms = made.activated_at_us // 1000
    found = [Record(0, value, timestamp=now_ms), Record(1, other, timestamp=now_ms)]
    formed = stages.form(batch_of(found), state, judgement())
    assert formed.events is not None
    statuses = [SCORE_STATUSES[code - 1] for code in formed.events.fixed("score_status").tolist()]
    assert statuses == ["not_scored", "unscored"]
    assert state.profiles.state["events"][: len(state.profiles)].tolist() == [1]


def test_the_log_of_activations_does_not_tie_a_name_to_its_token(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    worker.activator.set_threshold(
        deployment.store, deployment.log, 6000, LIN, "lin.meng asked for it, not lin.mengyao"
    )  # fmt: skip
    assert deployment.log.history(TOPIC)[-1].reason == "[actor] asked for it, not lin.mengyao"
