"""Writes docs/reference/metrics.md and codes.md: `python -m tests.golden.make_health`.

`test_health_reference.py` fails while the pages differ from what this writes, so they cannot go stale.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.health.metrics import METRICS, NOTARY_METRICS, RESPONDER_METRICS, SCHEDULER_METRICS, Metric
from pipeline.health.troubles import TROUBLES
from pipeline.stages.decode import REASONS
from pipeline.stages.reason_words import REASONS_ZH

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "reference"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _metric(one: Metric) -> list[str]:
    return [f"`{one.name}`", one.kind, one.unit, ", ".join(f"`{label}`" for label in one.labels), one.help]


def metrics_page() -> str:
    """Every metric of a worker, of a scheduler, of a responder and of a notary."""
    header = ["metric", "type", "unit", "labels", "what it says"]
    return "\n".join(
        [
            "# Metrics",
            "",
            "<!-- Generated from pipeline/health/metrics.py by tests/golden/make_health.py; do not edit. -->",
            "",
            "What each worker answers to `GET /metrics` (Prometheus text format) at the address that "
            "`accesstrail status --json` names. Counters are of the process: they begin at 0 with it, and a "
            "partition's go with the partition. Labels never hold an identifier.",
            "",
            *_table(header, list(map(_metric, METRICS))),
            "",
            "A scheduler answers with those of the process, and with these:",
            "",
            *_table(header, list(map(_metric, SCHEDULER_METRICS))),
            "",
            "A responder (incidents, messages) answers with those of the process, of dependencies and of stopped "
            "partitions, and with these:",
            "",
            *_table(header, list(map(_metric, RESPONDER_METRICS))),
            "",
            "A notary (checkpoints, anchors) answers with those of the process, and with these:",
            "",
            *_table(header, list(map(_metric, NOTARY_METRICS))),
            "",
        ]
    )


def codes_page() -> str:
    """Every code, what it means and what to do."""
    rows = [
        [f"`{code}`", one.meaning, one.next_step, f"{one.meaning_zh}{one.next_step_zh}"]
        for code, one in sorted(TROUBLES.items())
    ]
    reasons = [[f"`{code}`", text, REASONS_ZH[code]] for code, text in sorted(REASONS.items())]
    return "\n".join(
        [
            "# Codes",
            "",
            "<!-- Generated from pipeline/health/troubles.py and pipeline/stages/decode.py by "
            "tests/golden/make_health.py; do not edit. -->",
            "",
            "What `accesstrail status`, `/readyz`, `accesstrail doctor`, logs, metrics and the system's own alerts "
            "(detector `system:<code>`) name.",
            "",
            *_table(["code", "what it means", "what to do", "中文"], rows),
            "",
            "## Reasons of dead letters",
            "",
            "Besides `store_rejected`:",
            "",
            *_table(["reason", "what it means", "中文"], reasons),
            "",
        ]
    )


PAGES = {"metrics.md": metrics_page, "codes.md": codes_page}


def main() -> None:
    """Writes both pages."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
