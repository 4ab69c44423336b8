"""Loopback ports: the asked one, else the last one if it is free, else any free one."""

from __future__ import annotations

import errno
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from deploy.local.process import LOOPBACK
from pipeline.errors import LocalStackError

_CLIENT_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_CLIENT_RANGE_START = 32_768
_LOWEST_PORT = 20_000
_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the local stack listens, on loopback only."""

    kafka: int
    kafka_controller: int
    clickhouse_native: int
    clickhouse_http: int


@dataclass(frozen=True, slots=True)
class PortWish:
    """What was asked for on the command line (`option` names it) and what the state folder had last."""

    option: str
    asked: int | None = None
    last: int | None = None


def _bound(port: int) -> socket.socket | None:
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # As servers do: a port whose last connections linger in TIME_WAIT is free.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((LOOPBACK, port))
        holder.listen(1)
    except OSError as exc:
        holder.close()
        if exc.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return None
    return holder


def choose(wishes: tuple[PortWish, ...]) -> tuple[int, ...]:
    """One distinct free port a wish, in their order. All are held until all are chosen, so none is given twice.

    Raises: LocalStackError: an asked port is taken.
    """
    held: dict[int, socket.socket] = {}
    try:
        # Who has a port in mind comes first: a free one drawn for another must not be just that.
        for place, wish in sorted(enumerate(wishes), key=lambda item: (item[1].asked is None, item[1].last is None)):
            held[place] = _take(wish)
        return tuple(int(held[place].getsockname()[1]) for place in range(len(wishes)))
    finally:
        for holder in held.values():
            holder.close()


def _take(wish: PortWish) -> socket.socket:
    if wish.asked is not None:
        holder = _bound(wish.asked)
        if holder is None:
            raise LocalStackError(
                f"port {wish.asked} is taken: stop what listens there, give {wish.option} another one, "
                f"or leave {wish.option} out and a free one is found",
                code="port_taken",
            )
        return holder
    last = _bound(wish.last) if wish.last is not None else None
    holder = last or _drawn()
    if holder is None:
        raise LocalStackError("no free port on loopback: too many servers run on this machine", code="port_taken")
    return holder


def _drawn() -> socket.socket | None:
    """A free port below the range the kernel draws clients' ports from.

    Inside that range a client that retries while its server restarts can be given the server's own port, connect to
    itself, and so keep the server from coming back.
    """
    for _ in range(_DRAWS):
        holder = _bound(_LOWEST_PORT + secrets.randbelow(_client_range_start() - _LOWEST_PORT))
        if holder is not None:
            return holder
    return _bound(0)


def _client_range_start() -> int:
    try:
        low = int(_CLIENT_RANGE_FILE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        low = 0
    return low if low > _LOWEST_PORT else _DEFAULT_CLIENT_RANGE_START
