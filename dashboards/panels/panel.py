"""One panel, one definition: what it asks, why anybody asks, the SQL that answers, and how the answer is shown.

Place in the flow: read by everything that shows panels (Grafana's JSON, the console, `accesstrail dashboards show`) and
by the tests that run every statement on the real engine. Pure data. SQL is ClickHouse's, over the views of the database
`accesstrail`, with typed parameters `{name:Type}` and nothing else that varies: the console binds them on the server
(never as text), Grafana's JSON writes its own macros and variables in their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

View = Literal["stat", "timeseries", "bars", "table", "heatmap", "state", "text"]
"""stat: one row, one number. timeseries: columns time, series (text) and value. bars: label and value, largest first.
table: as the columns say. heatmap: x (text), y (text), value. state: one row a thing, a number with thresholds."""

Unit = Literal["count", "percent", "risk", "seconds", "milliseconds", "bytes", "per_second", "time", "text", "token"]
"""percent: 0–100. risk: 0–100. time: UTC instants. token: 32 hexadecimal digits, shown short."""

Colour = Literal["good", "notice", "warning", "bad"]

GIVEN = {"since": "DateTime64(3, 'UTC')", "until": "DateTime64(3, 'UTC')", "bucket_s": "UInt32", "zone": "String"}
"""Parameters that every panel may use without declaring them: the range shown [since, until), the width of a bucket of
time, and the IANA name of the time zone whose days and hours count."""

_PLACE = re.compile(r"\{(\w+):((?:[^{}'()]|'[^']*'|\([^()]*\))+)\}")


@dataclass(frozen=True, slots=True)
class Words:
    """The same in English and Chinese."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """What the viewer chooses. `kind`: a ClickHouse type; `choices`: SQL of one column, newest or largest first.

    `unit` token: 32 hexadecimal digits, or "" for nobody yet; `asked.values_of` refuses anything else.
    """

    name: str
    kind: str
    label: Words
    default: str
    choices: str = ""
    unit: Unit = "text"


@dataclass(frozen=True, slots=True)
class Threshold:
    """From this value on (included) the colour holds; the list of a panel ascends."""

    value: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Drill:
    """Where a click leads: another board, with its parameters taken from columns of the row (parameter → column)."""

    board: str
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the answer, by its name in the SQL."""

    name: str
    label: Words
    unit: Unit = "text"
    drill: Drill | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `question`: what it answers; `decision`: what somebody does with the answer (else it is dropped).

    `thresholds` colour the one column whose unit is the panel's. `width`: of 12; `height`: rows of 8 in Grafana's grid
    of 24 × 8. `max_rows`: what the statement itself limits to.
    `empty`: what an empty answer means, in words.
    """

    uid: str
    title: Words
    question: Words
    decision: Words
    sql: str
    view: View
    columns: tuple[Column, ...]
    unit: Unit = "count"
    thresholds: tuple[Threshold, ...] = ()
    empty: Words = field(default=Words("Nothing in this range.", "该时段内无数据。"))
    width: int = 6
    height: int = 8
    max_rows: int = 100

    def places(self) -> tuple[tuple[str, str], ...]:
        """The typed parameters of the SQL, (name, ClickHouse type) in order of their first use."""
        return tuple(dict(places_of(self.sql)).items())

    def colour_of(self, number: float) -> Colour | None:
        """The colour of a number of the column that thresholds are about; None: below the first, or there are none."""
        reached = [threshold.colour for threshold in self.thresholds if number >= threshold.value]
        return reached[-1] if reached else None


@dataclass(frozen=True, slots=True)
class Board:
    """Panels that belong together. `range_s`: the range shown at first; `refresh_s`: how often it is asked again."""

    uid: str
    title: Words
    about: Words
    panels: tuple[Panel, ...]
    parameters: tuple[Parameter, ...] = ()
    range_s: int = 86_400
    refresh_s: int = 60

    def panel(self, uid: str) -> Panel | None:
        """The panel of that uid; None: there is none."""
        return next((one for one in self.panels if one.uid == uid), None)


def places_of(sql: str) -> Iterator[tuple[str, str]]:
    """Each `{name:Type}` of a statement, in order.

    >>> list(places_of("SELECT {actor:String}, {since:DateTime64(3, 'UTC')}"))
    [('actor', 'String'), ('since', "DateTime64(3, 'UTC')")]
    """
    for match in _PLACE.finditer(sql):
        yield match[1], match[2].strip()


def with_places(sql: str, written: dict[str, str]) -> str:
    """The statement with each parameter's place taken by other text of our own (a macro, a variable).

    >>> with_places("SELECT {bucket_s:UInt32}", {"bucket_s": "$__interval_s"})
    'SELECT $__interval_s'
    """
    return _PLACE.sub(lambda match: written[match[1]], sql)
