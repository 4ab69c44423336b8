"""A share and how sure one may be of it.

Wilson's interval: E. B. Wilson, Probable inference, the law of succession, and statistical inference (JASA 22, 1927).
It stays within 0–1 and means something at none of few, where share ± two standard errors does not.
"""

from __future__ import annotations

import math

Z_95 = 1.959964


def wilson(found: int, of: int, z: float = Z_95) -> tuple[float, float]:
    """Lower and upper end of the interval (95 % by default) of a share of independent cases; (0, 1) of no case.

    >>> [round(end, 4) for end in wilson(1, 10)]
    [0.0179, 0.4042]
    """
    if of == 0:
        return 0.0, 1.0
    share, spread = found / of, z * z / of
    middle = share + spread / 2
    half = z * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return (0.0 if found == 0 else max(0.0, low)), (1.0 if found == of else min(1.0, high))


def share(found: int, of: int) -> float | None:
    """found / of to four digits; None of nothing."""
    return round(found / of, 4) if of else None
