"""The guide's worked example is what the code says, and the guide's numbers are the code's."""

from __future__ import annotations

import pytest

from detectors import explain, profile, usual
from detectors.combine import ACCOUNTED_WEIGHT
from tests.golden.make_alert_example import PATH, render


def test_the_worked_example_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == render(), "run: python -m tests.golden.make_alert_example"


@pytest.mark.parametrize(
    "words",
    [
        f"hired less than {explain._NEW_ACCOUNT_DAYS} days ago",
        f"mean ± {usual.OWN_WIDTH} deviations",
        f"one day in {10**usual.RARE:.0f} or less",
        f"80 one in {explain.RAREST:,}",
        f"{profile.PREFIXES} networks, {profile.DEVICES} devices,",
        f"{profile.COUNTRIES} countries and {profile.AGENTS} programs",
    ],
)
def test_the_guide_says_the_numbers_of_the_code(words: str) -> None:
    assert words in " ".join(PATH.read_text(encoding="utf-8").split())


def test_a_fifth_is_taken_off_what_work_accounts_for() -> None:
    assert ACCOUNTED_WEIGHT == 0.8
