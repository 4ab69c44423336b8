"""Ledger entries as a bundle writes them: one JSON object a line.

Place in the flow: written by `accesstrail evidence export`, read by verification of bundles. The fields are those of
`docs/reference/evidence.md` section 3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pipeline.errors import BundleMalformed
from pipeline.ledger.bundle_form import LARGEST_NUMBER, BundleFolder, Fields
from pipeline.ports import LedgerEntry

_COUNTS = (
    "first_offset", "last_offset", "tree_size_before", "tree_size", "n_events", "n_dead_letters", "n_gaps",
    "n_subjects", "n_alerts", "n_unscored",
)  # fmt: skip
_HASHES = ("root", "previous_hash", "versions_id", "entry_hash")
_KEYS = frozenset(
    {
        *_COUNTS, *_HASHES, "canon_version", "partition", "epoch", "batch_id", "first_received_at",
        "last_received_at", "topic", "incarnation", "frontier",
    }
)  # fmt: skip
_BATCH_ID = re.compile(r"0|[1-9][0-9]{0,19}")


def line_of(entry: LedgerEntry) -> bytes:
    """The line of an entry."""
    document: dict[str, object] = {
        "canon_version": entry.canon_version, "partition": entry.partition, "epoch": entry.epoch,
        **{name: getattr(entry, name) for name in _COUNTS},
        "batch_id": str(entry.batch_id), "first_received_at": entry.first_received_at_us,
        "last_received_at": entry.last_received_at_us,
        **{name: getattr(entry, name).hex() for name in _HASHES},
        "topic": entry.topic, "incarnation": entry.incarnation, "frontier": [one.hex() for one in entry.frontier],
    }  # fmt: skip
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def read_entries(folder: BundleFolder, path: str) -> Iterator[LedgerEntry]:
    """The entries of a file. Raises: BundleMalformed."""
    for number, value in enumerate(folder.lines(path), start=1):
        yield _entry(Fields(value, _KEYS, f"{path}:{number}"))


def _entry(fields: Fields) -> LedgerEntry:
    batch = int(fields.text("batch_id", _BATCH_ID))
    if batch >= 1 << 64:
        raise BundleMalformed("a batch_id of the entries is too large")
    least = -LARGEST_NUMBER - 1
    return LedgerEntry(
        topic=fields.name("topic"), incarnation=fields.name("incarnation"), partition=fields.uint32("partition"),
        epoch=fields.uint32("epoch"), first_offset=fields.number("first_offset"),
        last_offset=fields.number("last_offset"), tree_size_before=fields.number("tree_size_before"),
        tree_size=fields.number("tree_size"), n_events=fields.number("n_events"),
        n_dead_letters=fields.number("n_dead_letters"), n_gaps=fields.number("n_gaps"),
        n_subjects=fields.number("n_subjects"), n_alerts=fields.number("n_alerts"),
        n_unscored=fields.number("n_unscored"), root=fields.hash("root"), frontier=fields.hashes("frontier"),
        previous_hash=fields.hash("previous_hash"), entry_hash=fields.hash("entry_hash"),
        canon_version=fields.number("canon_version", 255), versions_id=fields.hash("versions_id"), batch_id=batch,
        first_received_at_us=fields.number("first_received_at", least=least),
        last_received_at_us=fields.number("last_received_at", least=least),
    )  # fmt: skip
