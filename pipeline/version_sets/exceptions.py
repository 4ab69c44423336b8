"""Exceptions in the version set: which are in force, how one is made and ended, and which there were before.

Place in the flow: used by `accesstrail exceptions`; both changes go through the activation log, like every change of
what events are judged by. What was in force before is read from the artefacts of older sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from detectors.exceptions import MOST, PART, AlertException, content_of, from_content
from pipeline.errors import UsageError
from pipeline.version_sets.activator import Activator, Edit
from pipeline.version_sets.change_events import Requester
from pipeline.version_sets.judgements import StoreAccess
from pipeline.version_sets.sets import EXCEPTION, Activation, canonical_version

_SHORTEST_PREFIX = 4


class Artefacts(Protocol):
    """Where immutable contents are read from: the store, or what readers may see of it."""

    def load_artefact(self, artefact_id: str) -> bytes:
        """The content of an artefact. Raises: StoreRefused: there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """An exception that is in force no more, and the activation since which it is not."""

    exception: AlertException
    by: Activation


def exceptions_of(store: Artefacts, activation: Activation | None) -> tuple[AlertException, ...]:
    """The exceptions of a set, oldest first. Raises: Away; StoreRefused; OtherVersion."""
    if activation is None or PART not in activation.parts:
        return ()
    return from_content(store.load_artefact(activation.parts[PART]))


def add_exception(
    activator: Activator, access: StoreAccess, exception: AlertException, requester: Requester
) -> Activation:
    """Puts a checked exception in force. Raises: UsageError: it is already, or there are too many, or no set."""
    store = access.evidence

    def edit(newest: Activation) -> Edit:
        present = exceptions_of(store, newest)
        if exception.exception_id in {one.exception_id for one in present}:
            raise UsageError("this exception is in force already")
        if len(present) >= MOST:
            raise UsageError(f"there are {MOST} exceptions: end those that are not needed any more")
        if exception.key_version != canonical_version(newest.parts):
            raise UsageError("the set in force makes tokens with another key than this configuration: start a worker")
        return Edit({PART: content_of([*present, exception])})

    return activator.change(store, access.activations, EXCEPTION, edit, requester, exception.reason)


def end_exception(
    activator: Activator, access: StoreAccess, exception_id: str, requester: Requester, reason: str
) -> tuple[Activation, AlertException]:
    """Takes an exception out of the set in force; an id may be shortened. Raises: UsageError: there is no such one."""
    store = access.evidence
    ended: list[AlertException] = []

    def edit(newest: Activation) -> Edit:
        present = exceptions_of(store, newest)
        ended[:] = [found(present, exception_id)]
        left = [one for one in present if one not in ended]
        return Edit({PART: content_of(left) if left else None})

    made = activator.change(store, access.activations, EXCEPTION, edit, requester, reason)
    return made, ended[0]


def found(exceptions: Sequence[AlertException], exception_id: str) -> AlertException:
    """The one whose id begins so. Raises: UsageError: none, or several."""
    wanted = exception_id.lower().removeprefix("exception:")
    if len(wanted) < _SHORTEST_PREFIX:
        raise UsageError(f"give at least {_SHORTEST_PREFIX} digits of the exception's id")
    named = [one for one in exceptions if one.exception_id.startswith(wanted)]
    if not named:
        raise UsageError(f"no exception {exception_id} is in force: see `accesstrail exceptions list`")
    if len(named) > 1:
        raise UsageError(f"{exception_id} is the beginning of several exceptions: give more digits")
    return named[0]


def ended_exceptions(store: Artefacts, log: Sequence[Activation]) -> list[Ended]:
    """Every exception that was in force and is not now, the newest first; `log`: oldest first."""
    before: dict[str, AlertException] = {}
    ended: dict[str, Ended] = {}
    seen = ""
    for activation in log:
        part = activation.parts.get(PART, "")
        if part == seen:
            continue
        seen = part
        present = {one.exception_id: one for one in exceptions_of(store, activation)}
        for gone in [one for name, one in before.items() if name not in present]:
            ended[gone.exception_id] = Ended(gone, activation)
        for name in present:
            ended.pop(name, None)
        before = present
    return sorted(ended.values(), key=lambda one: -one.by.number)
