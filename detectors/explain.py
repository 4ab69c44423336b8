"""An alert in words, English and Chinese: what was seen, what is usual, how rare it is, what to do next.

Place in the flow: second half of `decide`. Two sentences with the same numbers: who and why (up to three reasons), then
the next step. Rules that hold come first; then features: those of the gravest rule's scenario before others, one of
each kind before a second one, in the order of the strongest witness: where the forest leads, that of its path
attribution, else that of their surprisals. The account is named by its group alone and customers only as counts: who it
is stands in the alert's row, beside the versions that decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.attribution import of_features
from detectors.base import Assessment, EventArrays, Reason
from detectors.coverage import SCENARIOS
from detectors.features import INDEX, KIND_OF, LOOK_BACK, N_FEATURES, NAMES
from detectors.group_words import group_in_words
from detectors.isolation_forest import scores
from detectors.model import Model
from detectors.phrases import AMOUNT_OF, LOOK, NEXT_STEPS, PHRASES, WEAK_SIGNS
from detectors.rules.rule import Text
from detectors.usual import Measure, Range, Scope, measure

MAX_TOLD = 3
UNUSUAL = 1.0
"""Surprisal from which a feature is told: one day of a colleague in ten …"""
TELLING_SHARE = 0.4
"""… and at least this share of the largest: beside one day in 10,000, one in 30 is noise."""
RAREST = 10_000
"""Rarer than this is extrapolated from an exponential tail: the text does not claim to know it."""
_NEW_ACCOUNT_DAYS = 10
_FEATURE, _RULE = "feature:", "rule:"
_BEHIND: Mapping[str, frozenset[str]] = {
    rule: frozenset(AMOUNT_OF[name] for scenario in SCENARIOS if rule in scenario.rules for name in scenario.features)
    for scenario in SCENARIOS
    for rule in scenario.rules
}
"""Each rule and the features of the scenarios that it detects: the numbers behind it."""
_IS_EXPLAINED = 1
_FOREST = 0
SCOPES: Mapping[Scope, Text] = {
    "organisation": Text("more than usual in the whole company", "高于全公司平常水平"),
    "peers": Text("more than usual among colleagues", "高于同事平常水平"),
    "self": Text("more than usual for this account", "高于本人平常水平"),
}
RARE_AMONG: Mapping[Scope, Text] = {
    "organisation": Text("rare in the whole company", "在全公司少见"),
    "peers": Text("rare among colleagues", "在同事中少见"),
}


@dataclass(frozen=True, slots=True)
class Context:
    """What an explanation knows besides the event: the model, and the rules' words."""

    model: Model | None
    reasons: Mapping[str, Reason]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The text in both languages; `told`: reason codes in the order of telling; `numbers`: what its numbers follow
    from, by feature, on the feature's scale (README of the names: docs/guides/reading-an-alert.md)."""

    text: Text
    told: tuple[str, ...]
    numbers: Mapping[str, float]


def explain(row: int, events: EventArrays, assessment: Assessment, context: Context) -> Explanation:
    """The explanation of one event; no identifier, no value of a customer."""
    codes = [assessment.reason_codes[code] for code in assessment.told(row)]
    told = chosen(codes, row, assessment, context)
    peers = context.model.peers if context.model else None
    parts: list[Text] = []
    numbers: dict[str, float] = {}
    articles: list[str] = []
    for code in told:
        if code in context.reasons:
            reason = context.reasons[code]
            fresh = [article for article in reason.articles if article not in articles]
            articles += fresh
            parts.append(_rule(reason, fresh))
        else:
            seen = measure(AMOUNT_OF[code.removeprefix(_FEATURE)], row, events, assessment, peers)
            numbers |= seen.stored
            parts.append(_feature(seen))
    return Explanation(
        _sentences(_who(row, events, assessment), parts or [WEAK_SIGNS], _next(told, context)), tuple(told), numbers
    )


def chosen(codes: Sequence[str], row: int, assessment: Assessment, context: Context) -> list[str]:
    """The reasons that are told, in their order; at least one feature where one is unusual.

    `codes`: the row's own. A rule that history lowered stands behind the features there, and is told if room is left.
    """
    unusual = _unusual(codes, row, assessment, context)
    first_feature = next((place for place, code in enumerate(codes) if code.startswith(_FEATURE)), len(codes))
    gravest = [code for code in codes[:first_feature] if code in context.reasons]
    lowered = [code for code in codes[first_feature:] if code in context.reasons]
    told = gravest[: MAX_TOLD - 1 if unusual else MAX_TOLD]
    behind = _BEHIND.get(told[0].removeprefix(_RULE), frozenset()) if told else frozenset()
    unusual.sort(key=lambda name: AMOUNT_OF[name] not in behind)  # stable: the strongest of each half stays first
    told += [f"{_FEATURE}{name}" for name in unusual[: MAX_TOLD - len(told)]]
    return told + lowered[: MAX_TOLD - len(told)]


def _unusual(codes: Sequence[str], row: int, assessment: Assessment, context: Context) -> list[str]:
    """Unusual features in the order of the strongest witness: one of each kind, then what is left; no amount twice."""
    surprise = assessment.surprisals[row, :N_FEATURES]
    ordered = [INDEX[code.removeprefix(_FEATURE)] for code in codes if code.startswith(_FEATURE)]
    if context.model is not None:
        unusual = np.flatnonzero(surprise >= max(UNUSUAL, TELLING_SHARE * float(surprise.max()))).tolist()
        weight = _weights(row, assessment, context.model)
        ordered = sorted(unusual, key=lambda index: (-weight[index], index))
    once: dict[str, str] = {}
    for index in ordered:
        once.setdefault(AMOUNT_OF[NAMES[index]], NAMES[index])
    kinds: set[int] = set()
    first: list[str] = []
    more: list[str] = []
    for name in once.values():
        (more if KIND_OF[name] in kinds else first).append(name)
        kinds.add(KIND_OF[name])
    return first + more


def _weights(row: int, assessment: Assessment, model: Model) -> Sequence[float]:
    """What the strongest witness holds against each feature."""
    surprise = assessment.surprisals[row : row + 1]
    leading = model.calibration.leading(scores(model.forest, surprise), surprise)
    weights = of_features(model.forest, surprise[0]) if leading[0] == _FOREST else surprise[0, :N_FEATURES]
    found: list[float] = weights.tolist()
    return found


def _sentences(who: Text, parts: Sequence[Text], step: Text) -> Text:
    return Text(
        f"This account ({who.en}): {'; '.join(part.en for part in parts)}. Next: {step.en}",
        f"该账号（{who.zh}）：{'；'.join(part.zh for part in parts)}。下一步：{step.zh}",
    )


def _next(told: Sequence[str], context: Context) -> Text:
    """What the gravest reason asks for."""
    if not told:
        return LOOK
    reason = context.reasons.get(told[0])
    return Text(reason.next_step_en, reason.next_step_zh) if reason else NEXT_STEPS[told[0].removeprefix(_FEATURE)]


def _who(row: int, events: EventArrays, assessment: Assessment) -> Text:
    """Group, whether the account is new, and the risk."""
    group = group_in_words(events.peer_groups[int(events.peer_group_ids[row])])
    risk = _risk(row, events, assessment)
    new = 0 <= int(events.tenure_days[row]) < _NEW_ACCOUNT_DAYS
    return Text(
        "; ".join((group.en, *(["new, so colleagues are the only measure"] if new else []), risk.en)),
        "；".join((group.zh, *(["新账号，仅能与同事比较"] if new else []), risk.zh)),
    )


def _risk(row: int, events: EventArrays, assessment: Assessment) -> Text:
    """The risk, and how rare it is where that was measured: a floor is a judgement, a lowered level no frequency."""
    risk = assessment.told_risk(row)
    shown = Text(f"risk {risk / 100:.0f} of 100", f"风险 {risk / 100:.0f}/100")
    if int(assessment.floor[row]) >= risk > 0:
        return Text(f"{shown.en} by rule", f"{shown.zh}，由规则判定")
    if int(assessment.floor[row]) > 1:
        return Text(f"{shown.en} by rule and by how unusual it is", f"{shown.zh}，由规则与异常程度共同判定")
    if int(events.explained[row]) == _IS_EXPLAINED or int(events.approved[row]):
        return Text(
            f"{shown.en}, lowered because a work item or an approval covers the access",
            f"{shown.zh}，因有工单或审批而下调",
        )
    rarity = rounded(10 ** (risk / 2000))
    if rarity > RAREST:
        return Text(f"{shown.en}, rarer than 1 event in {RAREST:,}", f"{shown.zh}，{RAREST:,} 次访问不到 1 次")
    return Text(f"{shown.en}, about 1 event in {rarity:,}", f"{shown.zh}，约每 {rarity:,} 次访问 1 次")


def _rule(reason: Reason, articles: Sequence[str]) -> Text:
    if not articles:
        return Text(reason.title_en, reason.title_zh)
    return Text(f"{reason.title_en} ({', '.join(articles)})", f"{reason.title_zh}（{'、'.join(articles)}）")


def _feature(seen: Measure) -> Text:
    """One reason: what was seen; whose usual it exceeds; in brackets the usual ranges and how rare it is."""
    phrase = PHRASES[seen.name]
    plain = phrase.more is not None and (seen.number is None and not seen.is_new)
    words = phrase.more if plain and phrase.more else phrase.text
    number = "" if seen.number is None else digits_of(seen.number)
    scope = (RARE_AMONG if phrase.form in ("first", "seldom") else SCOPES).get(seen.scope)
    english = [words.en.format(n=number), *([scope.en] if scope else [])]
    chinese = [words.zh.format(n=number), *([scope.zh] if scope else [])]
    notes = _notes(seen)
    return Text(
        ", ".join(english) + (f" ({', '.join(note.en for note in notes)})" if notes else ""),
        "，".join(chinese) + (f"（{'，'.join(note.zh for note in notes)}）" if notes else ""),
    )


def _notes(seen: Measure) -> list[Text]:
    """The usual ranges, and on how many days of a colleague (or of any account) as much happens."""
    notes = []
    if seen.own is not None:
        notes.append(Text(f"own usual {_range(seen.own)}", f"本人平常 {_range(seen.own)}"))
    if seen.peers is not None:
        peak = Text("weekly peak", "单周峰值") if seen.name in LOOK_BACK else Text("daily peak", "单日峰值")
        whose = Text("colleagues'", "同事") if seen.of_group else Text("any account's", "各账号")
        notes.append(Text(f"{whose.en} {peak.en} {_range(seen.peers)}", f"{whose.zh}{peak.zh} {_range(seen.peers)}"))
    rarity = rounded(10**seen.surprisal)
    if rarity > 1:
        notes.append(_rarity(seen, rarity))
    return notes


def _rarity(seen: Measure, rarity: int) -> Text:
    """Beside a range the words "as much" do; without one it is said whose days (or weeks) are counted."""
    unit = Text("weeks", "周") if seen.name in LOOK_BACK else Text("days", "天")
    of = Text(f"{unit.en} of all accounts", "每个账号")
    if seen.of_group:
        of = Text(f"of colleagues' {unit.en}", "每名同事")
    what = Text("", "出现")
    if seen.peers is not None:
        of, what = Text(unit.en, ""), Text("such a rise ", "有此增幅") if seen.is_rise else Text("as much ", "达到")
    if rarity > RAREST:
        about = f"{of.zh} {RAREST:,} {unit.zh}中不到 1 {unit.zh}{what.zh}".strip()
        return Text(f"{what.en}on fewer than 1 in {RAREST:,} {of.en}", about)
    return Text(f"{what.en}on 1 in {rarity:,} {of.en}", f"{of.zh}约 {rarity:,} {unit.zh}中有 1 {unit.zh}{what.zh}")


def _range(usual: Range) -> str:
    low, high = digits_of(usual.low), digits_of(usual.high)
    return low if low == high else f"{low}–{high}"


def digits_of(number: float) -> str:
    """A number as it stands in an explanation."""
    return f"{number:,.1f}" if number != int(number) else f"{number:,.0f}"


def rounded(number: float) -> int:
    """Two significant digits: more would claim to be known."""
    if number < 10:
        return max(1, round(number))
    digits = 1
    while number >= 100 * digits:
        digits *= 10
    return round(number / digits) * digits
