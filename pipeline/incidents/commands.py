"""What people do with an incident: acknowledge, assign, comment, grade, contain, resolve, reopen, link, and more.

Place in the flow: called by `fold.apply` for every command that is not about a merge. A command that does not fit the
state is refused with a code and changes nothing. Containment and verdicts are people's: `system:…` is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from pipeline.incidents import merge
from pipeline.incidents.decision import Decision, Scene, emit, parted_from, refused, reopened, tell_children, unchanged
from pipeline.incidents.effects import ENGINE, CallContainment, Effect, FreezeEvidence
from pipeline.incidents.model import (
    CAMPAIGN,
    MOST_CONTAINMENTS,
    MOST_LINKS,
    MOST_STEPS,
    Breach,
    Containment,
    Grade,
    Incident,
    LinkedIncident,
    incident_id_of,
)
from pipeline.incidents.records import (
    Absorb,
    Acknowledge,
    AnyCommand,
    Assign,
    BreachStep,
    Comment,
    Contain,
    ContainResult,
    Link,
    MergedInto,
    Reopen,
    Resolve,
    SuspectBreach,
    Tick,
    Unlink,
)
from pipeline.incidents.timers import ACKNOWLEDGE, RESOLVE, Moment, settled, tick, trigger, update


def carry_out(scene: Scene, command: AnyCommand) -> Decision:
    """What a command does to its key."""
    if str(command.command_id) in scene.state.commands:
        return unchanged("repeated", scene.state.incident(command.incident_id) or scene.state.current)
    incident, missing = _incident_of(scene, command)
    if isinstance(command, Tick):
        return _tick(scene, command, incident)
    if isinstance(command, Absorb | Link) and _opens_campaign(scene, command):
        return _campaign(scene, command)
    if isinstance(command, Absorb):
        return merge.absorb(scene, incident, command, missing=missing)
    if isinstance(command, MergedInto):
        return merge.merged_into(scene, incident, command, missing=missing)
    if incident is None:
        return _refused_link(scene, command, missing) if isinstance(command, Link) else refused(missing, None)
    return _DO[type(command)](scene, incident, command)


def _incident_of(scene: Scene, command: AnyCommand) -> tuple[Incident | None, str]:
    """The incident that a command is about, or why there is none."""
    state = scene.state
    if not command.incident_id:
        return state.current, "" if state.current else "no_incident"
    found = state.incident(command.incident_id)
    return found, "" if found else ("other_incident" if state.incidents else "no_incident")


def _not_open(incident: Incident) -> str:
    """Why nothing can be done about a closed incident here."""
    if incident.is_open:
        return ""
    return "is_merged" if incident.is_active_child else "resolved"


# -- looking after it


def _acknowledged(incident: Incident, by: str, now: Moment) -> tuple[Incident, tuple[Effect, ...]]:
    if incident.acknowledged_us:
        return incident, ()
    return settled(
        replace(incident, acknowledged_us=now.at_us, acknowledged_by=by, changed_us=now.at_us), ACKNOWLEDGE, now
    )


def _acknowledge(scene: Scene, incident: Incident, command: Acknowledge) -> Decision:
    if fault := _not_open(incident) or ("" if command.is_by_person else "needs_person"):
        return refused(fault, incident)
    if incident.acknowledged_us:
        return unchanged("already", incident)
    state = "acknowledged" if incident.state == "open" else incident.state
    after, effects = _acknowledged(replace(incident, state=state), command.by, scene.now)
    return Decision("acknowledged", incident, after, "", effects, is_remembered=True)


def _assign(scene: Scene, incident: Incident, command: Assign) -> Decision:
    """Whoever assigns has seen it; a machine that assigns has not, and escalation goes on."""
    if fault := _not_open(incident):
        return refused(fault, incident)
    if incident.assignee == command.assignee and incident.state in ("assigned", "contained"):
        return unchanged("already", incident)
    state = incident.state if incident.state == "contained" else "assigned"
    after = replace(incident, state=state, assignee=command.assignee, changed_us=scene.now.at_us)
    after, effects = _acknowledged(after, command.by, scene.now) if command.is_by_person else (after, ())
    return Decision("assigned", incident, after, "", effects, is_remembered=True)


def _comment(scene: Scene, incident: Incident, command: Comment) -> Decision:
    after = replace(incident, comments=incident.comments + 1, changed_us=scene.now.at_us)
    if command.severity is None:
        return Decision("commented", incident, after, is_remembered=True)
    if fault := _not_open(incident) or ("" if command.is_by_person else "needs_person"):
        return refused(fault, incident)
    after = replace(after, severity=command.severity, grade=Grade(command.severity, incident.alert_severity))
    after, effects = update(after, "graded", scene.now)
    return Decision("graded", incident, after, "", effects, is_remembered=True)


def _resolve(scene: Scene, incident: Incident, command: Resolve) -> Decision:
    if fault := _not_open(incident) or ("" if command.is_by_person else "needs_person"):
        return refused(fault, incident)
    now = scene.now
    after = replace(
        incident, state="resolved", verdict=command.verdict, resolved_us=now.at_us, resolved_by=command.by,
        changed_us=now.at_us,
    )  # fmt: skip
    after, effects = settled(after, RESOLVE, now)
    return Decision("resolved", incident, after, "", (*effects, *tell_children(after, scene)), is_remembered=True)


def _reopen(scene: Scene, incident: Incident, command: Reopen) -> Decision:
    if incident.is_open:
        return refused("not_resolved", incident)
    if not command.is_by_person:
        return refused("needs_person", incident)
    if any(one is not incident and (one.is_open or one.is_active_child) for one in scene.state.incidents):
        return refused("another_open", incident)
    after, effects = reopened(incident, "reopened", scene)
    if incident.merged is not None:
        effects = (*effects, emit(
            Unlink, scene, incident.tenant_id, incident.merged.incident_key, incident.merged_into,
            other_key=incident.incident_key, other_incident_id=incident.incident_id,
        ))  # fmt: skip
    return Decision("reopened", incident, after, "", effects, is_remembered=True)


# -- containment


def _contain(scene: Scene, incident: Incident, command: Contain) -> Decision:
    account = command.account_token or incident.actor_token
    if fault := _contain_fault(scene, incident, command, account):
        return refused(fault, incident)
    contain_id, now = str(command.command_id), scene.now
    asked = Containment("pending", command.by, command.expires_us)
    state = "acknowledged" if incident.state == "open" else incident.state
    after = replace(
        incident, state=state, containments={**incident.containments, contain_id: asked}, changed_us=now.at_us
    )
    after, effects = _acknowledged(after, command.by, now)
    call = CallContainment(
        contain_id, incident.tenant_id, incident.incident_key, incident.incident_id, account, command.why,
        command.expires_us, command.by,
    )  # fmt: skip
    return Decision("contain_asked", incident, after, "", (*effects, call), is_remembered=True)


def _contain_fault(scene: Scene, incident: Incident, command: Contain, account: str) -> str:
    if not command.is_by_person:
        return "needs_person"
    if fault := _not_open(incident):
        return fault
    if not account:
        return "no_account"
    if command.expires_us <= scene.now.at_us:
        return "expired"
    is_known = str(command.command_id) in incident.containments
    return "already" if is_known else "too_many" if len(incident.containments) >= MOST_CONTAINMENTS else ""


def _contain_result(scene: Scene, incident: Incident, command: ContainResult) -> Decision:
    contain_id = str(command.contain_id)
    asked = incident.containments.get(contain_id)
    if asked is None:
        return refused("unknown_containment", incident)
    if asked.status != "pending":
        return unchanged("already", incident)
    answered = replace(asked, status="done" if command.succeeded else "failed", code=command.code)
    is_contained = command.succeeded and incident.is_open
    after = replace(
        incident, containments={**incident.containments, contain_id: answered}, changed_us=scene.now.at_us,
        state="contained" if is_contained else incident.state,
    )  # fmt: skip
    return Decision("contained" if command.succeeded else "contain_failed", incident, after)


# -- a suspected breach


def _suspect_breach(scene: Scene, incident: Incident, command: SuspectBreach) -> Decision:
    if fault := _not_open(incident) or ("" if command.is_by_person else "needs_person"):
        return refused(fault, incident)
    if incident.breach is not None:
        return unchanged("already", incident)
    breach = Breach(scene.now.at_us, command.known_at_us, command.by)
    after, effects = update(replace(incident, breach=breach, changed_us=scene.now.at_us), "breach", scene.now)
    freeze = FreezeEvidence(after, command.known_at_us, command.by)
    return Decision("breach_suspected", incident, after, "", (*effects, freeze), is_remembered=True)


def _breach_step(scene: Scene, incident: Incident, command: BreachStep) -> Decision:
    """Also of a closed incident: duties to notify outlast it."""
    breach = incident.breach
    if breach is None:
        return refused("no_breach", incident)
    if command.step not in breach.steps and len(breach.steps) >= MOST_STEPS:
        return refused("too_many", incident)
    after = replace(
        incident, breach=replace(breach, steps={**breach.steps, command.step: scene.now.at_us}),
        changed_us=scene.now.at_us,
    )  # fmt: skip
    return Decision("breach_step", incident, after, is_remembered=True)


# -- links and campaigns


def _link(scene: Scene, incident: Incident, command: Link) -> Decision:
    other = command.other_incident_id
    if other == incident.incident_id:
        return refused("same_incident", incident)
    if other in incident.links:
        return unchanged("already", incident)
    if len(incident.links) >= MOST_LINKS:
        return _refused_link(scene, command, "too_many", incident)
    linked = LinkedIncident(command.other_key, command.relation)
    after = replace(incident, links={**incident.links, other: linked}, changed_us=scene.now.at_us)
    return Decision("linked", incident, after, "", _mirrored(scene, after, command), is_remembered=True)


def _mirrored(scene: Scene, incident: Incident, command: Link) -> tuple[Effect, ...]:
    """The other side is linked too; what is itself a mirror image is not mirrored back."""
    if command.by == ENGINE:
        return ()
    return (
        emit(
            Link, scene, incident.tenant_id, command.other_key, command.other_incident_id,
            other_key=incident.incident_key, other_incident_id=incident.incident_id, relation=command.relation,
        ),
    )  # fmt: skip


def _refused_link(scene: Scene, command: Link, code: str, incident: Incident | None = None) -> Decision:
    """A mirror image that finds nothing takes the link away again where it came from."""
    if command.by != ENGINE:
        return refused(code, incident)
    undo = emit(
        Unlink, scene, command.tenant_id, command.other_key, command.other_incident_id,
        other_key=command.incident_key, other_incident_id=command.incident_id,
    )  # fmt: skip
    return refused(code, incident, undo)


def _unlink(scene: Scene, incident: Incident, command: Unlink) -> Decision:
    other = command.other_incident_id
    links = {key: one for key, one in incident.links.items() if key != other}
    children = {key: one for key, one in incident.children.items() if key != other}
    if len(links) == len(incident.links) and len(children) == len(incident.children):
        return refused("not_linked", incident)
    effects: list[Effect] = []
    if len(links) < len(incident.links) and command.by != ENGINE:
        effects.append(emit(
            Unlink, scene, incident.tenant_id, command.other_key, other, other_key=incident.incident_key,
            other_incident_id=incident.incident_id,
        ))  # fmt: skip
    parted = incident.parted
    if len(children) < len(incident.children):
        parted = parted_from(incident, other, incident.children[other].revision)
        effects.append(emit(
            MergedInto, scene, incident.tenant_id, incident.children[other].incident_key, other,
            parent_key=incident.incident_key, parent_incident_id=incident.incident_id, parent_state="released",
        ))  # fmt: skip
    after = replace(incident, links=links, children=children, parted=parted, changed_us=scene.now.at_us)
    return Decision("unlinked", incident, after, "", tuple(effects), is_remembered=True)


def _opens_campaign(scene: Scene, command: Absorb | Link) -> bool:
    is_campaign = command.incident_key.removeprefix(command.tenant_id + ":").split(":", 1)[0] == CAMPAIGN
    return is_campaign and command.is_by_person and not command.incident_id and not scene.state.incidents


def _campaign(scene: Scene, command: Absorb | Link) -> Decision:
    """A person ties incidents together under a key of its own: that opens the campaign's incident."""
    now = scene.now
    blank = Incident(
        incident_id=incident_id_of(command.tenant_id, command.incident_key, scene.position), ordinal=1,
        tenant_id=command.tenant_id, incident_key=command.incident_key, opened_us=now.at_us, changed_us=now.at_us,
        alert_revision=1,
    )  # fmt: skip
    decision = merge.absorb(scene, blank, command) if isinstance(command, Absorb) else _link(scene, blank, command)
    if decision.after is None or decision.after is blank:
        return refused(decision.code, None)
    after, effects = trigger(decision.after, "opened", now)
    return Decision("opened", None, after, "", (*decision.effects, *effects), is_remembered=True)


# -- time


def _tick(scene: Scene, command: Tick, incident: Incident | None) -> Decision:
    """Time is the key's: whatever is due first is done, unless the tick names an incident."""
    if not command.incident_id:
        due = [(due_us(one, scene.now.rules.ask_again_us), one) for one in scene.state.incidents]
        incident = min((pair for pair in due if pair[0]), key=lambda pair: pair[0], default=(0, incident))[1]
    if incident is None:
        return unchanged("not_due", None)
    after, effects = tick(incident, scene.now)
    after, asked = merge.ask_again(scene, after)
    if after is incident:
        return unchanged("not_due", incident)
    return Decision("ticked", incident, replace(after, changed_us=scene.now.at_us), "", (*effects, *asked))


def due_us(incident: Incident, ask_again_us: int) -> int:
    """When a tick has something to do about the incident, UTC microseconds; 0: never."""
    timers = incident.timers
    times = (timers.tell_due_us, timers.escalate_due_us, merge.next_ask_us(incident, ask_again_us))
    return min((one for one in times if one), default=0)


_DO: Mapping[type, Callable[[Scene, Incident, Any], Decision]] = {
    Acknowledge: _acknowledge, Assign: _assign, Comment: _comment, Contain: _contain, ContainResult: _contain_result,
    Resolve: _resolve, Reopen: _reopen, Link: _link, Unlink: _unlink, SuspectBreach: _suspect_breach,
    BreachStep: _breach_step,
}  # fmt: skip
