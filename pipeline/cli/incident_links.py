"""`accesstrail incidents link|unlink`: incidents that belong together: linked, merged, or parts of a campaign.

Place in the flow: beside `incident_actions.py`. A merge is asked of the parent (`absorb`); both sides then tell each
other until they agree (`incidents/merge.py`).
"""

from __future__ import annotations

import click

from pipeline.accounts.model import Account
from pipeline.cli.acting import acting_as
from pipeline.cli.incident_actions import masked_why
from pipeline.cli.incident_desk import Desk, Outcome, handling_options, open_desk, say
from pipeline.config import Settings
from pipeline.errors import UsageError
from pipeline.incidents.model import CAMPAIGN
from pipeline.incidents.records import Absorb, Link, Unlink

_LONGEST_CAMPAIGN = 64


@click.command("link")
@click.argument("name", metavar="ID")
@click.argument("others", metavar="[OTHER]...", nargs=-1)
@click.option("--merge", "merges", is_flag=True, help="OTHER becomes part of ID and is handled there.")
@click.option("--campaign", metavar="NAME", help="Tie all of them together as a campaign of this name.")
@click.option("--why", default="", help="A remark.")
@handling_options
@acting_as("link_incident")
def link_command(
    settings: Settings, name: str, others: tuple[str, ...], campaign: str | None, why: str, account: Account,
    wait_s: float, language: str, *, merges: bool, as_json: bool,
) -> int:  # fmt: skip
    """Say that incidents belong together: linked, merged, or parts of a campaign.

    A campaign is an incident of its own that its parts are linked with; a new NAME opens one.

    \b
    Examples:
      accesstrail incidents link 3fa94c21 88d01b7e --state ./state
      accesstrail incidents link 3fa94c21 88d01b7e --merge --why 'the same person' --state ./state
      accesstrail incidents link 3fa94c21 88d01b7e --campaign partner0-november --state ./state

    Exit codes: 0 done (or so already), 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    if merges and campaign is not None:
        raise UsageError("give --merge or --campaign, not both")
    if not others and campaign is None:
        raise UsageError("name the other incident, or give --campaign NAME")
    remark = masked_why(why, required=False)
    with open_desk(settings, wait_s) as desk:
        if campaign is not None:
            done = _tied(desk, (name, *others), _campaign_name(campaign), account, remark)
        elif merges:
            done = _merged(desk, name, others, account, remark)
        else:
            done = _linked(desk, name, others, account, remark)
        return say(done, desk, language=language, as_json=as_json)


def _campaign_name(text: str) -> str:
    name = text.strip()
    if not 0 < len(name) <= _LONGEST_CAMPAIGN or not name.isprintable() or ":" in name:
        raise UsageError(f"a campaign's name has 1 to {_LONGEST_CAMPAIGN} characters without colon")
    return name


def _tied(desk: Desk, names: tuple[str, ...], campaign: str, account: Account, why: str) -> list[Outcome]:
    return [
        desk.hand_in_on(
            f"{one.tenant_id}:{CAMPAIGN}:{campaign}", Link, one.tenant_id, account.name, why=why,
            other_key=one.incident_key, other_incident_id=one.incident_id, relation="campaign",
        )
        for one in map(desk.incident, names)
    ]  # fmt: skip


def _merged(desk: Desk, name: str, others: tuple[str, ...], account: Account, why: str) -> list[Outcome]:
    parent = desk.incident(name)
    return [
        desk.hand_in(
            Absorb, parent, account.name, why=why, child_key=one.incident_key, child_incident_id=one.incident_id
        )
        for one in map(desk.incident, others)
    ]


def _linked(desk: Desk, name: str, others: tuple[str, ...], account: Account, why: str) -> list[Outcome]:
    first = desk.incident(name)
    return [
        desk.hand_in(Link, first, account.name, why=why, other_key=one.incident_key, other_incident_id=one.incident_id)
        for one in map(desk.incident, others)
    ]


@click.command("unlink")
@click.argument("name", metavar="ID")
@click.argument("other", metavar="OTHER")
@click.option("--why", default="", help="A remark.")
@handling_options
@acting_as("link_incident")
def unlink_command(
    settings: Settings, name: str, other: str, why: str, account: Account, wait_s: float, language: str, *,
    as_json: bool,
) -> int:  # fmt: skip
    """Take a link away, or let a merged OTHER stand alone again.

    \b
    Example:
      accesstrail incidents unlink 3fa94c21 88d01b7e --why 'another person' --state ./state

    Exit codes: 0 done, 2 usage or refused, 69 queued or unreachable, 77 not allowed.
    """
    remark = masked_why(why, required=False)
    with open_desk(settings, wait_s) as desk:
        first, second = desk.incident(name), desk.incident(other)
        done = desk.hand_in(
            Unlink, first, account.name, why=remark, other_key=second.incident_key,
            other_incident_id=second.incident_id,
        )  # fmt: skip
        return say([done], desk, language=language, as_json=as_json)
