"""Rows edited, deleted, inserted, reordered, cut: without and with everything sealed again over them."""

from __future__ import annotations

from tests.bundle_cases.case import ORIGIN, case, hashed_again, nothing, sealed_again, signed_again, with_bytes
from tests.bundle_files import LEDGER, BundleFiles, Row, leaf_of, note, root_of
from tests.bundle_making import END_OF_LOG, VALID

_ROWS = "trees/0001/rows.bin"
_ACTOR = 55
"""Where the actor's token lies in the data of an event."""
_ORIGINAL = VALID["one_partition"]()
_KEPT = _ORIGINAL.checkpoints()[-1]["note"]


def _replace(bundle: BundleFiles, index: int, row: Row) -> None:
    rows = bundle.rows()
    rows[index] = row
    bundle.set_rows(rows)


def _edit(bundle: BundleFiles, index: int, at: int = _ACTOR, new: bytes = b"\xff\x00\xff\x00") -> None:
    table, data = bundle.rows()[index]
    _replace(bundle, index, (table, with_bytes(data, at, new)))


def _delete(bundle: BundleFiles, first: int, end: int) -> None:
    rows = bundle.rows()
    bundle.set_rows(rows[:first] + rows[end:])


_EDITED = ("entry_root", "checkpoint_root")


@case(*_EDITED)
def row_edited(bundle: BundleFiles) -> None:
    _edit(bundle, 9)


@case(*_EDITED, "bundle_file", listed=False)
def row_edited_and_not_listed_again(bundle: BundleFiles) -> None:
    _edit(bundle, 9)


@case(*_EDITED, "not_covered")
def last_row_edited(bundle: BundleFiles) -> None:
    _edit(bundle, 18)


@case(*_EDITED)
def dead_letter_edited(bundle: BundleFiles) -> None:
    _edit(bundle, 4, 40)


@case(*_EDITED)
def time_of_access_edited(bundle: BundleFiles) -> None:
    _edit(bundle, 9, 22, b"\x00")


@case(*_EDITED, "entry_counts")
def time_of_receipt_edited(bundle: BundleFiles) -> None:
    _edit(bundle, 8, 14, b"\x07")


_DELETED = ("entry_root", "entry_counts", "offset_missing")


@case(*_DELETED, "sequence_missing")
def row_deleted(bundle: BundleFiles) -> None:
    _delete(bundle, 9, 10)


@case(*_DELETED, "sequence_missing", "bundle_malformed")
def row_deleted_and_not_counted(bundle: BundleFiles) -> None:
    _delete(bundle, 9, 10)
    bundle.change_tree("0001", leaves=19)


@case(*_DELETED)
def first_row_deleted(bundle: BundleFiles) -> None:
    _delete(bundle, 0, 1)


@case(*_DELETED)
def last_row_deleted(bundle: BundleFiles) -> None:
    _delete(bundle, 18, 19)


@case(*_DELETED)
def dead_letter_deleted(bundle: BundleFiles) -> None:
    _delete(bundle, 4, 5)


@case(*_DELETED, "sequence_missing")
def rows_of_an_entry_deleted(bundle: BundleFiles) -> None:
    _delete(bundle, 8, 11)


@case(*_DELETED)
def all_rows_deleted(bundle: BundleFiles) -> None:
    bundle.set_rows([])


@case("row_order", "entry_root", "entry_counts")
def row_inserted_far_behind_the_end(bundle: BundleFiles) -> None:
    """No offset of the range is missing for that."""
    table, data = bundle.rows()[-1]
    bundle.set_rows([*bundle.rows(), (table, with_bytes(data, 6, (1000).to_bytes(8, "little")))])


@case("entry_root", "entry_counts", "offset_missing", "checkpoint_beyond")
def rows_of_all_offsets_missing(bundle: BundleFiles) -> None:
    """2^63 of them: more than a signed number of 64 bits holds."""
    bundle.set_rows([])
    bundle.set_entries(hashed_again([bundle.entries()[0] | {"last_offset": END_OF_LOG}]))


@case("row_order", *_EDITED, "entry_counts")
def row_inserted_twice(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    bundle.set_rows([*rows[:9], rows[8], *rows[9:]])


@case("row_order", "entry_root", "entry_counts")
def row_inserted_at_the_end(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    table, data = rows[18]
    bundle.set_rows([*rows, (table, with_bytes(data, 6, (19).to_bytes(8, "little")))])


@case("row_order", *_EDITED)
def rows_swapped(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    bundle.set_rows([*rows[:8], rows[9], rows[8], *rows[10:]])


@case("row_order", *_EDITED, "entry_counts", "offset_missing", "not_covered")
def rows_swapped_across_entries(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    rows[3], rows[14] = rows[14], rows[3]
    bundle.set_rows(rows)


@case("leaf_kind")
def event_called_dead_letter(bundle: BundleFiles) -> None:
    _replace(bundle, 9, ("D", bundle.rows()[9][1]))


@case("leaf_kind")
def event_called_incident(bundle: BundleFiles) -> None:
    _replace(bundle, 9, ("I", bundle.rows()[9][1]))


@case("leaf_kind", *_EDITED)
def row_of_unknown_version(bundle: BundleFiles) -> None:
    _edit(bundle, 9, 1, b"\x09")


@case("leaf_kind", *_EDITED)
def row_of_unknown_kind(bundle: BundleFiles) -> None:
    _edit(bundle, 9, 0, b"\x63")


@case("leaf_kind", *_EDITED)
def number_that_stands_for_no_word(bundle: BundleFiles) -> None:
    _edit(bundle, 9, _ACTOR + 16, b"\x63")


def _tenant(bundle: BundleFiles, index: int, new: bytes) -> None:
    table, data = bundle.rows()[index]
    _replace(bundle, index, (table, data.replace(b"\x02t1", new, 1)))


@case("leaf_kind", *_EDITED)
def length_written_too_long(bundle: BundleFiles) -> None:
    _tenant(bundle, 9, b"\x82\x00t1")


@case("leaf_kind", *_EDITED)
def length_without_end(bundle: BundleFiles) -> None:
    _tenant(bundle, 9, b"\xff" * 12 + b"t1")


@case("leaf_kind", *_EDITED)
def length_beyond_the_row(bundle: BundleFiles) -> None:
    _tenant(bundle, 9, b"\xff\xff\xff\x7ft1")


@case("leaf_kind", *_EDITED)
def bytes_behind_the_columns(bundle: BundleFiles) -> None:
    table, data = bundle.rows()[9]
    _replace(bundle, 9, (table, data + b"\0"))


@case("leaf_kind", *_EDITED)
def row_cut_off(bundle: BundleFiles) -> None:
    table, data = bundle.rows()[9]
    _replace(bundle, 9, (table, data[:-1]))


@case("leaf_kind", *_EDITED)
def row_of_no_bytes(bundle: BundleFiles) -> None:
    _replace(bundle, 9, ("E", b""))


@case("row_order", *_EDITED)
def row_of_another_partition(bundle: BundleFiles) -> None:
    _edit(bundle, 9, 2, b"\x04")


@case("row_order", *_EDITED)
def row_of_another_life(bundle: BundleFiles) -> None:
    table, data = bundle.rows()[9]
    _replace(bundle, 9, (table, data.replace(b"q_8sT-0AAAA", b"q_8sT-0AAAB", 1)))


@case("row_order", *_EDITED, "offset_missing")
def offset_edited(bundle: BundleFiles) -> None:
    _edit(bundle, 9, 6, (8).to_bytes(8, "little"))


@case("leaf_kind", *_EDITED)
def offset_beyond_all_bounds(bundle: BundleFiles) -> None:
    _edit(bundle, 9, 6, b"\xff" * 8)


@case(*_EDITED)
def pruned_row_of_another_hash(bundle: BundleFiles) -> None:
    _replace(bundle, 9, ("P", b"\x07" * 32))


@case()
def event_called_pruned(bundle: BundleFiles) -> None:
    """What a pruned row held cannot be checked; that there was one is counted."""
    _replace(bundle, 9, ("P", leaf_of(bundle.rows()[9])))


# -- the file's own form


@case("bundle_malformed")
def rows_cut_off_in_a_row(bundle: BundleFiles) -> None:
    bundle.files[_ROWS] = bundle.files[_ROWS][:-7]


@case("bundle_malformed", "bundle_file", listed=False)
def rows_cut_off_and_not_listed_again(bundle: BundleFiles) -> None:
    bundle.files[_ROWS] = bundle.files[_ROWS][:-7]


@case("bundle_malformed")
def rows_cut_off_in_a_length(bundle: BundleFiles) -> None:
    bundle.files[_ROWS] += b"E\x01"


@case("bundle_malformed")
def row_longer_than_all_bounds(bundle: BundleFiles) -> None:
    bundle.files[_ROWS] = with_bytes(bundle.files[_ROWS], 1, b"\xff\xff\xff\xff")


@case("bundle_malformed")
def row_of_no_table(bundle: BundleFiles) -> None:
    bundle.files[_ROWS] = with_bytes(bundle.files[_ROWS], 0, b"X")


@case("bundle_malformed")
def pruned_row_of_31_bytes(bundle: BundleFiles) -> None:
    _replace(bundle, 9, ("P", b"\x07" * 31))


@case("bundle_malformed")
def leaves_miscounted(bundle: BundleFiles) -> None:
    bundle.change_tree("0001", leaves=20)


# -- everything sealed again over it


@case("checkpoint_root", "not_covered")
def row_edited_and_sealed_again(bundle: BundleFiles) -> None:
    _edit(bundle, 9)
    sealed_again(bundle)


@case("checkpoint_root", "checkpoint_beyond", "not_covered", "offset_missing", "sequence_missing", "entry_counts")
def row_deleted_and_sealed_again(bundle: BundleFiles) -> None:
    _delete(bundle, 9, 10)
    sealed_again(bundle)


def _cut_end(bundle: BundleFiles) -> None:
    bundle.set_rows(bundle.rows()[:11])
    bundle.set_entries(bundle.entries()[:2])


@case("checkpoint_beyond")
def end_cut_off(bundle: BundleFiles) -> None:
    _cut_end(bundle)


@case()
def end_cut_off_with_its_checkpoint(bundle: BundleFiles) -> None:
    """Who has kept no checkpoint cannot know that there was more."""
    _cut_end(bundle)
    bundle.set_checkpoints(bundle.checkpoints()[:2])


@case("checkpoint_beyond", against=_KEPT)
def end_cut_off_against_a_kept_checkpoint(bundle: BundleFiles) -> None:
    end_cut_off_with_its_checkpoint(bundle)


def _rewritten(bundle: BundleFiles) -> None:
    _edit(bundle, 9)
    sealed_again(bundle)
    signed_again(bundle, LEDGER)


@case()
def rewritten_with_the_key(bundle: BundleFiles) -> None:
    """Whoever holds the key can write another history for those who kept nothing of the first."""
    _rewritten(bundle)


@case("checkpoint_fork", "checkpoint_root", against=_KEPT)
def rewritten_with_the_key_against_a_kept_checkpoint(bundle: BundleFiles) -> None:
    _rewritten(bundle)


@case("time_backwards", exit=3)
def sealed_with_a_time_that_goes_back(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    for index in (8, 9, 10):
        table, data = rows[index]
        rows[index] = (table, with_bytes(data, 14, (1_000_000 + index).to_bytes(8, "little")))
    bundle.set_rows(rows)
    entries = bundle.entries()
    entries[1] |= {"first_received_at": 1_000_008, "last_received_at": 1_000_010}
    bundle.set_entries(entries)
    sealed_again(bundle)
    signed_again(bundle, LEDGER)


@case("offset_missing", exit=3)
def sealed_with_an_offset_in_no_row(bundle: BundleFiles) -> None:
    rows = bundle.rows()
    _delete(bundle, 4, 5)
    assert rows[4][0] == "D"
    entries = bundle.entries()
    entries[0] |= {"n_dead_letters": 0}
    bundle.set_entries(entries)
    sealed_again(bundle)
    signed_again(bundle, LEDGER)


# -- checkpoints that the auditor kept

_ROOT_10 = root_of([leaf_of(row) for row in _ORIGINAL.rows()[:10]])
_OTHER_TREE = note(ORIGIN.replace("/3/0", "/4/0"), 7, b"\x05" * 32)

case(against=_KEPT, name="against_the_same_checkpoint")(nothing)
case(against=f"{_KEPT}\n\n{_OTHER_TREE}{_KEPT}", name="against_several")(nothing)
case(against=note(ORIGIN, 10, _ROOT_10), name="against_a_size_inside_an_entry")(nothing)
case("checkpoint_root", against=note(ORIGIN, 10, b"\x05" * 32), name="against_another_root_inside_an_entry")(nothing)
case(against=_OTHER_TREE, name="against_a_tree_that_is_not_here")(nothing)
case(base="later_range", against=note(ORIGIN, 3, b"\x05" * 32), name="against_a_size_before_the_range")(nothing)
case(
    "checkpoint_root",
    base="later_range",
    against=note(ORIGIN, 8, b"\x05" * 32),
    name="against_the_size_before_the_range",
)(nothing)
case("checkpoint_beyond", against=note(ORIGIN, 20, b"\x05" * 32), name="against_a_larger_size")(nothing)
case(exit=2, against="no note\n", name="against_no_note")(nothing)
case(
    "checkpoint_root",
    against=note(ORIGIN, 10, b"\x05" * 32).replace("\n", "\r\n"),
    name="against_a_note_with_the_line_ends_of_mails",
)(nothing)
_TEXT = _KEPT.partition("\n\n")[0] + "\n— not a signature\n\u2028\n"
case(against=f"{_TEXT}\n{LEDGER.signature_line(_TEXT)}{_KEPT}", name="against_a_note_with_odd_lines")(nothing)
case(exit=2, against=f" \n{_KEPT} \n", name="against_a_note_with_a_line_behind_it")(nothing)
