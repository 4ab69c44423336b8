"""Hold back: exceptions take causes of alerts away and nothing else; each time it is evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.base import MODEL_DETECTOR, Assessment
from detectors.exceptions import DAY_US, AlertException
from detectors.features import KINDS, N_FEATURES, NAMES
from detectors.policy import LOWEST_THRESHOLD, NEVER, Policy, fire
from detectors.profile import Profiles
from detectors.rules import all_rules
from pipeline.column_batch import ArrayColumn, ColumnBatch, FixedColumn, Interner, TextColumn
from pipeline.events import Alert
from pipeline.stages.decide import decide
from pipeline.stages.hold_back import TEXT_COLUMNS, hold_back
from tests.arrays import START_US, event_arrays
from tests.exceptions import exception, token_of
from tests.models import small_model

RULES = all_rules()
FLOORS = {rule.name: rule.floor for rule in RULES}
CODES = [*(f"feature:{name}" for name in NAMES), *(rule.code for rule in RULES)]
RECORDS, NETWORK = CODES.index("feature:records_day"), CODES.index("feature:new_network")
ENUMERATION, GLASS = CODES.index("rule:enumeration"), CODES.index("rule:break_glass")
POLICY = Policy(9000)
MODEL = small_model()


class Batch:
    """Judged events, one an actor unless said otherwise: (level, reasons) each, the floors are the rules' own."""

    def __init__(self, *judged: tuple[int, list[int]], actors: Sequence[int] | None = None, **texts: str) -> None:
        count = len(judged)
        self.actors = list(actors) if actors is not None else list(range(count))
        self.events = event_arrays(
            count, actors=self.actors, explained=[3] * count, peer_groups=["Retail/Advisor"], credential=[7] * count
        )
        names = Interner()
        self.columns = ColumnBatch(
            count,
            {
                "received_at": FixedColumn(np.full(count, START_US, np.int64)),
                "event_time": FixedColumn(self.events.event_time_us),
                # Stored tokens of another key: exceptions go by the canonical ones.
                "actor_token": FixedColumn(_tokens([one + 900 for one in self.actors])),
                "credential_token": FixedColumn(_tokens([907] * count)),
                "reasons": ArrayColumn(np.zeros(count, np.int64), TextColumn(np.zeros(0, np.int32), names)),
                "partition": FixedColumn(np.zeros(count, np.uint32)),
                "offset": FixedColumn(np.arange(count, dtype=np.uint64)),
                **{
                    column: TextColumn(np.full(count, names[texts.get(name, "crm")], np.int32), names)
                    for name, column in {**TEXT_COLUMNS, "topic": "topic", "incarnation": "incarnation",
                                         "tenant": "tenant_id"}.items()
                },
            },
        )  # fmt: skip
        level = np.array([one for one, _ in judged], np.uint16)
        floor = np.array([_floor(reasons) for _, reasons in judged], np.uint16)
        numbers = np.ones((count, N_FEATURES + 3), np.float32)
        self.assessment = Assessment(
            status=np.ones(count, np.uint8),
            anomaly_score=level.astype(np.uint32) * 3,
            top3_surprisal=level // 2,
            risk=np.minimum(np.maximum(level, floor), 10_000),
            level=level,
            floor=floor,
            reason_ends=np.cumsum([len(reasons) for _, reasons in judged]).astype(np.int64),
            reasons=np.array([code for _, reasons in judged for code in reasons], np.int32),
            reason_codes=CODES,
            features=numbers[:, :N_FEATURES],
            surprisals=numbers,
            usual=numbers[:, :N_FEATURES],
            spread=numbers[:, :N_FEATURES],
        )

    def held_back(self, *exceptions: AlertException, policy: Policy = POLICY, model: Any = MODEL) -> Assessment:
        return hold_back(self.columns, self.events, self.assessment, policy, model, RULES, exceptions)

    def alerts(self, *exceptions: AlertException) -> list[Alert]:
        profiles = Profiles()
        profiles.begin()
        profiles.slots(self.events.actor_keys)
        return decide(self.columns, self.events, self.held_back(*exceptions), profiles, POLICY, None, RULES)

    def fired(self, *exceptions: AlertException) -> set[int]:
        profiles = Profiles()
        profiles.begin()
        profiles.slots(self.events.actor_keys)
        return set(fire(self.events, self.held_back(*exceptions), profiles, POLICY).tolist())

    @property
    def stored_reasons(self) -> list[list[str]]:
        column = self.columns.columns["reasons"]
        assert isinstance(column, ArrayColumn)
        assert isinstance(column.items, TextColumn)
        texts = [column.items.interner.texts[one] for one in column.items.ids]
        return [texts[end - size : end] for end, size in zip(column.ends, np.diff(column.ends, prepend=0), strict=True)]


def _tokens(actors: list[int]) -> Any:
    return np.frombuffer(b"".join(one.to_bytes(16, "little") for one in actors), "V16")


def _floor(reasons: list[int]) -> int:
    return max((RULES[code - N_FEATURES].floor for code in reasons if code >= N_FEATURES), default=0)


def about_model(**fields: Any) -> AlertException:
    return exception(MODEL_DETECTOR, **{"up_to": 15_000, **fields})


# -- what it does


def test_an_excepted_rule_raises_no_alert_and_the_event_says_why() -> None:
    batch, one = Batch((100, [GLASS, RECORDS]), (100, [GLASS])), exception("break_glass")
    assert [alert.row for alert in batch.alerts(one)] == [1]
    assert batch.stored_reasons == [["feature:records_day", one.code, "rule:break_glass"], ["rule:break_glass"]]


def test_what_remains_raises_the_alert_alone_and_tells_its_own_risk() -> None:
    batch = Batch((9500, [GLASS, ENUMERATION, RECORDS]))
    (by_rule,) = batch.alerts(exception("break_glass"))
    assert (by_rule.detector, by_rule.risk) == ("enumeration", 9500)
    assert by_rule.reasons == ("rule:enumeration", "feature:records_day")
    assert "break" not in by_rule.explanation_en
    assert "emergency" not in by_rule.explanation_en
    (by_model,) = batch.alerts(exception("break_glass", "enumeration"))
    assert (by_model.detector, by_model.risk, by_model.reasons) == (MODEL_DETECTOR, 9500, ("feature:records_day",))
    (by_floor,) = batch.alerts(about_model(), exception("break_glass"))
    assert (by_floor.detector, by_floor.risk) == ("enumeration", FLOORS["enumeration"])
    assert f"risk {FLOORS['enumeration'] / 100:.0f} of 100 by rule" in by_floor.explanation_en
    for alert in (by_rule, by_model, by_floor):
        assert "exception" not in f"{alert.explanation_en} {alert.explanation_zh} {alert.reasons}"


def test_the_model_stays_quiet_up_to_the_exceptions_level_and_no_further() -> None:
    one = about_model(up_to=12_000)
    assert Batch((12_000, [RECORDS])).fired(one) == set()
    assert Batch((12_001, [RECORDS])).fired(one) == {0}


def test_kinds_narrow_it_to_the_leading_feature() -> None:
    volume = about_model(kinds=("volume",))
    assert Batch((9500, [RECORDS, NETWORK])).fired(volume) == set()
    assert Batch((9500, [NETWORK, RECORDS])).fired(volume) == {0}


def test_two_exceptions_are_both_counted_and_a_rule_is_taken_once() -> None:
    batch = Batch((9500, [GLASS, ENUMERATION, RECORDS]))
    first, second = exception("break_glass", "enumeration"), exception("break_glass", MODEL_DETECTOR, up_to=20_000)
    batch.held_back(first, second)
    assert batch.stored_reasons == [
        ["feature:records_day", first.code, "rule:break_glass", "rule:enumeration", second.code]
    ]
    assert batch.fired(first, second) == set()


@pytest.mark.parametrize(
    ("scope", "holds"),
    [
        ({"actor": token_of(0)}, True),
        ({"actor": token_of(1)}, False),
        ({"credential": token_of(7)}, True),
        ({"peer_group": "retail/ADVISOR"}, True),
        ({"peer_group": "retail/manager"}, False),
        *(({name: "CRM"}, True) for name in TEXT_COLUMNS if name != "source_instance"),
        *(({name: "crm-2"}, False) for name in TEXT_COLUMNS if name != "source_instance"),
        ({"source_system": "crm", "source_instance": "crm"}, True),
        ({"source_system": "crm", "source_instance": "crm-2"}, False),
        ({"actor": token_of(0), "app_id": "crm"}, True),
        ({"actor": token_of(0), "app_id": "erp"}, False),
        ({"subject": "ab" * 16}, False),
    ],
)
def test_all_conditions_of_its_scope_must_hold_and_case_makes_no_difference(scope: Any, holds: bool) -> None:
    assert Batch((9500, [GLASS]), actors=[0]).fired(exception("break_glass", MODEL_DETECTOR, scope=scope)) == (
        set() if holds else {0}
    )


def test_the_time_of_receipt_decides_whether_it_is_valid() -> None:
    batch, one = Batch((100, [GLASS])), exception("break_glass")
    for moment, fires in (
        (one.valid_from_us - 1, True),
        (one.valid_from_us, False),
        (one.valid_until_us - 1, False),
        (one.valid_until_us, True),
    ):
        batch.columns.columns["received_at"] = FixedColumn(np.array([moment], np.int64))
        assert (batch.fired(one) == {0}) == fires


def test_below_the_thresholds_nothing_is_held_back_and_nothing_is_counted() -> None:
    batch = Batch((8999, [RECORDS]))
    assert batch.held_back(about_model()) is batch.assessment
    assert batch.stored_reasons == [[]]


def test_without_exceptions_or_a_model_the_assessment_is_the_very_same() -> None:
    batch = Batch((9500, [GLASS]))
    assert batch.held_back() is batch.assessment
    assert batch.held_back(exception("break_glass"), model=None) is batch.assessment


def test_while_thresholds_are_sought_everything_that_could_reach_one_is_held_back() -> None:
    """A budget's thresholds are found on events that are judged under a policy that lets nothing fire."""
    left = Batch((LOWEST_THRESHOLD, [RECORDS]), (LOWEST_THRESHOLD - 1, [RECORDS])).held_back(
        about_model(scope={"app_id": "crm"}), policy=Policy(NEVER)
    )
    assert left.level.tolist() == [0, LOWEST_THRESHOLD - 1]


def test_an_exception_ends_no_alert_that_is_open_and_what_it_took_was_not_told() -> None:
    """A rule that was taken away is a new kind of reason as soon as the exception has ended."""
    batch, one = Batch((9500, [GLASS, RECORDS]), (9500, [GLASS, RECORDS]), actors=[0, 0]), exception("break_glass")
    profiles = Profiles()
    profiles.begin()
    profiles.slots(batch.events.actor_keys)
    received = np.array([one.valid_until_us - 1, one.valid_until_us], np.int64)
    batch.columns.columns["received_at"] = FixedColumn(received)
    assert fire(batch.events, batch.held_back(one), profiles, POLICY).tolist() == [0, 1]


# -- what it never does

JUDGED = st.lists(
    st.tuples(
        st.sampled_from([0, 3000, 8999, 9000, 9500, 14_000, 30_000]),
        st.lists(st.sampled_from([ENUMERATION, GLASS, RECORDS, NETWORK]), unique=True, max_size=4),
    ),
    min_size=1,
    max_size=8,
)
EXCEPTIONS = st.lists(
    st.builds(
        lambda names, actor, up_to, kinds, ends: exception(
            *names, scope={"actor": token_of(actor)}, up_to=up_to, kinds=tuple(kinds),
            valid_until_us=START_US + ends * DAY_US,
        ),
        st.lists(st.sampled_from(["enumeration", "break_glass", MODEL_DETECTOR]), min_size=1, max_size=3),
        st.integers(0, 7),
        st.sampled_from([9000, 12_000, 60_000]),
        st.lists(st.sampled_from([name for name, _ in KINDS]), max_size=1),
        st.integers(0, 1),
    ),
    max_size=5,
)  # fmt: skip


@given(JUDGED, EXCEPTIONS)
def test_score_and_risk_are_never_changed(
    judged: list[tuple[int, list[int]]], exceptions: list[AlertException]
) -> None:
    batch = Batch(*judged)
    before = {name: values.copy() for name, values in _scores(batch.assessment).items()}
    after = batch.held_back(*exceptions)
    for name, values in before.items():
        assert np.array_equal(values, _scores(after)[name])
        assert np.array_equal(values, _scores(batch.assessment)[name])


def _scores(assessment: Assessment) -> dict[str, Any]:
    names = ("status", "anomaly_score", "top3_surprisal", "risk", "features", "surprisals", "usual", "spread")
    return {name: getattr(assessment, name) for name in names}


@given(JUDGED, EXCEPTIONS)
def test_what_no_valid_exception_names_reaches_the_thresholds_as_before(
    judged: list[tuple[int, list[int]]], exceptions: list[AlertException]
) -> None:
    """Of accounts with one event each, so that suppression has no say: silenced only where everything was named."""
    batch = Batch(*judged)
    plain, left = batch.fired(), batch.fired(*exceptions)
    assert left <= plain
    for row in plain - left:
        valid = [one for one in exceptions if one.scope["actor"] == token_of(row) and one.holds_at(START_US)]
        named = {name for one in valid for name in one.detectors}
        level, reasons = judged[row]
        reached = {
            RULES[code - N_FEATURES].name
            for code in reasons
            if code >= N_FEATURES and RULES[code - N_FEATURES].floor >= POLICY.rule_threshold
        }
        assert reached | ({MODEL_DETECTOR} if level >= POLICY.threshold else set()) <= named


@given(JUDGED, EXCEPTIONS, st.lists(st.integers(0, 2), min_size=8, max_size=8))
def test_whatever_fires_reaches_a_threshold_by_what_is_left_of_it(
    judged: list[tuple[int, list[int]]], exceptions: list[AlertException], actors: list[int]
) -> None:
    """Under suppression an event may fire later, when the one that opened the alert is held back; never by itself."""
    batch = Batch(*judged, actors=actors[: len(judged)])
    left = batch.held_back(*exceptions)
    reaches = (left.level >= POLICY.threshold) | (left.floor >= POLICY.rule_threshold)
    assert batch.fired(*exceptions) <= set(np.flatnonzero(reaches).tolist())
    assert bool((left.level <= batch.assessment.level).all())
    assert bool((left.floor <= batch.assessment.floor).all())


@given(JUDGED, EXCEPTIONS)
def test_reasons_are_kept_all_and_told_apart_from_what_was_taken(
    judged: list[tuple[int, list[int]]], exceptions: list[AlertException]
) -> None:
    batch = Batch(*judged)
    left = batch.held_back(*exceptions)
    for row, (_, reasons) in enumerate(judged):
        start = int(left.reason_ends[row - 1]) if row else 0
        names = [left.reason_codes[code] for code in left.reasons[start : left.reason_ends[row]]]
        own = [name for name in names if not name.startswith("exception:")]
        assert sorted(own) == sorted(CODES[code] for code in reasons)
        told = [left.reason_codes[code] for code in left.told(row)]
        assert names[: len(told)] == told
        assert [code for code in told if CODES.index(code) in reasons] == told
        assert int(left.floor[row]) == max(
            (FLOORS[code.removeprefix("rule:")] for code in told if code.startswith("rule:")), default=0
        )


@given(JUDGED, EXCEPTIONS)
def test_after_its_end_an_exception_does_nothing(
    judged: list[tuple[int, list[int]]], exceptions: list[AlertException]
) -> None:
    batch = Batch(*judged)
    ended = [replace(one, valid_until_us=START_US) for one in exceptions]
    assert batch.held_back(*ended) is batch.assessment
