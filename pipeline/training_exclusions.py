"""What of a history teaches a model nothing: known incidents, disputed periods.

Place in the flow: read by `accesstrail train --exclude`, asked by `offline.train_model` for every event. One a line:

    9f1c…                                                                an event id (several, parted by blanks)
    {"event_id": "9f1c…", "why": "true_positive"}
    {"actor_id": "li.wei", "from": "2026-11-02T00:00:00+08:00", "to": "2026-11-05T00:00:00+08:00"}   of one account
    {"from": "2026-11-02T00:00:00Z", "to": "2026-11-03T00:00:00Z", "why": "migration"}               of everybody

Times are RFC 3339, compared with the event's own; `from` is included, `to` is not. `why` is one word in small letters.
Faults name the line, never what stands in it: it may name a person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import UsageError
from pipeline.timestamps import utc_us

UNSAID = "excluded"
"""Why, where a line does not say it."""

_WHY = re.compile(r"[a-z][a-z_]{0,39}").fullmatch
_KEYS = ({"event_id"}, {"actor_id", "from", "to"}, {"from", "to"})
_SHOWN_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Period:
    """From the first to before the second time, UTC µs; `actor_id` empty: of everybody."""

    actor_id: str
    from_us: int
    to_us: int
    why: str


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Event id → why, and periods."""

    event_ids: Mapping[str, str] = field(default_factory=dict)
    periods: Sequence[Period] = ()

    def why(
        self, event_ids: Sequence[str], actor_ids: Sequence[str], time_us: npt.NDArray[np.int64]
    ) -> list[str | None]:
        """Why each event (n,) is excluded, None where it is not; its own line goes before a period's."""
        found: list[str | None] = [self.event_ids.get(event_id) for event_id in event_ids]
        for period in self.periods:
            for row in np.flatnonzero((time_us >= period.from_us) & (time_us < period.to_us)).tolist():
                if found[row] is None and period.actor_id in ("", actor_ids[row]):
                    found[row] = period.why
        return found


NOTHING_EXCLUDED = Exclusions()


def read_exclusions(path: Path) -> Exclusions:
    """Reads the file. Raises: UsageError: it cannot be read, or lines are wrong: which and why."""
    try:
        return parse_exclusions(path.read_text(encoding="utf-8").splitlines())
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None


def parse_exclusions(lines: Iterable[str]) -> Exclusions:
    """What the lines name. Raises: UsageError."""
    event_ids: dict[str, str] = {}
    periods: list[Period] = []
    faults: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.lstrip().startswith("{"):
                _take(line, event_ids, periods)
            else:
                event_ids |= dict.fromkeys(line.split(), UNSAID)
        except ValueError as exc:
            faults.append(f"line {number}: {exc}")
    if faults:
        more = f"\n… and {len(faults) - _SHOWN_FAULTS} more" if len(faults) > _SHOWN_FAULTS else ""
        raise UsageError("what is to be excluded cannot be read:\n" + "\n".join(faults[:_SHOWN_FAULTS]) + more)
    return Exclusions(event_ids, tuple(periods))


def _take(line: str, event_ids: dict[str, str], periods: list[Period]) -> None:
    """One JSON line. Raises: ValueError: in words that do not quote it."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is no JSON object") from None
    why = said.pop("why", UNSAID)
    if set(said) not in _KEYS:
        raise ValueError("must hold event_id, or from and to, or actor_id, from and to; besides them only why")
    if not all(isinstance(value, str) and value for value in said.values()):
        raise ValueError("its values must be texts")
    if not isinstance(why, str) or not _WHY(why):
        raise ValueError("why must be one word of small letters and underscores")
    if "event_id" in said:
        event_ids[said["event_id"]] = why
        return
    try:
        from_us, to_us = utc_us(said["from"]), utc_us(said["to"])
    except ValueError:
        raise ValueError("from and to must be RFC 3339 times with a zone, as 2026-11-02T00:00:00Z") from None
    if from_us >= to_us:
        raise ValueError("from must come before to")
    periods.append(Period(said.get("actor_id", ""), from_us, to_us, why))
