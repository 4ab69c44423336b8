"""Valid evidence bundles of random rows, sealed as the product seals them: what the golden corpus begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn
from pipeline.columns import ACCESS_EVENT_COLUMNS, CANON_VERSION, DEAD_LETTER_COLUMNS, ColumnSpec, evidence
from pipeline.events import SCORE_STATUSES, LogPosition, RecordBatch
from pipeline.incident_columns import INCIDENT_LOG_CANON_VERSION, INCIDENT_LOG_COLUMNS
from pipeline.ledger.append import BatchContent, seal
from pipeline.ports import LedgerEntry
from pipeline.stages.row import canonical_rows, place
from tests.batches import RECEIVED_AT_US, same_text
from tests.bundle_files import (
    DEPLOYMENT,
    LEDGER,
    LEDGER_2027,
    WITNESS,
    BundleFiles,
    Row,
    TestKey,
    consistency,
    frontier_of,
    inclusion,
    json_line,
    leaf_of,
    note,
    packed,
    root_of,
)  # fmt: skip
from tests.rows import random_rows

END_OF_LOG = 2**63 - 1
_UNSCORED = SCORE_STATUSES.index("unscored") + 1
_COLUMNS = {
    f"access_events/{CANON_VERSION}": ACCESS_EVENT_COLUMNS,
    f"dead_letters/{CANON_VERSION}": DEAD_LETTER_COLUMNS,
    f"incident_log/{INCIDENT_LOG_CANON_VERSION}": INCIDENT_LOG_COLUMNS,
}
Leaf = tuple[int, int, Row]
"""First offset, last offset, row."""


@dataclass(slots=True)
class Tree:
    """One tree: its rows and, for access events, the entries that seal them."""

    position: LogPosition
    seed: int
    counter: int = 0
    rows: list[Row] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """The first line of its checkpoints."""
        place_ = self.position
        return f"{DEPLOYMENT}/{place_.topic}/{place_.incarnation}/{place_.partition}/0"

    @property
    def leaves(self) -> list[bytes]:
        """All leaves."""
        return [leaf_of(row) for row in self.rows]

    def seal(self, kinds: str, last_offset: int | None = None) -> None:
        """One more batch: `E` event, `D` dead letter, `G` gap of three offsets (the last one to `last_offset`)."""
        first = self.entries[-1].last_offset + 1 if self.entries else 0
        at, spans = first, []
        for kind in kinds:
            spans.append((kind, at, at + 2 if kind == "G" else at))
            at = spans[-1][2] + 1
        if last_offset is not None:
            spans[-1] = (*spans[-1][:2], last_offset)
        events = self._events([start for kind, start, _ in spans if kind == "E"])
        others = [self._other(kind, start, end) for kind, start, end in spans if kind != "E"]
        rows = [("E", data) for data in canonical_rows(events, ACCESS_EVENT_COLUMNS)] if events.count else []
        starts = [start for kind, start, _ in spans if kind == "E"] + [start for kind, start, _ in spans if kind != "E"]
        ordered = [row for _, row in sorted(zip(starts, rows + others, strict=True), key=lambda pair: pair[0])]
        subjects = events.columns["subject_tokens"]
        assert isinstance(subjects, ArrayColumn)
        content = BatchContent(
            first_offset=first,
            last_offset=spans[-1][2],
            first_received_at_us=RECEIVED_AT_US + first * 1000,
            last_received_at_us=RECEIVED_AT_US + spans[-1][1] * 1000,
            n_events=events.count,
            n_dead_letters=kinds.count("D"),
            n_gaps=kinds.count("G"),
            n_subjects=int(subjects.ends[-1]) if events.count else 0,
            n_unscored=int((events.fixed("score_status") == _UNSCORED).sum()),
        )
        previous = self.entries[-1] if self.entries else None
        leaves = [leaf_of(row) for row in ordered]
        self.entries.append(seal(previous, self.position, leaves, content, b"v" * 32))
        self.rows += ordered

    def _events(self, offsets: Sequence[int]) -> ColumnBatch:
        rows = self._placed(ACCESS_EVENT_COLUMNS, offsets, "event")
        count = len(offsets)
        rows.columns["source_seq"] = FixedColumn(np.arange(self.counter, self.counter + count, dtype=np.int64))
        rows.columns["duplicate_of"] = FixedColumn(np.full(count, -1, np.int64))
        self.counter += count
        for name, text in (
            ("tenant_id", "t1"),
            ("source_system", "crm"),
            ("source_instance", self.position.incarnation),
        ):
            same_text(rows, name, f"{text}/{self.position.partition}" if name == "source_instance" else text)
        return rows

    def _other(self, kind: str, start: int, end: int) -> Row:
        rows = self._placed(DEAD_LETTER_COLUMNS, [start], "gap" if kind == "G" else "dead_letter")
        rows.columns["last_offset"] = FixedColumn(np.array([end], np.uint64))
        return "D", canonical_rows(rows, DEAD_LETTER_COLUMNS)[0]

    def _placed(self, specs: tuple[ColumnSpec, ...], offsets: Sequence[int], kind: str) -> ColumnBatch:
        self.seed += 1
        rows = random_rows(specs, len(offsets), self.seed)
        at = np.array(offsets, np.int64)
        place(rows, RecordBatch(self.position, at, RECEIVED_AT_US + at * 1000, [], []), np.arange(len(offsets)), kind)
        return rows

    def note_incidents(self, count: int) -> None:
        """`count` records of incidents, every other offset: those between were given up by the broker."""
        offsets = np.arange(len(self.rows), len(self.rows) + count, dtype=np.int64) * 2
        rows = random_rows(INCIDENT_LOG_COLUMNS, count, self.seed)
        for name, value in (("topic", self.position.topic), ("incarnation", self.position.incarnation)):
            same_text(rows, name, value)
        rows.columns["partition"] = FixedColumn(np.full(count, self.position.partition, np.uint32))
        rows.columns["offset"] = FixedColumn(offsets.astype(np.uint64))
        rows.columns["received_at"] = FixedColumn(RECEIVED_AT_US + offsets * 1000)
        self.rows += [("I", data) for data in canonical_rows(rows, INCIDENT_LOG_COLUMNS)]

    def checkpoint(self, size: int, minute: int, *keys: TestKey) -> dict[str, Any]:
        """A line of `checkpoints.ndjson`."""
        text = note(self.origin, size, root_of(self.leaves[:size]), *keys)
        return {"note": text, "signed_at": f"2026-11-27T08:{minute:02d}:00Z"}


def entry_values(entry: LedgerEntry) -> dict[str, Any]:
    """An entry as a bundle has it."""
    plain = {name: getattr(entry, name) for name in entry.__dataclass_fields__}
    for name in ("first_received_at", "last_received_at"):
        plain[name] = plain.pop(f"{name}_us")
    plain["batch_id"] = str(entry.batch_id)
    plain["frontier"] = [one.hex() for one in entry.frontier]
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in plain.items()}


def entry_from(values: dict[str, Any]) -> LedgerEntry:
    """The inverse of `entry_values`."""
    texts = {"topic", "incarnation", "batch_id"}
    plain: dict[str, Any] = {
        name: bytes.fromhex(value) if isinstance(value, str) and name not in texts else value
        for name, value in values.items()
    }
    for name in ("first_received_at", "last_received_at"):
        plain[f"{name}_us"] = plain.pop(name)
    plain["batch_id"] = int(values["batch_id"])
    plain["frontier"] = tuple(bytes.fromhex(one) for one in values["frontier"])
    return LedgerEntry(**plain)


class Maker:
    """A bundle that trees are put into."""

    def __init__(self, kind: str = "range") -> None:
        self.files: dict[str, bytes] = {}
        self.trees: list[dict[str, Any]] = []
        self._kind = kind

    def add(
        self,
        tree: Tree,
        checkpoints: Sequence[dict[str, Any]],
        *,
        first_entry: int = 0,
        first_leaf: int = 0,
        end_entry: int | None = None,
    ) -> str:
        """A tree or a range of it; entries from `first_entry`, or of a tree without entries rows from `first_leaf`."""
        folder, leaves = self._folder(), tree.leaves
        end = len(tree.rows)
        if tree.entries:
            inside = tree.entries[first_entry:end_entry]
            first_leaf, end = inside[0].tree_size_before, inside[-1].tree_size
            before = tree.entries[first_entry - 1 : first_entry] if first_entry else []
            self.files[f"{folder}/entries.ndjson"] = b"".join(json_line(entry_values(e)) for e in (*before, *inside))
        else:
            start = {"size": first_leaf, "frontier": [one.hex() for one in frontier_of(leaves[:first_leaf])]}
            self.files[f"{folder}/frontier.json"] = json_line(start)
        self._rows(folder, tree, tree.rows[first_leaf:end], first_leaf, checkpoints)
        return folder

    def select(self, tree: Tree, chosen: Sequence[int], checkpoint: dict[str, Any], size: int) -> None:
        """Single rows with their proofs."""
        folder, leaves = self._folder(), tree.leaves[:size]
        self._rows(folder, tree, [tree.rows[index] for index in chosen], 0, [checkpoint])
        self.files[f"{folder}/proofs.ndjson"] = b"".join(
            json_line({"index": index, "size": size, "proof": [one.hex() for one in inclusion(index, leaves)]})
            for index in chosen
        )

    def _folder(self) -> str:
        return f"trees/{len(self.trees) + 1:04d}"

    def _rows(
        self, folder: str, tree: Tree, rows: Sequence[Row], first_leaf: int, checkpoints: Sequence[dict[str, Any]]
    ) -> None:
        self.files[f"{folder}/rows.bin"] = packed(rows)
        self.files[f"{folder}/checkpoints.ndjson"] = b"".join(json_line(line) for line in checkpoints)
        where = tree.position
        self.trees.append(
            {
                **{"id": folder[-4:], "topic": where.topic, "incarnation": where.incarnation},
                **{"partition": where.partition, "epoch": 0, "first_leaf": first_leaf, "leaves": len(rows)},
            }
        )

    def done(self) -> BundleFiles:
        """With its manifest."""
        bundle = BundleFiles(dict(self.files))
        bundle.set_manifest(
            {
                "format": "accesstrail-evidence/1",
                "deployment": DEPLOYMENT,
                "made_at": "2026-11-27T09:00:00Z",
                "kind": self._kind,
                "query": {"from": "2026-09-21T00:00:00Z", "to": "2026-11-27T00:00:00Z"},
                "columns": {
                    name: [[spec.name, spec.type] for spec in evidence(specs)] for name, specs in _COLUMNS.items()
                },
                "trees": self.trees,
                "files": {},
            }
        )
        bundle.list_again()
        return bundle


def _events_tree(incarnation: str = "q_8sT-0AAAA", partition: int = 3, seed: int = 100) -> Tree:
    return Tree(LogPosition("access.events", incarnation, partition), seed)


def _three_batches() -> Tree:
    tree = _events_tree()
    for kinds in ("EEEEDEEE", "EEE", "EDEEEEEE"):
        tree.seal(kinds)
    return tree


def _at_entries(tree: Tree, *keys: TestKey) -> list[dict[str, Any]]:
    return [tree.checkpoint(entry.tree_size, minute, *keys) for minute, entry in enumerate(tree.entries)]


def _whole(tree: Tree, checkpoints: Sequence[dict[str, Any]]) -> BundleFiles:
    maker = Maker()
    maker.add(tree, checkpoints)
    return maker.done()


def one_partition() -> BundleFiles:
    """Three batches, a checkpoint behind each."""
    tree = _three_batches()
    return _whole(tree, _at_entries(tree))


def several() -> BundleFiles:
    """Two partitions and the life of the topic before, with gaps."""
    maker = Maker()
    for partition, incarnation, batches in (
        (0, "q_8sT-0AAAA", ("EEDGE", "EEE")),
        (1, "q_8sT-0AAAA", ("EE",)),
        (0, "old_life_00", ("EGED", "DEE")),
    ):
        tree = _events_tree(incarnation, partition, 200 + 50 * len(maker.trees))
        for kinds in batches:
            tree.seal(kinds)
        maker.add(tree, _at_entries(tree))
    return maker.done()


def life_over() -> BundleFiles:
    """A life of the topic that was closed with a gap to the end of the log."""
    tree = _events_tree()
    tree.seal("EEED")
    tree.seal("EG", last_offset=END_OF_LOG)
    return _whole(tree, _at_entries(tree))


def incidents() -> BundleFiles:
    """The tree of incidents from its beginning, beside one of access events."""
    maker = Maker()
    tree = Tree(LogPosition("access.incidents", "inc_life_0A", 0), 300)
    tree.note_incidents(9)
    maker.add(tree, [tree.checkpoint(size, size) for size in (2, 7, 9)])
    other = _three_batches()
    maker.add(other, _at_entries(other))
    return maker.done()


def incidents_range() -> BundleFiles:
    """The tree of incidents from its sixth leaf."""
    maker = Maker()
    tree = Tree(LogPosition("access.incidents", "inc_life_0A", 0), 310)
    tree.note_incidents(11)
    maker.add(tree, [tree.checkpoint(size, size) for size in (7, 11)], first_leaf=5)
    return maker.done()


def pruned() -> BundleFiles:
    """Two rows whose time was over."""
    bundle = one_partition()
    rows = bundle.rows()
    for index in (2, 12):
        rows[index] = ("P", leaf_of(rows[index]))
    bundle.set_rows(rows)
    bundle.list_again()
    return bundle


def later_range() -> BundleFiles:
    """A range that begins at the second batch."""
    tree = _three_batches()
    maker = Maker()
    maker.add(tree, _at_entries(tree)[1:], first_entry=1)
    return maker.done()


def selection() -> BundleFiles:
    """Single rows of two trees, one of them pruned."""
    maker = Maker("selection")
    tree = _three_batches()
    tree.rows[12] = ("P", leaf_of(tree.rows[12]))
    maker.select(tree, (0, 4, 5, 12, 18), tree.checkpoint(19, 3), 19)
    other = _events_tree("q_8sT-0AAAA", 5, 400)
    other.seal("EEEEE")
    maker.select(other, (1,), other.checkpoint(5, 4), 5)
    return maker.done()


def rotated_keys() -> BundleFiles:
    """A key that is followed by another; both sign once."""
    tree = _three_batches()
    sizes = [entry.tree_size for entry in tree.entries]
    keys = ((LEDGER,), (LEDGER, LEDGER_2027), (LEDGER_2027,))
    lines = [tree.checkpoint(size, at, *pair) for at, (size, pair) in enumerate(zip(sizes, keys, strict=True))]
    return _whole(tree, lines)


def ahead() -> BundleFiles:
    """The newest checkpoint lies behind the bundle's last leaf; a proof leads to it."""
    tree = _three_batches()
    maker = Maker()
    folder = maker.add(tree, _at_entries(tree), end_entry=2)
    end = tree.entries[1].tree_size
    step = {"size": len(tree.rows), "root": root_of(tree.leaves).hex()}
    proof = [one.hex() for one in consistency(end, tree.leaves)]
    maker.files[f"{folder}/consistency.json"] = json_line({**step, "proof": proof})
    return maker.done()


def cosigned() -> BundleFiles:
    """A witness has signed too."""
    tree = _three_batches()
    return _whole(tree, _at_entries(tree, LEDGER, WITNESS))


def uncovered() -> BundleFiles:
    """The last batch is behind the newest checkpoint."""
    tree = _three_batches()
    return _whole(tree, _at_entries(tree)[:-1])


def source_hole() -> BundleFiles:
    """The source's own counter jumps."""
    tree = _events_tree()
    tree.seal("EEE")
    tree.counter += 4
    tree.seal("EE")
    return _whole(tree, _at_entries(tree))


VALID = {
    make.__name__: make
    for make in (
        one_partition, several, life_over, incidents, incidents_range, pruned, later_range, selection, rotated_keys,
        ahead, cosigned, uncovered, source_hole,
    )
}  # fmt: skip
"""Each valid bundle by name."""
