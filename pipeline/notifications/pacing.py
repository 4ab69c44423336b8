"""When a channel may be spoken to: back-off, rate and circuit, each as data that is carried from row to row.

Place in the flow: below `policy.py`. Nothing here looks at a clock or draws chance: times are UTC microseconds and
chance is a number from 0 to 1, both given. Back-off is exponential with full jitter (each wait is drawn evenly from 0
to the limit), so that channels that failed together do not come back together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How patiently one channel is treated. Seconds unless the name says otherwise.

    `failures_to_open`: in a row, before the circuit opens. `open_s`: so long nothing is sent then, doubled with every
    trial that fails, up to `longest_open_s`. `window_s`: in it nothing is said twice. `give_up_s`: after it a message
    is told as undelivered on another channel instead.
    """

    rate_per_minute: int = 60
    first_wait_s: float = 1.0
    longest_wait_s: float = 300.0
    failures_to_open: int = 5
    open_s: float = 30.0
    longest_open_s: float = 900.0
    window_s: float = 300.0
    give_up_s: float = 86_400.0


def back_off_us(attempt: int, limits: Limits, chance: float, asked_s: float | None = None) -> int:
    """Wait after that many failed attempts, drawn by `chance` (0 to 1). Never less than what the channel asked for."""
    doublings = min(max(0, attempt - 1), _MOST_DOUBLINGS)
    most_s = min(limits.longest_wait_s, limits.first_wait_s * float(1 << doublings))
    return round(((asked_s or 0.0) + chance * most_s) * SECOND_US)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket that never lets more than `rate_per_minute` attempts into any minute.

    A quarter of the rate may go at once, the rest is spread over the minute: full bucket and refill of one minute
    together are the rate, which is what vendors count.
    """

    tokens: float
    at_us: int

    @staticmethod
    def full(limits: Limits, at_us: int = 0) -> Bucket:
        """Before the first attempt."""
        return Bucket(float(_burst(limits)), at_us)

    def taken(self, at_us: int, limits: Limits) -> Bucket:
        """After one attempt; below 0 where somebody sent without asking."""
        return Bucket(self._tokens_at(at_us, limits) - 1.0, max(self.at_us, at_us))

    def free_at_us(self, now_us: int, limits: Limits) -> int:
        """When the next attempt may go; `now_us` where it may go now."""
        missing = 1.0 - self._tokens_at(now_us, limits)
        if missing <= 1e-9:
            return now_us
        return now_us + int(missing / _refill_per_us(limits)) + 1

    def _tokens_at(self, at_us: int, limits: Limits) -> float:
        passed_us = max(0, at_us - self.at_us)
        return min(float(_burst(limits)), self.tokens + passed_us * _refill_per_us(limits))


def _burst(limits: Limits) -> int:
    return max(1, limits.rate_per_minute // 4)


def _refill_per_us(limits: Limits) -> float:
    """Where the rate is one a minute, bucket and refill cannot both be more than nothing: then it is half of it."""
    return max(limits.rate_per_minute - _burst(limits), 0.5) / MINUTE_US


@dataclass(frozen=True, slots=True)
class Circuit:
    """Closed: attempts go. Open: none until `until_us`. Half-open: one goes, and its end decides.

    `opened_us`: 0 while closed; it stays the same through failed trials, since they belong to the same outage.
    """

    failures: int = 0
    opened_us: int = 0
    until_us: int = 0
    trials: int = 0

    def state(self, now_us: int) -> str:
        """`closed`, `open` or `half_open`."""
        if not self.opened_us:
            return "closed"
        return "open" if now_us < self.until_us else "half_open"

    def after_success(self) -> Circuit:
        """The channel takes messages."""
        return Circuit()

    def after_failure(self, at_us: int, limits: Limits, *, is_channels_fault: bool) -> Circuit:
        """It does not; what no repetition can heal opens it at once."""
        if self.opened_us:
            wait_s = min(limits.longest_open_s, limits.open_s * float(1 << min(self.trials + 1, _MOST_DOUBLINGS)))
            until_us = at_us + round(wait_s * SECOND_US)
            return Circuit(self.failures + 1, self.opened_us, until_us, self.trials + 1)
        failed = replace(self, failures=self.failures + 1)
        if failed.failures < limits.failures_to_open and not is_channels_fault:
            return failed
        return replace(failed, opened_us=max(1, at_us), until_us=at_us + round(limits.open_s * SECOND_US))
