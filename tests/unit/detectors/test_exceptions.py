"""Exceptions: who may make which, what they take away and what never, their content as an artefact."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detectors.base import MODEL_DETECTOR
from detectors.exceptions import (
    CONDITIONS,
    DAY_US,
    LONGEST_DAYS,
    OF_EVENTS,
    OF_WINDOWS,
    STATE_KEYS,
    AlertException,
    Causes,
    checked,
    content_of,
    from_content,
    from_lines,
    left_of,
    named,
)
from detectors.features import KINDS
from detectors.rules import all_rules
from pipeline.errors import OtherVersion, UsageError
from tests.exceptions import exception, token_of

RULES = [rule.name for rule in all_rules()]
THRESHOLD = 8000


def model_exception(**fields: Any) -> AlertException:
    return exception(MODEL_DETECTOR, **{"up_to": 12_000, **fields})


# -- what may be made


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"scope": {}}, "would silence everything"),
        ({"scope": {"colour": "red"}}, "no condition colour"),
        ({"scope": {"actor": "zhang.wei"}}, "actor is no token"),
        ({"scope": {"app_id": "  "}}, "app_id must be a text"),
        ({"scope": {"source_instance": "a"}}, "an instance needs its source system"),
        ({"detectors": ()}, "name the detectors"),
        ({"detectors": ("no_such_rule",)}, "there is no detector no_such_rule"),
        (
            {"detectors": ("slow_drip",), "scope": {"app_id": "crm"}},
            "slow_drip can be asked for actor, peer_group only",
        ),
        ({"detectors": ("enumeration",), "scope": {"subject": "ab" * 16}}, "not for subject: it would never hold"),
        ({"detectors": (MODEL_DETECTOR,)}, "needs a level up to which it holds"),
        ({"up_to": 0}, "more than 0"),
        ({"kinds": ("volume",)}, "kinds of features narrow isolation_forest only"),
        ({"detectors": (MODEL_DETECTOR,), "up_to": 9000, "kinds": ("smell",)}, "no kind of feature 'smell'"),
        ({"reason": " "}, "give a reason"),
        ({"owner": "li.na"}, "name an owner"),
        ({"valid_until_us": 0}, "it must end after it begins"),
    ],
)
def test_what_is_no_exception_is_refused_with_its_fault(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        checked(replace(exception(), **fields))


def test_an_exception_lasts_a_year_at_most_and_cannot_begin_in_the_past_alone() -> None:
    one = exception()
    longest = replace(one, valid_until_us=one.valid_from_us + LONGEST_DAYS * DAY_US)
    assert checked(longest).valid_until_us == longest.valid_until_us
    with pytest.raises(UsageError, match="366 days at most"):
        checked(replace(longest, valid_until_us=longest.valid_until_us + 1))
    with pytest.raises(UsageError, match="its end is past already"):
        checked(replace(one, created_us=one.valid_until_us))


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        checked(replace(exception(), scope={}, reason="", owner=""))
    assert str(refused.value).count(";") == 2


@pytest.mark.parametrize("detector", [*RULES, MODEL_DETECTOR, *STATE_KEYS])
def test_every_detector_can_be_excepted_by_each_condition_that_it_can_be_asked_for(detector: str) -> None:
    for name in OF_WINDOWS[STATE_KEYS[detector]] if detector in STATE_KEYS else OF_EVENTS:
        scope = {name: "ab" * 16}
        if name == "source_instance":
            scope["source_system"] = "crm"
        one = checked(exception(detector, scope=scope, up_to=9000))
        assert set(one.scope) <= set(CONDITIONS)


# -- its id and its content


def test_the_case_of_letters_and_the_order_of_words_make_no_other_exception() -> None:
    first = exception("enumeration", "bulk_export", scope={"app_id": "CRM", "endpoint": "/V1/Orders"})
    second = exception("bulk_export", "enumeration", "enumeration", scope={"endpoint": "/v1/orders ", "app_id": "crm"})
    assert first == second
    assert first.exception_id != exception(scope=first.scope).exception_id
    assert len(first.exception_id) == 12


def test_content_gives_the_exceptions_back_whatever_their_order() -> None:
    one, other = exception(), exception("bulk_export", created_us=5)
    content = content_of([one, other])
    assert content == content_of([other, one])
    assert from_content(content) == (other, one)
    lines = [json.dumps(each.as_json(), ensure_ascii=False) for each in (one, other)]
    assert from_lines([*lines, "", " "]) == (other, one)


def test_content_of_another_version_is_refused() -> None:
    with pytest.raises(OtherVersion):
        from_content(b'{"format":99,"exceptions":[]}')


@pytest.mark.parametrize("change", [{"up_to": "all"}, {"reason": "another one"}, {"scope": []}, {"detectors": 3}])
def test_a_line_that_was_written_by_hand_is_refused_with_its_number(change: dict[str, Any]) -> None:
    good = json.dumps(exception().as_json())
    with pytest.raises(UsageError, match="line 2 is no exception"):
        from_lines([good, json.dumps({**exception().as_json(), **change})])
    with pytest.raises(UsageError, match="line 1 is no exception"):
        from_lines(["[]"])


# -- what it does

CAUSES = st.builds(
    Causes,
    st.integers(0, 65_535),
    st.dictionaries(st.sampled_from(RULES[:5]), st.integers(1, 9500), max_size=3),
    st.sampled_from(["", *(name for name, _ in KINDS)]),
)
EXCEPTIONS = st.lists(
    st.builds(
        lambda names, up_to, kinds: exception(*names, up_to=up_to, kinds=tuple(kinds)),
        st.lists(st.sampled_from([*RULES[:5], MODEL_DETECTOR]), min_size=1, max_size=3),
        st.integers(4000, 65_535),
        st.lists(st.sampled_from([name for name, _ in KINDS]), max_size=2),
    ),
    max_size=4,
)


@given(CAUSES, EXCEPTIONS)
def test_a_detector_that_no_exception_names_is_never_touched(causes: Causes, exceptions: list[AlertException]) -> None:
    left = left_of(causes, THRESHOLD, exceptions).causes
    named_ones = {name for one in exceptions for name in one.detectors}
    if MODEL_DETECTOR not in named_ones:
        assert left.level == causes.level
    assert {
        name: floor for name, floor in causes.floors.items() if name not in named_ones
    }.items() <= left.floors.items()
    assert left.floors.items() <= causes.floors.items()
    assert left.level in (0, causes.level)


@given(CAUSES, EXCEPTIONS)
def test_nothing_is_taken_above_the_level_that_an_exception_holds_up_to(
    causes: Causes, exceptions: list[AlertException]
) -> None:
    for one, _ in left_of(causes, THRESHOLD, exceptions).taken:
        assert one.up_to is not None
        assert causes.level <= one.up_to


@given(CAUSES, EXCEPTIONS)
def test_each_rule_is_taken_once_and_by_an_exception_that_names_it(
    causes: Causes, exceptions: list[AlertException]
) -> None:
    found = left_of(causes, THRESHOLD, exceptions)
    taken = [(one, name) for one, rules in found.taken for name in rules]
    assert all(name in one.detectors for one, name in taken)
    assert sorted(name for _, name in taken) == sorted(set(causes.floors) - set(found.causes.floors))


@example(Causes(2, {"log_tampering": 7999}), [model_exception(up_to=4000)])
@given(CAUSES, EXCEPTIONS)
def test_without_effect_an_exception_is_no_evidence(causes: Causes, exceptions: list[AlertException]) -> None:
    """An exception that is listed named a rule that holds, or the model without which the threshold is not reached."""
    for one, _ in left_of(causes, THRESHOLD, exceptions).taken:
        of_rules = set(one.detectors) & set(causes.floors)
        of_model = causes.level >= THRESHOLD or causes.strength >= THRESHOLD > causes.floor
        assert of_rules or (MODEL_DETECTOR in one.detectors and of_model)


def test_kinds_narrow_the_model_to_findings_that_such_a_feature_leads() -> None:
    one = model_exception(kinds=("volume",))
    assert left_of(Causes(9000, {}, "volume"), THRESHOLD, [one]).causes.level == 0
    assert left_of(Causes(9000, {}, "origin"), THRESHOLD, [one]).causes.level == 9000
    assert left_of(Causes(9000, {}, ""), THRESHOLD, [one]).taken == ()


def test_an_exception_is_valid_from_its_first_moment_to_before_its_last() -> None:
    one = exception(valid_from_us=10, valid_until_us=20)
    assert [at for at in (9, 10, 19, 20) if one.holds_at(at)] == [10, 19]


def test_the_id_is_a_function_of_the_content() -> None:
    one = exception()
    assert named(replace(one, exception_id="")).exception_id == one.exception_id == "244be6169d9d"
    assert one.code == f"exception:{one.exception_id}"
    assert one.scope == {"actor": token_of(0)}
