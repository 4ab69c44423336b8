"""Why an incident is unusual, as a grid: for whom (this account, colleagues, the whole company) by how (first time,
rare, volume).

Place in the flow: made for the incident page from what its alerts keep beside their text (`seen`, reasons). Pure. Every
cell follows from stored numbers with the words of `detectors.phrases`; what exceeds the whole company's usual is read
from the alert's own sentence, since the company's ranges are not stored with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from detectors.explain import RARE_AMONG, RAREST, SCOPES, digits_of, rounded
from detectors.phrases import PHRASES
from detectors.rules.rule import Text
from detectors.usual import RARE, days_at_most, own_range, shown_number
from pipeline.audit.incidents import AlertView

Whose = Literal["self", "peers", "organisation"]
How = Literal["first", "rare", "volume"]
WHOSE: tuple[Whose, ...] = ("self", "peers", "organisation")
HOW: tuple[How, ...] = ("first", "rare", "volume")
MOST_IN_A_CELL = 4


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing in one cell. `surprisal`: −log10 of how often colleagues reach it; 0 unknown."""

    whose: Whose
    how: How
    text: Text
    surprisal: float


Grid = Mapping[tuple[str, str], Sequence[Statement]]


def grid_of(alerts: Sequence[AlertView]) -> Grid:
    """The cells that hold something, the most surprising first; of one feature the most surprising alert speaks."""
    best: dict[tuple[str, str, str], Statement] = {}
    for alert in alerts:
        for name in alert.seen:
            if name not in PHRASES:
                continue
            for one in statements(name, alert):
                key = (name, one.whose, one.how)
                if key not in best or one.surprisal > best[key].surprisal:
                    best[key] = one
    cells: dict[tuple[str, str], list[Statement]] = {}
    for one in sorted(best.values(), key=lambda one: -one.surprisal):
        cell = cells.setdefault((one.whose, one.how), [])
        if len(cell) < MOST_IN_A_CELL:
            cell.append(one)
    return cells


def statements(name: str, alert: AlertView) -> Iterator[Statement]:
    """What one feature of one alert says, cell by cell."""
    phrase, value = PHRASES[name], alert.seen[name]
    own_name = phrase.own or name
    surprisal = max(alert.seen.get(f"{one}:surprisal", 0.0) for one in (name, own_name))
    if phrase.form in ("amount", "ratio"):
        yield from _volume(name, value, surprisal, alert)
        return
    is_new = phrase.form == "first" and value > 0.5  # as `usual.measure` has it
    words = phrase.text if is_new or (phrase.form == "seldom" and value >= 1.0) else phrase.more or phrase.text
    number = str(days_at_most(value)) if phrase.form == "seldom" and value >= 1.0 else ""
    text = Text(words.en.format(n=number), words.zh.format(n=number))
    yield Statement("self", "first" if is_new else "rare", text, surprisal)
    if surprisal >= RARE:
        often = _often(surprisal)
        yield Statement("peers", "rare", Text(f"{text.en}: {often.en}", f"{text.zh}：{often.zh}"), surprisal)
    if f"{text.en}, {RARE_AMONG['organisation'].en}" in alert.explanation_en:
        yield Statement("organisation", "rare", text, surprisal)


def _volume(name: str, value: float, surprisal: float, alert: AlertView) -> Iterator[Statement]:
    phrase, seen = PHRASES[name], alert.seen
    number = shown_number(name, value)
    said = Text(phrase.text.en.format(n=digits_of(number)), phrase.text.zh.format(n=digits_of(number)))
    mean, deviation = seen.get(f"{name}:own_mean"), seen.get(f"{name}:own_deviation")
    if mean is not None and deviation is not None:
        usual = own_range(name, mean, deviation)
        if number > usual.high:
            yield Statement("self", "volume", _beside(said, usual.low, usual.high), surprisal)
    low, high = seen.get(f"{name}:peers_p10"), seen.get(f"{name}:peers_p90")
    if low is not None and high is not None:
        shown = shown_number(name, low), shown_number(name, high)
        if number > shown[1]:
            yield Statement("peers", "volume", _beside(said, *shown), surprisal)
    if f"{said.en}, {SCOPES['organisation'].en}" in alert.explanation_en:
        yield Statement("organisation", "volume", said, surprisal)


def _beside(said: Text, low: float, high: float) -> Text:
    shown = digits_of(low) if low == high else f"{digits_of(low)}–{digits_of(high)}"
    return Text(f"{said.en} (usual {shown})", f"{said.zh}（平常 {shown}）")


def _often(surprisal: float) -> Text:
    rarity = rounded(10**surprisal)
    if rarity > RAREST:
        return Text(f"fewer than 1 in {RAREST:,} of days", f"{RAREST:,} 天中不到 1 天")
    return Text(f"1 in {rarity:,} of days", f"约 {rarity:,} 天中有 1 天")
