"""Which network addresses a channel may reach: names are resolved here, and what is connected to is what was checked.

Place in the flow: below every sender. A channel's host is a setting, but what its name resolves to is whatever its name
server says at that moment: without a check, a message could be sent into the inner network (server-side request
forgery), to a metadata service, or back to this machine. Only public addresses (IANA special-purpose registries, by
`ipaddress`) pass, besides the networks listed in `allow_private`.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence

from pipeline.notifications.config import Network

Resolve = Callable[[str, int], Sequence[str]]
"""Addresses of a host name. Raises: OSError: it has none, or no name server answers."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given out; `is_global` alone also takes old site-local and IPv4-compatible addresses."""


def system_addresses(host: str, port: int) -> Sequence[str]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked_addresses(
    host: str, port: int, allowed: Sequence[Network], resolve: Resolve, timeout_s: float
) -> tuple[Sequence[str], str]:
    """Addresses to connect to and "", or none and why: `name_unknown`, `address_not_allowed`.

    One address that may not be reached refuses them all: a name server that mixes them is not asked to choose.
    """
    addresses = _resolved(host, port, resolve, timeout_s)
    if not addresses:
        return (), "name_unknown"
    if not all(may_reach(address, allowed) for address in addresses):
        return (), "address_not_allowed"
    return addresses, ""


def may_reach(address: str, allowed: Sequence[Network]) -> bool:
    """Whether this address is public or listed. What an IPv6 address carries of an IPv4 one is judged as that."""
    try:
        found = _carried(ipaddress.ip_address(address))
    except ValueError:
        return False
    if any(found.version == network.version and found in network for network in allowed):
        return True
    if isinstance(found, ipaddress.IPv6Address) and found not in _UNICAST_V6:
        return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def _carried(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def _resolved(host: str, port: int, resolve: Resolve, timeout_s: float) -> Sequence[str]:
    """The resolver knows no time limit of its own; who is stuck in it is left behind, not waited for."""
    answers: queue.SimpleQueue[Sequence[str]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(host, port))
        except (OSError, UnicodeError):
            answers.put(())

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        return answers.get(timeout=timeout_s)
    except queue.Empty:
        return ()
