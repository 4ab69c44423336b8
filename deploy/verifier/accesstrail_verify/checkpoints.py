"""Checkpoints of one tree (checks 3, 4, 9, 10 and part of 13): the bundle's and those that the auditor kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from . import merkle
from .bundle import Bundle, Fields, Manifest, TreeRange
from .findings import Findings, Malformed, TreeCounts
from .notes import Checkpoint, NoteRejected, PublicKey, open_checkpoint, origin_of

_LINE_KEYS = frozenset(("note", "signed_at"))
_CONSISTENCY_KEYS = frozenset(("size", "root", "proof"))
_TELLING = {"checkpoint_signature", "checkpoint_unsigned", "checkpoint_malformed", "checkpoint_tree"}
_SIZE_LINE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Given:
    """What the caller gave: keys to trust and checkpoints kept from earlier."""

    keys: tuple[PublicKey, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Consistency:
    """The step from the bundle's last leaf to a checkpoint behind it."""

    size: int
    root: bytes
    proof: tuple[bytes, ...]


def read_checkpoints(
    bundle: Bundle, manifest: Manifest, tree: TreeRange, given: Given, found: Findings
) -> list[Checkpoint]:
    """The checkpoints that are of this tree and signed by a given key; what is wrong with the others is said."""
    path = f"trees/{tree.id}/checkpoints.ndjson"
    origin = f"{manifest.deployment}/{tree.name}"
    good: list[Checkpoint] = []
    latest: datetime | None = None
    stated_size = -1
    for number, value in enumerate(bundle.lines(path), start=1):
        where = f"{path}, line {number}"
        fields = Fields(value, _LINE_KEYS, where)
        note, signed_at = fields.text("note"), fields.time("signed_at")
        checkpoint = _opened(note, origin, tree, given, found, f"line {number}")
        if checkpoint is None:
            continue
        if checkpoint.size < stated_size:
            raise Malformed(f"{where}: not in the order of sizes")
        if latest is not None and signed_at < latest:
            found.add("time_backwards", tree.id, "signed before a smaller checkpoint", leaf=checkpoint.size)
        stated_size = checkpoint.size
        latest = signed_at if latest is None else max(latest, signed_at)
        good.append(checkpoint)
    good += _kept(origin, tree, given, found)
    _check_forks(tree, good, found)
    return good


def _opened(note: str, origin: str, tree: TreeRange, given: Given, found: Findings, where: str) -> Checkpoint | None:
    size_line = note.split("\n", 2)[1:2]
    leaf = int(size_line[0]) if size_line and _SIZE_LINE.fullmatch(size_line[0]) else None
    try:
        checkpoint = open_checkpoint(note, given.keys)
    except NoteRejected as why:
        found.add(why.code, tree.id, f"checkpoint ({where}): {why}", leaf=leaf)
        return None
    if checkpoint.origin != origin:
        about = f"checkpoint ({where}) is signed for {ascii(checkpoint.origin)[:300]}, not for {origin}"
        found.add("checkpoint_tree", tree.id, about, leaf=checkpoint.size)
        return None
    return checkpoint


def _kept(origin: str, tree: TreeRange, given: Given, found: Findings) -> list[Checkpoint]:
    opened = (
        _opened(note, origin, tree, given, found, f"kept, number {number}")
        for number, note in enumerate(given.kept, start=1)
        if origin_of(note) == origin
    )
    return [checkpoint for checkpoint in opened if checkpoint is not None]


def _check_forks(tree: TreeRange, good: Sequence[Checkpoint], found: Findings) -> None:
    roots: dict[int, set[bytes]] = {}
    for checkpoint in good:
        roots.setdefault(checkpoint.size, set()).add(checkpoint.root)
    for size, different in sorted(roots.items()):
        if len(different) > 1:
            found.add("checkpoint_fork", tree.id, "signed with two different roots at this size", leaf=size)


def read_consistency(bundle: Bundle, tree: TreeRange) -> Consistency | None:
    """`consistency.json`, where the tree has one."""
    path = f"trees/{tree.id}/consistency.json"
    if path not in bundle.paths:
        return None
    fields = Fields(bundle.document(path), _CONSISTENCY_KEYS, path)
    return Consistency(fields.number("size"), fields.hash("root"), fields.hashes("proof"))


def check_roots(
    tree: TreeRange,
    good: Sequence[Checkpoint],
    roots: Mapping[int, bytes],
    end: int,
    consistency: Consistency | None,
    found: Findings,
    counts: TreeCounts,
) -> None:
    """Checks 9, 10 and how far the checkpoints cover; `roots` are those that the rows give, by size."""
    covered = -1
    proven = _is_proven(tree, good, roots.get(end), end, consistency, found)
    for checkpoint in good:
        size = checkpoint.size
        if size < tree.first_leaf:
            found.notes.append(f"tree {tree.id}: the checkpoint at {size} lies before the range: not compared")
        elif size <= end:
            if roots.get(size) == checkpoint.root:
                covered = max(covered, size)
            else:
                about = "the rows give another root than this checkpoint signs"
                found.add("checkpoint_root", tree.id, about, leaf=size)
        elif consistency is None or size > consistency.size:
            about = f"the tree ends at {end}, but a larger one was signed: the end was cut off (or was made later)"
            found.add("checkpoint_beyond", tree.id, about, leaf=size)
        elif size < consistency.size:
            found.notes.append(f"tree {tree.id}: the checkpoint at {size} lies behind the last leaf: not compared")
    if proven:
        covered = end
    is_bare = end > tree.first_leaf and not any(checkpoint.size > tree.first_leaf for checkpoint in good)
    if is_bare and not found.codes.keys() & _TELLING:
        found.add("checkpoint_unsigned", tree.id, "no signed checkpoint behind the first leaf: nothing is proven")
    counts.covered = max(0, covered - tree.first_leaf)
    if covered < end:
        about = f"no good checkpoint covers the leaves from {max(covered, tree.first_leaf)} to {end - 1}"
        found.add("not_covered", tree.id, about, leaf=max(covered, tree.first_leaf))


def _is_proven(
    tree: TreeRange,
    good: Sequence[Checkpoint],
    root: bytes | None,
    end: int,
    consistency: Consistency | None,
    found: Findings,
) -> bool:
    if consistency is None:
        return False
    if consistency.size <= end:
        raise Malformed(f"trees/{tree.id}/consistency.json does not lead behind the last leaf")
    signed = any((known.size, known.root) == (consistency.size, consistency.root) for known in good)
    if not signed:
        found.add("consistency", tree.id, "no checkpoint has the size and root it leads to", leaf=consistency.size)
    elif root is None or not merkle.is_consistent(end, root, consistency.size, consistency.root, consistency.proof):
        found.add("consistency", tree.id, "the proof does not lead from the rows' root", leaf=consistency.size)
    else:
        return True
    return False
