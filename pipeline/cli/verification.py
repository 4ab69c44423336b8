"""Verifies the whole store: every tree of the ledger, then what is derived from its rows.

Place in the flow: between `accesstrail verify --store` and the pure checks (`pipeline/ledger/verify.py`); numbers and
codes of the checks are in `docs/reference/evidence.md` section 7. A store that does not answer is no difference: it is
raised as Away.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.adapters.evidence_reading import EvidenceReader, Tree
from pipeline.adapters.incident_log_reading import IncidentLogReader
from pipeline.adapters.reader_pool import Questions
from pipeline.cli.verification_derived import DerivedTables
from pipeline.cli.verification_incidents import FoldedIncidents
from pipeline.cli.verification_pruned import check_pruned
from pipeline.cli.verification_schema import check_views
from pipeline.errors import NoteRejected
from pipeline.ledger.checkpoint import Checkpoint, TreeName, open_checkpoint
from pipeline.ledger.merkle import Frontier
from pipeline.ledger.notes import code_of
from pipeline.ledger.signed_note import PublicKey
from pipeline.ledger.verify import Findings, Report, TreeCheck, TreeCounts
from pipeline.ledger.verify_plain import PlainCheck

Progress = Callable[[str, int], None]


def _at_once(seconds: float) -> None:
    """Waits for nothing: of a store that nobody writes to."""


def quiet(tree: str, rows: int) -> None:
    """Says nothing."""


_LOOK_AGAIN_S = 0.25
_LOOKED_AT = 10
"""So many of the newest checkpoints are looked at while one is waited for."""


@dataclass(frozen=True, slots=True)
class StoreVerification:
    """One run. `against`: notes that somebody kept outside; `deployment`: begins the origin of every tree."""

    reader: EvidenceReader
    questions: Questions
    deployment: str
    keys: Sequence[PublicKey]
    against: Sequence[bytes] = ()
    progress: Progress = quiet
    wait_s: float = 5.0
    """How long the notary may take to sign what was sealed when the run began."""

    def run(self) -> Report:
        """Everything that was sealed when it began. Raises: Away; StoreRefused."""
        report = Report()
        report.notes += check_views(self.questions, report.findings)
        kept = self._kept(report)
        sizes = self._wait_for_checkpoints()
        for tree in self.reader.trees():
            name = self._name(tree)
            counts = self._tree(tree, name, kept.get(name, []), sizes.get(tree, 0), report.findings)
            report.trees.append((name, counts))
        for place in self.reader.incident_trees():
            tree = Tree(place, 0)
            name = self._name(tree)
            counts = self._incidents(tree, name, kept.get(name, []), sizes.get(tree, 0), report.findings)
            report.trees.append((name, counts))
        for name, _ in report.trees:  # kept until here: entries could name the tree of a log of incidents
            kept.pop(name, None)
        self._gone(report, kept)
        for name, checkpoints in kept.items():
            about = f"{max(one.size for one in checkpoints)} leaves were signed, the store has no such tree"
            report.findings.add("checkpoint_beyond", str(name), about)
        self._out_of_place(report.findings)
        wait = time.sleep if self.wait_s else _at_once
        tables = DerivedTables(self.questions, report.findings, wait)
        tables.compare(is_pruning=not check_pruned(self.questions, report.findings))
        incidents = FoldedIncidents(IncidentLogReader(self.questions), report.findings, wait)
        incidents.compare(self.reader.incident_trees(), self.reader.incident_places())
        report.derived = [*tables.compared, "incidents"]
        report.notes += [f"{one}: grew all the time, not compared" for one in tables.moving]
        return report

    def _wait_for_checkpoints(self) -> dict[Tree, int]:
        """Sizes of all trees; the notary gets a moment to sign what was sealed just now."""
        sizes, until_s = self.reader.sizes(), time.monotonic() + self.wait_s
        waiting = dict(sizes)
        while waiting:
            signed = {tree: self._newest_signed(tree) for tree in waiting}
            waiting = {tree: size for tree, size in waiting.items() if 0 < signed[tree] < size}
            if not waiting or time.monotonic() >= until_s:
                break
            time.sleep(_LOOK_AGAIN_S)
        return sizes

    def _newest_signed(self, tree: Tree) -> int:
        """Leaves of the largest checkpoint that a known key has signed; 0 where there is none."""
        signed = self._stored(tree, self._name(tree), Findings(), newest=_LOOKED_AT)
        return max((one.size for one in signed), default=0)

    def _name(self, tree: Tree) -> TreeName:
        return TreeName(self.deployment, tree.position, tree.epoch)

    def _kept(self, report: Report) -> defaultdict[TreeName, list[Checkpoint]]:
        """The given checkpoints by tree; of another deployment is of another tree."""
        found: defaultdict[TreeName, list[Checkpoint]] = defaultdict(list)
        for note in self.against:
            try:
                one, _ = open_checkpoint(note, self.keys)
            except NoteRejected as exc:
                report.findings.add(code_of(exc, note), "", f"a kept checkpoint: {exc}")
                continue
            if one.name.deployment == self.deployment:
                found[one.name].append(one)
            else:
                report.findings.add("checkpoint_tree", str(one.name), f"not of the deployment {self.deployment}")
        return found

    def _tree(
        self, tree: Tree, name: TreeName, kept: Iterable[Checkpoint], size: int, findings: Findings
    ) -> TreeCounts:
        """`size`: what the tree had at the beginning. Checkpoints are read before the entries, so none is ahead."""
        known = [*kept, *self._stored(tree, name, findings)]
        check = TreeCheck(name, known, findings)
        for entry, leaves in self.reader.batches(tree, max([size, *(one.size for one in known)])):
            check.entry(entry, leaves)
            self.progress(str(name), check.counts.leaves)
        check.end()
        return check.counts

    def _gone(self, report: Report, kept: defaultdict[TreeName, list[Checkpoint]]) -> None:
        """Trees of which the store has nothing but checkpoints: these stand with the kept ones."""
        looked_at = {name for name, _ in report.trees}
        for tree in self.reader.signed_trees():
            name = self._name(tree)
            if name not in looked_at and (signed := self._stored(tree, name, report.findings)):
                kept[name] += signed

    def _out_of_place(self, findings: Findings) -> None:
        """What readers see of rows that lie where no tree looks for them."""
        for place, first, count in self.reader.strays():
            about = f"{count} rows lie outside the range of the entry that they name"
            findings.add("row_order", str(TreeName(self.deployment, place)), about, first)
        for table, place, count in self.reader.beyond():
            about = f"{table}: {count} rows lie behind the end of every log"
            findings.add("row_order", str(TreeName(self.deployment, place)), about)

    def _incidents(
        self, tree: Tree, name: TreeName, kept: Iterable[Checkpoint], size: int, findings: Findings
    ) -> TreeCounts:
        """The log of incidents, as `_tree`; its rows are the leaves."""
        known = [*kept, *self._stored(tree, name, findings)]
        most = max([size, *(one.size for one in known)])
        check, counts = PlainCheck(str(name), known, findings, Frontier()), TreeCounts()
        for offsets, leaves in self.reader.incident_leaves(tree.position):
            room = most - check.size
            for offset in offsets[:room]:
                if offset <= counts.last_offset:
                    findings.add("row_order", str(name), "two rows claim the same offset", offset)
                counts.first_offset = offset if counts.first_offset < 0 else counts.first_offset
                counts.last_offset = offset
            check.add(leaves[:room])
            if check.size >= most:
                break
        counts.leaves, counts.covered = check.size, check.end()
        return counts

    def _stored(self, tree: Tree, name: TreeName, findings: Findings, newest: int = 0) -> list[Checkpoint]:
        """The checkpoints in the store that a known key has signed; the others are told."""
        found: list[Checkpoint] = []
        newest_us = 0
        for stored in self.reader.checkpoints(tree, newest):
            try:
                checkpoint, _ = open_checkpoint(stored.note, self.keys)
            except NoteRejected as exc:
                findings.add(code_of(exc, stored.note), str(name), f"a checkpoint: {exc}")
                continue
            if checkpoint.name != name:
                findings.add("checkpoint_tree", str(name), f"a checkpoint of {checkpoint.name} lies among its own")
                continue
            if (stored.size, stored.root) != (checkpoint.size, checkpoint.root):
                about = f"a row says otherwise than the checkpoint of {checkpoint.size} leaves that it holds"
                findings.add("checkpoint_tree", str(name), about)
            if stored.signed_at_us < newest_us:
                findings.add("time_backwards", str(name), f"{checkpoint.size} leaves were signed before fewer were")
            newest_us = max(newest_us, stored.signed_at_us)
            found.append(checkpoint)
        return found
