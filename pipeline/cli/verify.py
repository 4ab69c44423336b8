"""`accesstrail verify`: whether the evidence is what was sealed and signed, and whether anything is missing.

Place in the flow: beside it, with public keys only. What a run on a store came to is kept in its state folder, where
the console finds it; that changes nothing of the run.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import click

from pipeline.adapters.clickhouse import connect
from pipeline.adapters.evidence_reading import ENGINE, HERE, EvidenceReader
from pipeline.adapters.verification_results import VerificationResults
from pipeline.audit.verification import DIFFERS, INTACT, MISSING, VerificationRun, run_of, unjudged, verdict_of
from pipeline.cli.acting import acting, now_us
from pipeline.cli.options import settings_of
from pipeline.cli.verification import StoreVerification
from pipeline.config import Settings
from pipeline.errors import (
    EXIT_DIFFERENCES,
    EXIT_INCOMPLETE,
    EXIT_OK,
    AccesstrailError,
    NoteRejected,
    UsageError,
)
from pipeline.ledger.bundle_check import verify_bundle
from pipeline.ledger.notes import LONGEST_FILE_BYTES, notes_in
from pipeline.ledger.signed_note import PublicKey, load_public_keys
from pipeline.ledger.verify import CHECKS, INCOMPLETE, Report, TreeCounts

_EVERY_S = 5.0


class _Facts(TypedDict):
    """What is known of a run however it ends."""

    began_us: int
    by: str
    hashed_by: str
    keys: Sequence[str]
    kept: int


@click.command("verify")
@click.option("--store", is_flag=True, help="Verify the store of the system that --state or --config names.")
@click.option(
    "--bundle", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Verify a bundle of evidence, a folder; needs no system.",
)  # fmt: skip
@click.option(
    "--keys", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Public keys of whoever may sign checkpoints, one a line; not the ones from the bundle.",
)  # fmt: skip
@click.option(
    "--against", multiple=True, metavar="NOTES", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Checkpoints kept outside: an old note, or an anchor's file. Repeatable.",
)  # fmt: skip
@click.option(
    "--leaves", type=click.Choice([HERE, ENGINE]), default=HERE, show_default=True,
    help="Of a store: who hashes the rows, this process or the server (faster, and believes it).",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option(
    "--token-file", type=click.Path(path_type=Path),
    help="Of a store: your personal token, so that the console says who ran this; without one nobody is named.",
)  # fmt: skip
@click.option("--state", "state_dir", type=click.Path(path_type=Path), help="Folder of a local stack.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Configuration file [env: ACCESSTRAIL_CONFIG]."
)
def verify_command(
    bundle: Path | None, keys: Path, against: tuple[Path, ...], leaves: str, token_file: Path | None,
    state_dir: Path | None, config_file: Path | None, *, store: bool, as_json: bool,
) -> int:  # fmt: skip
    """Verify that the evidence is what was sealed and signed, and say what is missing.

    Recomputes every leaf, root and hash of the ledger from the rows that readers see, or from those of a bundle, and
    compares them with signed checkpoints: those in the store or bundle, and those of --against. Of a store, derived
    tables are compared with the rows too. It needs public keys only. What a change leaves untouched in the store is
    found by a checkpoint that was kept elsewhere: give one. What a run on a store comes to, also that it could not be
    judged, is kept in the state folder and shown by the console.

    \b
    Examples:
      accesstrail verify --store --state ./state --keys ./state/keys/ledger.pub
      accesstrail verify --store --config c.toml --keys ledger.pub --against anchors/checkpoints.notes --json
      accesstrail verify --bundle ./evidence --keys ledger.pub

    Exit codes: 0 intact, 1 differences, 2 usage, 3 intact but incomplete, 69 unreachable, 77 the token's account may
    not verify, 78 configuration.
    """
    if store == (bundle is not None):
        raise UsageError("say what to verify: --store, or --bundle DIR")
    if bundle is not None and token_file is not None:
        raise UsageError("--token-file says who verifies a store: leave it out with --bundle")
    known, kept = load_public_keys(keys), [note for path in against for note in _notes(path)]
    if bundle is not None:
        report = verify_bundle(bundle, known, kept)
    else:
        settings = settings_of(state_dir, config_file, os.environ)
        by = acting(settings.state_dir, token_file, "verify_ledger").name if token_file is not None else ""
        report = StoreRun(settings, known, kept, leaves, by).report()
    click.echo(json.dumps(_document(report), ensure_ascii=False, indent=2) if as_json else _text(report))
    return _exit_code(report)


@dataclass(frozen=True, slots=True)
class StoreRun:
    """One run on a store, which leaves behind what it came to. `by`: the account that runs it, "": nobody is named."""

    settings: Settings
    known: Sequence[PublicKey]
    kept: Sequence[bytes]
    leaves: str
    by: str = ""

    def report(self) -> Report:
        """What the checks found. Raises: Away; StoreRefused: it could not be judged, which is kept too."""
        began_us = now_us()
        try:
            report = self._verified()
        except AccesstrailError as exc:
            self._keep(unjudged(exc.code, ended_us=now_us(), **self._facts(began_us)))
            raise
        self._keep(run_of(report, ended_us=now_us(), **self._facts(began_us)))
        return report

    def _verified(self) -> Report:
        settings = self.settings
        with closing(connect(settings.clickhouse, "reader")) as questions:
            reader = EvidenceReader(questions, self.leaves)
            deployment = settings.ledger.deployment
            return StoreVerification(reader, questions, deployment, self.known, self.kept, _Progress()).run()

    def _facts(self, began_us: int) -> _Facts:
        return {
            "began_us": began_us, "by": self.by, "hashed_by": self.leaves, "kept": len(self.kept),
            "keys": [one.identity for one in self.known],
        }  # fmt: skip

    def _keep(self, run: VerificationRun) -> None:
        """Whoever may only read verifies all the same: that nothing could be left behind is said, and no failure."""
        try:
            VerificationResults(self.settings.state_dir).keep(run)
        except OSError as exc:
            click.echo(f"the console will not show this run: the state folder: {exc.strerror}", err=True)


def _notes(path: Path) -> list[bytes]:
    """Raises: UsageError: the file holds no notes."""
    if path.stat().st_size > LONGEST_FILE_BYTES:
        raise UsageError(f"{path} is too large to be a file of checkpoints")
    try:
        notes = list(notes_in(path.read_bytes()))
    except NoteRejected as exc:
        raise UsageError(f"{path}: {exc}") from None
    if not notes:
        raise UsageError(f"{path} holds no signed note")
    return notes


_EXIT_CODES = {INTACT: EXIT_OK, DIFFERS: EXIT_DIFFERENCES, MISSING: EXIT_INCOMPLETE}


def _exit_code(report: Report) -> int:
    return _EXIT_CODES[verdict_of(report)]


class _Progress:
    """How far the work is, on standard error, every five seconds."""

    def __init__(self) -> None:
        self._shown_s = time.monotonic()

    def __call__(self, tree: str, leaves: int) -> None:
        """So many leaves of a tree are done."""
        if time.monotonic() - self._shown_s >= _EVERY_S:
            self._shown_s = time.monotonic()
            sys.stderr.write(f"{tree}: {leaves:,} leaves\n")
            sys.stderr.flush()


def _document(report: Report) -> dict[str, object]:
    findings = report.findings
    return {
        "verdict": verdict_of(report),
        "intact": not findings.has_differences,
        "complete": not findings.is_incomplete,
        "kind": "selection" if report.is_selection else "range",
        "counts": dict(findings.counts),
        "differences": [
            {"check": one.check, "code": one.code, "tree": one.tree, "offset": one.offset, "about": one.about}
            for one in findings.told
        ],
        "trees": [{"tree": str(name), **_counts(one)} for name, one in report.trees],
        "derived": report.derived,
        "notes": report.notes,
    }


def _counts(one: TreeCounts) -> dict[str, int]:
    return {
        "leaves": one.leaves, "events": one.events, "dead_letters": one.dead_letters, "gaps": one.gaps,
        "unscored": one.unscored, "pruned": one.pruned, "first_offset": one.first_offset,
        "last_offset": one.last_offset, "covered": one.covered,
    }  # fmt: skip


def _text(report: Report) -> str:
    lines = []
    for name, one in report.trees:
        kinds = (
            f"{one.events:,} events, {one.dead_letters:,} dead letters, {one.gaps:,} gaps, {one.unscored:,} unscored"
        )
        kinds += f", {one.pruned:,} pruned" if one.pruned else ""
        lines.append(f"{name}\n    {one.leaves:,} leaves ({kinds}), {one.covered:,} behind a checkpoint")
    if report.derived:
        lines.append(f"derived tables compared: {', '.join(report.derived)}")
    lines += [f"note: {one}" for one in report.notes]
    findings = report.findings
    for found in findings.told:
        place = f" offset {found.offset:,}" if found.offset >= 0 else ""
        word = "incomplete" if found.check == INCOMPLETE else "DIFFERS"
        lines.append(f"{word}  check {found.check} {found.code}  {found.tree}{place}: {found.about}")
    more = sum(findings.counts.values()) - len(findings.told)
    if more > 0:
        lines.append(f"… and {more:,} more")
    lines.append(_verdict(report))
    return "\n".join(lines)


def _verdict(report: Report) -> str:
    findings, leaves = report.findings, sum(one.leaves for _, one in report.trees)
    if findings.has_differences:
        changed = sum(count for code, count in findings.counts.items() if CHECKS[code] != INCOMPLETE)
        return f"NOT INTACT 有差异: {changed:,} differences in {leaves:,} leaves"
    if findings.is_incomplete:
        return (
            f"intact but incomplete 一致但不完整: {leaves:,} leaves are what was sealed; what is missing stands above"
        )
    if report.is_selection:
        return f"intact 一致: each of {leaves:,} rows is in the signed log; that none was left out cannot be proven"
    return f"intact and complete 一致且完整: {leaves:,} leaves are what was sealed and signed"
