"""Who stands for a model: the signature beside its manifest, made by `train` or `models sign`, checked before use.

Place in the flow: between a model's bytes and their use. The signed text names the SHA-256 of the manifest, and the
manifest names those of all other files, so that a signature covers every byte. Where the configuration names public
keys, a model without a valid signature of one of them is not used; where it names none, nobody is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from detectors.model import Model, ModelFiles, read
from pipeline.errors import ConfigError, ModelRejected, NoteRejected
from pipeline.ledger.signed_note import PrivateKey, PublicKey, load_public_keys, sign, verify

_TEXT = "accesstrail model 1\nmanifest.json sha256 {}\n"
_UNSIGNED = "nobody who is known has signed the model: sign it with `accesstrail models sign`"


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A model that may be used, its bytes, and who signed it: `name+hash`, empty where nobody is asked."""

    model: Model
    files: ModelFiles
    signer: str

    @property
    def contents(self) -> dict[str, bytes]:
        """Its artefacts by part of a version set: the files, and the signature where there is one."""
        signature = {} if self.files.signature is None else {"model_signature": self.files.signature}
        return {"model": self.files.packed(), **signature}

    @property
    def words(self) -> dict[str, str]:
        """Its version words."""
        return {"model_signer": self.signer} if self.signer else {}


def signing(key: PrivateKey) -> Callable[[str], bytes]:
    """From a model's id to its signature's bytes, for `detectors.model.save`."""
    return lambda model_id: sign(_TEXT.format(model_id), [key])


def also_signed(files: ModelFiles, key: PrivateKey) -> bytes:
    """The signature with this key's line added; lines that are there and belong to this model stay."""
    fresh = sign(_TEXT.format(files.model_id), [key])
    before = (files.signature or b"").decode(errors="replace")
    text, _, lines = before.partition("\n\n")
    if text + "\n" != _TEXT.format(files.model_id):
        return fresh
    own = fresh.decode().rpartition("\n\n")[2]
    others = [line for line in lines.splitlines() if line != own.rstrip("\n")]
    return fresh + "".join(f"{line}\n" for line in others).encode()


def signers(files: ModelFiles, keys: Sequence[PublicKey]) -> tuple[PublicKey, ...]:
    """Which of the keys have signed these files.

    Raises: ModelRejected: `model_unsigned`: none of them; `model_signature`: the signature is damaged or another's.
    """
    if files.signature is None:
        raise ModelRejected(_UNSIGNED, code="model_unsigned")
    try:
        text, found = verify(files.signature, keys)
    except NoteRejected as exc:
        if exc.code == "note_unsigned":
            raise ModelRejected(_UNSIGNED, code="model_unsigned") from None
        raise ModelRejected(f"the model's signature is not valid: {exc}", code="model_signature") from None
    if text != _TEXT.format(files.model_id):
        raise ModelRejected("the signature belongs to another manifest", code="model_signature")
    return found


def known_keys(path: Path | None) -> tuple[PublicKey, ...]:
    """The keys of the file [detection] model_public_keys names, none where it names none.

    Raises: ModelRejected: `model_signature`: the file cannot be used, so nothing can be checked.
    """
    if path is None:
        return ()
    try:
        return load_public_keys(path)
    except ConfigError as exc:
        raise ModelRejected("; ".join(exc.faults), code="model_signature") from None


def checked_model(folder: Path, public_keys: Path | None) -> CheckedModel:
    """A model folder, read once. The signature comes first: nothing of an unsigned file is parsed.

    Raises: ModelRejected.
    """
    files = read(folder)
    signer = signers(files, known_keys(public_keys))[0].identity if public_keys is not None else ""
    return CheckedModel(files.model(), files, signer)
