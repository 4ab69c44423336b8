"""How many rows a second the stand-alone verifier checks: `python -m tests.bench.stand_alone_verifier [--rows N]`.

One process on one core, hashing the file, reading every row by its columns, recomputing every leaf, root and entry.
Prints rows and bytes a second of CPU; asserts the verdict only.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from deploy.verifier.accesstrail_verify.checkpoints import Given
from deploy.verifier.accesstrail_verify.checks import verify
from deploy.verifier.accesstrail_verify.notes import read_keys
from pipeline.events import LogPosition
from tests.bundle_files import LEDGER
from tests.bundle_making import Maker, Tree

_ROWS_A_BATCH = 1000


def _bundle(rows: int, folder: Path) -> None:
    tree = Tree(LogPosition("access.events", "q_8sT-0AAAA", 3), 7)
    for _ in range(rows // _ROWS_A_BATCH):
        tree.seal("E" * _ROWS_A_BATCH)
    maker = Maker()
    maker.add(tree, [tree.checkpoint(len(tree.rows), 0)])
    maker.done().write(folder)


def main() -> None:
    """Makes a bundle of random rows, verifies it, prints the rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as made:
        folder, keys = Path(made) / "bundle", Path(made) / "keys"
        _bundle(rows, folder)
        keys.write_text(LEDGER.public_line, encoding="utf-8")
        size = (folder / "trees/0001/rows.bin").stat().st_size
        began = time.process_time()
        found = verify(folder, Given(read_keys(keys), ()))
        took_s = time.process_time() - began
    assert found.verdict == "intact", found.differences
    leaves = found.trees[0].leaves
    print(f"{leaves:,} rows, {size / leaves:,.0f} bytes a row")
    print(f"{leaves / took_s:,.0f} rows/s, {size / took_s / 1e6:,.1f} MB/s of CPU")


if __name__ == "__main__":
    main()
