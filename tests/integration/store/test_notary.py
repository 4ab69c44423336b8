"""The notary over the real store: honest growth, restarts, two at once, a tail that is cut, a history written anew."""

from __future__ import annotations

import hashlib
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pipeline.adapters.checkpoints import ClickHouseCheckpoints, open_checkpoints
from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.incident_store import ClickHouseIncidents, open_incidents
from pipeline.adapters.store import ClickHouseStore, _entry_row
from pipeline.columns import LEDGER_COLUMNS
from pipeline.errors import StoreRefused
from pipeline.events import LogPosition
from pipeline.ledger.checkpoint import TreeName, open_checkpoint
from pipeline.ledger.merkle import Frontier
from pipeline.notary.notary import Notary, NotarySettings
from pipeline.ports import LedgerEntry
from tests.batches import batch
from tests.integration.store.test_incidents import Company
from tests.notaries import KEY, Clock

pytestmark = pytest.mark.stack


@dataclass(slots=True)
class Office:
    """Topics of its own in the real store, and notaries of them."""

    store: ClickHouseStore
    checkpoints: ClickHouseCheckpoints
    company: Company
    events_topic: str
    clock: Clock

    @property
    def position(self) -> LogPosition:
        return LogPosition(self.events_topic, "life-1", 3)

    @property
    def names(self) -> tuple[str, str]:
        log = LogPosition(self.company.topic, "life-1", 3)
        return str(TreeName("accesstrail", self.position)), str(TreeName("accesstrail", log))

    def grow(self, previous: LedgerEntry | None, seed: int, events: int = 20) -> LedgerEntry:
        return batch(self.position, previous, seed=seed, events=events).commit(self.store)

    def notary(self, checkpoints: ClickHouseCheckpoints | None = None, anchored: tuple[bytes, ...] = ()) -> Notary:
        settings = NotarySettings(
            deployment="accesstrail", events_topic=self.events_topic, incidents_topic=self.company.topic,
            key=lambda: KEY, known=lambda: (KEY.public,),
        )  # fmt: skip
        made = Notary(checkpoints or self.checkpoints, settings, self.clock)
        made.begin(anchored)
        return made


@pytest.fixture
def open_as_notary(clickhouse_settings: Any) -> Iterator[Callable[[str], ClickHouseCheckpoints]]:
    opened: list[ClickHouseCheckpoints] = []

    def open_one(incidents_topic: str) -> ClickHouseCheckpoints:
        opened.append(open_checkpoints(clickhouse_settings, incidents_topic))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def incidents(clickhouse_settings: Any) -> Iterator[ClickHouseIncidents]:
    opened = open_incidents(clickhouse_settings)
    yield opened
    opened.close()


@pytest.fixture
def office(
    store: ClickHouseStore, incidents: ClickHouseIncidents, open_as_notary: Callable[[str], ClickHouseCheckpoints]
) -> Office:
    company = Company(incidents)
    return Office(store, open_as_notary(company.topic), company, f"topic-{uuid.uuid4().hex}", Clock())


def rows(reader: ClickHouse, topic: str) -> list[tuple[int, int, str, list[str], bytes]]:
    sql = (
        "SELECT tree_size, last_offset, lower(hex(root)), arrayMap(h -> lower(hex(h)), frontier), note "
        "FROM accesstrail.checkpoints WHERE topic = {topic:String} ORDER BY tree_size"
    )
    return [
        (size, last, root.decode(), [one.decode() for one in frontier], note)
        for size, last, root, frontier, note in reader.query(sql, {"topic": topic}, {"strings_as_bytes": True})
    ]


def test_honest_growth_is_signed_and_gone_on_with_after_a_restart(office: Office, reader: ClickHouse) -> None:
    first = office.grow(None, 1)
    for number in range(3):
        office.company.alert(number)
    notary = office.notary()
    notary.round()
    second = office.grow(first, 2)
    notary.round()
    third = office.grow(second, 3)
    office.company.command("acknowledge")
    again = office.notary()
    found = again.round()
    assert not found.refused
    stored = rows(reader, office.events_topic)
    assert [(size, last, root) for size, last, root, *_ in stored] == [
        (one.tree_size, one.last_offset, one.root.hex()) for one in (first, second, third)
    ]
    assert [frontier for *_, frontier, _ in stored] == [
        [one.hex() for one in entry.frontier] for entry in (first, second, third)
    ]
    for size, _, root, _, note in [*stored, *rows(reader, office.company.topic)]:
        checkpoint, _ = open_checkpoint(note, [KEY.public])
        assert (checkpoint.size, checkpoint.root.hex()) == (size, root)
    assert [size for size, *_ in rows(reader, office.company.topic)] == [3, 4]


def test_leaves_of_incidents_are_the_row_bytes_that_the_specification_says(office: Office, reader: ClickHouse) -> None:
    """Put together here by hand from the values, as docs/reference/evidence.md says, without our code."""
    for number in range(3):
        office.company.alert(number)
    office.company.command("comment", incident_id=office.company.incident().incident_id, why="看过了 " + "x" * 200)
    office.notary().round()
    leaves = [_leaf_by_hand(values) for values in _log_values(reader, office.company.topic)]
    [(size, _, root, *_)] = rows(reader, office.company.topic)
    assert (size, root) == (4, Frontier().append(leaves).root().hex())


def _log_values(reader: ClickHouse, topic: str) -> list[dict[str, Any]]:
    sql = (
        "SELECT topic, incarnation, partition, offset, toUnixTimestamp64Micro(received_at) AS received_at, tenant_id, "
        "incident_key, toString(incident_id) AS incident_id, kind, name, transition, code, state_before, state_after, "
        "by, toUnixTimestamp64Micro(at) AS at, why, toString(command_id) AS command_id, "
        "toString(alert_id) AS alert_id, changes, detail "
        "FROM accesstrail.incident_log WHERE topic = {topic:String} ORDER BY offset"
    )
    return reader.named_rows(sql, {"topic": topic})


def _leaf_by_hand(values: dict[str, Any]) -> bytes:
    out = b""
    for name, value in values.items():
        if name == "partition":
            out += struct.pack("<I", value)
        elif name == "offset":
            out += struct.pack("<Q", value)
        elif name in ("received_at", "at"):
            out += struct.pack("<q", value)
        elif name.endswith("_id") and name != "tenant_id":
            raw = uuid.UUID(value).bytes
            out += struct.pack("<QQ", *struct.unpack(">QQ", raw))
        else:
            raw, length = value.encode(), len(value.encode())
            while length > 127:
                out += bytes([length & 127 | 128])
                length >>= 7
            out += bytes([length]) + raw
    return hashlib.sha256(b"\0" + out).digest()


def test_two_notaries_at_once_leave_one_history(
    office: Office, open_as_notary: Callable[[str], ClickHouseCheckpoints], reader: ClickHouse
) -> None:
    entry = office.grow(None, 1)
    notaries = [office.notary(open_as_notary(office.company.topic)) for _ in range(2)]
    faults: list[object] = []

    def rounds(notary: Notary) -> None:
        for _ in range(12):
            found = notary.round()
            faults.extend(found.refused.items())
            time.sleep(0.02)

    threads = [threading.Thread(target=rounds, args=(one,)) for one in notaries]
    for thread in threads:
        thread.start()
    for seed in range(2, 8):
        entry = office.grow(entry, seed, events=5)
        office.company.alert(seed)
    for thread in threads:
        thread.join(60)
    office.clock.now_s += 10
    for notary in notaries:
        assert not notary.round().refused
    assert not faults
    for topic in (office.events_topic, office.company.topic):
        by_size: dict[int, set[bytes]] = {}
        for size, *_, note in rows(reader, topic):
            by_size.setdefault(size, set()).add(note)
        assert all(len(notes) == 1 for notes in by_size.values())
    assert max(size for size, *_ in rows(reader, office.events_topic)) == entry.tree_size
    assert max(size for size, *_ in rows(reader, office.company.topic)) == 6


@pytest.mark.parametrize("restart", [False, True])
def test_a_tail_that_was_cut_off_is_refused_and_the_incidents_are_signed_on(
    office: Office, migrator: ClickHouse, reader: ClickHouse, restart: bool
) -> None:
    first = office.grow(None, 1)
    second = office.grow(first, 2)
    office.company.alert(1)
    notary = office.notary()
    notary.round()
    where = f"WHERE topic = '{office.events_topic}' AND first_offset >= {second.first_offset}"
    migrator.query(f"ALTER TABLE accesstrail_raw.ledger DELETE {where} SETTINGS mutations_sync = 2")
    office.company.alert(2)
    found = (office.notary() if restart else notary).round()
    assert dict(found.refused) == {office.names[0]: "tree_shortened"}
    assert [(one.origin, one.checkpoint.size) for one in found.stored] == [(office.names[1], 2)]
    assert len(rows(reader, office.events_topic)) == 1


def test_a_history_written_anew_in_its_place_is_refused(
    office: Office, migrator: ClickHouse, reader: ClickHouse
) -> None:
    """Entries, hashes and chain all fit together: only what was signed before tells."""
    office.grow(office.grow(None, 1), 2)
    notary = office.notary()
    notary.round()
    migrator.query(
        f"ALTER TABLE accesstrail_raw.ledger DELETE WHERE topic = '{office.events_topic}' SETTINGS mutations_sync = 2"
    )
    # Written past the tokens of the first history, as whoever forges it can.
    entry = None
    for seed in (11, 12, 13):
        made = batch(office.position, entry, seed=seed, events=21)
        entry = made.entry
        made.store_rows(office.store)
        _insert_past_tokens(office.store, entry)
    assert dict(notary.round().refused) == {office.names[0]: "tree_changed"}
    assert dict(office.notary().round().refused) == {office.names[0]: "tree_changed"}
    assert len(rows(reader, office.events_topic)) == 1


def _insert_past_tokens(store: ClickHouseStore, entry: LedgerEntry) -> None:
    store._client.insert("accesstrail_raw.ledger", _entry_row(entry, "forger"), LEDGER_COLUMNS, token=uuid.uuid4().hex)


def test_a_row_of_incidents_that_was_changed_is_found_at_the_next_start(office: Office, migrator: ClickHouse) -> None:
    for number in range(3):
        office.company.alert(number)
    office.notary().round()
    migrator.query(
        "ALTER TABLE accesstrail_raw.incident_log UPDATE why = 'never happened' "
        f"WHERE topic = '{office.company.topic}' AND offset = 1 SETTINGS mutations_sync = 2"
    )
    assert dict(office.notary().round().refused) == {office.names[1]: "tree_changed"}


def test_checkpoints_that_vanished_with_the_tail_are_told_by_the_anchor(office: Office, migrator: ClickHouse) -> None:
    first = office.grow(None, 1)
    second = office.grow(first, 2)
    anchored = tuple(one.note for one in office.notary().round().stored)
    here = f"topic = '{office.events_topic}'"
    for sql in (
        f"ALTER TABLE accesstrail_raw.ledger DELETE WHERE {here} AND first_offset >= {second.first_offset}",
        f"ALTER TABLE accesstrail_raw.checkpoints DELETE WHERE {here}",
    ):
        migrator.query(f"{sql} SETTINGS mutations_sync = 2")
    assert dict(office.notary(anchored=anchored).round().refused) == {office.names[0]: "tree_shortened"}


def test_leaves_for_proofs_lead_from_one_checkpoint_to_the_next(office: Office) -> None:
    first = office.grow(None, 1)
    office.company.alert(1)
    notary = office.notary()
    notary.round()
    second = office.grow(first, 2)
    third = office.grow(second, 3)
    for number in range(2, 5):
        office.company.alert(number)
    signed = {one.origin: one for one in notary.round().stored}
    events, log = (TreeName.parse(name) for name in office.names)
    for name, size in ((events, first.tree_size), (log, 1)):
        found = office.checkpoints.at_size(name, size)
        assert found is not None
        frontier, last_offset = found
        newest = signed[str(name)]
        leaves = list(office.checkpoints.leaves_between(name, last_offset, newest.last_offset))
        assert frontier.append(leaves).root() == newest.checkpoint.root
    assert office.checkpoints.at_size(events, second.tree_size) is None, "no checkpoint stands there"
    assert third.tree_size == signed[office.names[0]].checkpoint.size


def test_the_notary_can_change_nothing_but_add_checkpoints(connect_as: Callable[[str], ClickHouse]) -> None:
    notary = connect_as("notary")
    for sql in (
        "INSERT INTO accesstrail_raw.ledger (partition) VALUES (1)",
        "SELECT 1 FROM accesstrail_raw.access_events LIMIT 1",
        "ALTER TABLE accesstrail_raw.checkpoints DELETE WHERE 1",
        "TRUNCATE TABLE accesstrail_raw.checkpoints",
    ):
        with pytest.raises(StoreRefused):
            notary.query(sql)
