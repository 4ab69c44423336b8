"""One run of retention, step by step; a crash between any two steps is safe, and the next run goes on from there.

    1  the run is written down (stage `planned`): what it may delete is fixed from here on
    2  it is announced: an access event with the run's id and digest, acknowledged by Kafka and seen in the evidence
    3  of each tree with rows to delete: entries are verified against their sealed roots, then the leaf hash of each row
       that is due and not held goes to `pruned_leaves`; a tree that does not verify stops the run
    4  stage `deleting`; then the holds are read once more: leaves of rows that a hold keeps by now are taken back.
       Whoever places a hold reads the stages after it: either the run sees the hold or the person is told of the run
    5  rows of derived tables go, then the rows themselves: only where their leaf is kept
    6  sums of batches that lost rows are made again from the rows that stayed
    7  stage `done`, after a look that no deleted row can be seen

Place in the flow: behind `accesstrail retention run`, as the database role retention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.adapters.evidence_reading import EvidenceReader, Tree
from pipeline.adapters.holds import HoldReader
from pipeline.adapters.retention import BY_POSITION, DEAD_LETTERS, EVENTS, Due, RetentionStore
from pipeline.errors import Away, StoreRefused
from pipeline.events import LEAF_KINDS, LogPosition, codes
from pipeline.ledger.checkpoint import TreeName
from pipeline.ledger.verify import Findings, TreeCheck
from pipeline.migrations.rederive import REBUILDS
from pipeline.retention.runs import DELETING, DONE, PLANNED, RetentionRun

PAGE_ROWS = 50_000
_KINDS = codes(LEAF_KINDS)


class Announcer(Protocol):
    """Tells of a run."""

    def __call__(self, run: RetentionRun, due: Due) -> None:
        """Returns when the access event is acknowledged. Raises: Away."""
        ...


def nothing(step: str) -> None:
    """Tests stop here between two steps."""


@dataclass(frozen=True, slots=True)
class RetentionJob:
    """What a run needs. `await_evidence`: looks again until the announcement is in the evidence, or gives up."""

    store: RetentionStore
    holds: HoldReader
    evidence: EvidenceReader
    deployment: str
    announce: Announcer
    await_evidence: Callable[[Callable[[], bool]], bool]
    between: Callable[[str], None] = nothing
    page_rows: int = PAGE_ROWS

    def run(self, wanted: RetentionRun) -> tuple[RetentionRun, Due] | None:
        """Ends what was begun, else does the wanted run; None: nothing is due.

        Raises: Away; StoreRefused: a tree does not verify, rights, a deletion failed.
        """
        run = self.store.unended()
        if run is None:
            run = wanted
            due = self.store.due(run, self.holds.in_force())
            if due.is_nothing:
                return None
            self.store.note(run, PLANNED, due)
            self.between("planned")
        else:
            due = self.store.due(run, self.holds.in_force())
        self._announce(run, due)
        self.between("announced")
        for place, first, last in self.store.places(run, self.holds.in_force()):
            self._keep_leaves(run, place, first, last)
            self.between("leaves")
        self.store.note(run, DELETING, due)
        self.between("deleting")
        self.store.free_held(run, self.holds.in_force())
        self._delete(run)
        return run, self._end(run, due)

    def _announce(self, run: RetentionRun, due: Due) -> None:
        if self.store.is_announced(run):
            return
        self.announce(run, due)
        if not self.await_evidence(lambda: self.store.is_announced(run)):
            raise Away(
                "the run is announced, but its access event is not in the evidence yet: run it again", code="not_sealed"
            )

    def _keep_leaves(self, run: RetentionRun, place: LogPosition, first: int, last: int) -> None:
        """Verifies the entries of a range, page by page, and keeps the leaves of their due rows."""
        for tree in (one for one in self.evidence.trees() if one.position == place):
            after = self.store.end_before(place, first)
            findings = Findings()
            check = TreeCheck(TreeName(self.deployment, place, tree.epoch), (), findings)
            before = self.evidence.newest_at(tree, after) if after >= 0 else None
            if before is not None:
                check.begin_behind(before, before.tree_size)
            while after < last and (ended := self._page(run, tree, check, findings, after)) is not None:
                after = ended

    def _page(
        self, run: RetentionRun, tree: Tree, check: TreeCheck, findings: Findings, after: int
    ) -> int | None:  # fmt: skip
        """The last offset it verified; None: there are no more entries. Raises: StoreRefused `not_verified`."""
        page = self.evidence.behind(tree, after, self.page_rows)
        if not page:
            return None
        for entry, leaves in page:
            check.entry(entry, leaves)
        if findings.has_differences or findings.is_incomplete:
            raise StoreRefused(
                f"nothing is deleted: {findings.told[0].tree} does not verify ({findings.told[0].code}); see "
                "`accesstrail verify --store`", code="not_verified",
            )  # fmt: skip
        first, last = page[0][0].first_offset, page[-1][0].last_offset
        due = self.store.due_offsets(run, self.holds.in_force(), tree.position, first, last)
        for entry, leaves in page:
            chosen = np.isin(leaves.offsets, due) & np.isin(leaves.kinds, [_KINDS["event"], _KINDS["dead_letter"]])
            kinds = leaves.kinds[chosen].tolist()
            sources = [EVENTS if kind == _KINDS["event"] else DEAD_LETTERS for kind in kinds]
            self.store.keep_leaves(run, entry, leaves, chosen, sources)
        return last

    def _delete(self, run: RetentionRun) -> None:
        for table in BY_POSITION:
            self.store.delete_rows(run, table)
            self.between(table)
        for table, from_rows in REBUILDS.items():
            self.store.rebuild(run, table, from_rows)
            self.between(table)

    def _end(self, run: RetentionRun, due: Due) -> Due:
        left = self.store.left(run)
        if left:
            raise Away(f"{left} rows came back while they were deleted: run it again", code="store_busy")
        events, dead = self.store.gone(run)
        done = Due(events, dead, due.held, due.kept)
        self.store.note(run, DONE, done)
        return done
