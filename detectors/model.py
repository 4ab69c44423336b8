"""A model directory: arrays, a manifest, golden rows; no pickle ever.

    forest.npz  tables.npz   arrays, loaded with allow_pickle=False after their SHA-256 was checked
    manifest.json            feature names and order, counts, versions, alert thresholds, rule cuts, file hashes
    golden.npz               rows and the integer scores they must give on this machine
    manifest.sig             who stands for it: a signed note over the manifest's SHA-256 (may be absent)

`load` checks version and order of features, the manifest's own hash, then the hash of each file before any byte of it
is parsed, then the golden rows; anything else is `ModelRejected` and events are stored unscored until a good model is
there. The model's id is the SHA-256 of its manifest, which holds the hashes of all other files. Signatures are made and
checked above this package (`pipeline/version_sets/model_signature.py`); here they are bytes that travel with the model.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import F32
from detectors.combine import Calibration, Tail, judge
from detectors.features import FEATURE_VERSION, NAMES
from detectors.isolation_forest import Forest
from detectors.patterns import PATTERNS
from detectors.policy import RULE_THRESHOLD, Policy
from detectors.surprisal import PeerStatistics, surprisals
from pipeline.errors import ModelRejected

MODEL_VERSION = 5
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
FILES = ("forest.npz", "golden.npz", "tables.npz")
_SEAL = "manifest_sha256"
_WITNESSES = ("forest", "top3", *(f"pattern_{pattern.name}" for pattern in PATTERNS))
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Model:
    """Everything a batch is judged by besides rules and policy."""

    forest: Forest
    peers: PeerStatistics
    calibration: Calibration
    threshold: int
    golden: F32
    about: Mapping[str, Any] = field(default_factory=dict)
    rule_cuts: Mapping[str, int] = field(default_factory=dict)
    """What history takes off a rule's floor (hundredths): a rule that holds every day is no news in this company."""
    rule_threshold: int = RULE_THRESHOLD
    """Floor from which rules alone raise an alert (hundredths); higher where they would use up the budget."""
    model_id: str = ""

    @property
    def policy(self) -> Policy:
        """The alert policy that keeps the budget this model was trained for."""
        return Policy(self.threshold, self.rule_threshold)

    def expected(self) -> npt.NDArray[np.int64]:
        """Integer scores of the golden rows, (g, 3)."""
        table = np.zeros(len(self.golden), np.int32)
        open_ones = np.zeros(len(self.golden), np.bool_)
        judged = judge(self.forest, self.calibration, surprisals(self.golden, table, self.peers), open_ones)
        return np.stack((judged.anomaly, judged.top3, judged.level), 1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The bytes of one directory, read once: what was checked is what is used."""

    manifest: bytes
    files: Mapping[str, bytes]
    signature: bytes | None = None

    @property
    def model_id(self) -> str:
        """SHA-256 of the manifest, which holds the hashes of all other files."""
        return sha256(self.manifest).hexdigest()

    def statements(self) -> dict[str, Any]:
        """What the manifest says, for people; nothing of it is checked. Raises: ModelRejected: it says nothing."""
        try:
            said = json.loads(self.manifest)
            return {**said, "about": dict(said["about"]), "rule_cuts": dict(said["rule_cuts"])}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ModelRejected("the model's manifest cannot be read", code="model_corrupt") from None

    def model(self) -> Model:
        """The model, everything checked but the signature. Raises: ModelRejected."""
        return _checked(self.manifest, self.files)

    def packed(self) -> bytes:
        """All but the signature as one deterministic byte string, for the store's artefacts."""
        parts = {**self.files, MANIFEST: self.manifest}
        return b"".join(
            struct.pack("<I", len(name)) + name.encode() + struct.pack("<Q", len(parts[name])) + parts[name]
            for name in sorted(parts)
        )


def save(model: Model, folder: Path, sign: Callable[[str], bytes] | None = None) -> str:
    """Writes the directory, all or nothing; returns the model's id. `sign`: from that id to the signature's bytes."""
    made = _made(model)
    contents = {**made.files, MANIFEST: made.manifest}
    if sign is not None:
        contents[SIGNATURE] = sign(made.model_id)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    for name, content in contents.items():
        (temporary / name).write_bytes(content)
    if folder.exists():
        shutil.rmtree(folder)
    temporary.rename(folder)
    return made.model_id


def read(folder: Path) -> ModelFiles:
    """A directory's bytes, not checked yet. Raises: ModelRejected: there is none, or a file is missing."""
    if not (folder / MANIFEST).is_file():
        raise ModelRejected(f"no model at {folder}: make one with `accesstrail train`", code="model_missing")
    try:
        manifest = (folder / MANIFEST).read_bytes()
        files = {name: (folder / name).read_bytes() for name in FILES}
        signature = (folder / SIGNATURE).read_bytes() if (folder / SIGNATURE).is_file() else None
    except OSError as exc:
        raise ModelRejected(f"the model at {folder} cannot be read: {exc.strerror}", code="model_missing") from None
    return ModelFiles(manifest, files, signature)


def load(folder: Path) -> Model:
    """Reads and checks a directory. Raises: ModelRejected."""
    return read(folder).model()


def pack(model: Model) -> bytes:
    """The directory as one deterministic byte string, for the store's artefacts."""
    return _made(model).packed()


def unpack(content: bytes) -> Model:
    """The model that `pack` wrote. Raises: ModelRejected."""
    return unpacked(content).model()


def unpacked(content: bytes) -> ModelFiles:
    """The directory's bytes that `pack` wrote, not checked yet. Raises: ModelRejected."""
    parts: dict[str, bytes] = {}
    view = memoryview(content)
    try:
        while view:
            (length,) = struct.unpack_from("<I", view)
            name = bytes(view[4 : 4 + length]).decode()
            (size,) = struct.unpack_from("<Q", view, 4 + length)
            parts[name] = bytes(view[12 + length : 12 + length + size])
            view = view[12 + length + size :]
        return ModelFiles(parts[MANIFEST], {name: parts[name] for name in FILES})
    except (struct.error, UnicodeDecodeError, KeyError):
        raise ModelRejected("the stored model is damaged", code="model_corrupt") from None


def _made(model: Model) -> ModelFiles:
    files = _files(model)
    return ModelFiles(_manifest(model, files), files)


def _files(model: Model) -> dict[str, bytes]:
    forest, peers, calibration = model.forest, model.peers, model.calibration
    tails = dict(zip((*_WITNESSES, "fused"), (*calibration.witnesses, calibration.fused), strict=True))
    tables: dict[str, npt.NDArray[Any]] = {
        "peer_values": peers.values,
        "peer_levels": peers.levels,
        "peer_slopes": peers.slopes,
    }
    for name, tail in tails.items():
        tables[f"{name}_values"], tables[f"{name}_levels"] = tail.values, tail.levels
        tables[f"{name}_slope"] = np.array([tail.slope])
    trees = {name: getattr(forest, name) for name in ("feature", "threshold", "left", "path", "roots", "depths")}
    return {
        "forest.npz": _npz({**trees, "norm": np.array([forest.norm])}),
        "tables.npz": _npz(tables),
        "golden.npz": _npz({"rows": model.golden, "expected": model.expected()}),
    }


def _npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Arrays as .npz with fixed dates: the same arrays give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            body = io.BytesIO()
            np.lib.format.write_array(body, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _FIXED_DATE), body.getvalue(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _manifest(model: Model, files: Mapping[str, bytes]) -> bytes:
    content = {
        "model_version": MODEL_VERSION,
        "feature_version": FEATURE_VERSION,
        "features": list(NAMES),
        "peer_groups": list(model.peers.groups),
        "threshold": model.threshold,
        "rule_threshold": model.rule_threshold,
        "about": dict(model.about),
        "rule_cuts": dict(model.rule_cuts),
        "sha256": {name: sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    return _sealed(content)


def _sealed(content: Mapping[str, Any]) -> bytes:
    """The manifest's bytes: canonical JSON that carries its own hash, so that no byte of it changes unseen."""
    plain = {name: value for name, value in content.items() if name != _SEAL}
    seal = sha256(_json(plain)).hexdigest()
    return _json({**plain, _SEAL: seal})


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _checked(manifest: bytes, files: Mapping[str, bytes]) -> Model:
    try:
        about = json.loads(manifest)
        hashes, version = about["sha256"], (about["model_version"], about["feature_version"], tuple(about["features"]))
        groups, threshold = tuple(map(str, about["peer_groups"])), int(about["threshold"])
        rule_threshold = int(about["rule_threshold"])
        rule_cuts = {str(name): int(cut) for name, cut in about["rule_cuts"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelRejected("the model's manifest cannot be read: train again", code="model_corrupt") from None
    if version != (MODEL_VERSION, FEATURE_VERSION, NAMES):
        raise ModelRejected(
            "the model belongs to another version of the features: train again", code="model_other_version"
        )
    if manifest != _sealed(about):
        raise ModelRejected("the model's manifest is damaged (another hash): train again", code="model_corrupt")
    for name in FILES:
        if sha256(files[name]).hexdigest() != hashes.get(name):
            raise ModelRejected(f"{name} of the model is damaged (another hash): train again", code="model_corrupt")
    golden, tables, trees = (_arrays(files[name]) for name in ("golden.npz", "tables.npz", "forest.npz"))
    model = Model(
        forest=Forest(**{name: trees[name] for name in trees if name != "norm"}, norm=float(trees["norm"][0])),
        peers=PeerStatistics(groups, tables["peer_values"], tables["peer_levels"], tables["peer_slopes"]),
        calibration=Calibration(tuple(_tail(tables, name) for name in _WITNESSES), _tail(tables, "fused")),
        threshold=threshold,
        golden=golden["rows"],
        about=about["about"],
        rule_cuts=rule_cuts,
        rule_threshold=rule_threshold,
        model_id=sha256(manifest).hexdigest(),
    )
    if not np.array_equal(model.expected(), golden["expected"]):
        raise ModelRejected(
            "the model's golden rows score otherwise on this machine: train again here", code="model_golden_mismatch"
        )
    return model


def _tail(tables: Mapping[str, npt.NDArray[Any]], name: str) -> Tail:
    return Tail(tables[f"{name}_values"], tables[f"{name}_levels"], float(tables[f"{name}_slope"][0]))


def _arrays(content: bytes) -> dict[str, npt.NDArray[Any]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
