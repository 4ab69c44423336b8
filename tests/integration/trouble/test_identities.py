"""Identities on the real stack: vaulted by a worker, revealed and erased by commands, told of before it is shown."""

from __future__ import annotations

import io
import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.clickhouse import connect
from pipeline.adapters.erasing import VaultEraser
from pipeline.adapters.vault import open_vault
from pipeline.cli import main
from pipeline.config import VAULT
from pipeline.errors import EXIT_FORBIDDEN, EXIT_UNAVAILABLE, EXIT_USAGE
from pipeline.events import DEFAULT_TENANT
from pipeline.ledger.signed_note import load_public_keys, verify
from pipeline.ports import Identity
from pipeline.privacy.keys import Keyring
from tests.accounts import token_file
from tests.conftest import Stack
from tests.systems import Gate, System, until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

REASON = "complaint of the person, who asked who looked"


def topic_salt(system: System) -> str:
    """Makes account names of this system alone."""
    return f"{system.topic}."


class Office:
    """A system, somebody with the role dpo, and what their commands say."""

    def __init__(self, system: System, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.system, self._capsys, self._monkeypatch = system, capsys, monkeypatch
        self.subject, self.actor = f"c-{uuid.uuid4().hex}", f"{topic_salt(system)}actor-0"
        self.keyring = Keyring.load(system.settings.protection.token_keys_file)
        self.dpo = f"dpo.{uuid.uuid4().hex[:12]}"
        self.own = ["--token-file", str(token_file(system.folder, self.dpo, "dpo"))]

    def token(self, kind: str, name: str) -> str:
        return self.keyring.token(DEFAULT_TENANT, kind, name).hex()

    def run(self, *words: str, given: str = "", own: list[str] | None = None) -> tuple[int, str, str]:
        """Exit code and both outputs of one command."""
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*words, "--config", str(self.system.config), *(self.own if own is None else own)])
        shown = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, shown.out, shown.err

    def reveal(self, kind: str, name: str) -> tuple[int, str]:
        code, shown, _ = self.run("reveal", self.token(kind, name), "--reason", REASON)
        return code, shown.strip()

    def preview(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("erase", self.subject, "--preview", "--json")[1])
        return found

    def erase(self, word: str, reason: str = REASON) -> tuple[int, str]:
        code, shown, _ = self.run("erase", self.subject, "--confirm", word, "--reason", reason)
        return code, shown

    def access(self, salt: str = "") -> None:
        """One access to the subject, sealed by a worker."""
        before = self.seen()
        with self.system.worker():
            self.system.produce(1, salt=f"{salt}{topic_salt(self.system)}", subject_ids=[self.subject])
            until(lambda: self.seen() > before, "the access")

    def seen(self) -> int:
        sql = "SELECT count() FROM accesstrail.subject_access WHERE hex(subject_token) = {token:String}"
        return int(self.system.reader.query(sql, {"token": self.token("subject", self.subject).upper()})[0][0])

    def keys(self) -> list[str]:
        client = connect(self.system.direct.clickhouse, VAULT)
        sql = "SELECT DISTINCT lower(hex(key_id)) FROM accesstrail_vault.vault_keys WHERE hex(token) = {token:String}"
        rows = client.query(sql, {"token": self.token("subject", self.subject).upper()})
        client.close()
        return [str(row[0]) for row in rows]

    def vault_directly(self) -> None:
        vault = open_vault(self.system.direct)
        assert vault is not None
        token = self.keyring.token(DEFAULT_TENANT, "subject", self.subject)
        vault.keep([Identity(DEFAULT_TENANT, "subject", token, self.subject)])
        vault.close()


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    made = System(stack, tmp_path / "system", f"identities.{uuid.uuid4().hex[:8]}", partitions=2)
    yield made
    made.close()


@pytest.fixture
def office(system: System, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(system, capsys, monkeypatch)


def test_a_token_is_revealed_to_the_dpo_with_a_reason_and_the_look_is_in_the_ledger(office: Office) -> None:
    office.access()
    assert office.reveal("subject", office.subject) == (0, office.subject)
    assert office.reveal("actor", office.actor) == (0, office.actor)
    assert office.reveal("subject", "nobody") == (1, "")
    token = office.token("subject", office.subject)
    code, shown, _ = office.run("reveal", token, "--reason", REASON, "--kind", "subject", "--json")
    body = json.loads(shown)
    assert (code, body["kind"], body["identity"]) == (0, "subject", office.subject)
    sql = (
        "SELECT resource_type, justification FROM accesstrail.access_events WHERE toString(event_id) = {id:String} "
        "AND action = 'unmask'"
    )
    with office.system.worker():
        until(lambda: bool(office.system.reader.query(sql, {"id": body["access_event"]})), "the reveal's access event")
    assert office.system.reader.query(sql, {"id": body["access_event"]}) == [("evidence.identity", REASON)]


def test_lists_of_incidents_holds_and_exceptions_are_looks_in_the_ledger(office: Office) -> None:
    for words in (("incidents", "list", "--all"), ("hold", "list"), ("exceptions", "list")):
        assert office.run(*words, "--json", "--reason", REASON)[0] == 0, words
    sql = (
        "SELECT resource_type, action, justification FROM accesstrail.access_events "
        "WHERE hex(actor_token) = {who:String} AND startsWith(resource_type, 'evidence.') ORDER BY resource_type"
    )
    who = {"who": office.token("actor", office.dpo).upper()}
    with office.system.worker():
        until(lambda: len(office.system.reader.query(sql, who)) == 3, "the three looks")
    found = office.system.reader.query(sql, who)
    assert found == [(f"evidence.{name}", "read", REASON) for name in ("holds", "incidents", "rules")]


def test_part_of_an_identity_is_shown_by_role_and_is_a_look_in_the_ledger(office: Office) -> None:
    office.access()
    token, who = office.token("subject", office.subject), f"soc.{uuid.uuid4().hex[:12]}"
    soc = ["--token-file", str(token_file(office.system.folder, who, "soc"))]
    code, shown, _ = office.run("reveal-masked", token, "--reason", REASON, own=soc)
    assert (code, shown) == (0, f"{office.subject[:1]}****{office.subject[-2:]}\n")
    code, shown, _ = office.run("reveal-masked", token, "--kind", "subject", "--json")
    assert (code, json.loads(shown)["policy"]) == (0, "auditor")
    assert json.loads(shown)["masked"] == f"{office.subject[:2]}****{office.subject[-2:]}"
    assert office.run("reveal-masked", office.token("subject", "nobody"))[0] == 1
    assert office.run("reveal-masked", token, own=[])[0] == EXIT_FORBIDDEN
    analyst = ["--token-file", str(token_file(office.system.folder, f"analyst.{uuid.uuid4().hex[:8]}", "analyst"))]
    assert office.run("reveal-masked", token, own=analyst)[0] == EXIT_FORBIDDEN
    sql = (
        "SELECT action, records_returned, justification FROM accesstrail.access_events "
        "WHERE hex(actor_token) = {who:String} AND resource_type = 'evidence.masked_identity'"
    )
    with office.system.worker():
        told = {"who": office.token("actor", who).upper()}
        until(lambda: bool(office.system.reader.query(sql, told)), "the look's access event")
    assert office.system.reader.query(sql, told) == [("audit_query", 1, REASON)]


def test_who_may_not_reveal_or_erase_does_not(office: Office) -> None:
    others = ["--token-file", str(token_file(office.system.folder, f"soc.{uuid.uuid4().hex[:12]}", "soc"))]
    token = office.token("subject", office.subject)
    for words in (("reveal", token, "--reason", REASON), ("erase", token, "--preview")):
        assert office.run(*words, own=others)[0] == EXIT_FORBIDDEN
        assert office.run(*words, own=[])[0] == EXIT_FORBIDDEN
    assert office.run("reveal", token, "--reason", "why not")[0] == EXIT_USAGE
    assert office.run("reveal", office.subject[:20], "--reason", REASON)[0] == EXIT_USAGE


def test_while_kafka_is_away_nothing_is_revealed_and_nothing_erased(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(1, is_open=False)
    topic = f"identities.{uuid.uuid4().hex[:8]}"
    office = Office(System(stack, tmp_path / "away", topic, partitions=2, kafka_port=gate.port), capsys, monkeypatch)
    office.vault_directly()
    code, shown, said = office.run("reveal", office.token("subject", office.subject), "--reason", REASON)
    assert (code, shown) == (EXIT_UNAVAILABLE, "")
    assert office.subject not in said
    assert office.erase(office.preview()["confirm"])[0] == EXIT_UNAVAILABLE
    assert len(office.keys()) == 1
    office.system.close()


def test_an_erasure_is_previewed_done_certified_and_final_until_the_person_comes_again(office: Office) -> None:
    office.access()
    before = office.keys()
    code, shown, _ = office.run("erase", "-", "--preview", "--json", given=f"{office.subject}\n")
    seen = json.loads(shown)
    assert (code, seen["identities"], seen["data_keys"], seen["evidence_rows"]) == (0, 1, 1, 1)
    assert office.erase("00000000")[0] == EXIT_USAGE
    assert office.keys() == before
    code, note = office.erase(seen["confirm"], f"{office.subject} asked for it")
    assert code == 0
    assert office.subject not in note
    public = office.system.settings.ledger.public_keys_file
    assert public is not None
    text, _ = verify(note.encode(), load_public_keys(public))
    facts: dict[str, Any] = json.loads(text.splitlines()[2])
    assert facts["tokens"] == [office.token("subject", office.subject)]
    assert facts["data_keys_destroyed"] == before
    assert (facts["identities_erased"], facts["evidence_rows_with_these_tokens"]) == (1, 1)
    assert (facts["reason"], facts["role"], facts["by"]) == ("[id] asked for it", "dpo", office.dpo)
    assert office.keys() == []
    assert office.reveal("subject", office.subject) == (1, "")
    assert office.seen() == 1  # evidence keeps its token
    assert office.run("erase", office.subject, "--preview")[0] == 1
    office.access("again")
    assert len(office.keys()) == 1
    assert office.keys() != before
    assert office.reveal("subject", office.subject) == (0, office.subject)


def test_whom_somebody_had_erased_the_directory_does_not_name_either(office: Office) -> None:
    office.vault_directly()
    rows = f"subject_id,flags\n{office.subject},vip\n"
    (office.system.folder / "directory" / "subjects.csv").write_text(rows, encoding="utf-8")
    assert office.erase(office.preview()["confirm"])[0] == 0
    assert office.reveal("subject", office.subject) == (1, "")


def test_an_erasure_that_was_cut_off_is_finished_by_the_same_command(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.vault_directly()
    word, whole = office.preview()["confirm"], VaultEraser.note

    def cut(self: VaultEraser, erasure_id: str, at_us: int, certificate: str = "") -> None:
        if certificate:
            raise OSError("killed here")
        whole(self, erasure_id, at_us, certificate)

    with monkeypatch.context() as patched:
        patched.setattr(VaultEraser, "note", cut)
        assert office.erase(word)[0] != 0
    seen = office.preview()
    assert seen["identities"] == 0
    code, note = office.erase(seen["confirm"])
    assert code == 0
    assert "erasure certificate" in note
    assert office.run("erase", office.subject, "--preview")[0] == 1


def test_under_a_legal_hold_nobody_is_erased(office: Office) -> None:
    office.access()
    words = ("hold", "place", "--subject", office.subject, "--reason", "lawsuit 2026-118", "--json")
    hold = json.loads(office.run(*words)[1])
    word = office.preview()["confirm"]
    code, _, said = office.run("erase", office.subject, "--confirm", word, "--reason", REASON)
    assert code == EXIT_USAGE
    assert hold["hold_id"] in said
    assert len(office.keys()) == 1
    second = ["--token-file", str(token_file(office.system.folder, f"dpo.{uuid.uuid4().hex[:12]}", "dpo"))]
    released = office.run("hold", "release", hold["hold_id"], "--reason", "the lawsuit has ended", own=second)
    assert released[0] == 0
    assert office.erase(word)[0] == 0
