"""Exceptions of the set in force: made, ended, kept when files change, gone back over, told as access events."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detectors.exceptions import MOST, PART, AlertException, content_of
from detectors.model import save
from pipeline.errors import OtherVersion, UsageError
from pipeline.version_sets.activator import Edit
from pipeline.version_sets.change_events import Requester, opened_event
from pipeline.version_sets.exceptions import (
    add_exception,
    end_exception,
    ended_exceptions,
    exceptions_of,
    found,
)
from pipeline.version_sets.judgements import StoreAccess
from pipeline.version_sets.sets import EXCEPTION, Activation, VersionSet
from tests.exceptions import exception
from tests.models import small_model
from tests.unit.versions.deployment import TOPIC, Deployment

LIN = Requester("lin.meng")


class People:
    """A deployment with one worker, and a person who changes its exceptions."""

    def __init__(self, folder: Path) -> None:
        self.deployment = Deployment(folder)
        self.worker = self.deployment.worker().started()
        self.access = StoreAccess(self.deployment.store, self.deployment.log)
        self.activator = self.deployment.activator()

    def add(self, *detectors: str, **fields: Any) -> tuple[Activation, AlertException]:
        one = exception(*detectors, **{"key_version": self.deployment.keyring.version_id, **fields})
        return add_exception(self.activator, self.access, one, LIN), one

    def end(self, exception_id: str) -> Activation:
        return end_exception(self.activator, self.access, exception_id, LIN, "not needed any more")[0]

    @property
    def in_force(self) -> tuple[AlertException, ...]:
        return exceptions_of(self.access.evidence, self.access.activations.newest(TOPIC))


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "deployment")


def test_running_workers_judge_by_an_exception_without_a_restart(people: People) -> None:
    assert not people.worker.judgements.current().exceptions
    made, one = people.add()
    people.worker.look()
    assert people.worker.judgements.current().exceptions == (one,)
    assert people.worker.in_force == made.versions_id
    assert (made.kind, made.reason, made.threshold) == (EXCEPTION, one.reason, 6543)


def test_an_ended_exception_is_gone_and_the_set_before_the_first_is_back(people: People) -> None:
    before = people.worker.in_force
    _, one = people.add()
    _, other = people.add("bulk_export")
    people.end(one.exception_id[:6])
    assert people.in_force == (other,)
    last = people.end(other.exception_id)
    assert PART not in last.parts
    assert last.versions_id == before


def test_the_change_is_told_as_an_access_event_with_the_person_and_the_part(people: People) -> None:
    made, one = people.add()
    event = json.loads(opened_event(made, people.deployment.keyring))
    assert (event["action"], event["actor_id"], event["justification"]) == ("policy_change", "lin.meng", one.reason)
    assert event["fields_accessed"] == [PART]


def test_exceptions_stay_when_files_change_and_when_the_threshold_does(people: People) -> None:
    _, one = people.add()
    people.worker.look()
    save(small_model(seed=2), people.deployment.folder / "model")
    people.deployment.write_resources("customer_profile", "invoice")
    people.worker.look()
    assert people.worker.types == ["customer_profile", "invoice"]
    people.activator.set_threshold(people.access.evidence, people.access.activations, 9000, LIN, "too many")
    people.worker.look()
    judgement = people.worker.judgements.current()
    assert judgement.exceptions == (one,)
    assert judgement.policy.threshold == 9000


def test_a_rollback_takes_back_what_the_last_change_made(people: People) -> None:
    _, one = people.add()
    people.activator.rollback(people.access.activations, LIN, "a wrong account")
    assert not people.in_force
    people.activator.rollback(people.access.activations, LIN, "it was the right one")
    assert people.in_force == (one,)


def test_an_older_set_judges_by_its_own_exceptions(people: People) -> None:
    made, one = people.add()
    people.end(one.exception_id)
    people.worker.look()
    assert people.worker.judgements.current().exceptions == ()
    assert people.worker.judgements.by_id(made.versions_id).exceptions == (one,)


def test_what_was_ended_is_found_in_older_sets_with_the_change_that_ended_it(people: People) -> None:
    _, one = people.add()
    _, other = people.add("bulk_export")
    gone = people.end(one.exception_id)
    log = people.access.activations.history(TOPIC)
    (ended,) = ended_exceptions(people.access.evidence, log)
    assert (ended.exception, ended.by) == (one, gone)
    add_exception(people.activator, people.access, one, LIN)
    assert ended_exceptions(people.access.evidence, people.access.activations.history(TOPIC)) == []
    assert sorted(each.exception_id for each in people.in_force) == sorted((one.exception_id, other.exception_id))


def test_the_same_exception_is_made_once_and_another_keys_tokens_are_refused(people: People) -> None:
    people.add()
    with pytest.raises(UsageError, match="in force already"):
        people.add()
    with pytest.raises(UsageError, match="another key"):
        people.add("bulk_export", key_version="2-beef")
    assert len(people.in_force) == 1


def test_there_are_never_more_than_the_most(people: People) -> None:
    key = people.deployment.keyring.version_id
    many = content_of([exception(created_us=number, key_version=key) for number in range(MOST)])
    store, log = people.access.evidence, people.access.activations
    people.activator.change(store, log, EXCEPTION, lambda _: Edit({PART: many}), LIN, "all at once")
    with pytest.raises(UsageError, match="end those"):
        people.add("bulk_export")


def test_an_id_may_be_shortened_until_it_is_not_the_only_one() -> None:
    one = exception()
    twin = replace(one, exception_id=one.exception_id[:6] + "000000")
    assert found([one], one.exception_id[:4]) == one
    assert found([one], one.code.upper().replace("EXCEPTION", "exception")) == one
    for text, fault in (("ab", "at least 4"), ("ffff", "no exception ffff"), (one.exception_id[:5], "several")):
        with pytest.raises(UsageError, match=fault):
            found([one, twin], text)


def test_exceptions_of_another_version_of_accesstrail_are_not_judged_by(people: People) -> None:
    store, newest = people.access.evidence, people.access.activations.newest(TOPIC)
    assert newest is not None
    parts = {**newest.parts, PART: store.save_artefact(PART, b'{"exceptions":[],"format":2}')}
    versions = VersionSet(parts)
    store.save_artefact("versions", versions.content())
    with pytest.raises(OtherVersion):
        people.worker.judgements.by_id(versions.versions_id)
