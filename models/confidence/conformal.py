"""
Adaptive conformal level: an interval that missed too often gets wider, whatever the reason.

After Gibbs and Candes (2021): ``alpha[t+1] = alpha[t] + step * (alpha - missed[t])``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Share of intervals that may miss.
TARGET_MISS: Final = 0.1
#: How fast the level follows (method, section 4).
STEP: Final = 0.05
#: The level stays inside, so that an interval never becomes everything or a point.
BOUNDS: Final = (0.005, 0.5)


def steer_level(missed: Iterable[bool | float], target: float = TARGET_MISS, step: float = STEP) -> float:
    """
    Nominal miss rate after a series of intervals.

    Parameters
    ----------
    missed
        Per back-test, oldest first: whether the interval missed, or the share that did.
    target
        Miss rate wanted in the long run.
    step
        Change per miss.

    Examples
    --------
    >>> round(steer_level([True, True]), 3), round(steer_level([False] * 3), 3)
    (0.01, 0.115)
    """
    level = target
    for miss in missed:
        level = min(max(level + step * (target - float(miss)), BOUNDS[0]), BOUNDS[1])
    return level


def interval_ends(level: float) -> tuple[float, float]:
    """Lower and upper quantile of an interval that misses at ``level``, half on each side."""
    return level / 2.0, 1.0 - level / 2.0
