"""The compiled kernels stay inside their arrays: their tests run once more in a process that checks every index."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KERNEL_TESTS = (
    "tests/properties/test_bundle_blocks.py::test_any_byte_of_the_rows_may_be_another",
    "tests/properties/test_bundle_blocks.py::test_bytes_may_be_cut_out_and_put_in",
    "tests/properties/test_features.py",
    "tests/properties/test_row_bytes.py",
    "tests/unit/detectors/test_attribution.py",
    "tests/unit/detectors/test_drift.py",
    "tests/unit/detectors/test_feature_cases.py",
    "tests/unit/detectors/test_features.py",
    "tests/unit/detectors/test_forest.py",
    "tests/unit/detectors/test_policy.py",
    "tests/unit/detectors/test_reference.py",
    "tests/unit/detectors/test_reference_surprisal.py",
    "tests/unit/detectors/test_surprisal.py",
    "tests/unit/stages/test_duplicates.py",
    "tests/unit/stages/test_row.py",
)
_OUTSIDE = """
import numba, numpy
@numba.njit
def beyond(values, at):
    return values[at]
beyond(numpy.zeros(4), 4)
"""


def _environment(folder: Path) -> dict[str, str]:
    # A cache of its own: what was compiled without checks must not be taken, nor what is compiled here elsewhere.
    return {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(folder)}


def _folder(config: pytest.Config) -> Path:
    cache = config.cache
    assert cache is not None
    return cache.mkdir("bounds")


def test_the_checks_are_on(pytestconfig: pytest.Config) -> None:
    folder = _folder(pytestconfig)
    done = subprocess.run(
        [sys.executable, "-c", _OUTSIDE],
        cwd=ROOT,
        env=_environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "IndexError" in done.stderr


@pytest.mark.timeout(900)
def test_kernels_stay_inside_their_arrays(pytestconfig: pytest.Config) -> None:
    folder = _folder(pytestconfig)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *KERNEL_TESTS]
    done = subprocess.run(
        command, cwd=ROOT, env=_environment(folder), capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:]
