"""The server itself recomputes what we hashed: leaves, roots and the chain of entries, in SQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.adapters.clickhouse import ClickHouse
from pipeline.adapters.store import ClickHouseStore
from pipeline.columns import ACCESS_EVENT_COLUMNS, DEAD_LETTER_COLUMNS, LEDGER_COLUMNS, ColumnSpec, evidence
from pipeline.events import LogPosition
from pipeline.ledger.merkle import Frontier
from pipeline.ports import LedgerEntry
from pipeline.stages.row import offset_leaves
from tests.batches import batch

pytestmark = pytest.mark.stack


def _row_binary(specs: tuple[ColumnSpec, ...]) -> str:
    return f"formatRow('RowBinary', {', '.join(f'`{spec.name}`' for spec in evidence(specs))})"


def _leaves(reader: ClickHouse, table: str, specs: tuple[ColumnSpec, ...], life: str) -> list[tuple[int, str]]:
    sql = (
        f"SELECT offset, lower(hex(SHA256(concat(char(0), {_row_binary(specs)})))) FROM accesstrail.{table} "
        "WHERE incarnation = {life:String} ORDER BY offset"
    )
    return [(int(offset), leaf) for offset, leaf in reader.query(sql, {"life": life})]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_leaves_and_roots_recomputed_by_the_server_are_ours(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition, seed: int
) -> None:
    previous: LedgerEntry | None = None
    expected: dict[str, list[tuple[int, str]]] = {"access_events": [], "dead_letters": []}
    for number in range(3):
        made = batch(position, previous, events=150, dead_letters=20, seed=seed * 100 + number * 10)
        previous = made.commit(store)
        for table, rows, specs in (
            ("access_events", made.events, ACCESS_EVENT_COLUMNS),
            ("dead_letters", made.dead_letters, DEAD_LETTER_COLUMNS),
        ):
            expected[table] += [(offset, leaf.hex()) for offset, leaf in offset_leaves(rows, specs)]
    found = {
        "access_events": _leaves(reader, "access_events", ACCESS_EVENT_COLUMNS, position.incarnation),
        "dead_letters": _leaves(reader, "dead_letters", DEAD_LETTER_COLUMNS, position.incarnation),
    }
    assert found == expected
    in_order = sorted(found["access_events"] + found["dead_letters"])
    assert previous is not None
    assert Frontier().append(bytes.fromhex(leaf) for _, leaf in in_order).root() == previous.root


def test_the_chain_of_entries_recomputed_by_the_server_is_ours(
    store: ClickHouseStore, reader: ClickHouse, position: LogPosition
) -> None:
    previous: LedgerEntry | None = None
    for number in range(4):
        previous = batch(position, previous, seed=number).commit(store)
    rows = reader.query(
        f"SELECT hex(SHA256(concat(char(2), {_row_binary(LEDGER_COLUMNS)}))), hex(entry_hash), hex(previous_hash) "
        "FROM accesstrail.ledger WHERE incarnation = {life:String} ORDER BY first_offset",
        {"life": position.incarnation},
    )
    assert [row[0] for row in rows] == [row[1] for row in rows]
    assert [row[2] for row in rows] == ["00" * 32, *(row[1] for row in rows[:-1])]


def test_rows_read_back_by_the_ordinary_driver_are_what_went_in(
    store: ClickHouseStore, connect_as: Callable[[str], ClickHouse], position: LogPosition
) -> None:
    made = batch(position, events=120, seed=77)
    made.commit(store)
    migrator = connect_as("migrator")
    texts = [spec for spec in ACCESS_EVENT_COLUMNS if spec.kind == "text"]
    rows = migrator.query(
        f"SELECT {', '.join(spec.name for spec in texts)}, length(subject_tokens), mapKeys(attrs), mapValues(attrs), "
        "fields_accessed FROM accesstrail_raw.access_events WHERE incarnation = {life:String} ORDER BY offset",
        {"life": position.incarnation},
    )
    from tests.rows import row_values

    for values, row in zip(row_values(made.events, ACCESS_EVENT_COLUMNS), rows, strict=True):
        assert list(row[: len(texts)]) == [values[spec.name] for spec in texts]
        assert row[-4] == len(values["subject_tokens"])
        assert list(zip(row[-3], row[-2], strict=True)) == [tuple(pair) for pair in values["attrs"]]
        assert row[-1] == values["fields_accessed"]
