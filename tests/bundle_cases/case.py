"""One case of the corpus, the register of all of them, and what an attacker without the key can make again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pipeline.ledger.append import batch_id, entry_hash
from tests.bundle_files import (
    DEPLOYMENT,
    LEDGER,
    LEDGER_2027,
    BundleFiles,
    TestKey,
    frontier_of,
    leaf_of,
    note,
    root_of,
)
from tests.bundle_making import entry_from, entry_values

Change = Callable[[BundleFiles], None]
KEYS = f"# the ledger's keys\n\n{LEDGER.public_line}{LEDGER_2027.public_line}"
ORIGIN = f"{DEPLOYMENT}/access.events/q_8sT-0AAAA/3/0"
"""The tree that most cases change: three entries of 8, 3 and 8 leaves, offsets 0 to 7, 8 to 10, 11 to 18."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A change of a valid bundle and the verdict it must get."""

    name: str
    base: str
    change: Change
    codes: frozenset[str]
    exit: int
    is_listed_again: bool
    keys: str
    against: str | None


REGISTER: dict[str, Registered] = {}


def case(
    *codes: str,
    base: str = "one_partition",
    exit: int | None = None,
    listed: bool = True,
    keys: str = KEYS,
    against: str | None = None,
    name: str | None = None,
) -> Callable[[Change], Change]:
    """Registers a change; `listed`: the attacker brings the manifest's list up to date. Exit 1 if there are codes."""

    def register(change: Change) -> Change:
        called = str(name or getattr(change, "__name__", ""))
        assert called not in REGISTER, called
        code = exit if exit is not None else (1 if codes else 0)
        REGISTER[called] = Registered(called, base, change, frozenset(codes), code, listed, keys, against)
        return change

    return register


def nothing(bundle: BundleFiles) -> None:
    """As it is."""


def hashed_again(entries: list[dict[str, Any]], begin: int = 0) -> list[dict[str, Any]]:
    """Own hashes and links made again from entry `begin`, as whoever can write but not sign would."""
    done = [entry_from(entry) for entry in entries]
    for at in range(begin, len(done)):
        linked = done[at] if at == begin else replace(done[at], previous_hash=done[at - 1].entry_hash)
        done[at] = replace(linked, entry_hash=entry_hash(linked))
    return [entry_values(entry) for entry in done]


def change_entry(bundle: BundleFiles, number: int, *, again: bool, **values: Any) -> None:
    """Other values in one entry of tree 0001, with or without hashes made again."""
    entries = bundle.entries()
    entries[number] |= values
    bundle.set_entries(hashed_again(entries, number) if again else entries)


def sealed_again(bundle: BundleFiles) -> None:
    """All entries of tree 0001 made again over the rows that are there now, by the offsets of the ranges."""
    rows, entries = bundle.rows(), bundle.entries()
    leaves = [leaf_of(row) for row in rows]
    size = 0
    for entry in entries:
        inside = sum(entry["first_offset"] <= offset_of(data) <= entry["last_offset"] for _, data in rows)
        entry["tree_size_before"], size = size, size + inside
        root = root_of(leaves[:size])
        entry |= {"tree_size": size, "root": root.hex(), "frontier": [one.hex() for one in frontier_of(leaves[:size])]}
        entry["batch_id"] = str(batch_id(entry["first_offset"], root))
    bundle.set_entries(hashed_again(entries))


def signed_again(bundle: BundleFiles, *keys: TestKey) -> None:
    """A checkpoint of tree 0001 behind each entry, as whoever holds the key can make it."""
    lines = bundle.checkpoints()
    for line, entry in zip(lines, bundle.entries(), strict=True):
        line["note"] = note(ORIGIN, entry["tree_size"], bytes.fromhex(entry["root"]), *keys)
    bundle.set_checkpoints(lines)


def offset_of(data: bytes) -> int:
    """The offset in the data of an event or dead letter."""
    return int.from_bytes(data[6:14], "little")


def with_bytes(data: bytes, at: int, new: bytes) -> bytes:
    """Other bytes at one place."""
    return data[:at] + new + data[at + len(new) :]
