"""`accesstrail compose`: makes the folder that `deploy/compose.yaml` mounts: secrets, configuration, Grafana's files.

Place in the flow: before a system runs in containers. Passwords are drawn, never chosen; what is there is kept, so that
the command may be repeated. Everything belongs to one user, who is also the one all containers run as: nobody else can
read a secret. Grafana's files hold no secret and are written anew each time, since dashboards change with the version.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from dashboards.grafana.provisioning import files
from dashboards.grafana.publish import Contact, Store, Wanted
from dashboards.panels.boards import BOARDS
from deploy.compose_files import (
    STORE_PORT,
    compose_env,
    config_toml,
    kafka_properties,
    store_config_xml,
    store_users_xml,
)
from deploy.local.clickhouse import ensure_passwords
from deploy.local.configuration import ensure_token_keys
from deploy.local.files import private_folder, write_secret, write_text
from deploy.local.kafka import cluster_id
from pipeline.cli.grafana import secret_in, zone_option
from pipeline.errors import EXIT_OK, UsageError
from pipeline.ledger import signing_keys
from pipeline.ledger.signing_keys import KeyFiles

_FOLDERS = (
    "secrets", "clickhouse", "clickhouse/data", "kafka", "kafka/data", "grafana", "grafana/data",
    "grafana/provisioning", "directory", "state", "state/run", "state/secrets", "ledger", "ledger/anchors",
)  # fmt: skip
_THEIRS = ("data", "state", "directory", "anchors")
_USER = re.compile(r"(\d{1,9}):(\d{1,9})")
_UNUSABLE = frozenset("'\"\\:,$#\n\r\t ")


@click.command("compose")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to make.")
@click.option("--user", metavar="UID:GID", help="Who owns it, and whom containers run as.  [default: you]")
@zone_option
@click.option("--language", "languages", type=click.Choice(["en", "zh"]), multiple=True, default=("en", "zh"),
              show_default=True, help="Of Grafana's dashboards; may be given twice.")  # fmt: skip
@click.option("--contact", type=click.Choice(["none", "email", "webhook"]), default="none", show_default=True,
              help="How Grafana's alert rules tell somebody.")  # fmt: skip
@click.option("--contact-file", type=click.Path(path_type=Path), metavar="FILE", help="File with that address, 0600.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
def compose_command(
    out: Path, user: str | None, zone: str, languages: tuple[str, ...], contact: str, contact_file: Path | None, *,
    as_json: bool,
) -> int:  # fmt: skip
    """Make what deploy/compose.yaml mounts: secrets, configuration, Grafana's files. Safe to repeat.

    \b
    Examples:
      accesstrail compose --out ./run
      accesstrail compose --out ./run --contact email --contact-file ./oncall-address
      docker compose --env-file ./run/compose.env --file deploy/compose.yaml up --detach

    Exit codes: 0 made, 2 wrong options, 70 a file cannot be written.
    """
    owner = _owner(user)
    folder = out.absolute()
    if set(str(folder)) & _UNUSABLE:
        raise UsageError("the folder's path may hold no blank, quote, colon or $: compose reads it from a variable")
    if (contact == "none") != (contact_file is None):
        raise UsageError("--contact email or webhook takes --contact-file, and nothing else does")
    address = secret_in(contact_file) if contact_file else ""
    for name in ("", *_FOLDERS):
        private_folder(folder / name)
    _write_secrets(folder, address)
    _write_configuration(folder, owner, zone)
    _write_grafana(folder, zone, languages, contact)
    _give(folder, owner)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "environment": str(folder / "compose.env")}))
    else:
        click.echo(f"start it: docker compose --env-file {folder}/compose.env --file deploy/compose.yaml up --detach")
        click.echo(f"Grafana's first login: admin, password in {folder}/secrets/grafana-admin")
    return EXIT_OK


def _owner(user: str | None) -> tuple[int, int]:
    """Who owns the folder. Raises: UsageError: root, whom no container runs as."""
    found = _USER.fullmatch(user) if user else None
    if user and found is None:
        raise UsageError("--user takes UID:GID, e.g. 10001:10001")
    owner = (int(found[1]), int(found[2])) if found else (os.geteuid(), os.getegid())
    if owner[0] == 0:
        raise UsageError("containers do not run as root: give --user UID:GID, e.g. --user 10001:10001")
    if os.geteuid() not in (0, owner[0]):
        raise UsageError("only root may make a folder for somebody else: leave out --user")
    return owner


def _write_secrets(folder: Path, address: str) -> None:
    kept = folder / "secrets"
    # `ensure_passwords` keeps what is there.
    digests = ensure_passwords(folder)
    write_text(folder / "clickhouse" / "users.xml", store_users_xml(digests))
    ensure_token_keys(kept / "token-keys")
    ensure_token_keys(kept / "vault-keys")
    signing_keys.ensure(KeyFiles(folder / "ledger" / "signing-key", folder / "ledger" / "ledger.pub"), "accesstrail")
    (folder / "ledger" / "ledger.pub").chmod(0o600)  # all in this folder is its owner's; give away a copy
    write_secret(kept / "grafana-admin", secrets.token_urlsafe(24))
    # Compose mounts it in any case; without a contact point nothing reads it.
    write_text(kept / "grafana-contact", f"{address or 'none'}\n")


def _write_configuration(folder: Path, owner: tuple[int, int], zone: str) -> None:
    private_folder(folder / "accesstrail")
    for path, text in _once(folder, zone):
        if not path.exists():
            write_text(path, text)
    write_text(folder / "clickhouse" / "config.xml", store_config_xml())
    write_text(folder / "kafka" / "server.properties", kafka_properties())
    variables = folder / "compose.env"
    found = re.search(r"^KAFKA_CLUSTER_ID=(\S+)$", variables.read_text(), re.MULTILINE) if variables.exists() else None
    write_text(variables, compose_env(str(folder), f"{owner[0]}:{owner[1]}", found[1] if found else cluster_id()))


def _once(folder: Path, zone: str) -> Iterator[tuple[Path, str]]:
    """What its owner may edit: never written over."""
    yield folder / "accesstrail" / "config.toml", config_toml(zone=zone)


def _write_grafana(folder: Path, zone: str, languages: tuple[str, ...], contact: str) -> None:
    chosen = tuple(one for one in ("en", "zh") if one in languages)
    wanted = Wanted(
        BOARDS, chosen, zone, Store("clickhouse", STORE_PORT, "accesstrail", tls=False, password=""), Contact(contact)
    )
    made: Mapping[str, str] = files(wanted)
    provisioning = folder / "grafana" / "provisioning"
    for name in ("dashboards", "datasources", "alerting", "plugins"):
        private_folder(provisioning / name)
    for path in provisioning.glob("dashboards/*.json"):
        if f"dashboards/{path.name}" not in made:
            path.unlink()
    for name, text in made.items():
        write_text(provisioning / name, text)


def _give(folder: Path, owner: tuple[int, int]) -> None:
    if os.geteuid() != 0:
        return
    for path in (*_ours(folder), *(folder / name for name in _FOLDERS)):
        os.chown(path, *owner, follow_symlinks=False)


def _ours(folder: Path) -> Iterator[Path]:
    """Everything that this command makes; not what the containers keep in it."""
    yield folder
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and path.name not in _THEIRS:
            yield from _ours(path)
        else:
            yield path
