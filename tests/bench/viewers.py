"""How long people wait for the console: fifty viewers while events come in, and the overview's first paint.

Each viewer is an account of its own with a second factor, from an address of its own (127.0.1.N), with the overview's
stream open all the time. Every half minute it opens the overview with all its panels, the list of incidents and one
incident with its evidence, as a browser asks for them; evidence waits for Kafka like anybody's. Waited: from sending a
request to its last byte. First paint: the browser's own measure (Paint Timing) in Chromium, the page loaded anew.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from playwright.sync_api import Page, sync_playwright

from pipeline.cli.acting import now_us
from pipeline.cli.demo_accounts import SignIn, account_to_sign_in
from tests.bench.system import System, Worker, report_of, running, sample, spread_ms, write_workload
from tests.bench.workload import Workload

_SETTLE_S = 15.0
_PANEL = re.compile(r'hx-get="(/overview/[^"]+)"')
_INCIDENT = re.compile(r'href="(/incidents/[0-9a-f-]{36})"')
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
_PAINTS = 5
_ALL_THERE = (
    "performance.getEntriesByType('resource').filter(one => one.name.includes('/overview/') && one.responseEnd > 0)"
    ".length >= document.querySelectorAll('[hx-get^=\"/overview/\"]').length"
)


@dataclass(slots=True)
class Viewer:
    """One person at the overview. `waited_s`: by route, of each request; `refused`: answers that were no page."""

    address: str
    signs_in: SignIn
    number: int
    every_s: float
    waited_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: int = 0
    messages: int = 0
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        transport = httpx.HTTPTransport(local_address=f"127.0.1.{self.number + 1}")
        self.client = httpx.Client(base_url=self.address, transport=transport, timeout=60)

    def sign_in(self) -> None:
        """As a person does."""
        found = _CSRF.search(self.client.get("/login").text)
        fields = {
            "name": self.signs_in.name, "password": self.signs_in.password, "code": self.signs_in.code(now_us()),
            "csrf": found[1] if found else "",
        }  # fmt: skip
        answer = self.client.post("/login", data=fields, headers={"Origin": self.address})
        if answer.status_code != 303:
            raise SystemExit(f"viewer {self.number} cannot sign in: HTTP {answer.status_code}")

    def watch(self, ended: threading.Event) -> None:
        """Keeps the stream open."""
        quiet = httpx.Timeout(60, read=None)  # a stream may say nothing for longer than a page may take
        with self.client.stream("GET", "/live", headers={"Accept": "text/event-stream"}, timeout=quiet) as stream:
            for line in stream.iter_lines():
                self.messages += line.startswith("data")
                if ended.is_set():
                    return

    def look(self, ended: threading.Event) -> None:
        """Round after round until the end; viewers do not look all at the same moment."""
        ended.wait(self.number * 0.37 * self.every_s / 10 % self.every_s)
        while not ended.is_set():
            begun_s = time.monotonic()
            page = self._get("/overview", "/overview")
            for path in _PANEL.findall(page):
                self._get(path, "panel", fragment=True)
            found = _INCIDENT.findall(self._get("/incidents", "/incidents"))
            if found:
                chosen = found[self.number % len(found)]
                self._get(chosen, "/incidents/ID")
                self._get(f"{chosen}/evidence", "evidence", fragment=True)
            ended.wait(max(0.0, self.every_s - (time.monotonic() - begun_s)))

    def _get(self, path: str, route: str, *, fragment: bool = False) -> str:
        begun_s = time.monotonic()
        answer = self.client.get(path, headers={"HX-Request": "true"} if fragment else {})
        self.waited_s[route].append(time.monotonic() - begun_s)
        self.refused += answer.status_code != 200
        return answer.text


def viewers_of(state: Path, address: str, count: int, every_s: float) -> list[Viewer]:
    """That many, signed in."""
    found = []
    for number in range(count):
        account = account_to_sign_in(state, f"viewer{number}", ("soc",), "looks")
        found.append(Viewer(address, account, number, every_s))
        found[-1].sign_in()
    return found


def measure(viewers: Sequence[Viewer], seconds: float) -> dict[str, object]:
    """Lets them look for a while."""
    ended = threading.Event()
    threads = [
        threading.Thread(target=act, args=(ended,), daemon=True) for one in viewers for act in (one.watch, one.look)
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    ended.set()
    for thread in threads:
        thread.join(30)
    every = [waited for one in viewers for times in one.waited_s.values() for waited in times]
    by_route: dict[str, list[float]] = defaultdict(list)
    for one in viewers:
        for route, times in one.waited_s.items():
            by_route[route] += times
    return {
        "viewers": len(viewers), "requests": len(every), "refused": sum(one.refused for one in viewers),
        "messages": sum(one.messages for one in viewers), **spread_ms(np.array(every) * 1000),
        "p95_ms_by_route": {route: round(float(np.percentile(times, 95)) * 1000) for route, times in by_route.items()},
    }  # fmt: skip


def first_paint(address: str, account: SignIn) -> dict[str, object]:
    """Milliseconds until the overview's first paint and until all its panels are there, each time anew."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(f"{address}/login")
        page.fill("input[name=name]", account.name)
        page.fill("input[name=password]", account.password)
        page.fill("input[name=code]", account.code(now_us()))
        page.press("input[name=code]", "Enter")
        page.wait_for_url("**/overview")
        painted, complete = [], []
        for _ in range(_PAINTS):
            begun_s = time.monotonic()
            page.goto(f"{address}/overview")
            _await(page, "performance.getEntriesByName('first-contentful-paint').length > 0")
            painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            _await(page, _ALL_THERE)
            complete.append((time.monotonic() - begun_s) * 1000)
        browser.close()
    return {"first_paint_ms": [round(one) for one in painted], "complete_ms": [round(one) for one in complete]}


def _await(page: Page, condition: str) -> None:
    """Until the condition holds in the page; its policy lets no waiting of the browser's own in."""
    deadline_s = time.monotonic() + 60
    while not page.evaluate(condition):
        if time.monotonic() > deadline_s:
            raise SystemExit(f"the page never got there: {condition}")
        time.sleep(0.01)


def console_of(system: System) -> Worker:
    """A console of its own, with its accounts in its folder."""
    console = Worker(system, "console", {}, "console")
    system.workers.append(console)
    deadline_s = time.monotonic() + 120
    while not console.status().get("address"):
        if console.process.poll() is not None or time.monotonic() > deadline_s:
            raise SystemExit(f"the console did not start\n{console.tail()}")
        time.sleep(0.2)
    return console


def under_load(system: System, workload: Workload, options: argparse.Namespace) -> dict[str, object]:
    """The viewers while `options.rate` events a second come in."""
    events = system.folder / "events"
    write_workload(workload, events, round(options.rate * (options.seconds + 2 * _SETTLE_S)))
    for one in (system.worker("one"), system.responder("two")):
        one.await_ready()
    console = console_of(system)
    address = str(console.status()["address"]).rstrip("/")
    viewers = viewers_of(console.folder, address, options.viewers, options.every)
    painter = account_to_sign_in(console.folder, "painter", ("soc",), "looks")
    producer = system.produce(events, rate=options.rate, seconds=options.seconds + 2 * _SETTLE_S)
    time.sleep(_SETTLE_S)
    before = sample(console.pid).cpu_s
    found = measure(viewers, options.seconds)
    cpu_s = round(sample(console.pid).cpu_s - before, 1)
    sent = report_of(producer)
    return {
        "rate": options.rate,
        **found,
        "console_cpu_s": cpu_s,
        "producer": sent,
        "then": first_paint(address, painter),
    }


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.viewers", description=__doc__)
    parser.add_argument("--rate", type=float, default=5_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--every", type=float, default=30, help="seconds between one look of a viewer and the next")
    parser.add_argument("--actors", type=int, default=5_000)
    parser.add_argument(
        "--paint", metavar="STATE", type=Path, help="only the first paint, of a running stack's console"
    )
    options = parser.parse_args()
    if options.paint:
        address = json.loads(next((options.paint / "run").glob("console-*.json")).read_text())["address"].rstrip("/")
        painter = account_to_sign_in(options.paint, f"painter{now_us()}"[:20], ("soc",), "looks")
        print(json.dumps(first_paint(address, painter)), flush=True)
        return
    workload = Workload(options.actors, 111_000)
    with running("bench.viewers", workload, model_alerts=False) as system:
        print(json.dumps(under_load(system, workload, options)), flush=True)


if __name__ == "__main__":
    main()
