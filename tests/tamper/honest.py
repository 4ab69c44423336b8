"""Honest histories, whatever happened to them: verification may find nothing, at the end and where it is asked between.

Each begins with the store as it was kept and leaves it to be put back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from pipeline.adapters.clickhouse import connect
from pipeline.adapters.erasing import VaultEraser
from pipeline.adapters.vault import open_vault
from pipeline.config import VAULT
from pipeline.ledger.signed_note import PrivateKey
from pipeline.ports import Identity
from pipeline.privacy.keys import Keyring
from tests.batches import batch
from tests.tamper.engine import Engine
from tests.tamper.history import BATCHES, DUE_BEFORE, KEY, LOG, PARTITIONS, TamperedStore, sweep
from tests.tamper.tables import RAW, TABLES

_STEPS = ("planned", "announced", "leaves", "deleting", "access_events", "sources")


@dataclass(slots=True)
class Honest:
    """One history under way. `alarms`: codes that verification told of it."""

    engine: Engine
    store: TamperedStore
    chance: random.Random
    alarms: list[str] = field(default_factory=list)

    def look(self, *keys: PrivateKey, is_whole: bool = True) -> None:
        """Verifies; `is_whole`: nothing may be missing either."""
        found = self.store.verify(keys=[one.public for one in (KEY, *keys)])
        if found.has_differences or (is_whole and found.counts):
            self.alarms += [f"{one.code}: {one.about}" for one in found.told]


def merges(one: Honest) -> None:
    """Every table merged to one part a partition, after repeated inserts of the same rows."""
    number = one.chance.randrange(PARTITIONS)
    again = one.chance.choice(one.store.batches[number][2:BATCHES])
    one.store.write_rows(again)
    one.look()
    for table in TABLES:
        one.store.do(f"OPTIMIZE TABLE {RAW}.{table} FINAL")
    one.look()


def zombies(one: Honest) -> None:
    """A writer that had lost its partition stores what it had formed, over sealed offsets and behind the end."""
    number = one.chance.randrange(PARTITIONS)
    have = one.store.batches[number]
    before = one.chance.choice(have[2:])
    seed = one.chance.randrange(10**6)
    one.store.write_rows(batch(before.entry.position, before.entry, events=40, seed=seed))
    one.look()


def crash(one: Honest) -> None:
    """The rows of a batch are stored, the engine dies; then they come again with the entry."""
    number = one.chance.randrange(PARTITIONS)
    before = one.store.batches[number][-1].entry
    made = batch(before.position, before, events=30, seed=one.chance.randrange(10**6))
    one.store.write_rows(made)
    folders = one.store.folders()
    one.engine.kill()
    sweep(folders)
    one.engine.start()
    one.store.connect()
    one.look()
    one.store.write(made)
    one.look(is_whole=False)
    one.store.sign(one.store.checkpoint_of(made), is_kept=False)
    one.look()


def retention(one: Honest) -> None:
    """Another run takes more rows; it is looked at between two of its steps."""
    step, have = one.chance.choice(_STEPS), list(one.store.batches[PARTITIONS - 1])
    kept = list(one.store.kept)

    def between(at: str) -> None:
        if at == step:
            one.look(is_whole=False)

    one.store.retain(DUE_BEFORE + one.chance.randrange(10, 90), between)
    one.look()
    one.store.batches[PARTITIONS - 1], one.store.kept = have, kept


def erasure(one: Honest) -> None:
    """A person's identity and its key are taken out of the vault."""
    vault = open_vault(one.store.settings)
    assert vault is not None
    name, tenant = uuid4().hex, "erased"
    token = Keyring.offline().token(tenant, "subject", name)
    vault.keep([Identity(tenant, "subject", token, name)])
    vault.close()
    client = connect(one.store.settings.clickhouse, VAULT)
    eraser = VaultEraser(client, tenant, "subject", [token.hex()])
    assert eraser.identities() == 1
    eraser.erase()
    client.close()
    one.look()


def key_rotation(one: Honest) -> None:
    """The ledger's key is another one from some checkpoint on; both are known."""
    other = PrivateKey("accesstrail", one.chance.randbytes(32))
    kept = list(one.store.kept)
    number = one.chance.randrange(PARTITIONS)
    before = one.store.batches[number][-1].entry
    for _ in range(2):
        made = batch(before.position, before, events=10, seed=one.chance.randrange(10**6))
        one.store.write(made)
        before = made.entry
        one.store.sign(one.store.checkpoint_of(made), key=other)
    one.look(other)
    one.store.kept = kept


def restore(one: Honest) -> None:
    """An older backup of everything; what came after it is processed again from Kafka, and signed again."""
    one.store.put_back(TABLES, "older")
    if not one.store.verify().has_differences:
        one.alarms.append("the restored store looks whole although its end is missing")
    for number in range(PARTITIONS):
        for again in one.store.batches[number]:
            if not one.store.do(f"SELECT 1 FROM {RAW}.ledger WHERE batch_id = {again.entry.batch_id}"):
                one.store.write(again)
                one.store.sign(one.store.checkpoint_of(again), is_kept=False)
    for table in ("incidents", "incident_log"):
        one.store.do(
            f"INSERT INTO {RAW}.{table} SELECT * FROM {RAW}.{table}_kept WHERE offset NOT IN "
            f"(SELECT offset FROM {RAW}.{table}) SETTINGS insert_deduplicate = 0"
        )
    [(size,)] = one.store.do(f"SELECT count() FROM {RAW}.incident_log WHERE topic = '{LOG.topic}'")
    one.store.sign(one.store.log_checkpoint(size), is_kept=False)
    one.look()


HONEST: Mapping[str, Callable[[Honest], None]] = {
    "merges": merges, "zombies": zombies, "crash": crash, "retention": retention, "erasure": erasure,
    "key rotation": key_rotation, "restore": restore,
}  # fmt: skip
"""What an honest store goes through."""
