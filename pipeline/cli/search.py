"""`accesstrail search`: who touched a subject, what an actor did, who used a resource.

Place in the flow: read as the role reader, on views only. An id never leaves this process in a question: it becomes its
tokens here, and only they are sent. The answer about a subject comes from a table made from the evidence, so the
evidence itself is counted beside it, as the console does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import click

from pipeline.adapters.subject_reading import SubjectReader
from pipeline.audit.subject import CrossCheck
from pipeline.cli.looking import Looker, Seen, looking_as
from pipeline.cli.options import moment, settings_options, us_of
from pipeline.cli.store import as_role, print_rows, time_conditions
from pipeline.config import Settings
from pipeline.errors import EXIT_DIFFERENCES, EXIT_OK, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring

_COLUMNS = (
    "event_time, tenant_id, actor_token, actor_dept, action, outcome, resource_type, purpose, explained, "
    "risk / 100 AS risk, event_id, topic, partition, offset"
)
_TOKENS = "(SELECT toFixedString(unhex(arrayJoin({{{0}:Array(String)}})), 16))"
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class Wanted(NamedTuple):
    """A question with tokens in place of ids. `cases`: tokens of the work item, () for any; `purpose` "": any."""

    kind: str
    tenant: str
    tokens: tuple[str, ...]
    since: datetime | None
    until: datetime | None
    purpose: str
    cases: tuple[str, ...]
    limit: int

    @property
    def is_by_subject(self) -> bool:
        """Whether the table by subject answers it: it knows no work items."""
        return self.kind == "subject" and not self.cases

    def canonical(self) -> dict[str, object]:
        """The whole question as JSON types, to be digested."""
        return {
            "command": "search", "by": self.kind, "tenant": self.tenant, "tokens": self.tokens,
            "from_us": self.since and us_of(self.since), "until_us": self.until and us_of(self.until),
            "purpose": self.purpose, "cases": self.cases, "limit": self.limit,
        }  # fmt: skip


@click.command("search")
@click.option("--actor", help="Who acted: the account's id.")
@click.option("--subject", help="Whose data: the data subject's id.")
@click.option("--resource", help="Which object: the resource's id.")
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Tenant the id belongs to.")
@click.option("--from", "since", callback=moment, help="First event time, included.")
@click.option("--to", "until", callback=moment, help="Last event time, excluded.")
@click.option("--purpose", default="", help="Only accesses that state this purpose.")
@click.option("--work-item", default="", help="Only accesses that name this work item.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Newest rows.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
@settings_options
@looking_as("search_evidence")
def search_command(
    settings: Settings, actor: str | None, subject: str | None, resource: str | None, tenant: str,
    since: datetime | None, until: datetime | None, purpose: str, work_item: str, limit: int, *, as_json: bool,
    looker: Looker,
) -> int:  # fmt: skip
    """Find who touched a subject, what an actor did, or who used a resource; newest first.

    With a personal token the look is recorded before anything is printed. An answer about a subject that --limit did
    not cut is counted in the evidence itself, too.

    \b
    Examples:
      accesstrail search --subject c-100042 --state ./state
      accesstrail search --actor li.na12 --from 2026-11-01 --to 2026-11-08 --state ./state --json
      accesstrail search --subject c-100042 --token-file me.token --reason "complaint" --case AUD-9 --state ./state

    Exit codes: 0 done, 1 the evidence holds another number of accesses to the subject, 2 usage, 69 the store or Kafka
    unreachable, 77 not allowed to this account.
    """
    given = {kind: text for kind, text in (("actor", actor), ("subject", subject), ("resource", resource)) if text}
    if len(given) != 1:
        raise UsageError("give exactly one of --actor, --subject, --resource")
    [(kind, identifier)] = given.items()
    keyring = Keyring.load(settings.protection.token_keys_file)
    tokens = [*keyring.tokens(tenant, kind, identifier)]
    if kind == "resource":  # where the resource is a person, its token is the person's
        tokens += keyring.tokens(tenant, "subject", identifier)
    cases = keyring.tokens(tenant, "case", work_item) if work_item else ()
    wanted = Wanted(
        kind,
        tenant,
        tuple(one.hex() for one in tokens),
        since,
        until,
        purpose,
        tuple(one.hex() for one in cases),
        limit,
    )
    rows, columns, check = _answer(settings, wanted)
    looker.tell(_seen(wanted, len(rows), identifier))
    print_rows(rows, [name for name, _ in columns], [type_ for _, type_ in columns], as_json=as_json)
    return _checked(check) if wanted.is_by_subject and len(rows) < limit else EXIT_OK


def _answer(
    settings: Settings, wanted: Wanted
) -> tuple[Sequence[Sequence[Any]], Sequence[tuple[str, str]], CrossCheck | None]:
    """Rows, (name, type) of each column, and the count of the evidence where the answer is whole and can be checked."""
    parameters: dict[str, object] = {"tenant": wanted.tenant, "limit": wanted.limit, "tokens": list(wanted.tokens)}
    with as_role(settings, "reader") as client:
        rows, columns = client.query_with_columns(_statement(wanted, parameters), parameters)
        if not wanted.is_by_subject or len(rows) >= wanted.limit:
            return rows, columns, None
        period = us_of(wanted.since or _EARLIEST), us_of(wanted.until or _LATEST)
        return rows, columns, SubjectReader(client).check(wanted.tenant, wanted.tokens, *period)


def _statement(wanted: Wanted, parameters: dict[str, object]) -> str:
    """The statement of one search; adds its further values to `parameters`."""
    view, column = "access_events", f"{wanted.kind}_token IN {_TOKENS.format('tokens')}"
    if wanted.is_by_subject:
        view = "subject_access"
    elif wanted.kind == "subject":
        column = "hasAny(subject_tokens, arrayMap(one -> toFixedString(unhex(one), 16), {tokens:Array(String)}))"
    conditions = ["tenant_id = {tenant:String}", column, *time_conditions(wanted.since, wanted.until, parameters)]
    if wanted.purpose:
        parameters["purpose"] = wanted.purpose
        conditions.append("purpose = {purpose:String}")
    if wanted.cases:
        parameters["cases"] = list(wanted.cases)
        conditions.append(f"case_token IN {_TOKENS.format('cases')}")
    return (
        f"SELECT {_COLUMNS} FROM accesstrail.{view} WHERE {' AND '.join(conditions)} "  # noqa: S608  our own text
        "ORDER BY event_time DESC, topic, partition, offset DESC LIMIT {limit:UInt64}"
    )


def _seen(wanted: Wanted, rows: int, identifier: str) -> Seen:
    """The look as it is told: an account and a data subject are kinds of their own, as in the console."""
    # Looks are events of the default tenant: another tenant's id would become somebody else's token there.
    is_ours = wanted.kind == "subject" and wanted.tenant == DEFAULT_TENANT
    return Seen(
        look=wanted.kind if wanted.kind in ("actor", "subject") else "search", rows=rows,
        question=wanted.canonical(), about=f"{wanted.kind}:{wanted.tokens[0]}",
        subject_ids=(identifier,) if is_ours else (),
    )  # fmt: skip


def _checked(check: CrossCheck | None) -> int:
    """Says on standard error what the count of the evidence came to; the exit code."""
    if check is None:
        click.echo("not checked against the evidence: counting it takes too long; give --from and --to", err=True)
        return EXIT_OK
    if check.unlisted:
        click.echo(f"{check.unlisted:,} access(es) touched more people than they list: ask for the lists", err=True)
    if not check.differs:
        return EXIT_OK
    click.echo(
        f"the evidence holds {check.in_evidence:,} access(es) to this subject, the table by subject "
        f"{check.in_table_after:,}: do not rely on this answer; run `accesstrail verify --store`",
        err=True,
    )
    return EXIT_DIFFERENCES
