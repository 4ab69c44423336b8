"""Step 1 of a commit: who is behind a batch's tokens is in the vault before a row names them, whatever happens."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.batch import FormedBatch
from pipeline.errors import Away
from pipeline.flow import commit_batch
from pipeline.privacy.identities import KnownIdentities
from pipeline.privacy.keys import Keyring
from tests.corpus.make_poison import event
from tests.fakes import InMemoryStore, InMemoryVault
from tests.flows import Log, Published, Record, await_that, batch_of, chain, judgement, memory, records, worker_of

TENANT = "default"


class SimulatedCrashError(Exception):
    """The process dies here."""


def formed_of(found: list[Record], known: KnownIdentities) -> FormedBatch:
    return chain(known).form(batch_of(found), memory(), judgement())


def test_accounts_and_data_subjects_are_kept_under_the_tokens_that_stand_in_the_rows() -> None:
    found = [Record(0, _line(actor_id="wang", on_behalf_of="li", subject_ids=["c1", "c2"], resource_id="c1"))]
    found.append(
        Record(1, _line("grant", actor_id="wang", action="grant", resource_type="account", resource_id="chen"))
    )
    formed = formed_of(found, KnownIdentities())
    keyring = Keyring.offline()
    expected = {("actor", "wang"), ("actor", "li"), ("actor", "chen"), ("subject", "c1"), ("subject", "c2")}
    named = {(one.kind, one.identifier): one.token for one in formed.identities}
    assert expected <= set(named)
    assert all(token == keyring.token(TENANT, *name) for name, token in named.items())
    assert {kind for kind, _ in named} == {"actor", "subject"}


def test_a_batch_without_a_vault_names_nobody() -> None:
    assert chain().form(batch_of(records(20)), memory(), judgement()).identities == ()


def test_the_evidence_is_the_same_with_and_without_a_vault() -> None:
    without = chain().form(batch_of(records(20)), memory(), judgement())
    formed = formed_of(records(20), KnownIdentities())
    assert (formed.entry, formed.token()) == (without.entry, without.token())


def test_identities_are_kept_before_the_rows() -> None:
    store = InMemoryStore()
    vault = InMemoryVault(store)
    commit_batch(formed_of(records(20), KnownIdentities()), store, Published(), "w", vault=vault)
    assert vault.calls[0][1] == 0
    assert vault.kept
    assert store.rows["access_events"]


def test_a_vault_that_is_away_keeps_the_rows_back() -> None:
    store = InMemoryStore()
    vault = InMemoryVault(store)
    vault.faults = [Away("the vault does not answer")]
    formed = formed_of(records(20), KnownIdentities())
    with pytest.raises(Away):
        commit_batch(formed, store, Published(), "w", vault=vault)
    assert store.rows["access_events"] == []
    assert store.ledger == []
    commit_batch(formed, store, Published(), "w", vault=vault)
    assert vault.kept


@pytest.mark.parametrize("step", [1, 2, 6])
def test_a_crash_behind_the_vault_leaves_what_a_calm_run_leaves(step: int) -> None:
    calm, crashed = InMemoryVault(), InMemoryVault()
    store = InMemoryStore()
    commit_batch(formed_of(records(40), KnownIdentities()), InMemoryStore(), Published(), "w", vault=calm)

    def after(number: int) -> None:
        if number == step:
            raise SimulatedCrashError

    with pytest.raises(SimulatedCrashError):
        commit_batch(formed_of(records(40), KnownIdentities()), store, Published(), "w", after, crashed)
    assert crashed.kept == calm.kept
    # Another process: it knows nothing of what was kept.
    commit_batch(formed_of(records(40), KnownIdentities()), store, Published(), "w", vault=crashed)
    assert crashed.kept == calm.kept
    assert len(store.ledger) == 1


def test_whoever_is_known_is_not_offered_again() -> None:
    known, store = KnownIdentities(), InMemoryStore()
    vault, log = InMemoryVault(store, known), Log(records(40))
    worker = worker_of(store, log, Published(), vault=vault, known=known)
    worker.start()
    await_that(lambda: worker.status.sealed_offset == 39, worker.status)
    worker.close()
    assert worker.join(10)
    offered = [count for count, _ in vault.calls if count]
    assert sum(offered) == len(vault.kept)


def test_what_is_formed_again_only_to_learn_profiles_is_not_kept_again() -> None:
    store = InMemoryStore()
    log, published = Log(records(40)), Published()
    first = worker_of(store, log, published)
    first.start()
    await_that(lambda: first.status.sealed_offset == 39, first.status)
    store._snapshots.clear()
    first.close()
    assert first.join(10)
    store._snapshots.clear()
    known, vault = KnownIdentities(), InMemoryVault(store)
    second = worker_of(store, log, published, vault=vault, known=known)
    second.start()
    await_that(lambda: second.status.state == "running", second.status)
    second.close()
    assert second.join(10)
    assert vault.calls == []


def _line(name: str = "one", **more: object) -> bytes:
    return msgspec.json.encode(event(name, **more))
