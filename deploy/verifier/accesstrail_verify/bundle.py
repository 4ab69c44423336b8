"""The form of a bundle (sections 6 and 7, checks 1 and 2): paths, files, JSON and the manifest, all within limits.

Everything that comes from the bundle is read here or in `rows.py` and `notes.py`, and nothing is believed: no link is
followed, no number, line, file or depth above its limit gets further.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeAlias

from .findings import Findings, Malformed

MAX_NUMBER = 2**63 - 1
MAX_LINE_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 64 << 20
MAX_DEPTH = 16
MAX_PATHS = 1_000_000
_CHUNK_BYTES = 1 << 20

_PATH_PART = re.compile(r"[A-Za-z0-9._-]{1,255}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
_DEPLOYMENT = re.compile(r"[!-*,-~]{1,200}")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_KIND_OF_TABLE = {"access_events": "E", "dead_letters": "D", "incident_log": "I"}

Json: TypeAlias = Any
"""What JSON may hold: looked at before it is used."""

Columns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TreeRange:
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
        """The tree of incidents has none: its checkpoints are the only commitment."""
        return self.topic != "access.incidents"

    @property
    def name(self) -> str:
        """The last four parts of a checkpoint's origin."""
        return f"{self.topic}/{self.incarnation}/{self.partition}/{self.epoch}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest, read."""

    deployment: str
    is_selection: bool
    columns: Mapping[tuple[str, int], Columns]
    trees: tuple[TreeRange, ...]
    files: Mapping[str, tuple[int, str]]


class Bundle:
    """A bundle's directory; every file is opened without following links."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = frozenset(self._walk())

    def _walk(self) -> Iterator[str]:
        folders = [""]
        count = 0
        while folders:
            at = folders.pop()
            with os.scandir(self.folder / at) as found:
                for item in found:
                    path = f"{at}/{item.name}" if at else item.name
                    count += 1
                    if count > MAX_PATHS:
                        raise Malformed("more files than a verifier looks at")
                    if item.is_dir(follow_symlinks=False):
                        folders.append(path)
                    elif item.is_file(follow_symlinks=False):
                        yield path
                    else:
                        raise Malformed(f"{path!a} is a link or a special file")

    def open(self, path: str) -> BinaryIO:
        """The file to read; `Malformed` where it is no plain file."""
        if path not in self.paths:
            raise Malformed(f"{path} is not there")
        number = os.open(self.folder / path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise Malformed(f"{path} is no plain file")
        return os.fdopen(number, "rb")

    def document(self, path: str, limit_bytes: int = MAX_LINE_BYTES) -> Json:
        """A whole file as JSON."""
        with self.open(path) as file:
            data = file.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise Malformed(f"{path} is longer than {limit_bytes} bytes")
        return parse_json(data, path)

    def lines(self, path: str) -> Iterator[Any]:
        """Each line of a file as JSON."""
        with self.open(path) as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise Malformed(f"{path}, line {number} is longer than {MAX_LINE_BYTES} bytes")
                if not line.endswith(b"\n"):
                    raise Malformed(f"{path}, line {number} is cut off")
                yield parse_json(line, f"{path}, line {number}")

    def check_files(self, manifest: Manifest, found: Findings) -> None:
        """Check 2: every listed file is there with its size and hash, and no other."""
        for path in sorted(self.paths - manifest.files.keys() - {"manifest.json"}):
            found.add("bundle_file", "", f"{path!a} is not listed in the manifest")
        for path, (size, digest) in sorted(manifest.files.items()):
            if path not in self.paths:
                found.add("bundle_file", _tree_of(path), f"{path} is missing")
                continue
            is_size, is_digest = self._measured(path)
            if is_size != size:
                found.add("bundle_file", _tree_of(path), f"{path} has {is_size} bytes, the manifest says {size}")
            elif is_digest != digest:
                found.add("bundle_file", _tree_of(path), f"{path} has another hash than the manifest says")

    def _measured(self, path: str) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        with self.open(path) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
        return size, digest.hexdigest()


def _tree_of(path: str) -> str:
    parts = path.split("/")
    return parts[1] if parts[0] == "trees" and len(parts) == 3 else ""


def parse_json(data: bytes, where: str) -> Json:
    """JSON with no key twice, no half of a surrogate pair, no number that is not whole or too long, not too deep."""
    try:
        text = data.decode("utf-8")
        _check_depth(text, where)
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, where),
            parse_int=lambda digits: _whole(digits, where),
            parse_float=lambda digits: _refuse(f"{where}: a number is not whole"),
            parse_constant=lambda word: _refuse(f"{where}: not a number"),
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeError:
        raise Malformed(f"{where} is not UTF-8") from None
    except (ValueError, RecursionError):
        raise Malformed(f"{where} is not JSON") from None


def _check_depth(text: str, where: str) -> None:
    depth = 0
    for match in _BRACKETS.finditer(text):
        first = text[match.start()]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Malformed(f"{where} is nested more than {MAX_DEPTH} deep")
        elif first in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Json]], where: str) -> dict[str, Json]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Malformed(f"{where}: a key is there twice")
    return values


def _whole(digits: str, where: str) -> int:
    if len(digits) > 20 or not -MAX_NUMBER - 1 <= int(digits) <= MAX_NUMBER:
        raise Malformed(f"{where}: a number is too large")
    return int(digits)


def _refuse(about: str) -> NoReturn:
    raise Malformed(about)


class Fields:
    """One JSON object with exactly the keys it must have."""

    def __init__(self, value: Json, keys: frozenset[str], where: str) -> None:
        if not isinstance(value, dict) or value.keys() != keys:
            raise Malformed(f"{where} is not an object with the keys {', '.join(sorted(keys))}")
        self._values = value
        self._where = where

    def number(self, key: str, limit: int = MAX_NUMBER, least: int = 0) -> int:
        """A whole number from `least` to `limit`."""
        value = self._values[key]
        if type(value) is not int or not least <= value <= limit:
            raise Malformed(f"{self._where}: {key} is no number from {least} to {limit}")
        return value

    def text(self, key: str, pattern: re.Pattern[str] | None = None) -> str:
        """A text, of the given form."""
        value = self._values[key]
        if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
            raise Malformed(f"{self._where}: {key} is no text of the right form")
        return value

    def name(self, key: str) -> str:
        """A topic or an incarnation."""
        return self.text(key, _NAME)

    def time(self, key: str) -> datetime:
        """A time in UTC as ISO 8601 with `Z`."""
        try:
            return datetime.fromisoformat(self.text(key, _TIME))
        except ValueError:
            raise Malformed(f"{self._where}: {key} is no time") from None

    def hash(self, key: str) -> bytes:
        """32 bytes in hex."""
        return hex_bytes(self._values[key], f"{self._where}: {key}")

    def hashes(self, key: str) -> tuple[bytes, ...]:
        """A list of hashes in hex; no frontier and no proof of a tree below 2^63 leaves needs more than 128."""
        values = self._values[key]
        if not isinstance(values, list) or len(values) > 128:
            raise Malformed(f"{self._where}: {key} is no list of hashes")
        return tuple(hex_bytes(value, f"{self._where}: {key}") for value in values)

    def value(self, key: str) -> Json:
        """As it is."""
        return self._values[key]


def hex_bytes(value: Json, where: str) -> bytes:
    """32 bytes from lower-case hex."""
    if not isinstance(value, str) or len(value) != 64 or not _HEX.fullmatch(value):
        raise Malformed(f"{where} is no hash in hex")
    return bytes.fromhex(value)


_MANIFEST_KEYS = frozenset(("format", "deployment", "made_at", "kind", "query", "columns", "trees", "files"))
_TREE_KEYS = frozenset(("id", "topic", "incarnation", "partition", "epoch", "first_leaf", "leaves"))


def read_manifest(bundle: Bundle) -> Manifest:
    """The manifest; `Malformed` where it is not as section 6 says."""
    where = "manifest.json"
    fields = Fields(bundle.document(where, MAX_MANIFEST_BYTES), _MANIFEST_KEYS, where)
    if fields.text("format") != "accesstrail-evidence/1":
        raise Malformed("manifest.json: this verifier reads accesstrail-evidence/1 only")
    fields.time("made_at")
    kind = fields.text("kind")
    if kind not in ("range", "selection"):
        raise Malformed("manifest.json: kind is neither range nor selection")
    if not isinstance(fields.value("query"), dict):
        raise Malformed("manifest.json: query is no object")
    return Manifest(
        deployment=fields.text("deployment", _DEPLOYMENT),
        is_selection=kind == "selection",
        columns=_columns(fields.value("columns")),
        trees=_trees(fields.value("trees"), is_selection=kind == "selection"),
        files=_files(fields.value("files")),
    )


def _columns(value: Json) -> dict[tuple[str, int], Columns]:
    if not isinstance(value, dict):
        raise Malformed("manifest.json: columns is no object")
    lists: dict[tuple[str, int], Columns] = {}
    for name, pairs in value.items():
        table, _, version = name.partition("/")
        if table not in _KIND_OF_TABLE or not re.fullmatch(r"[1-9][0-9]{0,2}", version) or int(version) > 255:
            raise Malformed("manifest.json: columns of an unknown table or version")
        if not isinstance(pairs, list) or not all(_is_column(pair) for pair in pairs):
            raise Malformed(f"manifest.json: columns of {name} are no list of name and type")
        if len({pair[0] for pair in pairs}) != len(pairs):
            raise Malformed(f"manifest.json: a column of {name} is there twice")
        lists[table, int(version)] = tuple((pair[0], pair[1]) for pair in pairs)
    if sum(table == "incident_log" for table, _ in lists) > 1:
        raise Malformed("manifest.json: rows of incident_log do not say their version: one list only")
    return lists


def _is_column(pair: Json) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)


def _trees(values: Json, *, is_selection: bool) -> tuple[TreeRange, ...]:
    if not isinstance(values, list) or not values:
        raise Malformed("manifest.json: trees is no list, or an empty one")
    trees = tuple(_tree(Fields(value, _TREE_KEYS, "manifest.json, trees")) for value in values)
    if len({tree.id for tree in trees}) != len(trees) or len({tree.name for tree in trees}) != len(trees):
        raise Malformed("manifest.json: a tree is there twice")
    if any(tree.first_leaf + tree.leaves > MAX_NUMBER for tree in trees):
        raise Malformed("manifest.json: a tree is too large")
    if is_selection and any(tree.first_leaf for tree in trees):
        raise Malformed("manifest.json: first_leaf is 0 in a selection")
    return trees


def _tree(fields: Fields) -> TreeRange:
    number = fields.text("id", _PATH_PART)
    if number in (".", ".."):
        raise Malformed("manifest.json: a tree's id is no name")
    return TreeRange(
        id=number,
        topic=fields.name("topic"),
        incarnation=fields.name("incarnation"),
        partition=fields.number("partition", 2**32 - 1),
        epoch=fields.number("epoch", 2**32 - 1),
        first_leaf=fields.number("first_leaf"),
        leaves=fields.number("leaves"),
    )


def _files(value: Json) -> dict[str, tuple[int, str]]:
    if not isinstance(value, dict):
        raise Malformed("manifest.json: files is no object")
    files: dict[str, tuple[int, str]] = {}
    for path, said in value.items():
        parts = path.split("/")
        if len(path) > 1024 or any(part in (".", "..") or not _PATH_PART.fullmatch(part) for part in parts):
            raise Malformed(f"manifest.json: {ascii(path)[:200]} is no path inside the bundle")
        if path == "manifest.json":
            raise Malformed("manifest.json lists itself")
        fields = Fields(said, frozenset(("bytes", "sha256")), f"manifest.json, {path}")
        files[path] = (fields.number("bytes"), fields.hash("sha256").hex())
    return files
