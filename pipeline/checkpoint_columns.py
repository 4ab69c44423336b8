"""The stored columns of signed checkpoints, beside those of evidence in `columns.py`.

Place in the flow: read by the migrations, by the notary's adapter and by the generated reference. A checkpoint is no
evidence of its own: its signature is over the note.
"""

from __future__ import annotations

from pipeline.columns import ColumnSpec

CHECKPOINT_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("partition", "UInt32", "position", "Kafka partition", evidence=False),
    ColumnSpec("epoch", "UInt32", "notary", "epoch of the tree", evidence=False),
    ColumnSpec("tree_size", "UInt64", "notary", "leaves of the tree", evidence=False),
    ColumnSpec("last_offset", "UInt64", "notary", "offset up to which the leaves go", evidence=False),
    ColumnSpec("root", "FixedString(32)", "notary", "RFC 6962 root of the tree", evidence=False),
    ColumnSpec("signed_at", "DateTime64(6, 'UTC')", "notary", "the signer's clock, not signed", evidence=False),
    ColumnSpec("topic", "LowCardinality(String)", "position", "Kafka topic", evidence=False),
    ColumnSpec("incarnation", "LowCardinality(String)", "position", "life of the topic", evidence=False),
    ColumnSpec("note", "String", "notary", "the checkpoint with its signatures, a C2SP signed note", evidence=False),
    ColumnSpec("frontier", "Array(FixedString(32))", "notary", "roots of its complete subtrees", evidence=False),
)
"""One row a signed checkpoint. The note is what counts; all but the frontier and the time can be read from it."""
