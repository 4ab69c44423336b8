"""How long an account waits after wrong passwords."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.accounts.lockout import FIRST_WAIT_US, FREE_FAILURES, LONGEST_WAIT_US, locked_until_us, wait_us


@given(st.integers(0, 10_000))
def test_the_wait_never_shrinks_and_is_bounded(failures: int) -> None:
    assert 0 <= wait_us(failures) <= wait_us(failures + 1) <= LONGEST_WAIT_US


def test_it_doubles_after_the_free_ones() -> None:
    assert wait_us(FREE_FAILURES - 1) == 0
    assert [wait_us(FREE_FAILURES + n) for n in range(3)] == [FIRST_WAIT_US, 2 * FIRST_WAIT_US, 4 * FIRST_WAIT_US]
    assert locked_until_us(FREE_FAILURES, 1_000) == 1_000 + FIRST_WAIT_US
