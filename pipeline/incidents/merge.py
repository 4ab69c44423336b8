"""Merging: a parent absorbs a child on another key, and both come to the same, whatever is lost, late or repeated.

Place in the flow: commands `absorb` (parent's key) and `merged_into` (child's key), called by `fold.apply`. Two keys
are two logs; no record can change both at once. So each side tells the other until it has heard:

    parent  absorb, revision 0 (a person)  → child is noted, not confirmed;  says merged_into, revision 0, to the child
    child   merged_into                    → part of the parent;             says absorb with its summary, revision r
    parent  absorb, revision r             → taken in, confirmed;            says merged_into, revision r
    child   merged_into, revision r        → knows that r has arrived

`merged_into` first leads to the same. Whoever has not heard asks again when a `tick` finds it due, at growing
intervals: that heals a crash between any two of these. Repeated or late records change nothing: only a higher revision
is taken in. An alert on the child's key joins the child and raises its revision; what makes it graver is told to the
parent at once, mere counts at the next tick. One level only: a parent cannot be merged, a child cannot absorb. Whoever
is refused is told so, so that no child waits in a parent that does not hold it. A parent that is closed says so with
the revisions it knew; a child with later alerts stands alone again, because nobody has judged them.
"""

from __future__ import annotations

from msgspec.structs import replace

from pipeline.incidents.decision import Decision, Scene, emit, graded, refused, reopened, unchanged
from pipeline.incidents.effects import Effect, Emit
from pipeline.incidents.model import MOST_CHILDREN, Child, Incident, Merged, higher
from pipeline.incidents.records import MOST_SUMMED, Absorb, ChildSummary, MergedInto, Unlink
from pipeline.incidents.risk import incident_risk
from pipeline.incidents.timers import RESOLVE, settled, update

_MOST_DOUBLINGS = 10
Changed = tuple[Incident, tuple[Effect, ...]]


# -- the parent's key


def absorb(scene: Scene, incident: Incident | None, command: Absorb, *, missing: str = "") -> Decision:
    """Takes a child in. `missing`: why there is no incident for it."""
    fault = missing or _absorb_fault(incident, command)
    if fault or incident is None:
        return refused(fault, incident, *_answer_to_refused(scene, incident, command))
    known = incident.children.get(command.child_incident_id)
    if known is None and len(incident.children) >= MOST_CHILDREN:
        return refused("too_many", incident, *_answer_to_refused(scene, incident, command))
    if known is not None and known.revision >= command.revision:
        is_settled = known.revision > 0 and not command.revision  # only asked for, and long since answered
        answer = () if is_settled else (_ask(scene, incident, command, known.revision),)
        return unchanged("already", incident, *answer)
    child = Child(command.child_key, command.revision, scene.now.at_us, 0, command.summary)
    after = replace(
        incident, children={**incident.children, command.child_incident_id: child}, changed_us=scene.now.at_us,
        parted={key: one for key, one in incident.parted.items() if key != command.child_incident_id},
    )  # fmt: skip
    after, told = _with_summary(scene, after, command.summary, is_new=known is None or not known.revision)
    return Decision(
        "absorbed", incident, after, "", (_ask(scene, after, command, command.revision), *told), is_remembered=True
    )


def _absorb_fault(incident: Incident | None, command: Absorb) -> str:
    if incident is None:
        return "no_incident"
    if command.child_incident_id == incident.incident_id or command.child_key == incident.incident_key:
        return "same_incident"
    if (command.revision > 0) != (command.summary is not None):
        return "not_merged"
    if incident.merged is not None:
        return "is_merged"
    if not incident.is_open:
        return "resolved"
    return "not_merged" if command.revision and command.child_incident_id in incident.parted else ""


def _ask(scene: Scene, incident: Incident, command: Absorb, revision: int) -> Emit:
    """Tells the child whose it is, and as of which revision it is taken in (0: it has to answer)."""
    return emit(
        MergedInto, scene, incident.tenant_id, command.child_key, command.child_incident_id,
        parent_key=incident.incident_key, parent_incident_id=incident.incident_id, revision=revision,
        epoch=incident.epoch,
    )  # fmt: skip


def _answer_to_refused(scene: Scene, incident: Incident | None, command: Absorb) -> tuple[Emit, ...]:
    """A child that already counts itself in is let go, or learns that the parent is closed."""
    if not command.revision or not command.incident_id:
        return ()
    known = incident.children.get(command.child_incident_id) if incident else None
    state, verdict, revision, epoch = "released", None, 0, 0
    if incident is not None and known is not None and not incident.is_open:
        state, verdict, revision, epoch = "resolved", incident.verdict or None, known.revision, incident.epoch
    answer = emit(
        MergedInto, scene, command.tenant_id, command.child_key, command.child_incident_id,
        parent_key=command.incident_key, parent_incident_id=command.incident_id, revision=revision, epoch=epoch,
        parent_state=state, verdict=verdict,
    )  # fmt: skip
    return (answer,)


def _with_summary(scene: Scene, incident: Incident, summary: ChildSummary | None, *, is_new: bool) -> Changed:
    if summary is None:
        return incident, ()
    first_us, last_us = summary.first_event_us, summary.last_event_us
    if incident.first_event_us or incident.last_event_us:
        first_us, last_us = min(first_us, incident.first_event_us), max(last_us, incident.last_event_us)
    risk = max(incident.risk, incident_risk(incident.highest_by_detector().values()))
    after = replace(incident, risk=risk, first_event_us=first_us, last_event_us=last_us)
    after = graded(after, higher(incident.alert_severity, summary.severity))
    return update(after, "absorbed" if is_new else "risk", scene.now)


# -- the child's key


def merged_into(scene: Scene, incident: Incident | None, command: MergedInto, *, missing: str = "") -> Decision:
    """Becomes part of a parent, hears how far the parent is, or is let go."""
    if incident is None:
        return refused(missing, None, *_decline(scene, command))
    if incident.merged_into == command.parent_incident_id:
        return _heard(scene, incident, command)
    if command.parent_state == "released":
        return unchanged("not_merged", incident)
    fault = _merge_fault(incident, command)
    if fault:
        return refused(fault, incident, *_decline(scene, command))
    merged = Merged(command.parent_key, command.parent_incident_id, 0, scene.now.at_us, 0, command.epoch)
    after = replace(incident, state="resolved", merged=merged, changed_us=scene.now.at_us)
    after, told = settled(after, RESOLVE, scene.now)
    return Decision("merged", incident, after, "", (*told, _say(scene, after)), is_remembered=True)


def _merge_fault(incident: Incident, command: MergedInto) -> str:
    if command.parent_incident_id == incident.incident_id or command.parent_key == incident.incident_key:
        return "same_incident"
    if incident.merged is not None:
        return "merged_elsewhere"
    if incident.children:
        return "has_children"
    if not incident.is_open:
        return "resolved"
    is_late = 0 < command.revision <= incident.parted.get(command.parent_incident_id, 0)
    return "not_merged" if is_late or command.parent_state != "open" else ""


def _decline(scene: Scene, command: MergedInto) -> tuple[Emit, ...]:
    """The parent must not go on counting a child that is none."""
    if command.parent_state == "released" or not command.incident_id or command.parent_key == command.incident_key:
        return ()
    return (
        emit(
            Unlink, scene, command.tenant_id, command.parent_key, command.parent_incident_id,
            other_key=command.incident_key, other_incident_id=command.incident_id,
        ),
    )  # fmt: skip


def _heard(scene: Scene, incident: Incident, command: MergedInto) -> Decision:
    """The parent speaks to a child that is its own."""
    merged = incident.merged
    if merged is None or command.parent_state == "released":
        return _alone(scene, incident, "released")
    if command.epoch < merged.epoch:
        return unchanged("already", incident)
    heard = replace(merged, taken=max(merged.taken, command.revision), epoch=command.epoch)
    if heard.taken > merged.taken:
        heard = replace(heard, tries=0)
    if command.parent_state == "resolved":
        return _parent_closed(scene, incident, command, heard)
    after = incident if heard == merged else replace(incident, merged=heard)
    if incident.verdict:
        if any(one.is_open for one in scene.state.incidents):
            return refused("another_open", incident, *_decline(scene, command))
        after = replace(after, verdict="", resolved_us=0, resolved_by="", changed_us=scene.now.at_us)
    answer = () if command.revision else (_say(scene, after),)
    if after is incident:
        return unchanged("already", incident, *answer)
    return Decision("updated", incident, after, "", answer)


def _parent_closed(scene: Scene, incident: Incident, command: MergedInto, heard: Merged) -> Decision:
    """It was judged together with the parent, unless it has alerts that nobody saw there."""
    if incident.verdict:
        return unchanged("already", incident)
    if command.verdict is None:
        return refused("not_resolved", incident)
    if incident.alert_revision > heard.taken:
        return _alone(scene, incident, "unjudged")
    after = replace(
        incident, verdict=command.verdict, resolved_us=scene.now.at_us, resolved_by=command.by, merged=heard,
        changed_us=scene.now.at_us,
    )  # fmt: skip
    return Decision("resolved", incident, after)


def _alone(scene: Scene, incident: Incident, reason: str) -> Decision:
    if not incident.is_active_child:  # judged already: it stays closed
        return Decision("released", incident, replace(incident, merged=None, changed_us=scene.now.at_us))
    after, effects = reopened(incident, reason, scene)
    return Decision("released", incident, after, "", effects)


def _say(scene: Scene, incident: Incident) -> Emit:
    """What the child is, for its parent."""
    merged = incident.merged or Merged("", "", 0, 0)
    return emit(
        Absorb, scene, incident.tenant_id, merged.incident_key, merged.incident_id, child_key=incident.incident_key,
        child_incident_id=incident.incident_id, revision=incident.alert_revision, summary=summary_of(incident),
    )  # fmt: skip


def summary_of(incident: Incident) -> ChildSummary:
    """What an incident adds to its parent."""
    by_risk = sorted(incident.detectors.items(), key=lambda item: (-item[1].risk, item[0]))
    return ChildSummary(
        detectors={name: part.risk for name, part in by_risk[:MOST_SUMMED]},
        severity=incident.severity,  # type: ignore[arg-type]  # one of SEVERITIES
        alerts=incident.alerts, withdrawn=incident.withdrawn,
        first_event_us=incident.first_event_us, last_event_us=incident.last_event_us,
    )  # fmt: skip


def told_parent(scene: Scene, before: Incident, after: Incident) -> Changed:
    """A child's alert: told to the parent at once where it makes the child graver, else at the next tick."""
    merged = after.merged
    is_graver = (after.risk, after.severity, len(after.detectors)) != (
        before.risk, before.severity, len(before.detectors),
    )  # fmt: skip
    if merged is None or not is_graver:
        return after, ()
    after = replace(after, merged=replace(merged, sent_us=scene.now.at_us))
    return after, (_say(scene, after),)


# -- ticks


def next_ask_us(incident: Incident, ask_again_us: int) -> int:
    """When the other side has to be asked again, UTC microseconds; 0: never."""
    due = [
        one.asked_us + (ask_again_us << min(one.tries, _MOST_DOUBLINGS))
        for one in incident.children.values()
        if not one.revision and incident.is_open
    ]
    merged = incident.merged
    if merged is not None and incident.is_active_child and merged.taken < incident.alert_revision:
        due.append(merged.sent_us + (ask_again_us << min(merged.tries, _MOST_DOUBLINGS)))
    return min(due, default=0)


def ask_again(scene: Scene, incident: Incident) -> Changed:
    """Says again what was not heard and is due."""
    wait_us, at_us = scene.now.rules.ask_again_us, scene.now.at_us
    merged = incident.merged
    if merged is not None:
        due_us = next_ask_us(incident, wait_us)
        if not due_us or at_us < due_us:
            return incident, ()
        incident = replace(incident, merged=replace(merged, sent_us=at_us, tries=merged.tries + 1))
        return incident, (_say(scene, incident),)
    due = {
        child_id: child
        for child_id, child in incident.children.items()
        if not child.revision and at_us >= child.asked_us + (wait_us << min(child.tries, _MOST_DOUBLINGS))
    }
    if not due or not incident.is_open:
        return incident, ()
    asked = {child_id: replace(child, asked_us=at_us, tries=child.tries + 1) for child_id, child in due.items()}
    again = tuple(
        emit(
            MergedInto, scene, incident.tenant_id, child.incident_key, child_id, parent_key=incident.incident_key,
            parent_incident_id=incident.incident_id, epoch=incident.epoch,
        )
        for child_id, child in due.items()
    )  # fmt: skip
    return replace(incident, children={**incident.children, **asked}), again
