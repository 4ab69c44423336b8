"""`accesstrail keys tokens`: the keys that pseudonyms are made with are shown and rotated; no secret is ever printed.

Place in the flow: beside it. Order of a rotation: the new key is in the file, everybody known is linked under it, the
version set with it is put in force, those who came in between are linked too. Cut off before the set is in force it is
repeated: what is done stays done, and a key that signs nothing yet is used instead of another new one. After that only
the last linking may be missing, and `keys tokens link` does it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import click

from pipeline.accounts.model import Account
from pipeline.adapters.identities import DirectoryIdentities
from pipeline.adapters.token_links import TokenLinks, open_links
from pipeline.adapters.vault import open_vault
from pipeline.adapters.vault_reading import VaultReader, tenants_of
from pipeline.cli.acting import acting_as
from pipeline.cli.changing import Change, changing, finish, plain_reason, reasoned
from pipeline.cli.options import settings_options
from pipeline.config import Settings
from pipeline.errors import EXIT_OK, Away, StoreRefused, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.ports import Identity
from pipeline.privacy.key_file import add_key
from pipeline.privacy.keys import Keyring
from pipeline.privacy.linking import in_lots, under_every_key
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.sets import TOKENS
from pipeline.version_sets.watch import POLL_S

_TAKEN_UP_S = POLL_S + 3
"""Until running workers have taken the key up, the batch under way included: who came in this time is linked after."""
_KINDS = ("actor", "subject")


@click.group("tokens")
def tokens_group() -> None:
    """The keys that accounts and data subjects become pseudonyms with."""


@tokens_group.command("show")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show_command(settings: Settings, *, as_json: bool) -> int:
    """Print the versions of the key file, oldest first, and which one signs; secrets stay in the file.

    \b
    Example:
      accesstrail keys tokens show --state ./state
    """
    keyring = Keyring.load(settings.protection.token_keys_file)
    with changing(settings) as change:
        newest = change.access.activations.newest(settings.kafka.events_topic)
    signing = "" if newest is None else newest.parts.get(TOKENS, "")
    rows = [
        {"version": one, "signs": one == signing, "canonical": one == keyring.canonical.version_id}
        for one in keyring.version_ids
    ]
    if as_json:
        click.echo(json.dumps({"file": str(settings.protection.token_keys_file), "keys": rows}))
        return EXIT_OK
    for row in rows:
        notes = [word for word, holds in (("signs", row["signs"]), ("canonical", row["canonical"])) if holds]
        click.echo(f"{row['version']}  {', '.join(notes) or '-'}")
    if signing and signing not in keyring.version_ids:
        click.echo(f"{signing} signs, and is not in the file: workers here cannot go on without it", err=True)
    return EXIT_OK


@tokens_group.command("rotate")
@click.option("--prepare", is_flag=True, help="Make the key and link who is known; it signs when you rotate.")
@reasoned
@settings_options
@acting_as("rotate_token_key")
def rotate_command(settings: Settings, reason: str, account: Account, *, prepare: bool, as_json: bool) -> int:
    """Let another key make the pseudonyms of new events; no restart, and nobody becomes a new person.

    Rows that are stored keep their pseudonyms, and every key stays in the file: it is what searches and replays need.
    Everybody whom the vault or the directory knows is linked first, so profiles, incidents and counts of persons go on.
    Where workers run on several machines, --prepare first, hand the key file to all of them, then rotate: a worker
    without the key keeps the set that it has, and says so in `status`.

    \b
    Examples:
      accesstrail keys tokens rotate --reason 'yearly rotation' --state ./state
      accesstrail keys tokens rotate --prepare --reason 'yearly rotation' --config /etc/accesstrail/config.toml

    Exit codes: 0 done, 2 usage or refused, 69 unreachable, 77 not allowed, 78 configuration.
    """
    requester, why = Requester(account.name), plain_reason(reason)
    with changing(settings) as change:
        version = _key_to_sign(change, settings.protection.token_keys_file)
        linked = _link_everybody(settings)
        if prepare:
            click.echo(json.dumps({"version": version, "linked": linked}) if as_json else _prepared(version, linked))
            return EXIT_OK
        made = change.activator.rotate_key(change.access.evidence, change.access.activations, requester, why)
        code = finish(change, made, as_json=as_json, said={"version": version, "linked": linked})
    try:
        time.sleep(_TAKEN_UP_S)
        _link_everybody(settings)
    except (Away, StoreRefused, KeyboardInterrupt):
        click.echo(
            "rotated; link who came in meanwhile by `accesstrail keys tokens link`, not by rotating again", err=True
        )
    return code


@tokens_group.command("link")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@settings_options
@acting_as("rotate_token_key")
def link_command(settings: Settings, account: Account, *, as_json: bool) -> int:
    """Link everybody who is known under every key, once more; changes nothing that is linked.

    For a directory that has new people in it, or after a worker was late to take a new key up.

    \b
    Example:
      accesstrail keys tokens link --state ./state
    """
    linked = _link_everybody(settings)
    click.echo(json.dumps({"linked": linked}) if as_json else f"{linked:,} pseudonym(s) linked that were not")
    return EXIT_OK


def _prepared(version: str, linked: int) -> str:
    return f"key {version} is in the file and signs nothing yet; {linked:,} pseudonym(s) linked"


def _key_to_sign(change: Change, path: Path) -> str:
    """Version of the newest key, made where the newest one signs already. Raises: UsageError: no set is in force."""
    newest = change.access.activations.newest(change.settings.kafka.events_topic)
    if newest is None:
        raise UsageError("no version set is in force yet: start a worker first")
    keyring = change.keys.current
    if newest.parts.get(TOKENS) not in keyring.version_ids:
        raise UsageError(f"the token key that signs is not in {path}: put it there first, as other machines have it")
    if newest.parts.get(TOKENS) == keyring.version_id:
        add_key(path)
    return change.keys.current.version_id


def _link_everybody(settings: Settings) -> int:
    """Links everybody whom vault and directory know, under every key; how many pseudonyms were not linked yet."""
    keyring = Keyring.load(settings.protection.token_keys_file)
    with ExitStack() as stack:
        links = stack.enter_context(closing(open_links(settings)))
        return _link_listed(settings, keyring, links) + _link_kept(settings, keyring, links, stack)


def _link_listed(settings: Settings, keyring: Keyring, links: TokenLinks) -> int:
    listed = DirectoryIdentities(settings.detection.directory, keyring, DEFAULT_TENANT).listed()

    def identities() -> Iterator[Identity]:
        for kind, identifier in listed:
            yield from under_every_key(keyring, DEFAULT_TENANT, kind, [identifier])

    return sum(links.keep(lot) for lot in in_lots(identities()))


def _link_kept(settings: Settings, keyring: Keyring, links: TokenLinks, stack: ExitStack) -> int:
    """Those in the vault; it holds each under the new pseudonym too from then on, so that a reveal finds them."""
    vault = open_vault(settings)
    if vault is None:
        return 0
    stack.enter_context(closing(vault))
    linked = 0
    for tenant in tenants_of(vault.client):
        reader = VaultReader(vault.client, vault.envelope, tenant)
        for kind in _KINDS:
            for lot in in_lots(under_every_key(keyring, tenant, kind, reader.everybody(kind))):
                linked += links.keep(lot)
                vault.keep(lot)
    return linked
