"""`accesstrail evidence export`: a bundle that a stranger verifies with public keys only.

Place in the flow: beside it. What leaves the house leaves as an account, with a reason; the whole log takes two people.
The bundle gets its name only when Kafka has acknowledged the access event that tells of it.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import click

from pipeline.accounts.model import Account
from pipeline.adapters.bundle_reading import StoredEvidence
from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.audit.evidence import (
    TELLING,
    EvidenceSource,
    EvidenceTree,
    Exported,
    are_signed,
    by_tree,
    export_incidents,
    export_range,
    export_selection,
)
from pipeline.audit.reads import Read
from pipeline.cli.acting import acting_together, now_us, second_token_file_option, token_file_option
from pipeline.cli.admitting import admitted
from pipeline.cli.announcing import announce_look
from pipeline.cli.options import moment, settings_options, us_of
from pipeline.cli.table import moment_of
from pipeline.config import Settings
from pipeline.errors import ConfigError, UsageError
from pipeline.events import DEFAULT_TENANT, LogPosition
from pipeline.ledger.bundle_form import RANGE, SELECTION
from pipeline.ledger.bundle_writing import BundleWriter
from pipeline.privacy.keys import Keyring

SIGNED_WITHIN_S, _LOOK_AGAIN_S = 10.0, 0.25
"""How long rows that were just sealed are waited for; a notary signs within two seconds."""
_MOST_ROWS = 100_000
_ALL_TIME_US = (0, 2**62)


@click.group("evidence")
def evidence_command() -> None:
    """Export evidence as a bundle that anybody verifies without this system."""


class Wanted(NamedTuple):
    """What somebody asked for. `kind`: actor, subject or resource, "" for a range of the log."""

    kind: str
    identifier: str
    from_us: int
    until_us: int
    tenant: str

    @property
    def query(self) -> dict[str, str]:
        """As it stands in the manifest: no identity."""
        bounds = {"from": self.from_us, "to": self.until_us}
        shown = {name: moment_of(value) for name, value in bounds.items() if value not in _ALL_TIME_US}
        return {**shown, **({"by": self.kind} if self.kind else {})}


@evidence_command.command("export")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to make; must not exist.")
@click.option("--actor", help="Only what this account did.")
@click.option("--subject", help="Only who touched this data subject.")
@click.option("--resource", help="Only who used this object.")
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Tenant the id belongs to.")
@click.option("--from", "since", callback=moment, help="First time, included.")
@click.option("--to", "until", callback=moment, help="Last time, excluded.")
@click.option("--reason", required=True, help="Why; it stands in the log.")
@click.option("--case", "case_ref", default="", help="Work item that this belongs to.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@token_file_option
@second_token_file_option
@settings_options
def export_command(
    settings: Settings, out: Path, actor: str | None, subject: str | None, resource: str | None, tenant: str,
    since: datetime | None, until: datetime | None, reason: str, case_ref: str, token_file: Path | None,
    second_token_file: Path | None, *, as_json: bool,
) -> None:  # fmt: skip
    """Write a bundle: a range of the whole log (two people), or the accesses of one actor, subject or resource.

    A range holds the log of incidents too, whole. It proves that nothing is missing inside it; a selection proves that
    each row is in the signed log. Times are when the broker received an event (a range) or when the access happened (a
    selection).

    \b
    Examples:
      accesstrail evidence export --subject c-100042 --out ./bundle --reason "case 17" --state ./state
      accesstrail evidence export --from 2026-11-01 --to 2026-11-08 --out ./week --reason "yearly audit" \\
          --token-file me.token --second-token-file other.token --state ./state
    """
    given = {kind: text for kind, text in (("actor", actor), ("subject", subject), ("resource", resource)) if text}
    if len(given) > 1:
        raise UsageError("give one of --actor, --subject, --resource, or none for a range of the whole log")
    if not reason.strip():
        raise UsageError("--reason says why, in a few words")
    [(kind, identifier)] = given.items() or [("", "")]
    wanted = Wanted(kind, identifier, us_of(since, _ALL_TIME_US[0]), us_of(until, _ALL_TIME_US[1]), tenant)
    action = "export_evidence" if kind else "export_bulk"
    admitted(settings, token_file, action, why=reason.strip(), case_ref=case_ref)
    account, second = acting_together(settings.state_dir, token_file, second_token_file, action)
    draft = out.with_name(f".{out.name}.unfinished")
    if out.exists() or draft.exists():
        raise UsageError(f"{out} exists, or an unfinished export of it does ({draft.name}): it is not overwritten")
    why = (reason.strip(), case_ref)
    try:
        exported, fingerprint = _write(settings, wanted, draft)
        _tell(settings, account, second, wanted, exported.rows, fingerprint, why)
        draft.rename(out)
    except UsageError as exc:
        if exc.code in TELLING:
            _tell(settings, account, second, wanted, 0, "", why)
        raise
    except OSError as exc:
        raise ConfigError([f"--out: {out} cannot be written: {exc.strerror}"]) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    document = {"bundle": str(out), "manifest_sha256": fingerprint, "rows": exported.rows, "trees": exported.trees,
                "unsigned_leaves": exported.unsigned, "kind": SELECTION if kind else RANGE}  # fmt: skip
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else _told(document))


def _write(settings: Settings, wanted: Wanted, folder: Path) -> tuple[Exported, str]:
    with closing(connect(settings.clickhouse, "reader")) as questions:
        source = StoredEvidence(questions)
        with BundleWriter(folder, settings.ledger.deployment) as bundle:
            trees = source.trees()
            if wanted.kind:
                offsets = by_tree(_places(settings, questions, wanted), trees)
                await_signed(source, offsets)
                exported = export_selection(source, offsets, bundle)
            else:
                exported = export_range(source, trees, wanted.from_us, wanted.until_us, bundle)
                exported = exported.plus(export_incidents(source, bundle))
            add_keys(settings, bundle)
            return exported, bundle.finish(SELECTION if wanted.kind else RANGE, wanted.query, now_us())


def await_signed(
    source: EvidenceSource, offsets: Mapping[EvidenceTree, Sequence[int]],
    sleep: Callable[[float], None] = time.sleep, monotonic: Callable[[], float] = time.monotonic,
) -> None:  # fmt: skip
    """Returns when a checkpoint covers these rows, or after SIGNED_WITHIN_S: the export then says what is missing.

    Whoever is refused asks again, and a refused look is itself an access to this data subject: without the wait, the
    one that was just recorded would be what the next attempt is refused for.
    """
    ends_s = monotonic() + SIGNED_WITHIN_S
    while not are_signed(source, offsets) and monotonic() < ends_s:
        sleep(_LOOK_AGAIN_S)


def add_keys(settings: Settings, bundle: BundleWriter) -> None:
    """For convenience only: whoever verifies has them from elsewhere."""
    public = settings.ledger.public_keys_file
    if public is not None and public.exists():
        bundle.file("keys.pub", public.read_bytes())


def _places(settings: Settings, questions: ClickHouse, wanted: Wanted) -> list[tuple[LogPosition, int]]:
    """Where the accesses lie. Raises: UsageError: none, or too many for one selection."""
    keyring = Keyring.load(settings.protection.token_keys_file)
    kinds = ("resource", "subject") if wanted.kind == "resource" else (wanted.kind,)
    tokens = [token.hex() for one in kinds for token in keyring.tokens(wanted.tenant, one, wanted.identifier)]
    places = StoredEvidence(questions).places(
        wanted.kind, wanted.tenant, tokens, (wanted.from_us, wanted.until_us), _MOST_ROWS + 1
    )
    if not places:
        raise UsageError("there is no such access: nothing is exported", code="nothing_found")
    if len(places) > _MOST_ROWS:
        raise UsageError(
            f"more than {_MOST_ROWS:,} accesses: narrow it with --from and --to, or export a range", code="export_large"
        )
    return places


def _tell(
    settings: Settings, account: Account, second: Account | None, wanted: Wanted, rows: int,
    fingerprint: str, why: tuple[str, str],
) -> None:  # fmt: skip
    """Returns when Kafka has the access event. Raises: Away: it has not, so nothing leaves."""
    read = Read(
        look="export", account=account.name, read_id=str(uuid.uuid4()), at_us=now_us(), rows=rows,
        about="bundle", reason=why[0], channel="batch", fingerprint=fingerprint, case_ref=why[1],
        subject_ids=(wanted.identifier,) if wanted.kind == "subject" else (),
        approval_ref=second.name if second is not None else "",
    )  # fmt: skip
    announce_look(settings, read)


def _told(document: dict[str, object]) -> str:
    lines = [
        f"{document['bundle']}: {document['rows']:,} rows of {document['trees']} tree(s), {document['kind']}",
        f"manifest SHA-256 {document['manifest_sha256']}",
    ]
    if document["unsigned_leaves"]:
        lines.append(f"{document['unsigned_leaves']:,} leaves are behind no signed checkpoint yet: export again later")
    lines.append(f"verify: accesstrail verify --bundle {document['bundle']} --keys KEYS")
    return "\n".join(lines)
