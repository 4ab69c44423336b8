"""Nothing is cut: at 1,280 px every table fits, at 320 px it scrolls where keyboard and screen reader can follow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as Window

from dashboards.panels.boards import BOARDS
from dashboards.panels.panel import Panel
from pipeline.audit.panels import PanelAnswer
from pipeline.events import LogPosition
from pipeline.ledger.checkpoint import TreeName
from tests.audit_desk import differing, intact, notary
from tests.console import World
from tests.evidence_desk import ACTOR as ACTOR_ID
from tests.evidence_desk import SUBJECT, access, token
from tests.incident_logs import ACTOR, alert
from tests.pages.test_console_in_chromium import LONG, Site, running
from tests.unit.console.test_console_incidents import EVENT

INCIDENT = "0193a5b0-0000-7000-8000-0000000000ab"
REASONS = ("rule:bulk_export", "feature:denied_10m", "feature:new_country", "rule:impossible_travel")
TEXTS = {"incident": INCIDENT, "why": ", ".join(REASONS), "detector": "partner_over_contract_day",
         "explanation_en": LONG, "explanation_zh": LONG,
         "source_instance": "accounts:dbba21d5d8232c6fdfc286f41f3e2e44", "x": "9", "y": "3"}  # fmt: skip
SIZES = {"risk": 99.97, "percent": 12.5, "seconds": 7_000.0}
CUT = """() => {
  const bad = [];
  for (const one of document.querySelectorAll("main *")) {
    const style = getComputedStyle(one);
    if (one.scrollWidth <= one.clientWidth + 1 || style.display === "inline") continue;
    if (one.closest(".hidden, svg, .u-wrap")) continue;
    const scrolls = style.overflowX === "auto" || style.overflowX === "scroll";
    const told = one.tabIndex === 0 && one.getAttribute("role") === "region" && one.getAttribute("aria-label");
    if (scrolls && told) continue;
    if (["INPUT", "SELECT", "TEXTAREA"].includes(one.tagName)) continue;
    if (scrolls || style.overflowX !== "visible") bad.push(one.outerHTML.slice(0, 200));
  }
  return bad;
}"""
WAITING = """() => document.readyState !== "complete" || [...document.querySelectorAll("[hx-get]")]
  .some((one) => one.closest(".answer, form, section") && one.querySelector(":scope > p:not(.stat) > a, :scope > a"))"""
SCROLLED = """() => [...document.querySelectorAll("main .scroll")]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && !one.querySelector("table.hours"))
  .map((one) => `${one.getAttribute("aria-label")}: ${one.scrollWidth} in ${one.clientWidth}`)"""


def _rows(panel: Panel) -> PanelAnswer:
    """Twenty rows of wide values in a table, as many as fit the other views."""
    kinds = {"token": ACTOR, "time": datetime(2026, 11, 18, 9, 30, tzinfo=UTC), "text": "customer_profile"}
    row = [TEXTS.get(one.name, kinds.get(one.unit, SIZES.get(one.unit, 1_243_200.0))) for one in panel.columns]
    count = {"stat": 1, "timeseries": 1, "heatmap": 1, "table": 20}.get(panel.view, 8)
    return PanelAnswer(tuple(one.name for one in panel.columns), (tuple(row),) * count)


class Wide:
    """Panels that all answer."""

    def run(self, panel: Panel, values: Mapping[str, object]) -> PanelAnswer:
        return _rows(panel)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    world = World(tmp_path)
    world.logs.put(alert(1, detector="bulk_export", reasons=REASONS), alert(2, risk=95.0, severity="high"))
    event = replace(
        EVENT, endpoint="/api/v2/customers/{id}/appointments/{appointment}", subject_tokens=(ACTOR,) * 3,
        fields_unmasked=("name", "id_number", "mobile"), justification="customer called",
        subjects=12_432,
    )  # fmt: skip
    world.store.events = [event] * 4
    rows = [access(n, world.now_us - n * 3_600_000_000, justification=LONG[:120], app_id="customer-service-desk",
                   resource_type="customer_profile", fields_unmasked=("mobile",), records_returned=12_432_000,
                   case_token=token("case", "INC-1")) for n in range(1, 40)]  # fmt: skip
    world.looked.rows = rows
    world.looked.incidents = [world.store.incident(world.incident.incident_id)]  # type: ignore[list-item]
    world.looked.alerts = list(world.store.alerts_of(world.looked.incidents[0]))
    world.panels = Wide()  # type: ignore[assignment]  # the same role
    tree = TreeName("bank.example", LogPosition("access.events", "Vn3dq0xgSZ2yYk1r5m7w9A", 7))
    long = f"the rows 12432000-12432999 do not give the root that was sealed; {LONG[:120]}"
    world.audited.runs = [differing(world.now_us - 10**9, str(tree)), intact(world.now_us - 10**11)]
    told = [replace(one, code="entry_root", about=long) for one in world.audited.runs[0].differences]
    world.audited.runs[0] = replace(world.audited.runs[0], differences=told, by="lin.meng", derived=["access_events"])
    world.audited.notaries_found = [notary(world.now_us)]
    for role in ("dpo", "auditor"):
        world.account(role, role)
    with running(world) as found:
        yield found


def _paths(site: Site, role: str) -> list[str]:
    if role == "auditor":
        return ["/audit", "/audit/verification", "/audit/controls?days=30", "/audit/evidence"]
    actor, subject = token("actor", ACTOR_ID), token("subject", SUBJECT)
    own = {"actor": f"/of/{actor}", "subject-audit": f"/of/{subject}"}
    boards = [f"/boards/{one.uid}{own.get(one.uid, '')}" for one in BOARDS]
    period = f"from_us={site.world.now_us - 10**12}&until_us={site.world.now_us}"
    return [
        "/overview", "/incidents", f"/incidents/{site.world.incident.incident_id}", f"/search/results?{period}",
        f"/actors/{actor}", f"/subjects/{subject}", "/rules", "/health", "/audit/subject-report",
        "/audit/subject-report/accounts", "/boards", *boards,
    ]  # fmt: skip


def _open(page: Window, address: str) -> None:
    """The page with every part of it; asked again and again, since the policy lets no predicate be evaluated in it."""
    page.goto(address)
    until_s = time.monotonic() + 10
    while page.evaluate(WAITING):
        assert time.monotonic() < until_s, f"{address}: parts are missing"
        page.wait_for_timeout(50)
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true })")


@pytest.mark.parametrize("role", ["dpo", "auditor"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_nothing_is_cut_at_1280_and_at_320_px(chromium: Browser, site: Site, locale: str, role: str) -> None:
    page = site.sign_in(site.window(chromium, locale, viewport={"width": 1280, "height": 900}), role)
    faults = []
    for path in _paths(site, role):
        page.set_viewport_size({"width": 1280, "height": 900})
        _open(page, site.address + path)
        faults += [f"{path}: {one}" for one in (*page.evaluate(CUT), *page.evaluate(SCROLLED))]
        page.set_viewport_size({"width": 320, "height": 700})
        page.wait_for_timeout(400)  # charts draw themselves anew
        faults += [f"{path} at 320 px: {one}" for one in page.evaluate(CUT)]
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        faults += [f"{path} scrolls sideways by {wider} px"] if wider > 0 else []
    assert faults == []
    assert site.complaints == []
    page.context.close()


def test_no_table_makes_a_panel_higher_than_what_stands_beside_it(chromium: Browser, site: Site) -> None:
    page = site.sign_in(site.window(chromium, viewport={"width": 1280, "height": 900}), "dpo")
    for path in ("/overview", "/boards/incident-response", "/boards/partners"):
        _open(page, site.address + path)
        tables = page.evaluate(
            "[...document.querySelectorAll('.panel .answer > .scroll')].map((one) => one.clientHeight)"
        )
        assert tables, path
        assert max(tables) <= 340, path
    page.context.close()
