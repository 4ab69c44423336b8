"""The form of an evidence bundle: its manifest, its JSON lines, its files; within limits, before anything is believed.

Place in the flow: in front of `ledger/bundle_check.py`; written by `accesstrail evidence export`. The form is
`docs/reference/evidence.md` section 6, checks 1 and 2. No link is followed, no path leaves the folder, no key comes
twice, and no number, line, depth or file is larger than it may be.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import BundleMalformed
from pipeline.ledger.verify import Findings

FORMAT = "accesstrail-evidence/1"
MANIFEST = "manifest.json"
TABLES = ("access_events", "dead_letters", "incident_log")
RANGE, SELECTION = "range", "selection"
INCIDENTS_TOPIC = "access.incidents"
LARGEST_NUMBER = 2**63 - 1
_LARGEST_UINT32 = 2**32 - 1
LONGEST_LINE_BYTES = 1 << 20
_LONGEST_MANIFEST_BYTES = 64 << 20
_MOST_FILES = 1_000_000
_DEEPEST = 16
_CHUNK_BYTES = 1 << 20
_MOST_HASHES = 128
_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
_PART = re.compile(r"[A-Za-z0-9._-]{1,255}")
_DEPLOYMENT = re.compile(r"[!-*,-~]{1,200}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[1-9][0-9]{0,2}")
Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TreePart:
    """What the manifest says of one tree."""

    id: str
    topic: str
    incarnation: str
    partition: int
    epoch: int
    first_leaf: int
    leaves: int

    @property
    def has_entries(self) -> bool:
        """The log of incidents has none."""
        return self.topic != INCIDENTS_TOPIC

    def path(self, name: str) -> str:
        """The path of one of its files."""
        return f"trees/{self.id}/{name}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest, looked through. `columns`: by table and version."""

    deployment: str
    kind: str
    columns: Mapping[tuple[str, int], Columns]
    trees: tuple[TreePart, ...]
    files: Mapping[str, tuple[int, str]]


class BundleFolder:
    """The files of a bundle."""

    def __init__(self, folder: Path) -> None:
        """Raises: BundleMalformed: something in it is no plain file, or there are too many."""
        self._folder = folder
        self.paths = frozenset(self._walk())

    def _walk(self) -> Iterator[str]:
        count = 0
        for at, folders, files in os.walk(self._folder, followlinks=False):
            for name in (*folders, *files):
                path = Path(at) / name
                mode = path.lstat().st_mode
                count += 1
                if count > _MOST_FILES or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise BundleMalformed("it holds a link, something that is no file, or too many files")
                if stat.S_ISREG(mode):
                    yield path.relative_to(self._folder).as_posix()

    def open(self, path: str) -> BinaryIO:
        """A file to read. Raises: BundleMalformed: it is not there."""
        if path not in self.paths:
            raise BundleMalformed(f"{path} is not there")
        return os.fdopen(os.open(self._folder / path, os.O_RDONLY | os.O_NOFOLLOW), "rb")

    def document(self, path: str, longest_bytes: int = LONGEST_LINE_BYTES) -> object:
        """A file that is one JSON document. Raises: BundleMalformed."""
        with self.open(path) as file:
            content = file.read(longest_bytes + 1)
        if len(content) > longest_bytes:
            raise BundleMalformed(f"{path} is too long")
        return plain_json(content, path)

    def lines(self, path: str) -> Iterator[object]:
        """A file of JSON lines. Raises: BundleMalformed."""
        with self.open(path) as file:
            number = 0
            while line := file.readline(LONGEST_LINE_BYTES + 1):
                number += 1
                if len(line) > LONGEST_LINE_BYTES or not line.endswith(b"\n"):
                    raise BundleMalformed(f"{path}:{number} is too long or cut off")
                yield plain_json(line, f"{path}:{number}")

    def check_files(self, manifest: Manifest, findings: Findings) -> None:
        """Check 2."""
        for path in sorted(self.paths - manifest.files.keys() - {MANIFEST}):
            findings.add("bundle_file", "", f"{path!a} is not listed")
        for path, (size, digest) in sorted(manifest.files.items()):
            if path not in self.paths:
                findings.add("bundle_file", "", f"{path} is missing")
            elif self._measure(path) != (size, digest):
                findings.add("bundle_file", "", f"{path} has another size or hash than is listed")

    def _measure(self, path: str) -> tuple[int, str]:
        digest, size = sha256(), 0
        with self.open(path) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
        return size, digest.hexdigest()


def plain_json(content: bytes, place: str) -> object:
    """JSON of whole numbers and whole letters, no key twice, not too deep. Raises: BundleMalformed."""
    try:
        text = content.decode()
        if _depth(text) > _DEEPEST:
            raise BundleMalformed(f"{place} is nested too deep")
        value = json.loads(text, object_pairs_hook=_object, parse_int=_whole, parse_float=_no, parse_constant=_no)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half of a pair of escapes is no text
        return value
    except (ValueError, RecursionError):  # UnicodeDecodeError, UnicodeEncodeError and JSONDecodeError among them
        raise BundleMalformed(f"{place} is not the JSON that it must be") from None


def _depth(text: str) -> int:
    """How deep brackets are nested, those in strings left out."""
    deepest = depth = 0
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', text, re.DOTALL):
        mark = found[0]
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -LARGEST_NUMBER - 1 <= int(digits) <= LARGEST_NUMBER:
        raise ValueError("a number is too large")
    return int(digits)


def _no(text: str) -> float:
    raise ValueError("a number is not whole")


class Fields:
    """An object with exactly the keys that it must have; each look checks what is there. Raises: BundleMalformed."""

    def __init__(self, value: object, keys: frozenset[str], place: str) -> None:
        if not isinstance(value, dict) or value.keys() != keys:
            raise BundleMalformed(f"{place} has other keys than {', '.join(sorted(keys))}")
        self._value, self._place = value, place

    def _wrong(self, key: str) -> BundleMalformed:
        return BundleMalformed(f"{self._place}: {key} is not what it must be")

    def number(self, key: str, most: int = LARGEST_NUMBER, least: int = 0) -> int:
        """A whole number."""
        value = self._value[key]
        if type(value) is not int or not least <= value <= most:
            raise self._wrong(key)
        return value

    def text(self, key: str, pattern: re.Pattern[str] | None = None) -> str:
        """A text."""
        value = self._value[key]
        if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
            raise self._wrong(key)
        return value

    def name(self, key: str) -> str:
        """A topic or an incarnation."""
        return self.text(key, _NAME)

    def uint32(self, key: str) -> int:
        """A number that fits in 32 bits."""
        return self.number(key, _LARGEST_UINT32)

    def time_us(self, key: str) -> int:
        """A time in UTC, microseconds."""
        text = self.text(key, _TIME)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise self._wrong(key) from None
        return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)

    def hash(self, key: str) -> bytes:
        """32 bytes in hexadecimal."""
        return bytes.fromhex(self.text(key, _HASH))

    def hashes(self, key: str) -> tuple[bytes, ...]:
        """A list of hashes, as long as one of a tree may be."""
        values = self._value[key]
        if not isinstance(values, list) or len(values) > _MOST_HASHES:
            raise self._wrong(key)
        if not all(isinstance(one, str) and _HASH.fullmatch(one) for one in values):
            raise self._wrong(key)
        return tuple(bytes.fromhex(one) for one in values)

    def items(self, key: str) -> dict[str, object]:
        """An object of any keys."""
        value = self._value[key]
        if not isinstance(value, dict):
            raise self._wrong(key)
        return value

    def list(self, key: str) -> list[object]:
        """A list."""
        value = self._value[key]
        if not isinstance(value, list):
            raise self._wrong(key)
        return value


_MANIFEST_KEYS = frozenset({"format", "deployment", "made_at", "kind", "query", "columns", "trees", "files"})
_TREE_KEYS = frozenset({"id", "topic", "incarnation", "partition", "epoch", "first_leaf", "leaves"})
_FILE_KEYS = frozenset({"bytes", "sha256"})


def read_manifest(folder: BundleFolder) -> Manifest:
    """The manifest. Raises: BundleMalformed."""
    fields = Fields(folder.document(MANIFEST, _LONGEST_MANIFEST_BYTES), _MANIFEST_KEYS, MANIFEST)
    if fields.text("format") != FORMAT:
        raise BundleMalformed(f"its format is not {FORMAT}: a newer program may read it")
    fields.time_us("made_at")
    fields.items("query")
    kind = fields.text("kind")
    if kind not in (RANGE, SELECTION):
        raise BundleMalformed("its kind is neither range nor selection")
    trees = tuple(_tree(Fields(one, _TREE_KEYS, "a tree of the manifest")) for one in fields.list("trees"))
    if not trees:
        raise BundleMalformed("it lists no tree")
    _check_trees(trees, kind)
    columns = {_table_and_version(name): _columns(value) for name, value in fields.items("columns").items()}
    if len([table for table, _ in columns if table == "incident_log"]) > 1:
        raise BundleMalformed("it lists columns of incident_log twice")
    files = {_path(path): _file(path, said) for path, said in fields.items("files").items()}
    return Manifest(fields.text("deployment", _DEPLOYMENT), kind, columns, trees, files)


def _tree(fields: Fields) -> TreePart:
    part = TreePart(
        fields.text("id", _PART), fields.name("topic"), fields.name("incarnation"), fields.uint32("partition"),
        fields.uint32("epoch"), fields.number("first_leaf"), fields.number("leaves"),
    )  # fmt: skip
    if part.id in (".", "..") or part.first_leaf + part.leaves > LARGEST_NUMBER:
        raise BundleMalformed("a tree of the manifest is none")
    return part


def _check_trees(trees: tuple[TreePart, ...], kind: str) -> None:
    names = {(one.topic, one.incarnation, one.partition, one.epoch) for one in trees}
    if len(names) != len(trees) or len({one.id for one in trees}) != len(trees):
        raise BundleMalformed("it lists a tree twice")
    if kind == SELECTION and any(one.first_leaf for one in trees):
        raise BundleMalformed("a selection begins at no leaf: first_leaf is 0")


def _table_and_version(name: str) -> tuple[str, int]:
    table, _, version = name.partition("/")
    if table not in TABLES or not _VERSION.fullmatch(version) or int(version) > 255:
        raise BundleMalformed("it lists columns of an unknown table or version")
    return table, int(version)


def _columns(value: object) -> Columns:
    pairs = []
    for one in value if isinstance(value, list) else [None]:
        if not isinstance(one, list) or len(one) != 2 or not all(isinstance(part, str) for part in one):
            raise BundleMalformed("columns are a list of name and type each")
        pairs.append((str(one[0]), str(one[1])))
    if len({name for name, _ in pairs}) != len(pairs):
        raise BundleMalformed("it lists a column twice")
    return tuple(pairs)


def _path(path: str) -> str:
    parts = path.split("/")
    if len(path) > 1024 or path == MANIFEST or any(one in (".", "..") or not _PART.fullmatch(one) for one in parts):
        raise BundleMalformed("it lists a file that is no path inside the bundle")
    return path


def _file(path: str, said: object) -> tuple[int, str]:
    fields = Fields(said, _FILE_KEYS, "a file of the manifest")
    return fields.number("bytes"), fields.hash("sha256").hex()
