"""What the engine decides about one record, before it becomes a row; and what every kind of decision shares.

Place in the flow: given by `alerts.py`, `commands.py` and `merge.py`, made a row and the next state by `fold.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from pipeline.incidents.alert_book import Place
from pipeline.incidents.effects import ENGINE, Effect, Emit, emitted_id
from pipeline.incidents.model import MOST_PARTED, Incident, KeyState, Position, higher, rank
from pipeline.incidents.records import Command, MergedInto
from pipeline.incidents.timers import Moment, trigger

REFUSED, NO_CHANGE = "refused", "no_change"

CODES: dict[str, tuple[str, str]] = {
    "already": ("it is so already", "已是该状态"),
    "known": ("the alert is known already", "告警已知"),
    "never_told": ("an alert was taken back that never came here", "被撤回的告警从未到达"),
    "not_due": ("nothing was due", "没有到期事项"),
    "repeated": ("this command was carried out already", "该命令已执行"),
    "no_incident": ("this key has no incident", "该键没有事件"),
    "other_incident": (
        "the command is about an incident that this key does not hold",
        "命令所指事件不在该键下",
    ),
    "resolved": ("the incident is closed: reopen it first", "事件已关闭，请先重新打开"),
    "not_resolved": ("the incident is not closed", "事件未关闭"),
    "is_merged": ("the incident is part of another one: act there", "事件已并入其他事件，请在主事件上操作"),
    "has_children": (
        "the incident has absorbed others and cannot be merged",
        "事件含有已并入的事件，不能再被合并",
    ),
    "merged_elsewhere": ("the incident is part of another parent", "事件已并入另一主事件"),
    "not_merged": ("the incident is not part of this parent", "事件未并入该主事件"),
    "same_incident": ("an incident cannot be joined with itself", "事件不能与自身关联或合并"),
    "another_open": ("another incident of this key is open", "该键下另有未关闭事件"),
    "needs_person": ("only a person may do this", "该操作只能由人执行"),
    "no_account": ("no account is known that could be contained", "没有可遏制的账号"),
    "expired": ("its end is past already", "到期时间已过"),
    "unknown_containment": ("no containment of this id was asked for", "没有该遏制请求"),
    "no_breach": ("no breach is suspected here", "尚未标记疑似泄露"),
    "not_linked": ("the two incidents are not linked", "两个事件没有关联"),
    "too_many": ("the incident holds as many of these as it may", "数量已达上限"),
}
"""Why a record changed nothing, in English and Chinese; those of unreadable records are in `records.UNREADABLE`."""


class Decision(Struct, frozen=True):
    """What happens to one incident of the key. `after` is `before`: nothing. `alert`: to write into the alert book.

    `is_remembered`: whether the command must not be carried out again.
    """

    transition: str
    before: Incident | None = None
    after: Incident | None = None
    code: str = ""
    effects: tuple[Effect, ...] = ()
    alert: tuple[UUID, Place] | None = None
    is_remembered: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a record meets a key: the key's state, the record's position, the moment."""

    state: KeyState
    position: Position
    now: Moment


def refused(code: str, incident: Incident | None, *effects: Effect) -> Decision:
    """A command does not fit: nothing changes here. `effects`: what other keys must learn of it."""
    return Decision(REFUSED, incident, incident, code, effects)


def unchanged(code: str, incident: Incident | None, *effects: Effect) -> Decision:
    """A record says what is so already."""
    return Decision(NO_CHANGE, incident, incident, code, effects)


_C = TypeVar("_C", bound=Command)


def emit(kind: type[_C], scene: Scene, tenant_id: str, to_key: str, to_incident: str, **fields: object) -> Emit:
    """A command of the engine's for another key; its id follows from the record that made it necessary."""
    command = kind(
        command_id=emitted_id(scene.position, kind.name, to_key, to_incident),
        tenant_id=tenant_id, incident_key=to_key, incident_id=to_incident, by=ENGINE, at_us=scene.now.at_us,
        **fields,  # type: ignore[arg-type]  # the fields of `kind`
    )  # fmt: skip
    return Emit(command)  # type: ignore[arg-type]  # every subclass of Command is one of AnyCommand


def graded(incident: Incident, alert_severity: str) -> Incident:
    """With the severity of its alerts, as far as no person has graded it: only graver alerts overrule a person."""
    if incident.grade is None:
        severity = higher(incident.severity, alert_severity)
        return replace(incident, alert_severity=alert_severity, severity=severity)
    if rank(alert_severity) <= rank(incident.grade.over):
        return replace(incident, alert_severity=alert_severity)
    severity = higher(incident.severity, alert_severity)
    return replace(incident, alert_severity=alert_severity, severity=severity, grade=None)


def reopened(incident: Incident, reason: str, scene: Scene) -> tuple[Incident, tuple[Effect, ...]]:
    """Open again and told as new; absorbed incidents learn of it. A merged incident stands alone from here on."""
    parted = incident.parted
    if incident.merged is not None:
        parted = parted_from(incident, incident.merged_into, incident.alert_revision)
    again = replace(
        incident, state="open", parted=parted, acknowledged_us=0, acknowledged_by="",
        resolved_us=0, resolved_by="", verdict="",
        reopened=incident.reopened + 1, merged=None, changed_us=scene.now.at_us,
    )  # fmt: skip
    again, told = trigger(again, reason, scene.now)
    return again, (*told, *tell_children(again, scene))


def parted_from(incident: Incident, other_id: str, revision: int) -> dict[str, int]:
    """`parted` with one more, the newest of them kept."""
    others = {key: value for key, value in incident.parted.items() if key != other_id}
    return dict([*others.items(), (other_id, revision)][-MOST_PARTED:])


def tell_children(incident: Incident, scene: Scene) -> tuple[Emit, ...]:
    """What the absorbed incidents must know of their parent: whether it is closed, with which verdict."""
    is_open = incident.is_open
    return tuple(
        emit(
            MergedInto, scene, incident.tenant_id, child.incident_key, child_id, parent_key=incident.incident_key,
            parent_incident_id=incident.incident_id, revision=child.revision, epoch=incident.epoch,
            parent_state="open" if is_open else "resolved", verdict=None if is_open else incident.verdict,
        )
        for child_id, child in incident.children.items()
    )  # fmt: skip
