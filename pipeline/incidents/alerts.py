"""An alert meets its key: it opens an incident, joins the open one, brings it up to date, or reopens a closed one.

Place in the flow: called by `fold.apply`. An alert id counts once, whatever stages a scheduled finding goes through and
however often it is published. Risk and severity never fall while an incident is open: an alert that is taken back is
counted as such and stays part of what was known. Times of a record are the log's.
"""

from __future__ import annotations

from msgspec.structs import replace

from pipeline.incidents.alert_book import STANDS, WITHDRAWN
from pipeline.incidents.decision import Decision, Scene, graded, reopened, unchanged
from pipeline.incidents.effects import Effect
from pipeline.incidents.merge import told_parent
from pipeline.incidents.model import (
    LONGEST_EXPLANATION,
    MOST_DETECTORS,
    OTHER_DETECTORS,
    DetectorPart,
    Incident,
    KeyState,
    higher,
    incident_id_of,
)
from pipeline.incidents.records import AlertRecord
from pipeline.incidents.risk import incident_risk
from pipeline.incidents.rules import DIFFERENT_VERDICTS, Rules
from pipeline.incidents.timers import trigger, update


def take_alert(scene: Scene, alert: AlertRecord) -> Decision:
    """What an alert does to its key."""
    state = scene.state
    place = state.alerts.place(alert.alert_id.bytes)
    if place is not None:
        return _again(scene, alert, state.by_ordinal(place[0]), was_withdrawn=place[1] == WITHDRAWN)
    current = state.current
    if alert.is_withdrawn:
        return unchanged("never_told", current)
    if current is None:
        return _opened(scene, alert)
    if current.is_open or current.is_active_child:
        return _joined(scene, alert, current)
    return _reopened(scene, alert, current) if _reopens(current, alert, scene) else _opened(scene, alert)


def _opened(scene: Scene, alert: AlertRecord) -> Decision:
    latest, now = scene.state.latest, scene.now
    blank = Incident(
        incident_id=incident_id_of(alert.tenant_id, alert.incident_key, scene.position),
        ordinal=latest.ordinal + 1 if latest else 1,
        tenant_id=alert.tenant_id, incident_key=alert.incident_key, opened_us=now.at_us,
        first_event_us=alert.event_time_us, last_event_us=alert.event_time_us,
    )  # fmt: skip
    incident, effects = trigger(_with_alert(blank, alert, now.rules, now.at_us), "opened", now)
    return Decision("opened", None, incident, "", effects, (alert.alert_id, (incident.ordinal, STANDS)))


def _joined(scene: Scene, alert: AlertRecord, incident: Incident) -> Decision:
    after = _with_alert(incident, alert, scene.now.rules, scene.now.at_us)
    after, effects = _grown(scene, incident, after)
    return Decision("joined", incident, after, "", effects, (alert.alert_id, (incident.ordinal, STANDS)))


def _grown(scene: Scene, before: Incident, after: Incident) -> tuple[Incident, tuple[Effect, ...]]:
    if after.is_active_child:
        return told_parent(scene, before, after)
    if after.is_open:
        return update(after, "detector" if len(after.detectors) > len(before.detectors) else "risk", scene.now)
    return after, ()


def _reopens(incident: Incident, alert: AlertRecord, scene: Scene) -> bool:
    """Whether an alert reopens what was closed: soon enough, and not just what was found to be harmless."""
    rules = scene.now.rules
    if scene.now.at_us - incident.resolved_us > rules.reopen_within_us:
        return False
    is_new = _slot(incident, alert.detector) not in incident.detectors
    return incident.verdict not in DIFFERENT_VERDICTS or is_new or _has_risen(incident, alert, rules)


def _has_risen(incident: Incident, alert: AlertRecord, rules: Rules) -> bool:
    return _capped(alert, rules) >= incident.risk + rules.rise


def _reopened(scene: Scene, alert: AlertRecord, incident: Incident) -> Decision:
    grown = _with_alert(incident, alert, scene.now.rules, scene.now.at_us)
    after, effects = reopened(grown, "reopened", scene)
    return Decision("reopened", incident, after, "", effects, (alert.alert_id, (incident.ordinal, STANDS)))


# -- an alert that is known


def _again(scene: Scene, alert: AlertRecord, incident: Incident | None, *, was_withdrawn: bool) -> Decision:
    if incident is None:
        return unchanged("known", None)
    if alert.is_withdrawn != was_withdrawn:
        return _turned(scene, alert, incident)
    if alert.is_withdrawn:
        return unchanged("known", incident)
    return _updated(scene, alert, incident)


def _turned(scene: Scene, alert: AlertRecord, incident: Incident) -> Decision:
    """It was taken back, or stands again."""
    step = 1 if alert.is_withdrawn else -1
    slot = _slot(incident, alert.detector)
    detectors, part = incident.detectors, incident.detectors.get(slot)
    if part is not None:
        detectors = {**detectors, slot: replace(part, withdrawn=max(0, part.withdrawn + step))}
    after = replace(
        incident,
        withdrawn=max(0, incident.withdrawn + step),
        detectors=detectors,
        changed_us=scene.now.at_us, alert_revision=incident.alert_revision + 1,
    )  # fmt: skip
    place = (incident.ordinal, WITHDRAWN if alert.is_withdrawn else STANDS)
    return Decision("withdrawn" if step > 0 else "updated", incident, after, alert=(alert.alert_id, place))


def _updated(scene: Scene, alert: AlertRecord, incident: Incident) -> Decision:
    """The same alert once more: only what is higher than before counts."""
    now = scene.now
    part = incident.detectors.get(_slot(incident, alert.detector), DetectorPart(0, 0))
    is_higher = _capped(alert, now.rules) > part.risk or higher(incident.alert_severity, alert.severity) != (
        incident.alert_severity
    )
    if not is_higher:
        return unchanged("known", incident)
    after = _with_alert(incident, alert, now.rules, now.at_us, is_new=False)
    if incident.is_open or incident.is_active_child:
        after, effects = _grown(scene, incident, after)
        return Decision("updated", incident, after, "", effects)
    is_soon = now.at_us - incident.resolved_us <= now.rules.reopen_within_us
    if is_soon and _has_risen(incident, alert, now.rules) and not _another_is_open(scene.state, incident):
        after, effects = reopened(after, "reopened", scene)
        return Decision("reopened", incident, after, "", effects)
    return unchanged("known", incident)


def _another_is_open(state: KeyState, incident: Incident) -> bool:
    current = state.current
    return current is not None and current is not incident and (current.is_open or current.is_active_child)


# -- what an alert adds


def _capped(alert: AlertRecord, rules: Rules) -> int:
    risk = alert.risk_hundredths
    return min(risk, rules.detector_caps.get(alert.detector, risk)) if rules.detector_caps else risk


def _slot(incident: Incident, detector: str) -> str:
    is_held = detector in incident.detectors or len(incident.detectors) < MOST_DETECTORS
    return detector if is_held else OTHER_DETECTORS


def _with_alert(incident: Incident, alert: AlertRecord, rules: Rules, at_us: int, *, is_new: bool = True) -> Incident:
    """With what the alert adds: counts where it is new, and what is higher than before."""
    slot, risk, event_us = _slot(incident, alert.detector), _capped(alert, rules), alert.event_time_us
    part = incident.detectors.get(slot, DetectorPart(0, 0))
    detectors = {**incident.detectors, slot: DetectorPart(max(part.risk, risk), part.alerts + is_new, part.withdrawn)}
    after = replace(
        incident, detectors=detectors, alerts=incident.alerts + is_new, changed_us=at_us,
        first_event_us=min(incident.first_event_us, event_us), last_event_us=max(incident.last_event_us, event_us),
        alert_revision=incident.alert_revision + 1,
    )  # fmt: skip
    if part.risk < risk or not part.alerts:
        after = replace(after, risk=max(incident.risk, incident_risk(after.highest_by_detector().values())))
    if risk > incident.gravest_risk:
        after = replace(
            after, gravest_alert_id=str(alert.alert_id), gravest_risk=risk, actor_token=alert.actor_token,
            explanation_en=alert.explanation.en[:LONGEST_EXPLANATION],
            explanation_zh=alert.explanation.zh[:LONGEST_EXPLANATION],
        )  # fmt: skip
    if alert.severity == incident.alert_severity and incident.severity == incident.alert_severity:
        return after
    return graded(after, higher(incident.alert_severity, alert.severity))
