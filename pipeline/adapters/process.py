"""What the operating system says of this process (Linux: /proc; elsewhere what the standard library knows)."""

from __future__ import annotations

import os
import resource
from pathlib import Path

_SELF = Path("/proc/self")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Memory in RAM now; where /proc is absent, the largest it ever was."""
    try:
        return int((_SELF / "statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def open_files() -> int:
    """Open file descriptors; 0 where nobody can say."""
    try:
        return len(list((_SELF / "fd").iterdir()))
    except OSError:
        return 0
