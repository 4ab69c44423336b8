"""Back-off, rate and circuit as data: bounded, jittered, and the same after a restart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.notifications.pacing import MINUTE_US, SECOND_US, Bucket, Circuit, Limits, back_off_us

CHANCE = st.floats(0, 1)


def test_back_off_doubles_up_to_its_limit_and_is_drawn_evenly() -> None:
    limits = Limits(first_wait_s=1.0, longest_wait_s=300.0)
    assert [back_off_us(attempt, limits, 1.0) // SECOND_US for attempt in (1, 2, 3, 4, 9, 10, 10_000)] == [
        1, 2, 4, 8, 256, 300, 300,
    ]  # fmt: skip
    assert back_off_us(9, limits, 0.0) == 0
    assert back_off_us(9, limits, 0.5) == 128 * SECOND_US


@given(st.integers(0, 10**6), CHANCE, st.floats(0, 3600) | st.none())
def test_a_wait_is_never_less_than_what_was_asked_nor_more_than_both(
    attempt: int, chance: float, asked_s: float | None
) -> None:
    limits = Limits()
    wait_s = back_off_us(attempt, limits, chance, asked_s) / SECOND_US
    assert (asked_s or 0) - 1e-6 <= wait_s <= (asked_s or 0) + limits.longest_wait_s + 1e-6


@given(st.integers(1, 600), st.lists(st.integers(0, 20_000_000), max_size=80))
def test_no_minute_ever_sees_more_than_the_rate(rate: int, pauses: list[int]) -> None:
    """Asked as often as it likes, at whatever moments."""
    limits = Limits(rate_per_minute=rate)
    bucket, now_us, times = Bucket.full(limits), 0, []
    for pause_us in pauses:
        now_us = bucket.free_at_us(now_us + pause_us, limits)
        bucket = bucket.taken(now_us, limits)
        times.append(now_us)
    most = max((sum(at <= other < at + MINUTE_US for other in times) for at in times), default=0)
    assert most <= max(rate, 2), "at one a minute the first two may come together"


def test_a_full_bucket_lets_a_burst_go_at_once_and_the_rate_is_reached() -> None:
    limits = Limits(rate_per_minute=20)
    bucket, now_us, times = Bucket.full(limits), 0, []
    for _ in range(50):
        now_us = bucket.free_at_us(now_us, limits)
        bucket = bucket.taken(now_us, limits)
        times.append(now_us)
    assert times[4] == 0
    assert times[5] > 0
    assert times[-1] <= 46 * MINUTE_US / 15


def test_a_clock_that_went_back_gives_no_tokens() -> None:
    limits = Limits(rate_per_minute=4)
    bucket = Bucket.full(limits).taken(10 * MINUTE_US, limits)
    assert bucket.free_at_us(0, limits) > 0
    assert bucket.taken(0, limits).at_us == 10 * MINUTE_US


def test_a_circuit_opens_after_so_many_failures_in_a_row() -> None:
    limits = Limits(failures_to_open=3, open_s=30)
    circuit = Circuit()
    for at_us in (1, 2):
        circuit = circuit.after_failure(at_us, limits, is_channels_fault=False)
        assert circuit.state(at_us) == "closed"
    assert circuit.after_success() == Circuit()
    circuit = circuit.after_failure(3, limits, is_channels_fault=False)
    assert circuit.state(3 + 30 * SECOND_US - 1) == "open"
    assert circuit.state(3 + 30 * SECOND_US) == "half_open"


def test_a_channel_that_is_set_up_wrongly_opens_at_once() -> None:
    assert Circuit().after_failure(5, Limits(), is_channels_fault=True).state(5) == "open"


def test_failed_trials_wait_twice_as_long_each_and_belong_to_one_opening() -> None:
    limits = Limits(failures_to_open=1, open_s=30, longest_open_s=200)
    circuit = Circuit().after_failure(7, limits, is_channels_fault=False)
    waits = []
    for _ in range(5):
        at_us = circuit.until_us
        circuit = circuit.after_failure(at_us, limits, is_channels_fault=False)
        waits.append((circuit.until_us - at_us) // SECOND_US)
    assert waits == [60, 120, 200, 200, 200]
    assert circuit.opened_us == 7
    assert circuit.after_success() == Circuit()


def test_an_opening_at_the_beginning_of_time_is_one() -> None:
    assert Circuit().after_failure(0, Limits(failures_to_open=1), is_channels_fault=False).state(0) == "open"
