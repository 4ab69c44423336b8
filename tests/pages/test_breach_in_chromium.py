"""The breach clock's steps in Chromium: read by axe with every form open, by keyboard, on a narrow phone, as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Window

from pipeline.incidents.records import BreachStep
from tests.console import World
from tests.incident_logs import START_US, alert, command
from tests.pages.test_console_in_chromium import Site, grave, running
from tests.pages.test_tables_fit import CUT, SCROLLED

OPEN = "document.querySelectorAll('main details').forEach((one) => { one.open = true })"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    world = World(tmp_path)
    world.logs.put(alert(1, detector="bulk_export", severity="high", risk=95.0))
    world.logs.put(command("suspect_breach", why="seen outside", known_at_us=START_US))
    world.account("sun.yi", "dpo")
    with running(world) as found:
        yield found


def _opened(chromium: Browser, site: Site, locale: str) -> Window:
    page = site.sign_in(site.window(chromium, locale, viewport={"width": 1280, "height": 900}), "sun.yi")
    page.goto(f"{site.address}/incidents/{site.world.incident.incident_id}")
    expect(page.locator(".breach table")).to_be_visible()
    return page


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_every_step_is_readable_for_all_and_nothing_is_cut(chromium: Browser, site: Site, locale: str) -> None:
    page = _opened(chromium, site, locale)
    page.evaluate(OPEN)
    assert page.locator(".breach form").count() == 8
    assert grave(page) == []
    assert page.evaluate(CUT) == []
    assert page.evaluate(SCROLLED) == []
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate(CUT) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert site.complaints == []
    page.context.close()


def test_a_duty_is_marked_done_by_keyboard_alone(chromium: Browser, site: Site) -> None:
    page = _opened(chromium, site, "en-GB")
    page.get_by_text("A recipient was told", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#f-done-duty")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("receipt 2026-118")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Done.")
    expect(page.locator(".breach tr.done")).to_have_count(1)
    (step,) = [one for one in site.world.topic.commands if isinstance(one, BreachStep) and one.step == "done"]
    assert (step.by, step.why) == ("sun.yi", "receipt 2026-118")
    page.context.close()


def test_drafts_and_the_timeline_are_saved_as_files(chromium: Browser, site: Site) -> None:
    page = _opened(chromium, site, "en-GB")
    with page.expect_download() as draft:
        page.get_by_role("link", name="Draft in Chinese: cn-pipl-57-individuals").click()
    assert draft.value.suggested_filename.endswith("-cn-pipl-57-individuals.zh.md")
    assert "告知书（草稿）" in draft.value.path().read_text(encoding="utf-8")
    page.get_by_text("Export its timeline", exact=True).click()
    form = page.locator("form[action$='/export']")
    form.get_by_label("What the file is for").fill("for the authority")
    with page.expect_download() as timeline:
        form.get_by_role("button", name="Record and download").click()
    assert json.loads(timeline.value.path().read_text(encoding="utf-8"))["exported_by"] == "sun.yi"
    assert [read.look for read in site.world.trail.told if read.reason] == ["incident_export"]
    page.context.close()
