"""Rows of the log: small at the limits of every field, and what was decided stays decided under other rules."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.incidents.changes import MAX_CHANGES_BYTES, fold_log, fold_row
from pipeline.incidents.model import EMPTY, LogRow
from pipeline.incidents.records import MOST_SUMMED, ChildSummary, Explanation
from pipeline.incidents.rules import Rules
from tests.incident_logs import KEY, OTHER_KEY, START_US, World, alert, command, uuid_of


def test_rows_are_small_at_the_limits_of_every_field() -> None:
    world = World()
    worst = Explanation("\x00" * 5000, "\x1f" * 5000)
    world.put(alert(1, explanation=worst, detector="\x01" * 128, actor_token="\x01" * 64))
    summary = ChildSummary(
        detectors={f"{number:0128d}": 1 for number in range(MOST_SUMMED)}, severity="critical", alerts=2**53,
        withdrawn=2**53, first_event_us=-(2**62), last_event_us=2**62,
    )  # fmt: skip
    world.put(
        command(
            "absorb", child_key="k" * 512, child_incident_id=str(uuid_of("c")), revision=2**53,
            summary=msgspec.to_builtins(summary),
        ),
        *(command("comment", why="\x00" * 2000, by="\x01" * 128) for _ in range(3)),
        *(command("link", other_key="\x01" * 512, other_incident_id=str(uuid_of(number))) for number in range(50)),
        *(command("contain", number, expires_us=START_US * 2, by="\x01" * 128) for number in range(20)),
        command("suspect_breach", known_at_us=1),
        *(command("breach_step", step=f"{number:064d}") for number in range(100)),
    )  # fmt: skip
    sizes = [len(row.changes.encode()) for row in world.rows]
    assert max(sizes) <= MAX_CHANGES_BYTES
    assert world.refold() == world.states[KEY]


def test_most_rows_are_a_few_hundred_bytes() -> None:
    world = World()
    world.put(*(alert(number, risk=number % 90) for number in range(1000)))
    sizes = sorted(len(row.changes) for row in world.rows)
    assert sizes[500] < 500


def test_a_verdict_of_old_rules_stands_under_new_ones() -> None:
    """The log is folded without rules: an incident that was opened anew is not reopened in hindsight."""
    world = World(Rules(reopen_within_us=1))
    world.put(alert(1), command("resolve", verdict="true_positive"), alert(2))
    world.rules = Rules()
    assert [one.state for one in world.refold().incidents] == ["resolved", "open"]
    assert world.refold() == world.states[KEY]


def test_a_row_that_is_not_ours_is_refused_not_guessed() -> None:
    world = World()
    row = world.put(alert(1)).log_row
    assert row is not None
    for changes in ("", "[]", '{"ordinal":"x"}', '{"ordinal":1,"after":{"state":"gone"}}'):
        with pytest.raises(msgspec.MsgspecError):
            fold_row(EMPTY, msgspec.structs.replace(row, changes=changes))


def test_rows_of_other_keys_and_rows_without_changes_fold_to_nothing() -> None:
    world = World()
    world.put(command("acknowledge"), command("tick", incident_key=OTHER_KEY))
    rows: list[LogRow] = world.rows
    assert [row.changes for row in rows] == ["{}", "{}"]
    state = fold_log(rows[:1])
    assert (state.incidents, state.commands, state.position) == ((), (), rows[0].position)
