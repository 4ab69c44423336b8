"""A day of looks: where it begins, and when it is used up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.audit.quota import LOOK_QUOTA, Quota, Used, day_begin_us
from pipeline.errors import EXIT_FORBIDDEN, Forbidden


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("moment", "zone", "begins"),
    [
        ("2026-09-21T15:59:59", "Asia/Shanghai", "2026-09-20T16:00:00"),
        ("2026-09-21T16:00:00", "Asia/Shanghai", "2026-09-21T16:00:00"),
        ("2026-10-25T12:00:00", "Europe/Berlin", "2026-10-24T22:00:00"),  # the day has 25 hours
        ("2026-01-01T00:00:00", "UTC", "2026-01-01T00:00:00"),
    ],
)
def test_a_day_begins_at_midnight_of_the_zone(moment: str, zone: str, begins: str) -> None:
    assert day_begin_us(_us(moment), zone) == _us(begins)


@pytest.mark.parametrize(
    ("limits", "used", "rows", "is_refused"),
    [
        ((0, 0), (10**6, 10**9), 10**9, False), ((5, 0), (4, 10**9), 10**9, False), ((5, 0), (5, 0), 0, True),
        ((0, 10), (99, 9), 0, False), ((0, 10), (99, 9), 1, False), ((0, 10), (99, 9), 2, True),
        ((0, 10), (1, 10), 0, True), ((0, 10), (0, 0), 11, True),
    ],
)  # fmt: skip
def test_what_is_left_of_a_day(limits: tuple[int, int], used: tuple[int, int], rows: int, is_refused: bool) -> None:
    quota = Quota(looks_per_day=limits[0], rows_per_day=limits[1])
    if not is_refused:
        quota.check(Used(*used), rows)
        return
    with pytest.raises(Forbidden) as caught:
        quota.check(Used(*used), rows)
    assert (caught.value.code, caught.value.exit_code) == (LOOK_QUOTA, EXIT_FORBIDDEN)
