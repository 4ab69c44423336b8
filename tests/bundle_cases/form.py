"""The form of a bundle: manifest, paths, files, links."""

from __future__ import annotations

from typing import Any

from tests.bundle_cases.case import case, with_bytes
from tests.bundle_files import BundleFiles

_MANIFEST = "manifest.json"
_ROWS = "trees/0001/rows.bin"


@case("bundle_malformed", listed=False)
def manifest_missing(bundle: BundleFiles) -> None:
    del bundle.files[_MANIFEST]


def _raw(name: str, old: bytes, new: bytes) -> None:
    """Other bytes in the manifest."""

    def change(bundle: BundleFiles) -> None:
        assert old in bundle.files[_MANIFEST]
        bundle.files[_MANIFEST] = bundle.files[_MANIFEST].replace(old, new, 1)

    case("bundle_malformed", listed=False, name=f"manifest_{name}")(change)


_raw("cut_off", b"\n}\n", b"\n")
_raw("not_utf8", b"accesstrail.example", b"access\xfftrail.example")
_raw("with_a_byte_order_mark", b"{", b"\xef\xbb\xbf{")
_raw("key_twice", b'"kind": "range"', b'"kind": "range", "kind": "range"')
_raw("number_huge", b'"first_leaf": 0', b'"first_leaf": 1' + b"0" * 5000)
_raw("nested_deep", b'"query": {', b'"query": {"x": ' + b"[" * 50_000 + b"]" * 50_000 + b", ")
_raw("infinite_number", b'"first_leaf": 0', b'"first_leaf": Infinity')


def _manifest(name: str, *codes: str, base: str = "one_partition", **values: Any) -> None:
    def change(bundle: BundleFiles) -> None:
        bundle.change_manifest(**values)

    case(*(codes or ("bundle_malformed",)), base=base, name=f"manifest_{name}")(change)


_manifest("of_another_format", format="accesstrail-evidence/2")
_manifest("of_no_kind", kind="all")
_manifest("with_another_key", more=1)
_manifest("without_trees", trees=[])
_manifest("trees_no_list", trees={})
_manifest("made_at_no_time", made_at="2026-13-27T08:00:00Z")
_manifest("query_a_text", query="all")
_manifest("deployment_with_a_space", deployment="access trail")
_manifest("of_another_deployment", "checkpoint_tree", "not_covered", deployment="other.example")
_manifest("columns_a_list", columns=[])
_manifest("columns_left_out", "leaf_kind", columns={})


def _tree(name: str, *codes: str, **values: Any) -> None:
    def change(bundle: BundleFiles) -> None:
        bundle.change_tree("0001", **values)

    case(*(codes or ("bundle_malformed",)), name=f"manifest_tree_{name}")(change)


_tree("id_goes_up", id="..")
_tree("id_with_a_slash", id="00/01")
_tree("id_of_no_folder", id="0009")
_tree("leaves_negative", leaves=-1)
_tree("leaves_2_63", leaves=2**63)
_tree("too_large", first_leaf=2**63 - 1)
_tree("partition_2_32", partition=2**32)
_tree("topic_with_a_slash", topic="access/events")
_tree("of_another_life", "checkpoint_tree", "entry_chain", "row_order", "not_covered", incarnation="q_8sT-0AAAB")
_tree("of_another_partition", "checkpoint_tree", "entry_chain", "row_order", "not_covered", partition=4)
_tree("of_another_epoch", "checkpoint_tree", "entry_chain", "not_covered", epoch=1)


@case("bundle_malformed")
def manifest_tree_twice(bundle: BundleFiles) -> None:
    bundle.change_manifest(trees=bundle.manifest["trees"] * 2)


def _columns(bundle: BundleFiles, table: str, old: list[str], new: list[str]) -> None:
    columns = bundle.manifest["columns"]
    columns[table][columns[table].index(old)] = new
    bundle.change_manifest(columns=columns)


@case("bundle_malformed")
def columns_renamed(bundle: BundleFiles) -> None:
    """The names of columns are not in the rows: only a reader who knows the list can tell."""
    token = "FixedString(16)"
    _columns(bundle, "access_events/2", ["actor_token", token], ["x", token])
    _columns(bundle, "access_events/2", ["on_behalf_of_token", token], ["actor_token", token])
    _columns(bundle, "access_events/2", ["x", token], ["on_behalf_of_token", token])


@case("bundle_malformed")
def columns_of_another_type(bundle: BundleFiles) -> None:
    _columns(bundle, "dead_letters/2", ["reason", "LowCardinality(String)"], ["reason", "Nullable(String)"])


@case("bundle_malformed")
def columns_of_no_table(bundle: BundleFiles) -> None:
    bundle.change_manifest(columns=bundle.manifest["columns"] | {"users/1": [["name", "String"]]})


@case("bundle_malformed")
def columns_of_incidents_twice(bundle: BundleFiles) -> None:
    columns = bundle.manifest["columns"]
    bundle.change_manifest(columns=columns | {"incident_log/2": columns["incident_log/1"]})


def _later_list(name: str, table: str, column: str, *types: str, before: str = "") -> None:
    """A list of a version that nobody knows, in which a column has another type; `before`: it stands there instead."""

    def change(bundle: BundleFiles) -> None:
        columns = bundle.manifest["columns"]
        pairs = [pair for pair in columns[f"{table}/2"] if pair[0] != column]
        names = [pair[0] for pair in columns[f"{table}/2"]]
        at = names.index(before or column)
        pairs[at:at] = [[column if not number else f"more{number}", one] for number, one in enumerate(types)]
        bundle.change_manifest(columns=columns | {f"{table}/3": pairs})

    case("bundle_malformed", name=f"columns_with_{name}")(change)


_later_list("an_enum_beyond_8_bits", "access_events", "mfa", "Enum8('no' = 200)")
_later_list("an_enum_of_a_number_twice", "access_events", "mfa", "Enum8('no' = 1, 'yes' = 1)")
_later_list("an_enum_of_a_word_twice", "access_events", "mfa", "Enum8('no' = 1, 'no' = 2)")
_later_list("an_enum_of_a_needless_zero", "access_events", "mfa", "Enum8('no' = 01)")
_later_list("an_enum_behind_a_text", "dead_letters", "reason", "String", "Enum8('no' = 1)")
_later_list("an_array_of_enums", "dead_letters", "reason", "Array(Enum8('no' = 1))")
_later_list("an_array_of_arrays", "dead_letters", "reason", "Array(Array(String))")
_later_list("a_map_to_numbers", "dead_letters", "reason", "Map(String, UInt8)")
_later_list("a_long_fixed_string", "dead_letters", "payload_digest", "FixedString(10000)")
_later_list("a_leaf_kind_without_words", "dead_letters", "leaf_kind", "UInt8")
_later_list(
    "a_leaf_kind_of_other_numbers", "access_events", "leaf_kind", "Enum8('gap' = 1, 'dead_letter' = 2, 'event' = 3)"
)
_later_list("a_status_of_other_numbers", "access_events", "score_status", "Enum8('unscored' = 1, 'scored' = 2)")
_later_list("a_status_without_words", "access_events", "score_status", "UInt8")


@case(base="incidents")
def columns_of_later_incidents(bundle: BundleFiles) -> None:
    """What other tables know by the name of a column, incidents may know as something else."""
    columns = bundle.manifest["columns"]
    later = [["canon_version" if name == "code" else name, kind] for name, kind in columns.pop("incident_log/1")]
    bundle.change_manifest(columns=columns | {"incident_log/2": later})


@case("leaf_kind", "entry_root", "checkpoint_root", "not_covered")
def columns_of_later_dead_letters(bundle: BundleFiles) -> None:
    columns = bundle.manifest["columns"]
    later = [["subject_tokens" if name == "reason" else name, kind] for name, kind in columns["dead_letters/2"]]
    bundle.change_manifest(columns=columns | {"dead_letters/3": later})
    rows = bundle.rows()
    bundle.set_rows([(table, with_bytes(data, 1, b"\x03") if table == "D" else data) for table, data in rows])


# -- files


@case("bundle_file", listed=False)
def file_too_many(bundle: BundleFiles) -> None:
    bundle.files["readme.txt"] = b"hello\n"


@case()
def file_too_many_but_listed(bundle: BundleFiles) -> None:
    bundle.files["keys.pub"] = b"# for convenience, not trusted\n"


@case("bundle_file", listed=False)
def file_missing(bundle: BundleFiles) -> None:
    del bundle.files[_ROWS]


@case("bundle_malformed")
def file_missing_and_not_listed(bundle: BundleFiles) -> None:
    del bundle.files[_ROWS]


def _listing(name: str, *codes: str, path: str = _ROWS, **values: Any) -> None:
    def change(bundle: BundleFiles) -> None:
        files = bundle.manifest["files"]
        files[path] = files.get(path, files[_ROWS]) | values
        bundle.change_manifest(files=files)

    case(*codes, listed=False, name=f"file_{name}")(change)


_listing("of_another_size", "bundle_file", bytes=7)
_listing("of_another_hash", "bundle_file", sha256="5a" * 32)
_listing("hash_no_hex", "bundle_malformed", sha256="x" * 64)
_listing("size_negative", "bundle_malformed", bytes=-1)
_listing("listed_that_is_not_there", "bundle_file", path="trees/0001/more.bin")
_listing("path_goes_up", "bundle_malformed", path="../secret")
_listing("path_goes_up_inside", "bundle_malformed", path="trees/../../secret")
_listing("path_absolute", "bundle_malformed", path="/etc/passwd")
_listing("path_with_a_backslash", "bundle_malformed", path="trees\\0001")
_listing("path_of_here", "bundle_malformed", path="./trees/0001/rows.bin")
_listing("path_empty", "bundle_malformed", path="")
_listing("path_with_a_newline", "bundle_malformed", path="trees\n")
_listing("path_of_the_manifest", "bundle_malformed", path=_MANIFEST)


@case("checkpoint_tree", "not_covered", "gap", base="several")
def files_of_checkpoints_swapped(bundle: BundleFiles) -> None:
    one, other = "trees/0001/checkpoints.ndjson", "trees/0003/checkpoints.ndjson"
    bundle.files[one], bundle.files[other] = bundle.files[other], bundle.files[one]


@case("bundle_file", "entry_root", "checkpoint_root", listed=False)
def file_of_rows_with_one_bit_changed(bundle: BundleFiles) -> None:
    data = bytearray(bundle.files[_ROWS])
    data[5 + 56] ^= 1
    bundle.files[_ROWS] = bytes(data)


@case("bundle_malformed", listed=False)
def link_to_a_file(bundle: BundleFiles) -> None:
    bundle.files["trees/0001/real.bin"] = bundle.files.pop(_ROWS)
    bundle.links[_ROWS] = "real.bin"


@case("bundle_malformed", listed=False)
def link_to_outside(bundle: BundleFiles) -> None:
    bundle.links["trees/0001/more"] = "/etc/hostname"


@case("bundle_malformed", listed=False)
def link_to_a_folder(bundle: BundleFiles) -> None:
    bundle.links["more"] = "trees"
