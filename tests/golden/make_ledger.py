"""Writes `ledger.json`: rows, their canonical bytes and leaves, and the entries that seal them.

The file is frozen: a second implementation can be checked against it, and a change of ours that moves one byte of
evidence fails `test_ledger.py`. Run it only for a new canonical version: `python -m tests.golden.make_ledger`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.columns import ACCESS_EVENT_COLUMNS, CANON_VERSION, DEAD_LETTER_COLUMNS, evidence
from pipeline.events import LogPosition
from pipeline.ledger.append import entry_bytes
from pipeline.ports import LedgerEntry
from pipeline.stages.row import canonical_rows, offset_leaves
from tests.batches import Batch, batch
from tests.rows import row_values

GOLDEN = Path(__file__).parent / "ledger.json"
POSITION = LogPosition("access.events", "Zk3QqmJ0TfyE4k4vTfmSXg", 3)


def entry_values(entry: LedgerEntry) -> dict[str, Any]:
    """An entry as plain values, bytes as hex."""
    plain = {name: getattr(entry, name) for name in entry.__dataclass_fields__}
    plain["frontier"] = [one.hex() for one in entry.frontier]
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in plain.items()}


def _tables(made: Batch) -> dict[str, Any]:
    tables = {
        "access_events": (made.events, ACCESS_EVENT_COLUMNS),
        "dead_letters": (made.dead_letters, DEAD_LETTER_COLUMNS),
    }
    return {
        name: {
            "rows": row_values(rows, evidence(specs)),
            "canonical": [raw.hex() for raw in canonical_rows(rows, specs)],
            "leaves": [leaf.hex() for _, leaf in offset_leaves(rows, specs)],
        }
        for name, (rows, specs) in tables.items()
    }


def main() -> None:
    """Two batches of one partition."""
    first = batch(POSITION, events=3, dead_letters=2, seed=41)
    second = batch(POSITION, first.entry, events=2, dead_letters=1, seed=42)
    content = {
        "canon_version": CANON_VERSION,
        "batches": [
            {**_tables(made), "entry": entry_values(made.entry), "entry_bytes": entry_bytes(made.entry).hex()}
            for made in (first, second)
        ],
    }
    GOLDEN.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
