"""The stand-alone verifier: runs alone, knows nothing of the product, and agrees on every bundle of the corpus."""

from __future__ import annotations

import ast
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.verifier.accesstrail_verify.__main__ import main
from deploy.verifier.accesstrail_verify.findings import CHECKS
from deploy.verifier.accesstrail_verify.rows import KNOWN_LISTS, digest_of_list
from pipeline.columns import ACCESS_EVENT_COLUMNS, CANON_VERSION, DEAD_LETTER_COLUMNS, evidence
from pipeline.incident_columns import INCIDENT_LOG_CANON_VERSION, INCIDENT_LOG_COLUMNS
from pipeline.ledger.verify import CHECKS as PRODUCT_CHECKS
from tests.bundle_corpus import GOLDEN, Case, cases, expected
from tests.bundle_files import LEDGER, WITNESS

VERIFIER = Path(__file__).resolve().parents[2] / "deploy" / "verifier"
CASES = cases()


def _given(case: Case, folder: Path) -> list[str]:
    bundle = case.make(folder / "bundle")
    (folder / "keys").write_text(case.keys, encoding="utf-8")
    arguments = [str(bundle), "--keys", str(folder / "keys"), "--json"]
    if case.against is not None:
        (folder / "kept").write_text(case.against, encoding="utf-8")
        arguments += ["--against", str(folder / "kept")]
    return arguments


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_gives_a_bundle_the_verdict_and_the_reasons_that_it_must(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(_given(case, tmp_path))
    assert code == case.exit
    if code != 2:
        assert set(json.loads(capsys.readouterr().out)["codes"]) == set(case.codes)


def test_the_corpus_has_many_ways_of_being_wrong() -> None:
    assert len(CASES) >= 310
    of_bundles = {
        code
        for code in PRODUCT_CHECKS
        if code not in ("derived", "pruned_uncovered", "view_changed", "retention_unended", "incident_ahead")
    }
    assert set(CHECKS) == of_bundles
    for code in of_bundles:
        assert any(code in case.codes for case in CASES), code
    assert json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8")) == expected()


def test_every_list_of_columns_that_bundles_name_is_known_by_its_digest() -> None:
    document = (VERIFIER.parents[1] / "docs" / "reference" / "evidence.md").read_text(encoding="utf-8")
    for table, version, specs in (
        ("access_events", CANON_VERSION, ACCESS_EVENT_COLUMNS),
        ("dead_letters", CANON_VERSION, DEAD_LETTER_COLUMNS),
        ("incident_log", INCIDENT_LOG_CANON_VERSION, INCIDENT_LOG_COLUMNS),
    ):
        digest = digest_of_list(tuple((spec.name, spec.type) for spec in evidence(specs)))
        assert KNOWN_LISTS[table, version] == digest
        assert f"| `{table}/{version}` | `{digest}` |" in document


def test_a_witness_whose_key_is_given_is_checked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = next(one for one in CASES if one.name == "cosigned")
    arguments = _given(case, tmp_path)
    (tmp_path / "keys").write_text(LEDGER.public_line + WITNESS.public_line, encoding="utf-8")
    assert main(arguments) == 0
    bundle = case.bundle()
    lines = bundle.checkpoints()
    lines[-1]["note"] = lines[-1]["note"].rpartition("— ")[0] + lines[-2]["note"][lines[-2]["note"].rindex("— ") :]
    bundle.set_checkpoints(lines)
    bundle.list_again()
    bundle.write(tmp_path / "bundle")
    capsys.readouterr()
    assert main(arguments) == 1
    assert "checkpoint_signature" in json.loads(capsys.readouterr().out)["codes"]


def test_it_imports_nothing_but_the_standard_library_and_cryptography() -> None:
    for path in VERIFIER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                assert top == "cryptography" or top in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_a_copy_of_its_folder_runs_alone(tmp_path: Path) -> None:
    shutil.copytree(VERIFIER / "accesstrail_verify", tmp_path / "laptop" / "accesstrail_verify")
    case = next(one for one in CASES if one.name == "one_partition")
    script = (
        "import sys; sys.path.insert(0, '.'); import runpy; runpy.run_module('accesstrail_verify', run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", script, *_given(case, tmp_path)[:-1]]
    told = subprocess.run(command, cwd=tmp_path / "laptop", capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "Intact" in told.stdout
    assert "完整" in told.stdout


_WORDS_OF_THE_MAKER = ("made_at", "query")
"""What the manifest says without proof."""


def _means_the_same(changed: bytes, before: bytes) -> bool:
    try:
        one, other = json.loads(changed), json.loads(before)
    except ValueError:
        return False
    return isinstance(one, dict) and one | {name: other[name] for name in _WORDS_OF_THE_MAKER} == other


@pytest.mark.parametrize("name", ["one_partition", "selection", "incidents_range", "ahead", "later_range"])
def test_no_flipped_bit_passes(name: str, tmp_path: Path) -> None:
    """A hundred flips of each bundle; in the manifest only what nobody signs may change."""
    case = next(one for one in CASES if one.name == name)
    arguments, chance = _given(case, tmp_path), random.Random(name)
    paths = sorted(path for path in (tmp_path / "bundle").rglob("*") if path.is_file())
    for _ in range(100):
        path = chance.choice(paths)
        before = path.read_bytes()
        content = bytearray(before)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(content))
        code = main(arguments)
        assert code == 1 or (path.name == "manifest.json" and code == 0 and _means_the_same(bytes(content), before))
        path.write_bytes(before)


@pytest.mark.parametrize("name", ["one_partition", "selection", "incidents_range", "ahead"])
def test_no_flipped_bit_of_what_is_signed_passes_when_the_manifest_is_brought_up_to_date(
    name: str, tmp_path: Path
) -> None:
    case = next(one for one in CASES if one.name == name)
    arguments, chance = _given(case, tmp_path), random.Random(name)
    for _ in range(100):
        bundle = case.bundle()
        path = chance.choice(sorted(path for path in bundle.files if path.endswith("rows.bin")))
        content = bytearray(bundle.files[path])
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        bundle.files[path] = bytes(content)
        bundle.list_again()
        bundle.write(tmp_path / "bundle")
        assert main(arguments) == 1


@pytest.mark.parametrize("wrong", ["no folder", "no keys", "keys of nobody"])
def test_wrong_use_is_told_from_a_difference(wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = next(one for one in CASES if one.name == "one_partition")
    arguments = _given(case, tmp_path)
    if wrong == "no folder":
        arguments[0] = str(tmp_path / "nothing")
    elif wrong == "no keys":
        (tmp_path / "keys").unlink()
    else:
        (tmp_path / "keys").write_text("# none\n", encoding="utf-8")
    assert main(arguments) == 2
    assert "accesstrail_verify:" in capsys.readouterr().err
