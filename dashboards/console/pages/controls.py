"""The register of controls: which articles each serves, what evidence can show of it, and what it shows of a period.

Place in the flow: the register is data of the package; the store is asked only where a period is chosen. What comes
back are numbers, as in the report of an audit.
"""

from __future__ import annotations

from collections import defaultdict

from dashboards.console.pages.search import DAY_US, number
from dashboards.console.visit import Answer, Page, Visit
from pipeline.audit.controls import KINDS, RESULTS
from pipeline.errors import UsageError

SPANS = (7, 30, 90)
"""Days that can be chosen."""
_STEP_US = 60_000_000
"""A period ends with a whole minute, so that viewers of the same moment ask the same question."""


def controls_page(visit: Visit) -> Answer:
    """The register, with results where a period was chosen."""
    register = visit.parts.audit.controls()
    span = round(number(visit.query.text("days", "0", longest=8)))
    if span not in (0, *SPANS):
        raise UsageError("there is no such period", code="bad_field")
    until_us = visit.now_us // _STEP_US * _STEP_US
    judged = visit.parts.audit.judged(until_us - span * DAY_US, until_us) if span else None
    serving: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for one in register.controls:
        for article in one.serves:
            serving[article].append(one.control_id)
    results = judged.results.values() if judged is not None else ()
    values = {
        "title": "controls.title", "register": register, "judged": judged, "span": span, "spans": SPANS,
        "kinds": {kind: sum(one.kind == kind for one in register.controls) for kind in KINDS},
        "counted": {word: sum(one == word for one in results) for word in RESULTS}, "words": RESULTS,
        "serving": serving, "badges": {"covered": "good", "partly": "medium", "gap": "high"},
        "unconfirmed": {one.control_id: register.unconfirmed(one) for one in register.controls},
    }  # fmt: skip
    return Page("controls.html", values)
