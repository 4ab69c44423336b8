"""`accesstrail dashboards export | provision | publish | diff`: the boards in Grafana.

Place in the flow: beside it; reads the configuration's section [grafana] and secret files, hands both to
`dashboards/grafana`. What speaks to Grafana is imported only by the commands that do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from dashboards.panels.asked import zone_of
from dashboards.panels.boards import BOARDS
from pipeline.cli.options import settings_options
from pipeline.config import GRAFANA, Settings
from pipeline.errors import EXIT_DIFFERENCES, EXIT_OK, ConfigError, UsageError
from pipeline.private_files import line_in

if TYPE_CHECKING:
    from dashboards.grafana.client import Grafana
    from dashboards.grafana.publish import Look, Wanted
    from dashboards.grafana.views import Language

_DONE = {"missing": "created", "differs": "updated", "same": "unchanged"}
Result = TypeVar("Result")


def _languages(command: Callable[..., Result]) -> Callable[..., Result]:
    return click.option(
        "--language", "languages", type=click.Choice(["en", "zh"]), multiple=True, default=("en",), show_default=True,
        help="Of the dashboards; may be given twice: one dashboard a language.",
    )(command)  # fmt: skip


def _zone(context: click.Context, option: click.Parameter, text: str) -> str:
    return zone_of(text).key


_OUT = click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where files go.")
_ZONE = click.option(
    "--zone", default="Asia/Shanghai", show_default=True, metavar="NAME", callback=_zone,
    help="Whose days and hours count.",
)  # fmt: skip
_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")


@click.command("export")
@_OUT
@_languages
@_ZONE
@_JSON
def export_command(out: Path, languages: Sequence[Language], zone: str, *, as_json: bool) -> int:
    """Write one Grafana dashboard a board as a JSON file; needs no running system.

    Import them in Grafana (Dashboards, New, Import), 10 to 13 with the ClickHouse plugin 4.15 or newer.

    \b
    Examples:
      accesstrail dashboards export --out ./boards
      accesstrail dashboards export --out ./boards --language en --language zh --zone Asia/Shanghai

    Exit codes: 0 written, 2 no such zone, or a file cannot be written.
    """
    from dashboards.grafana.provisioning import board_files
    from dashboards.grafana.publish import Store, Wanted

    nowhere = Store("", 0, "", tls=False, password="")
    _write(out, board_files(Wanted(BOARDS, tuple(dict.fromkeys(languages)), zone, nowhere)), as_json=as_json)
    return EXIT_OK


@click.command("provision")
@_OUT
@_languages
@_ZONE
@click.option("--store-host", default="clickhouse", show_default=True, help="The store as Grafana reaches it.")
@click.option("--store-port", type=click.IntRange(1, 65535), default=9000, show_default=True, help="Its native port.")
@click.option("--store-tls", is_flag=True, help="Grafana speaks TLS to it.")
@click.option("--password-file", default="/run/secrets/clickhouse-grafana", show_default=True, metavar="PATH",
              help="The role grafana's password, where Grafana finds it.")  # fmt: skip
@click.option("--contact", type=click.Choice(["none", "email", "webhook"]), default="none", show_default=True,
              help="How alert rules tell somebody; none: Grafana's default policy says.")  # fmt: skip
@click.option("--contact-file", default="/run/secrets/grafana-contact", show_default=True, metavar="PATH",
              help="That address, where Grafana finds it.")  # fmt: skip
@click.option("--dashboards-folder", default="/etc/grafana/provisioning/dashboards", show_default=True, metavar="PATH",
              help="The written folder `dashboards`, where Grafana finds it.")  # fmt: skip
@click.option("--silence-after", "silence_after_s", type=click.IntRange(60), default=86_400, show_default=True,
              metavar="SECONDS", help="A source that is silent for longer: an alert.")  # fmt: skip
@_JSON
def provision_command(
    out: Path, languages: Sequence[Language], zone: str, store_host: str, store_port: int, password_file: str,
    contact: str, contact_file: str, dashboards_folder: str, silence_after_s: int, *, store_tls: bool, as_json: bool,
) -> int:  # fmt: skip
    """Write Grafana's provisioning files: data source, dashboards, alert rules; needs no running system.

    Mount the folder as Grafana's provisioning folder and start it again. No file holds a secret: Grafana reads
    password and address from the files named here.

    \b
    Examples:
      accesstrail dashboards provision --out ./provisioning
      accesstrail dashboards provision --out ./provisioning --language zh --contact email
      accesstrail dashboards provision --out ./provisioning --store-host ch.example.com --store-port 9440 --store-tls

    Exit codes: 0 written, 2 no such zone, or a file cannot be written.
    """
    from dashboards.grafana.provisioning import files
    from dashboards.grafana.publish import Contact, Store, Wanted

    wanted = Wanted(
        BOARDS, tuple(dict.fromkeys(languages)), zone, Store(store_host, store_port, "accesstrail", store_tls, ""),
        Contact(contact), silence_after_s=silence_after_s,
    )  # fmt: skip
    made = files(
        wanted, dashboards_folder=dashboards_folder, password_file=password_file, contact_file=contact_file
    )  # fmt: skip
    _write(out, made, as_json=as_json)
    return EXIT_OK


@click.command("publish")
@settings_options
@_languages
@click.option("--renew-password", is_flag=True, help="Send the data source's password although nothing else differs.")
@_JSON
def publish_command(settings: Settings, languages: Sequence[Language], *, renew_password: bool, as_json: bool) -> int:
    """Put folder, data source, dashboards and alert rules into the Grafana of [grafana] url; twice changes nothing.

    Only what differs is written, and never a dashboard that is not one of ours, nor one that changed meanwhile.

    \b
    Examples:
      accesstrail dashboards publish --config /etc/accesstrail/config.toml
      accesstrail dashboards publish --config /etc/accesstrail/config.toml --language en --language zh --json

    Exit codes: 0 published, 2 Grafana refuses or is too old, 69 unreachable, 77 the token may not, 78 configuration.
    """
    from dashboards.grafana.publish import publish

    grafana, wanted = _connected(settings, languages)
    for one in publish(grafana, wanted, renew_password=renew_password):
        _tell(one, _DONE[one.state], as_json=as_json)
    return EXIT_OK


@click.command("diff")
@settings_options
@_languages
@_JSON
def diff_command(settings: Settings, languages: Sequence[Language], *, as_json: bool) -> int:
    """Say how the Grafana of [grafana] url differs from what publish would put there; changes nothing.

    Places are named, values are not: they may be secrets.

    \b
    Examples:
      accesstrail dashboards diff --config /etc/accesstrail/config.toml
      accesstrail dashboards diff --config /etc/accesstrail/config.toml --json

    Exit codes: 0 the same, 1 differences, 2 Grafana refuses or is too old, 69 unreachable, 77 the token may not.
    """
    from dashboards.grafana.publish import differences

    grafana, wanted = _connected(settings, languages)
    found = differences(grafana, wanted)
    for one in found:
        _tell(one, one.state, as_json=as_json)
    return EXIT_DIFFERENCES if any(one.state != "same" for one in found) else EXIT_OK


def _connected(settings: Settings, languages: Sequence[Language]) -> tuple[Grafana, Wanted]:
    """The Grafana of the configuration, its version looked at, and what should be there."""
    from dashboards.grafana.client import Grafana

    chosen = settings.grafana
    if not chosen.url or chosen.token_file is None:
        raise ConfigError(["[grafana] url and token_file are missing: where to publish to, and as whom"])
    wanted = wanted_of(settings, languages)
    grafana = Grafana(chosen.url, chosen.token_file, ca_file=chosen.ca_file)
    grafana.version()
    return grafana, wanted


def wanted_of(settings: Settings, languages: Sequence[Language]) -> Wanted:
    """What the configuration says should be in Grafana. Raises: ConfigError: a secret is missing."""
    from dashboards.grafana.publish import Contact, Store, Wanted

    chosen, store = settings.grafana, settings.clickhouse
    if GRAFANA not in store.password_files:
        raise ConfigError(["[clickhouse] grafana_password_file is missing: the data source asks as a role of its own"])
    contact = Contact()
    if chosen.contact_file is not None and chosen.contact != "none":
        contact = Contact(chosen.contact, _secret(chosen.contact_file))
    return Wanted(
        boards=BOARDS,
        languages=tuple(dict.fromkeys(languages)),
        zone=settings.detection.default_time_zone,
        store=Store(
            chosen.store_host or store.host, chosen.store_port or store.native_port, store.database, chosen.store_tls,
            _secret(store.password_files[GRAFANA]),
        ),
        contact=contact,
        everyone=chosen.viewers == "everyone",
        silence_after_s=chosen.silence_after_s,
    )  # fmt: skip


def _secret(path: Path) -> str:
    text, fault = line_in(path)
    if fault:
        raise ConfigError([f"{path} {fault}"])
    return text


def _tell(one: Look, word: str, *, as_json: bool) -> None:
    if as_json:
        document = {"kind": one.kind, "name": one.name, "state": word, "places": list(one.places)}
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    click.echo(f"{word:10} {one.kind} {one.name}")
    if word == "differs":
        for place in one.places:
            click.echo(f"           {place}")


def _write(folder: Path, made: Mapping[str, str], *, as_json: bool) -> None:
    """Each file in one step: whoever reads the folder meanwhile sees the old text or the new.

    Raises: UsageError: it cannot be written.
    """
    for name, text in made.items():
        path = folder / name
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        except OSError as exc:
            raise UsageError(f"{path} cannot be written: {exc.strerror}") from None
        click.echo(json.dumps({"file": str(path)}) if as_json else str(path))
