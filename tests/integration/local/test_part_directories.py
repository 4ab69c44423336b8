"""Part directories changed while the engine is stopped, once over every table; `make tamper` does it by the hundred."""

from __future__ import annotations

from pathlib import Path

from tests.tamper.__main__ import run_part_folders
from tests.tamper.engine import Engine
from tests.tamper.history import TamperedStore
from tests.tamper.tables import TABLES


def test_verification_finds_what_was_done_to_directories_and_no_more(tmp_path: Path) -> None:
    with Engine(tmp_path / "state") as engine:
        store = TamperedStore.made(engine.settings)
        result = run_part_folders(engine, store, len(TABLES) - 2, 7, TABLES)
    assert (result.missed, result.false_alarms) == ([], [])
    assert result.changes == len(TABLES) - 2
    assert result.honest >= 2
