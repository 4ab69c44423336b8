"""The generated references: fresh, complete, and true of the real store."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.adapters.clickhouse import connect
from pipeline.columns import WIRE_TREATMENTS
from pipeline.migrations.runner import apply_all
from pipeline.migrations.schema import PUBLIC, VAULT
from tests.golden.make_reference import FOLDER, PAGES, TABLES, fields_page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_columns_say(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run: python -m tests.golden.make_reference"


def test_every_wire_field_is_on_the_page() -> None:
    page = fields_page()
    for field in WIRE_TREATMENTS:
        assert f"| `{field}` |" in page


@pytest.mark.stack
@pytest.mark.parametrize("name", TABLES)
def test_the_stores_views_have_exactly_the_columns_of_the_page(stack: Any, name: str) -> None:
    apply_all(stack.settings)
    client = connect(stack.settings.clickhouse, "migrator")
    found = client.query(
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String} "
        "ORDER BY position",
        {"table": name, "database": VAULT if name in ("vault", "vault_keys", "erasures") else PUBLIC},
    )
    client.close()
    assert found == [(spec.name, spec.type) for spec in TABLES[name][1]]
