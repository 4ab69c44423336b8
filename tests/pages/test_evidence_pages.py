"""The evidence pages as people meet them: in Chromium, both languages, phone and desk, axe, keyboard, hostile events.

With ACCESSTRAIL_SCREENSHOTS=FOLDER each page is kept as a picture.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dashboards.console.app import console_app
from pipeline.audit.search import AccessRow
from tests.audit_desk import differing, intact, made, notary
from tests.console import PASSWORD, World
from tests.evidence_desk import ACTOR, SUBJECT, access, hostile, token
from tests.incident_logs import alert

EN, ZH = "en-GB", "zh-CN"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
PATHS = {
    "search": "/search",
    "subject": "/subjects/" + token("subject", SUBJECT),
    "actor": "/actors/" + token("actor", ACTOR),
    "rules": "/rules",
    "health": "/health",
    "audit": "/audit",
    "controls": "/audit/controls",
    "report": "/audit/subject-report",
    "accounts": "/audit/subject-report/accounts",
}
AUDITOR_PATHS = {
    "subject-auditor": "/subjects/" + token("subject", SUBJECT),
    "audit-auditor": "/audit",
    "verification": "/audit/verification",
    "controls-judged": "/audit/controls?days=30",
    "bundle": "/audit/evidence",
}
OF_ROLE = {"dpo": PATHS, "auditor": AUDITOR_PATHS}
PAYLOAD = "\"><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@dataclass
class Served:
    """A console on a port of its own."""

    world: World
    url: str
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, chromium: Browser, role: str, **options: Any) -> Page:
        """A window of an account with a role; whatever the browser complains of is noted."""
        name = self.world.account(role, role)
        page = chromium.new_context(viewport=options.pop("viewport", DESK), **options).new_page()
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"{self.url}/login")
        page.locator("input[name=name]").fill(name)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("input[name=code]").fill(self.world.code(name))
        page.locator("main form[action^='/login'] button").first.click()
        page.wait_for_load_state()
        assert "/login" not in page.url
        return page


def _ordinary(number: int, now_us: int) -> AccessRow:
    """Accesses of three accounts, of every kind of explanation."""
    kind = number % 3
    return access(
        number, now_us - number * 1_900_000_000, explained=("explained", "claimed", "not_yet_explained")[kind],
        action=("read", "export", "search")[kind], outcome=("success", "success", "denied")[kind],
        purpose=("support", "billing", "")[kind], actor_token=token("actor", (ACTOR, "li.na12", "svc-gateway")[kind]),
        risk=number * 97 % 10_000, case_token=token("case", "INC-1") if number % 2 else "",
        fields_unmasked=("mobile",) * (number % 2), subject_count=number % 5 + 1,
        justification="customer called from 138****5678" if number % 4 == 0 else "",
    )  # fmt: skip


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    world = World(tmp_path)
    world.looked.rows = [_ordinary(n, world.now_us) for n in range(1, 80)]
    world.logs.put(alert(1, detector="bulk_export"), alert(2, risk=95.0, severity="high"))
    world.looked.incidents = [world.store.incident(world.incident.incident_id)]  # type: ignore[list-item]
    world.looked.alerts = list(world.store.alerts_of(world.looked.incidents[0]))
    world.audited.runs = [differing(world.now_us - 3_600_000_000), intact(world.now_us - 86_400_000_000)]
    world.audited.notaries_found = [notary(world.now_us)]
    server = uvicorn.Server(
        uvicorn.Config(console_app(world.parts()), port=0, log_config=None, lifespan="off", ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Served(world, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(10)


def _kept(page: Page, name: str) -> None:
    folder = os.environ.get("ACCESSTRAIL_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def _serious(page: Page) -> list[str]:
    found = Axe().run(page)["violations"]
    return [
        f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("role", OF_ROLE)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_whole_for_eyes_machines_and_phones(
    chromium: Browser, served: Served, scheme: Any, role: str
) -> None:
    page = served.sign_in(chromium, role, color_scheme=scheme, locale=EN)
    for name, path in OF_ROLE[role].items():
        page.set_viewport_size(DESK)  # type: ignore[arg-type]
        page.goto(served.url + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        _kept(page, f"{name}-{scheme}")
        assert _serious(page) == [], name
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        _kept(page, f"{name}-{scheme}-phone")
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{name} scrolls sideways by {wider} px"
    assert served.complaints == []


@pytest.mark.parametrize("role", OF_ROLE)
def test_every_page_speaks_chinese(chromium: Browser, served: Served, role: str) -> None:
    page = served.sign_in(chromium, role, locale=ZH)
    for name, path in OF_ROLE[role].items():
        page.goto(served.url + path)
        assert page.get_attribute("html", "lang") == "zh-CN"
        _kept(page, f"{name}-zh")
    assert served.complaints == []


def test_an_auditor_finds_who_touched_a_customer_by_keyboard_and_takes_the_file(
    chromium: Browser, served: Served, tmp_path: Path
) -> None:
    page = served.sign_in(chromium, "auditor", locale=EN)
    page.goto(f"{served.url}/search")
    page.get_by_label("Data subject").first.fill(SUBJECT)
    page.get_by_label("Period").select_option("30")
    page.get_by_label("Data subject").first.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Accesses")
    assert SUBJECT not in page.url
    assert SUBJECT not in page.content()
    _kept(page, "results")
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    page.get_by_text("Export these accesses").click()
    page.get_by_label("What the file is for").fill("half-yearly audit")
    with page.expect_download() as waited:
        page.get_by_role("button", name="Record and download").click()
    assert Path(waited.value.path()).read_bytes().count(b"\r\n") == 80
    assert [one.look for one in served.world.trail.told][-1] == "export"
    assert served.complaints == []


def test_an_auditor_takes_evidence_with_proofs_by_keyboard(chromium: Browser, served: Served) -> None:
    page = served.sign_in(chromium, "auditor", locale=EN)
    page.goto(f"{served.url}/audit")
    page.get_by_role("link", name="Evidence with proofs").press("Enter")
    page.get_by_label("Data subject").fill(SUBJECT)
    page.get_by_label("What the evidence is for").fill("case 17")
    with page.expect_download() as waited:
        page.get_by_role("button", name="Record and download").press("Enter")
    assert Path(waited.value.path()).read_bytes()[:2] == b"PK"
    assert waited.value.suggested_filename.endswith(".zip")
    assert served.world.trail.told[-1].look == "export"
    assert served.complaints == []


@pytest.mark.parametrize("language", ["English", "Chinese"])
def test_a_dpo_answers_a_person_in_the_language_of_choice_and_takes_the_file(
    chromium: Browser, served: Served, language: str
) -> None:
    served.world.audited.accesses = [made(n, served.world.now_us) for n in range(1, 40)]
    page = served.sign_in(chromium, "dpo", locale=EN)
    page.goto(served.url + PATHS["subject"])
    page.get_by_text("Make the report that this person is entitled to").click()
    page.get_by_label("Language of the report").select_option(language)
    page.get_by_label("Why the report is made").fill("request of 20 November")
    page.get_by_role("button", name="Record and show").click()
    title = {"English": "Who accessed your personal data", "Chinese": "您的个人信息访问记录"}[language]
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    _kept(page, f"report-{language}")
    assert _serious(page) == []
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    with page.expect_download() as waited:
        page.get_by_role("button", name="Download as Markdown").click()
    assert Path(waited.value.path()).read_text(encoding="utf-8").startswith(f"# {title}\n")
    assert [one.look for one in served.world.trail.told][-2:] == ["subject_report"] * 2
    assert served.complaints == []


def test_a_dpo_reveals_one_account_with_a_reason(chromium: Browser, served: Served) -> None:
    page = served.sign_in(chromium, "dpo", locale=EN)
    page.goto(served.url + PATHS["actor"])
    assert ACTOR not in page.content()
    page.get_by_text("Reveal the identity").click()
    page.get_by_label("Why").fill("asked by the works council")
    page.get_by_role("button", name="Reveal and record").click()
    expect(page.get_by_text(ACTOR, exact=True)).to_be_visible()
    _kept(page, "identity")
    assert [one.look for one in served.world.trail.told][-1] == "reveal"
    assert _serious(page) == []


def test_hostile_events_run_nothing_in_a_browser(chromium: Browser, served: Served) -> None:
    served.world.looked.rows = [hostile(n, served.world.now_us - n * 1_000_000, PAYLOAD) for n in range(1, 5)]
    served.world.looked.text = PAYLOAD
    served.world.audited.runs = [differing(served.world.now_us - 1_000_000, PAYLOAD)]
    served.world.audited.notaries_found = [notary(served.world.now_us, PAYLOAD)]
    results = f"/search/results?from_us=1&until_us={served.world.now_us}"
    for role, paths in OF_ROLE.items():
        page = served.sign_in(chromium, role, locale=EN)
        for path in (*paths.values(), results):
            page.goto(served.url + path)
            page.wait_for_load_state("networkidle")
            assert page.title() != "owned", path
            assert page.locator("main img, main script").count() == 0, path
    assert served.complaints == []


def test_without_the_store_the_page_says_so_and_comes_back_by_itself(chromium: Browser, served: Served) -> None:
    served.world.looked.is_away = True
    page = served.sign_in(chromium, "auditor", locale=EN)
    page.goto(served.url + PATHS["subject"])
    expect(page.get_by_role("alert")).to_contain_text("ClickHouse")
    _kept(page, "away")
    served.world.looked.is_away = False
    expect(page.get_by_role("heading", level=1)).to_contain_text("Who touched", timeout=15_000)
