"""Rules over history: hits, alerts with suppression, and what labels say of them."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from detectors.rules import all_rules
from pipeline.backtest import ATTACK, TWIN, Backtest, Marked, RuleCount, backtest
from pipeline.directory import DirectorySnapshot
from pipeline.offline import EventFile, read_events
from pipeline.privacy.keys import Keyring

EXPORT = {"action": "export", "channel": "report", "records_returned": 5000, "subject_manifest": "m-1"}


def event(number: int, day: int, minute: int, **more: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "event_id": str(uuid.UUID(int=number + (7 << 76) + (2 << 62))),
        "event_time": f"2026-09-{day:02}T10:{minute:02}:00+08:00",
        "source_system": "crm",
        "channel": "ui",
        "action": "read",
        "outcome": "success",
        "actor_id": "zhang.wei",
        "actor_type": "employee",
        "resource_type": "customer_profile",
        "resource_id": f"c-{number}",
        **more,
    }


EVENTS = [
    event(1, 1, 0),
    event(2, 1, 5, **EXPORT),
    event(3, 1, 6, **EXPORT),  # joins the alert of the one before
    event(4, 1, 7, **EXPORT, approval_ref="A-1"),
    event(5, 4, 0, **EXPORT),  # three days later: an alert of its own
    event(6, 4, 1, **EXPORT, actor_id="li.na"),
    event(7, 4, 2, action="grant", resource_type="account", resource_id="li.na", actor_id="li.na"),
]
IDS = [one["event_id"] for one in EVENTS]


def history(path: Path, events: list[dict[str, Any]]) -> EventFile:
    path.write_text("".join(json.dumps(one) + "\n" for one in events), encoding="utf-8")
    return read_events([str(path)])


def run(tmp_path: Path, **more: Any) -> Backtest:
    events = history(tmp_path / "events.ndjson", more.pop("events", EVENTS))
    return backtest(
        events, more.pop("warm_up", None), DirectorySnapshot(), Keyring.offline(), "Asia/Shanghai",
        more.pop("rules", all_rules()), **more,
    )  # fmt: skip


def count(found: Backtest, rule: str) -> RuleCount:
    return next(one for one in found.rules if one.rule == rule)


def test_hits_count_every_event_and_alerts_what_suppression_leaves(tmp_path: Path) -> None:
    export = count(run(tmp_path), "bulk_export")
    assert (export.hits, export.actor_days, export.alerts_alone) == (4, 3, 3)


def test_an_alert_is_counted_for_the_rule_that_leads_it(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert found.alerts == sum(one.alerts for one in found.rules) == sum(one.alerts for one in found.by_day)
    assert count(found, "bulk_export").alerts == 3


def test_days_are_those_of_the_actors_calendar(tmp_path: Path) -> None:
    days = [(one.day, one.hits, one.alerts) for one in run(tmp_path).by_day]
    assert days[0] == ("2026-09-01", 2, 1)
    assert days[1][:2] == ("2026-09-04", 3)


def test_labels_tell_true_from_twin_and_false(tmp_path: Path) -> None:
    marked = {
        IDS[1]: Marked(ATTACK, "export-1"),
        IDS[2]: Marked(ATTACK, "export-1"),
        IDS[3]: Marked(TWIN, "twin-1"),
        IDS[4]: Marked(TWIN, "twin-2"),
        IDS[0]: Marked(ATTACK, "never-seen"),
    }
    found = run(tmp_path, marked=marked)
    export = count(found, "bulk_export")
    assert (export.attack_hits, export.twin_hits, export.other_hits, export.attacks) == (2, 1, 1, 1)
    assert (export.attack_alerts, export.twin_alerts, export.other_alerts) == (1, 1, 1)
    assert (found.attacks, found.attacks_hit, found.attacks_alerted) == (2, 1, 1)


def test_without_labels_nothing_is_said_about_attacks(tmp_path: Path) -> None:
    assert run(tmp_path).attacks is None


def test_only_the_chosen_rules_run(tmp_path: Path) -> None:
    chosen = [rule for rule in all_rules() if rule.name == "self_grant"]
    found = run(tmp_path, rules=chosen)
    assert [(one.rule, one.hits) for one in found.rules] == [("self_grant", 1)]


def test_the_warm_up_builds_profiles_and_is_not_counted(tmp_path: Path) -> None:
    warm = history(tmp_path / "warm.ndjson", [event(100 + day, day, 0, **EXPORT) for day in range(1, 9)])
    later = [event(300, 20, 0)]
    found = run(tmp_path, events=later, warm_up=warm)
    assert (found.events, found.alerts, count(found, "bulk_export").hits) == (1, 0, 0)


def test_no_events_give_an_empty_report(tmp_path: Path) -> None:
    found = run(tmp_path, events=[])
    assert (found.events, found.actors, found.alerts, found.by_day) == (0, 0, 0, [])


def test_a_heartbeat_raises_nothing(tmp_path: Path) -> None:
    beats = [event(1, 1, 0, action="log_control", resource_type="heartbeat", actor_type="admin")]
    stopped = [event(2, 1, 0, action="log_control", resource_type="audit_log", actor_type="admin")]
    assert count(run(tmp_path, events=beats), "log_tampering").hits == 0
    assert count(run(tmp_path, events=stopped), "log_tampering").hits == 1


@pytest.mark.parametrize("attrs", [{"consent_state": "withdrawn"}, {"consent_state": "given"}])
def test_a_withdrawn_consent_reaches_its_rule_though_no_attribute_is_kept(
    tmp_path: Path, attrs: dict[str, str]
) -> None:
    found = run(tmp_path, events=[event(1, 1, 0, attrs=attrs)])
    assert count(found, "consent_withdrawn").hits == (attrs["consent_state"] == "withdrawn")
