"""What panels must answer: one account, one person, unexplained access."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.panel_history import History, Record, hexed
from tests.panel_truths.counting import (
    Question,
    Row,
    accesses,
    approved,
    bars,
    by,
    by_actor,
    count_of,
    different,
    entries,
    first_at,
    grouped,
    highest_risk,
    last_at,
    micros,
    newest,
    over_time,
    persons,
    records,
    truth_of,
    unexplained,
    uuid_order,
)

# -- one actor


def _of_actor(h: History, q: Question) -> list[Record]:
    return [one for one in accesses(h, q) if one["actor_token"] and hexed(one["actor_token"]) == q.actor]


@truth_of("actor", "who")
def _(h: History, q: Question) -> Sequence[Row]:
    names = ("actor_type", "actor_dept", "actor_role", "actor_org", "actor_status")
    rows = [(*key, first_at(of), last_at(of), len(of)) for key, of in grouped(_of_actor(h, q), by(*names)).items()]
    return sorted(rows, key=lambda row: (-micros(row[6]), row[:5]))[:10]


@truth_of("actor", "accesses")
def _(h: History, q: Question) -> Sequence[Row]:
    return over_time(_of_actor(h, q), q, "event_time", lambda one: one["outcome"], len)


@truth_of("actor", "risk")
def _(h: History, q: Question) -> Sequence[Row]:
    return over_time(_of_actor(h, q), q, "event_time", lambda one: "risk", highest_risk)


@truth_of("actor", "hours")
def _(h: History, q: Question) -> Sequence[Row]:
    local = [one["event_time"].astimezone(q.zone) for one in _of_actor(h, q)]
    counts = Counter((at.isoweekday(), at.hour) for at in local)
    return [(str(hour), str(weekday), counts[weekday, hour]) for weekday, hour in sorted(counts)]


@truth_of("actor", "persons")
def _(h: History, q: Question) -> Sequence[Row]:
    looks = [{**one, "subject": subject} for one in _of_actor(h, q) for subject in one["subject_tokens"]]
    rows = [(hexed(subject), len(of), first_at(of), last_at(of), unexplained(of), highest_risk(of))
            for (subject,), of in grouped(looks, by("subject")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[1], -micros(row[3]), row[0]))[:50]


@truth_of("actor", "places")
def _(h: History, q: Question) -> Sequence[Row]:
    groups = grouped(_of_actor(h, q), by("src_country", "src_city", "network_kind"))
    rows = [(*key, len(of), different(of, "src_ip"), different(of, "device_token"), last_at(of))
            for key, of in groups.items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[3], row[:3]))[:50]


@truth_of("actor", "riskiest")
def _(h: History, q: Question) -> Sequence[Row]:
    found = sorted(
        _of_actor(h, q), key=lambda one: (-one["risk"], -micros(one["event_time"]), uuid_order(one["event_id"]))
    )
    return [(one["event_time"], one["action"], one["resource_type"], records(one), one["explained"],
             one["risk"] / 100, ", ".join(one["reasons"])) for one in found[:50]]  # fmt: skip


@truth_of("actor", "incidents")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in h.incidents if one["actor_token"] and hexed(one["actor_token"]) == q.actor]
    found.sort(key=lambda one: (-micros(one["opened_at"]), one["incident_id"]))
    return [(one["incident_id"], one["severity"], one["state"], one["verdict"], one["opened_at"], one["risk"] / 100)
            for one in found[:50]]  # fmt: skip


# -- one data subject


def _of_subject(h: History, q: Question) -> list[Record]:
    return [one for one in h.events if q.holds(one["event_time"]) and one["duplicate_of"] < 0
            and q.subject in map(hexed, one["subject_tokens"])]  # fmt: skip


@truth_of("subject-audit", "actors")
def _(h: History, q: Question) -> Sequence[Row]:
    return [(different(_of_subject(h, q), "actor_token"),)]


@truth_of("subject-audit", "unexplained")
def _(h: History, q: Question) -> Sequence[Row]:
    return [(unexplained(_of_subject(h, q)),)]


@truth_of("subject-audit", "over-time")
def _(h: History, q: Question) -> Sequence[Row]:
    return over_time(_of_subject(h, q), q, "event_time", lambda one: one["explained"], len)


@truth_of("subject-audit", "who")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = []
    for actor, of in by_actor(_of_subject(h, q)).items():
        newest = max(of, key=lambda one: (one["event_time"], one["partition"], one["offset"]))
        rows.append(
            (actor, newest["actor_dept"], len(of), first_at(of), last_at(of), unexplained(of), highest_risk(of))
        )
    return sorted(rows, key=lambda row: (-row[2], -micros(row[4]), row[0]))[:100]


@truth_of("subject-audit", "purposes")
def _(h: History, q: Question) -> Sequence[Row]:
    return bars(grouped(_of_subject(h, q), lambda one: one["purpose"] or "-"), len, 20)


@truth_of("subject-audit", "history")
def _(h: History, q: Question) -> Sequence[Row]:
    return [(one["event_time"], hexed(one["actor_token"]) or "0" * 32, one["action"], one["outcome"],
             one["resource_type"], one["purpose"], one["explained"], one["risk"] / 100)
            for one in newest(_of_subject(h, q), 200)]  # fmt: skip


@truth_of("subject-audit", "completeness")
def _(h: History, q: Question) -> Sequence[Row]:
    return [
        (topic, *(sum(one[name] for one in of) for name in ("n_events", "n_dead_letters", "n_gaps")),
         min(one["first_received_at"] for one in of), max(one["last_received_at"] for one in of))
        for (topic,), of in sorted(grouped(entries(h, q), by("topic")).items())
    ]  # fmt: skip


# -- unexplained access


def _judged(h: History, q: Question) -> list[Record]:
    return [one for one in accesses(h, q) if one["explained"]]


def _bare(h: History, q: Question) -> list[Record]:
    return [one for one in accesses(h, q) if one["explained"] == "not_yet_explained"]


@truth_of("unexplained-access", "share")
def _(h: History, q: Question) -> Sequence[Row]:
    found = _judged(h, q)
    return [(100 * count_of(found, "explained", "explained") / len(found),)] if found else []


@truth_of("unexplained-access", "over-time")
def _(h: History, q: Question) -> Sequence[Row]:
    return over_time(_judged(h, q), q, "event_time", lambda one: one["explained"], len)


@truth_of("unexplained-access", "departments")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = [(name, len(of), unexplained(of), 100 * unexplained(of) / len(of))
            for (name,), of in grouped(_judged(h, q), by("actor_dept")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[2], row[0]))


@truth_of("unexplained-access", "actors")
def _(h: History, q: Question) -> Sequence[Row]:
    return bars(by_actor(_bare(h, q)), persons, 15)


@truth_of("unexplained-access", "pairs")
def _(h: History, q: Question) -> Sequence[Row]:
    looks = [{**one, "subject": subject} for one in _bare(h, q) for subject in one["subject_tokens"]]
    rows = []
    for (actor, subject), of in grouped(looks, by("actor_token", "subject")).items():
        days = {one["event_time"].astimezone(q.zone).date() for one in of}
        if len(of) >= 3:
            rows.append((hexed(actor) or "0" * 32, hexed(subject), len(of), len(days), first_at(of), last_at(of)))
    return sorted(rows, key=lambda row: (-row[3], -row[2], row[:2]))[:30]


@truth_of("unexplained-access", "flagged")
def _(h: History, q: Question) -> Sequence[Row]:
    found = newest((one for one in _bare(h, q) if one["subject_flags"]), 50)
    return [(one["event_time"], hexed(one["actor_token"]) or "0" * 32, ", ".join(one["subject_flags"]), one["action"],
             one["resource_type"], one["risk"] / 100) for one in found]  # fmt: skip


@truth_of("unexplained-access", "final-verdicts")
def _(h: History, q: Question) -> Sequence[Row]:
    counts = Counter((one["stream_verdict"], one["verdict"]) for one in h.explanations if q.holds(one["event_time"]))
    return [(*key, counts[key]) for key in sorted(counts)]


@truth_of("unexplained-access", "break-glass")
def _(h: History, q: Question) -> Sequence[Row]:
    found = newest((one for one in accesses(h, q) if one["break_glass"] == "yes"), 50)
    return [(one["event_time"], hexed(one["actor_token"]) or "0" * 32, one["action"], one["resource_type"],
             approved(one), one["explained"]) for one in found]  # fmt: skip
