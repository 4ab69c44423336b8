"""The demo's story as people live it: in Chromium, on the whole system, from the attack to the record of each look.

The demo is held, as Ctrl-Z holds it, while somebody signs in, so that the attack comes to somebody who watches whatever
the machine's speed. `ACCESSTRAIL_SCREENSHOTS=DIR` keeps the pictures that the guides show (docs/README.md).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from deploy.local.configuration import settings
from pipeline.adapters.clickhouse import connect
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring
from tests.e2e.demo_run import Demo, running_demo
from tests.e2e.pictures import HIGHEST, WIDTH, picture, size_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

LONG_S, PAGE_MS = 900, 120_000
RESPONDER, PRIVACY = "demo.responder", "demo.privacy"
REASON = "the partner asks which of its accounts was stopped"
LOOKS = {
    r"/overview/panels/": "panel", r"/incidents/[\w-]+/evidence$": "incident", r"/search/results$": "search",
    r"/subjects/[0-9a-f]{32}$": "subject", r"/subjects/[0-9a-f]{32}/check$": "page",
    r"/actors/[0-9a-f]{32}$": "actor", r"/rules$": "rules", r"/reveal$": "reveal",
    r"/audit/subject-report$": "subject_report",
}  # fmt: skip
POSTED = ("reveal", "subject_report")
"""Addresses behind which evidence is, and what a look at each is called in the record."""
_ON_RECORD = (
    "SELECT replaceOne(endpoint, 'console ', ''), toString(action), toString(outcome), justification, fields_unmasked, "
    "records_returned FROM accesstrail.access_events "
    "WHERE source_system = 'accesstrail' AND source_instance = 'console' AND actor_token = unhex({token:String})"
)
PAGES = ("overview", "incidents", "incident", "search", "subject", "actor", "rules", "pipeline")


@dataclass
class Desk:
    """Somebody's windows on the console: what they asked for, and what went wrong in them."""

    console: str
    complaints: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def window(self, chromium: Browser, like: Page | None = None, language: str = "en-GB") -> Page:
        """A new window; `like`: signed in as that one is."""
        context = chromium.new_context(
            locale=language, timezone_id="Asia/Shanghai", color_scheme="light",
            viewport={"width": WIDTH, "height": 900},
            storage_state=like.context.storage_state() if like is not None else None,
        )  # fmt: skip
        page = context.new_page()
        page.set_default_timeout(PAGE_MS)
        page.set_default_navigation_timeout(PAGE_MS)
        page.on("console", lambda one: self._said(one.type, one.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda one: self.asked.append((one.method, one.url)))
        return page

    def _said(self, kind: str, text: str) -> None:
        self.complaints += [text] if kind in ("error", "warning") else []

    def looks(self) -> Counter[str]:
        """How often evidence was asked for, by the kind of look."""
        found: Counter[str] = Counter()
        for method, url in self.asked:
            path = urlsplit(url).path
            for pattern, look in LOOKS.items():
                if re.search(pattern, path) and (method == "POST") == (look in POSTED):
                    found[look] += 1
        return found


def sign_in(page: Page, desk: Desk, demo: Demo, name: str) -> None:
    page.goto(desk.console)
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password").fill(demo.password(name))
    page.get_by_label("One-time code").fill(demo.code(name))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text(name, exact=True)).to_be_visible(timeout=PAGE_MS)


def now_of(page: Page) -> Locator:
    """The part of the overview that keeps itself up to date."""
    return page.get_by_role("region", name=re.compile("Right now|当前状态"))


def open_page(page: Page, name: str) -> None:
    """A page by its name in the menu, when all its parts are there."""
    page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
    complete(page)


def complete(page: Page) -> None:
    """Waits for parts that come after the page; a window that goes on earlier leaves looks that nobody saw."""
    page.wait_for_load_state("load")
    for waiting in ("Loading …", "加载中……", "Show the evidence", "显示证据"):
        expect(page.get_by_text(waiting, exact=True)).to_have_count(0, timeout=PAGE_MS)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with running_demo(tmp_path) as found:
        yield found


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Where pictures go."""
    folder = Path(os.environ.get("ACCESSTRAIL_SCREENSHOTS", tmp_path / "pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_the_attack_is_watched_handled_asked_about_and_every_look_is_on_record(
    demo: Demo, chromium: Browser, album: Path
) -> None:
    console = demo.await_told(r"The console 控制台: (http://127\.0\.0\.1:\d+)", LONG_S)[1]
    desk = Desk(console)
    with demo.held():
        page = desk.window(chromium)
        sign_in(page, desk, demo, RESPONDER)
        chinese = desk.window(chromium, like=page, language="zh-CN")
        chinese.goto(f"{console}/overview")
        expect(now_of(page)).to_contain_text("No incident is open.")
        complete(page)
        complete(chinese)
        for one in (page, chinese):
            one.evaluate("window.untouched = true")
    reader = chromium.new_context().new_page()
    pair = {"en": page, "zh": chinese}

    # The demo closes this incident itself, seconds after its story: it is held while somebody watches.
    demo.await_told(r"The story: ", LONG_S)
    with demo.held():
        incident = watch_it_appear(page, chinese)
        now_of(page).get_by_role("link", name=incident).click()
        complete(page)
    see_the_evidence(page)
    chinese.goto(page.url)
    expect(chinese.get_by_text("异常之处")).to_be_visible(timeout=PAGE_MS)
    complete(chinese)
    take(pair, "incident", album, reader)
    for one in pair.values():
        one.goto(f"{console}/overview")  # its panels were asked before the attack
        complete(one)
    take(pair, "overview", album, reader)

    demo.await_told("Ctrl-C ends everything", LONG_S)
    told = demo.told()
    assert f"accesstrail incidents ack {incident}" in told, "it is the one that the demo tells of"
    harvester = tokens(told)["actor", 1]
    await_among_accounts(page, harvester)
    close_another(page, tokens(told)["actor", 2], pair, album, reader)
    ask_who_touched(page, demo, desk)
    photograph_the_rest(pair, demo, desk, album, reader)
    verify_and_see(page, demo)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible(timeout=PAGE_MS)

    privacy = Desk(console)
    officer = privacy.window(chromium)
    sign_in(officer, privacy, demo, PRIVACY)
    complete(officer)
    reveal(officer, privacy, demo, harvester)
    answer_the_person(officer, demo)
    officer.get_by_role("button", name="Sign out").click()
    expect(officer.get_by_text("You are signed out.")).to_be_visible(timeout=PAGE_MS)
    assert [*desk.complaints, *privacy.complaints] == []
    recorded(demo, RESPONDER, desk.looks())
    recorded(demo, PRIVACY, privacy.looks())
    assert sorted(one.name for one in album.iterdir()) == sorted(f"{one}.{lang}.png" for one in PAGES for lang in pair)
    assert all(size_of(one)[0] == WIDTH and size_of(one)[1] <= HIGHEST for one in album.iterdir())


def watch_it_appear(page: Page, chinese: Page) -> str:
    """The eight digits of the partner's incident, which comes to pages that nobody touches."""
    attack = now_of(page).get_by_role("listitem").filter(has_text="partner agent").first
    expect(attack).to_be_visible(timeout=LONG_S * 1000)
    incident = attack.get_by_role("link").inner_text()
    # The first access of the attack opens it as grave as one access is; what follows makes it worse.
    expect(now_of(page)).to_contain_text("Something is wrong", timeout=LONG_S * 1000)
    expect(now_of(page)).to_contain_text("Critical incidents not closed")
    expect(now_of(chinese)).to_contain_text(incident, timeout=PAGE_MS)
    expect(now_of(chinese)).to_contain_text("存在异常")
    for one in (page, chinese):
        assert one.evaluate("window.untouched === true"), "the page was loaded again"
    return incident


def await_among_accounts(page: Page, actor: str) -> None:
    """Until the overview names the account: what panels said just before a quickly told attack is kept for a while."""
    deadline_s = time.monotonic() + LONG_S
    while actor[:12] not in page.get_by_role("main").inner_text():
        assert time.monotonic() < deadline_s, "the overview never named the account"
        page.wait_for_timeout(2_000)
        page.goto(page.url)
        complete(page)
    expect(page.get_by_role("main")).to_contain_text(actor[:12])


def see_the_evidence(page: Page) -> None:
    complete(page)
    expect(page.get_by_role("heading", name="Why it is unusual")).to_be_visible(timeout=PAGE_MS)
    grid = page.get_by_role("region", name="Why it is unusual")
    assert grid.get_by_role("listitem").count() >= 1, "the explanation stands in the grid"
    accesses = page.get_by_role("region", name="Accesses that raised them").get_by_role("row")
    assert accesses.count() > 1, "a head and at least one access"


def close_another(page: Page, actor: str, pair: dict[str, Page], album: Path, reader: Page) -> None:
    """The slow drip: found in the list, acknowledged, closed."""
    open_page(page, "Incidents")
    pair["zh"].goto(page.url)
    take(pair, "incidents", album, reader)
    page.goto(f"{page.url.rpartition('/')[0]}/actors/{actor}")
    own = page.get_by_role("listitem").filter(has_text=re.compile("open|acknowledged")).get_by_role("link")
    own.first.click()
    complete(page)
    expect(page.get_by_role("main")).to_contain_text(actor[:12])
    page.get_by_role("button", name="Acknowledge", exact=True).click()
    await_state(page, "acknowledged")
    expect(page.get_by_role("button", name="Acknowledge", exact=True)).to_have_count(0)
    page.get_by_label("true positive").check()
    page.get_by_role("button", name="Close", exact=True).click()
    await_state(page, "resolved")
    expect(page.get_by_role("main")).to_contain_text(f"by {RESPONDER}")


def await_state(page: Page, state: str) -> None:
    """Until the incident's head says so: a busy responder handles a command after the page has come back."""
    complete(page)
    deadline_s = time.monotonic() + LONG_S
    while state not in page.get_by_role("heading", level=1).inner_text():
        assert time.monotonic() < deadline_s, f"never {state}"
        page.wait_for_timeout(2_000)
        page.goto(page.url)
        complete(page)


def ask_who_touched(page: Page, demo: Demo, desk: Desk) -> None:
    """By the customer's own id, which is typed and stands in no address; in both languages."""
    told = demo.told()
    watched = said(told, r"search --subject (\S+)")
    looks = int(said(told, r"one well-known customer again and again\. ([\d,]+) looks").replace(",", ""))
    token, curious = tokens(told)["subject", 3], tokens(told)["actor", 3]
    open_page(page, "Search")
    page.get_by_role("group", name="Who and whose").get_by_label("Data subject").fill(watched)
    page.get_by_label("Period").select_option("last 30 days")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Accesses", timeout=PAGE_MS)
    expect(page.get_by_role("table")).to_contain_text(curious[:12])
    # The page below counts twice, one after the other: this search, an access of its own, must not come in between.
    on_record(demo, RESPONDER, desk.looks().total())
    open_page(page, "Search")
    page.get_by_label("Data subject").last.fill(watched)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Who touched {token[:12]}", timeout=PAGE_MS)
    toucher = page.get_by_role("region", name="By account").get_by_role("row").filter(has_text=curious[:12])
    expect(toucher).to_have_count(1)
    expect(toucher.get_by_role("link", name=f"Show these {looks} accesses")).to_be_visible()
    expect(page.get_by_role("region", name="Checked against the evidence")).to_contain_text("the same number")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"谁接触过 {token[:12]}", timeout=PAGE_MS)
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Who touched {token[:12]}", timeout=PAGE_MS)
    assert watched not in page.content()
    assert [url for _, url in desk.asked if watched in unquote(url)] == []


def photograph_the_rest(pair: dict[str, Page], demo: Demo, desk: Desk, album: Path, reader: Page) -> None:
    address, actor = pair["en"].url, tokens(demo.told())["actor", 2]
    for page in pair.values():
        on_record(demo, RESPONDER, desk.looks().total())  # as above
        page.goto(address)
        complete(page)
    take(pair, "subject", album, reader)
    root = f"{urlsplit(pair['en'].url).scheme}://{urlsplit(pair['en'].url).netloc}"
    for name, path in (
        ("search", "/search"),
        ("actor", f"/actors/{actor}"),
        ("rules", "/rules"),
        ("pipeline", "/health"),
    ):
        for page in pair.values():
            page.goto(root + path)
            complete(page)
        take(pair, name, album, reader)


def take(pair: dict[str, Page], name: str, album: Path, reader: Page) -> None:
    for language, page in pair.items():
        assert page.get_attribute("html", "lang") == {"en": "en", "zh": "zh-CN"}[language]
        complete(page)
        picture(page, album / f"{name}.{language}.png", reader)


def verify_and_see(page: Page, demo: Demo) -> None:
    """The whole store is verified by command while it works; the console tells what that came to."""
    words = ["--state", str(demo.state), "--keys", str(demo.state / "keys" / "ledger.pub")]
    command = [sys.executable, "-m", "pipeline.cli", "verify", "--store", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONG_S)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    open_page(page, "Pipeline")
    verdict = "intact and complete" if done.returncode == 0 else "intact, incomplete"
    expect(page.get_by_role("definition").filter(has_text=verdict)).to_have_count(1)


def answer_the_person(page: Page, demo: Demo) -> None:
    """The watched customer asks who looked: the report in the language of choice, and as a file."""
    open_page(page, "Audit")
    page.get_by_role("link", name="Subject report").click()
    watched = said(demo.told(), r"search --subject (\S+)")
    page.get_by_label("Data subject").fill(watched)
    page.get_by_label("Language of the report").select_option("Chinese")
    page.get_by_label("Why the report is made").fill(REASON)
    page.get_by_role("button", name="Record and show").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("您的个人信息访问记录", timeout=PAGE_MS)
    assert watched not in page.content()
    with page.expect_download() as waited:
        page.get_by_role("button", name="Download as JSON").click()
    looks = int(said(demo.told(), r"one well-known customer again and again\. ([\d,]+) looks").replace(",", ""))
    assert json.loads(Path(waited.value.path()).read_text(encoding="utf-8"))["totals"]["accesses"] > looks


def reveal(page: Page, desk: Desk, demo: Demo, token: str) -> None:
    """One account's identity, by the one role that may, with a reason."""
    page.goto(f"{desk.console}/actors/{token}")
    page.get_by_text("Reveal the identity").click()
    page.get_by_label("Why").fill(REASON)
    page.get_by_role("button", name="Reveal and record").click()
    expect(page.get_by_role("main")).to_contain_text("This reveal and its reason have been recorded.", timeout=PAGE_MS)
    expect(page.get_by_role("main")).to_contain_text(said(demo.told(), r"search --actor (\S+)"))


def recorded(demo: Demo, account: str, looks: Counter[str]) -> None:
    """Each look is one access event, a reveal with its reason."""
    rows = on_record(demo, account, looks.total())
    assert Counter(row[0] for row in rows) == looks
    assert {row[2] for row in rows} == {"success"}
    revealed = [row[1:] for row in rows if row[0] == "reveal"]
    wanted = [("unmask", "success", REASON, ["actor_id"], 1)] if account == PRIVACY else []
    assert [(*row[:3], list(row[3]), row[4]) for row in revealed] == wanted


def on_record(demo: Demo, account: str, at_least: int) -> list[tuple[Any, ...]]:
    """The account's looks as the role reader finds them behind the ledger, waited for."""
    found = settings(demo.state, {})
    token = Keyring.load(found.protection.token_keys_file).token(DEFAULT_TENANT, "actor", account)
    reader = connect(found.clickhouse, "reader")
    deadline_s = time.monotonic() + LONG_S
    while len(rows := reader.query(_ON_RECORD, {"token": token.hex()})) < at_least and time.monotonic() < deadline_s:
        time.sleep(0.5)
    reader.close()
    return [tuple(row) for row in rows]


def tokens(told: str) -> dict[tuple[str, int], str]:
    """The tokens behind the demo's links, by kind and chapter."""
    found, chapter = {}, 0
    for line in told.splitlines():
        if (begun := re.match(r" +(\d)\. the account", line)) is not None:
            chapter = int(begun[1])
        for kind, token in re.findall(r"/(actor|subject)s/([0-9a-f]{32})", line):
            found[kind, chapter] = token
    return found


def said(told: str, pattern: str) -> str:
    found = re.search(pattern, told)
    assert found is not None, pattern
    return found[1]
