"""Which partition a key belongs to: murmur2 as Kafka's own default partitioner computes it.

An actor's events must lie in one partition, because profiles live there. Every producer therefore partitions by
murmur2 of the key (librdkafka: `partitioner=murmur2_random`); `protect` checks it and the row says where it differs.
Source: Apache Kafka, `org.apache.kafka.common.utils.Utils.murmur2` and `toPositive`; test vectors from its UtilsTest.
"""

from __future__ import annotations

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash of `data`, unsigned."""
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for place in range(0, whole, 4):
        k = int.from_bytes(data[place : place + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition Kafka's default partitioner sends this key to, 0 ≤ result < `partitions`."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
