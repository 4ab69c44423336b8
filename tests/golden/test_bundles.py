"""The product's own verification gives each bundle of the golden corpus the verdict and codes that it must get."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.verify import verify_command
from pipeline.errors import ConfigError, UsageError
from tests.bundle_corpus import Case, cases

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_bundle_gets_the_verdict_and_the_reasons_that_it_must(case: Case, tmp_path: Path) -> None:
    folder = case.make(tmp_path / "bundle")
    (tmp_path / "keys").write_text(case.keys, encoding="utf-8")
    arguments = ["--bundle", str(folder), "--keys", str(tmp_path / "keys"), "--json"]
    if case.against is not None:
        (tmp_path / "kept").write_text(case.against, encoding="utf-8")
        arguments += ["--against", str(tmp_path / "kept")]
    result = CliRunner().invoke(verify_command, arguments, standalone_mode=False)
    if case.exit == 2:
        assert isinstance(result.exception, ConfigError if case.name.startswith("keys_") else UsageError)
        return
    assert result.exception is None, result.exception
    told = json.loads(result.output)
    assert (result.return_value, set(told["counts"])) == (case.exit, set(case.codes)), told["differences"]
    assert told["verdict"] == {0: "intact", 1: "differences", 3: "incomplete"}[case.exit]
