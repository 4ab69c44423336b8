"""Exceptions for tests: about one account by default, any field changed by name."""

from __future__ import annotations

from typing import Any

from detectors.exceptions import DAY_US, AlertException, named
from tests.arrays import START_US

OWNER = "0f" * 16


def token_of(actor: int) -> str:
    """The token of an account of `tests.arrays`, as exceptions hold it."""
    return actor.to_bytes(16, "little").hex()


def exception(*detectors: str, **fields: Any) -> AlertException:
    """Valid from a day before the tests' events to a day after the first of them."""
    given: dict[str, Any] = {
        "scope": {"actor": token_of(0)}, "detectors": detectors or ("enumeration",), "owner": OWNER,
        "reason": "the nightly reconciliation", "created_us": START_US - DAY_US, "valid_from_us": START_US - DAY_US,
        "valid_until_us": START_US + DAY_US, **fields,
    }  # fmt: skip
    return named(AlertException(**given))
