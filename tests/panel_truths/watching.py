"""What panels must answer: SOC overview and incident response."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime

from tests.panel_history import NO_ID, History, Record, hexed
from tests.panel_truths.counting import (
    SEVERITIES,
    Question,
    Row,
    accesses,
    approved,
    bars,
    by_actor,
    count_of,
    grouped,
    highest_risk,
    median_of,
    micros,
    open_incidents,
    over_time,
    persons,
    records,
    seconds,
    truth_of,
    unexplained,
    uuid_order,
)

# -- SOC overview


@truth_of("soc-overview", "waiting")
def _(h: History, q: Question) -> Sequence[Row]:
    return [(sum(one["state"] == "open" and one["opened_at"] < q.until for one in h.incidents),)]


@truth_of("soc-overview", "open-by-severity")
def _(h: History, q: Question) -> Sequence[Row]:
    counts = Counter(one["severity"] for one in open_incidents(h, q))
    return [(name, counts[name]) for name in reversed(SEVERITIES) if counts[name]]


@truth_of("soc-overview", "accesses")
def _(h: History, q: Question) -> Sequence[Row]:
    return over_time(accesses(h, q), q, "event_time", lambda one: one["outcome"], len)


@truth_of("soc-overview", "alerts")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [
        one for one in h.alerts
        if q.holds(one["event_time"]) and not one["detector"].startswith("system:")
        and "scheduled:withdrawn" not in one["reasons"]
    ]  # fmt: skip
    return over_time(found, q, "event_time", lambda one: one["severity"], len)


@truth_of("soc-overview", "riskiest-actors")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = [
        (actor, len(of), persons(of), unexplained(of), count_of(of, "outcome", "denied"), highest_risk(of))
        for actor, of in by_actor(one for one in accesses(h, q) if one["actor_token"]).items()
    ]
    return sorted(rows, key=lambda row: (-row[5], -row[1], row[0]))[:20]


@truth_of("soc-overview", "most-persons")
def _(h: History, q: Question) -> Sequence[Row]:
    return bars(by_actor(one for one in accesses(h, q) if one["actor_token"]), persons, 10)


@truth_of("soc-overview", "denied")
def _(h: History, q: Question) -> Sequence[Row]:
    denied = [one for one in accesses(h, q) if one["outcome"] == "denied" and one["actor_token"]]
    return bars(by_actor(denied), len, 10)


@truth_of("soc-overview", "handed-out")
def _(h: History, q: Question) -> Sequence[Row]:
    out = [one for one in accesses(h, q)
           if one["action"] in ("export", "download", "share", "print") and one["outcome"] == "success"]  # fmt: skip
    out.sort(key=lambda one: (-records(one), -micros(one["event_time"]), uuid_order(one["event_id"])))
    return [(one["event_time"], hexed(one["actor_token"]) or "0" * 32, one["action"], one["resource_type"],
             records(one), approved(one)) for one in out[:20]]  # fmt: skip


# -- incident response


def _taken_by(one: Record) -> str:
    return str(one["assignee"] or one["acknowledged_by"])


@truth_of("incident-response", "to-do")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = sorted(open_incidents(h, q), key=lambda one: (-SEVERITIES.index(one["severity"]), one["opened_at"],
                                                one["incident_id"]))  # fmt: skip
    return [(one["incident_id"], one["severity"], one["state"], one["risk"] / 100,
             seconds(one["opened_at"], q.until), _taken_by(one), hexed(one["actor_token"]), one["explanation_en"],
             one["explanation_zh"]) for one in rows[:50]]  # fmt: skip


@truth_of("incident-response", "to-acknowledge")
def _(h: History, q: Question) -> Sequence[Row]:
    taken: dict[str, datetime] = {}
    for row in h.log:
        if row["transition"] in ("acknowledged", "assigned", "contain_asked") and not row["by"].startswith("system:"):
            known = taken.get(row["incident_id"], row["received_at"])
            taken[row["incident_id"]] = min(known, row["received_at"])
    return median_of([seconds(one["opened_at"], taken[one["incident_id"]]) for one in h.incidents
                    if one["incident_id"] in taken and q.holds(taken[one["incident_id"]])])  # fmt: skip


@truth_of("incident-response", "to-resolve")
def _(h: History, q: Question) -> Sequence[Row]:
    return median_of([seconds(one["opened_at"], one["resolved_at"]) for one in h.incidents
                    if one["verdict"] and one["merged_into"] == NO_ID and q.holds(one["resolved_at"])])  # fmt: skip


@truth_of("incident-response", "opened-and-closed")
def _(h: History, q: Question) -> Sequence[Row]:
    counts: Counter[Row] = Counter()
    for one in h.incidents:
        if q.holds(one["opened_at"]):
            counts[q.bucket(one["opened_at"]), "opened"] += 1
        if one["state"] == "resolved" and q.holds(one["resolved_at"]):
            counts[q.bucket(one["resolved_at"]), "closed"] += 1
    return [(*key, counts[key]) for key in sorted(counts)]


@truth_of("incident-response", "verdicts")
def _(h: History, q: Question) -> Sequence[Row]:
    kinds = ("true_positive", "benign", "false_positive")
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in h.incidents:
        if one["verdict"] in kinds and q.holds(one["resolved_at"]):
            for detector in one["detectors"]:
                counts[detector][one["verdict"]] += 1
    rows = [
        (name, *(of[kind] for kind in kinds), 100 * of["true_positive"] / of.total()) for name, of in counts.items()
    ]
    return sorted(rows, key=lambda row: (-row[3], row[0]))


@truth_of("incident-response", "messages")
def _(h: History, q: Question) -> Sequence[Row]:
    outcomes: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for one in h.deliveries:
        if q.holds(one["at"]):
            outcomes[one["channel"], one["notification_id"]].add(one["outcome"])
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (channel, _name), of in outcomes.items():
        gravest = next((kind for kind in ("delivered", "refused", "retry") if kind in of), "nothing")
        counts[channel][gravest] += 1
    rows = [(name, of["delivered"], of["retry"], of["refused"]) for name, of in counts.items()]
    return sorted(rows, key=lambda row: (-row[3], row[0]))


@truth_of("incident-response", "breaches")
def _(h: History, q: Question) -> Sequence[Row]:
    closed = {one["incident_id"] for one in h.incidents if one["state"] == "resolved"}
    rows = [(one["incident_id"], hexed(one["actor_token"]), one["since"], one["known_at"],
             seconds(one["known_at"], q.until)) for one in h.holds
            if one["since"] < q.until and one["incident_id"] not in closed]  # fmt: skip
    return sorted(rows, key=lambda row: (row[3], row[0]))


@truth_of("incident-response", "workload")
def _(h: History, q: Question) -> Sequence[Row]:
    return bars(grouped((one for one in open_incidents(h, q) if _taken_by(one)), _taken_by), len, 20)
