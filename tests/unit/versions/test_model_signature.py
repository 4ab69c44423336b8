"""Signed models: what is not signed, changed, or signed by somebody else is not used, and the set in force stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from detectors.model import FILES, MANIFEST, SIGNATURE, read, save
from pipeline.errors import ModelRejected, UsageError
from pipeline.ledger.signed_note import PrivateKey
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.model_changes import Promotion, going_back
from pipeline.version_sets.model_signature import also_signed, checked_model, signers, signing
from pipeline.version_sets.sets import PROMOTE
from tests.models import small_model
from tests.unit.versions.deployment import TOPIC, Deployment

TEAM, OTHER = PrivateKey("team", bytes(range(32))), PrivateKey("other", bytes(range(1, 33)))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "model.pub"
    path.write_text(f"{TEAM.public}\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(small_model(), tmp_path / "model", signing(TEAM))
    return tmp_path / "model"


def refused_with(folder: Path, keys: Path | None) -> str:
    with pytest.raises(ModelRejected) as caught:
        checked_model(folder, keys)
    return caught.value.code


def test_a_signed_model_is_used_and_names_who_signed_it(folder: Path, keys: Path) -> None:
    found = checked_model(folder, keys)
    assert found.signer == TEAM.public.identity
    assert found.model.model_id == found.files.model_id == read(folder).model_id
    assert set(found.contents) == {"model", "model_signature"}


def test_where_no_keys_are_named_nobody_is_asked(folder: Path) -> None:
    assert checked_model(folder, None).signer == ""
    (folder / SIGNATURE).write_bytes(b"nonsense")
    assert checked_model(folder, None).signer == ""


@pytest.mark.parametrize("name", [*FILES, MANIFEST, SIGNATURE])
def test_a_flipped_byte_in_any_file_is_refused(folder: Path, keys: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 25)):
        (folder / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert refused_with(folder, keys) in {"model_corrupt", "model_signature", "model_unsigned"}
        if name == MANIFEST:
            assert refused_with(folder, keys) == "model_signature"


@pytest.mark.parametrize("name", [*FILES, MANIFEST, SIGNATURE])
def test_a_file_cut_short_is_refused(folder: Path, keys: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        (folder / name).write_bytes(whole[:size])
        assert refused_with(folder, keys) in {"model_corrupt", "model_signature"}


def _unsign(folder: Path) -> None:
    (folder / SIGNATURE).unlink()


def _sign_as_other(folder: Path) -> None:
    save(small_model(), folder, signing(OTHER))


def _swap_model(folder: Path) -> None:
    signature = (folder / SIGNATURE).read_bytes()
    save(small_model(seed=2), folder)
    (folder / SIGNATURE).write_bytes(signature)


@pytest.mark.parametrize(
    ("change", "code"),
    [(_unsign, "model_unsigned"), (_sign_as_other, "model_unsigned"), (_swap_model, "model_signature")],
)
def test_no_signature_another_key_and_another_model_are_told_apart(
    folder: Path, keys: Path, change: Callable[[Path], None], code: str
) -> None:
    change(folder)
    assert refused_with(folder, keys) == code


def test_two_keys_stand_side_by_side_while_they_are_rotated(folder: Path, keys: Path) -> None:
    keys.write_text(f"{TEAM.public}\n{OTHER.public}\n", encoding="utf-8")
    assert checked_model(folder, keys).signer == TEAM.public.identity
    _sign_as_other(folder)
    assert checked_model(folder, keys).signer == OTHER.public.identity
    keys.write_text(f"{OTHER.public}\n", encoding="utf-8")
    assert checked_model(folder, keys).signer == OTHER.public.identity


def test_a_second_signature_stays_beside_the_first_and_a_stale_one_does_not(folder: Path) -> None:
    files = read(folder)
    both = also_signed(files, OTHER)
    (folder / SIGNATURE).write_bytes(both)
    assert set(signers(read(folder), [TEAM.public, OTHER.public])) == {TEAM.public, OTHER.public}
    assert also_signed(read(folder), OTHER) == both
    _swap_model(folder)
    (folder / SIGNATURE).write_bytes(also_signed(read(folder), OTHER))
    assert signers(read(folder), [TEAM.public, OTHER.public]) == (OTHER.public,)


def test_keys_that_cannot_be_read_are_a_fault_of_the_signature(folder: Path, keys: Path) -> None:
    keys.write_text("nonsense\n", encoding="utf-8")
    assert refused_with(folder, keys) == "model_signature"
    keys.unlink()
    assert refused_with(folder, keys) == "model_signature"


# -- in a running system


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    made = Deployment(tmp_path / "deployment")
    (made.folder / "model.pub").write_text(f"{TEAM.public}\n", encoding="utf-8")
    config = made.folder / "config.toml"
    config.write_text(config.read_text(encoding="utf-8") + 'model_public_keys = "model.pub"\n', encoding="utf-8")
    save(small_model(), made.folder / "model", signing(TEAM))
    return made


def test_who_signed_is_part_of_the_version_set(deployment: Deployment) -> None:
    deployment.worker().started()
    parts = deployment.log.log[-1].parts
    assert parts["model_signer"] == parts["model_keys"] == TEAM.public.identity
    assert deployment.store.load_artefact(parts["model_signature"]) == read(deployment.folder / "model").signature


def test_an_unsigned_model_leaves_the_one_in_force_and_is_said_until_it_is_signed(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    before = worker.in_force
    save(small_model(seed=2), deployment.folder / "model")
    worker.look(6)
    assert worker.in_force == before
    assert worker.judgements.model_state()["not_reloaded"] == {"files": "model_unsigned"}
    save(small_model(seed=2), deployment.folder / "model", signing(TEAM))
    worker.look()
    assert worker.in_force != before
    assert "not_reloaded" not in worker.judgements.model_state()


def test_without_a_signed_model_nothing_is_scored_and_nothing_is_lost(deployment: Deployment) -> None:
    save(small_model(), deployment.folder / "model")
    worker = deployment.worker().started()
    assert worker.judgements.current().model_fault == "model_unsigned"
    assert [token for token in deployment.store.alerts if token.startswith("alarm:model_unsigned:")]


def test_a_changed_list_of_keys_is_a_change_of_the_set(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    (deployment.folder / "model.pub").write_text(f"{TEAM.public}\n{OTHER.public}\n", encoding="utf-8")
    worker.look()
    assert len(deployment.log.log) == 2
    assert deployment.log.newest(TOPIC) is not None
    assert deployment.log.log[-1].parts["model_keys"] == f"{OTHER.public.identity} {TEAM.public.identity}"


def test_a_key_that_is_no_longer_trusted_keeps_the_set_and_is_said(deployment: Deployment) -> None:
    worker = deployment.worker().started()
    before = worker.in_force
    (deployment.folder / "model.pub").write_text(f"{OTHER.public}\n", encoding="utf-8")
    worker.look(6)
    assert worker.in_force == before
    assert worker.judgements.model_state()["not_reloaded"] == {"files": "model_unsigned"}


def _promote(deployment: Deployment, folder: Path) -> None:
    activator = deployment.activator()
    edit = Promotion.of(folder, activator.files).edit(keep_threshold=False)
    activator.change(deployment.store, deployment.log, PROMOTE, edit, Requester("lin.meng"), "monthly")


def test_an_unsigned_model_is_not_promoted_and_a_signed_one_says_by_whom(deployment: Deployment) -> None:
    deployment.worker().started()
    folder = deployment.folder / "next"
    save(small_model(7000, 2), folder)
    with pytest.raises(UsageError, match="refused") as caught:
        _promote(deployment, folder)
    assert caught.value.code == "model_unsigned"
    (deployment.folder / "model.pub").write_text(f"{TEAM.public}\n{OTHER.public}\n", encoding="utf-8")
    save(small_model(7000, 2), folder, signing(OTHER))
    _promote(deployment, folder)
    parts = deployment.log.log[-1].parts
    assert parts["model_signer"] == OTHER.public.identity
    assert deployment.store.load_artefact(parts["model_signature"]) == read(folder).signature


def test_a_promoted_model_does_not_outlive_the_trust_in_its_key(deployment: Deployment) -> None:
    """Its key is taken out: the folder's model, whose key is still known, comes back, and there is no going back."""
    keys = deployment.folder / "model.pub"
    keys.write_text(f"{TEAM.public}\n{OTHER.public}\n", encoding="utf-8")
    worker = deployment.worker().started()
    save(small_model(7000, 2), deployment.folder / "next", signing(OTHER))
    _promote(deployment, deployment.folder / "next")
    worker.look(1)
    assert deployment.log.log[-1].threshold == 7000
    keys.write_text(f"{TEAM.public}\n", encoding="utf-8")
    worker.look()
    newest = deployment.log.log[-1]
    assert (newest.parts["model_signer"], newest.threshold) == (TEAM.public.identity, 6543)
    assert "not_reloaded" not in worker.judgements.model_state()
    files = deployment.activator().files
    assert files.trusts(newest.parts)
    assert not files.trusts(deployment.log.log[-2].parts)
    with pytest.raises(UsageError, match="refused") as caught:
        going_back(deployment.log.history(TOPIC), deployment.store, files)
    assert caught.value.code == "model_unsigned"


def test_where_signatures_are_asked_for_the_change_to_a_promoted_unsigned_model_goes_no_further(
    deployment: Deployment,
) -> None:
    """A model from before the demand gives way to the folder's signed one at the next change of files."""
    config = deployment.folder / "config.toml"
    asking = config.read_text(encoding="utf-8")
    config.write_text(asking.replace('model_public_keys = "model.pub"\n', ""), encoding="utf-8")
    deployment.worker().started()
    save(small_model(7000, 2), deployment.folder / "next")
    _promote(deployment, deployment.folder / "next")
    config.write_text(asking, encoding="utf-8")
    deployment.worker().started()
    assert deployment.log.log[-1].parts["model_signer"] == TEAM.public.identity
