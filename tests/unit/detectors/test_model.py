"""A model on disk and in the store: the same scores after a round trip, the same bytes twice, no damage accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors import isolation_forest, model, surprisal
from detectors.base import F32
from detectors.combine import calibrate, judge
from detectors.features import N_FEATURES
from detectors.model import FILES, MANIFEST, Model, load, pack, save, unpack
from pipeline.errors import ModelRejected

ALL_FILES = (*FILES, MANIFEST)
FLIPS = 300


def rows(count: int, seed: int) -> F32:
    return np.random.default_rng(seed).gamma(1.0, 1.0, (count, N_FEATURES)).astype(np.float32)


def made() -> Model:
    history, groups = rows(5000, 1), np.repeat(np.array([0, 1], np.int32), 2500)
    names = ["retail/advisor", "客服/坐席"]
    peers = surprisal.fit(history, names, groups)
    surprise = surprisal.surprisals(history, peers.index(names, groups), peers)
    forest = isolation_forest.fit(surprise[:600])
    calibration = calibrate(isolation_forest.scores(forest, surprise), surprise, np.arange(5000) // 2)
    about, cuts = {"rows": 5000, "note": "历史"}, {"bulk_export": 250}
    return Model(forest, peers, calibration, 6543, rows(64, 2), about, cuts, 8700)


def judged(one: Model) -> bytes:
    """Everything that a model decides by, on rows it has not seen, each group's table included."""
    fresh = rows(500, 3) * 2
    table = one.peers.index(["retail/advisor", "客服/坐席", "unknown"], np.arange(500, dtype=np.int32) % 3)
    surprise = surprisal.surprisals(fresh, table, one.peers)
    numbers = judge(one.forest, one.calibration, surprise, np.arange(500) % 5 == 0)
    words = f"{one.policy} {sorted(one.about.items())} {sorted(one.rule_cuts.items())}"
    return b"".join(part.tobytes() for part in (numbers.anomaly, numbers.top3, numbers.level)) + words.encode()


@pytest.fixture(scope="module")
def original() -> Model:
    return made()


@pytest.fixture
def folder(original: Model, tmp_path: Path) -> Path:
    save(original, tmp_path / "model")
    return tmp_path / "model"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def rejected_with(folder: Path) -> str:
    with pytest.raises(ModelRejected) as caught:
        load(folder)
    assert str(caught.value)
    return caught.value.code


def test_a_saved_model_scores_identically(original: Model, folder: Path) -> None:
    assert judged(load(folder)) == judged(original)


def test_the_id_is_the_same_when_saved_loaded_and_unpacked(original: Model, tmp_path: Path) -> None:
    model_id = save(original, tmp_path / "model")
    assert len(model_id) == 64
    assert load(tmp_path / "model").model_id == unpack(pack(original)).model_id == model_id


def test_the_same_model_gives_the_same_bytes(original: Model, tmp_path: Path) -> None:
    """Also when it was trained anew, and when it was loaded in between."""
    save(original, tmp_path / "first")
    save(made(), tmp_path / "second")
    save(load(tmp_path / "first"), tmp_path / "third")
    first = contents(tmp_path / "first")
    assert sorted(first) == sorted(ALL_FILES)
    assert contents(tmp_path / "second") == contents(tmp_path / "third") == first


def test_another_threshold_is_another_model(original: Model, folder: Path, tmp_path: Path) -> None:
    assert save(replace(original, threshold=6544), tmp_path / "other") != load(folder).model_id


def test_saving_again_replaces_the_directory(original: Model, folder: Path) -> None:
    (folder / "left over").write_bytes(b"")
    save(replace(original, threshold=7000), folder)
    assert sorted(contents(folder)) == sorted(ALL_FILES)
    assert load(folder).threshold == 7000
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_no_flipped_bit_is_accepted(original: Model, folder: Path) -> None:
    """300 single bits over all files: each is refused, or changed nothing that decides."""
    good, whole = judged(original), contents(folder)
    draw = np.random.default_rng(2026)
    refused = 0
    for flip in range(FLIPS):
        name = ALL_FILES[flip % len(ALL_FILES)]
        damaged = bytearray(whole[name])
        place = int(draw.integers(0, len(damaged) * 8))
        damaged[place // 8] ^= 1 << place % 8
        (folder / name).write_bytes(damaged)
        try:
            assert judged(load(folder)) == good, f"{name}, bit {place}"
        except ModelRejected:
            refused += 1
        (folder / name).write_bytes(whole[name])
    assert refused == FLIPS
    assert judged(load(folder)) == good


def test_every_byte_of_the_manifest_counts(folder: Path) -> None:
    manifest = (folder / MANIFEST).read_bytes()
    for place in range(0, len(manifest), 3):
        (folder / MANIFEST).write_bytes(manifest[:place] + bytes([manifest[place] ^ 1]) + manifest[place + 1 :])
        assert rejected_with(folder) in {"model_corrupt", "model_other_version"}


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_file_cut_short_is_refused(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        (folder / name).write_bytes(whole[:size])
        assert rejected_with(folder) == "model_corrupt"


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_missing_file_is_a_missing_model(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert rejected_with(folder) == "model_missing"


def test_a_missing_directory_is_a_missing_model(tmp_path: Path) -> None:
    assert rejected_with(tmp_path / "nothing") == "model_missing"


@pytest.mark.parametrize(
    "change",
    [
        lambda about: {**about, "feature_version": "0"},
        lambda about: {**about, "model_version": 1},
        lambda about: {**about, "features": about["features"][::-1]},
        lambda about: {**about, "features": about["features"][:-1]},
    ],
    ids=["feature version", "model version", "order of features", "fewer features"],
)
def test_another_version_is_refused_as_such(folder: Path, change: Callable[[Any], Any]) -> None:
    about = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(change(about)), encoding="utf-8")
    assert rejected_with(folder) == "model_other_version"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{}", b'{"rule_cuts": []}', b"\xff", b'{"sha256": 1}', b"[" * 100_000]
)
def test_a_manifest_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    assert rejected_with(folder) == "model_corrupt"


def test_golden_rows_that_score_otherwise_are_refused(
    original: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine whose arithmetic differs: the files are whole, the numbers are not."""
    right = original.expected()
    with monkeypatch.context() as patch:
        patch.setattr(Model, "expected", lambda _: right + 1)
        save(original, tmp_path / "model")
    assert rejected_with(tmp_path / "model") == "model_golden_mismatch"


def test_golden_rows_of_the_fixture_tell_models_apart(original: Model) -> None:
    other = replace(
        original,
        forest=isolation_forest.fit(surprisal.surprisals(rows(400, 9), np.zeros(400, np.int32), original.peers)),
    )
    assert not np.array_equal(original.expected(), other.expected())
    assert original.expected().any(axis=0).all()


def test_packed_is_unpacked_to_the_same_model(original: Model) -> None:
    packed = pack(original)
    assert judged(unpack(packed)) == judged(original)
    assert pack(unpack(packed)) == packed


def test_a_damaged_pack_is_refused(original: Model) -> None:
    packed = pack(original)
    draw = np.random.default_rng(7)
    for place in draw.integers(0, len(packed), 40).tolist():
        damaged = packed[:place] + bytes([packed[place] ^ 4]) + packed[place + 1 :]
        with pytest.raises(ModelRejected):
            unpack(damaged)
    for size in [0, 3, 10, len(packed) // 2, len(packed) - 1]:
        with pytest.raises(ModelRejected) as caught:
            unpack(packed[:size])
        assert caught.value.code == "model_corrupt"


def test_nothing_in_a_model_is_pickled(folder: Path) -> None:
    assert not any(b"pickle" in content for content in contents(folder).values())
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        model._npz({"objects": np.array([object()], dtype=object)})
