"""Trees without entries, ranges that begin later, selections with proofs."""

from __future__ import annotations

from typing import Any

from tests.bundle_cases.case import ORIGIN, case, hashed_again, with_bytes
from tests.bundle_files import DEPLOYMENT, BundleFiles, json_line, note

_FRONTIER = "trees/0001/frontier.json"
ORIGIN_OF_INCIDENTS = f"{DEPLOYMENT}/access.incidents/inc_life_0A/0/0"
_PROOFS = "trees/0001/proofs.ndjson"


def _changed_row(bundle: BundleFiles, index: int, at: int = -1) -> None:
    rows = bundle.rows()
    table, data = rows[index]
    rows[index] = (table, with_bytes(data, at % len(data), b"\xa5"))
    bundle.set_rows(rows)


# -- the log of incidents


def _id_of(data: bytes) -> int:
    """Where the last of an incident's fixed columns before its texts lies: the time of receipt."""
    return data.index(b"inc_life_0A") + len("inc_life_0A") + 4 + 8


@case("checkpoint_root", "not_covered", base="incidents")
def incident_edited(bundle: BundleFiles) -> None:
    _changed_row(bundle, 4, _id_of(bundle.rows()[4][1]))


@case("checkpoint_root", "checkpoint_beyond", "not_covered", base="incidents")
def incident_deleted(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    bundle.set_rows([*rows[:4], *rows[5:]])


@case("checkpoint_beyond", "not_covered", base="incidents")
def incident_last_deleted(bundle: BundleFiles) -> None:
    bundle.set_rows(bundle.rows()[:-1])


@case("row_order", "checkpoint_root", "not_covered", base="incidents")
def incidents_swapped(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    rows[4], rows[5] = rows[5], rows[4]
    bundle.set_rows(rows)


@case("not_covered", base="incidents", exit=3)
def incidents_behind_the_checkpoint(bundle: BundleFiles) -> None:
    bundle.set_checkpoints(bundle.checkpoints()[:-1])


@case("checkpoint_fork", "checkpoint_root", base="incidents")
def incidents_with_a_fork(bundle: BundleFiles) -> None:
    lines = bundle.checkpoints()
    text = note(ORIGIN_OF_INCIDENTS, 9, b"\x05" * 32)
    bundle.set_checkpoints([*lines, {"note": text, "signed_at": "2026-11-27T08:59:00Z"}])


@case("leaf_kind", base="incidents")
def incident_called_event(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    rows[3] = ("E", rows[3][1])
    bundle.set_rows(rows)


def _frontier(bundle: BundleFiles, **values: Any) -> None:
    [line] = bundle.lines(_FRONTIER)
    bundle.files[_FRONTIER] = json_line(line | values)


@case("checkpoint_root", "not_covered", base="incidents_range")
def frontier_edited(bundle: BundleFiles) -> None:
    _frontier(bundle, frontier=["5a" * 32] * 2)


@case("bundle_malformed", base="incidents_range")
def frontier_of_another_size(bundle: BundleFiles) -> None:
    _frontier(bundle, size=6)


@case("bundle_malformed", base="incidents_range")
def frontier_too_short(bundle: BundleFiles) -> None:
    _frontier(bundle, frontier=["5a" * 32])


@case("bundle_malformed", base="incidents_range")
def frontier_left_out(bundle: BundleFiles) -> None:
    del bundle.files[_FRONTIER]


# -- ranges that begin later


@case("entry_hash", "entry_chain", base="later_range")
def entry_before_the_range_edited(bundle: BundleFiles) -> None:
    entries = bundle.entries()
    entries[0] |= {"n_alerts": 3, "epoch": 1}
    bundle.set_entries(entries)


@case("entry_chain", base="later_range")
def entry_before_the_range_that_ends_before_it_begins(bundle: BundleFiles) -> None:
    entries = bundle.entries()
    entries[0]["first_offset"] = entries[0]["last_offset"] + 1
    bundle.set_entries(hashed_again(entries))


@case("entry_chain", "entry_frontier", "entry_root", "entry_counts", "row_order", "not_covered", base="later_range")
def entries_that_end_before_the_range(bundle: BundleFiles) -> None:
    """A checkpoint between that end and the first leaf is before the range: nothing to compare it with."""
    before, inside, *_ = bundle.entries()
    inside |= {"tree_size_before": 1, "tree_size": 2}
    bundle.set_entries(hashed_again([before | {"tree_size": 1}, inside]))
    bundle.set_checkpoints([{"note": note(ORIGIN, 5, b"\x05" * 32), "signed_at": "2026-11-27T08:00:00Z"}])


@case("entry_frontier", "entry_root", "checkpoint_root", base="later_range")
def entry_before_the_range_with_another_frontier(bundle: BundleFiles) -> None:
    entries = bundle.entries()
    entries[0]["frontier"] = ["5a" * 32]
    bundle.set_entries(hashed_again(entries))


@case("entry_chain", base="later_range")
def range_said_to_begin_elsewhere(bundle: BundleFiles) -> None:
    bundle.change_tree("0001", first_leaf=9)


@case("entry_root", "checkpoint_root", base="later_range")
def row_of_a_later_range_edited(bundle: BundleFiles) -> None:
    _changed_row(bundle, 1, 60)


# -- selections


@case("inclusion", base="selection")
def selected_row_edited(bundle: BundleFiles) -> None:
    _changed_row(bundle, 1, 40)


@case("inclusion", base="selection")
def selected_pruned_row_edited(bundle: BundleFiles) -> None:
    _changed_row(bundle, 3)


def _proof(name: str, *codes: str, at: int = 1, **values: Any) -> None:
    def change(bundle: BundleFiles) -> None:
        lines = bundle.lines(_PROOFS)
        more = {key: value(lines[at]) if callable(value) else value for key, value in values.items()}
        lines[at] |= more
        bundle.set_lines(_PROOFS, lines)

    case(*codes, base="selection", name=f"proof_{name}")(change)


_proof("edited", "inclusion", proof=lambda line: ["5a" * 32, *line["proof"][1:]])
_proof("too_short", "inclusion", proof=lambda line: line["proof"][:-1])
_proof("too_long", "inclusion", proof=lambda line: [*line["proof"], "5a" * 32])
_proof("empty", "inclusion", proof=[])
_proof("of_another_index", "inclusion", index=3)
_proof("of_an_index_behind_the_tree", "inclusion", at=4, index=19)
_proof("of_a_huge_index", "inclusion", at=4, index=2**63 - 1)
_proof("of_a_size_without_checkpoint", "inclusion", size=18)
_proof("of_size_zero", "inclusion", size=0)
_proof("of_129_hashes", "bundle_malformed", proof=["5a" * 32] * 129)


@case("row_order", base="selection")
def selected_rows_swapped_with_their_proofs(bundle: BundleFiles) -> None:
    rows, proofs = bundle.rows(), bundle.lines(_PROOFS)
    rows[0], rows[1], proofs[0], proofs[1] = rows[1], rows[0], proofs[1], proofs[0]
    bundle.set_rows(rows)
    bundle.set_lines(_PROOFS, proofs)


@case("row_order", "inclusion", base="selection")
def selected_rows_swapped(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    rows[0], rows[1] = rows[1], rows[0]
    bundle.set_rows(rows)


@case("row_order", "inclusion", base="selection")
def selected_row_of_another_tree(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    rows[0] = bundle.rows("0002")[0]
    bundle.set_rows(rows)


@case("bundle_malformed", base="selection")
def selected_row_without_proof(bundle: BundleFiles) -> None:
    bundle.set_lines(_PROOFS, bundle.lines(_PROOFS)[:-1])


@case("bundle_malformed", base="selection")
def selected_row_gone_with_its_proof_left(bundle: BundleFiles) -> None:
    bundle.set_rows(bundle.rows()[:-1])


@case(base="selection")
def selected_row_left_out(bundle: BundleFiles) -> None:
    """A selection cannot prove that nothing was left out."""
    bundle.set_rows(bundle.rows()[:-1])
    bundle.set_lines(_PROOFS, bundle.lines(_PROOFS)[:-1])


@case("bundle_malformed", base="selection")
def selection_that_begins_at_a_leaf(bundle: BundleFiles) -> None:
    bundle.change_tree("0001", first_leaf=1)


@case("checkpoint_tree", "inclusion", base="selection")
def selection_with_a_checkpoint_of_another_tree(bundle: BundleFiles) -> None:
    bundle.set_checkpoints([{"note": bundle.checkpoints("0002")[0]["note"], "signed_at": "2026-11-27T08:00:00Z"}])


case("checkpoint_fork", base="selection", against=note(ORIGIN, 19, b"\x05" * 32), name="selection_against_a_fork")(
    lambda bundle: None
)
