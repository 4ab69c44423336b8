"""The page behind a link as people meet it: in Chromium, in both languages, by mouse, keyboard and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.adapters.acknowledge_page import AcknowledgeServer
from tests.acknowledging import INCIDENT, LINKS, Incidents, path

EN, ZH = "en-GB", "zh-CN"
BUTTONS = {EN: "Acknowledge", ZH: "确认此事件"}
DONE = {EN: "Acknowledged. It may take a few seconds", ZH: "已确认。几秒后各处将显示新状态。"}
TITLES = {EN: INCIDENT.title_en, ZH: INCIDENT.title_zh}


@dataclass
class Window:
    """One window, and what happened in it besides what it shows."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self) -> Page:
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(self.url)
        return self.page


@pytest.fixture
def incidents() -> Incidents:
    return Incidents()


@pytest.fixture
def address(incidents: Incidents) -> Iterator[str]:
    server = AcknowledgeServer(
        "127.0.0.1", 0, links=LINKS, look=incidents.look, acknowledge=incidents.acknowledge,
        now_us=lambda: incidents.now_us,
    )  # fmt: skip
    server.start()
    host, port = server.address
    yield f"http://{host}:{port}{path()}"
    server.close()


def window(chromium: Browser, url: str, **options: Any) -> Window:
    return Window(chromium.new_context(**options).new_page(), url)


@pytest.mark.parametrize("language", [EN, ZH])
def test_it_shows_the_incident_in_the_readers_language_and_one_press_acknowledges(
    language: str, chromium: Browser, address: str, incidents: Incidents
) -> None:
    opened = window(chromium, address, locale=language)
    page = opened.open()
    expect(page.get_by_text(TITLES[language])).to_be_visible()
    assert page.get_attribute("html", "lang") == language.split("-")[0] + ("-CN" if language == ZH else "")
    assert incidents.acknowledged == []
    page.get_by_role("button", name=BUTTONS[language]).click()
    expect(page.get_by_role("status")).to_contain_text(DONE[language])
    expect(page.get_by_role("button")).to_have_count(0)
    assert [claim.by for claim, _ in incidents.acknowledged] == ["link:chat"]
    # Nothing from elsewhere, nothing its own policy forbids; a browser asks for an icon by itself.
    assert {one for one in opened.asked if not one.endswith("/favicon.ico")} == {address}
    assert [one for one in opened.complaints if "favicon" not in one and "404" not in one] == []


def test_the_keyboard_alone_acknowledges(chromium: Browser, address: str, incidents: Incidents) -> None:
    page = window(chromium, address, locale=EN).open()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(DONE[EN])
    assert len(incidents.acknowledged) == 1


def test_an_impatient_double_click_and_a_reload_acknowledge_once(
    chromium: Browser, address: str, incidents: Incidents
) -> None:
    page = window(chromium, address, locale=EN).open()
    page.get_by_role("button").dblclick()
    expect(page.get_by_role("status")).to_contain_text(DONE[EN])
    page.reload()
    assert len(incidents.acknowledged) == 1


def test_who_comes_later_reads_that_somebody_looks_after_it(
    chromium: Browser, address: str, incidents: Incidents
) -> None:
    incidents.found = replace(INCIDENT, state="acknowledged", acknowledged_by="li.wei")
    page = window(chromium, address, locale=EN).open()
    expect(page.get_by_text("li.wei")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)


def test_while_kafka_is_away_it_says_that_nothing_was_changed(
    chromium: Browser, address: str, incidents: Incidents
) -> None:
    incidents.away = {"acknowledge"}
    page = window(chromium, address, locale=ZH).open()
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("未作任何变更")
    assert incidents.acknowledged == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", [EN, ZH])
def test_on_a_narrow_phone_nothing_runs_over_the_edge_and_everything_can_be_read(
    scheme: str, language: str, chromium: Browser, address: str, incidents: Incidents
) -> None:
    incidents.found = replace(
        INCIDENT, title_en="A very long sentence of it. " * 20, title_zh="一夜读取四千名客户，" * 40
    )
    opened = window(
        chromium, address, locale=language, color_scheme=scheme, viewport={"width": 320, "height": 568}, has_touch=True
    )
    page = opened.open()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for kind in ("h1", "p", "dt", "dd", "button"):
        assert _contrast(page, kind) >= 4.5, kind
    page.get_by_role("button").tap()
    expect(page.get_by_role("status")).to_contain_text(DONE[language])


def _contrast(page: Page, kind: str) -> float:
    """WCAG 2.2 contrast of the first such element's text and what is behind it."""
    colours = page.locator(kind).first.evaluate(
        """element => {
            const own = getComputedStyle(element);
            let behind = element;
            const clear = one => getComputedStyle(one).backgroundColor === 'rgba(0, 0, 0, 0)';
            while (behind && clear(behind)) behind = behind.parentElement;
            return [own.color, behind ? getComputedStyle(behind).backgroundColor : 'rgb(255, 255, 255)'];
        }"""
    )
    bright, dark = sorted((_luminance(one) for one in colours), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [float(one) / 255 for one in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
