"""What commands about incidents share: reading as the role reader, handing in a command, waiting for what it led to.

Place in the flow: below `incidents.py`, `incident_actions.py` and `incident_breach.py`. Nothing is written to the store
here: a change is one command on the incident's key in `access.incidents`, in one order with its alerts, and whoever
handles incidents decides. What came of it is read back from the incident log.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import click

from pipeline.adapters.breach_counts import IncidentEvidence
from pipeline.adapters.clickhouse import connect
from pipeline.adapters.incident_reading import IncidentReader
from pipeline.adapters.kafka import EventProducer
from pipeline.audit.incidents import CommandOutcome, IncidentView
from pipeline.cli.account_news import tell_of_accounts
from pipeline.cli.acting import now_us
from pipeline.cli.incident_words import said
from pipeline.cli.options import settings_options
from pipeline.config import Settings
from pipeline.errors import EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE, UsageError
from pipeline.incidents.decision import NO_CHANGE, REFUSED
from pipeline.incidents.records import Command, encode_command
from pipeline.incidents.words import LANGUAGES, STATES, TRANSITIONS, why_not, word
from pipeline.ports import EventSender

SHOWN_ID = 8
DEFAULT_WAIT_S = 15.0
_POLL_S = 0.25
Result = TypeVar("Result")
pause = time.sleep


class Sender(EventSender, Protocol):
    """A producer of one topic that can be closed."""

    def close(self) -> None:
        """Ends the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one command led to; `transition` "": nobody has handled it yet."""

    command_id: str
    incident_id: str
    transition: str = ""
    code: str = ""
    state: str = ""

    @property
    def exit_code(self) -> int:
        """0 done or so already, 2 refused, 69 not handled in time."""
        if not self.transition:
            return EXIT_UNAVAILABLE
        return EXIT_USAGE if self.transition == REFUSED else EXIT_OK


@dataclass(slots=True)
class Desk:
    """One command's view of incidents. `wait_s`: how long it waits for a command to be handled."""

    settings: Settings
    reader: IncidentReader
    evidence: IncidentEvidence
    open_sender: Callable[[], Sender]
    wait_s: float = DEFAULT_WAIT_S
    now_us: Callable[[], int] = now_us
    sleep: Callable[[float], None] = pause

    def incident(self, name: str) -> IncidentView:
        """The incident of an id or its beginning. Raises: UsageError: none, or several."""
        found = self.reader.incident(name)
        if found is None:
            raise UsageError(f"there is no incident {name}: see `accesstrail incidents list`")
        return found

    def hand_in(self, kind: type[Command], incident: IncidentView, by: str, **fields: Any) -> Outcome:  # noqa: ANN401
        """Writes one command for an incident and waits for its row. Raises: Away: it may or may not be written."""
        return self.hand_in_on(
            incident.incident_key, kind, incident.tenant_id, by, incident_id=incident.incident_id, **fields
        )

    def hand_in_on(self, key: str, kind: type[Command], tenant_id: str, by: str, **fields: Any) -> Outcome:  # noqa: ANN401
        """The same for a key; without `incident_id` it is about whichever incident is open there."""
        command = kind(
            command_id=uuid.uuid4(), tenant_id=tenant_id, incident_key=key, by=by, at_us=self.now_us(), **fields
        )
        sender = self.open_sender()
        try:
            sender.send(key.encode(), encode_command(command))
            sender.flush()
        finally:
            sender.close()
        return self._awaited(str(command.command_id), command.incident_id)

    def _awaited(self, command_id: str, incident_id: str) -> Outcome:
        found = outcomes_of(self.reader, [command_id], self.wait_s, self.sleep).get(command_id)
        if found is None:
            return Outcome(command_id, incident_id)
        return Outcome(command_id, found.incident_id or incident_id, found.transition, found.code, found.state)


def outcomes_of(
    reader: IncidentReader, command_ids: Sequence[str], wait_s: float, sleep: Callable[[float], None],
    poll_s: float = _POLL_S,
) -> Mapping[str, CommandOutcome]:  # fmt: skip
    """What commands led to, by id; those that nobody has handled within `wait_s` are missing. Raises: Away."""
    found: dict[str, CommandOutcome] = {}
    for turn in range(max(1, round(wait_s / poll_s))):
        if turn:
            sleep(poll_s)
        for name in command_ids:
            if name not in found and (outcome := reader.outcome_of(name)) is not None:
                found[name] = outcome
        if len(found) == len(command_ids):
            break
    return found


@contextmanager
def open_desk(settings: Settings, wait_s: float = DEFAULT_WAIT_S) -> Iterator[Desk]:
    """The desk over the real store and broker. Raises: Away; ConfigError."""
    with closing(connect(settings.clickhouse, "reader")) as reader:
        yield Desk(
            settings, IncidentReader(reader), IncidentEvidence(reader),
            lambda: EventProducer(settings.kafka.bootstrap_servers, settings.kafka.incidents_topic), wait_s,
            sleep=pause,
        )  # fmt: skip


# -- options


def language_option(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--language`."""
    return click.option(
        "--language", type=click.Choice(LANGUAGES), default="en", show_default=True, help="Of what is printed."
    )(command)


def reading_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Options of a command that reads: the system, `--language`, `--json`."""
    command = click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")(command)
    return settings_options(language_option(command))


def handling_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Options of a command that changes an incident: those of reading, and `--wait`."""
    waiting = click.option(
        "--wait", "wait_s", type=click.FloatRange(0, 600), default=DEFAULT_WAIT_S, show_default=True, metavar="SECONDS",
        help="How long to wait until it is handled.",
    )  # fmt: skip
    return reading_options(waiting(command))


# -- saying


def say(outcomes: Sequence[Outcome], desk: Desk, *, language: str, as_json: bool) -> int:
    """Tells what commands led to; the exit code is the gravest."""
    tell_of_accounts(desk.settings)
    for one in outcomes:
        if as_json:
            body = {
                "command_id": one.command_id, "incident_id": one.incident_id, "handled": bool(one.transition),
                "transition": one.transition, "code": one.code, "state": one.state,
            }  # fmt: skip
            click.echo(json.dumps(body, ensure_ascii=False))
        else:
            click.echo(in_words(one, desk.wait_s, language), err=one.exit_code != EXIT_OK)
    return max((one.exit_code for one in outcomes), default=EXIT_OK)


def in_words(one: Outcome, wait_s: float, language: str) -> str:
    """One outcome as people read it."""
    if not one.transition:
        return said("queued", language, f"{wait_s:g}", one.incident_id[:SHOWN_ID] or "ID")
    if one.transition == REFUSED:
        return said("refused", language, why_not(one.code, language))
    if one.transition == NO_CHANGE:
        return said("unchanged", language, why_not(one.code, language))
    now = said("state_now", language, one.incident_id[:SHOWN_ID], word(STATES, one.state, language))
    return (
        said("done", language, word(TRANSITIONS, one.transition, language)) + ("；" if language == "zh" else "; ") + now
    )
