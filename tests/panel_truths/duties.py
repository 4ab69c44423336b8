"""What panels must answer: partners, data that goes abroad, compliance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.panel_history import History, Record, hexed
from tests.panel_truths.counting import (
    Question,
    Row,
    accesses,
    bars,
    by,
    by_actor,
    count_of,
    different,
    grouped,
    last_at,
    micros,
    newest,
    over_time,
    persons,
    records,
    seconds,
    truth_of,
)

# -- partners and cross-border


def _of_partners(h: History, q: Question) -> list[Record]:
    return [one for one in accesses(h, q) if one["actor_type"] == "partner"]


def _taken(rows: Iterable[Record]) -> int:
    return sum(map(records, rows))


@truth_of("partners", "partners")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = []
    for (name,), of in grouped(_of_partners(h, q), by("actor_org")).items():
        clear = sum(one["action"] in ("unmask", "decrypt") or bool(one["fields_unmasked"]) for one in of)
        rows.append((name, len(of), different(of, "actor_token"), persons(of), _taken(of),
                     count_of(of, "outcome", "denied"), clear, last_at(of)))  # fmt: skip
    return sorted(rows, key=lambda row: (-row[4], row[0]))


@truth_of("partners", "volume")
def _(h: History, q: Question) -> Sequence[Row]:
    return over_time(_of_partners(h, q), q, "event_time", lambda one: one["actor_org"], _taken)


@truth_of("partners", "accounts")
def _(h: History, q: Question) -> Sequence[Row]:
    return bars(by_actor(_of_partners(h, q)), persons, 15)


@truth_of("partners", "recipients")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in accesses(h, q) if one["recipient_type"] in ("partner", "external", "public")]
    rows = [
        (hexed(key[0]), key[1], key[2], len(of), persons(of), _taken(of), last_at(of))
        for key, of in grouped(found, by("recipient_token", "recipient_type", "dst_country")).items()
    ]
    return sorted(rows, key=lambda row: (-row[5], row[:3]))[:50]


def _abroad(h: History, q: Question) -> list[Record]:
    return [one for one in accesses(h, q) if one["dst_country"]
            and one["subject_region"].upper()[: len(one["dst_country"])] != one["dst_country"].upper()]  # fmt: skip


@truth_of("partners", "abroad-uncovered")
def _(h: History, q: Question) -> Sequence[Row]:
    return [(sum(not one["legal_basis"] or not one["approval_token"] for one in _abroad(h, q)),)]


@truth_of("partners", "abroad")
def _(h: History, q: Question) -> Sequence[Row]:
    rows = [(*key, len(of), persons(of), _taken(of), count_of(of, "approval_token", ""))
            for key, of in grouped(_abroad(h, q), by("dst_country", "legal_basis")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[3], -row[4], row[:2]))


@truth_of("partners", "from-abroad")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in accesses(h, q) if one["src_country"] and one["subject_region"]
             and one["subject_region"].upper()[: len(one["src_country"])] != one["src_country"].upper()]  # fmt: skip
    rows = [(*key, len(of), different(of, "actor_token"), persons(of), last_at(of))
            for key, of in grouped(found, by("src_country", "actor_type")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[2], row[:2]))


# -- compliance


@truth_of("compliance", "retained")
def _(h: History, q: Question) -> Sequence[Row]:
    oldest = [one["first_received_at"] for one in h.entries if one["first_received_at"] < q.until]
    return [("access.events", seconds(min(oldest), q.until))] if oldest else []


@truth_of("compliance", "audit-reads")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in accesses(h, q) if one["action"] in ("audit_query", "audit_export")]
    rows = [(hexed(actor) or "0" * 32, action, len(of), last_at(of))
            for (actor, action), of in grouped(found, by("actor_token", "action")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[2], row[:2]))[:50]


@truth_of("compliance", "privileged")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in accesses(h, q) if one["action"] in ("grant", "policy_change", "log_control")]
    return [(one["event_time"], hexed(one["actor_token"]) or "0" * 32, one["action"], one["resource_type"],
             one["outcome"], "yes" if one["case_token"] else "no") for one in newest(found, 100)]  # fmt: skip


@truth_of("compliance", "changes")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in h.activations if q.holds(one["activated_at"])]
    found.sort(key=lambda one: (-micros(one["activated_at"]), one["topic"], -one["number"]))
    return [(one["activated_at"], one["topic"], one["number"], one["kind"], hexed(one["by_token"]), one["reason"])
            for one in found]  # fmt: skip


@truth_of("compliance", "no-purpose")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in accesses(h, q)
             if one["sensitivity"] >= 3 and not one["purpose"] and not one["legal_basis"]]  # fmt: skip
    return bars(grouped(found, lambda one: one["source_system"]), len, 20)


@truth_of("compliance", "minors")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in accesses(h, q) if "minor" in one["subject_flags"] and not one["approval_token"]]
    rows = [(name, len(of), different(of, "actor_token"), persons(of), last_at(of))
            for (name,), of in grouped(found, by("actor_dept")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[1], row[0]))


@truth_of("compliance", "no-mfa")
def _(h: History, q: Question) -> Sequence[Row]:
    people = ("employee", "contractor", "admin", "partner")
    found = [one for one in accesses(h, q) if one["sensitivity"] >= 3 and one["mfa"] and one["actor_type"] in people]
    rows = [(name, 100 * count_of(of, "mfa", "no") / len(of))
            for (name,), of in grouped(found, by("source_system")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row[1], row[0]))


@truth_of("compliance", "left")
def _(h: History, q: Question) -> Sequence[Row]:
    found = [one for one in accesses(h, q) if one["actor_status"] in ("left", "on_leave")]
    rows = [(hexed(key[0]) or "0" * 32, key[1], key[2], len(of), persons(of), last_at(of))
            for key, of in grouped(found, by("actor_token", "actor_status", "actor_dept")).items()]  # fmt: skip
    return sorted(rows, key=lambda row: (row[1], -row[3], row[0], row[2]))[:50]
