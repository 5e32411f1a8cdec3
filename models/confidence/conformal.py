"""
Adaptive conformal level: an interval that missed too often gets wider, whatever the reason.

After Gibbs and Candes (2021): ``alpha[t+1] = alpha[t] + step * (alpha - missed[t])``.
"""

from __future__ import annotations

from typing import Final

#: Share of intervals that may miss.
TARGET_MISS: Final = 0.1
#: How fast the level follows (method, section 4).
STEP: Final = 0.05
#: The level stays inside, so that an interval never becomes everything or a point.
BOUNDS: Final = (0.005, 0.5)


def next_level(level: float, *, missed: bool, target: float = TARGET_MISS, step: float = STEP) -> float:
    """
    Nominal miss rate of the next interval.

    Parameters
    ----------
    level
        That of the last one.
    missed
        Whether it missed.
    target
        Miss rate wanted in the long run.
    step
        Change per miss.

    Examples
    --------
    >>> round(next_level(0.1, missed=True), 3), round(next_level(0.1, missed=False), 3)
    (0.055, 0.105)
    """
    return min(max(level + step * (target - float(missed)), BOUNDS[0]), BOUNDS[1])


def interval_ends(level: float) -> tuple[float, float]:
    """Lower and upper quantile of an interval that misses at ``level``, half on each side."""
    return level / 2.0, 1.0 - level / 2.0
