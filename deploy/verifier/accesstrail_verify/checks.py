"""The checks of section 7 over a whole bundle: its form, then each tree, then the sources' counters over all trees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from . import merkle
from .bundle import Bundle, Fields, Manifest, TreeRange, read_manifest
from .checkpoints import Given, check_roots, read_checkpoints, read_consistency
from .entries import check_chain, read_entries
from .entry_rows import EntryWalk
from .findings import Findings, Malformed, TreeCounts
from .notes import Checkpoint, origin_of
from .row_judge import RowJudge
from .rows import Row, RowReader
from .sequences import Sequences


@dataclass(slots=True)
class Context:
    """What every tree's checks need."""

    bundle: Bundle
    manifest: Manifest
    reader: RowReader
    given: Given
    sequences: Sequences


def verify(folder: Path, given: Given) -> Findings:
    """Everything that can be said about the bundle in a folder."""
    found = Findings()
    try:
        bundle = Bundle(folder)
        manifest = read_manifest(bundle)
        reader = RowReader(manifest.columns)
    except Malformed as why:
        found.add("bundle_malformed", "", str(why))
        return found
    found.is_selection = manifest.is_selection
    bundle.check_files(manifest, found)
    context = Context(bundle, manifest, reader, given, Sequences())
    for tree in manifest.trees:
        found.take(_tree(context, tree))
    if not manifest.is_selection:
        context.sequences.check(found)
    _say(context, found)
    return found


def _say(context: Context, found: Findings) -> None:
    origins = {f"{context.manifest.deployment}/{tree.name}" for tree in context.manifest.trees}
    for note in context.given.kept:
        if origin_of(note) not in origins:
            found.notes.append(f"kept checkpoint of {ascii(origin_of(note))[:300]}: not in this bundle, not looked at")
    if context.manifest.is_selection:
        found.notes.append("a selection: each row is proven; that no further row belongs to it cannot be proven")
    elif any(tree.pruned for tree in found.trees) and context.sequences.holes():
        found.notes.append("rows are pruned: holes in the sources' own counters are not judged")
    for name in context.reader.unknown_lists:
        found.notes.append(f"columns of {name}: this verifier does not know the list and takes the bundle's")


def _tree(context: Context, tree: TreeRange) -> Findings:
    """One tree; where a file of it is malformed, that alone is said of it."""
    found = Findings()
    counts = TreeCounts(tree.id, tree.name, tree.first_leaf)
    found.trees.append(counts)
    missing = _missing_files(context, tree)
    try:
        if missing is None:
            _check_tree(context, tree, found, counts)
        elif not missing:
            found.notes.append(f"tree {tree.id}: a file of it is missing, the tree is not looked at")
            context.sequences.is_partial = True
        else:
            raise Malformed(missing)
    except Malformed as why:
        found = Findings(trees=[TreeCounts(tree.id, tree.name, tree.first_leaf)])
        found.add("bundle_malformed", tree.id, str(why))
        context.sequences.is_partial = True
    return found


def _missing_files(context: Context, tree: TreeRange) -> str | None:
    """None: all there; empty: one that the manifest lists is missing (check 2 says so); else what is wrong."""
    names = ["rows.bin", "checkpoints.ndjson"]
    if context.manifest.is_selection:
        names.append("proofs.ndjson")
    elif tree.has_entries:
        names.append("entries.ndjson")
    elif tree.first_leaf:
        names.append("frontier.json")
    gone = [path for name in names if (path := f"trees/{tree.id}/{name}") not in context.bundle.paths]
    unlisted = [path for path in gone if path not in context.manifest.files]
    if unlisted:
        return f"{unlisted[0]} is neither there nor listed"
    return "" if gone else None


def _check_tree(context: Context, tree: TreeRange, found: Findings, counts: TreeCounts) -> None:
    checkpoints = read_checkpoints(context.bundle, context.manifest, tree, context.given, found)
    counts.checkpoints = len(checkpoints)
    if context.manifest.is_selection:
        _check_selection(context, tree, checkpoints, found, counts)
    else:
        sizes = frozenset(checkpoint.size for checkpoint in checkpoints)
        walk = _walk_entries if tree.has_entries else _walk_plain
        roots, end = walk(context, tree, sizes, found, counts)
        consistency = read_consistency(context.bundle, tree)
        check_roots(tree, checkpoints, roots, end, consistency, found, counts)
    if counts.leaves != tree.leaves:
        about = f"the manifest says {tree.leaves} leaves, rows.bin has {counts.leaves}"
        found.add("bundle_malformed", tree.id, about)


_FRONTIER_KEYS = frozenset(("size", "frontier"))
_PROOF_KEYS = frozenset(("index", "size", "proof"))


def _walk_plain(
    context: Context, tree: TreeRange, sizes: frozenset[int], found: Findings, counts: TreeCounts
) -> tuple[dict[int, bytes], int]:
    growing = _frontier_file(context.bundle, tree)
    judge = RowJudge(tree, found, counts, context.sequences)
    roots = {growing.size: growing.root()}
    for row in _rows(context, tree):
        judge.look_at(row, growing.size)
        growing.add(row.leaf)
        if growing.size in sizes:
            roots[growing.size] = growing.root()
    roots[growing.size] = growing.root()
    return roots, growing.size


def _frontier_file(bundle: Bundle, tree: TreeRange) -> merkle.GrowingTree:
    path = f"trees/{tree.id}/frontier.json"
    if path not in bundle.paths:
        return merkle.GrowingTree(0, ())
    fields = Fields(bundle.document(path), _FRONTIER_KEYS, path)
    size, frontier = fields.number("size"), fields.hashes("frontier")
    if size != tree.first_leaf or not merkle.is_frontier(size, frontier):
        raise Malformed(f"{path} is not the frontier before the first leaf")
    return merkle.GrowingTree(size, frontier)


def _check_selection(
    context: Context, tree: TreeRange, checkpoints: list[Checkpoint], found: Findings, counts: TreeCounts
) -> None:
    judge = RowJudge(tree, found, counts, context.sequences)
    path = f"trees/{tree.id}/proofs.ndjson"
    index_before = -1
    for row, value in zip_longest(_rows(context, tree), context.bundle.lines(path)):
        if row is None or value is None:
            raise Malformed(f"{path} and rows.bin do not have the same number of rows")
        fields = Fields(value, _PROOF_KEYS, path)
        index, size, proof = fields.number("index"), fields.number("size"), fields.hashes("proof")
        judge.look_at(row, index)
        if index <= index_before:
            found.add("row_order", tree.id, "not in the order of leaves", leaf=index)
        index_before = index
        roots = [checkpoint.root for checkpoint in checkpoints if checkpoint.size == size]
        if any(merkle.is_included(row.leaf, index, size, proof, root) for root in roots):
            counts.covered += 1
        else:
            about = "its proof does not lead to the checkpoint" if roots else f"no good checkpoint of size {size}"
            found.add("inclusion", tree.id, about, offset=None if row.is_hidden else row.offset, leaf=index)


def _rows(context: Context, tree: TreeRange) -> Iterator[Row]:
    return context.reader.rows(context.bundle, f"trees/{tree.id}/rows.bin")


def _walk_entries(
    context: Context, tree: TreeRange, sizes: frozenset[int], found: Findings, counts: TreeCounts
) -> tuple[dict[int, bytes], int]:
    path = f"trees/{tree.id}/entries.ndjson"
    entries = list(read_entries(context.bundle, path))
    if tree.first_leaf and not entries:
        raise Malformed(f"{path} lacks the entry before the range")
    check_chain(tree, entries, found)
    start = entries[0] if tree.first_leaf else None
    inside = entries[1:] if tree.first_leaf else entries
    counts.entries = len(inside)
    walk = EntryWalk(tree, inside, start, sizes, found)
    judge = RowJudge(tree, found, counts, context.sequences)
    for row in _rows(context, tree):
        if not inside:
            raise Malformed(f"{path} has no entry for the rows")
        judge.look_at(row, tree.first_leaf + counts.leaves)
        walk.take(row)
    walk.finish()
    return walk.roots, max((entry.size for entry in entries), default=0)
