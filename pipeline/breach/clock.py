"""The breach clock: every duty to tell somebody, its deadline and its state at a moment. Pure and deterministic.

Place in the flow: computed from the incident's log for messages, the console and `accesstrail incidents breach`. All
times are UTC microseconds, so that no zone and no daylight saving moves a deadline. Deadlines count from discovery also
where a threshold was reached later: that is the strict reading, and `applies_since_us` shows when it was reached.
Counts only grow here, so a duty once there stays until people have done or waived it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.breach.model import (
    COUNT_WORDS,
    COUNTS,
    FACT_WORDS,
    GRADES,
    WAIVED,
    Breach,
    Counted,
    Decision,
    OperatorProfile,
    Text,
    accumulated,
)
from pipeline.breach.register import (
    HANDLING_ENDED,
    HOUR_US,
    Condition,
    Grade,
    Law,
    Register,
    Scale,
    grade_in,
    scales_for,
)
from pipeline.errors import UsageError

DUE, OVERDUE, TOLD, NOT_REQUIRED = "due", "overdue", "done", "not_required"
STATES = (OVERDUE, DUE, TOLD, NOT_REQUIRED)
"""Most pressing first."""
_GREW_TIMES = 2
"""A decision is to be looked at again once a count has doubled since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One recipient at a moment; times UTC µs.

    `deadline_us`: None where it cannot be said yet (handling has not ended) or no law sets one. `own_target`: the law
    says only "without delay", the deadline is the operator's own. `left_us`: below 0 where overdue. `outdated`: it was
    decided when much less was known. `applies_since_us`: None where it does not apply.
    """

    law: Law
    state: str
    reason: Text
    deadline_us: int | None
    own_target: bool
    left_us: int | None
    applies_since_us: int | None
    outdated: bool = False
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Grades by scale (None: below the lowest), and every duty, most pressing first."""

    at_us: int
    counts: Counted
    grades: tuple[tuple[Scale, Grade | None], ...]
    duties: tuple[Duty, ...]

    def open(self) -> tuple[Duty, ...]:
        """What has to be done yet."""
        return tuple(one for one in self.duties if one.state in (DUE, OVERDUE))


def clock_at(register: Register, profile: OperatorProfile, breach: Breach, at_us: int) -> Clock:
    """The clock at a moment. Raises: UsageError: nothing was counted, or a decision names no law of the register."""
    counted = accumulated(one for one in breach.counted if one.at_us <= at_us)
    unknown = sorted({one.law_id for one in breach.decisions if register.law(one.law_id) is None})
    if unknown:
        raise UsageError(f"there is no duty {', '.join(unknown)} in the register of version {register.version}")
    laws = [one for one in register.laws if one.jurisdiction in profile.jurisdictions]
    duties = [_duty(register, law, profile, breach, counted, at_us) for law in laws]
    order = sorted(
        duties, key=lambda one: (STATES.index(one.state), one.left_us is None, one.left_us or 0, one.law.law_id)
    )
    scales = scales_for(register, profile)
    return Clock(
        at_us=at_us, counts=counted[-1], duties=tuple(order),
        grades=tuple((one, grade_in(one, counted[-1])) for one in scales),
    )  # fmt: skip


def _duty(
    register: Register, law: Law, profile: OperatorProfile, breach: Breach, counted: Sequence[Counted], at_us: int
) -> Duty:
    lacking = _lacking(register, law, profile, breach.discovery.at_us, counted[-1])
    deadline_us, own_target = _deadline(law, profile, breach)
    left_us = None if deadline_us is None else deadline_us - at_us
    if lacking is not None:
        return Duty(
            law=law, state=NOT_REQUIRED, reason=lacking, deadline_us=None, own_target=False, left_us=None,
            applies_since_us=None,
        )  # fmt: skip
    since_us = next(
        one.at_us for one in counted if _lacking(register, law, profile, breach.discovery.at_us, one) is None
    )
    decision = _newest(breach.decisions, law.law_id, at_us)
    outdated = decision is not None and _outgrown(counted, decision.at_us)
    state, reason = _state(law, left_us, decision, outdated=outdated)
    return Duty(
        law=law, state=state, reason=reason, deadline_us=deadline_us, own_target=own_target, left_us=left_us,
        applies_since_us=since_us, outdated=outdated, decision=decision,
    )  # fmt: skip


def _deadline(law: Law, profile: OperatorProfile, breach: Breach) -> tuple[int | None, bool]:
    from_us = breach.handling_ended_us if law.counted_from == HANDLING_ENDED else breach.discovery.at_us
    if from_us is None:
        return None, False
    if law.deadline_us is None:
        return from_us + profile.without_delay_hours * HOUR_US, True
    return from_us + law.deadline_us, False


def _state(law: Law, left_us: int | None, decision: Decision | None, *, outdated: bool) -> tuple[str, Text]:
    if decision is not None and decision.kind == WAIVED and not outdated:
        return NOT_REQUIRED, Text(
            f"waived by {decision.by} and {decision.second}: {decision.reason}",
            f"由 {decision.by} 与 {decision.second} 决定不报告：{decision.reason}",
        )
    if decision is not None and decision.kind != WAIVED:
        if outdated:
            return TOLD, Text("told; much more is known since: supplement it", "已报告；其后情况明显扩大，须补充报告")
        return TOLD, Text(f"told by {decision.by}", f"已由 {decision.by} 报告")
    if left_us is None:
        return DUE, Text("counted from the end of handling", "自处置结束之日起计算")
    state = OVERDUE if left_us < 0 else DUE
    if decision is not None:
        return state, Text(
            "was waived when much less was known: decide again", "此前决定不报告，其后情况明显扩大，须重新决定"
        )
    if law.deadline_us is None:
        return state, Text("without delay; the time is the operator's own target", "立即或及时；时限为运营者自定目标")
    return state, Text(f"within {law.deadline_us // HOUR_US} hours", f"{law.deadline_us // HOUR_US} 小时内")


def _newest(decisions: Sequence[Decision], law_id: str, at_us: int) -> Decision | None:
    """The last decision by then; the order given decides between decisions of one moment."""
    found = [one for one in decisions if one.law_id == law_id and one.at_us <= at_us]
    return max(enumerate(found), key=lambda pair: (pair[1].at_us, pair[0]))[1] if found else None


def _outgrown(counted: Sequence[Counted], decided_us: int) -> bool:
    """Whether much more is known than at a decision: a count has doubled or is there at all now, or facts are new."""
    now, known = counted[-1], [one for one in counted if one.at_us <= decided_us]
    if not known:
        return any(now.count(name) for name in COUNTS) or bool(now.facts)
    then = known[-1]
    doubled = any(now.count(name) >= max(1, _GREW_TIMES * then.count(name)) for name in COUNTS)
    return doubled or bool(now.facts - then.facts) or bool(now.categories - then.categories)


# -- whether a law applies


def _lacking(
    register: Register, law: Law, profile: OperatorProfile, discovered_us: int, counts: Counted
) -> Text | None:
    """Why a law does not apply, None where it does; the first reason is enough."""
    wanted = law.applies_when
    if discovered_us < law.in_force_from_us:
        return Text(f"in force from {law.in_force_from}", f"自 {law.in_force_from} 起施行")
    if wanted.operators and profile.operator not in wanted.operators:
        return Text("for another kind of operator", "适用于其他类型的运营者")
    if wanted.sectors and not wanted.sectors & profile.sectors:
        return Text("for another sector", "适用于其他行业")
    return _below_grade(register, wanted, counts) or _below_counts(wanted, counts) or _unstated(wanted, counts)


def _below_grade(register: Register, wanted: Condition, counts: Counted) -> Text | None:
    if not wanted.scale:
        return None
    scale = register.scale(wanted.scale)
    reached = grade_in(scale, counts)
    if reached is not None and GRADES.index(reached.grade) >= GRADES.index(wanted.grade_from):
        return None
    step = next(one for one in scale.steps if one.grade == wanted.grade_from)
    needed = _short_of(step.any_of, counts)
    return Text(
        f"below the grade {step.text.en} by counts alone ({needed.en}); a person may grade it higher",
        f"按人数未达{step.text.zh}级（{needed.zh}）；人工可提高定级",
    )


def _below_counts(wanted: Condition, counts: Counted) -> Text | None:
    short = {name: least for name, least in wanted.at_least.items() if counts.count(name) < least}
    if not short:
        return None
    words = _short_of(short, counts)
    return Text(f"counts are below: {words.en}", f"数量未达：{words.zh}")


def _short_of(thresholds: Mapping[str, int], counts: Counted) -> Text:
    pairs = [(COUNT_WORDS[name], counts.count(name), least) for name, least in thresholds.items()]
    return Text(
        ", ".join(f"{words.en} {count:,} of {least:,}" for words, count, least in pairs),
        "，".join(f"{words.zh} {count:,}，门槛 {least:,}" for words, count, least in pairs),
    )


def _unstated(wanted: Condition, counts: Counted) -> Text | None:
    missing = [FACT_WORDS[name] for name in sorted(wanted.facts - counts.facts)]
    if not missing:
        return None
    en, zh = ", ".join(one.en for one in missing), "，".join(one.zh for one in missing)
    return Text(f"applies once somebody states that {en}", f"有人认定后适用：{zh}")
