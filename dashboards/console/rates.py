"""How many requests a minute an address or a session may make; whoever asked longest ago is forgotten first.

Place in the flow: asked by `security.py` and `guard.py` before anything is looked at. Fixed minutes: the worst case is
twice the rate around the turn of one, which no limit here is tight enough to mind.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

_REMEMBERED = 10_000
MINUTE_US = 60_000_000


class Rates:
    """Counts by name in the running minute; safe between threads."""

    def __init__(self, a_minute: int) -> None:
        self._a_minute = a_minute
        self._lock = threading.Lock()
        self._asked: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def takes(self, name: str, now_us: int) -> bool:
        """Whether one more is allowed; it is counted either way."""
        minute = now_us // MINUTE_US
        with self._lock:
            last, count = self._asked.pop(name, (minute, 0))
            count = count + 1 if last == minute else 1
            self._asked[name] = minute, count
            if len(self._asked) > _REMEMBERED:
                self._asked.popitem(last=False)
        return count <= self._a_minute
