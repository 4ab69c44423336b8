"""Ends what a killed parent left: reads process groups from standard input, kills those still open at its end.

The parent holds the other end of the pipe and writes `+PGID` when it starts a child (each child leads a group) and
`-PGID` when the group is gone. When the parent dies, however it dies, the pipe ends. The parent-death signal of
`tether` covers direct children only; this covers what they started. Standard library only, run with `-I -S`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def groups_left(lines: Iterable[str]) -> set[int]:
    """The groups opened and not closed when the input ends."""
    groups: set[int] = set()
    for line in lines:
        sign, number = line[:1], line[1:].strip()
        if number.isdecimal() and sign in "+-":
            (groups.add if sign == "+" else groups.discard)(int(number))
    return groups


def main() -> None:
    """Waits for the end of standard input, then kills."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    for group in groups_left(sys.stdin):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
