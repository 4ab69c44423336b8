"""How much a worker may hold while the store is away: the sum over all partitions, however many there are."""

from __future__ import annotations

import pytest

from pipeline.app import _fetch_bytes, inbox_bytes

BOUND_BYTES = 50_000_000


@pytest.mark.parametrize("partitions", [1, 2, 8, 24, 48, 200])
def test_inboxes_and_fetched_records_of_all_partitions_stay_within_the_bound(partitions: int) -> None:
    assert partitions * (inbox_bytes(partitions) + _fetch_bytes(partitions)) <= BOUND_BYTES


@pytest.mark.parametrize("partitions", [1, 24, 1000])
def test_every_partition_may_hold_something(partitions: int) -> None:
    assert inbox_bytes(partitions) >= 64 << 10
    assert _fetch_bytes(partitions) >= 64 << 10
