"""A breach read back from its steps: what is written comes back, and nothing in a log makes it fail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.breach.clock import clock_at
from pipeline.breach.model import COUNTS, FACTS, Counted, OperatorProfile, Text
from pipeline.breach.record import (
    COUNTED,
    KNOWN_AT,
    PERIOD,
    STATED,
    STEPS,
    SUSPECTED,
    TEXT,
    Period,
    Step,
    breach_of,
    counted_detail,
    period_of,
    text_detail,
)
from pipeline.breach.register import read_register
from pipeline.errors import UsageError
from pipeline.incidents.records import encode_command, parse_record
from tests.incident_logs import KEY, command

START_US = 1_795_000_000_000_000
_NUMBERS = st.integers(0, 2**53)
_COUNTS = st.builds(
    lambda numbers, categories: Counted(at_us=START_US, categories=frozenset(categories), **numbers),
    st.fixed_dictionaries(dict.fromkeys(COUNTS, _NUMBERS)), st.sets(st.text(min_size=1, max_size=20), max_size=32),
)  # fmt: skip


def step(name: str, *, at_us: int = START_US, why: str = "because", **detail: object) -> Step:
    return Step(at_us=at_us, name=name, by="sun.yi", why=why, detail=detail)


def through_the_log(name: str, detail: Any) -> Step:
    """A step as it comes back after it was a command on the wire."""
    sent = command("breach_step", step=name, detail=dict(detail))
    record = parse_record(KEY.encode(), encode_command(sent))
    return step(name, **json.loads(json.dumps(record.detail)))  # type: ignore[union-attr]


SUSPICION = step(SUSPECTED, known_at_us=START_US - 1)


@given(_COUNTS)
def test_a_count_comes_back_as_it_was_written(counts: Counted) -> None:
    breach = breach_of([SUSPICION, through_the_log(COUNTED, counted_detail(counts))])
    assert breach is not None
    assert breach.counted == (counts,)


@given(st.text(max_size=4000), st.text(max_size=4000))
def test_a_text_comes_back_as_it_was_written(english: str, chinese: str) -> None:
    breach = breach_of([SUSPICION, through_the_log(TEXT, text_detail("cause", Text(english, chinese)))])
    assert breach is not None
    assert breach.texts == {"cause": Text(english, chinese)}


def test_a_text_beyond_what_a_command_holds_is_refused() -> None:
    with pytest.raises(UsageError):
        text_detail("cause", Text("x" * 8193, ""))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from(FACTS),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
_NAMES = st.sampled_from(
    (*COUNTS, "categories", "fact", "law", "second", "known_at_us", "from_us", "to_us", "field", "en", "zh")
)
_STEP = st.builds(
    Step, at_us=st.integers(0, 2**53), name=st.sampled_from((*STEPS, SUSPECTED, "another")), by=st.text(max_size=3),
    why=st.text(max_size=5), detail=st.dictionaries(_NAMES, _VALUES, max_size=6),
)  # fmt: skip


@given(st.lists(_STEP, max_size=8))
def test_no_log_makes_reading_fail(steps: list[Step]) -> None:
    breach = breach_of(steps)
    period = period_of(steps)
    assert period is None or period.from_us <= period.to_us
    suspected = any(
        one.name == SUSPECTED and type(one.detail.get("known_at_us")) is int and one.detail["known_at_us"] >= 0  # type: ignore[operator]
        and one.by and one.why.strip() for one in steps
    )  # fmt: skip
    assert (breach is not None) == suspected


def test_nothing_before_the_suspicion_counts_and_a_second_one_changes_nothing() -> None:
    assert breach_of([step(COUNTED, subjects_all=5), step(KNOWN_AT, known_at_us=1)]) is None
    breach = breach_of([SUSPICION, step(SUSPECTED, known_at_us=7, why="again")])
    assert breach is not None
    assert (breach.discovery.at_us, breach.discovery.why) == (START_US - 1, "because")


def test_the_time_of_discovery_can_be_corrected_and_the_newest_holds() -> None:
    breach = breach_of([SUSPICION, step(KNOWN_AT, known_at_us=5), step(KNOWN_AT, known_at_us=6)])
    assert breach is not None
    assert breach.discovery.at_us == 6


def test_facts_stay_and_a_clock_can_be_made_of_it() -> None:
    breach = breach_of(
        [SUSPICION, step(COUNTED, subjects_all=3), step(STATED, fact="harm"), step(STATED, fact="nonsense")]
    )
    assert breach is not None
    clock = clock_at(read_register(), OperatorProfile(), breach, START_US)
    assert (clock.counts.subjects_all, clock.counts.facts) == (3, frozenset({"harm"}))


def test_the_last_period_named_holds() -> None:
    named = [step(PERIOD, from_us=1, to_us=2), step(PERIOD, from_us=5, to_us=4), step(PERIOD, from_us=3, to_us=9)]
    assert period_of(named) == Period(3, 9)
    assert period_of(named[:2]) == Period(1, 2)
    assert period_of([]) is None
