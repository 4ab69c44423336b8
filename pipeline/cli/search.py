"""`accesstrail search`: which accesses answer a question: who touched a subject, what an actor did, who wrote what.

Place in the flow: the same questions as the console's search, read as the role reader. An id never leaves this process
in a question: it becomes its tokens here, and only they are sent; words that are looked for stay here, too. The answer
about a subject comes from a table made from the evidence, so the evidence itself is counted beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from pipeline.adapters.access_conditions import is_by_subject
from pipeline.adapters.access_reading import AccessReader, is_listed
from pipeline.adapters.subject_reading import SubjectReader
from pipeline.audit.identifiers import TokenMaker
from pipeline.audit.search import MOST_ROWS, VERDICTS, AccessBrief, Cursor, Question, checked
from pipeline.audit.subject import CrossCheck
from pipeline.cli.looked_at import subject_ids
from pipeline.cli.looking import Looker, Seen, looking_as
from pipeline.cli.options import moment, settings_options, us_of
from pipeline.cli.store import as_role, print_rows
from pipeline.config import Settings
from pipeline.errors import EXIT_DIFFERENCES, EXIT_OK, UsageError
from pipeline.events import ACTIONS, DEFAULT_TENANT, OUTCOMES
from pipeline.privacy.keys import Keyring

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US = 4_102_444_800_000_000
"""2100-01-01: nothing is kept with a later time."""
_COLUMNS = (
    "event_time", "tenant_id", "actor_token", "actor_dept", "action", "outcome", "resource_type", "purpose",
    "explained", "risk", "event_id", "topic", "partition", "offset",
)  # fmt: skip
_WRITTEN = ("justification", "denial_reason")
_IDS = {"actor": "actor", "subject": "subject", "resource": "resource", "work_item": "case"}
"""Options that take an identifier, and the kind of its tokens."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question, how many of the newest accesses that answer it, and the data subject's own id where it is known."""

    question: Question
    limit: int
    subject_ids: tuple[str, ...]
    with_verdicts: bool

    def seen(self, rows: int) -> Seen:
        """The look as it is told: an account and a data subject are kinds of their own, as in the console."""
        tokens = self.question.tokens()
        kind = next((one for one in ("subject", "actor") if one in tokens), "search")
        about = next(
            (f"{one}:{tokens[one][0]}" for one in ("subject", "actor", "resource", "case") if one in tokens), ""
        )
        return Seen(
            look=kind, rows=rows, question={"command": "search", "limit": self.limit, **asdict(self.question)},
            about=about, subject_ids=self.subject_ids,
        )  # fmt: skip


@click.command("search")
@click.option("--actor", default="", help="Who acted: the account's id.")
@click.option("--subject", default="", help="Whose data: the data subject's id.")
@click.option("--resource", default="", help="Which object: the resource's id.")
@click.option("--work-item", default="", help="Which work item the access names.")
@click.option("--purpose", default="", help="Which purpose it states.")
@click.option("--resource-type", default="", help="Which kind of resource.")
@click.option("--text", default="", help="Words of its justification, or of why it was denied; all must occur.")
@click.option("--action", "actions", multiple=True, type=click.Choice(ACTIONS), help="What was done; any of several.")
@click.option("--outcome", "outcomes", multiple=True, type=click.Choice(OUTCOMES), help="How it ended; any of several.")
@click.option(
    "--explained", multiple=True, type=click.Choice(VERDICTS), help="What explains it by now; any of several."
)
@click.option("--verdicts", is_flag=True, help="Show the verdict of a day later, too.")
@click.option("--min-risk", default=0.0, show_default=True, type=click.FloatRange(0, 100), help="Smallest risk.")
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Tenant the ids belong to.")
@click.option("--from", "since", callback=moment, help="First event time, included.")
@click.option("--to", "until", callback=moment, help="Last event time, excluded.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Newest rows.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
@settings_options
@looking_as("search_evidence")
def search_command(settings: Settings, limit: int, *, as_json: bool, looker: Looker, **given: Any) -> int:  # noqa: ANN401
    """Find accesses: who touched a subject, what an actor did, who used a resource, wrote a word; newest first.

    Everything given must hold. An id may be given as its token of 32 digits, copied from a page or an answer; an id
    that itself looks so is written behind `id:`. --text takes no numbers or addresses of people: they are masked in
    what is stored. --explained goes by the verdict of a day later where there is one (shown then, or with --verdicts),
    else by what was known when the access happened. With a personal token the look is recorded before anything is
    printed. An answer about a subject that --limit did not cut is counted in the evidence itself, too.

    \b
    Examples:
      accesstrail search --subject c-100042 --state ./state
      accesstrail search --actor li.na12 --from 2026-11-01 --to 2026-11-08 --state ./state --json
      accesstrail search --text "night batch" --action export --from 2026-11-01 --state ./state
      accesstrail search --explained unexplained --min-risk 60 --from 2026-11-01 --state ./state
      accesstrail search --subject c-100042 --token-file me.token --reason "complaint" --case AUD-9 --state ./state

    Exit codes: 0 done, 1 the evidence holds another number of accesses to the subject, 2 usage, 69 the store or Kafka
    unreachable, 77 not allowed to this account.
    """
    wanted = _wanted(settings, limit, given)
    rows, check = _answer(settings, wanted)
    looker.tell(wanted.seen(len(rows)))
    names = _COLUMNS + (("verdict",) if wanted.with_verdicts else ()) + (_WRITTEN if wanted.question.text else ())
    print_rows([_shown(row, names) for row in rows], names, ["String"] * len(names), as_json=as_json)
    return _checked(check) if _is_checked(wanted, len(rows)) else EXIT_OK


def _wanted(settings: Settings, limit: int, given: dict[str, Any]) -> Wanted:
    """The question of the options, tokens in place of ids. Raises: UsageError: nothing is asked, or it cannot be."""
    times, tenant = (given.pop("since"), given.pop("until")), given.pop("tenant")
    with_verdicts = bool(given.pop("verdicts") or given["explained"])
    if not any(given.values()) and times == (None, None):
        raise UsageError("say what to look for: an account, a data subject, a purpose, words, a time … (see --help)")
    keyring = Keyring.load(settings.protection.token_keys_file)
    maker = TokenMaker(keyring, tenant)
    named = {kind: maker.named(kind, given[option]) for option, kind in _IDS.items() if given[option]}
    tokens: dict[str, Any] = {f"{kind}s": one.tokens for kind, one in named.items()}
    question = checked(
        Question(
            tenant=tenant, from_us=us_of(times[0]), until_us=us_of(times[1], _LATEST_US), **tokens,
            **{name: given[name] for name in ("purpose", "resource_type", "actions", "outcomes", "explained", "text")},
            least_risk=round(given["min_risk"] * 100),
        )
    )  # fmt: skip
    known = subject_ids(settings, keyring, tenant, named["subject"]) if "subject" in named else ()
    return Wanted(question, limit, known, with_verdicts)


def _answer(settings: Settings, wanted: Wanted) -> tuple[Sequence[AccessBrief], CrossCheck | None]:
    """The newest accesses that answer, and the count of the evidence where the answer is whole and can be checked."""
    question = wanted.question
    with as_role(settings, "reader") as client:
        reader = AccessReader(client)
        rows: Sequence[AccessBrief]
        if is_listed(question):
            rows = reader.listed(question, wanted.limit, with_verdicts=wanted.with_verdicts)
        else:
            rows = _newest(reader, wanted)
        if not _is_checked(wanted, len(rows)):
            return rows, None
        period = question.from_us, question.until_us
        return rows, SubjectReader(client).check(question.tenant, question.subjects, *period)


def _newest(reader: AccessReader, wanted: Wanted) -> Sequence[AccessBrief]:
    """The newest accesses that answer, fetched page by page."""
    rows: list[AccessBrief] = []
    after: Cursor | None = None
    while True:
        page = reader.found(wanted.question, min(MOST_ROWS, wanted.limit - len(rows)), after)
        rows += page.rows
        after = page.after
        if after is None or len(rows) >= wanted.limit:
            return rows


def _is_checked(wanted: Wanted, rows: int) -> bool:
    """Whether a table made from the evidence answered, and all of it came."""
    return is_by_subject(wanted.question) and rows < wanted.limit


def _shown(row: AccessBrief, names: Sequence[str]) -> list[Any]:
    values = {"event_time": _EPOCH + timedelta(microseconds=row.event_time_us), "risk": row.risk / 100}
    return [values[name] if name in values else getattr(row, name) for name in names]


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
