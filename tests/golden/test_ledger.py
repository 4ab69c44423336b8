"""The frozen vectors of the ledger: no byte of evidence may move without a new canonical version."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from pipeline.columns import ACCESS_EVENT_COLUMNS, CANON_VERSION, DEAD_LETTER_COLUMNS, evidence
from pipeline.ledger.append import BatchContent, seal
from pipeline.ports import LedgerEntry
from pipeline.stages.row import canonical_rows, offset_leaves
from tests.golden.make_ledger import GOLDEN, POSITION, entry_values
from tests.rows import rows_from

TABLES = {"access_events": evidence(ACCESS_EVENT_COLUMNS), "dead_letters": evidence(DEAD_LETTER_COLUMNS)}


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return content


def test_the_vectors_are_of_this_canonical_version(golden: dict[str, Any]) -> None:
    assert golden["canon_version"] == CANON_VERSION


@pytest.mark.parametrize("table", TABLES)
def test_rows_give_the_frozen_bytes_and_leaves(golden: dict[str, Any], table: str) -> None:
    for one in golden["batches"]:
        frozen = one[table]
        rows = rows_from(frozen["rows"], TABLES[table])
        assert [raw.hex() for raw in canonical_rows(rows, TABLES[table])] == frozen["canonical"]
        assert [leaf.hex() for _, leaf in offset_leaves(rows, TABLES[table])] == frozen["leaves"]
        assert [sha256(b"\0" + bytes.fromhex(raw)).hexdigest() for raw in frozen["canonical"]] == frozen["leaves"]


def test_leaves_give_the_frozen_entries(golden: dict[str, Any]) -> None:
    previous: LedgerEntry | None = None
    for one in golden["batches"]:
        frozen = one["entry"]
        leaves = [bytes.fromhex(leaf) for table in TABLES for leaf in one[table]["leaves"]]
        content = BatchContent(**{name: frozen[name] for name in BatchContent.__dataclass_fields__})
        previous = seal(previous, POSITION, leaves, content, bytes.fromhex(frozen["versions_id"]))
        assert entry_values(previous) == frozen
        assert sha256(b"\x02" + bytes.fromhex(one["entry_bytes"])).hexdigest() == frozen["entry_hash"]
