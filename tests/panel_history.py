"""Small histories with known truth: plain records that panels are asked about, and how the store comes to hold them.

A history is what happened, as dictionaries by column name with Python's own values; `write` puts it into the raw tables
in batches, seals them in the ledger, and leaves what belongs to no sealed batch where no reader sees it. The same
records, and nothing of the SQL, are what `panel_truths` counts from.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.panel_engine import PanelEngine

Record = dict[str, Any]
NO_ID = str(uuid.UUID(int=0))
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""
UNTIL = START + timedelta(days=8)
_BATCH = 40


def token(name: str) -> str:
    """A token of sixteen characters; "" is none."""
    return name.ljust(16, "~") if name else ""


def hexed(one: str) -> str:
    """A token as panels show it."""
    return one.encode().hex()


@dataclass(slots=True)
class History:
    """What happened, table by table. `events`, `deads`, `alerts` and `entries` hold only what a sealed batch holds."""

    events: list[Record] = field(default_factory=list)
    deads: list[Record] = field(default_factory=list)
    alerts: list[Record] = field(default_factory=list)
    entries: list[Record] = field(default_factory=list)
    incidents: list[Record] = field(default_factory=list)
    log: list[Record] = field(default_factory=list)
    deliveries: list[Record] = field(default_factory=list)
    holds: list[Record] = field(default_factory=list)
    activations: list[Record] = field(default_factory=list)
    explanations: list[Record] = field(default_factory=list)
    runs: list[Record] = field(default_factory=list)
    unsealed: list[Record] = field(default_factory=list)
    outdated: list[Record] = field(default_factory=list)
    """Incidents as they stood before."""


TABLES = {
    "access_events": ("events", "unsealed"), "dead_letters": ("deads",), "alerts": ("alerts",), "ledger": ("entries",),
    "incidents": ("outdated", "incidents"), "incident_log": ("log",), "deliveries": ("deliveries",),
    "evidence_holds": ("holds",), "version_activations": ("activations",), "access_explanations": ("explanations",),
    "scheduled_runs": ("runs",),
}  # fmt: skip


def write(engine: PanelEngine, history: History) -> None:
    """Empties the store and puts the history in, the rows of a batch in one insert as a worker does."""
    engine.clear()
    for table, names in TABLES.items():
        inserts: defaultdict[object, list[Record]] = defaultdict(list)
        for number, row in enumerate(row for name in names for row in getattr(history, name)):
            inserts[row.get("batch_id", number % 2)].append(_stored(row))
        for rows in inserts.values():
            engine.insert(table, rows)


ROTATED_AT = START + timedelta(days=5)
"""When another token key began to sign, in a history whose key was rotated."""


def write_rotated(engine: PanelEngine, history: History) -> None:
    """The same, as it would be stored had the token key been rotated within it; then who is who is linked."""
    links: dict[str, str] = {}

    def new(old: str) -> str:
        links[f"*{old}"[:16]] = old
        return f"*{old}"[:16]

    def rotated(row: Record) -> Record:
        if row["event_time"] < ROTATED_AT:
            return row
        people = {name: new(row[name]) for name in ("actor_token", "device_token", "recipient_token") if row.get(name)}
        return row | people | {"subject_tokens": [new(one) for one in row["subject_tokens"]]}

    write(engine, replace(history, events=[rotated(row) for row in history.events],
                          unsealed=[rotated(row) for row in history.unsealed]))  # fmt: skip
    assert len(set(links.values())) == len(links)
    engine.insert("token_links", [{"token": token, "canonical": old} for token, old in links.items()])
    engine.follow_links()


def _stored(row: Record) -> Record:
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value


# -- records


def access(actor: str, at: datetime, subjects: Sequence[str] = (), **more: Any) -> Record:
    """One access event, received two seconds later."""
    return {
        "tenant_id": "default", "topic": "access.events", "incarnation": "life", "partition": 0, "duplicate_of": -1,
        "misrouted": 0, "event_time": at, "received_at": at + timedelta(seconds=2), "actor_token": token(actor),
        "actor_type": "employee", "actor_dept": "service", "actor_role": "agent", "actor_org": "",
        "actor_status": "active", "action": "read", "outcome": "success", "explained": "explained",
        "resource_type": "customer_profile", "sensitivity": 2, "records_returned": len(subjects),
        "subject_count": len(subjects), "subject_tokens": [token(one) for one in subjects], "subject_flags": [],
        "subject_region": "CN-GD", "src_country": "CN", "src_city": "Shenzhen", "src_ip": "::ffff:10.1.1.1",
        "network_kind": "office", "device_token": token("laptop"), "dst_country": "", "recipient_token": "",
        "recipient_type": "", "legal_basis": "", "approval_token": "", "case_token": "", "purpose": "support",
        "mfa": "yes", "break_glass": "no", "fields_unmasked": [], "risk": 500, "reasons": [],
        "score_status": "scored", "source_system": "crm", "source_instance": "crm-1", "retention_class": "standard",
    } | more  # fmt: skip


def heartbeat(at: datetime, system: str = "crm", instance: str = "crm-1", **more: Any) -> Record:
    """A source's sign of life: it is no access."""
    return access("collector", at, action="log_control", resource_type="heartbeat", explained="",
                  source_system=system, source_instance=instance, **more)  # fmt: skip


def incident(name: str, opened_at: datetime, **more: Any) -> Record:
    """One incident; `name` gives its id."""
    return {
        "tenant_id": "default", "incident_id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)), "incident_key": f"k:{name}",
        "actor_token": "", "state": "open", "severity": "medium", "risk": 6000, "alerts": 1, "detectors": {},
        "explanation_en": f"{name} happened.", "explanation_zh": f"发生了 {name}。", "opened_at": opened_at,
        "changed_at": opened_at, "acknowledged_by": "", "assignee": "", "resolved_at": NEVER, "verdict": "",
        "merged_into": NO_ID, "version": 2,
    } | more  # fmt: skip


def sealed(history: History) -> History:
    """The history with events and dead letters in sealed batches, one partition after the other."""
    by_partition: defaultdict[int, list[Record]] = defaultdict(list)
    for row in sorted([*history.events, *history.deads], key=lambda one: one["received_at"]):
        by_partition[row["partition"]].append(row)
    for partition, rows in by_partition.items():
        offset = 0
        for row in rows:
            row["offset"] = offset
            offset += row.pop("span", 1)
            if "payload_bytes" in row:
                row["last_offset"] = offset - 1
        for first in range(0, len(rows), _BATCH):
            history.entries.append(_entry(partition, rows[first : first + _BATCH]))
    for row in history.alerts:
        row["batch_id"] = 0 if row["detector"].startswith("system:") else history.entries[0]["batch_id"]
    return history


def _entry(partition: int, rows: Sequence[Record]) -> Record:
    batch_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{partition}:{rows[0]['offset']}").int >> 64
    events = [row for row in rows if "event_time" in row]
    for row in rows:
        row["batch_id"] = batch_id
    for row in events:
        row["event_id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{partition}:{row['offset']}"))
    last = rows[-1]["received_at"]
    return {
        "topic": "access.events", "incarnation": "life", "partition": partition, "batch_id": batch_id,
        "first_offset": rows[0]["offset"], "last_offset": rows[-1].get("last_offset", rows[-1]["offset"]),
        "n_events": len(events), "n_dead_letters": sum(row.get("leaf_kind") == "dead_letter" for row in rows),
        "n_gaps": sum(row.get("leaf_kind") == "gap" for row in rows),
        "n_unscored": sum(row["score_status"] == "unscored" for row in events),
        "first_received_at": rows[0]["received_at"], "last_received_at": last,
        "sealed_at": (last + timedelta(milliseconds=700 + 10 * len(rows))).replace(microsecond=0),
    }  # fmt: skip


def dead(at: datetime, kind: str, reason: str, span: int = 1) -> Record:
    """A record that is no event, or `span` missing ones."""
    return {
        "topic": "access.events", "incarnation": "life", "partition": 0, "leaf_kind": kind, "reason": reason,
        "received_at": at, "payload_bytes": 10, "retention_class": "standard", "span": span,
    }  # fmt: skip


def alert(number: int, at: datetime, detector: str, severity: str, reasons: Sequence[str] = ()) -> Record:
    """One alert."""
    return {
        "alert_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"alert {number}")), "tenant_id": "default",
        "topic": "access.events", "incarnation": "life", "event_time": at, "received_at": at, "detector": detector,
        "severity": severity, "reasons": list(reasons), "explanation_en": f"Alert {number}.",
        "explanation_zh": f"告警 {number}。", "retention_class": "standard",
    }  # fmt: skip


# -- histories


def nothing() -> History:
    """No data at all."""
    return History()


def one_event() -> History:
    """A single access in the middle of the range."""
    return sealed(History(events=[access("ann", START + timedelta(days=7, hours=9), ["zoe"], risk=9000)]))


def day_border() -> History:
    """Accesses on both sides of midnight at UTC+8, on midnight itself, and at both ends of the range."""
    midnight = datetime.combine(date(2026, 3, 9), datetime.min.time(), ZoneInfo("Asia/Shanghai")).astimezone(UTC)
    ticks = (-timedelta(microseconds=1), timedelta(), timedelta(microseconds=1), timedelta(hours=8))
    times = [midnight + tick for tick in ticks]
    ends = [UNTIL - timedelta(days=8), UNTIL - timedelta(microseconds=1), UNTIL, UNTIL - timedelta(days=1)]
    more = {"explained": "not_yet_explained", "subject_flags": ["vip"], "actor_type": "partner", "actor_org": "p"}
    return sealed(History(events=[access("ann", at, ["zoe"], **more) for at in [*times, *ends]]))


def silent_source() -> History:
    """Three sources: one reports to the end, one stopped three days ago, one is silent for longer than is looked at."""
    alive = [heartbeat(UNTIL - timedelta(minutes=minutes)) for minutes in range(5, 600, 30)]
    stopped = [
        access("bob", START + timedelta(days=day, hours=3), ["zoe"], source_system="erp", source_instance="erp-1",
               partition=1)
        for day in range(5)
    ]  # fmt: skip
    gone = [heartbeat(UNTIL - timedelta(days=40), "old", "old-1", partition=2)]
    return sealed(History(events=[*alive, *stopped, *gone]))


def busy(seed: int = 7) -> History:
    """Nine days of everything that panels tell of, drawn from a seed."""
    chance = random.Random(seed)
    history = History(events=list(_drawn(chance, 900)))
    # An emitter may repeat an id with other content: neither counts.
    repeated = [
        row | {"duplicate_of": 1, "received_at": row["received_at"] + timedelta(seconds=9), "risk": 10_000 - number,
               "subject_tokens": [*row["subject_tokens"], token(f"twice {number}")], "actor_role": "twice"}
        for number, row in enumerate(history.events[::25])
    ]  # fmt: skip
    history.events += repeated
    history.events += [heartbeat(_moment(chance), "erp", "erp-2") for _ in range(60)]
    history.deads = [dead(_moment(chance), "dead_letter", chance.choice(("bad_json", "unknown_field")))
                     for _ in range(25)]  # fmt: skip
    history.deads += [dead(_moment(chance), "gap", "lost", chance.randrange(1, 9)) for _ in range(5)]
    history.alerts = [
        alert(number, _moment(chance), chance.choice(("drip", "snooping", "system:store_away")),
              chance.choice(("low", "medium", "high", "critical")), ["scheduled:withdrawn"] * (number % 7 == 0))
        for number in range(120)
    ]  # fmt: skip
    _respond(history, chance)
    _judge(history, chance)
    sealed(history)
    history.unsealed = [
        access("eve", _moment(chance), ["zoe"], risk=9900, actor_org="ghost", actor_type="partner", batch_id=1,
               offset=10_000 + number, event_id=str(uuid.uuid4()), action="export", dst_country="US")
        for number in range(10)
    ]  # fmt: skip
    return history


def _moment(chance: random.Random, days: float = 9.5) -> datetime:
    """A moment from half a day before the range to a day after it, to the microsecond; some at the ends of ranges."""
    if chance.random() < 0.15:
        return UNTIL - timedelta(days=chance.choice((0, 1, 2, 7, 8)))
    return START - timedelta(hours=12) + timedelta(microseconds=chance.randrange(int(days * 86_400_000_000)))


_PEOPLE = ("ann", "bob", "cid", "dot", "eve", "fay", "")
_PERSONS = ("zoe", "yan", "xia", *(f"person {number}" for number in range(30)))


def _drawn(chance: random.Random, count: int) -> Iterable[Record]:
    pick: Callable[[Sequence[Any]], Any] = chance.choice
    for _ in range(count):
        subjects = chance.sample(_PERSONS[1:], pick((0, 1, 1, 1, 2, 4))) + ["zoe"] * (chance.random() < 0.3)
        yield access(
            pick(_PEOPLE), _moment(chance), subjects, partition=chance.randrange(3),
            misrouted=int(chance.random() < 0.05),
            actor_type=pick(("employee", "partner", "service", "admin")), actor_dept=pick(("service", "risk", "")),
            actor_role=pick(("agent", "lead")), actor_org=pick(("", "north", "south")),
            actor_status=pick(("active", "active", "left", "on_leave", "unlisted")),
            action=pick(("read", "read", "search", "export", "download", "share", "print", "unmask", "decrypt",
                         "grant", "policy_change", "audit_query", "audit_export", "log_control")),
            outcome=pick(("success", "success", "denied", "error")),
            explained=pick(("explained", "claimed", "not_yet_explained", "not_yet_explained", "")),
            resource_type=pick(("customer_profile", "order", "heartbeat")), sensitivity=pick((0, 1, 3, 4)),
            records_returned=pick((-1, 0, 3, 5000, 2**63 - 1)), subject_count=pick((len(subjects), -1, 40)),
            subject_flags=pick(([], [], ["vip"], ["minor"], ["minor", "colleague"])),
            subject_region=pick(("CN-GD", "cn-bj", "SG", "")), src_country=pick(("CN", "sg", "")),
            src_city=pick(("Shenzhen", "")), src_ip=pick(("::ffff:10.1.1.1", "::ffff:10.1.1.2", "::ffff:8.8.8.8")),
            network_kind=pick(("office", "vpn", "")), device_token=token(pick(("laptop", "phone", ""))),
            dst_country=pick(("", "", "CN", "SG", "us")), recipient_token=token(pick(("", "shop", "bank"))),
            recipient_type=pick(("", "internal", "partner", "external", "public")),
            legal_basis=pick(("", "consent")), approval_token=token(pick(("", "yes"))),
            case_token=token(pick(("", "T-1"))), purpose=pick(("", "support", "billing")),
            mfa=pick(("", "yes", "no")), break_glass=pick(("", "no", "yes")),
            fields_unmasked=pick(([], [], ["id_number"])), risk=chance.randrange(0, 10_001, 50),
            reasons=pick(([], ["night"], ["night", "bulk"])),
            score_status=pick(("scored", "scored", "scored", "unscored")),
            source_system=pick(("crm", "erp")), source_instance=pick(("one", "two")),
        )  # fmt: skip


def _respond(history: History, chance: random.Random) -> None:
    """Incidents in every state, what people did, messages, breaches."""
    for number in range(60):
        at = _moment(chance)
        state = chance.choice(("open", "acknowledged", "assigned", "contained", "resolved", "resolved"))
        took = at + timedelta(seconds=chance.randrange(90_000))
        who = "" if state == "open" else chance.choice(("chen", "li", ""))
        row = incident(
            f"incident {number}", at, state=state, severity=chance.choice(("low", "medium", "high", "critical")),
            actor_token=token(chance.choice(_PEOPLE)), risk=chance.randrange(10_001), assignee=who,
            acknowledged_by=chance.choice(("", "wang")) if state != "open" else "",
            detectors=dict.fromkeys(chance.sample(("drip", "snooping", "sweep"), 2), 70),
            merged_into=str(uuid.uuid4()) if number % 9 == 0 else NO_ID,
        )  # fmt: skip
        if state == "resolved":
            verdict = "" if number % 9 == 0 else chance.choice(("true_positive", "benign", "false_positive", "test"))
            row |= {"resolved_at": took + timedelta(hours=1), "verdict": verdict}
        history.incidents.append(row)
        history.outdated.append(row | {"state": "open", "severity": "low", "version": 1, "assignee": "nobody"})
        for step, (by, after_s) in enumerate((("system:tick", -60), (row["assignee"] or "zhao", 0), ("li", 500))):
            if state != "open":
                history.log.append(
                    {"topic": "access.incidents", "incarnation": "i", "partition": 0, "offset": 3 * number + step,
                     "received_at": took + timedelta(seconds=after_s), "incident_id": row["incident_id"],
                     "transition": chance.choice(("acknowledged", "assigned", "commented")), "by": by}
                )  # fmt: skip
        if number % 6 == 0:
            history.holds.append(
                {"tenant_id": "default", "incident_id": row["incident_id"], "actor_token": row["actor_token"],
                 "since": took, "known_at": took - timedelta(minutes=7)}
            )  # fmt: skip
    for number in range(90):
        for attempt in range(1, chance.randrange(2, 4)):
            history.deliveries.append(
                {"channel": chance.choice(("mail", "chat", "chat")), "notification_id": f"n{number}",
                 "attempt": attempt, "topic": "access.notifications", "incarnation": "n", "partition": 0,
                 "offset": number, "at": _moment(chance),
                 "outcome": chance.choice(("delivered", "retry", "refused", "skipped"))}
            )  # fmt: skip


def _judge(history: History, chance: random.Random) -> None:
    """What changed in how accesses are judged, and what was judged later."""
    for number in range(1, 12):
        history.activations.append(
            {"topic": "access.events", "number": number, "activated_at": _moment(chance),
             "kind": chance.choice(("use", "exception", "threshold")), "reason": f"reason {number}",
             "by_token": token(chance.choice(("", "chen")))}
        )  # fmt: skip
    for number in range(70):
        history.explanations.append(
            {"tenant_id": "default", "topic": "access.events", "incarnation": "life", "partition": 0,
             "offset": number, "event_time": _moment(chance),
             "stream_verdict": chance.choice(("claimed", "not_yet_explained")),
             "verdict": chance.choice(("explained", "claimed", "unexplained"))}
        )  # fmt: skip
    for number in range(60):
        end = _moment(chance)
        history.runs.append(
            {"topic": "access.events", "detector": chance.choice(("slow_drip", "snooping")), "slot": number,
             "stage": chance.choice(("provisional", "final")), "result": chance.choice(("done", "failed", "begun")),
             "window_end": end, "started_at": end + timedelta(hours=chance.randrange(30))}
        )  # fmt: skip


HISTORIES: dict[str, Callable[[], History]] = {
    "nothing": nothing, "one event": one_event, "a day border": day_border, "a silent source": silent_source,
    "a busy week": busy, "another busy week": lambda: busy(8),
}  # fmt: skip
