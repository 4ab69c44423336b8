"""`accesstrail reveal`, `reveal-masked`: who is behind one token, whole or in part; printed when Kafka has the look.

Place in the flow: what the console's page does, for people who work with commands. How many somebody revealed within
the hour is counted in the evidence itself, where page and command have left their trace. What part is shown goes by the
account's roles (`display_masks.py`).
"""

from __future__ import annotations

import json
import uuid

import click

from dashboards.console.pages.reveal import KINDS, LONGEST_REASON, SHORTEST_REASON
from dashboards.console.reveal_limit import AN_HOUR
from pipeline.accounts.model import Account
from pipeline.adapters.accounts import open_accounts
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.identities import DirectoryIdentities, VaultIdentities
from pipeline.audit.reads import SOURCE_SYSTEM, Read
from pipeline.audit.search import token_of
from pipeline.cli.acting import now_us
from pipeline.cli.admitting import admitted_as
from pipeline.cli.announcing import announce_look
from pipeline.cli.looking import Looker, Seen, looking_as
from pipeline.cli.options import settings_options
from pipeline.cli.revealing import reading_vault
from pipeline.config import Settings
from pipeline.errors import EXIT_DIFFERENCES, EXIT_OK, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.display_masks import masked, policy_of
from pipeline.privacy.keys import Keyring

_REVEALED = (
    "SELECT count() FROM accesstrail.access_events WHERE tenant_id = {tenant:String} AND hex(actor_token) IN "
    "{actor:Array(String)} AND action = 'unmask' AND source_system = {source:String} AND event_time > now() - 3600"
)


_NOBODY = "nobody here knows it: it is not in the vault (never kept here, or erased) nor listed"


@click.command("reveal")
@click.argument("token")
@click.option("--reason", required=True, help=f"Why, in {SHORTEST_REASON} characters or more; it is kept.")
@click.option("--kind", type=click.Choice(KINDS), help="What the token stands for.  [default: whichever is known]")
@click.option("--case", "case_ref", default="", help="The work item that explains it.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
@settings_options
@admitted_as("reveal_identity")
def reveal_command(
    settings: Settings, token: str, reason: str, kind: str | None, case_ref: str, *, as_json: bool, account: Account
) -> int:
    """Say who is behind one TOKEN (32 hexadecimal digits), with a reason.

    It takes the role dpo and a personal token. Nothing is printed before Kafka has acknowledged the access event that
    says who revealed what and why; also of a token that nobody knows. Ten an hour are one person's limit.

    \b
    Examples:
      accesstrail reveal 5f2a…e1 --reason "complaint 2026-118, asked who looked" --state ./state
      accesstrail reveal 5f2a…e1 --kind subject --reason "breach notification" --case B-7 --json --state ./state

    Exit codes: 0 revealed, 1 nobody here knows it, 2 wrong use, 69 store or Kafka unreachable, 77 not allowed.
    """
    digits, why = token_of(token.strip()), reason.strip()
    if digits is None:
        raise UsageError("a token is 32 hexadecimal digits")
    if not SHORTEST_REASON <= len(why) <= LONGEST_REASON:
        raise UsageError(f"say why, in {SHORTEST_REASON} to {LONGEST_REASON:,} characters", code="short_reason")
    keyring = Keyring.load(settings.protection.token_keys_file)
    _refuse_too_many(settings, keyring, account.name)
    found, identity = _look(settings, keyring, digits, (kind,) if kind else KINDS)
    read = Read(
        look="reveal", account=account.name, read_id=str(uuid.uuid4()), at_us=now_us(),
        rows=1 if identity else 0, about=f"{found}:{digits}", reason=why,
        subject_ids=(identity,) if identity and found == "subject" else (),
        unmasked=(f"{found}_id",) if identity else (), channel="api", case_ref=case_ref,
    )  # fmt: skip
    announce_look(settings, read)
    if as_json:
        body = {"token": digits, "kind": found, "identity": identity, "access_event": read.read_id}
        click.echo(json.dumps(body, ensure_ascii=False))
    elif identity is not None:
        click.echo(identity)
    else:
        click.echo(_NOBODY, err=True)
    return EXIT_OK if identity is not None else EXIT_DIFFERENCES


@click.command("reveal-masked")
@click.argument("token")
@click.option("--kind", type=click.Choice(KINDS), help="What the token stands for.  [default: whichever is known]")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
@settings_options
@looking_as("see_masked_identity", "masked", always_named=True)
def reveal_masked_command(settings: Settings, token: str, kind: str | None, *, as_json: bool, looker: Looker) -> int:
    """Show part of who is behind one TOKEN (32 hexadecimal digits): enough to recognise somebody known already.

    It takes a personal token; which part is shown goes by your roles: soc and responder see less than auditor and dpo.
    At least four characters stay hidden. Nothing is printed before Kafka has acknowledged the look.

    \b
    Examples:
      accesstrail reveal-masked 5f2a…e1 --token-file me.token --state ./state
      accesstrail reveal-masked 5f2a…e1 --kind subject --json --token-file me.token --state ./state

    Exit codes: 0 shown, 1 nobody here knows it, 2 wrong use, 69 store or Kafka unreachable, 77 not allowed.
    """
    digits = token_of(token.strip())
    if digits is None:
        raise UsageError("a token is 32 hexadecimal digits")
    policy = policy_of(looker.account.roles if looker.account else ())
    keyring = Keyring.load(settings.protection.token_keys_file)
    found, identity = _look(settings, keyring, digits, (kind,) if kind else KINDS)
    looker.tell(
        Seen(
            look="masked", rows=1 if identity else 0, question={"command": "reveal-masked", "token": digits},
            about=f"{found}:{digits}", subject_ids=(identity,) if identity and found == "subject" else (),
        )
    )  # fmt: skip
    shown = masked(identity, policy) if identity else None
    if as_json:
        click.echo(json.dumps({"token": digits, "kind": found, "masked": shown, "policy": policy}, ensure_ascii=False))
    elif shown is not None:
        click.echo(shown)
    else:
        click.echo(_NOBODY, err=True)
    return EXIT_OK if shown is not None else EXIT_DIFFERENCES


def _look(settings: Settings, keyring: Keyring, token: str, kinds: tuple[str, ...]) -> tuple[str, str | None]:
    """The kind under which the token is known, else the first one, and the identity."""
    with open_accounts(settings.state_dir) as accounts, reading_vault(settings) as vault:
        names = [one.name for one in accounts.all()]
        listed = DirectoryIdentities(settings.detection.directory, keyring, DEFAULT_TENANT, lambda: names)
        identities = listed if vault is None else VaultIdentities(vault, listed)
        for kind in kinds:
            identity = identities.of(kind, token)
            if identity is not None:
                return kind, identity
    return kinds[0], None


def _refuse_too_many(settings: Settings, keyring: Keyring, account: str) -> None:
    """Raises: UsageError: this account revealed as many within the hour as one person may; Away."""
    actor = [token.hex().upper() for token in keyring.tokens(DEFAULT_TENANT, "actor", account)]
    client = connect(settings.clickhouse, "reader")
    try:
        parameters = {"tenant": DEFAULT_TENANT, "actor": actor, "source": SOURCE_SYSTEM}
        revealed = client.query(_REVEALED, parameters)[0][0]
    finally:
        client.close()
    if revealed >= AN_HOUR:
        raise UsageError(
            f"{AN_HOUR} identities an hour are revealed to one person; more takes two people", code="too_many_reveals"
        )
