"""Rotating the token key on the real stack, in mid-stream: two running workers, events all the while, nothing lost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaProducer

from deploy.local.configuration import LEDGER_PUBLIC_KEYS
from detectors.model import save
from pipeline.adapters.bundle_reading import StoredEvidence
from pipeline.adapters.checkpoints import open_checkpoints
from pipeline.adapters.kafka import TopicAdmin, topic_specs
from pipeline.cli.notary import notary_settings
from pipeline.cli.stack_run import ledger_keys
from pipeline.notary.notary import Notary
from pipeline.privacy.keys import Keyring
from tests.accounts import token_file
from tests.conftest import Stack
from tests.corpus.make_poison import event
from tests.e2e.checker import check
from tests.e2e.stores import Consumer, empty_store
from tests.models import small_model

pytestmark = [pytest.mark.stack, pytest.mark.e2e, pytest.mark.timeout(1800)]

TOPIC = "e2e.rotation"
ACTORS, SUBJECTS = 40, 60
BEFORE, WHILE_S = 800, 12
_ACTORS_CSV = (
    "actor_id,actor_type,org,department,role,manager_id,site,hired_on,leaves_on,status,mfa_required\n"
    + "".join(f"actor-{one},employee,,service,agent,,,,,active,no\n" for one in range(ACTORS // 2))
)  # fmt: skip


class Rotated:
    """A store of its own, two workers, a key that was rotated while a thread sent events; the numbers of both keys."""

    def __init__(self, stack: Stack, state: Path, folder: Path) -> None:
        shared = folder / "shared"
        (shared / "directory").mkdir(parents=True)
        (shared / "directory" / "actors.csv").write_text(_ACTORS_CSV, encoding="utf-8")
        save(small_model(threshold=4500), shared / "model")
        kafka = replace(
            stack.settings.kafka, events_topic=TOPIC, incidents_topic=f"{TOPIC}.incidents",
            notifications_topic=f"{TOPIC}.notifications",
        )  # fmt: skip
        self.admin = TopicAdmin(kafka.bootstrap_servers)
        self.admin.create(topic_specs(kafka))
        self.consumer = Consumer(folder / "consumer", state, TOPIC, "rotation-record", shared, batch=50)
        self.producer: Any = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all")
        token = token_file(self.consumer.settings.state_dir, "lin.meng", "operator")
        self.person = ("--token-file", str(token))
        self.sent = 0
        self.told: dict[str, Any] = {}

    def send(self, count: int) -> None:
        for number in range(self.sent, self.sent + count):
            body = event(
                f"rotation {number}", actor_id=f"actor-{number % ACTORS}", event_time="2026-11-20T08:00:00Z",
                subject_ids=[f"c-{number % SUBJECTS}"], resource_id=f"c-{number % SUBJECTS}",
            )  # fmt: skip
            self.producer.send(TOPIC, key=body["actor_id"].encode(), value=msgspec.json.encode(body))
        self.sent += count
        self.producer.flush()

    def send_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.send(20)
            time.sleep(0.2)

    def keyring(self) -> Keyring:
        return Keyring.load(self.consumer.settings.protection.token_keys_file)

    def ask(self, sql: str) -> list[Any]:
        return [*self.consumer.reader.query(sql, {"t": TOPIC})]

    def said(self, *words: str) -> Any:
        done = self.consumer.command(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def close(self) -> None:
        self.producer.close()
        self.consumer.close()
        self.admin.close()


@pytest.fixture(scope="module")
def rotated(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotated]:
    folder = tmp_path_factory.mktemp("rotation")
    with ExitStack() as opened:
        made = Rotated(stack, opened.enter_context(empty_store(stack, folder / "store")), folder)
        opened.callback(made.close)
        (made.consumer.folder / LEDGER_PUBLIC_KEYS).unlink()  # of the stack's own ledger
        ledger_keys(made.consumer.folder)
        made.consumer.start()
        made.consumer.start()
        made.send(BEFORE)
        made.consumer.await_end_of_log(made.admin)
        pids = [worker.pid for worker in made.consumer.workers]
        sender = threading.Thread(target=made.send_for, args=(WHILE_S,))
        sender.start()
        made.told = made.said("keys", "tokens", "rotate", "--reason", "the yearly rotation", *made.person)[0]
        sender.join()
        made.send(BEFORE)
        made.consumer.await_versions(2)
        made.consumer.await_end_of_log(made.admin)
        assert [(worker.pid, worker.poll()) for worker in made.consumer.workers] == [(pid, None) for pid in pids]
        yield made


def test_nothing_is_lost_and_each_partition_changes_the_key_at_one_offset(rotated: Rotated) -> None:
    parts = rotated.ask(
        "SELECT partition, lower(hex(versions_id)), min(offset), max(offset), count() FROM accesstrail.access_events "
        "WHERE topic = {t:String} AND source_system != 'accesstrail' GROUP BY partition, versions_id "
        "ORDER BY partition, min(offset)"
    )
    assert sum(row[4] for row in parts) == rotated.sent
    new = rotated.told["versions_id"]
    by_partition: dict[int, list[tuple[bool, int, int]]] = {}
    for partition, versions, first, last, _ in parts:
        by_partition.setdefault(partition, []).append((versions == new, first, last))
    assert len(by_partition) > 4
    for ranges in by_partition.values():
        assert [is_new for is_new, _, _ in ranges] == [False, True]
        assert ranges[0][2] < ranges[1][1]
    incarnation, ends = _life(rotated)
    check(rotated.consumer.reader, TOPIC, incarnation, ends)


def test_rows_after_it_hold_fresh_pseudonyms_and_those_before_keep_theirs(rotated: Rotated) -> None:
    ring, first = rotated.keyring(), rotated.keyring().canonical
    assert rotated.told["version"] == ring.version_id != first.version_id
    rows = rotated.ask(
        "SELECT lower(hex(versions_id)), groupUniqArray(lower(hex(actor_token))), "
        "groupUniqArrayArray(arrayMap(one -> lower(hex(one)), subject_tokens)) FROM accesstrail.access_events "
        "WHERE topic = {t:String} AND source_system != 'accesstrail' GROUP BY versions_id"
    )
    for versions, actors, subjects in rows:
        signing = ring if versions == rotated.told["versions_id"] else first
        assert set(actors) == {signing.token("default", "actor", f"actor-{one}").hex() for one in range(ACTORS)}
        assert set(subjects) == {signing.token("default", "subject", f"c-{one}").hex() for one in range(SUBJECTS)}


def test_everybody_is_counted_once(rotated: Rotated) -> None:
    sql = (
        "SELECT uniqExact(actor_token), uniqExactArray(subject_tokens), count() FROM accesstrail.{view} "
        "WHERE topic = {t:String} AND source_system != 'accesstrail'"
    )
    assert rotated.ask(sql.replace("{view}", "access_events"))[0] == (2 * ACTORS, 2 * SUBJECTS, rotated.sent)
    deadline = time.monotonic() + 90
    while (found := rotated.ask(sql.replace("{view}", "person_events"))[0]) != (ACTORS, SUBJECTS, rotated.sent):
        assert time.monotonic() < deadline, found
        time.sleep(1)


def test_a_search_finds_what_was_before_and_after(rotated: Rotated) -> None:
    wanted = len([one for one in range(rotated.sent) if one % ACTORS == 3])
    assert len(rotated.said("search", "--actor", "actor-3", "--limit", "10000")) == wanted
    ring = rotated.keyring()
    officer = str(token_file(rotated.consumer.settings.state_dir, "dpo.one", "dpo"))
    for token in ring.tokens("default", "subject", "c-7"):
        identity = rotated.consumer.command(
            "reveal", token.hex(), "--reason", "a test of the rotation of keys", "--token-file", officer, "--json"
        )
        assert json.loads(identity.stdout)["identity"] == "c-7", identity.stderr


def test_whichever_token_names_a_person_all_of_it_is_exported_and_erased(rotated: Rotated) -> None:
    tokens = [one.hex() for one in rotated.keyring().tokens("default", "subject", "c-7")]
    accesses, officer = (
        StoredEvidence(rotated.consumer.reader),
        token_file(rotated.consumer.settings.state_dir, "dpo.two", "dpo"),
    )
    rotated.consumer.await_end_of_log(rotated.admin)
    found = [set(accesses.places("subject", "default", [token], (0, 2**62), 10**5)) for token in tokens]
    assert found[0] == found[1]
    reveals = len(tokens)  # of the test before: accesses to this person, too
    assert len(found[0]) == len([one for one in range(rotated.sent) if one % SUBJECTS == 7]) + reveals
    for token in tokens:
        done = rotated.consumer.command("erase", token, "--preview", "--json", "--token-file", str(officer))
        would = json.loads(done.stdout)
        assert (set(would["tokens"]), would["identities"]) == (set(tokens), 2)


def test_evidence_verifies_and_a_replay_gives_the_same(rotated: Rotated) -> None:
    # The looks of the test before are events of their own.
    rotated.consumer.await_end_of_log(rotated.admin)
    rotated.consumer.stop()
    _no_account_has_two_profiles(rotated)
    done = rotated.consumer.command("replay", "--check", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(json.loads(line)["equal"] for line in done.stdout.splitlines())
    _sign(rotated)
    ledger = rotated.consumer.settings.ledger
    verified = rotated.consumer.command("verify", "--store", "--keys", str(ledger.public_keys_file), "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_change_is_an_access_event_and_the_key_is_shown(rotated: Rotated) -> None:
    rows = rotated.ask(
        "SELECT justification, fields_accessed, endpoint FROM accesstrail.access_events WHERE topic = {t:String} "
        "AND action = 'policy_change' AND source_system = 'accesstrail' AND resource_type = 'version_set'"
    )
    assert rows == [("the yearly rotation", ["tokens", "tokens_canonical"], "versions rotate_key")]
    keys = rotated.said("keys", "tokens", "show")[0]["keys"]
    assert [(one["signs"], one["canonical"]) for one in keys] == [(False, True), (True, False)]


def _sign(rotated: Rotated) -> None:
    """Checkpoints of every tree, as a notary signs them."""
    settings = rotated.consumer.settings
    notary = Notary(
        open_checkpoints(settings.clickhouse, settings.kafka.incidents_topic), notary_settings(settings), time.time
    )
    notary.begin([])
    while notary.round().goes_on:
        pass
    trees = "SELECT uniqExact(partition) FROM accesstrail.ledger WHERE topic = {t:String}"
    assert rotated.ask(trees.replace("ledger", "checkpoints")) == rotated.ask(trees)


def _no_account_has_two_profiles(rotated: Rotated) -> None:
    """Whoever is known is no new actor: its profile goes on, whatever its rows are called."""
    [(profiles,)] = rotated.ask("SELECT countIf(is_profile) FROM accesstrail.actor_profiles WHERE topic = {t:String}")
    [(persons,)] = rotated.ask("SELECT uniqExact(actor_token) FROM accesstrail.person_events WHERE topic = {t:String}")
    assert profiles == persons
    assert ACTORS < persons < ACTORS + 10


def _life(rotated: Rotated) -> tuple[str, dict[int, int]]:
    partitions = range(rotated.consumer.settings.kafka.partitions)
    ends = rotated.admin.partition_bounds(TOPIC, partitions)
    return rotated.admin.bounds(TOPIC, 0)[0], {number: one.end_offset for number, one in ends.items()}
