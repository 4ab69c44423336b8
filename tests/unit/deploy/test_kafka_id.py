"""The id of a new local cluster: what Kafka's own tool takes as an argument."""

from __future__ import annotations

import uuid

from deploy.local.kafka import cluster_id


def test_an_id_never_begins_with_a_dash() -> None:
    drawn = iter([uuid.UUID(bytes=bytes([0xF8, *range(15)])), uuid.UUID(bytes=bytes([0x00, *range(15)]))])
    assert cluster_id(lambda: next(drawn)) == "AAABAgMEBQYHCAkKCwwNDg"
    assert not any(cluster_id().startswith("-") for _ in range(2000))
