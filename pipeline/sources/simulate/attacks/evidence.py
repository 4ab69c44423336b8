"""Stories against the evidence itself: a source falls silent, rows vanish, the log is switched off.

A silence or a hole has no events of its own. It is labelled on the first events that show it: those of the same source
instance right after it, whoever made them. Who counts hits must count by source there, not by account.
"""

from __future__ import annotations

from datetime import date

from pipeline.sources.simulate.attacks.story import Act, Scenario, looks
from pipeline.sources.simulate.desk import Desk, access
from pipeline.sources.simulate.life import Silence, Steps
from pipeline.sources.simulate.places import HOUR_MS


def silent_source(desk: Desk, act: Act) -> Steps:
    """Somebody stops the reporting of one instance for hours; what is done meanwhile is in no log.

    The twin is a maintenance window: announced by an approved control event before, and reported as over after.
    """
    if act.benign:
        silence = _silence_of(desk, act)
        at_ms = silence.from_ms - 60_000
        reason = act.mandate(desk, at_ms, "maintenance")
        for time_ms, what in ((at_ms, "maintenance_begin"), (silence.to_ms + 60_000, "maintenance_end")):
            yield time_ms, access(desk, act.actor, time_ms, "log_control", "audit_log", resource_id=silence.instance,
                                  attrs={"change": what}, **reason)  # fmt: skip


def _falls_silent(desk: Desk, act: Act, start: date) -> None:
    """Chooses an instance and hours on a working day, and whether it goes on counting meanwhile."""
    names = sorted(one for source in desk.company.sources.values() for one in source.instances)
    hours = act.chance.uniform(0.8, 1.2) * {"weak": 1.0, "medium": 3.0, "strong": 8.0}[act.strength]
    from_ms = act.clock_ms(8, 12)
    instance, numbered = act.chance.choice(names), act.chance.random() < 0.5
    silence = Silence(instance, from_ms, from_ms + int(hours * HOUR_MS), numbered, act.identity)
    desk.life.silences.setdefault(instance, []).append(silence)


def _silence_of(desk: Desk, act: Act) -> Silence:
    return next(one for found in desk.life.silences.values() for one in found if one.identity == act.identity)


def sequence_hole(desk: Desk, act: Act) -> Steps:
    """Looks at customers and then removes the own rows from the source's log: the numbers have holes.

    The rows are written, numbered and erased; the first event after each hole carries the label. The twin's rows come
    late, after a lost connection, and fill the holes.
    """
    yield from looks(desk, act, act.moment_ms(desk), act.many(120, 8), 20)


def log_tampering(desk: Desk, act: Act) -> Steps:
    """An administrator turns the audit down: shorter retention, fewer fields, a cleared log; nobody approved it.

    The twin does it under an approved change.
    """
    at_ms = act.moment_ms(desk)
    reason = act.mandate(desk, at_ms, "change")
    changes = ("retention_shortened", "audit_disabled", "fields_dropped", "log_cleared", "export_of_log_stopped")
    for _ in range(act.many(7, 1)):
        at_ms += act.chance.randrange(30_000, 900_000)
        change = act.chance.choice(changes)
        action = "log_control" if change in ("audit_disabled", "log_cleared") else "policy_change"
        kind = "audit_log" if action == "log_control" else "policy_setting"
        yield (
            at_ms,
            access(desk, act.actor, at_ms, action, kind, resource_id=change, attrs={"change": change}, **reason),
        )


SCENARIOS = (
    Scenario("silent_source", silent_source, "it,data,security", prepare=_falls_silent),
    Scenario("sequence_hole", sequence_hole, "it,data,service,person"),
    Scenario("log_tampering", log_tampering, "it,security"),
)
