"""Legal holds, pure: what one keeps, and who may end it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Forbidden
from pipeline.retention.holds import (
    SCOPES,
    HeldRow,
    Hold,
    condition_of,
    condition_of_dead,
    holds_on,
    is_held,
    refuse_release,
)

A, B, C = "aa" * 16, "bb" * 16, "cc" * 16
HOLD = Hold(hold_id="1", tenant="t", scope="subject", subjects=(A,), from_us=10, until_us=20, by=C)
ROW = HeldRow(tenant="t", event_us=10, actors=(B,), subjects=(A, C))


@pytest.mark.parametrize(
    ("hold", "kept"),
    [
        (HOLD, True),
        (replace(HOLD, subjects=(B,)), False),
        (replace(HOLD, subjects=(), actors=(B,)), True),
        (replace(HOLD, subjects=(), credentials=(C,)), False),
        (replace(HOLD, subjects=()), True),
        (replace(HOLD, tenant="other"), False),
        (replace(HOLD, from_us=11), False),
        (replace(HOLD, from_us=0, until_us=10), False),
    ],
)
def test_a_hold_keeps_whom_it_names_within_its_period_and_its_tenant(hold: Hold, kept: bool) -> None:
    assert is_held(ROW, [hold]) == kept
    assert holds_on(ROW, [hold]) == ([hold] if kept else [])


def test_a_dead_letter_is_kept_by_holds_that_name_nobody() -> None:
    row = HeldRow(tenant="", event_us=15, is_event=False)
    assert not is_held(row, [HOLD])
    assert is_held(row, [replace(HOLD, subjects=())])


def test_an_absent_credential_is_nobodys() -> None:
    assert not is_held(replace(ROW, credential=""), [replace(HOLD, subjects=(), credentials=("",))])


@given(st.lists(st.builds(Hold, hold_id=st.just("x"), tenant=st.just("t"), scope=st.sampled_from(SCOPES))))
def test_more_holds_never_free_a_row(holds: list[Hold]) -> None:
    for number in range(len(holds)):
        assert is_held(ROW, holds[: number + 1]) >= is_held(ROW, holds[:number])


def test_values_of_holds_are_parameters_and_no_holds_keep_nothing() -> None:
    sql, given_ = condition_of([HOLD, replace(HOLD, tenant="x'; DROP")])
    assert "DROP" not in sql
    assert A not in sql
    assert given_["hold_1_tenant"] == "x'; DROP"
    assert condition_of([]) == ("0", {})
    assert condition_of_dead([HOLD]) == ("0", {})


def test_who_placed_a_hold_does_not_release_it() -> None:
    with pytest.raises(Forbidden, match="another person"):
        refuse_release(HOLD, C)
    refuse_release(HOLD, B)
