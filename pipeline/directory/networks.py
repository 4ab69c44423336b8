"""Longest-prefix match of an address over a list of ranges, IPv4 and IPv6 alike.

IPv4 ranges are looked up as IPv4-mapped IPv6 (RFC 4291, section 2.5.5.2): a /24 is a /120 of ::ffff:0:0/96.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, ip_network
from typing import Generic, TypeVar

_BITS = 128
_MAPPED = 0xFFFF << 32

Value = TypeVar("Value")


class PrefixTable(Generic[Value]):
    """Ranges by prefix length; one dictionary look-up a length, longest first."""

    def __init__(self, ranges: Iterable[tuple[str, Value]]) -> None:
        """`ranges`: (CIDR, value); the CIDRs are valid and distinct."""
        by_length: dict[int, dict[int, Value]] = {}
        for cidr, value in ranges:
            network = ip_network(cidr)
            start, length = int(network.network_address), network.prefixlen
            if isinstance(network, IPv4Network):
                start, length = start | _MAPPED, length + 96
            by_length.setdefault(_BITS - length, {})[start >> (_BITS - length)] = value
        self._by_length = sorted(by_length.items())

    def find(self, address: bytes) -> Value | None:
        """The value of the longest range that holds this address (16 bytes, IPv4 mapped); None where none does."""
        number = int.from_bytes(address, "big")
        # An IPv6 range such as ::/0 says nothing about IPv4, although it holds the mapped form.
        longest = _BITS - 96 if number >> 32 == 0xFFFF else _BITS
        for free_bits, starts in self._by_length:
            if free_bits > longest:
                break
            value = starts.get(number >> free_bits)
            if value is not None:
                return value
        return None
