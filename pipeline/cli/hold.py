"""`accesstrail hold`: legal holds are placed, released and listed.

Place in the flow: as an account; the access event that tells of it is acknowledged by Kafka before the row is written,
so that no hold counts of which the ledger will not know. What a hold keeps is in `pipeline/retention/holds.py`. A list
names people by tokens, so it is told as a look.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

import click

from pipeline.accounts.model import Account
from pipeline.adapters.breach_counts import IncidentEvidence, Scope
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.holds import HoldReader, HoldWriter
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.audit.identifiers import TokenMaker
from pipeline.audit.rights_events import HOLD, RightsEvent
from pipeline.breach.record import Period
from pipeline.cli.acting import acting_as, now_us
from pipeline.cli.announcing import announce_right
from pipeline.cli.changing import plain_reason
from pipeline.cli.looking import Looker, Seen, looking_as
from pipeline.cli.options import moment, settings_options, us_of
from pipeline.cli.table import aligned, moment_of
from pipeline.config import RESPONDER, Settings
from pipeline.errors import EXIT_OK, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring
from pipeline.privacy.masks import mask_text
from pipeline.retention.holds import (
    ACTOR,
    BEGIN_US,
    END_US,
    EVERYTHING,
    INCIDENT,
    PERIOD,
    SUBJECT,
    Hold,
    refuse_release,
)

_SHOWN_ID = 8


@click.group("hold")
def hold_command() -> None:
    """Legal holds: what they cover is neither deleted by retention nor erased, whatever its time is."""


@hold_command.command("place")
@click.option("--subject", "subjects", multiple=True, help="A data subject's id, or a token. Repeatable.")
@click.option("--actor", help="An account's id, or a token.")
@click.option("--incident", help="An incident: whoever or whatever it is about, from its first access on.")
@click.option("--everything", is_flag=True, help="Every access, in the period if one is given.")
@click.option("--from", "since", callback=moment, metavar="TIME", help="First event time that is kept.")
@click.option("--to", "until", callback=moment, metavar="TIME", help="Event time from which on nothing is kept.")
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Tenant.")
@click.option("--reason", required=True, help="Why; kept with the hold, personal data in it masked.")
@click.option("--json", "as_json", is_flag=True, help="The hold as one JSON object.")
@settings_options
@acting_as("place_hold")
def place_command(
    settings: Settings, subjects: tuple[str, ...], actor: str | None, incident: str | None,
    since: datetime | None, until: datetime | None, tenant: str, reason: str, account: Account, *,
    everything: bool, as_json: bool,
) -> int:  # fmt: skip
    """Place a legal hold. Of --subject, --actor, --incident and --everything give one; --from and --to alone are a
    period in which every access is kept.

    \b
    Examples:
      accesstrail hold place --subject c-100042 --reason 'lawsuit 2026-118' --state ./state
      accesstrail hold place --incident 3fa94c21 --reason 'police report' --state ./state
      accesstrail hold place --from 2026-03-01 --to 2026-04-01 --reason 'regulator asks' --state ./state

    Exit codes: 0 in force, 2 usage, 69 unreachable (not in force), 77 not allowed, 78 configuration.
    """
    keyring = Keyring.load(settings.protection.token_keys_file)
    named = {SUBJECT: bool(subjects), ACTOR: bool(actor), INCIDENT: bool(incident), EVERYTHING: everything}
    scopes = [name for name, given in named.items() if given] or [PERIOD] * (since is not None or until is not None)
    if len(scopes) != 1:
        raise UsageError("give one of --subject, --actor, --incident, --everything, or a period alone")
    hold = Hold(
        hold_id=str(uuid.uuid4()), tenant=tenant, scope=scopes[0], from_us=us_of(since, BEGIN_US),
        until_us=us_of(until, END_US), reason=mask_text(plain_reason(reason)),
        by=keyring.canonical.token(DEFAULT_TENANT, "actor", account.name).hex(), at_us=now_us(),
    )  # fmt: skip
    if hold.from_us >= hold.until_us:
        raise UsageError("the period must end after it begins")
    tokens, ids = TokenMaker(keyring, tenant), []
    if subjects:
        found = [tokens.named(SUBJECT, one) for one in subjects]
        ids = [one.identifier for one in found if one.identifier]
        hold = replace(hold, subjects=tuple(dict.fromkeys(token for one in found for token in one.tokens)))
    if actor:
        hold = replace(hold, actors=tokens.named(ACTOR, actor).tokens)
    with closing(connect(settings.clickhouse, RESPONDER)) as store:
        if incident:
            hold = _of_incident(hold, store, incident)
        _place(settings, store, hold, account, plain_reason(reason), ids)
        is_late = HoldReader(store).is_retention_deleting()
    click.echo(json.dumps(_plain(hold), ensure_ascii=False) if as_json else f"hold {hold.hold_id} is in force")
    if is_late:
        click.echo("a run of retention was deleting at that moment: see `accesstrail retention runs`", err=True)
    return EXIT_OK


def _of_incident(hold: Hold, store: ClickHouse, name: str) -> Hold:
    """Whoever an incident is about, and what was merged into it; an incident about nobody keeps everything."""
    incident = IncidentReader(store).incident(name)
    if incident is None:
        raise UsageError(f"there is no incident {name}: see `accesstrail incidents list`")
    by_kind: dict[str, list[str]] = {"actor": [], "subject": [], "credential": []}
    is_of_everybody = False
    for one in IncidentEvidence(store).family(incident.incident_id):
        scope = Scope(one.tenant_id, one.incident_key, Period(0, 1))
        if scope.kind in by_kind:
            by_kind[scope.kind].append(scope.value)
        else:
            is_of_everybody = True
    if is_of_everybody:
        by_kind = {kind: [] for kind in by_kind}
    return replace(
        hold, tenant=incident.tenant_id, incident_id=incident.incident_id,
        from_us=incident.first_event_us if hold.from_us == BEGIN_US else hold.from_us,
        actors=tuple(by_kind["actor"]), subjects=tuple(by_kind["subject"]), credentials=tuple(by_kind["credential"]),
    )  # fmt: skip


def _place(
    settings: Settings, store: ClickHouse, hold: Hold, account: Account, reason: str, subject_ids: Sequence[str]
) -> None:
    event_id = str(uuid.uuid4())
    _tell(settings, hold, account, event_id, "hold place", reason, subject_ids)
    HoldWriter(store).place(hold, event_id)


def _tell(
    settings: Settings, hold: Hold, account: Account, event_id: str, what: str, reason: str,
    subject_ids: Sequence[str] = (),
) -> None:  # fmt: skip
    """Returns when Kafka has it. Raises: Away: the hold was neither placed nor released."""
    digest = sha256(json.dumps(_plain(hold), sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    event = RightsEvent(
        event_id=event_id, at_us=hold.at_us, account=account.name, kind=HOLD, endpoint=what, about=hold.hold_id,
        reason=reason, fingerprint=digest, subject_ids=tuple(subject_ids),
    )  # fmt: skip
    announce_right(settings.kafka, event)


@hold_command.command("release")
@click.argument("name", metavar="HOLD")
@click.option("--reason", required=True, help="Why; kept with the release, personal data in it masked.")
@click.option("--json", "as_json", is_flag=True, help="The hold as one JSON object.")
@settings_options
@acting_as("release_hold")
def release_command(settings: Settings, name: str, reason: str, account: Account, *, as_json: bool) -> int:
    """Release a legal hold: another person than placed it. HOLD is its id, or how it begins.

    \b
    Example:
      accesstrail hold release 5d0c9a31 --reason 'judgment is final' --state ./state

    Exit codes: 0 released, 2 usage, 69 unreachable (still in force), 77 not allowed, 78 configuration.
    """
    # Canonical: who placed it must be known again after a rotation of the key.
    keyring = Keyring.load(settings.protection.token_keys_file).canonical
    by = keyring.token(DEFAULT_TENANT, "actor", account.name).hex()
    with closing(connect(settings.clickhouse, RESPONDER)) as store:
        hold = HoldReader(store).one(name)
        refuse_release(hold, by)
        ended = replace(hold, by=by, at_us=now_us(), reason=mask_text(plain_reason(reason)))
        event_id = str(uuid.uuid4())
        _tell(settings, ended, account, event_id, "hold release", plain_reason(reason))
        HoldWriter(store).release(ended, event_id)
    click.echo(json.dumps(_plain(ended), ensure_ascii=False) if as_json else f"hold {hold.hold_id} is released")
    return EXIT_OK


@hold_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a hold.")
@settings_options
@looking_as("read_holds", look="holds", always_named=True)
def list_command(settings: Settings, looker: Looker, *, as_json: bool) -> int:
    """List the legal holds in force, those of suspected breaches among them.

    The look is recorded before anything is printed.

    \b
    Example:
      accesstrail hold list --state ./state
    """
    with closing(connect(settings.clickhouse, "reader")) as store:
        holds = HoldReader(store).in_force()
    looker.tell(Seen(look="holds", rows=len(holds), question={"command": "hold list"}))
    if as_json:
        for one in holds:
            click.echo(json.dumps(_plain(one), ensure_ascii=False))
        return EXIT_OK
    names = ["hold", "scope", "of", "from", "to", "since", "reason"]
    for line in aligned(names, [_line(one) for one in holds]):
        click.echo(line)
    click.echo(f"{len(holds)} hold(s) in force", err=True)
    return EXIT_OK


def _line(one: Hold) -> list[str]:
    whom = [*one.actors, *one.subjects, *one.credentials]
    return [
        one.hold_id[:_SHOWN_ID], one.scope, ", ".join(token[:_SHOWN_ID] for token in whom) or "everybody",
        "" if one.from_us == BEGIN_US else moment_of(one.from_us),
        "" if one.until_us == END_US else moment_of(one.until_us), moment_of(one.at_us), one.reason,
    ]  # fmt: skip


def _plain(one: Hold) -> dict[str, object]:
    return {
        "hold_id": one.hold_id, "tenant_id": one.tenant, "scope": one.scope, "actors": list(one.actors),
        "subjects": list(one.subjects), "credentials": list(one.credentials), "incident_id": one.incident_id or None,
        "from": None if one.from_us == BEGIN_US else moment_of(one.from_us),
        "to": None if one.until_us == END_US else moment_of(one.until_us), "reason": one.reason,
        "since": moment_of(one.at_us),
    }  # fmt: skip
