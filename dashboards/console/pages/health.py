"""How the pipeline itself is: partitions, processes, sources, dead letters, scheduled runs, messages.

Place in the flow: operators turn to it; it shows numbers and codes only, no evidence. What does not answer is named,
and the rest of the page is there all the same.
"""

from __future__ import annotations

from dashboards.console.visit import Answer, Page, Visit


def health_page(visit: Visit) -> Answer:
    """The page."""
    view = visit.parts.evidence.health(visit.now_us)
    silent = [one for one in view.sources if one.is_silent_at(visit.now_us)]
    failed_runs = [one for one in view.runs if one.result == "failed"]
    undelivered = sum(one.failed + one.waiting for one in view.channels)
    verified = visit.parts.audit.last_judged()
    gaps = sum(one.records for one in view.dead_letters if one.kind == "gap")
    # Besides what processes say of themselves: key of the words and how many.
    wrong = [
        (key, count) for key, count in (
            ("health.wrong.silent", len(silent)), ("health.wrong.runs", len(failed_runs)),
            ("health.wrong.messages", undelivered), ("health.wrong.unscored", view.unscored),
            ("health.wrong.gaps", gaps), ("health.wrong.verification", verified.changed if verified else 0),
        ) if count
    ]  # fmt: skip
    values = {
        "title": "health.title", "view": view, "silent": silent, "wrong": wrong,
        "lag": sum(max(one.lag, 0) for one in view.partitions),
        "is_lag_known": bool(view.partitions) and all(one.lag >= 0 for one in view.partitions),
        "failed_runs": failed_runs, "undelivered": undelivered,
        "dead": sum(one.records for one in view.dead_letters), "verified": verified,
    }  # fmt: skip
    return Page("health.html", values)
