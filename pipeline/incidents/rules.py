"""The numbers incidents are handled by.

Place in the flow: configuration handed to `fold.apply` with every record. What was decided under them is in the log's
rows, so other numbers tomorrow change nothing that was decided today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.incidents.escalate import NOBODY, Escalation

DAY_US = 86_400_000_000
DIFFERENT_VERDICTS = ("benign", "false_positive")
"""After these an alert of the same kind and height opens a new incident instead of reopening the old one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Risk in hundredths, times in microseconds.

    `reopen_within_us`: after closing, an alert may reopen the incident; later it opens a new one. `rise`: by so much
    the risk has to be higher to reopen what was closed as benign, and to be told again. `detector_caps`: the most that
    a detector's alerts may count, where not 100. `ask_again_us`: how long a merge waits for the other side's answer.
    """

    reopen_within_us: int = 7 * DAY_US
    rise: int = 1500
    detector_caps: Mapping[str, int] = field(default_factory=dict)
    ask_again_us: int = 60_000_000
    escalation: Escalation = NOBODY
