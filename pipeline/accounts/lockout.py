"""How long an account refuses passwords after wrong ones: doubling, up to an hour.

Place in the flow: asked by `adapters/accounts.py` before a password is looked at, so that a locked account tells
nothing about one. The count is the account's, not the address's: distributed guessing is slowed just as much. The
highest wait is an hour, since whoever can guess can also keep the owner out (OWASP ASVS 5.0, 6.3.1).
"""

from __future__ import annotations

FREE_FAILURES = 5
"""Wrong passwords in a row that cost no wait."""
FIRST_WAIT_US = 30_000_000
LONGEST_WAIT_US = 3_600_000_000


def wait_us(failures: int) -> int:
    """The wait after so many failures in a row, microseconds: 0, then 30 s, 60 s, … 3,600 s."""
    beyond = failures - FREE_FAILURES
    if beyond < 0:
        return 0
    return min(FIRST_WAIT_US << min(beyond, 16), LONGEST_WAIT_US)


def locked_until_us(failures: int, last_failure_us: int) -> int:
    """Until when (UTC µs) nothing is accepted; not after `last_failure_us` where there is no wait."""
    return last_failure_us + wait_us(failures)
