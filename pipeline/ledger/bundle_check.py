"""Verification of a bundle of evidence with public keys only: the numbered checks over its files.

Place in the flow: behind `accesstrail verify --bundle`, on any machine. What a bundle must be is
`docs/reference/evidence.md` section 6, what is checked section 7. Where a file of a tree cannot be read, that alone is
said of the tree, and the others are verified.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from pipeline.errors import BundleMalformed, NoteRejected
from pipeline.events import LogPosition
from pipeline.ledger.bundle_blocks import fast_batches
from pipeline.ledger.bundle_entries import read_entries
from pipeline.ledger.bundle_form import SELECTION, BundleFolder, Fields, Manifest, TreePart, read_manifest
from pipeline.ledger.bundle_rows import BundleRow, BundleRows
from pipeline.ledger.bundle_sequences import Sequences
from pipeline.ledger.bundle_walk import RowJudge
from pipeline.ledger.checkpoint import Checkpoint, TreeName, parse_lines, parse_text
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.notes import code_of
from pipeline.ledger.proofs import is_included
from pipeline.ledger.signed_note import PublicKey, verify
from pipeline.ledger.verify import Behind, Findings, Report, TreeCheck, TreeCounts, tell_forks
from pipeline.ledger.verify_plain import PlainCheck

_CHECKPOINT_KEYS = frozenset({"note", "signed_at"})
_BEHIND_KEYS = frozenset({"size", "root", "proof"})
_FRONTIER_KEYS = frozenset({"size", "frontier"})
_PROOF_KEYS = frozenset({"index", "size", "proof"})
_LEAVES_AT_ONCE = 10_000
_OF_NOTES = {"checkpoint_signature", "checkpoint_unsigned", "checkpoint_malformed", "checkpoint_tree"}


def verify_bundle(path: Path, keys: Sequence[PublicKey], kept: Sequence[bytes] = ()) -> Report:
    """Everything. `kept`: notes that the auditor has from elsewhere; those of other trees are told as not looked at."""
    report = Report()
    try:
        folder = BundleFolder(path)
        manifest = read_manifest(folder)
        rows = BundleRows(manifest.columns)
    except BundleMalformed as exc:
        report.findings.add("bundle_malformed", "", str(exc))
        return report
    _Bundle(folder, manifest, rows, tuple(keys), tuple(kept), report).verify()
    return report


@dataclass(slots=True)
class _Bundle:
    folder: BundleFolder
    manifest: Manifest
    rows: BundleRows
    keys: tuple[PublicKey, ...]
    kept: tuple[bytes, ...]
    report: Report
    sequences: Sequences = field(default_factory=Sequences)

    def verify(self) -> None:
        report, manifest = self.report, self.manifest
        report.is_selection = manifest.kind == SELECTION
        self.folder.check_files(manifest, report.findings)
        names = [self._name(part) for part in manifest.trees]
        for part, name in zip(manifest.trees, names, strict=True):
            self._part(part, name)
        if not report.is_selection:
            pruned = any(counts.pruned for _, counts in report.trees)
            self.sequences.tell(report.findings, report.notes, is_judged=not pruned)
        origins = {str(name) for name in names}
        for note in self.kept:
            if _origin(note) not in origins:
                report.notes.append("a kept checkpoint is of a tree that is not in this bundle: not looked at")
        if report.is_selection:
            report.notes.append("a selection: that no further row belongs to it cannot be proven")

    def _name(self, part: TreePart) -> TreeName:
        place = LogPosition(part.topic, part.incarnation, part.partition)
        return TreeName(self.manifest.deployment, place, part.epoch)

    def _part(self, part: TreePart, name: TreeName) -> None:
        missing = self._missing(part)
        if missing and all(path in self.manifest.files for path in missing):
            self.report.notes.append(f"{name}: a file of it is missing, it is not looked at")
            self.report.trees.append((name, TreeCounts()))
            self.sequences.is_partial = True
            return
        try:
            if missing:
                raise BundleMalformed(f"{missing[0]} is neither there nor listed")
            tree = _Tree(self, part, name)
            tree.verify()
        except BundleMalformed as exc:
            self.report.findings.add("bundle_malformed", str(name), str(exc))
            self.report.trees.append((name, TreeCounts()))
            self.sequences.is_partial = True
            return
        self.report.trees.append((name, tree.judge.counts))
        self.report.notes += tree.notes
        self.report.findings.take(tree.findings)

    def _missing(self, part: TreePart) -> list[str]:
        names = ["rows.bin", "checkpoints.ndjson"]
        if self.manifest.kind == SELECTION:
            names.append("proofs.ndjson")
        elif part.has_entries:
            names.append("entries.ndjson")
        elif part.first_leaf:
            names.append("frontier.json")
        return [path for path in map(part.path, names) if path not in self.folder.paths]


def _origin(note: bytes) -> str:
    return note.decode(errors="replace").partition("\n")[0]


class _Tree:
    """One tree of a bundle."""

    def __init__(self, bundle: _Bundle, part: TreePart, name: TreeName) -> None:
        self.findings, self.notes = Findings(), list[str]()
        self._bundle, self._part, self._name, self._tree = bundle, part, name, str(name)
        self.judge = RowJudge(name, self.findings, bundle.sequences, has_entries=part.has_entries)

    def verify(self) -> None:
        """Everything. Raises: BundleMalformed: of this tree nothing else can be said."""
        checkpoints = self._checkpoints()
        if self._bundle.manifest.kind == SELECTION:
            self._selection(checkpoints)
        elif self._part.has_entries:
            self._range(checkpoints)
        else:
            self._plain(checkpoints)
        if self.judge.counts.leaves != self._part.leaves:
            self._say(
                "bundle_malformed", f"{self._part.leaves} leaves are stated, {self.judge.counts.leaves} are there"
            )

    def _say(self, code: str, about: str, offset: int = -1) -> None:
        self.findings.add(code, self._tree, about, offset)

    def _rows(self) -> Iterator[BundleRow]:
        return self._bundle.rows.read(self._bundle.folder, self._part.path("rows.bin"))

    # -- checkpoints

    def _checkpoints(self) -> list[Checkpoint]:
        """Those of this tree that a known key has signed; what is wrong with the others is told."""
        found: list[Checkpoint] = []
        newest_us: int | None = None
        path = self._part.path("checkpoints.ndjson")
        for number, value in enumerate(self._bundle.folder.lines(path), start=1):
            fields = Fields(value, _CHECKPOINT_KEYS, f"{path}:{number}")
            note, signed_at_us = fields.text("note").encode(errors="replace"), fields.time_us("signed_at")
            checkpoint = self._opened(note)
            if checkpoint is None:
                continue
            if found and checkpoint.size < found[-1].size:
                raise BundleMalformed(f"{path}:{number} is not in the order of sizes")
            if newest_us is not None and signed_at_us < newest_us:
                self._say(
                    "time_backwards", f"the checkpoint of {checkpoint.size} leaves was signed before a smaller one"
                )
            newest_us = signed_at_us if newest_us is None else max(newest_us, signed_at_us)
            found.append(checkpoint)
        kept = [self._opened(note) for note in self._bundle.kept if _origin(note) == self._tree]
        found += [one for one in kept if one is not None]
        early = {one.size for one in found if one.size < self._part.first_leaf}
        self.notes += [
            f"{self._tree}: a checkpoint of {size} leaves is before the range: not compared" for size in sorted(early)
        ]
        return found

    def _check_signed(self, checkpoints: list[Checkpoint], end: int) -> None:
        """A bundle without any signature proves nothing, whoever made it."""
        begin = self._part.first_leaf
        if (
            begin < end
            and not any(one.size > begin for one in checkpoints)
            and not self.findings.counts.keys() & _OF_NOTES
        ):
            self._say("checkpoint_unsigned", "no signed checkpoint behind the first leaf: nothing is proven")

    def _opened(self, note: bytes) -> Checkpoint | None:
        try:
            text, _ = verify(note, self._bundle.keys)
            origin, _, _ = parse_lines(text)
            if origin == self._tree:
                return parse_text(text)
        except NoteRejected as exc:
            self._say(code_of(exc, note), f"a checkpoint: {exc}")
            return None
        self._say("checkpoint_tree", "a checkpoint of another tree lies among its own")
        return None

    def _behind(self, end: int) -> Behind | None:
        path = self._part.path("consistency.json")
        if path not in self._bundle.folder.paths:
            return None
        fields = Fields(self._bundle.folder.document(path), _BEHIND_KEYS, path)
        behind = Behind(fields.number("size"), fields.hash("root"), fields.hashes("proof"))
        if behind.size <= end:
            raise BundleMalformed(f"{path} does not lead behind the last leaf")
        return behind

    # -- the three ways in which rows are bound

    def _range(self, checkpoints: list[Checkpoint]) -> None:
        path = self._part.path("entries.ndjson")
        entries = list(read_entries(self._bundle.folder, path))
        check = TreeCheck(self._name, checkpoints, self.findings)
        if self._part.first_leaf:
            if not entries:
                raise BundleMalformed(f"{path} lacks the entry before the range")
            check.begin_behind(entries.pop(0), self._part.first_leaf)
        of = self._bundle
        rows = self._part.path("rows.bin")
        for entry, leaves in fast_batches(of.folder, rows, of.rows, entries, self.judge, self._part.first_leaf, path):
            check.entry(entry, leaves)
        self._check_signed(checkpoints, check.size)
        check.end(self._behind(check.size))
        self.judge.counts.covered = check.counts.covered

    def _plain(self, checkpoints: list[Checkpoint]) -> None:
        """Rows without entries: the checkpoints alone bind them."""
        check = PlainCheck(self._tree, checkpoints, self.findings, self._frontier())
        waiting: list[bytes] = []
        for row in self._rows():
            self.judge.look_at(row, self._part.first_leaf + self.judge.counts.leaves)
            waiting.append(row.leaf)
            if len(waiting) >= _LEAVES_AT_ONCE:
                check.add(waiting)
                waiting = []
        check.add(waiting)
        self._check_signed(checkpoints, check.size)
        self.judge.counts.covered = check.end(self._behind(check.size))

    def _frontier(self) -> Frontier:
        path = self._part.path("frontier.json")
        if path not in self._bundle.folder.paths:
            return Frontier()
        fields = Fields(self._bundle.folder.document(path), _FRONTIER_KEYS, path)
        size, hashes = fields.number("size"), fields.hashes("frontier")
        if size != self._part.first_leaf or len(hashes) != size.bit_count():
            raise BundleMalformed(f"{path} is not the frontier before the first leaf")
        return Frontier(size, hashes)

    def _selection(self, checkpoints: list[Checkpoint]) -> None:
        tell_forks(self._tree, self.findings, checkpoints)
        path, before = self._part.path("proofs.ndjson"), -1
        for row, value in zip_longest(self._rows(), self._bundle.folder.lines(path)):
            if row is None or value is None:
                raise BundleMalformed(f"{path} and rows.bin do not hold the same number of rows")
            fields = Fields(value, _PROOF_KEYS, path)
            index, size, proof = fields.number("index"), fields.number("size"), fields.hashes("proof")
            self.judge.look_at(row, index)
            if index <= before:
                self._say("row_order", "the rows are not in the order of leaves", row.offset)
            before = index
            roots = {one.root for one in checkpoints if one.size == size}
            if any(is_included(row.leaf, index, size, proof, root) for root in roots):
                self.judge.counts.covered += 1
            else:
                self._say(
                    "inclusion", f"leaf {index} is not proven to be in a signed tree of {size} leaves", row.offset
                )
