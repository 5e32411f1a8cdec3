"""
What an ordinary night looks like: predictive distributions per series, with false-discovery control.

Method, section 8: a Gamma prior pooled over all series, over-dispersion pooled and own, history capped
once at the 1 - 10^-4 quantile, a factor for the type of day, the tail of a negative binomial, and
Benjamini-Hochberg over the series of one kind and night. A cumulative sum finds what creeps.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

#: Nights that a baseline looks back (method: 21 to 28).
BASELINE_NIGHTS: Final = 28
#: Nights below which a series has no baseline of its own and the pooled prior stands alone.
MIN_NIGHTS: Final = 14
#: Nights of the cluster below which there is no baseline at all: a week, so that each weekday was seen.
MIN_CLUSTER_NIGHTS: Final = 7
PRIOR_SHAPE: Final = 0.5  # a0
FALSE_DISCOVERY: Final = 0.1  # q
#: Mean count from which a series says something about over-dispersion.
_BUSY_MEAN: Final = 0.2
_OWN_WEIGHT: Final = 60.0  # episodes at which own over-dispersion weighs as much as the pooled one
_OWN_FLOOR: Final = 0.7
_CAP_TAIL: Final = 1e-4
_DAY_TYPE_WEIGHT: Final = 10.0
_DAY_TYPE_RANGE: Final = (0.4, 2.0)
_INTERVAL: Final = (0.05, 0.95)
CUSUM_SLACK: Final = 0.5
CUSUM_ALARM: Final = 5.0
#: Quantile beyond which nothing is resolved; also keeps logarithms finite.
_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Predicted:
    """
    What tonight should have been, per series; every array has shape (series,).

    Parameters
    ----------
    mean, low, high
        Mean and the 5 % and 95 % quantiles of the predictive distribution.
    chance
        Probability of a count at least as high as tonight's.
    flagged
        Whether it stands out at the false-discovery rate asked for.
    creeping
        Cumulative sum of what was above expectation over the newer half of the baseline and tonight.
    """

    mean: Floats
    low: Floats
    high: Floats
    chance: Floats
    flagged: NDArray[np.bool_]
    creeping: Floats


def day_types(weekdays: NDArray[np.int64]) -> NDArray[np.int64]:
    """0 for a working day, 1 for Saturday and Sunday."""
    return (weekdays >= 5).astype(np.int64)


def predict(
    history: Floats,
    tonight: Floats,
    same_type: NDArray[np.bool_],
    *,
    nights: NDArray[np.int64] | None = None,
    exposure: float = 1.0,
    rate: float = FALSE_DISCOVERY,
) -> Predicted:
    """
    Judge tonight's counts of all series of one kind.

    Parameters
    ----------
    history
        Counts per night and series, shape (nights, series); only nights that were fully observed.
    tonight
        Counts, shape (series,).
    same_type
        Which nights were of tonight's type of day, shape (nights,).
    nights
        Nights for which each series existed, shape (series,); all of them when absent. A series of
        fewer than `MIN_NIGHTS` is judged by the pooled prior alone.
    exposure
        Length of tonight against a whole day; a report over six hours expects a quarter.
    rate
        Tolerated share of false discoveries.

    Returns
    -------
    Predicted
        In the order of the series; independent of it otherwise.
    """
    length, count = history.shape
    lived = np.full(count, length) if nights is None else np.minimum(nights, length)
    own = lived >= min(MIN_NIGHTS, length)
    pooled_mean = _pooled_mean(history, lived)
    model = _Model.fit(history, pooled_mean, own)
    capped = np.minimum(history, stats.nbinom.isf(_CAP_TAIL, *_negative_binomial(model.mean, model.shape)))
    model = _Model.fit(capped, pooled_mean, own)
    mean = model.mean * _day_factor(capped, same_type, model.mean) * exposure
    size, success = _negative_binomial(mean, model.shape)
    chance = np.where(tonight > 0, stats.nbinom.sf(tonight - 1, size, success), 1.0)
    chance = np.clip(np.nan_to_num(chance, nan=1.0), _TINY, 1.0)
    return Predicted(
        mean=mean,
        low=stats.nbinom.ppf(_INTERVAL[0], size, success),
        high=stats.nbinom.ppf(_INTERVAL[1], size, success),
        chance=chance,
        flagged=discoveries(chance, rate),
        creeping=_creeping(capped, tonight / max(exposure, 1e-9), model.shape),
    )


@dataclass(frozen=True, slots=True)
class _Model:
    """Mean and shape of the predictive distribution per series."""

    mean: Floats
    shape: Floats

    @classmethod
    def fit(cls, history: Floats, pooled_mean: float, own: NDArray[np.bool_]) -> "_Model":
        """Posterior mean and dispersion; series without a history of their own keep the prior."""
        length = history.shape[0]
        total = np.where(own, history.sum(axis=0), 0.0)
        seen = np.where(own, length, 0)
        prior_rate = PRIOR_SHAPE / pooled_mean
        mean = (PRIOR_SHAPE + total) / (prior_rate + seen)
        dispersion = _dispersion(history, total)
        return cls(mean, 1.0 / (dispersion + 1.0 / (PRIOR_SHAPE + total)))


def _pooled_mean(history: Floats, lived: NDArray[np.int64]) -> float:
    """Mean count of a night over all series, kept away from zero: silence so far is no proof."""
    nights = max(float(lived.sum()), 1.0)
    return max(float(history.sum()), 0.5) / nights


def _dispersion(history: Floats, total: Floats) -> Floats:
    """Own over-dispersion drawn towards the pooled one, never far below it."""
    length, count = history.shape
    if length < 2:
        return np.ones(count)
    means = history.mean(axis=0)
    excess = history.var(axis=0, ddof=1) - means
    busy = means > _BUSY_MEAN
    squares = float((means[busy] ** 2).sum())
    pooled = max(float(excess[busy].sum()) / squares, 0.0) if squares > 0 else 0.0
    own = np.clip(excess / np.maximum(means**2, 1e-12), 0.0, 10.0)
    weight = total / (total + _OWN_WEIGHT)
    return np.asarray(np.maximum(weight * own + (1.0 - weight) * pooled, _OWN_FLOOR * pooled))


def _negative_binomial(mean: Floats, shape: Floats) -> tuple[Floats, Floats]:
    return shape, shape / (shape + np.maximum(mean, 1e-12))


def _day_factor(history: Floats, same_type: NDArray[np.bool_], mean: Floats) -> Floats:
    """Tonight's type of day against all nights: ``clip((4 s + 10 m) / 14 m, 0.4, 2)``."""
    if not same_type.any():
        return np.ones_like(mean)
    same = history[same_type].mean(axis=0)
    factor = (4.0 * same + _DAY_TYPE_WEIGHT * mean) / (14.0 * np.maximum(mean, 1e-12))
    return np.asarray(np.clip(factor, *_DAY_TYPE_RANGE))


def discoveries(chance: Floats, rate: float = FALSE_DISCOVERY) -> NDArray[np.bool_]:
    """
    Benjamini and Hochberg (1995): which of many tests to believe at a false-discovery rate.

    Examples
    --------
    >>> discoveries(np.array([0.001, 0.5, 0.04, 0.9]), 0.1).tolist()
    [True, False, True, False]
    """
    count = len(chance)
    if not count:
        return np.zeros(0, dtype=np.bool_)
    order = np.argsort(chance, kind="stable")
    below = chance[order] <= rate * np.arange(1, count + 1) / count
    last = int(np.flatnonzero(below).max()) if below.any() else -1
    found: NDArray[np.bool_] = np.zeros(count, dtype=np.bool_)
    if last >= 0:
        found = chance <= chance[order][last]
    return found


def _creeping(history: Floats, tonight: Floats, shape: Floats) -> Floats:
    """``S = max(0, S + z - 0.5)`` over the newer half and tonight, against the older half."""
    length = history.shape[0]
    half = length // 2
    if half < MIN_CLUSTER_NIGHTS:
        return np.zeros(history.shape[1])
    old = history[:half]
    # A gate that showed nothing before did not creep: it began, and tonight's own test finds that.
    began = old.mean(axis=0) >= _BUSY_MEAN
    mean = (old.sum(axis=0) + PRIOR_SHAPE) / (half + 1.0)
    spread = np.sqrt(mean + mean**2 / np.maximum(shape, 1e-12))
    level = np.zeros(history.shape[1])
    newer: list[Any] = [*history[half:], tonight]
    for night in newer:
        level = np.maximum(0.0, level + (night - mean) / spread - CUSUM_SLACK)
    return np.asarray(np.where(began, level, 0.0))
