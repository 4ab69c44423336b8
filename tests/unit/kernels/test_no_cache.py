"""Where compiled code cannot be kept, beside the code or elsewhere, commands compile it again and work all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.bundle_corpus import valid_bundle
from tests.bundle_files import LEDGER

_NOWHERE = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "NUMBA_CACHE_DIR": ""}
"""Only the folder that is named here may be taken, and none is: as if nothing else could be written."""


def test_an_auditor_who_may_write_nowhere_verifies_a_bundle(tmp_path: Path) -> None:
    folder, keys = valid_bundle("one_partition").write(tmp_path / "bundle"), tmp_path / "keys"
    keys.write_text(LEDGER.public_line, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "verify", "--bundle", str(folder), "--keys", str(keys)],
        env={**os.environ, **_NOWHERE},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
