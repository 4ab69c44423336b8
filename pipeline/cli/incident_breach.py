"""`accesstrail incidents breach`: a suspected breach from the suspicion to the notices, and its timeline for others.

Place in the flow: steps are commands in the incident's log (`breach/record.py`), deadlines come from the register of
laws (`breach/clock.py`), counts from the store each time somebody looks (`adapters/breach_counts.py`). What is counted
is written into the log with every step, so that the clock can be computed again from the log alone. Clock, drafts and
the export are told to `access.events` before they are shown or written (promise P6).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import click

from pipeline.accounts.model import Account
from pipeline.audit.incidents import IncidentExport
from pipeline.audit.reads import Read
from pipeline.breach.drafts import checked_texts, draft
from pipeline.breach.fields import WRITTEN_BY_PEOPLE
from pipeline.breach.model import DONE, FACTS, WAIVED, Text
from pipeline.breach.record import COUNTED, HANDLING_ENDED, KNOWN_AT, PERIOD, STATED, TEXT, Detail, text_detail
from pipeline.breach.register import read_register
from pipeline.cli.acting import acting, acting_as, acting_together, now_us, second_token_file_option, token_file_option
from pipeline.cli.admitting import admitted_as
from pipeline.cli.announcing import announce_look
from pipeline.cli.changing import plain_reason
from pipeline.cli.incident_actions import masked_why
from pipeline.cli.incident_clock import BreachView, clock_document, clock_lines, count_step, view_of
from pipeline.cli.incident_desk import Desk, Outcome, handling_options, open_desk, reading_options, say
from pipeline.cli.incident_export import incident_export
from pipeline.cli.looking import Looker, Seen, looking_as
from pipeline.cli.options import moment
from pipeline.cli.secret_files import refuse_existing, write_private
from pipeline.config import Settings
from pipeline.errors import EXIT_OK, Away, UsageError
from pipeline.incidents.records import BreachStep, SuspectBreach

_STEPS = (COUNTED, STATED, KNOWN_AT, PERIOD, TEXT, HANDLING_ENDED, DONE)
_OF_DPO = (HANDLING_ENDED, DONE)


@click.group("breach")
def breach_command() -> None:
    """A suspected breach: who must be told until when, counts as they grow, decisions, drafts, the timeline.

    accesstrail sends no notice by itself, and none of this is legal advice: docs/guides/breach-clock.md.
    """


@breach_command.command("suspect")
@click.argument("name", metavar="ID")
@click.option("--known-at", required=True, callback=moment, metavar="TIME", help="When it was discovered or learnt of.")
@click.option("--why", required=True, help="What makes you suspect it, and why that time.")
@handling_options
@acting_as("suspect_breach")
def suspect_command(
    settings: Settings, name: str, known_at: datetime, why: str, account: Account, wait_s: float, language: str, *,
    as_json: bool,
) -> int:  # fmt: skip
    """Say that a breach is suspected: evidence is kept, deadlines begin to run from --known-at.

    \b
    Example:
      accesstrail incidents breach suspect 3fa94c21 --known-at 2026-11-27T09:30:00+08:00 \\
        --why 'numbers seen outside, reported by the branch' --state ./state

    Exit codes: 0 done (or so already), 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    reason, known_at_us = masked_why(why), round(known_at.timestamp() * 1e6)
    with open_desk(settings, wait_s) as desk:
        if known_at_us > desk.now_us():
            raise UsageError("--known-at lies in the future")
        incident = desk.incident(name)
        done = [desk.hand_in(SuspectBreach, incident, account.name, why=reason, known_at_us=known_at_us)]
        if done[0].exit_code == EXIT_OK:
            done += count_step(desk, view_of(desk, incident), account.name)
        return say(done, desk, language=language, as_json=as_json)


@breach_command.command("clock")
@click.argument("name", metavar="ID")
@reading_options
@looking_as("read_incidents", look="incident")
def clock_command(settings: Settings, name: str, language: str, looker: Looker, *, as_json: bool) -> int:
    """Show who must be told until when, counted at this moment.

    \b
    Examples:
      accesstrail incidents breach clock 3fa94c21 --state ./state
      accesstrail incidents breach clock 3fa94c21 --language zh --state ./state

    Exit codes: 0 shown, 2 no breach is suspected there, 69 unreachable.
    """
    with open_desk(settings) as desk:
        view = view_of(desk, desk.incident(name))
    _tell(looker, view, {"command": "incidents breach clock"})
    _require_suspected(view)
    if as_json:
        click.echo(json.dumps(clock_document(view), ensure_ascii=False))
    else:
        for line in clock_lines(view, language):
            click.echo(line)
    return EXIT_OK


@breach_command.command("step")
@click.argument("name", metavar="ID")
@click.argument("step", type=click.Choice(_STEPS))
@click.option("--law", metavar="DUTY", help="done: which duty, as `breach clock` names it.")
@click.option("--fact", type=click.Choice(FACTS), help="stated: what you state.")
@click.option("--at", "at_time", callback=moment, metavar="TIME", help="known_at: when it was discovered.")
@click.option("--from", "since", callback=moment, metavar="TIME", help="period: first access that counts.")
@click.option("--to", "until", callback=moment, metavar="TIME", help="period: last access that counts.")
@click.option("--field", "field_name", type=click.Choice(sorted(WRITTEN_BY_PEOPLE)), help="text: which.")
@click.option("--en", default="", help="text: in English.")
@click.option("--zh", default="", help="text: in Chinese.")
@click.option("--why", required=True, help="Why, or where the receipt is; kept in the log.")
@token_file_option
@handling_options
def step_command(
    settings: Settings, name: str, step: str, law: str | None, fact: str | None, at_time: datetime | None,
    since: datetime | None, until: datetime | None, field_name: str | None, en: str, zh: str, why: str,
    token_file: Path | None, wait_s: float, language: str, *, as_json: bool,
) -> int:  # fmt: skip
    """Write one step of a suspected breach into its log, and the present count with it.

    \b
    counted          only the count
    stated           what only a person can state, as --fact crime_suspected
    known_at         another time of discovery, with --at; the log keeps both
    period           accesses that are counted, with --from and --to, instead of those around the alerts
    text             a text of the notices, with --field and --en, --zh or both
    handling_ended   handling has ended: closing reports count from here
    done             a recipient was told, with --law

    \b
    Examples:
      accesstrail incidents breach step 3fa94c21 stated --fact high_risk --why 'in clear text' --state ./state
      accesstrail incidents breach step 3fa94c21 done --law cn-irm-4-other --why 'receipt 2026-118' --state ./state

    Exit codes: 0 done, 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    action = "complete_breach_duty" if step in _OF_DPO else "suspect_breach"
    account = acting(settings.state_dir, token_file, action)
    detail = _detail(
        step, law=law, fact=fact, at_time=at_time, period=(since, until), field_name=field_name, text=Text(en, zh)
    )
    return _written(settings, name, step, account.name, why, detail, wait_s, language, as_json=as_json)


@breach_command.command("decide-not")
@click.argument("name", metavar="ID")
@click.argument("law", metavar="DUTY")
@click.option("--why", required=True, help="Why this recipient need not be told.")
@second_token_file_option
@token_file_option
@handling_options
def decide_not_command(
    settings: Settings, name: str, law: str, why: str, token_file: Path | None, second_token_file: Path | None,
    wait_s: float, language: str, *, as_json: bool,
) -> int:  # fmt: skip
    """Decide not to tell a recipient: two people, with a reason. DUTY as `breach clock` names it.

    \b
    Example:
      accesstrail incidents breach decide-not 3fa94c21 cn-pipl-57-individuals --why 'measures avoid the harm' \\
        --second-token-file other.token --state ./state

    Exit codes: 0 done, 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    account, second = acting_together(settings.state_dir, token_file, second_token_file, "waive_breach_duty")
    assert second is not None  # noqa: S101  the matrix asks two people for it, always
    detail: Detail = {"law": _known_duty(law), "second": second.name}
    return _written(settings, name, WAIVED, account.name, why, detail, wait_s, language, as_json=as_json)


@breach_command.command("draft")
@click.argument("name", metavar="ID")
@click.argument("law", metavar="DUTY")
@reading_options
@looking_as("read_incidents", look="incident")
def draft_command(settings: Settings, name: str, law: str, language: str, looker: Looker, *, as_json: bool) -> int:
    """Print the draft of one notice, Markdown: what is known is filled in, what a person must write is marked.

    \b
    Examples:
      accesstrail incidents breach draft 3fa94c21 cn-irm-4-other --language zh --state ./state
      accesstrail incidents breach draft 3fa94c21 eu-gdpr-33 --state ./state > notice.md

    Exit codes: 0 printed, 2 usage, or the duty does not apply, 69 unreachable.
    """
    wanted = _known_duty(law)
    with open_desk(settings) as desk:
        view = view_of(desk, desk.incident(name))
    _tell(looker, view, {"command": "incidents breach draft", "law": wanted, "language": language})
    _require_suspected(view)
    duty = next((one for one in view.clock.duties if one.law.law_id == wanted), None)
    if duty is None:
        raise UsageError(f"the duty {wanted} is none of this operator's: see [operator] in the configuration")
    text = draft(duty, view.clock, view.breach, language)
    click.echo(json.dumps({"law": wanted, "language": language, "markdown": text}) if as_json else text, nl=as_json)
    return EXIT_OK


@breach_command.command("export")
@click.argument("name", metavar="ID")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--reason", required=True, help="What the file is for; it stands in the log.")
@click.option("--case", "case_ref", default="", help="Work item that this belongs to.")
@reading_options
@admitted_as("export_incident")
def export_command(
    settings: Settings, name: str, file: Path, reason: str, case_ref: str, account: Account, language: str, *,
    as_json: bool,
) -> int:  # fmt: skip
    """Write everything of one incident into FILE: its log, alerts, messages, and the breach clock if there is one.

    Canonical JSON (sorted keys, UTF-8), a new file of mode 0600. It holds tokens, names of responders, no identities
    of customers or actors. The export is itself an access event, told before anything is written.

    \b
    Example:
      accesstrail incidents breach export 3fa94c21 timeline.json --reason 'annex to the report' \\
        --state ./state

    Exit codes: 0 written, 2 usage, 69 unreachable: nothing is written, 77 not allowed.
    """
    why = plain_reason(reason)
    refuse_existing(file)
    with open_desk(settings) as desk:
        incident = desk.incident(name)
        export = incident_export(desk, incident, account.name)
    _announce(settings, account, incident.incident_id, export, (why, case_ref.strip()))
    write_private(file, export.body.decode())
    count = export.log_rows
    words = f"{count} 条记录已写入 {file}" if language == "zh" else f"{count} rows of the log are in {file}"
    click.echo(json.dumps({"file": str(file), "rows": count}) if as_json else words)
    return EXIT_OK


def _announce(
    settings: Settings, account: Account, incident_id: str, export: IncidentExport, why: tuple[str, str]
) -> None:
    """Returns when Kafka has the export. Raises: Away: it has not; Forbidden `look_quota`. Nothing is written then."""
    read = Read(
        look="incident_export", account=account.name, read_id=str(uuid.uuid4()), at_us=now_us(),
        rows=export.log_rows + export.alerts, about=incident_id, reason=why[0], channel="batch",
        fingerprint=sha256(export.body).hexdigest(), case_ref=why[1],
    )  # fmt: skip
    try:
        announce_look(settings, read)
    except Away as exc:
        raise Away(f"nothing is written, since the export cannot be recorded: {exc}", code=exc.code) from None


def _tell(looker: Looker, view: BreachView, question: Mapping[str, str]) -> None:
    """Also where no breach is suspected: that is an answer, too."""
    about = view.incident.incident_id
    whole = {**question, "incident_id": about}
    looker.tell(Seen(look="incident", rows=int(view.is_suspected), question=whole, about=about))


# -- steps


def _suspected(desk: Desk, name: str) -> BreachView:
    view = view_of(desk, desk.incident(name))
    _require_suspected(view)
    return view


def _require_suspected(view: BreachView) -> None:
    if not view.is_suspected:
        raise UsageError("no breach is suspected in this incident: `accesstrail incidents breach suspect` says so")


def _known_duty(law: str) -> str:
    if read_register().law(law) is None:
        raise UsageError(f"there is no duty {law}: `accesstrail incidents breach clock` lists them")
    return law


def _detail(
    step: str, *, law: str | None, fact: str | None, at_time: datetime | None,
    period: tuple[datetime | None, datetime | None], field_name: str | None, text: Text,
) -> Detail:  # fmt: skip
    """What a step says besides its reason. Raises: UsageError: an option is missing, or belongs to another step."""
    given = {
        DONE: law is not None, STATED: fact is not None, KNOWN_AT: at_time is not None,
        PERIOD: period != (None, None), TEXT: field_name is not None or bool(text.en or text.zh),
    }  # fmt: skip
    if [one for one, is_given in given.items() if is_given and one != step]:
        raise UsageError(f"one of these options belongs to another step than {step}")
    if law is not None:
        return {"law": _known_duty(law)}
    if fact is not None:
        return {"fact": fact}
    if at_time is not None:
        return {"known_at_us": round(at_time.timestamp() * 1e6)}
    first, last = (None if one is None else round(one.timestamp() * 1e6) for one in period)
    if first is not None and last is not None and first <= last:
        return {"from_us": first, "to_us": last}
    if field_name is not None and (text.en or text.zh):
        return text_detail(field_name, checked_texts({field_name: text})[field_name])
    if step in (COUNTED, HANDLING_ENDED):
        return {}
    raise UsageError(f"the step {step} needs its options: see `accesstrail incidents breach step --help`")


def _written(
    settings: Settings, name: str, step: str, by: str, why: str, detail: Detail, wait_s: float, language: str, *,
    as_json: bool,
) -> int:  # fmt: skip
    reason = masked_why(why)
    with open_desk(settings, wait_s) as desk:
        view = _suspected(desk, name)
        done: list[Outcome] = list(
            count_step(desk, view, by, why=reason if step == COUNTED else "", always=step == COUNTED)
        )
        if step != COUNTED and all(one.exit_code == EXIT_OK for one in done):
            done.append(desk.hand_in(BreachStep, view.incident, by, why=reason, step=step, detail=dict(detail)))
        return say(done, desk, language=language, as_json=as_json)
