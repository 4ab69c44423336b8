"""An evidence bundle in memory: its files by path, with what tests need to build, edit and sign one.

Keys are fixed and of no use but here; trees and proofs are the plain recursion of RFC 6962, so that neither verifier is
tested against itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DEPLOYMENT = "accesstrail.example"
Row = tuple[str, bytes]
"""Table (`E`, `D`, `I`, `P`) and data."""


@dataclass(frozen=True, slots=True)
class TestKey:
    """A key pair whose seed everyone knows."""

    __test__ = False
    name: str
    seed: bytes
    kind: int = 1

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def _typed(self) -> bytes:
        return bytes([self.kind]) + self._private.public_key().public_bytes_raw()

    @property
    def hash(self) -> bytes:
        """The first four bytes that name it."""
        return sha256(self.name.encode() + b"\n" + self._typed).digest()[:4]

    @property
    def public_line(self) -> str:
        """Its line in a file of public keys."""
        return f"{self.name}+{self.hash.hex()}+{base64.b64encode(self._typed).decode()}\n"

    def signature_line(self, text: str, seconds: int = 1_790_000_000) -> str:
        """Its line under a note with this text."""
        if self.kind == 4:
            signed = self._private.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
            signed = seconds.to_bytes(8, "big") + signed
        else:
            signed = self._private.sign(text.encode())
        return f"— {self.name} {base64.b64encode(self.hash + signed).decode()}\n"


LEDGER = TestKey(DEPLOYMENT, b"\x11" * 32)
LEDGER_2027 = TestKey(f"{DEPLOYMENT}/2027", b"\x22" * 32)
STRANGER = TestKey(DEPLOYMENT, b"\x33" * 32)
WITNESS = TestKey("witness.example/w1", b"\x44" * 32, 4)


def note(origin: str, size: int, root: bytes, *keys: TestKey) -> str:
    """A signed checkpoint."""
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    return text + "\n" + "".join(key.signature_line(text) for key in keys or (LEDGER,))


# -- trees


def leaf_of(row: Row) -> bytes:
    """The leaf of a row."""
    return row[1] if row[0] == "P" else sha256(b"\0" + row[1]).digest()


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def root_of(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    left = _split(len(leaves))
    return sha256(b"\1" + root_of(leaves[:left]) + root_of(leaves[left:])).digest()


def frontier_of(leaves: Sequence[bytes]) -> list[bytes]:
    """Roots of the complete subtrees, largest first."""
    if not leaves:
        return []
    size = 1 << len(leaves).bit_length() - 1
    return [root_of(leaves[:size]), *frontier_of(leaves[size:])]


def inclusion(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962 2.1.1."""
    if len(leaves) <= 1:
        return []
    left = _split(len(leaves))
    if index < left:
        return [*inclusion(index, leaves[:left]), root_of(leaves[left:])]
    return [*inclusion(index - left, leaves[left:]), root_of(leaves[:left])]


def consistency(size: int, leaves: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 2.1.2."""
    if size == len(leaves):
        return [] if whole else [root_of(leaves)]
    left = _split(len(leaves))
    if size <= left:
        return [*consistency(size, leaves[:left], whole=whole), root_of(leaves[left:])]
    return [*consistency(size - left, leaves[left:], whole=False), root_of(leaves[:left])]


# -- files


def json_line(value: Any) -> bytes:
    """One line of ndjson."""
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


@dataclass(slots=True)
class BundleFiles:
    """The files of a bundle by path; `links` are symbolic links (path to target)."""

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    @property
    def manifest(self) -> dict[str, Any]:
        """A copy of the manifest."""
        content: dict[str, Any] = json.loads(self.files["manifest.json"])
        return content

    def set_manifest(self, content: dict[str, Any]) -> None:
        """Another manifest."""
        self.files["manifest.json"] = json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"

    def change_manifest(self, **values: Any) -> None:
        """Other values of some keys."""
        self.set_manifest(self.manifest | values)

    def change_tree(self, tree: str, **values: Any) -> None:
        """Other values in the manifest's line of one tree."""
        trees = [one | values if one["id"] == tree else one for one in self.manifest["trees"]]
        self.change_manifest(trees=trees)

    def list_again(self) -> None:
        """The manifest's list as the files now are."""
        listed = {
            path: {"bytes": len(data), "sha256": sha256(data).hexdigest()}
            for path, data in sorted(self.files.items())
            if path != "manifest.json"
        }
        self.change_manifest(files=listed)

    def lines(self, path: str) -> list[Any]:
        """The lines of an ndjson file."""
        return [json.loads(line) for line in self.files[path].splitlines()]

    def set_lines(self, path: str, values: Sequence[Any]) -> None:
        """Other lines."""
        self.files[path] = b"".join(json_line(value) for value in values)

    def entries(self, tree: str = "0001") -> list[dict[str, Any]]:
        """The ledger entries of a tree."""
        return self.lines(f"trees/{tree}/entries.ndjson")

    def set_entries(self, values: Sequence[Any], tree: str = "0001") -> None:
        """Other entries."""
        self.set_lines(f"trees/{tree}/entries.ndjson", values)

    def checkpoints(self, tree: str = "0001") -> list[dict[str, Any]]:
        """The checkpoints of a tree."""
        return self.lines(f"trees/{tree}/checkpoints.ndjson")

    def set_checkpoints(self, values: Sequence[Any], tree: str = "0001") -> None:
        """Other checkpoints."""
        self.set_lines(f"trees/{tree}/checkpoints.ndjson", values)

    def rows(self, tree: str = "0001") -> list[Row]:
        """The rows of a tree."""
        data, at, rows = self.files[f"trees/{tree}/rows.bin"], 0, []
        while at < len(data):
            length = int.from_bytes(data[at + 1 : at + 5], "little")
            rows.append((chr(data[at]), data[at + 5 : at + 5 + length]))
            at += 5 + length
        return rows

    def set_rows(self, rows: Sequence[Row], tree: str = "0001") -> None:
        """Other rows; the manifest's count of leaves follows."""
        self.files[f"trees/{tree}/rows.bin"] = packed(rows)
        if "manifest.json" in self.files:
            self.change_tree(tree, leaves=len(rows))

    def write(self, folder: Path) -> Path:
        """Everything into a folder."""
        for path, data in self.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        for path, link in self.links.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to(link)
        return folder


def packed(rows: Sequence[Row]) -> bytes:
    """`rows.bin`."""
    return b"".join(table.encode() + len(data).to_bytes(4, "little") + data for table, data in rows)
