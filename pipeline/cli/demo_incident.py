"""The last act of `accesstrail demo`: the gravest incident is read, acknowledged and closed, as a responder would.

Place in the flow: called by `demo.py` once alerts are there. It reads the channel (`demo_desk.py`) and runs the same
commands as a person, as an account of its own that nobody can log in to (`demo_accounts.py`): its token lies in the
demo's folder (0600) and ends after a day.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.adapters.incident_reading import open_incident_reader
from pipeline.cli.demo_accounts import TOKEN_NAME
from pipeline.cli.demo_chapters import Told
from pipeline.cli.demo_desk import CHANNEL, Desk
from pipeline.config import Settings
from pipeline.errors import LocalStackError
from pipeline.incidents.model import rank

_VERDICT_REASON = "asked the team: nobody knows of a script; the session is ended"
_PATIENCE_S = 60.0
_MOST_INCIDENTS = 500


def incident_of(settings: Settings, about: Told) -> str:
    """The incident about a chapter's account, waited for until it is as grave as the account's alerts.

    An incident grows while the responder reads: whoever closes it sooner closes what nobody has seen yet. One that
    stays below its alerts (an exception, a cap) is taken once patience has ended.
    Raises: LocalStackError: there is none.
    """
    deadline_s = time.monotonic() + _PATIENCE_S
    gravest = max((rank(str(alert["severity"])) for alert in about.alerts), default=0)
    found = ""
    reader = open_incident_reader(settings.clickhouse)
    try:
        while time.monotonic() < deadline_s:
            own = [one for one in reader.listed(limit=_MOST_INCIDENTS) if one.actor_token == about.actor_token]
            found = own[0].incident_id if own else ""
            if own and rank(own[0].severity) >= gravest:
                return found
            time.sleep(0.5)
    finally:
        reader.close()
    if not found:
        raise LocalStackError("no incident was opened: see logs/responder.log", code="demo_silent")
    return found


def handle_incident(
    desk: Desk, state_dir: Path, incident_id: str, mark: Callable[[str], float], say: Callable[[str], None]
) -> dict[str, Any]:
    """An incident as a responder handles it: read, acknowledged, closed; what became of it.

    Raises: LocalStackError: no message came, or a command was not carried out.
    """
    told = desk.await_incident(incident_id, _PATIENCE_S)
    if told is None:
        raise LocalStackError("no message reached the demo's channel: see logs/responder.log", code="demo_silent")
    mark("first_message_s")
    say(f"A message on the channel {CHANNEL}, one for each incident:\n")
    _show(told, say)
    commands = (
        ("acknowledge", ["ack", incident_id[:8]]),
        ("resolve", ["resolve", incident_id[:8], "--verdict", "true_positive", "--why", _VERDICT_REASON]),
    )
    for action, words in commands:
        _type(words, state_dir, say)
        heard = desk.await_message(action, incident_id, _PATIENCE_S)
        if heard is None:
            raise LocalStackError(f"the channel never heard {action}: see logs/responder.log", code="demo_silent")
        say(f"  {CHANNEL}: {heard['title_en']}\n  {CHANNEL}: {heard['title_zh']}\n")
    mark("closed_s")
    return {"incident_id": incident_id, "severity": told["severity"], "messages": len(desk.messages())}


def _show(message: Mapping[str, Any], say: Callable[[str], None]) -> None:
    for language in ("en", "zh"):
        say(f"  {message[f'title_{language}']}")
        for line in message[f"lines_{language}"]:
            say(f"    {line}")
        say("")
    say(f"  Its link (looking changes nothing, a button acknowledges):\n    {message['link']}\n")


def _type(words: Sequence[str], state_dir: Path, say: Callable[[str], None]) -> None:
    """Runs `accesstrail incidents …` as anybody would, with the demo's account."""
    shown = " ".join(f"'{one}'" if " " in one else one for one in words)
    say(f"$ accesstrail incidents {shown}")
    options = ["--state", str(state_dir), "--token-file", str(state_dir / TOKEN_NAME)]
    command = [sys.executable, "-m", "pipeline.cli", "incidents", *words, *options]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, check=False)
    if done.returncode:
        raise LocalStackError(f"incidents {words[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    for line in done.stdout.strip().splitlines():
        say(f"  {line}")
