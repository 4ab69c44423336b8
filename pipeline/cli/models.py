"""`accesstrail models`: which models were in force, what they are, who signed them; put another one in force.

What was in force is read from the activation log; manifests from the store's artefacts, as the role writer, since
readers see no content of artefacts; alerts as the role reader. What a person changes goes through the activation log.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from detectors.model import SIGNATURE, ModelFiles, read
from detectors.policy import level_in_words
from pipeline.accounts.model import Account
from pipeline.adapters.clickhouse import connect
from pipeline.cli.acting import acting_as
from pipeline.cli.changing import SHOWN_ID, Change, changing, finish, plain_reason, reasoned
from pipeline.cli.model_choice import IN_FORCE, choose, stored
from pipeline.cli.model_compare import compare_command, difference_lines
from pipeline.cli.model_watch import report_command, shadow_command
from pipeline.cli.options import settings_options
from pipeline.cli.table import aligned, moment_of
from pipeline.config import Settings
from pipeline.errors import EXIT_OK
from pipeline.ledger.signed_note import load_private_key, public_file_of, write_key_files
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.model_changes import Promotion, going_back
from pipeline.version_sets.model_signature import also_signed
from pipeline.version_sets.model_terms import ModelTerm, terms
from pipeline.version_sets.sets import MODEL_ROLLBACK, PROMOTE

_PATH = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


@click.group("models")
def models_command() -> None:
    """Show which models were in force and compare them; sign a model; put another one in force or go back.

    A MODEL is a folder that `accesstrail train` wrote, the hexadecimal id of a model that was in force (its first six
    digits or more), or `in-force`.
    """


models_command.add_command(compare_command)
models_command.add_command(shadow_command)
models_command.add_command(report_command)


# -- reading


@models_command.command("list")
@settings_options
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Latest models.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a model.")
def list_command(settings: Settings, limit: int, *, as_json: bool) -> int:
    """List every model that was in force, the latest first; the first line is in force now if it has no end.

    \b
    Examples:
      accesstrail models list --state ./state
      accesstrail models list --config /etc/accesstrail/config.toml --json
    """
    counts = _alerts(settings)
    with changing(settings) as change:
        history = change.access.activations.history(settings.kafka.events_topic)
        found = terms(history, time.time_ns() // 1000)[:limit]
        rows = [_row(change, term, counts) for term in found]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
        return EXIT_OK
    names = ("model", "since", "until", "kind", "threshold", "trained on", "rows", "signed by", "alerts a day")
    cells = [
        [
            row["model_id"][:SHOWN_ID], row["since"], row["until"] or "-", row["kind"], f"{row['threshold']:g}",
            f"{(row['trained_from'] or '-')[:10]} to {(row['trained_to'] or '-')[:10]}", row["rows"],
            row["signer"] or "-", row["alerts_per_day"],
        ]
        for row in rows
    ]  # fmt: skip
    for line in aligned(names, cells):
        click.echo(line)
    return EXIT_OK


def _alerts(settings: Settings) -> dict[str, int]:
    """How many alerts were raised under each version set; the system's own alarms are none of them."""
    sql = (
        "SELECT lower(hex(versions_id)), count() FROM accesstrail.alerts WHERE topic = {topic:String} "
        "AND NOT startsWith(detector, 'system:') GROUP BY versions_id"
    )
    with closing(connect(settings.clickhouse, "reader")) as reader:
        return dict(reader.query(sql, {"topic": settings.kafka.events_topic}))


def _row(change: Change, term: ModelTerm, counts: Mapping[str, int]) -> dict[str, Any]:
    files = stored(change.access.evidence, term.latest)
    about, signer = files.statements()["about"], term.latest.parts.get("model_signer", "")
    alerts = sum(counts.get(one.hex(), 0) for one in term.versions_ids)
    return {
        "model_id": files.model_id, "since": _moment(term.since_us), "until": _moment(term.until_us),
        "kind": term.kind, "threshold": term.latest.threshold / 100, "signer": signer, "rows": about.get("rows"),
        "trained_from": _moment(about.get("first_event_us")), "trained_to": _moment(about.get("last_event_us")),
        "days_in_force": round(term.days, 3), "alerts": alerts,
        "alerts_per_day": round(alerts / max(term.days, 1.0), 2),
    }  # fmt: skip


def _moment(time_us: int | None) -> str | None:
    return None if time_us is None else moment_of(time_us)


@models_command.command("show")
@click.argument("model", default=IN_FORCE, metavar="[MODEL]")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show_command(settings: Settings, model: str, *, as_json: bool) -> int:
    """Show one model: what it was trained on, its thresholds, the hashes of its files, its signature.

    Without MODEL: the one in force.

    \b
    Examples:
      accesstrail models show --state ./state
      accesstrail models show 3fa94c --state ./state --json
    """
    with changing(settings) as change:
        found = choose(model, change)
    document = {
        "model_id": found.files.model_id, **found.files.statements(),
        "signature": (found.files.signature or b"").decode(errors="replace") or None,
        "signer": found.activation.parts.get("model_signer", "") if found.activation else None,
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
        return EXIT_OK
    about = document["about"]
    click.echo(f"model {document['model_id']}")
    click.echo(f"  alerts       {level_in_words(document['threshold'])}")
    click.echo(f"  rules        from floor {document['rule_threshold'] / 100:g}")
    click.echo(f"  trained on   {_moment(about.get('first_event_us'))} to {_moment(about.get('last_event_us'))}")
    click.echo(f"  features     version {document['feature_version']}")
    for name, value in sorted(about.items()):
        if name not in ("first_event_us", "last_event_us"):
            click.echo(f"  {name:12} {json.dumps(value, ensure_ascii=False)}")
    for name, value in sorted(document["sha256"].items()):
        click.echo(f"  {name:12} {value}")
    for line in (document["signature"] or "  - nobody has signed it\n").splitlines():
        click.echo(f"  | {line}")
    return EXIT_OK


# -- signing


@models_command.command("keygen")
@click.argument("file", type=_PATH)
@click.option("--name", required=True, help="Who signs: one word without plus signs, e.g. security-team.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def keygen_command(file: Path, name: str, *, as_json: bool) -> int:
    """Make a key pair to sign models with: FILE holds the private key (0600), beside it FILE.pub the public one.

    Keep the private key where models are trained, never where they are used. The public key goes into the file that
    [detection] model_public_keys names. An existing file is never overwritten.

    \b
    Example:
      accesstrail models keygen /secure/model.key --name security-team
    """
    public = write_key_files(file, name)
    if as_json:
        names = {"private_key_file": str(file), "public_key_file": str(public_file_of(file)), "public_key": str(public)}
        click.echo(json.dumps(names))
    else:
        click.echo(f"{public}")
        click.echo(f"private key in {file}, public key in {public_file_of(file)}", err=True)
    return EXIT_OK


@models_command.command("sign")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--key", "key_file", type=_PATH, required=True, help="Private key of `models keygen`.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def sign_command(folder: Path, key_file: Path, *, as_json: bool) -> int:
    """Sign the model in DIR; signatures of others on the same model stay.

    The model is checked first: hashes, version of the features, golden rows.

    \b
    Example:
      accesstrail models sign model --key /secure/model.key
    """
    key = load_private_key(key_file)
    files = read(folder)
    files.model()
    _write_signature(folder, also_signed(files, key))
    if as_json:
        click.echo(json.dumps({"model_id": files.model_id, "signer": key.public.identity}))
    else:
        click.echo(f"model {files.model_id[:SHOWN_ID]} signed by {key.public.identity}")
    return EXIT_OK


def _write_signature(folder: Path, signature: bytes) -> None:
    """In one step: a worker that looks at the folder sees the old signature or the new one."""
    beside = folder.with_name(f".{folder.name}.signature.{os.getpid()}")
    try:
        beside.write_bytes(signature)
        beside.replace(folder / SIGNATURE)
    finally:
        beside.unlink(missing_ok=True)


# -- changing


@models_command.command("promote")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--keep-threshold", is_flag=True, help="Keep the alert threshold in force instead of the model's own.")
@reasoned
@settings_options
@acting_as("manage_models")
def promote_command(
    settings: Settings, folder: Path, reason: str, account: Account, *, keep_threshold: bool, as_json: bool
) -> int:
    """Put the model in DIR in force; no restart, no file of the running system is touched.

    Refused: a model that is damaged, of another version of the features, of golden rows that score otherwise here, or
    unsigned where signatures are asked for. It says what changes; whether the change is good, `models compare` says.
    The model stays in force until [detection] model gives another one; a changed directory leaves it alone.

    \b
    Examples:
      accesstrail models promote model-november --reason 'monthly retraining' --state ./state
      accesstrail models promote model-november --keep-threshold --reason 'same budget' --state ./state

    Exit codes: 0 in force, 2 usage or refused, 69 unreachable, 77 not allowed, 78 configuration.
    """
    requester, why = Requester(account.name), plain_reason(reason)
    with changing(settings) as change:
        promotion = Promotion.of(folder, change.activator.files)
        decide = promotion.edit(keep_threshold=keep_threshold)
        access, topic = change.access, settings.kafka.events_topic
        newest = access.activations.newest(topic)
        before = stored(access.evidence, newest) if newest is not None and "model" in newest.parts else None
        made = change.activator.change(access.evidence, access.activations, PROMOTE, decide, requester, why)
        _say_changes(before, promotion.checked.files, newest.threshold if newest else 0, made.threshold)
        return finish(change, made, as_json=as_json)


@models_command.command("rollback")
@reasoned
@settings_options
@acting_as("manage_models")
def rollback_command(settings: Settings, reason: str, account: Account, *, as_json: bool) -> int:
    """Put the model in force again that was in force before the present one, with the alert policy it had.

    Directory, configuration and exceptions stay as they are now; to go back in everything see `versions rollback`. It
    stays until [detection] model gives another model. Twice returns to where you were.

    \b
    Example:
      accesstrail models rollback --reason 'the new model misses exports' --state ./state

    Exit codes: 0 in force, 2 usage or refused, 69 unreachable, 77 not allowed, 78 configuration.
    """
    requester, why = Requester(account.name), plain_reason(reason)
    with changing(settings) as change:
        access = change.access
        history = access.activations.history(settings.kafka.events_topic)
        earlier, decide = going_back(history, access.evidence, change.activator.files)
        before = stored(access.evidence, history[-1]) if "model" in history[-1].parts else None
        made = change.activator.change(access.evidence, access.activations, MODEL_ROLLBACK, decide, requester, why)
        _say_changes(before, stored(access.evidence, earlier), history[-1].threshold, made.threshold)
        return finish(change, made, as_json=as_json)


def _say_changes(before: ModelFiles | None, after: ModelFiles, old_threshold: int, new_threshold: int) -> None:
    """What the change changes, on standard error."""
    old_id = before.model_id[:SHOWN_ID] if before else "none"
    click.echo(f"model {old_id} to {after.model_id[:SHOWN_ID]}", err=True)
    click.echo(f"  alerts {level_in_words(old_threshold)} to {level_in_words(new_threshold)}", err=True)
    for line in difference_lines(before.statements(), after.statements()) if before else ():
        click.echo(f"  {line}", err=True)
