"""`accesstrail erase`: takes a person's identity out of the vault for good, and signs what was done.

Place in the flow: beside it, for whoever answers a request for deletion (PIPL article 47, GDPR article 17). Two steps:
a preview that says what would go, and the erasure, which asks for the preview's word. Order: legal holds are asked, the
access event is acknowledged by Kafka, identity and key are destroyed, the certificate is signed and kept.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import click

from dashboards.console.pages.reveal import LONGEST_REASON, SHORTEST_REASON
from pipeline.accounts.model import Account
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.erasing import StoredHolds, VaultEraser
from pipeline.adapters.person_tokens import every_token
from pipeline.audit.identifiers import TokenMaker
from pipeline.audit.reads import Read
from pipeline.cli.acting import acting_as, now_us
from pipeline.cli.announcing import announce
from pipeline.cli.options import settings_options
from pipeline.config import VAULT, Settings
from pipeline.errors import EXIT_DIFFERENCES, EXIT_OK, ConfigError, UsageError
from pipeline.events import DEFAULT_TENANT
from pipeline.ledger import signing_keys
from pipeline.ledger.signed_note import PrivateKey, sign
from pipeline.ports import LegalHolds
from pipeline.privacy.erasure import Erasure, certificate_text, confirmation
from pipeline.privacy.keys import Keyring
from pipeline.privacy.masks import mask_text

_ROLE = "dpo"
_EVIDENCE = (
    "SELECT count() FROM accesstrail.{view} WHERE tenant_id = {{tenant:String}} AND {column} IN "
    "(SELECT toFixedString(unhex(arrayJoin({{tokens:Array(String)}})), 16))"
)
_COLUMNS = {"subject": ("subject_access", "subject_token"), "actor": ("access_events", "actor_token")}


@dataclass(frozen=True, slots=True)
class _Found:
    """What an erasure would take out."""

    tokens: tuple[str, ...]
    key_ids: list[str]
    identities: int
    evidence_rows: int
    is_unfinished: bool

    @property
    def word(self) -> str:
        return confirmation(self.tokens, self.key_ids)

    @property
    def is_nothing(self) -> bool:
        return not (self.identities or self.key_ids or self.is_unfinished)


@click.command("erase")
@click.argument("subject_id")
@click.option("--kind", type=click.Choice(list(_COLUMNS)), default="subject", show_default=True, help="Whose identity.")
@click.option("--preview", is_flag=True, help="Say what would be erased, and the word that --confirm takes.")
@click.option("--confirm", "word", metavar="WORD", default="", help="The preview's word.")
@click.option("--reason", default="", help=f"Why, in {SHORTEST_REASON} characters or more; it is kept.")
@click.option("--case", "case_ref", default="", help="The request that it answers.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
@settings_options
@acting_as("erase_identity")
def erase_command(
    settings: Settings, subject_id: str, kind: str, word: str, reason: str, case_ref: str, *, preview: bool,
    as_json: bool, account: Account,
) -> int:  # fmt: skip
    """Erase who is behind a data subject's tokens. SUBJECT_ID: its id, its token, or - to read it from standard input.

    It takes the role dpo. What is destroyed are the encrypted identity and its key; evidence keeps the token, so that
    the ledger stays whole, and nobody here can turn the token back. An access after the erasure is new: it is kept
    again, under a new key. The certificate is a signed note; check it with the ledger's public keys.

    \b
    Examples:
      accesstrail erase - --preview --state ./state
      accesstrail erase - --confirm 1f0c9a22 --reason "request of 2026-11-20" --case R-7 --state ./state

    Exit codes: 0 erased or previewed, 1 the vault holds nothing, 2 wrong use or a legal hold, 69 unreachable, 77 no.
    """
    identifier = sys.stdin.readline().strip() if subject_id == "-" else subject_id
    named = TokenMaker(Keyring.load(settings.protection.token_keys_file), DEFAULT_TENANT).named(kind, identifier)
    tokens = _every_token(settings, named.tokens)
    with _erasing(settings, kind, tokens) as eraser:
        found = _look(settings, eraser, kind, tokens)
        if preview or found.is_nothing:
            return _tell_preview(found, as_json=as_json)
        why = _checked(found, word, reason)
        if named.identifier:  # what is erased shall not come back in the words about it
            why, case_ref = (text.replace(named.identifier, "[id]") for text in (why, case_ref))
        with closing(connect(settings.clickhouse, "reader")) as reader:
            refuse_held(StoredHolds(reader), kind, tokens)
        note = _erase(settings, eraser, kind, found, account, why, case_ref)
    click.echo(json.dumps({"erased": True, "certificate": note}, ensure_ascii=False) if as_json else note, nl=as_json)
    return EXIT_OK


def _every_token(settings: Settings, tokens: tuple[str, ...]) -> tuple[str, ...]:
    """With those of the same person under other keys: the vault holds somebody once for each, and all of it must go."""
    with closing(connect(settings.clickhouse, "reader")) as reader:
        return every_token(reader, {"who": tokens})["who"]


def refuse_held(holds: LegalHolds, kind: str, tokens: tuple[str, ...]) -> None:
    """Raises: UsageError `legal_hold`: somebody must still be able to say who this is."""
    held = holds.holding(DEFAULT_TENANT, kind, tokens)
    if held:
        raise UsageError(
            f"a legal hold is on this identity ({', '.join(held)}): it is not erased before that ends",
            code="legal_hold",
        )


@contextmanager
def _erasing(settings: Settings, kind: str, tokens: tuple[str, ...]) -> Iterator[VaultEraser]:
    if settings.protection.vault_keys_file is None:
        raise ConfigError(["[protection] vault_keys_file is not set: there is no vault to erase from"])
    client = connect(settings.clickhouse, VAULT)
    try:
        yield VaultEraser(client, DEFAULT_TENANT, kind, tokens)
    finally:
        client.close()


def _look(settings: Settings, eraser: VaultEraser, kind: str, tokens: tuple[str, ...]) -> _Found:
    view, column = _COLUMNS[kind]
    reader = connect(settings.clickhouse, "reader")
    try:
        sql = _EVIDENCE.format(view=view, column=column)
        rows = reader.query(sql, {"tenant": DEFAULT_TENANT, "tokens": list(tokens)})[0][0]
    finally:
        reader.close()
    return _Found(tokens, eraser.key_ids(), eraser.identities(), rows, eraser.is_unfinished())


def _tell_preview(found: _Found, *, as_json: bool) -> int:
    body = {
        "tokens": list(found.tokens), "identities": found.identities, "data_keys": len(found.key_ids),
        "evidence_rows": found.evidence_rows, "confirm": "" if found.is_nothing else found.word,
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(body))
    elif found.is_nothing:
        click.echo("the vault holds nobody under this id; evidence has tokens only", err=True)
    else:
        click.echo(
            f"would erase {found.identities} identity(ies) and {len(found.key_ids)} key(s); "
            f"{found.evidence_rows} row(s) of evidence keep their token\nto do it: --confirm {found.word} --reason TEXT"
        )
    return EXIT_DIFFERENCES if found.is_nothing else EXIT_OK


def _checked(found: _Found, word: str, reason: str) -> str:
    if word != found.word:
        raise UsageError("look first: --preview says the word that --confirm takes; it changes with what is there")
    if not SHORTEST_REASON <= len(reason.strip()) <= LONGEST_REASON:
        raise UsageError(f"say why, in {SHORTEST_REASON} to {LONGEST_REASON:,} characters", code="short_reason")
    return " ".join(reason.split())


def _erase(
    settings: Settings, eraser: VaultEraser, kind: str, found: _Found, account: Account, reason: str, case_ref: str
) -> str:
    """Announces, erases, signs; the certificate. Raises: Away; ConfigError: nothing was done."""
    key = _signing_key(settings)
    read = Read(
        look="erase", account=account.name, read_id=str(uuid.uuid4()), at_us=now_us(),
        rows=found.identities, about=f"{kind}:{found.tokens[0]}", reason=reason, channel="api", case_ref=case_ref,
    )  # fmt: skip
    announce(settings.kafka, read)
    eraser.note(read.read_id, now_us())
    eraser.erase()
    done = Erasure(
        erasure_id=read.read_id, tenant=DEFAULT_TENANT, kind=kind, tokens=found.tokens, key_ids=found.key_ids,
        identities=found.identities, evidence_rows=found.evidence_rows, account=account.name, role=_ROLE,
        # The reason is a person's words: what they say about somebody does not outlive the erasure.
        reason=mask_text(reason), case_ref=mask_text(case_ref), holds_asked="none in force", erased_at_us=now_us(),
    )  # fmt: skip
    note = sign(certificate_text(done, settings.ledger.deployment), [key]).decode()
    eraser.note(read.read_id, done.erased_at_us, note)
    return note


def _signing_key(settings: Settings) -> PrivateKey:
    files = settings.ledger.signing_key_file, settings.ledger.public_keys_file
    if files[0] is None or files[1] is None:
        raise ConfigError(
            ["[ledger] signing_key_file and public_keys_file: an erasure's certificate is signed with them"]
        )
    return signing_keys.current(signing_keys.KeyFiles(files[0], files[1]))
