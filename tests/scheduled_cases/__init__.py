"""Hand-written situations of every scheduled detector: at least three true, false and look-alike ones each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.scheduled_cases import access, accounts, places, sources
from tests.scheduled_rows import Case

CASES: Mapping[str, Sequence[Case]] = {**access.CASES, **accounts.CASES, **places.CASES, **sources.CASES}
"""By detector."""
