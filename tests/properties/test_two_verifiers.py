"""Two programs that share no code say the same of every bundle of evidence, whatever was done to it.

Each number makes one bundle: a valid one of the corpus, changed as `tests/bundle_changes.py` says. What is told here by
its number is the same everywhere. `ACCESSTRAIL_LONG=1` looks at many more.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.verifier.accesstrail_verify.checkpoints import Given
from deploy.verifier.accesstrail_verify.checks import verify
from deploy.verifier.accesstrail_verify.notes import PublicKey as TheirKey
from deploy.verifier.accesstrail_verify.notes import WrongUse, read_kept_notes, read_keys
from pipeline.errors import NoteRejected
from pipeline.ledger.bundle_check import verify_bundle
from pipeline.ledger.notes import notes_in
from pipeline.ledger.signed_note import PublicKey, load_public_keys
from tests.bundle_cases.case import KEYS
from tests.bundle_changes import changed, kept
from tests.bundle_corpus import valid_bundle
from tests.bundle_making import VALID

EXAMPLES = 20_000 if os.environ.get("ACCESSTRAIL_LONG") else 400
Verdict = tuple[int, frozenset[str]]
"""Exit status and codes."""
WRONG_USE: Verdict = (2, frozenset())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(KEYS, encoding="utf-8")
    return path


def of_product(folder: Path, keys: tuple[PublicKey, ...], notes: Path | None) -> Verdict:
    try:
        given = [] if notes is None else list(notes_in(notes.read_bytes()))
    except NoteRejected:
        return WRONG_USE
    if notes is not None and not given:
        return WRONG_USE
    findings = verify_bundle(folder, keys, given).findings
    code = 1 if findings.has_differences else 3 if findings.is_incomplete else 0
    return code, frozenset(findings.counts)


def of_stand_alone(folder: Path, keys: tuple[TheirKey, ...], notes: Path | None) -> Verdict:
    try:
        given = Given(keys, () if notes is None else read_kept_notes(notes))
    except WrongUse:
        return WRONG_USE
    found = verify(folder, given)
    return found.exit_code, frozenset(found.codes)


def verdicts(number: int, keys: Path) -> tuple[Verdict, Verdict, str]:
    """Of both programs over the bundle of a number, and what was done to it."""
    chance = Random(number)
    name = chance.choice(sorted(VALID))
    bundle = valid_bundle(name)
    done = changed(bundle, chance)
    text = kept(bundle, chance)
    with tempfile.TemporaryDirectory() as place:
        folder = bundle.write(Path(place) / "bundle")
        notes = None if text is None else Path(place) / "kept"
        if notes is not None and text is not None:
            notes.write_bytes(text.encode())
        one = of_product(folder, load_public_keys(keys), notes)
        other = of_stand_alone(folder, read_keys(keys), notes)
    return one, other, f"{name}: {', '.join(done)}{'' if text is None else ', with kept checkpoints'}"


@pytest.mark.timeout(3600)
@settings(max_examples=EXAMPLES, deadline=None)
@given(number=st.integers(0, 2**31))
def test_both_say_the_same_of_a_bundle_that_was_changed_at_random(keys: Path, number: int) -> None:
    product, stand_alone, done = verdicts(number, keys)
    assert product == stand_alone, done


def test_the_changes_reach_every_check(keys: Path) -> None:
    """Else both could agree on the first hash that differs and nothing else."""
    found = [verdicts(number, keys)[0] for number in range(250)]
    assert {code for code, _ in found} == {0, 1, 2, 3}
    told = frozenset[str]().union(*(codes for _, codes in found))
    assert len(told) >= 20, sorted(told)
