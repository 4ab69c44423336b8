"""RFC 3339 times: the column reader equals the text-by-text reader, and both equal the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.timestamps import NO_TIME_US, utc_us, utc_us_column

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@st.composite
def spelt_times(draw: st.DrawFn) -> str:
    """Times, most of them right, some with a field out of range or a character changed."""
    numbers = [draw(st.integers(0, top)) for top in (9999, 13, 32, 24, 60, 60)]
    year, month, day, hour, minute, second = numbers
    fraction = draw(st.sampled_from(["", ".", ".1", ".123", ".999999", ".9999999", ".123456789"]))
    zone = draw(st.sampled_from(["Z", "z", "+08:00", "-23:59", "+00:00", "-00:00", "+24:00", "+08:60", "+0800", ""]))
    text = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
    if draw(st.integers(0, 4)) == 0:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.text(max_size=1)) + text[place + 1 :]
    return text


def one_by_one(text: str) -> int:
    try:
        return utc_us(text)
    except ValueError:
        return NO_TIME_US


@settings(max_examples=400)
@given(texts=st.lists(spelt_times(), max_size=8))
def test_a_column_of_times_is_read_like_each_text_alone(texts: list[str]) -> None:
    assert utc_us_column(texts).tolist() == [one_by_one(text) for text in texts]


@settings(max_examples=400)
@given(
    moment=st.datetimes(timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))),
    form=st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_times_mean_what_the_standard_library_says(moment: datetime, form: str) -> None:
    text = moment.isoformat(timespec=form)
    expected = (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
    assert utc_us(text) == expected
    assert utc_us_column([text, text]).tolist() == [expected, expected]


def test_finer_digits_are_cut_off_never_rounded() -> None:
    texts = ["2024-12-31T23:59:59.9999999Z", "2024-12-31T23:59:59.999999Z"]
    assert utc_us(texts[0]) == utc_us(texts[1])
    assert len(set(utc_us_column(texts).tolist())) == 1


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("2000-02-29T00:00:00Z", True),
        ("1900-02-29T00:00:00Z", False),
        ("2024-02-29T00:00:00Z", True),
        ("2023-02-29T00:00:00Z", False),
        ("2016-12-31T23:59:60Z", False),
        ("0000-01-01T00:00:00Z", False),
    ],
)
def test_days_follow_the_gregorian_calendar_and_leap_seconds_are_refused(text: str, *, valid: bool) -> None:
    assert (one_by_one(text) != NO_TIME_US) is valid
    assert (int(utc_us_column([text])[0]) != NO_TIME_US) is valid
