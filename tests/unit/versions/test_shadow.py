"""A shadow model comes, stays while files change, goes; the budget's moves go through the same log."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from detectors.model import save
from pipeline.errors import UsageError
from pipeline.version_sets import shadow
from pipeline.version_sets.activator import SYSTEM, Edit, policy_of
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.sets import BUDGET, SHADOW, Activation
from tests.models import small_model
from tests.unit.versions.deployment import TOPIC, Deployment

LIN = Requester("lin.meng")


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment")


def _try(deployment: Deployment, seed: int = 2) -> Activation:
    edit = partial(shadow.tried, small_model(seed=seed))
    return deployment.activator().change(deployment.store, deployment.log, SHADOW, edit, LIN, "trained on October too")


def _end(deployment: Deployment) -> Activation:
    return deployment.activator().change(deployment.store, deployment.log, SHADOW, shadow.ended, LIN, "seen enough")


def test_a_running_worker_tries_a_model_and_ends_it_without_a_restart(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    before = worker.judgements.current()
    _try(deployment)
    worker.look()
    during = worker.judgements.current()
    assert during.shadow is not None
    assert during.shadow.about["seed"] == 2
    assert during.model is not None
    assert (during.model.about["seed"], during.policy) == (1, before.policy)
    made = _end(deployment)
    worker.look()
    assert worker.judgements.current().shadow is None
    assert made.versions_id == before.versions.versions_id


def test_a_model_that_is_tried_stays_while_the_model_folder_changes(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    _try(deployment)
    worker.look()
    save(small_model(seed=3), deployment.folder / "model")
    worker.look()
    worker.look()
    current = worker.judgements.current()
    assert current.shadow is not None
    assert current.model is not None
    assert (current.model.about["seed"], current.shadow.about["seed"]) == (3, 2)


def test_nothing_is_ended_where_nothing_is_tried(deployment: Deployment) -> None:
    deployment.worker().started()
    with pytest.raises(UsageError, match="no model is tried"):
        _end(deployment)


def test_the_budgets_move_is_a_set_of_its_own_by_nobody(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    newest = deployment.log.newest(TOPIC)
    assert newest is not None
    moved = replace(policy_of(deployment.store, newest), threshold=7000, rule_threshold=8400)

    def edit(_: Activation) -> Edit:
        return Edit({"policy": moved.content()}, moved.threshold)

    made = deployment.activator().change(deployment.store, deployment.log, BUDGET, edit, SYSTEM, "night")
    worker.look()
    assert worker.judgements.current().policy == moved
    assert (made.kind, made.by_token, made.threshold) == (BUDGET, bytes(16), 7000)
