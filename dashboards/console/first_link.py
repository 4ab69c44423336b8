"""The one-time link that makes the first account: single use, one hour, compared in constant time.

Place in the flow: its secret is made by whoever starts the console, printed there and handed over in `Parts`; it is
kept in memory only. Used up when the account is made, not when the page is opened: scanners of links open pages.
"""

from __future__ import annotations

import hmac

from dashboards.console.ports import Parts

VALID_US = 3_600_000_000


def is_valid(parts: Parts, given: str, now_us: int) -> bool:
    """Whether this is the link of the console's start, in time, and no account was made yet."""
    known = parts.first_secret
    fits = hmac.compare_digest(given.encode(), known.encode()) and bool(known)
    return fits and now_us - parts.started_us < VALID_US and parts.accounts.is_empty()
