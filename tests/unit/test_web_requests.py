"""Requests are counted by name and minute within bounds, and the language is the one that is wanted more."""

from __future__ import annotations

import pytest

from pipeline import web_requests
from pipeline.web_requests import MINUTE_US, Rates, wanted_language


def test_rates_count_by_name_and_minute_and_forget_the_oldest() -> None:
    rates = Rates(2)
    assert [rates.takes("a", 0) for _ in range(3)] == [True, True, False]
    assert rates.takes("b", 0)
    assert rates.takes("a", MINUTE_US)
    for number in range(10_001):
        rates.takes(f"n{number}", MINUTE_US)
    assert len(rates._asked) == 10_000


def test_of_many_names_only_the_latest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_requests, "_REMEMBERED", 5)
    rates = Rates(1)
    for number in range(20):
        assert rates.takes(str(number), MINUTE_US)
    assert len(rates._asked) == 5


@pytest.mark.parametrize(
    ("accept", "language"),
    [("", "en"), ("zh", "zh"), ("en-US,en;q=0.9,zh;q=0.8", "en"), ("fr,zh-Hant;q=0.5", "zh"), ("zh;q=0,en;q=0.1", "en"),
     ("zh;q=nonsense", "en"), ("fr", "en"), ("ZH-cn ; q=1", "zh"), ("x," * 5000 + "zh", "en")],
)  # fmt: skip
def test_the_language_is_the_one_that_is_wanted_more(accept: str, language: str) -> None:
    assert wanted_language(accept) == language
