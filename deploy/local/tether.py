"""Ties a child to its parent: `python tether.py PARENT_PID COMMAND…` sets the parent-death signal and becomes COMMAND.

Linux kills the process when its parent dies (`prctl(2)`, PR_SET_PDEATHSIG, kept across execve), also when the parent
was killed with -9 and could run no handler. Standard library only, run with `-I -S`. A wrapper rather than
`preexec_fn`, which is unsafe in a parent with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
CANNOT_START = "cannot start"


def main(arguments: list[str]) -> None:
    """Becomes the command; exits at once where the parent is already gone."""
    parent = int(arguments[0])
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the line above: then nobody would ever send the signal.
    if os.getppid() != parent:
        sys.exit(1)
    try:
        os.execvp(arguments[1], arguments[1:])  # noqa: S606  becoming the command is the point
    except OSError as exc:
        sys.stderr.write(f"{CANNOT_START} {arguments[1]}: {exc.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
