"""Writes a bundle of evidence: rows, entries, checkpoints and proofs of each tree, then the manifest over all of it.

Place in the flow: under `accesstrail evidence export`; the form is `docs/reference/evidence.md` section 6. The manifest
comes last, so that a folder without one is no bundle.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pipeline.events import LogPosition
from pipeline.ledger.bundle_entries import line_of
from pipeline.ledger.bundle_form import FORMAT, MANIFEST
from pipeline.ledger.bundle_rows import KNOWN
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.proofs import Proof
from pipeline.ledger.verify import Behind
from pipeline.ports import LedgerEntry


class _Counted:
    """A file that is hashed while it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash, self.size = file, sha256(), 0

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self._hash.update(content)
        self.size += len(content)

    def said(self) -> dict[str, object]:
        return {"bytes": self.size, "sha256": self._hash.hexdigest()}


@dataclass(slots=True)
class TreeWriting:
    """One tree. Everything is given in the order of leaves or sizes."""

    id: str
    position: LogPosition
    epoch: int
    first_leaf: int
    leaves: int = 0
    _files: dict[str, _Counted] = field(default_factory=dict)
    _folder: Path = Path()
    _open: ExitStack = field(default_factory=ExitStack)

    def _file(self, name: str) -> _Counted:
        if name not in self._files:
            self._files[name] = _Counted(self._open.enter_context((self._folder / name).open("xb")))
        return self._files[name]

    def _json(self, name: str, value: object) -> None:
        self._file(name).write(_plain(value) + b"\n")

    def rows(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Adds rows: letter of the table and leaf data, of pruned ones the leaf hash."""
        file = self._file("rows.bin")
        for table, data in rows:
            file.write(table.encode() + len(data).to_bytes(4, "little") + data)
            self.leaves += 1

    def entry(self, entry: LedgerEntry) -> None:
        """Adds an entry."""
        self._file("entries.ndjson").write(line_of(entry))

    def checkpoint(self, note: bytes, signed_at_us: int) -> None:
        """Adds a checkpoint."""
        self._json("checkpoints.ndjson", {"note": note.decode(), "signed_at": _iso(signed_at_us)})

    def proof(self, index: int, size: int, proof: Proof) -> None:
        """Adds the inclusion proof of the row that was added last."""
        self._json("proofs.ndjson", {"index": index, "size": size, "proof": [one.hex() for one in proof]})

    def frontier(self, frontier: Frontier) -> None:
        """What the range begins with, where there are no entries."""
        self._json("frontier.json", {"size": frontier.size, "frontier": [one.hex() for one in frontier.hashes]})

    def behind(self, behind: Behind) -> None:
        """The step to a checkpoint behind the last leaf."""
        proof = [one.hex() for one in behind.proof]
        self._json("consistency.json", {"size": behind.size, "root": behind.root.hex(), "proof": proof})

    @property
    def files(self) -> dict[str, dict[str, object]]:
        """Path in the bundle to size and hash."""
        return {f"trees/{self.id}/{name}": file.said() for name, file in self._files.items()}

    def end(self, names: Sequence[str]) -> None:
        """Closes the tree; files that must be there are, though they may be empty."""
        for name in names:
            self._file(name)
        self._open.close()


class BundleWriter:
    """Writes into a new folder. `with` closes what is open, also where it fails."""

    def __init__(self, folder: Path, deployment: str) -> None:
        """Raises: OSError: the folder exists or cannot be made."""
        folder.mkdir(mode=0o700)
        self._folder, self._deployment = folder, deployment
        self._trees: list[TreeWriting] = []

    def __enter__(self) -> Self:
        """Nothing more."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes files."""
        for one in self._trees:
            one.end(())

    def tree(self, position: LogPosition, epoch: int, first_leaf: int = 0) -> TreeWriting:
        """Begins a tree."""
        number = f"{len(self._trees) + 1:04}"
        folder = self._folder / "trees" / number
        folder.mkdir(parents=True)
        self._trees.append(TreeWriting(number, position, epoch, first_leaf, _folder=folder))
        return self._trees[-1]

    def file(self, name: str, content: bytes) -> None:
        """A file beside the trees."""
        (self._folder / name).write_bytes(content)

    def finish(self, kind: str, query: Mapping[str, str], made_at_us: int) -> str:
        """Writes the manifest; returns its SHA-256 in hexadecimal, which names the whole bundle."""
        self.__exit__(None, None, None)
        files = {path: said for one in self._trees for path, said in one.files.items()}
        for path in sorted(self._folder.glob("*")):
            if path.is_file():
                content = path.read_bytes()
                files[path.name] = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
        manifest = {
            "format": FORMAT, "deployment": self._deployment, "made_at": _iso(made_at_us), "kind": kind,
            "query": dict(query),
            "columns": {f"{table}/{version}": pairs for (table, version), pairs in KNOWN.items()},
            "trees": [_said(one) for one in self._trees],
            "files": files,
        }  # fmt: skip
        content = _plain(manifest, indent=1) + b"\n"
        (self._folder / MANIFEST).write_bytes(content)
        return sha256(content).hexdigest()


def _said(one: TreeWriting) -> dict[str, object]:
    place = one.position
    return {
        "id": one.id, "topic": place.topic, "incarnation": place.incarnation, "partition": place.partition,
        "epoch": one.epoch, "first_leaf": one.first_leaf, "leaves": one.leaves,
    }  # fmt: skip


def _plain(value: object, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=(",", ":")).encode()


def _iso(moment_us: int) -> str:
    return datetime.fromtimestamp(moment_us / 1_000_000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
