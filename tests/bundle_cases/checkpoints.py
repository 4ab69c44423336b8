"""Checkpoints cut, edited, signed by others, for other trees, contradicting each other; the step behind the end."""

from __future__ import annotations

from typing import Any

from tests.bundle_cases.case import ORIGIN, Change, case, nothing
from tests.bundle_files import LEDGER, STRANGER, WITNESS, BundleFiles, TestKey, json_line, note, root_of

_OTHER_ROOT = b"\x05" * 32
_STEP = "trees/0001/consistency.json"


def _last(bundle: BundleFiles, text: str) -> None:
    lines = bundle.checkpoints()
    lines[-1]["note"] = text
    bundle.set_checkpoints(lines)


def _edited(name: str, *codes: str, old: str, new: str) -> None:
    """Other text in the last note, which was signed as it was."""

    def change(bundle: BundleFiles) -> None:
        text = bundle.checkpoints()[-1]["note"]
        assert old in text
        _last(bundle, text.replace(old, new, 1))

    case(*codes, "not_covered", name=f"checkpoint_{name}")(change)


def _signed(text: str, *keys: TestKey) -> str:
    return text + "\n" + "".join(key.signature_line(text) for key in keys or (LEDGER,))


def _signed_text(name: str, *codes: str, old: str = "", new: str = "", keys: tuple[TestKey, ...] = (LEDGER,)) -> None:
    """The last checkpoint with another text, signed as it then is."""

    def change(bundle: BundleFiles) -> None:
        text = bundle.checkpoints()[-1]["note"].partition("\n\n")[0] + "\n"
        assert old in text
        _last(bundle, _signed(text.replace(old, new, 1), *keys))

    case(*codes, name=f"checkpoint_{name}")(change)


_edited("size_edited", "checkpoint_signature", old="\n19\n", new="\n18\n")
_edited("line_added", "checkpoint_signature", old="\n\n", new="\nmore\n\n")
_edited("without_signature_line", "checkpoint_malformed", old="\n\n— ", new="\n\n- ")
_edited("without_empty_line", "checkpoint_malformed", old="\n\n", new="\n")
_edited("signature_no_base64", "checkpoint_malformed", old="— accesstrail.example ", new="— accesstrail.example *")
_edited(
    "signature_line_with_a_space", "checkpoint_malformed", old="— accesstrail.example ", new="— accesstrail example "
)
_edited("with_a_tab", "checkpoint_malformed", old="\n19\n", new="\n19\t\n")
_signed_text("size_with_a_zero", "checkpoint_malformed", "not_covered", old="\n19\n", new="\n019\n")
_signed_text("size_2_63", "checkpoint_malformed", "not_covered", old="\n19\n", new="\n9223372036854775808\n")
_signed_text("size_no_number", "checkpoint_malformed", "not_covered", old="\n19\n", new="\nx\n")
_signed_text("root_no_base64", "checkpoint_malformed", "not_covered", old="=\n", new="*\n")
_signed_text("root_too_short", "checkpoint_malformed", "not_covered", old="\n19\n", new="\n19\nAAAA\n")
_signed_text("of_another_deployment", "checkpoint_tree", "not_covered", old="accesstrail.", new="other.")
_signed_text("of_another_topic", "checkpoint_tree", "not_covered", old="/access.events/", new="/access.other/")
_signed_text("of_another_life", "checkpoint_tree", "not_covered", old="0AAAA/", new="0AAAB/")
_signed_text("of_another_partition", "checkpoint_tree", "not_covered", old="/3/0", new="/4/0")
_signed_text("of_another_epoch", "checkpoint_tree", "not_covered", old="/3/0", new="/3/1")
_signed_text("with_another_line", old="=\n", new="=\nmore\n")
"""C2SP lets further lines follow; they are passed over."""
_signed_text("with_an_empty_line", "checkpoint_malformed", "not_covered", old="=\n", new="=\n\nmore\n")
_signed_text("with_a_long_line", "checkpoint_malformed", "not_covered", old="=\n", new=f"=\n{'x' * 65_536}\n")
_signed_text(
    "that_is_none_by_a_stranger", "checkpoint_malformed", "not_covered", old="=\n", new="*\n", keys=(STRANGER,)
)
_signed_text("signed_a_hundred_times", keys=(LEDGER,) * 100)
_signed_text("signed_more_often", "checkpoint_malformed", "not_covered", keys=(LEDGER,) * 101)
_signed_text("signed_by_a_stranger", "checkpoint_unsigned", "not_covered", keys=(STRANGER,))
_signed_text("signed_by_a_witness_only", "checkpoint_unsigned", "not_covered", keys=(WITNESS,))
_signed_text("signed_by_a_stranger_too", keys=(STRANGER, LEDGER))


@case("checkpoint_signature", "not_covered")
def checkpoint_signature_of_another_note(bundle: BundleFiles) -> None:
    lines = bundle.checkpoints()
    text = lines[2]["note"].partition("\n\n")[0]
    _last(bundle, text + "\n\n" + lines[1]["note"].partition("\n\n")[2])


@case("checkpoint_signature", "not_covered")
def checkpoint_signature_spoiled_beside_a_good_one(bundle: BundleFiles) -> None:
    lines = bundle.checkpoints()
    _last(bundle, lines[2]["note"] + lines[1]["note"].partition("\n\n")[2])


@case("checkpoint_malformed", "not_covered")
def checkpoint_signature_spoiled_before_a_line_that_is_none(bundle: BundleFiles) -> None:
    lines = bundle.checkpoints()
    _last(bundle, lines[2]["note"] + lines[1]["note"].partition("\n\n")[2] + "— x\n")


@case()
def checkpoint_signed_by_a_name_that_cannot_be_seen(bundle: BundleFiles) -> None:
    """C2SP forbids spaces and plus signs in names; lines of unknown keys are passed over."""
    _last(bundle, bundle.checkpoints()[-1]["note"] + "— \u200b AAAAAAA=\n")


@case("bundle_malformed")
def checkpoint_with_half_a_letter(bundle: BundleFiles) -> None:
    """JSON can write half of a pair of surrogates, which no text in UTF-8 holds."""
    path = "trees/0001/checkpoints.ndjson"
    bundle.files[path] = bundle.files[path].replace(b"\\n19\\n", b"\\n19\\n\\ud800", 1)


@case("checkpoint_malformed", "not_covered")
def checkpoint_signature_written_in_another_way(bundle: BundleFiles) -> None:
    """The two bits that base64 leaves over are not zero."""
    text = bundle.checkpoints()[-1]["note"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert text.endswith("=\n")
    assert not text.endswith("==\n")
    _last(bundle, text[:-3] + letters[letters.index(text[-3]) + 1] + "=\n")


@case("checkpoint_malformed", "not_covered")
def checkpoint_cut_off_in_its_signature(bundle: BundleFiles) -> None:
    _last(bundle, bundle.checkpoints()[-1]["note"][:-20])


@case("checkpoint_malformed", "not_covered")
def checkpoint_cut_off_in_its_root(bundle: BundleFiles) -> None:
    _last(bundle, bundle.checkpoints()[-1]["note"][:60])


@case("checkpoint_malformed", "not_covered")
def checkpoint_empty(bundle: BundleFiles) -> None:
    _last(bundle, "")


@case("checkpoint_root", "not_covered")
def checkpoint_of_another_root(bundle: BundleFiles) -> None:
    _last(bundle, note(ORIGIN, 19, _OTHER_ROOT))


@case("checkpoint_root")
def checkpoint_of_another_root_in_the_middle(bundle: BundleFiles) -> None:
    lines = bundle.checkpoints()
    lines[1]["note"] = note(ORIGIN, 11, _OTHER_ROOT)
    bundle.set_checkpoints(lines)


def _added(*values: dict[str, Any]) -> Change:
    def change(bundle: BundleFiles) -> None:
        bundle.set_checkpoints([*bundle.checkpoints(), *values])

    return change


_LATER = "2026-11-27T08:59:00Z"
case("checkpoint_fork", "checkpoint_root", name="checkpoint_fork_at_the_end")(
    _added({"note": note(ORIGIN, 19, _OTHER_ROOT), "signed_at": _LATER})
)
case("checkpoint_beyond", name="checkpoint_behind_the_end")(
    _added({"note": note(ORIGIN, 25, _OTHER_ROOT), "signed_at": _LATER})
)
case("checkpoint_fork", "checkpoint_beyond", name="checkpoint_fork_behind_the_end")(
    _added(
        {"note": note(ORIGIN, 25, _OTHER_ROOT), "signed_at": _LATER},
        {"note": note(ORIGIN, 25, b"\x06" * 32), "signed_at": _LATER},
    )
)
case("bundle_malformed", name="checkpoints_not_in_order")(
    _added({"note": note(ORIGIN, 18, _OTHER_ROOT), "signed_at": _LATER})
)


def _first(root: bytes) -> Change:
    def change(bundle: BundleFiles) -> None:
        line = {"note": note(ORIGIN, 0, root), "signed_at": "2026-11-27T07:00:00Z"}
        bundle.set_checkpoints([line, *bundle.checkpoints()])

    return change


case(name="checkpoint_of_no_leaves")(_first(root_of(())))
case("checkpoint_root", name="checkpoint_of_no_leaves_of_another_root")(_first(_OTHER_ROOT))


@case("time_backwards", exit=3)
def checkpoints_signed_backwards_by_a_microsecond(bundle: BundleFiles) -> None:
    lines = bundle.checkpoints()
    lines[-2]["signed_at"] = "9999-12-31T23:59:59.999999Z"
    lines[-1]["signed_at"] = "9999-12-31T23:59:59.999998Z"
    bundle.set_checkpoints(lines)


@case("time_backwards", exit=3)
def checkpoints_signed_backwards(bundle: BundleFiles) -> None:
    lines = bundle.checkpoints()
    lines[-1]["signed_at"] = "2026-11-26T08:00:00.5Z"
    bundle.set_checkpoints(lines)


@case("checkpoint_unsigned", "not_covered")
def checkpoints_all_gone(bundle: BundleFiles) -> None:
    bundle.set_checkpoints([])


@case("not_covered", exit=3)
def checkpoints_last_gone(bundle: BundleFiles) -> None:
    bundle.set_checkpoints(bundle.checkpoints()[:-1])


@case("bundle_malformed")
def checkpoint_time_without_zone(bundle: BundleFiles) -> None:
    lines = bundle.checkpoints()
    lines[-1]["signed_at"] = "2026-11-27T08:00:00"
    bundle.set_checkpoints(lines)


@case("bundle_malformed")
def checkpoint_line_with_another_key(bundle: BundleFiles) -> None:
    bundle.set_checkpoints([line | {"more": 1} for line in bundle.checkpoints()])


# -- keys

case("checkpoint_unsigned", "not_covered", keys=STRANGER.public_line, name="keys_of_a_stranger")(nothing)
case(
    "checkpoint_unsigned", "not_covered", base="rotated_keys", keys=LEDGER.public_line, name="keys_without_the_new_one"
)(nothing)
case(exit=2, keys="", name="keys_empty")(nothing)
case(exit=2, keys="accesstrail.example+00000000+AAAA\n", name="keys_that_are_none")(nothing)
case(exit=2, keys=LEDGER.public_line.replace("example+", "example+0", 1), name="keys_mistyped")(nothing)


# -- the step behind the bundle's last leaf


def _step(name: str, *codes: str, **values: Any) -> None:
    def change(bundle: BundleFiles) -> None:
        [step] = bundle.lines(_STEP)
        more = {key: value(step) if callable(value) else value for key, value in values.items()}
        bundle.files[_STEP] = json_line(step | more)

    case(*codes, base="ahead", name=f"consistency_{name}")(change)


_step("proof_edited", "consistency", proof=lambda step: ["5a" * 32, *step["proof"][1:]])
_step("proof_too_short", "consistency", proof=lambda step: step["proof"][:-1])
_step("proof_too_long", "consistency", proof=lambda step: [*step["proof"], "5a" * 32])
_step("proof_empty", "consistency", proof=[])
_step("root_edited", "consistency", root="5a" * 32)
_step("size_without_checkpoint", "consistency", size=20)
_step("size_before_the_end", "bundle_malformed", size=11)
_step("size_negative", "bundle_malformed", size=-1)


@case("checkpoint_beyond", base="ahead")
def consistency_left_out(bundle: BundleFiles) -> None:
    del bundle.files[_STEP]
