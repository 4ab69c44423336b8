"""Changes of bundles: bytes by chance in every file, lines and rows left out, doubled or swapped."""

from __future__ import annotations

import json
import random
import shutil
from hashlib import sha256
from pathlib import Path

from pipeline.adapters.bundle_reading import StoredEvidence
from pipeline.audit.evidence import by_tree, export_incidents, export_range, export_selection
from pipeline.events import LogPosition
from pipeline.ledger.bundle_check import verify_bundle
from pipeline.ledger.bundle_form import MANIFEST
from pipeline.ledger.bundle_writing import BundleWriter
from tests.batches import RECEIVED_AT_US
from tests.tamper.history import KEY, LIFE, TamperedStore
from tests.tamper.result import Result

_SEALED = ("rows.bin", "entries.ndjson", "proofs.ndjson")
"""Files whose every byte counts without the manifest; when a checkpoint was signed only the manifest vouches for."""


def bundle_changes(store: TamperedStore, folder: Path, each: int, seed: int, result: Result) -> Result:
    """So many changes of a range and of a selection. What only the manifest says of itself is not evidence."""
    chance = random.Random(f"{seed}/bundle")
    made = {"range": _range(store, folder / "range"), "selection": _selection(store, folder / "selection")}
    for number in range(each):
        kind = chance.choice(sorted(made))
        copy = folder / f"copy-{number}"
        shutil.copytree(made[kind], copy)
        result.honest += 1
        if (told := verify_bundle(copy, [KEY.public], store.kept).findings).has_differences:
            result.false_alarms.append(f"{kind}: {dict(told.counts)}")
        about = _change(copy, chance)
        found = verify_bundle(copy, [KEY.public], store.kept).findings
        result.changes += 1
        result.tables[kind] += 1
        result.codes.update(found.counts)
        if not found.has_differences:
            result.missed.append(f"{kind}: {about}")
        shutil.rmtree(copy)
    return result


def _range(store: TamperedStore, path: Path) -> Path:
    source = StoredEvidence(store.reader)
    with BundleWriter(path, "accesstrail") as writer:
        export_range(source, source.trees(), 0, 2**62, writer)
        export_incidents(source, writer)
        writer.finish("range", {}, RECEIVED_AT_US)
    return path


def _selection(store: TamperedStore, path: Path) -> Path:
    source = StoredEvidence(store.reader)
    places = [(LogPosition("access.events", LIFE, number % 3), number * 3) for number in range(40)]
    with BundleWriter(path, "accesstrail") as writer:
        export_selection(source, by_tree(places, source.trees()), writer)
        writer.finish("selection", {}, RECEIVED_AT_US)
    return path


def _change(folder: Path, chance: random.Random) -> str:
    """One file; every other time the manifest is made to fit, as whoever forges a bundle would do."""
    is_fitted = chance.random() < 0.5
    names = _SEALED if is_fitted else ("*",)
    found = {one for name in names for one in folder.glob(f"trees/**/{name}") if one.is_file() and one.stat().st_size}
    path = chance.choice(sorted(found))
    content = bytearray(path.read_bytes())
    how = chance.choice(("flip", "cut", "double", "swap"))
    if how == "flip":
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif how == "cut":
        del content[chance.randrange(len(content)) :]
    elif how == "double":
        content += content[: chance.randrange(1, len(content) + 1)]
    else:
        middle = len(content) // 2
        content = content[middle:] + content[:middle]
        if bytes(content) == path.read_bytes():
            content[0] ^= 1
    path.write_bytes(bytes(content))
    if is_fitted:
        _fit(folder, path)
    return f"{how} {path.name}" + (", manifest fitted" if is_fitted else "")


def _fit(folder: Path, path: Path) -> None:
    """Has the manifest say of a file what it is now."""
    manifest = folder / MANIFEST
    said = json.loads(manifest.read_bytes())
    content = path.read_bytes()
    name = path.relative_to(folder).as_posix()
    said["files"][name] = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    manifest.write_bytes(json.dumps(said, sort_keys=True, separators=(",", ":")).encode() + b"\n")
