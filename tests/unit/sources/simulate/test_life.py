"""Ordinary life holds every benign look-alike, and each looks like what it is."""

from __future__ import annotations

from collections import Counter
from datetime import date

from pipeline.sources.simulate import Simulation, draw_company
from pipeline.sources.simulate.desk import local_day
from tests.unit.sources.simulate.runs import SEEDS, run

PROMISED = {
    "month_end", "job_run_again", "war_room", "shift_swap", "office_move", "vpn_exit_change", "make_up_workday",
    "new_joiner", "role_change", "transfer", "reorganisation", "return_from_leave", "campaign_day", "data_migration",
    "subject_requests", "fraud_wave", "holiday_cover", "complaint", "wrong_permissions", "audit_campaign", "journey",
    "journey_abroad", "new_device", "device_roll_out", "promotion_day", "ordinary_leaver", "on_call", "partner_peak",
    "new_program",
}  # fmt: skip


def test_every_look_alike_occurs_in_some_company_and_most_in_each() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(12):
        simulation = Simulation(draw_company(seed, 120), date(2026, 9, 1), 60, 1, attacks_per_scenario=0)
        found = {one.kind for one in simulation.life.happenings}
        assert len(found) > 18
        kinds.update(found)
    assert set(kinds) == PROMISED


def test_a_war_room_is_under_an_incident_with_break_glass_rights() -> None:
    found = [
        one.event
        for seed in SEEDS
        for one in run(seed).events
        if one.event.get("break_glass") and not one.attack_id
    ]  # fmt: skip
    assert found
    assert all("approval_ref" in event for event in found)


def test_somebody_on_a_long_leave_does_nothing_before_the_return() -> None:
    for seed in SEEDS:
        simulation, events = run(seed)
        back = {
            one.actor_ids[0]: one.first_day for one in simulation.life.happenings if one.kind == "return_from_leave"
        }
        assert back
        for one in events:
            first = back.get(one.event["actor_id"])
            assert first is None or local_day(one.time_ms, 9 * 3_600_000) >= first


def test_an_office_move_changes_the_addresses() -> None:
    moved = 0
    for seed in SEEDS:
        simulation, events = run(seed)
        for site, (day, prefix) in simulation.life.moves.items():
            people = {one.actor_id for one in simulation.company.people if one.site.name == site}
            for one in events:
                if one.event["actor_id"] in people and one.event.get("src_ip", "").startswith(f"{prefix}."):
                    moved += 1
                    assert local_day(one.time_ms) >= day
    assert moved


def test_refusals_logins_exports_shares_and_night_work_are_part_of_ordinary_life() -> None:
    for seed in SEEDS:
        ordinary = [one.event for one in run(seed).events if not one.attack_id]
        actions = Counter(event["action"] for event in ordinary)
        for action in ("read", "search", "unmask", "update", "export", "login", "list", "print", "grant"):
            assert actions[action], (seed, action)
        assert any(event["outcome"] == "denied" for event in ordinary)
        assert any(
            event["event_time"][11:13] in ("02", "03") for event in ordinary if event["actor_type"] == "employee"
        )


def test_some_accesses_have_no_ticket_and_some_tickets_come_after_the_look() -> None:
    for seed in SEEDS:
        simulation, events = run(seed)
        reads = [one.event for one in events if one.event["action"] == "read" and not one.attack_id]
        opened = {item["case_ref"]: str(item["opened_at"]) for item in simulation.desk.work_items}
        quoted = [event for event in reads if event.get("case_ref") in opened]
        local = [event for event in quoted if event["event_time"].endswith("+08:00")]
        assert 0.1 < len(quoted) / len(reads) < 0.98
        assert 0.01 < sum(opened[event["case_ref"]] > event["event_time"] for event in local) / len(local) < 0.9
