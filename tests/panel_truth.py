"""What every panel must answer, counted in plain Python from the records of a history: no SQL, no code of the panels.

One function a panel, under its board's and its own uid. Rows in the order in which the panel shows them; tokens as
hexadecimal digits, times as aware UTC times.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.panel_history import NO_ID, History, Record, hexed

Row = tuple[Any, ...]
_EPOCH = date(1970, 1, 1)
_SEVERITIES = ("", "low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Question:
    """A range, a bucket of time, a zone, whom it is about."""

    since: datetime
    until: datetime
    bucket_s: int
    zone: ZoneInfo
    actor: str = ""
    subject: str = ""

    def holds(self, at: datetime) -> bool:
        """Whether a time lies in the range."""
        return self.since <= at < self.until

    def bucket(self, at: datetime) -> datetime:
        """Begin of the bucket a time lies in, by the clock of the zone."""
        local = at.astimezone(self.zone)
        if self.bucket_s >= 86_400:
            days = (local.date() - _EPOCH).days
            first = _EPOCH + timedelta(days=days - days % (self.bucket_s // 86_400))
            return datetime.combine(first, time(), self.zone).astimezone(UTC)
        offset = local.utcoffset()
        assert offset is not None
        wall_s = int((at.replace(microsecond=0) + offset).timestamp())
        return datetime.fromtimestamp(wall_s - wall_s % self.bucket_s, UTC) - offset


Truth = Callable[[History, Question], Sequence[Row]]
TRUTHS: dict[tuple[str, str], Truth] = {}


def _of(board: str, panel: str) -> Callable[[Truth], Truth]:
    def keep(truth: Truth) -> Truth:
        TRUTHS[board, panel] = truth
        return truth

    return keep


# -- what many of them need


def _accesses(h: History, q: Question) -> list[Record]:
    return [
        one for one in h.events
        if q.holds(one["event_time"]) and one["duplicate_of"] < 0
        and not (one["action"] == "log_control" and one["resource_type"] == "heartbeat")
    ]  # fmt: skip


def _grouped(rows: Iterable[Record], key: Callable[[Record], Hashable]) -> dict[Any, list[Record]]:
    found: defaultdict[Any, list[Record]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def _by(*names: str) -> Callable[[Record], Hashable]:
    return lambda row: tuple(row[name] for name in names)


def _persons(rows: Iterable[Record]) -> int:
    return len({subject for row in rows for subject in row["subject_tokens"]})


def _different(rows: Iterable[Record], name: str) -> int:
    return len({row[name] for row in rows})


def _records(row: Record) -> int:
    return int(min(max(row["records_returned"], row["subject_count"], 0), 10**12))


def _count(rows: Iterable[Record], name: str, value: Any) -> int:
    return sum(row[name] == value for row in rows)


def _unexplained(rows: Iterable[Record]) -> int:
    return _count(rows, "explained", "not_yet_explained")


def _risk(rows: Iterable[Record]) -> float:
    return max(row["risk"] for row in rows) / 100


def _first(rows: Iterable[Record]) -> datetime:
    return min(row["event_time"] for row in rows)


def _last(rows: Iterable[Record]) -> datetime:
    return max(row["event_time"] for row in rows)


def _us(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _seconds(first: datetime, last: datetime) -> int:
    """Seconds that begin between two times: how `dateDiff` counts."""
    return _us(last) // 1_000_000 - _us(first) // 1_000_000


def _median(values: Sequence[int]) -> Sequence[Row]:
    return [(sorted(values)[int(len(values) * 0.5)],)] if values else []


def _over_time(
    rows: Iterable[Record], q: Question, at: str, name: Callable[[Record], str], value: Callable[[list[Record]], float]
) -> list[Row]:
    groups = _grouped(rows, lambda row: (q.bucket(row[at]), name(row)))
    return [(*key, value(groups[key])) for key in sorted(groups)]


def _bars(groups: dict[Any, list[Record]], value: Callable[[list[Record]], int], most: int) -> list[Row]:
    rows = [(key, value(group)) for key, group in groups.items()]
    return sorted((row for row in rows if row[1]), key=lambda row: (-row[1], row[0]))[:most]


def _by_actor(rows: Iterable[Record]) -> dict[str, list[Record]]:
    return _grouped(rows, lambda row: hexed(row["actor_token"]) or "0" * 32)


def _approved(row: Record) -> str:
    return "yes" if row["approval_token"] else "no"


def _newest(rows: Iterable[Record], most: int) -> list[Record]:
    return sorted(rows, key=lambda row: (-_us(row["event_time"]), _uuid_order(row["event_id"])))[:most]


def _uuid_order(text: str) -> tuple[int, int]:
    """How the store orders ids: by their second half, then by their first."""
    plain = text.replace("-", "")
    return int(plain[16:], 16), int(plain[:16], 16)


# -- SOC overview


@_of("soc-overview", "waiting")
def _(h: History, q: Question) -> Sequence[Row]:
    return [(sum(one["state"] == "open" and one["opened_at"] < q.until for one in h.incidents),)]


def _open(h: History, q: Question) -> list[Record]:
    return [one for one in h.incidents if one["state"] != "resolved" and one["opened_at"] < q.until]


@_of("soc-overview", "open-by-severity")
def _(h: History, q: Question) -> Sequence[Row]:
    counts = Counter(one["severity"] for one in _open(h, q))
    return [(name, counts[name]) for name in reversed(_SEVERITIES) if counts[name]]


@_of("soc-overview", "accesses")
def _(h: History, q: Question) -> Sequence[Row]:
    return _over_time(_accesses(h, q), q, "event_time", lambda one: one["outcome"], len)


@_of("soc-overview", "alerts")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [
        one for one in h.alerts
        if q.holds(one["event_time"]) and not one["detector"].startswith("system:")
        and "scheduled:withdrawn" not in one["reasons"]
    ]  # fmt: skip
    return _over_time(found, q, "event_time", lambda one: one["severity"], len)


@_of("soc-overview", "riskiest-actors")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = [
        (actor, len(of), _persons(of), _unexplained(of), _count(of, "outcome", "denied"), _risk(of))
        for actor, of in _by_actor(one for one in _accesses(h, q) if one["actor_token"]).items()
    ]
    return sorted(rows, key=lambda row: (-row[5], -row[1], row[0]))[:20]


@_of("soc-overview", "most-persons")
def _(h: History, q: Question) -> Sequence[Row]:
    return _bars(_by_actor(one for one in _accesses(h, q) if one["actor_token"]), _persons, 10)


@_of("soc-overview", "denied")
def _(h: History, q: Question) -> Sequence[Row]:
    denied = [one for one in _accesses(h, q) if one["outcome"] == "denied" and one["actor_token"]]
    return _bars(_by_actor(denied), len, 10)


@_of("soc-overview", "handed-out")
def _(h: History, q: Question) -> Sequence[Row]:
    out = [one for one in _accesses(h, q)
           if one["action"] in ("export", "download", "share", "print") and one["outcome"] == "success"]  # fmt: skip
    out.sort(key=lambda one: (-_records(one), -_us(one["event_time"]), _uuid_order(one["event_id"])))
    return [(one["event_time"], hexed(one["actor_token"]) or "0" * 32, one["action"], one["resource_type"],
             _records(one), _approved(one)) for one in out[:20]]  # fmt: skip


# -- incident response


def _taken_by(one: Record) -> str:
    return one["assignee"] or one["acknowledged_by"]


@_of("incident-response", "to-do")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = sorted(_open(h, q), key=lambda one: (-_SEVERITIES.index(one["severity"]), one["opened_at"],
                                                one["incident_id"]))  # fmt: skip
    return [(one["incident_id"], one["severity"], one["state"], one["risk"] / 100,
             _seconds(one["opened_at"], q.until), _taken_by(one), hexed(one["actor_token"]), one["explanation_en"],
             one["explanation_zh"]) for one in rows[:50]]  # fmt: skip


@_of("incident-response", "to-acknowledge")
def _(h: History, q: Question) -> Sequence[Row]:
    taken: dict[str, datetime] = {}
    for row in h.log:
        if row["transition"] in ("acknowledged", "assigned", "contain_asked") and not row["by"].startswith("system:"):
            known = taken.get(row["incident_id"], row["received_at"])
            taken[row["incident_id"]] = min(known, row["received_at"])
    return _median([_seconds(one["opened_at"], taken[one["incident_id"]]) for one in h.incidents
                    if one["incident_id"] in taken and q.holds(taken[one["incident_id"]])])  # fmt: skip


@_of("incident-response", "to-resolve")
def _(h: History, q: Question) -> Sequence[Row]:
    return _median([_seconds(one["opened_at"], one["resolved_at"]) for one in h.incidents
                    if one["verdict"] and one["merged_into"] == NO_ID and q.holds(one["resolved_at"])])  # fmt: skip


@_of("incident-response", "opened-and-closed")
def _(h: History, q: Question) -> Sequence[Row]:
    counts: Counter[Row] = Counter()
    for one in h.incidents:
        if q.holds(one["opened_at"]):
            counts[q.bucket(one["opened_at"]), "opened"] += 1
        if one["state"] == "resolved" and q.holds(one["resolved_at"]):
            counts[q.bucket(one["resolved_at"]), "closed"] += 1
    return [(*key, counts[key]) for key in sorted(counts)]


@_of("incident-response", "verdicts")
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


@_of("incident-response", "messages")
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


@_of("incident-response", "breaches")
def _(h: History, q: Question) -> Sequence[Row]:
    closed = {one["incident_id"] for one in h.incidents if one["state"] == "resolved"}
    rows = [(one["incident_id"], hexed(one["actor_token"]), one["since"], one["known_at"],
             _seconds(one["known_at"], q.until)) for one in h.holds
            if one["since"] < q.until and one["incident_id"] not in closed]  # fmt: skip
    return sorted(rows, key=lambda row: (row[3], row[0]))


@_of("incident-response", "workload")
def _(h: History, q: Question) -> Sequence[Row]:
    return _bars(_grouped((one for one in _open(h, q) if _taken_by(one)), _taken_by), len, 20)


# -- one actor


def _of_actor(h: History, q: Question) -> list[Record]:
    return [one for one in _accesses(h, q) if one["actor_token"] and hexed(one["actor_token"]) == q.actor]


@_of("actor", "who")
def _(h: History, q: Question) -> Sequence[Row]:
    names = ("actor_type", "actor_dept", "actor_role", "actor_org", "actor_status")
    rows = [(*key, _first(of), _last(of), len(of)) for key, of in _grouped(_of_actor(h, q), _by(*names)).items()]
    return sorted(rows, key=lambda row: (-_us(row[6]), row[:5]))[:10]


@_of("actor", "accesses")
def _(h: History, q: Question) -> Sequence[Row]:
    return _over_time(_of_actor(h, q), q, "event_time", lambda one: one["outcome"], len)


@_of("actor", "risk")
def _(h: History, q: Question) -> Sequence[Row]:
    return _over_time(_of_actor(h, q), q, "event_time", lambda one: "risk", _risk)


@_of("actor", "hours")
def _(h: History, q: Question) -> Sequence[Row]:
    local = [one["event_time"].astimezone(q.zone) for one in _of_actor(h, q)]
    counts = Counter((at.isoweekday(), at.hour) for at in local)
    return [(str(hour), str(weekday), counts[weekday, hour]) for weekday, hour in sorted(counts)]


@_of("actor", "persons")
def _(h: History, q: Question) -> Sequence[Row]:
    looks = [{**one, "subject": subject} for one in _of_actor(h, q) for subject in one["subject_tokens"]]
    rows = [(hexed(subject), len(of), _first(of), _last(of), _unexplained(of), _risk(of))
            for (subject,), of in _grouped(looks, _by("subject")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[1], -_us(row[3]), row[0]))[:50]


@_of("actor", "places")
def _(h: History, q: Question) -> Sequence[Row]:
    groups = _grouped(_of_actor(h, q), _by("src_country", "src_city", "network_kind"))
    rows = [(*key, len(of), _different(of, "src_ip"), _different(of, "device_token"), _last(of))
            for key, of in groups.items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[3], row[:3]))[:50]


@_of("actor", "riskiest")
def _(h: History, q: Question) -> Sequence[Row]:
    found = sorted(
        _of_actor(h, q), key=lambda one: (-one["risk"], -_us(one["event_time"]), _uuid_order(one["event_id"]))
    )
    return [(one["event_time"], one["action"], one["resource_type"], _records(one), one["explained"],
             one["risk"] / 100, ", ".join(one["reasons"])) for one in found[:50]]  # fmt: skip


@_of("actor", "incidents")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in h.incidents if one["actor_token"] and hexed(one["actor_token"]) == q.actor]
    found.sort(key=lambda one: (-_us(one["opened_at"]), one["incident_id"]))
    return [(one["incident_id"], one["severity"], one["state"], one["verdict"], one["opened_at"], one["risk"] / 100)
            for one in found[:50]]  # fmt: skip


# -- one data subject


def _of_subject(h: History, q: Question) -> list[Record]:
    return [one for one in h.events if q.holds(one["event_time"]) and one["duplicate_of"] < 0
            and q.subject in map(hexed, one["subject_tokens"])]  # fmt: skip


@_of("subject-audit", "actors")
def _(h: History, q: Question) -> Sequence[Row]:
    return [(_different(_of_subject(h, q), "actor_token"),)]


@_of("subject-audit", "unexplained")
def _(h: History, q: Question) -> Sequence[Row]:
    return [(_unexplained(_of_subject(h, q)),)]


@_of("subject-audit", "over-time")
def _(h: History, q: Question) -> Sequence[Row]:
    return _over_time(_of_subject(h, q), q, "event_time", lambda one: one["explained"], len)


@_of("subject-audit", "who")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = []
    for actor, of in _by_actor(_of_subject(h, q)).items():
        newest = max(of, key=lambda one: (one["event_time"], one["partition"], one["offset"]))
        rows.append((actor, newest["actor_dept"], len(of), _first(of), _last(of), _unexplained(of), _risk(of)))
    return sorted(rows, key=lambda row: (-row[2], -_us(row[4]), row[0]))[:100]


@_of("subject-audit", "purposes")
def _(h: History, q: Question) -> Sequence[Row]:
    return _bars(_grouped(_of_subject(h, q), lambda one: one["purpose"] or "-"), len, 20)


@_of("subject-audit", "history")
def _(h: History, q: Question) -> Sequence[Row]:
    return [(one["event_time"], hexed(one["actor_token"]) or "0" * 32, one["action"], one["outcome"],
             one["resource_type"], one["purpose"], one["explained"], one["risk"] / 100)
            for one in _newest(_of_subject(h, q), 200)]  # fmt: skip


def _entries(h: History, q: Question) -> list[Record]:
    return [one for one in h.entries if q.holds(one["last_received_at"])]


@_of("subject-audit", "completeness")
def _(h: History, q: Question) -> Sequence[Row]:
    return [
        (topic, *(sum(one[name] for one in of) for name in ("n_events", "n_dead_letters", "n_gaps")),
         min(one["first_received_at"] for one in of), max(one["last_received_at"] for one in of))
        for (topic,), of in sorted(_grouped(_entries(h, q), _by("topic")).items())
    ]  # fmt: skip


# -- unexplained access


def _judged(h: History, q: Question) -> list[Record]:
    return [one for one in _accesses(h, q) if one["explained"]]


def _bare(h: History, q: Question) -> list[Record]:
    return [one for one in _accesses(h, q) if one["explained"] == "not_yet_explained"]


@_of("unexplained-access", "share")
def _(h: History, q: Question) -> Sequence[Row]:
    found = _judged(h, q)
    return [(100 * _count(found, "explained", "explained") / len(found),)] if found else []


@_of("unexplained-access", "over-time")
def _(h: History, q: Question) -> Sequence[Row]:
    return _over_time(_judged(h, q), q, "event_time", lambda one: one["explained"], len)


@_of("unexplained-access", "departments")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = [(name, len(of), _unexplained(of), 100 * _unexplained(of) / len(of))
            for (name,), of in _grouped(_judged(h, q), _by("actor_dept")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[2], row[0]))


@_of("unexplained-access", "actors")
def _(h: History, q: Question) -> Sequence[Row]:
    return _bars(_by_actor(_bare(h, q)), _persons, 15)


@_of("unexplained-access", "pairs")
def _(h: History, q: Question) -> Sequence[Row]:
    looks = [{**one, "subject": subject} for one in _bare(h, q) for subject in one["subject_tokens"]]
    rows = []
    for (actor, subject), of in _grouped(looks, _by("actor_token", "subject")).items():
        days = {one["event_time"].astimezone(q.zone).date() for one in of}
        if len(of) >= 3:
            rows.append((hexed(actor) or "0" * 32, hexed(subject), len(of), len(days), _first(of), _last(of)))
    return sorted(rows, key=lambda row: (-row[3], -row[2], row[:2]))[:30]


@_of("unexplained-access", "flagged")
def _(h: History, q: Question) -> Sequence[Row]:
    found = _newest((one for one in _bare(h, q) if one["subject_flags"]), 50)
    return [(one["event_time"], hexed(one["actor_token"]) or "0" * 32, ", ".join(one["subject_flags"]), one["action"],
             one["resource_type"], one["risk"] / 100) for one in found]  # fmt: skip


@_of("unexplained-access", "final-verdicts")
def _(h: History, q: Question) -> Sequence[Row]:
    counts = Counter((one["stream_verdict"], one["verdict"]) for one in h.explanations if q.holds(one["event_time"]))
    return [(*key, counts[key]) for key in sorted(counts)]


@_of("unexplained-access", "break-glass")
def _(h: History, q: Question) -> Sequence[Row]:
    found = _newest((one for one in _accesses(h, q) if one["break_glass"] == "yes"), 50)
    return [(one["event_time"], hexed(one["actor_token"]) or "0" * 32, one["action"], one["resource_type"],
             _approved(one), one["explained"]) for one in found]  # fmt: skip


# -- partners and cross-border


def _of_partners(h: History, q: Question) -> list[Record]:
    return [one for one in _accesses(h, q) if one["actor_type"] == "partner"]


def _taken(rows: Iterable[Record]) -> int:
    return sum(map(_records, rows))


@_of("partners", "partners")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = []
    for (name,), of in _grouped(_of_partners(h, q), _by("actor_org")).items():
        clear = sum(one["action"] in ("unmask", "decrypt") or bool(one["fields_unmasked"]) for one in of)
        rows.append((name, len(of), _different(of, "actor_token"), _persons(of), _taken(of),
                     _count(of, "outcome", "denied"), clear, _last(of)))  # fmt: skip
    return sorted(rows, key=lambda row: (-row[4], row[0]))


@_of("partners", "volume")
def _(h: History, q: Question) -> Sequence[Row]:
    return _over_time(_of_partners(h, q), q, "event_time", lambda one: one["actor_org"], _taken)


@_of("partners", "accounts")
def _(h: History, q: Question) -> Sequence[Row]:
    return _bars(_by_actor(_of_partners(h, q)), _persons, 15)


@_of("partners", "recipients")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in _accesses(h, q) if one["recipient_type"] in ("partner", "external", "public")]
    rows = [
        (hexed(key[0]), key[1], key[2], len(of), _persons(of), _taken(of), _last(of))
        for key, of in _grouped(found, _by("recipient_token", "recipient_type", "dst_country")).items()
    ]
    return sorted(rows, key=lambda row: (-row[5], row[:3]))[:50]


def _abroad(h: History, q: Question) -> list[Record]:
    return [one for one in _accesses(h, q) if one["dst_country"]
            and one["subject_region"].upper()[: len(one["dst_country"])] != one["dst_country"].upper()]  # fmt: skip


@_of("partners", "abroad-uncovered")
def _(h: History, q: Question) -> Sequence[Row]:
    return [(sum(not one["legal_basis"] or not one["approval_token"] for one in _abroad(h, q)),)]


@_of("partners", "abroad")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = [(*key, len(of), _persons(of), _taken(of), _count(of, "approval_token", ""))
            for key, of in _grouped(_abroad(h, q), _by("dst_country", "legal_basis")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[3], -row[4], row[:2]))


@_of("partners", "from-abroad")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in _accesses(h, q) if one["src_country"] and one["subject_region"]
             and one["subject_region"].upper()[: len(one["src_country"])] != one["src_country"].upper()]  # fmt: skip
    rows = [(*key, len(of), _different(of, "actor_token"), _persons(of), _last(of))
            for key, of in _grouped(found, _by("src_country", "actor_type")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[2], row[:2]))


# -- compliance


@_of("compliance", "retained")
def _(h: History, q: Question) -> Sequence[Row]:
    oldest = [one["first_received_at"] for one in h.entries if one["first_received_at"] < q.until]
    return [("access.events", _seconds(min(oldest), q.until))] if oldest else []


@_of("compliance", "audit-reads")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in _accesses(h, q) if one["action"] in ("audit_query", "audit_export")]
    rows = [(hexed(actor) or "0" * 32, action, len(of), _last(of))
            for (actor, action), of in _grouped(found, _by("actor_token", "action")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[2], row[:2]))[:50]


@_of("compliance", "privileged")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in _accesses(h, q) if one["action"] in ("grant", "policy_change", "log_control")]
    return [(one["event_time"], hexed(one["actor_token"]) or "0" * 32, one["action"], one["resource_type"],
             one["outcome"], "yes" if one["case_token"] else "no") for one in _newest(found, 100)]  # fmt: skip


@_of("compliance", "changes")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in h.activations if q.holds(one["activated_at"])]
    found.sort(key=lambda one: (-_us(one["activated_at"]), one["topic"], -one["number"]))
    return [(one["activated_at"], one["topic"], one["number"], one["kind"], hexed(one["by_token"]), one["reason"])
            for one in found]  # fmt: skip


@_of("compliance", "no-purpose")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in _accesses(h, q)
             if one["sensitivity"] >= 3 and not one["purpose"] and not one["legal_basis"]]  # fmt: skip
    return _bars(_grouped(found, lambda one: one["source_system"]), len, 20)


@_of("compliance", "minors")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in _accesses(h, q) if "minor" in one["subject_flags"] and not one["approval_token"]]
    rows = [(name, len(of), _different(of, "actor_token"), _persons(of), _last(of))
            for (name,), of in _grouped(found, _by("actor_dept")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[1], row[0]))


@_of("compliance", "no-mfa")
def _(h: History, q: Question) -> Sequence[Row]:
    people = ("employee", "contractor", "admin", "partner")
    found = [one for one in _accesses(h, q) if one["sensitivity"] >= 3 and one["mfa"] and one["actor_type"] in people]
    rows = [(name, 100 * _count(of, "mfa", "no") / len(of))
            for (name,), of in _grouped(found, _by("source_system")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[1], row[0]))


@_of("compliance", "left")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in _accesses(h, q) if one["actor_status"] in ("left", "on_leave")]
    rows = [(hexed(key[0]) or "0" * 32, key[1], key[2], len(of), _persons(of), _last(of))
            for key, of in _grouped(found, _by("actor_token", "actor_status", "actor_dept")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (row[1], -row[3], row[0], row[2]))[:50]


# -- pipeline health


@_of("pipeline-health", "partitions")
def _(h: History, q: Question) -> Sequence[Row]:
    oldest = q.until - timedelta(days=30)
    found = [one for one in h.entries if oldest <= one["last_received_at"] < q.until]
    return [(f"{topic}/{partition}", _seconds(max(one["last_received_at"] for one in of), q.until))
            for (topic, partition), of in sorted(_grouped(found, _by("topic", "partition")).items())]  # fmt: skip


def _received(h: History, first: date, last: date) -> list[Record]:
    return [one for one in h.events if first <= one["received_at"].astimezone(UTC).date() <= last]


@_of("pipeline-health", "silent-sources")
def _(h: History, q: Question) -> Sequence[Row]:
    last = q.until.date()
    rows = []
    found = _received(h, last - timedelta(days=30), last)
    for key, of in _grouped(found, _by("source_system", "source_instance")).items():
        newest = max(one["received_at"] for one in of)
        rows.append((*key, newest, max(0, _seconds(newest, q.until)), len(of)))
    return sorted(rows, key=lambda row: (-row[3], row[:2]))


@_of("pipeline-health", "sealed")
def _(h: History, q: Question) -> Sequence[Row]:
    return _over_time(_entries(h, q), q, "last_received_at", lambda one: one["topic"],
                      lambda of: sum(one["n_events"] for one in of))  # fmt: skip


@_of("pipeline-health", "delay")
def _(h: History, q: Question) -> Sequence[Row]:
    def worst(of: list[Record]) -> int:
        return max(_us(one["sealed_at"]) // 1000 - _us(one["last_received_at"]) // 1000 for one in of)

    return _over_time(_entries(h, q), q, "last_received_at", lambda one: one["topic"], worst)


@_of("pipeline-health", "unscored")
def _(h: History, q: Question) -> Sequence[Row]:
    events = sum(one["n_events"] for one in _entries(h, q))
    return [(100 * sum(one["n_unscored"] for one in _entries(h, q)) / events,)] if events else []


@_of("pipeline-health", "rejected")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in h.deads if q.holds(one["received_at"])]
    rows = [(*key, sum(one["last_offset"] - one["offset"] + 1 for one in of), max(one["received_at"] for one in of))
            for key, of in _grouped(found, _by("leaf_kind", "reason")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[2], row[:2]))


@_of("pipeline-health", "alarms")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in h.alerts if one["detector"].startswith("system:") and q.holds(one["event_time"])]
    found.sort(key=lambda one: (-_us(one["event_time"]), _uuid_order(one["alert_id"])))
    return [(one["event_time"], one["detector"], one["explanation_en"], one["explanation_zh"]) for one in found[:50]]


@_of("pipeline-health", "scheduled")
def _(h: History, q: Question) -> Sequence[Row]:
    done = [
        one for one in h.runs if one["stage"] == "final" and one["result"] == "done" and one["started_at"] < q.until
    ]
    rows = [(name, _seconds(max(one["window_end"] for one in of), q.until))
            for (name,), of in _grouped(done, _by("detector")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[1], row[0]))


@_of("pipeline-health", "repeats")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = []
    for (name,), of in _grouped(_received(h, q.since.date(), q.until.date()), _by("source_system")).items():
        twice, astray = sum(one["duplicate_of"] >= 0 for one in of), sum(one["misrouted"] for one in of)
        if twice + astray:
            rows.append((name, len(of), twice, astray, 100 * (twice + astray) / len(of)))
    return sorted(rows, key=lambda row: (-row[4], row[0]))
