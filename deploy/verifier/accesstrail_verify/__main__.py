"""`python -m accesstrail_verify BUNDLE --keys FILE [--against FILE] [--json]`: is a bundle what was signed?

Exit codes: 0 intact, 1 differences, 2 wrong use, 3 intact but incomplete.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .checkpoints import Given
from .checks import verify
from .findings import Findings, TreeCounts
from .notes import WrongUse, read_kept_notes, read_keys

WRONG_USE = 2

_VERDICTS = {
    "intact": (
        "Intact: every row in this bundle is what was signed, and none is missing inside it.",
        "完整：本证据包中的每一行都与签名一致，其中没有缺失。",
    ),
    "differences": (
        "DIFFERENCES: this bundle is not what was signed, or cannot be read as a bundle; see the list above.",
        "存在差异：本证据包与签名内容不一致，或无法按证据包读取；详见上面的清单。",
    ),
    "incomplete": (
        "Intact but incomplete: what is here is what was signed, but something is missing; see the list and the gaps.",
        "一致但不完整：现有内容与签名一致，但有缺失；详见清单与缺口数。",
    ),
}
_SELECTION = (
    "Intact: every row in this selection is in the signed log. That no row was left out of it cannot be proven.",
    "完整：所选的每一行都在已签名的日志中；无法证明没有遗漏其他行。",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="accesstrail_verify", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("bundle", type=Path, help="the bundle's directory")
    parser.add_argument("--keys", type=Path, required=True, help="public keys, a line each, got from elsewhere")
    parser.add_argument("--against", type=Path, help="checkpoints (signed notes) that you kept from earlier")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    given = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8")
    try:
        found = _verified(given.bundle, given.keys, given.against)
    except (WrongUse, OSError) as why:
        sys.stderr.write(f"accesstrail_verify: {why}\n")
        return WRONG_USE
    sys.stdout.write(json.dumps(found.as_json(), ensure_ascii=False) + "\n" if given.json else report(found))
    return found.exit_code


def _verified(folder: Path, keys: Path, against: Path | None) -> Findings:
    if not folder.is_dir():
        raise WrongUse(f"{folder}: no directory")
    return verify(folder, Given(read_keys(keys), () if against is None else read_kept_notes(against)))


def report(found: Findings) -> str:
    """Everything found, as text."""
    lines = [_tree_line(tree) for tree in found.trees]
    lines += [f"note: {note}" for note in found.notes]
    for difference in found.differences:
        place = [f"tree {difference.tree}"] if difference.tree else []
        place += [f"offset {difference.offset}"] if difference.offset is not None else []
        place += [f"leaf {difference.leaf}"] if difference.leaf is not None else []
        where = ", ".join(place) or "bundle"
        lines.append(f"[{difference.check} {difference.code}] {where}: {difference.about}")
    listed = len(found.differences)
    if found.codes.total() > listed:
        lines.append(f"… {found.codes.total() - listed} more, by code: {dict(found.codes)}")
    lines += _verdict_lines(found)
    return "\n".join(lines) + "\n"


def _verdict_lines(found: Findings) -> tuple[str, str]:
    return _SELECTION if found.is_selection and found.verdict == "intact" else _VERDICTS[found.verdict]


def _tree_line(tree: TreeCounts) -> str:
    kinds = (
        f"{tree.events} events, {tree.dead_letters} dead letters, {tree.gaps} gaps, {tree.unscored} unscored, "
        f"{tree.pruned} pruned"
    )
    if tree.incident_records:
        kinds = f"{tree.incident_records} records of incidents, {tree.pruned} pruned"
    return (
        f"tree {tree.tree} ({tree.name}): {tree.leaves} leaves from {tree.first_leaf} "
        f"in {tree.entries} entries: {kinds}; {tree.covered} covered by {tree.checkpoints} good checkpoints"
    )


if __name__ == "__main__":
    sys.exit(main())
