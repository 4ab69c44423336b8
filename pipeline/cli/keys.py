"""`accesstrail keys`: the ledger's signing keys, those of pseudonyms (`token_keys.py`), and a witness's.

Secrets stay in files, public keys are printed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from pipeline.cli.options import settings_options
from pipeline.cli.token_keys import tokens_group
from pipeline.config import Settings
from pipeline.errors import ConfigError, UsageError
from pipeline.ledger import signing_keys
from pipeline.ledger.cosignature import WitnessKey
from pipeline.ledger.signed_note import PrivateKey, load_public_keys
from pipeline.ledger.signing_keys import KeyFiles
from pipeline.private_files import write_new


@click.group("keys")
def keys_command() -> None:
    """Show and rotate the keys of checkpoints and of pseudonyms; make a witness's key.

    What each protects, and when to rotate: docs/guides/evidence-keys.md.
    """


keys_command.add_command(tokens_group)


@keys_command.group("ledger")
def ledger_group() -> None:
    """The keys of this deployment's ledger."""


@ledger_group.command("show")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show_command(settings: Settings, *, as_json: bool) -> None:
    """Print the public keys, oldest first, and which one signs now.

    \b
    Example:
      accesstrail keys ledger show --state ./state
    """
    files = _files(settings)
    known = load_public_keys(files.public)
    # Where only verification runs, the private key is elsewhere.
    used = signing_keys.current(files).public if files.private.exists() else None
    if as_json:
        rows = [{"identity": one.identity, "public_key": str(one), "in_use": one == used} for one in known]
        click.echo(json.dumps({"file": str(files.public), "keys": rows}))
        return
    for one in known:
        click.echo(f"{'signs' if one == used else '     '}  {one}")


@ledger_group.command("rotate")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def rotate_command(settings: Settings, *, as_json: bool) -> None:
    """Make another key that signs from now on; the old one states it, is deleted, and its public half stays listed.

    A running notary takes the new key with its next checkpoint. Hand the file of public keys to whoever verifies, and
    to witnesses.

    \b
    Example:
      accesstrail keys ledger rotate --state ./state
    """
    files = _files(settings)
    done = signing_keys.rotate(files, datetime.now(UTC))
    if as_json:
        said = {"number": done.number, "old": str(done.old), "new": str(done.new), "statement": str(done.note)}
        click.echo(json.dumps(said))
        return
    click.echo(f"signs now: {done.new}")
    click.echo(f"before:    {done.old}")
    click.echo(f"statement: {done.note}")
    click.echo(f"hand {files.public} to whoever verifies, and to witnesses")


@keys_command.group("witness")
def witness_group() -> None:
    """The key of a witness, which somebody else runs."""


@witness_group.command("new")
@click.argument("private_file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--name", required=True, help="The witness's name: one word, e.g. witness.example/audit.")
def witness_new_command(private_file: Path, name: str) -> None:
    """Make a witness's key (FILE, 0600) and print its public half. Never over an existing file.

    \b
    Example:
      accesstrail keys witness new witness.key --name witness.example/audit > witness.pub
    """
    try:
        key = PrivateKey.generate(name)
        write_new(private_file, key.text() + "\n")
    except ValueError as exc:
        raise UsageError(f"--name: {exc}") from None
    except FileExistsError:
        raise UsageError(f"{private_file} exists and is not overwritten") from None
    click.echo(str(WitnessKey.of(key)))


def _files(settings: Settings) -> KeyFiles:
    """Raises: ConfigError: none are configured."""
    private, public = settings.ledger.signing_key_file, settings.ledger.public_keys_file
    if private is None or public is None:
        raise ConfigError(["[ledger] signing_key_file and public_keys_file are missing: there are no keys here"])
    return KeyFiles(private, public)
