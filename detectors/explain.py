"""An alert in words, English and Chinese: what was seen, what is usual, how rare it is, what to do next.

Place in the flow: second half of `decide`. Written from the surprisals themselves; people appear as pseudonyms (the
first eight hex digits of their token), customers only as counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detectors.base import Assessment, EventArrays, Reason
from detectors.features import FEATURES, INDEX, Feature
from detectors.surprisal import PeerStatistics

_NEW_ACCOUNT_DAYS = 10
_MAX_SHOWN = 3
_RAREST = 10_000
"""Rarer than this is extrapolated from an exponential tail: the text does not claim to know it."""
_NEXT_EN = "Look at the account's accesses of today and ask for the work behind them."
_NEXT_ZH = "查看该账号今日的访问，并要求说明其工作依据。"


@dataclass(frozen=True, slots=True)
class Context:
    """What an explanation knows besides the event: the model's peers, rules' words, the version that decided."""

    peers: PeerStatistics | None
    reasons: Mapping[str, Reason]
    model_id: str


def explain(row: int, events: EventArrays, assessment: Assessment, context: Context) -> tuple[str, str]:
    """The explanation of one event in English and Chinese; no identifier, no value of a customer."""
    start = int(assessment.reason_ends[row - 1]) if row else 0
    codes = [assessment.reason_codes[code] for code in assessment.reasons[start : assessment.reason_ends[row]]]
    group = events.peer_groups[int(events.peer_group_ids[row])]
    parts_en, parts_zh = [_who_en(row, events, group)], [_who_zh(row, events, group)]
    next_en, next_zh = _NEXT_EN, _NEXT_ZH
    articles: list[str] = []
    for code in codes[:_MAX_SHOWN]:
        reason = context.reasons.get(code)
        if reason is not None:
            parts_en.append(f"{_capital(reason.title_en)}.")
            parts_zh.append(f"{reason.title_zh}。")
            next_en, next_zh = reason.next_step_en, reason.next_step_zh
            articles += reason.articles
            continue
        sentence_en, sentence_zh = _feature(
            FEATURES[INDEX[code.removeprefix("feature:")]], row, assessment, events, context
        )
        parts_en.append(sentence_en)
        parts_zh.append(sentence_zh)
    risk = int(assessment.risk[row])
    risk_en, risk_zh = _risk(risk, by_rule=int(assessment.floor[row]) >= risk > 0)
    parts_en.append(risk_en)
    parts_zh.append(risk_zh)
    if articles:
        parts_en.append(f"Touches: {', '.join(dict.fromkeys(articles))}.")
        parts_zh.append(f"涉及条款：{'、'.join(dict.fromkeys(articles))}。")
    if _is_new(row, events):
        parts_en.append("Confidence is low: the account is new, so colleagues are the only measure.")
        parts_zh.append("可信度较低：该账号较新，仅能与同事比较。")
    parts_en.append(f"Next: {next_en} (model {context.model_id[:8] or 'none'})")
    parts_zh.append(f"下一步：{next_zh}（模型 {context.model_id[:8] or '无'}）")
    return " ".join(parts_en), "".join(parts_zh)


def _risk(risk: int, *, by_rule: bool) -> tuple[str, str]:
    """The risk, and how rare it is where it was measured: a rule's floor is a judgement, no frequency."""
    shown_en, shown_zh = f"Risk {risk / 100:.0f} of 100", f"风险 {risk / 100:.0f}（满分 100）"
    if by_rule:
        return f"{shown_en}: a rule holds.", f"{shown_zh}：命中规则。"
    rarity = _rounded(10 ** (risk / 2000))
    if rarity > _RAREST:
        return f"{shown_en}: rarer than 1 event in {_RAREST:,}.", f"{shown_zh}：不足 {_RAREST:,} 次访问出现一次。"
    return f"{shown_en}: about 1 event in {rarity:,}.", f"{shown_zh}：约 {rarity:,} 次访问中出现一次。"


def _who_en(row: int, events: EventArrays, group: str) -> str:
    return f"Account {_pseudonym(row, events)} ({_group_en(group)}):"


def _who_zh(row: int, events: EventArrays, group: str) -> str:
    return f"账号 {_pseudonym(row, events)}（{_group_zh(group)}）："


def _group_en(group: str) -> str:
    return group.removeprefix("type:").replace("_", " ").replace("/", ", ")


def _group_zh(group: str) -> str:
    return group.removeprefix("type:").replace("_", " ").replace("/", "，")


def _pseudonym(row: int, events: EventArrays) -> str:
    return events.actor_keys[row][-16:-12].hex()


def _is_new(row: int, events: EventArrays) -> bool:
    return 0 <= int(events.tenure_days[row]) < _NEW_ACCOUNT_DAYS


def _feature(
    feature: Feature, row: int, assessment: Assessment, events: EventArrays, context: Context
) -> tuple[str, str]:
    """One reason as a sentence: value, own usual, peers' usual, rarity."""
    index = INDEX[feature.name]
    value = float(assessment.features[row, index])
    usual = float(assessment.usual[row, index])
    rarity = _rounded(10 ** float(assessment.surprisals[row, index]))
    shown = _shown(feature, value)
    notes_en, notes_zh = [], []
    if feature.scale == "log1p" and not math.isnan(usual):
        notes_en.append(f"own usual {_shown(feature, usual)}")
        notes_zh.append(f"本人平常 {_shown(feature, usual)}")
    if context.peers is not None and feature.scale == "log1p":
        table = context.peers.index(events.peer_groups, events.peer_group_ids[row : row + 1])[0]
        median = float(np.interp(-math.log10(0.5), context.peers.levels, context.peers.values[table, index]))
        high = float(np.interp(-math.log10(0.05), context.peers.levels, context.peers.values[table, index]))
        notes_en.append(f"peers' usual {_shown(feature, median)}–{_shown(feature, high)}")
        notes_zh.append(f"同事平常 {_shown(feature, median)}–{_shown(feature, high)}")
    notes_en.append(_rarity_en(rarity))
    notes_zh.append(_rarity_zh(rarity))
    amount_en = f": {shown} {feature.unit_en}" if feature.scale else ""
    amount_zh = f"：{shown} {feature.unit_zh}" if feature.scale else ""
    return (
        f"{_capital(feature.title_en)}{amount_en} ({'; '.join(notes_en)}).",
        f"{feature.title_zh}{amount_zh}（{'；'.join(notes_zh)}）。",
    )


def _rarity_en(rarity: int) -> str:
    if rarity > _RAREST:
        return f"rarer than 1 in {_RAREST:,} accesses of peers"
    return f"1 in {rarity:,} accesses of peers"


def _rarity_zh(rarity: int) -> str:
    if rarity > _RAREST:
        return f"同事中不足 {_RAREST:,} 次访问出现一次"
    return f"同事约 {rarity:,} 次访问中出现一次"


def _shown(feature: Feature, value: float) -> str:
    if feature.scale == "log1p":
        return f"{max(0.0, math.expm1(value)):,.0f}"
    if feature.scale == "exp":
        return f"{math.exp(value):.1f}"
    return f"{value:.1f}"


def _rounded(number: float) -> int:
    """Two significant digits: more would claim to be known."""
    if number < 10:
        return max(1, round(number))
    digits = 10 ** (int(math.log10(number)) - 1)
    return int(round(number / digits) * digits)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
