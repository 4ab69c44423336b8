"""The evidence pages over the real store, broker, worker and notary: a search finds the look that came before it."""

from __future__ import annotations

import html
import io
import re
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from starlette.testclient import TestClient

from dashboards.console.app import console_app
from dashboards.console.ports import Parts
from pipeline.adapters.account_secrets import Credentials
from pipeline.adapters.accounts import open_accounts
from pipeline.cli.console import console_parts
from pipeline.cli.console_accounts import ConsoleAccounts
from pipeline.events import DEFAULT_TENANT
from pipeline.ledger.bundle_check import verify_bundle
from pipeline.ledger.signed_note import load_public_keys
from pipeline.privacy.keys import Keyring
from tests.accounts import cheap_passwords
from tests.conftest import Stack
from tests.console import ORIGIN, PASSWORD, post
from tests.systems import System

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
NOW_US = 1_790_000_000_000_000


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    made = System(stack, tmp_path / "system", f"console.{uuid.uuid4().hex[:8]}", partitions=2)
    (made.folder / "directory" / "actors.csv").write_text(
        "actor_id,actor_type,org,department,role,manager_id,site,hired_on,leaves_on,status,mfa_required\n"
        "actor-3,employee,bank,retail,advisor,,,,,active,true\n",
        encoding="utf-8",
    )
    yield made
    made.close()


def _signed_in(system: System, parts: Parts, name: str, role: str) -> TestClient:
    """A client of a real console, as an account with one role and a second factor."""
    accounts = ConsoleAccounts(system.settings.state_dir, cheap_passwords())
    at_us = NOW_US
    if accounts.is_empty():
        accounts.add_first("wu.ling", PASSWORD, at_us)
    with open_accounts(system.settings.state_dir, passwords=cheap_passwords()) as register:
        register.add("wu.ling", name, [role], "the password of another", "test", at_us)
        register.logins.change_password(name, Credentials("the password of another"), PASSWORD, at_us)
    secret = accounts.begin_totp(name, PASSWORD, at_us).partition("secret=")[2].partition("&")[0]
    code = pyotp.TOTP(secret)
    now_us = time.time_ns() // 1000
    accounts.confirm_totp(name, PASSWORD, code.at(now_us // 1_000_000 - 60), now_us - 60_000_000)
    client = TestClient(console_app(parts), base_url=ORIGIN, headers={"Origin": ORIGIN}, follow_redirects=False)
    answer = client.post("/login", data={"name": name, "password": PASSWORD, "code": code.now()})
    assert answer.status_code == 303, answer.text
    return client


def _searched(client: TestClient, **form: str) -> str:
    answer = post(client, "/search", {"span": "1095", **form})
    assert answer.status_code == 303, answer.text
    page = client.get(answer.headers["location"])
    assert page.status_code == 200, page.text
    return html.unescape(page.text)


def test_a_search_finds_accesses_and_then_itself(system: System) -> None:
    system.produce(40, subject_ids=["c-7719403"], resource_type="customer_profile", action="read")
    # The store is shared: looks of an account that other tests name stand in it, too.
    who_asks = f"lin.meng.{uuid.uuid4().hex[:8]}"
    keyring = Keyring.load(system.settings.protection.token_keys_file)
    with console_parts(system.settings) as parts, system.worker():
        system.await_sealed(40)
        client = _signed_in(system, parts, who_asks, "auditor")
        found = _searched(client, subject="c-7719403")
        subject = keyring.token(DEFAULT_TENANT, "subject", "c-7719403").hex()
        assert found.count("customer_profile") == 40
        assert subject in found
        who = client.get(f"/subjects/{subject}?span=1095").text
        assert re.search(r"40 accounts touched this data subject 40 times", who)
        check = re.search(r'hx-get="([^"]+/check[^"]+)"', who)
        assert check
        assert "the same number" in client.get(html.unescape(check[1])).text
        system.await_sealed(43)
        mine = _searched(client, actor=who_asks)
        assert mine.count("evidence.search") == 1
        assert mine.count("evidence.subject") == 1
        assert "query the audit log" in mine
        profile = client.get(f"/actors/{keyring.token(DEFAULT_TENANT, 'actor', who_asks).hex()}")
        assert "evidence.subject" in profile.text
        for path in ("/rules", "/health"):
            assert client.get(path).status_code == 200, path
        dpo = _signed_in(system, parts, "he.fang", "dpo")
        for name in ("actor-3", who_asks):
            token = keyring.token(DEFAULT_TENANT, "actor", name).hex()
            form = {"kind": "actor", "token": token, "reason": "asked by the works council"}
            assert f'<b class="identity">{name}</b>' in post(dpo, "/reveal", form).text
        # search, subject, its check, search, actor, rules; two reveals
        system.await_sealed(40 + 8)
    told = system.reader.query(
        "SELECT toString(action), count() FROM accesstrail.access_events WHERE topic = {topic:String} "
        "AND source_system = 'accesstrail' AND startsWith(resource_type, 'evidence.') GROUP BY action ORDER BY action",
        {"topic": system.topic},
    )
    assert sorted(told) == [("audit_query", 4), ("read", 2), ("unmask", 2)]


def test_what_leaves_by_the_pages_of_an_audit_verifies_and_is_on_record(system: System, tmp_path: Path) -> None:
    system.produce(40, subject_ids=["c-5510277"], resource_type="customer_profile", action="read", purpose="support")
    asked = {"subject": "c-5510277", "span": "1095", "reason": "case 17, asked by the person"}
    with console_parts(system.settings) as parts, system.worker(), system.worker("notary"):
        system.await_sealed(40)
        auditor = _signed_in(system, parts, "lin.meng", "auditor")
        got = post(auditor, "/audit/evidence", asked)  # what was just sealed is waited for until it is signed
        assert got.status_code == 200, got.text
        with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
            archive.extractall(tmp_path / "got")
        [folder] = [one for one in (tmp_path / "got").iterdir() if one.is_dir()]
        keys = system.settings.ledger.public_keys_file
        assert keys is not None
        report = verify_bundle(folder, load_public_keys(keys), [])
        assert report.findings.told == []
        assert sum(counts.events for _, counts in report.trees) == 40
        judged = html.unescape(auditor.get("/audit/controls?days=30").text)
        # The period ends with the last whole minute: what was just sealed may lie behind it.
        assert re.search("nothing of the kind happened|covered by evidence", judged)
        assert "not asked" not in judged
        assert "without a result" not in judged
        page = auditor.get("/audit/verification").text
        assert "A notary signed" in page
        dpo = _signed_in(system, parts, "he.fang", "dpo")
        system.await_sealed(41)
        shown = post(dpo, "/audit/subject-report", asked | {"language": "en"})
        assert shown.status_code == 200, shown.text
        assert "<dt>Accesses</dt><dd>41</dd>" in shown.text, "the export before it is one of them"
        system.await_sealed(42)
        file = post(dpo, "/audit/subject-report", asked | {"as": "json"})
        assert file.json()["totals"]["accesses"] == 42
        system.await_sealed(43)
    told = system.reader.query(
        "SELECT replaceOne(endpoint, 'console ', ''), toString(action), records_returned, justification "
        "FROM accesstrail.access_events WHERE topic = {topic:String} AND source_system = 'accesstrail' "
        "AND startsWith(resource_type, 'evidence.') ORDER BY event_time",
        {"topic": system.topic},
    )
    assert [tuple(row) for row in told] == [
        ("export", "audit_export", 40, asked["reason"]), ("subject_report", "audit_export", 41, asked["reason"]),
        ("subject_report", "audit_export", 42, asked["reason"]),
    ]  # fmt: skip
