"""What every page of ours asks of a request: not too many, and in which language.

Place in the flow: beside it; used by the page behind a message's link and by the console. Pure.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Literal

_REMEMBERED = 10_000
MINUTE_US = 60_000_000


class Rates:
    """Requests by name (an address, a session) in the running minute; safe between threads.

    Whoever asked longest ago is forgotten first. Fixed minutes: the worst case is twice the rate around the turn of
    one, which no limit here is tight enough to mind.
    """

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


def wanted_language(accept: str) -> Literal["en", "zh"]:
    """`zh` or `en`, whichever an Accept-Language header (RFC 9110 §12.5.4) wants more; else English."""
    wanted = {"zh": 0.0, "en": 0.0}
    for part in accept[:500].split(",")[:20]:
        tag, _, quality = part.strip().lower().partition(";q=")
        name = tag.partition("-")[0].strip()
        if name in wanted:
            wanted[name] = max(wanted[name], _quality(quality))
    return "zh" if wanted["zh"] > wanted["en"] else "en"


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text))) if text else 1.0
    except ValueError:
        return 0.0
