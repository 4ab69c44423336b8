"""`accesstrail report`: the audit report of a period, as text, for machines, and as pages to print.

Place in the flow: facts are collected and every file is made before anybody sees one; then the report is told to
`access.events` as an access of the auditor, with reason, number of records and SHA-256; only when Kafka has that is
it shown or written (promise P6).
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import click

from pipeline.accounts.model import Account
from pipeline.adapters.report_pdf import pdf_of
from pipeline.audit.export import MOST_EXPORTED
from pipeline.audit.reads import Read
from pipeline.audit.report import MOST_SAMPLED, ReportFacts, Scope, canonical, document, moment
from pipeline.audit.report_blocks import as_markdown
from pipeline.audit.report_words import ReportWords
from pipeline.cli import options
from pipeline.cli.acting import now_us
from pipeline.cli.admitting import admitted_as
from pipeline.cli.announcing import announce_look
from pipeline.cli.incident_actions import masked_why
from pipeline.cli.options import settings_options
from pipeline.cli.report_gathering import gathered
from pipeline.config import Settings
from pipeline.errors import EXIT_OK, UsageError

JSON_NAME, TEXT_NAME, PDF_NAME, SUMS_NAME = "report.json", "report.md", "report.pdf", "SHA256SUMS"
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600


@click.group("report")
def report_command() -> None:
    """Make reports for auditors."""


@report_command.command("audit")
@settings_options
@admitted_as("audit_report")
@click.option("--from", "since", required=True, callback=options.moment, metavar="TIME", help="From then on.")
@click.option("--to", "until", callback=options.moment, metavar="TIME", help="Until then, excluded.  [default: now]")
@click.option("--reason", required=True, help="Why the report is made; stands in the log and in the report.")
@click.option("--case", "case_ref", default="", metavar="ID", help="Work item or audit that it belongs to.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of the text.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The sample is drawn by it.")
@click.option("--samples", type=click.IntRange(1, MOST_SAMPLED), default=15, show_default=True,
              help="Accesses drawn of each stratum.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="New folder for the files.")
@click.option("--json", "as_json", is_flag=True, help="The machine form on standard output.")
@click.option("--pdf", "with_pdf", is_flag=True, help="Pages as well, into --out; needs the extra `report`.")
def audit_command(
    settings: Settings, account: Account, since: datetime, until: datetime | None, reason: str, case_ref: str,
    lang: str, seed: int, samples: int, out: Path | None, *, as_json: bool, with_pdf: bool,
) -> int:  # fmt: skip
    """Make the audit report of a period: completeness, activity, incidents, controls, a sample anybody can repeat.

    Takes an account with the role auditor. The report is itself an access event, told before anything is shown.
    Accounts and data subjects appear as tokens.

    \b
    Examples:
      accesstrail report audit --from 2026-10-01 --to 2026-11-01 --reason "audit plan 2026-4" --state ./state
      accesstrail report audit --from 2026-10-01 --reason "half-year audit" --lang zh --pdf --out ./q4 --state ./state
      accesstrail report audit --from 2026-10-01 --reason "sample again" --seed 7 --json --state ./state

    Exit codes: 0 made, 2 usage, 69 unreachable: nothing is shown, 77 not allowed to this account.
    """
    _refuse_wrong_ways(out, with_pdf=with_pdf, as_json=as_json)
    scope = _scope(settings, account.name, (since, until), reason, seed, samples)
    facts = gathered(settings, scope)
    files = _files(facts, lang, with_pdf=with_pdf)
    _announce(settings, facts, files[JSON_NAME], case_ref)
    if out is None:
        click.echo(files[JSON_NAME if as_json else TEXT_NAME].decode(), nl=False)
        return EXIT_OK
    _write(out, files)
    _say_files(out, files, facts, as_json=as_json)
    return EXIT_OK


def _refuse_wrong_ways(out: Path | None, *, with_pdf: bool, as_json: bool) -> None:
    """Before anything is asked. Raises: UsageError."""
    if out is None and with_pdf:
        raise UsageError("--pdf needs --out DIR: pages are not written to a terminal")
    if out is not None and (out.exists() or out.is_symlink()):
        raise UsageError(f"{out} exists: give a new folder, nothing is overwritten")
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"the folder {out.parent} does not exist")


def _scope(
    settings: Settings, account: str, period: tuple[datetime, datetime | None], reason: str, seed: int, samples: int
) -> Scope:
    """Raises: UsageError: the period is empty or not over, or no reason is given."""
    made_us = now_us()
    since, until = period
    from_us = round(since.timestamp() * 1e6)
    to_us = made_us if until is None else round(until.timestamp() * 1e6)
    if to_us > made_us:
        raise UsageError("the period is not over yet: what is received in it later would change the report")
    if from_us >= to_us:
        raise UsageError("the period is empty: --from must lie before --to")
    return Scope(
        from_us=from_us, to_us=to_us, made_us=made_us, made_by=account, reason=masked_why(reason), seed=str(seed),
        sample_size=samples, topic=settings.kafka.events_topic, incidents_topic=settings.kafka.incidents_topic,
        notifications_topic=settings.kafka.notifications_topic,
    )  # fmt: skip


def _files(facts: ReportFacts, language: str, *, with_pdf: bool) -> dict[str, bytes]:
    """Every file by name, made before the report is told of. Raises: UsageError: too much for one person."""
    if facts.records > MOST_EXPORTED:
        raise UsageError(
            f"the report would hand out {facts.records:,} records, and one person takes {MOST_EXPORTED:,} at most: "
            "choose a shorter period or fewer --samples"
        )
    blocks = ReportWords(facts, language).blocks()
    files = {JSON_NAME: canonical(document(facts)) + b"\n", TEXT_NAME: as_markdown(blocks).encode()}
    if with_pdf:
        files[PDF_NAME] = pdf_of(blocks, facts.scope.made_us, language)
    return files


def _announce(settings: Settings, facts: ReportFacts, machine_form: bytes, case_ref: str) -> None:
    """Tells the log of the report; returns when Kafka has it. Raises: Away: it has not, so nothing is shown."""
    scope = facts.scope
    read = Read(
        look="audit_report", account=scope.made_by, read_id=str(uuid.uuid4()), at_us=scope.made_us, rows=facts.records,
        about=f"{moment(scope.from_us)}/{moment(scope.to_us)}", reason=scope.reason, channel="api",
        fingerprint=hashlib.sha256(machine_form).hexdigest(), case_ref=case_ref,
    )  # fmt: skip
    announce_look(settings, read)


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    """A new folder of files that only their owner reads, and their sums."""
    out.mkdir(mode=_FOLDER_MODE)
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    for name, content in {**files, SUMS_NAME: sums.encode()}.items():
        descriptor = os.open(out / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _say_files(out: Path, files: Mapping[str, bytes], facts: ReportFacts, *, as_json: bool) -> None:
    if as_json:
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
        click.echo(json.dumps({"folder": str(out), "records": facts.records, "sha256": sums}))
        return
    click.echo(f"{facts.records:,} records; the report is in {out}: {', '.join([*sorted(files), SUMS_NAME])}")
