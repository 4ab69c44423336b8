"""The console as people meet it: in Chromium, by mouse and keyboard, in both languages, on a phone, read by axe."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest
import uvicorn
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dashboards.console.app import console_app
from dashboards.panels import soc_overview
from pipeline.audit.panels import PanelAnswer
from pipeline.incidents.records import Explanation
from tests.console import PASSWORD, World
from tests.incident_logs import ACTOR, alert
from tests.unit.console.test_console_incidents import EVENT

EN, ZH = "en-GB", "zh-CN"
LONG_ZH = "一夜读取四千名客户，" * 30
LONG = "This account (customer service; risk 95 of 100): 12,432 customers in six hours at night. " * 4


@dataclass
class Site:
    """A console that runs, and what went wrong in windows on it."""

    world: World
    address: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def window(self, chromium: Browser, locale: str = EN, **options: Any) -> Page:
        page = chromium.new_context(locale=locale, timezone_id="Asia/Shanghai", **options).new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda one: self._said(one.type, one.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda one: self._asked(one.url))
        return page

    def _said(self, kind: str, text: str) -> None:
        self.complaints += [text] if kind in ("error", "warning") else []

    def _asked(self, url: str) -> None:
        self.foreign += [] if url.startswith((self.address, "data:")) else [url]

    def sign_in(self, page: Page, name: str) -> Page:
        page.goto(self.address + "/")
        page.get_by_label("Account" if page.get_attribute("html", "lang") == "en" else "账户").fill(name)
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("[name=code]").fill(self.world.code(name))
        page.locator("[name=code]").press("Enter")
        page.wait_for_url("**/overview")
        return page


@contextmanager
def running(world: World) -> Iterator[Site]:
    """The console behind uvicorn on a free port, as `accesstrail console` serves it."""
    application = console_app(world.parts())
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Site(world, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
    application.state.broadcast.close()
    server.should_exit = True
    thread.join(timeout=20)
    assert not thread.is_alive()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    world = World(tmp_path)
    world.logs.put(
        alert(1, detector="bulk_export", severity="high", risk=95.0),
        alert(2, incident_key="acme:other", severity="critical", risk=99.0),
    )
    world.store.events = [EVENT]
    world.store.seen = {
        "records_day": 8.0, "records_day:own_mean": 2.0, "records_day:own_deviation": 0.5,
        "records_day:peers_p10": 1.0, "records_day:peers_p90": 3.0, "records_day:surprisal": 3.1, "new_device": 1.0,
    }  # fmt: skip
    world.panels.answers = answers()
    world.account("li.wei", "responder")
    with running(world) as found:
        yield found


def answers() -> dict[str, PanelAnswer]:
    """Something in every panel of the overview."""
    found = {}
    for panel in soc_overview.BOARD.panels:
        names = tuple(column.name for column in panel.columns)
        rows: list[tuple[Any, ...]]
        if panel.view == "timeseries":
            hours = [datetime(2026, 11, 18, hour, tzinfo=UTC) for hour in range(12)]
            rows = [(at, name, size) for number, at in enumerate(hours) for name, size in
                    (("success", 400 + 30 * number), ("denied", number % 4))]  # fmt: skip
        elif panel.view == "table":
            kinds = {"token": ACTOR, "time": datetime(2026, 11, 18, tzinfo=UTC), "text": "customer_profile"}
            rows = [tuple(kinds.get(column.unit, 42 - number) for column in panel.columns) for number in range(5)]
        else:
            rows = [(f"thing {number}" if len(names) > 1 else 7, *([30 - number] * (len(names) - 1)))
                    for number in range(1 if panel.view == "stat" else 4)]  # fmt: skip
        found[panel.uid] = PanelAnswer(names, tuple(rows))
    return found


@pytest.fixture
def page(site: Site, chromium: Browser) -> Iterator[Page]:
    """A window of somebody who handles incidents; nothing may be complained of in it."""
    page = site.sign_in(site.window(chromium, viewport={"width": 1280, "height": 900}), "li.wei")
    yield page
    assert site.complaints == []
    assert site.foreign == []
    page.context.close()


def seen(page: Page, name: str, folder: Path) -> None:
    """A picture for whoever looks at the tests' folder; it must be one."""
    path = folder / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    assert path.stat().st_size > 5_000


def grave(page: Page) -> list[str]:
    """What axe-core finds serious or critical: rule and place."""
    found = Axe().run(page)["violations"]
    return [
        f"{one['id']}: {node['target']} {node['html'][:120]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_the_first_account_is_made_and_enrolled_by_a_person_in_a_browser(chromium: Browser, tmp_path: Path) -> None:
    with running(World(tmp_path)) as site:
        _enrol(site, chromium, tmp_path)


def _enrol(site: Site, chromium: Browser, tmp_path: Path) -> None:
    world = site.world
    page = site.window(chromium, ZH)
    page.goto(site.address + "/first/" + world.parts().first_secret)
    expect(page.get_by_role("heading", level=1)).to_have_text("创建首个账户")
    assert grave(page) == []
    page.get_by_label("账户").fill("wu.ling")
    page.get_by_label("密码", exact=True).fill(PASSWORD)
    page.get_by_label("再次输入密码").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_alt_text("供验证器应用扫描的二维码")).to_be_visible()
    assert page.get_by_role("img").evaluate("one => one.naturalWidth") > 100
    seen(page, "enrol", tmp_path)
    assert grave(page) == []
    key = page.locator(".key").inner_text().replace(" ", "")
    page.get_by_label("动态口令").fill(pyotp.TOTP(key).at(world.now_us // 1_000_000))
    page.get_by_label("密码", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator(".codes li")).to_have_count(10)
    page.get_by_role("link", name="我已保存").click()
    expect(page.locator("#verdict")).to_be_visible()
    assert site.complaints == []
    page.context.close()


def test_axe_finds_what_is_wrong(chromium: Browser) -> None:
    page = chromium.new_context().new_page()
    page.set_content('<html lang="en"><title>x</title><main><h1>x</h1><img src="data:,"><input></main>')
    assert {one.partition(":")[0] for one in grave(page)} == {"image-alt", "label"}
    page.context.close()


def test_the_verdict_changes_by_itself(page: Page, site: Site) -> None:
    expect(page.locator("#verdict")).to_contain_text("Critical incidents not closed: 2.")
    site.world.live.found = replace(site.world.live.found, open={("critical", "open"): 3}, silent=())
    site.world.pass_time(5)
    expect(page.locator("#verdict")).to_contain_text("Critical incidents not closed: 3.")
    expect(page.locator("#verdict")).to_contain_text("Every source reports as it should.")


COLOURS = ("rgb(23, 101, 58)", "rgb(122, 75, 0)", "rgb(163, 18, 42)")
"""Good, warning, bad in the light."""


def test_each_sentence_of_a_verdict_has_the_colour_of_its_own_level(page: Page, site: Site) -> None:
    # Bad as a whole; one source is silent; taking events in works.
    expect(page.locator(".verdict.bad")).to_be_visible()
    for level, colour in zip(("good", "warning", "bad"), COLOURS, strict=True):
        one = page.locator(f".verdict li.{level}").first
        expect(one).to_have_css("color", colour)
        if one.locator("a").count():
            expect(one.locator("a").first).to_have_css("color", colour)
    expect(page.locator(".verdict .headline")).to_have_css("color", COLOURS[2])
    assert grave(page) == []


def test_the_overview_draws_every_panel(page: Page, tmp_path: Path) -> None:
    expect(page.locator(".chart canvas")).to_have_count(2)
    expect(page.locator(".panel .answer table")).not_to_have_count(0)
    expect(page.get_by_text("Loading …")).to_have_count(0)
    assert page.locator(".chart").first.evaluate("one => one.querySelector('canvas').width") > 200
    seen(page, "overview", tmp_path)
    assert grave(page) == []


def test_an_incident_is_acknowledged_and_closed_by_keyboard_alone(page: Page, site: Site, tmp_path: Path) -> None:
    page.goto(site.address + "/incidents")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    seen(page, "incidents", tmp_path)
    assert grave(page) == []
    first = page.locator("td.what a").first
    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".evidence .grid")).to_be_visible()
    expect(page.locator(".evidence")).to_contain_text("a device used for the first time")
    seen(page, "incident", tmp_path)
    assert grave(page) == []
    page.get_by_role("button", name="Acknowledge", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Done.")
    expect(page.get_by_role("button", name="Acknowledge", exact=True)).to_have_count(0)
    page.get_by_label("true positive").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Close", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1 .state")).to_contain_text("resolved")
    assert [one.account for one in site.world.trail.told] == ["li.wei"] * len(site.world.trail.told)
    assert site.world.trail.told


def test_two_are_ticked_and_acknowledged_at_once(page: Page, site: Site) -> None:
    page.goto(site.address + "/incidents")
    for box in page.get_by_role("checkbox", name="Pick incident").all():
        box.check()
    page.get_by_role("button", name="Acknowledge what is ticked").click()
    expect(page.get_by_role("status")).to_contain_text("Done: 2 incidents.")
    expect(page.get_by_role("checkbox", name="Pick incident")).to_have_count(0)


def test_the_language_is_switched_where_the_viewer_is(page: Page, site: Site) -> None:
    page.goto(site.address + "/incidents?state=all")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("事件")
    assert page.url.endswith("/incidents?state=all")
    assert page.get_attribute("html", "lang") == "zh-CN"
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Incidents")


def test_evidence_that_cannot_be_recorded_is_withheld_and_comes_back_by_itself(site: Site, chromium: Browser) -> None:
    page = site.sign_in(site.window(chromium), "li.wei")
    site.world.trail.is_away = True
    page.goto(f"{site.address}/incidents/{site.world.incident.incident_id}")
    expect(page.get_by_role("alert")).to_contain_text("Kafka does not answer")
    expect(page.locator(".grid")).to_have_count(0)
    site.world.trail.is_away = False
    expect(page.locator(".grid")).to_be_visible()
    page.context.close()


def test_a_page_without_the_store_comes_back_by_itself(site: Site, chromium: Browser) -> None:
    page = site.sign_in(site.window(chromium), "li.wei")
    site.world.store.is_away = True
    page.goto(site.address + "/incidents")
    expect(page.get_by_role("alert")).to_contain_text("ClickHouse")
    assert grave(page) == []
    site.world.store.is_away = False
    expect(page.locator("td.what")).not_to_have_count(0)
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", [EN, ZH])
def test_on_a_narrow_phone_nothing_runs_over_the_edge(
    scheme: str, language: str, site: Site, chromium: Browser, tmp_path: Path
) -> None:
    site.world.logs.put(
        alert(
            7, incident_key="acme:long", detector="x" * 90, explanation=Explanation(LONG, "一夜读取四千名客户，" * 30)
        )
    )
    options = {"viewport": {"width": 320, "height": 640}, "color_scheme": scheme}
    page = site.sign_in(site.window(chromium, language, **options), "li.wei")
    incident = site.world.logs.incident("acme:long").incident_id
    for path in ("/overview", "/incidents", f"/incidents/{incident}", "/settings", "/help"):
        page.goto(site.address + path)
        page.wait_for_timeout(700)  # parts that htmx loads
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        assert grave(page) == [], path
        seen(page, path.strip("/").partition("/")[0] + ("-one" if incident in path else ""), tmp_path)
    assert site.complaints == []
    page.context.close()


def test_the_browsers_time_zone_is_told_once_and_a_chosen_one_stays(page: Page, site: Site) -> None:
    page.goto(site.address + "/settings")
    expect(page.locator("footer")).to_contain_text("Asia/Shanghai")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_role("button", name="Use this zone").click()
    expect(page.locator("footer")).to_contain_text("Europe/Berlin")
    page.goto(site.address + "/help")
    expect(page.locator("footer")).to_contain_text("Europe/Berlin")


def test_it_works_without_scripts(site: Site, chromium: Browser) -> None:
    page = site.sign_in(site.window(chromium, java_script_enabled=False), "li.wei")
    expect(page.locator("#verdict")).to_contain_text("Critical incidents")
    page.goto(f"{site.address}/incidents/{site.world.incident.incident_id}")
    page.get_by_role("link", name="Show the evidence").click()
    expect(page.locator(".grid")).to_be_visible()
    page.get_by_role("link", name="Incident", exact=False).last.click()
    page.context.close()
