"""`accesstrail subject-report`: answers a person who asks who looked at their data.

Place in the flow: as an account; the count of the evidence is compared with the table by subject, the look is told to
`access.events` with its number of rows, and only when Kafka has acknowledged that is anything shown or written.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import click

from pipeline.accounts.model import Account
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.subject_report_reading import MOST_ACCESSES, SubjectReportReader
from pipeline.audit.identifiers import Named, TokenMaker
from pipeline.audit.reads import Read
from pipeline.audit.subject_report import LANGUAGES, SubjectReport
from pipeline.cli.acting import acting_together, now_us, second_token_file_option, token_file_option
from pipeline.cli.admitting import admitted
from pipeline.cli.announcing import announce_look
from pipeline.cli.changing import plain_reason
from pipeline.cli.looked_at import subject_ids
from pipeline.cli.options import moment, settings_options, us_of
from pipeline.cli.secret_files import refuse_existing, write_private
from pipeline.config import Settings
from pipeline.errors import EXIT_DIFFERENCES, EXIT_OK, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring


@click.command("subject-report")
@click.argument("subject", metavar="SUBJECT_ID")
@click.option("--reason", required=True, help="Why; it stands in the log.")
@click.option("--case", "case_ref", default="", help="The person's request.")
@click.option("--from", "since", callback=moment, help="First event time, included.")
@click.option("--to", "until", callback=moment, help="Last event time, excluded.")
@click.option("--lang", type=click.Choice(LANGUAGES), default="zh", show_default=True, help="Language of the text.")
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Tenant the id belongs to.")
@click.option("--with-actors", is_flag=True, help="Tokens of the accounts too: takes a second person.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write, 0600; must not exist.")
@token_file_option
@second_token_file_option
@settings_options
def subject_report_command(
    settings: Settings, subject: str, reason: str, case_ref: str, since: datetime | None, until: datetime | None,
    lang: str, tenant: str, out: Path | None, token_file: Path | None, second_token_file: Path | None, *,
    with_actors: bool, as_json: bool,
) -> int:  # fmt: skip
    """Make the report of accesses that a data subject is entitled to. Find out who asks before you hand it out.

    It names departments, purposes, kinds of data, partners and countries, no employee and nobody else's data.

    \b
    Examples:
      accesstrail subject-report c-100042 --case R-2026-77 --reason 'request' --out report.md --state ./state
      accesstrail subject-report c-100042 --reason 'request' --lang en --json --state ./state

    Exit codes: 0 done, 1 the evidence and the table by subject differ: nothing is handed out, 2 usage, 69 unreachable,
    77 not allowed, 78 configuration.
    """
    why, second = plain_reason(reason), None
    account = admitted(settings, token_file, "subject_report", why=why, case_ref=case_ref)
    if with_actors:
        account, second = acting_together(settings.state_dir, token_file, second_token_file, "report_actors")
    if out is not None:
        refuse_existing(out)
    keyring = Keyring.load(settings.protection.token_keys_file)
    named = TokenMaker(keyring, tenant).named("subject", subject)
    period = (us_of(since), us_of(until, now_us()))
    if period[0] >= period[1]:
        raise UsageError("the period must end after it begins")
    report = _made(settings, tenant, named, period, case_ref, with_actors=with_actors)
    if report is None:
        click.echo("the evidence and the table by subject differ: run `accesstrail verify --store`", err=True)
        return EXIT_DIFFERENCES
    body = report.json() if as_json else report.text(lang)
    _tell(settings, account, second, named, subject_ids(settings, keyring, tenant, named), why, report, body)
    if out is None:
        click.echo(body, nl=False)
    else:
        write_private(out, body)
        click.echo(f"{len(report.accesses)} access(es) written to {out}", err=True)
    return EXIT_OK


def _made(
    settings: Settings, tenant: str, named: Named, period: tuple[int, int], case_ref: str, *, with_actors: bool
) -> SubjectReport | None:
    """As `report_from`, over a connection of its own."""
    with closing(connect(settings.clickhouse, "reader")) as client:
        asked = AskedReport(tenant, named.tokens, period, case_ref, with_actors, MOST_ACCESSES)
        return report_from(SubjectReportReader(client), settings, asked)


@dataclass(frozen=True, slots=True)
class AskedReport:
    """What a report is asked for. `most`: accesses that it may hold."""

    tenant: str
    tokens: Sequence[str]
    period: tuple[int, int]
    case_ref: str
    with_actors: bool
    most: int


def report_from(reader: SubjectReportReader, settings: Settings, asked: AskedReport) -> SubjectReport | None:
    """None: the number of rows is not what the table by subject says before and after. Raises: UsageError: too many."""
    whose = asked.tenant, asked.tokens, *asked.period
    before = reader.listed(*whose)
    accesses = reader.accesses(*whose, with_actors=asked.with_actors, most=asked.most)
    if len(accesses) > asked.most:
        raise UsageError(
            f"more than {asked.most:,} accesses: give a shorter period with --from and --to", code="report_large"
        )
    after = reader.listed(*whose)
    if not before <= len(accesses) <= after:
        return None
    return SubjectReport(
        from_us=asked.period[0], until_us=asked.period[1], made_us=now_us(), case_ref=asked.case_ref,
        accesses=accesses, unlisted=reader.unlisted(asked.tenant, *asked.period),
        sources=reader.sources(asked.tenant), retention_days=settings.retention.classes,
        provision_days=settings.retention.provision_days,
    )  # fmt: skip


def _tell(
    settings: Settings, account: Account, second: Account | None, named: Named, known: tuple[str, ...], why: str,
    report: SubjectReport, body: str,
) -> None:  # fmt: skip
    """Returns when Kafka has the look. Raises: Away: nothing may be shown."""
    read = Read(
        look="subject_report", account=account.name, read_id=str(uuid.uuid4()), at_us=now_us(),
        rows=len(report.accesses), about=named.tokens[0], reason=why,
        subject_ids=known, channel="api",
        fingerprint=sha256(body.encode()).hexdigest(), case_ref=report.case_ref,
        approval_ref=second.name if second else "",
    )  # fmt: skip
    announce_look(settings, read)
