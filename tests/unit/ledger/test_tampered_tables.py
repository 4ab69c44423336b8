"""The tamper suite forgets no table: each is changed by every kind that makes sense of it, or somebody else answers."""

from __future__ import annotations

import pytest

from tests.tamper.changes import KINDS
from tests.tamper.part_folders import VARIANTS
from tests.tamper.tables import BOUND, DERIVED, EVIDENCE, TABLES, UNANSWERED, WHOLE, raw_tables


def test_every_table_of_the_schema_is_answered_for_or_said_not_to_be() -> None:
    assert sorted((*EVIDENCE, *DERIVED, *UNANSWERED)) == sorted(raw_tables())


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_changed_in_every_way_that_can_be_found(table: str) -> None:
    kinds = {kind for kind, (_, tables) in KINDS.items() if table in tables}
    assert kinds >= {"update", "insert", "partition", "exchange"}
    assert ("delete" in kinds) == (table in WHOLE)
    assert "forged twin" in VARIANTS[table]
    assert ("removed" in VARIANTS[table]) == (table in WHOLE)
    assert BOUND[table]
