"""Writes docs/reference/scheduled-detectors.md from the detectors themselves: `python -m tests.golden.make_scheduled`.

`test_scheduled_reference.py` fails while the page differs from what this writes, so it cannot go stale.
"""

from __future__ import annotations

from pathlib import Path

from detectors.scheduled import SCHEDULED, SCHEDULED_VERSION
from detectors.scheduled.base import ScheduledDetector

PATH = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "scheduled-detectors.md"
_HEAD = [
    "# Scheduled detectors",
    "",
    "<!-- Generated from detectors/scheduled by tests/golden/make_scheduled.py; do not edit. -->",
    "",
    "Detectors whose state is not keyed by the actor of one event. Each is SQL over sealed rows; how they are run, and "
    "what provisional and final mean, is in the [guide](../guides/scheduled-detectors.md). "
    f"Version {SCHEDULED_VERSION}. *Early*: how often an open window is asked before it is final.",
    "",
]


def _span(seconds: int) -> str:
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {name}"
    return f"{seconds} s"


def _window(detector: ScheduledDetector) -> str:
    cadence = detector.cadence
    return f"{cadence.reach} {cadence.unit}{'s' if cadence.reach > 1 else ''}, every {cadence.unit}"


def _row(detector: ScheduledDetector) -> list[str]:
    cadence = detector.cadence
    early = _span(cadence.early_s) if cadence.early_s is not None else "never"
    lateness = _span(cadence.lateness_s)
    return [
        f"[`{detector.name}`](#{detector.name})", detector.state_key, _window(detector), lateness, early,
        f"{cadence.history_days} d", f"{cadence.quiet_slots} {cadence.unit}s", ", ".join(detector.scenarios),
        ", ".join(detector.attack_ids),
    ]  # fmt: skip


def _section(detector: ScheduledDetector) -> list[str]:
    lines = [
        f"## {detector.name}",
        "",
        f"{detector.title.en} · {detector.title.zh}",
        "",
        f"- Touches: {', '.join(detector.articles)}",
        f"- Cold start: {detector.cold_start.en} {detector.cold_start.zh}",
        f"- Next step: {detector.next_step.en} {detector.next_step.zh}",
        f"- Runbook: {detector.runbook.en}",
        f"- 处置：{detector.runbook.zh}",
        f"- Benign look-alikes it is tested with: {'; '.join(detector.look_alikes)}",
    ]
    lines += [f"- Parameter `{one.name}` ({one.type}): {one.about}" for one in detector.parameters]
    return [*lines, ""]


def page() -> str:
    """The whole page."""
    header = ["detector", "state by", "window", "lateness", "early", "history", "quiet", "scenarios", "ATT&CK"]
    rows = [header, ["---"] * len(header), *map(_row, SCHEDULED)]
    table = ["| " + " | ".join(row) + " |" for row in rows]
    sections = [line for detector in SCHEDULED for line in _section(detector)]
    return "\n".join([*_HEAD, *table, "", *sections]).rstrip() + "\n"


if __name__ == "__main__":
    PATH.write_text(page(), encoding="utf-8")
