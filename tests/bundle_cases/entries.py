"""Ledger entries edited, deleted, reordered: with and without hashes made again over them."""

from __future__ import annotations

from typing import Any

from tests.bundle_cases.case import Change, case, change_entry, hashed_again
from tests.bundle_files import BundleFiles, json_line

_ENTRIES = "trees/0001/entries.ndjson"
_OTHER_HASH = "5a" * 32


def _edited(name: str, *codes: str, number: int = 1, again: bool = False, **values: Any) -> None:
    def change(bundle: BundleFiles) -> None:
        change_entry(bundle, number, again=again, **values)

    case(*codes, name=name)(change)


_edited("entry_count_of_events_edited", "entry_hash", "entry_counts", n_events=4)
_edited("entry_count_of_events_hashed_again", "entry_counts", n_events=4, again=True)
_edited("entry_count_of_dead_letters_hashed_again", "entry_counts", n_dead_letters=1, again=True)
_edited("entry_count_of_gaps_hashed_again", "entry_counts", n_gaps=1, again=True)
_edited("entry_count_of_subjects_hashed_again", "entry_counts", n_subjects=999, again=True)
_edited("entry_count_of_unscored_hashed_again", "entry_counts", n_unscored=3, again=True)
_edited("entry_batch_id_edited", "entry_hash", "entry_counts", batch_id="7")
_edited("entry_batch_id_hashed_again", "entry_counts", batch_id="7", again=True)
_edited("entry_first_time_hashed_again", "entry_counts", first_received_at=-1, again=True)
_edited("entry_last_time_hashed_again", "entry_counts", number=2, last_received_at=2**62, again=True)
_edited("entry_alerts_edited", "entry_hash", n_alerts=7)
_edited("entry_alerts_hashed_again", n_alerts=7, again=True)
"""Entries are not signed: a count that no row bears out is only as good as who had the entries."""
_edited("entry_versions_edited", "entry_hash", versions_id=_OTHER_HASH)
_edited("entry_own_hash_edited", "entry_hash", "entry_chain", entry_hash=_OTHER_HASH)
_edited("entry_last_own_hash_edited", "entry_hash", number=2, entry_hash=_OTHER_HASH)
_edited("entry_link_edited", "entry_hash", "entry_chain", previous_hash=_OTHER_HASH)
_edited("entry_link_hashed_again", "entry_chain", previous_hash=_OTHER_HASH, again=True)
_edited("entry_first_link_hashed_again", "entry_chain", number=0, previous_hash=_OTHER_HASH, again=True)
_edited("entry_root_edited", "entry_hash", "entry_root", "entry_frontier", "entry_counts", root=_OTHER_HASH)
_edited("entry_root_hashed_again", "entry_root", "entry_frontier", "entry_counts", root=_OTHER_HASH, again=True)
_edited("entry_frontier_edited", "entry_hash", "entry_frontier", frontier=[_OTHER_HASH] * 3)
_edited("entry_frontier_hashed_again", "entry_frontier", frontier=[_OTHER_HASH] * 3, again=True)
_edited("entry_frontier_too_long", "entry_frontier", frontier=[_OTHER_HASH] * 9, again=True)
_edited("entry_frontier_empty", "entry_frontier", frontier=[], again=True)
_edited("entry_of_another_partition", "entry_chain", partition=4, again=True)
_edited("entry_of_another_epoch", "entry_chain", epoch=1, again=True)
_edited("entry_of_another_life", "entry_chain", incarnation="q_8sT-0AAAB", again=True)
_edited("entry_of_another_topic", "entry_chain", topic="access.other", again=True)
_edited("entry_of_another_version", "leaf_kind", canon_version=3, again=True)
_edited("entry_size_before_hashed_again", "entry_chain", "entry_counts", tree_size_before=7, again=True)


@case("entry_chain")
def entries_linked_to_another_hash(bundle: BundleFiles) -> None:
    entries = bundle.entries()
    entries[2]["previous_hash"] = entries[0]["entry_hash"]
    bundle.set_entries(hashed_again(entries, 2))


@case("entry_chain", "row_order", "entry_counts")
def entry_deleted(bundle: BundleFiles) -> None:
    entries = bundle.entries()
    bundle.set_entries([entries[0], entries[2]])


@case("entry_chain", "entry_counts", "offset_missing")
def entry_twice(bundle: BundleFiles) -> None:
    entries = bundle.entries()
    bundle.set_entries([*entries[:2], *entries[1:]])


@case("entry_chain", "entry_counts", "row_order")
def first_entry_deleted(bundle: BundleFiles) -> None:
    """Its rows go to the second, from the empty tree on: the root is right, the place is not."""
    bundle.set_entries(bundle.entries()[1:])


# -- lines that are no entry


def _line(name: str, make: Change) -> None:
    case("bundle_malformed", name=f"entry_line_{name}")(make)


def _with_line(line: bytes) -> Change:
    def change(bundle: BundleFiles) -> None:
        first, _, rest = bundle.files[_ENTRIES].split(b"\n", 2)
        bundle.files[_ENTRIES] = first + b"\n" + line + rest

    return change


def _text(name: str, old: bytes, new: bytes) -> None:
    """Other bytes in the first entry's line."""

    def change(bundle: BundleFiles) -> None:
        assert old in bundle.files[_ENTRIES]
        bundle.files[_ENTRIES] = bundle.files[_ENTRIES].replace(old, new, 1)

    _line(name, change)


_line("missing", lambda bundle: bundle.files.update({_ENTRIES: b""}))
_line("cut_off", lambda bundle: bundle.files.update({_ENTRIES: bundle.files[_ENTRIES][:-9]}))
_line("without_newline", lambda bundle: bundle.files.update({_ENTRIES: bundle.files[_ENTRIES][:-1]}))
_line("empty", _with_line(b"\n"))
_line("that_is_a_list", _with_line(b"[]\n"))
_line("nested_deep", _with_line(b"[" * 100_000 + b"]" * 100_000 + b"\n"))
_line("nested_17", _with_line(b"[" * 17 + b"]" * 17 + b"\n"))
_line("above_a_mebibyte", _with_line(json_line({"x": "y" * (1 << 20)})))
_text("not_utf8", b"access.events", b"access\xff\xfevents")
_text("half_a_surrogate", b"access.events", rb"access\ud800events")
_text("control_character", b"access.events", b"access\x00events")
_text("key_twice", b'"epoch": 0', b'"epoch": 0, "epoch": 0')
_text("key_missing", b'"epoch": 0, ', b"")
_text("key_too_many", b'"epoch": 0', b'"epoch": 0, "more": 0')
_text("number_2_63", b'"n_alerts": 0', b'"n_alerts": 9223372036854775808')
_text("number_of_400_digits", b'"n_alerts": 0', b'"n_alerts": 1' + b"0" * 400)
_text("number_of_9000_digits", b'"n_alerts": 0', b'"n_alerts": 1' + b"0" * 9000)
_text("number_negative", b'"n_alerts": 0', b'"n_alerts": -1')
_text("number_with_a_point", b'"n_alerts": 0', b'"n_alerts": 0.0')
_text("number_with_an_exponent", b'"n_alerts": 0', b'"n_alerts": 1e3')
_text("number_nan", b'"n_alerts": 0', b'"n_alerts": NaN')
_text("number_as_text", b'"n_alerts": 0', b'"n_alerts": "0"')
_text("number_true", b'"n_alerts": 0', b'"n_alerts": true')
_text("number_null", b'"n_alerts": 0', b'"n_alerts": null')
_text("partition_2_32", b'"partition": 3', b'"partition": 4294967296')
_text("version_256", b'"canon_version": 2', b'"canon_version": 258')
_text("batch_id_as_number", b'"batch_id": "', b'"batch_id": 1, "x": "')
_text("batch_id_with_a_zero", b'"batch_id": "', b'"batch_id": "0')
_text("hash_too_short", b'"previous_hash": "00', b'"previous_hash": "')
_text("hash_no_hex", b'"previous_hash": "00', b'"previous_hash": "zz')
_text("hash_in_capitals", b'"previous_hash": "00', b'"previous_hash": "AA')
