"""The table of signed checkpoints: what the notary has signed, as rows that nobody replaces."""

from __future__ import annotations

from pipeline.checkpoint_columns import CHECKPOINT_COLUMNS
from pipeline.migrations.schema import RAW, Statement, table, view


def checkpoint_steps() -> list[tuple[str, Statement]]:
    """Table and view. Plain rows: of two checkpoints of one size that differ, both stay to be seen."""
    return [
        (
            "checkpoints",
            table(
                "checkpoints", CHECKPOINT_COLUMNS, engine="MergeTree",
                order_by="topic, incarnation, partition, epoch, tree_size",
            ),
        ),
        ("view checkpoints", view("checkpoints", f"SELECT * FROM {RAW}.checkpoints")),
    ]  # fmt: skip
