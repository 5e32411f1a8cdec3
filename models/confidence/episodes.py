"""
Episodes ahead: a negative binomial per workload, its rate shrunk towards its group.

New cells come in clumps (a deploy, an incident, a monthly job brings several at once), so the unit that
is counted is the *episode*, a day on which something new showed, and the cells per episode multiply it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import gammaln
from scipy.stats import nbinom, poisson

Floats = npt.NDArray[np.float64]

#: Standard deviation of the normal prior on the log of the Gamma shape (method, section 4).
SHAPE_PRIOR_SD: Final = 1.5
#: Search interval of the log shape; four prior standard deviations to each side.
LOG_SHAPE_BOUNDS: Final = (-6.0, 6.0)
#: Half an episode in one more workload: a group without any episode is rare, not impossible.
PRIOR_EPISODES: Final = 0.5
PRIOR_WORKLOADS: Final = 1.0
#: Episodes' worth of weight that the group's mean clump has against a workload's own (section 4).
CLUMP_PRIOR_EPISODES: Final = 3.0
#: Ends of the interval that is shown.
INTERVAL: Final = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class GammaRate:
    """
    Gamma distribution of episode rates in a group of workloads.

    Parameters
    ----------
    shape, rate
        a and b; the mean rate is a / b per unit of exposure.
    """

    shape: float
    rate: float

    @classmethod
    def fit(cls, episodes: Floats, exposure: float) -> GammaRate:
        """
        Fit to the episodes counted in each workload of the group.

        Parameters
        ----------
        episodes
            Count per workload, shape (n_workloads,).
        exposure
            Exposure of each count, such as 1 window or a number of days; above zero.

        Returns
        -------
        GammaRate
            Maximum a posteriori shape; the rate follows from the mean, for which the group gets half an
            episode and one workload more.
        """
        mean = (float(episodes.sum()) + PRIOR_EPISODES) / (len(episodes) + PRIOR_WORKLOADS)

        def loss(log_shape: float) -> float:
            shape = math.exp(log_shape)
            log_density = (
                gammaln(shape + episodes)
                - gammaln(shape)
                + shape * math.log(shape / (shape + mean))
                + episodes * math.log(mean / (shape + mean))
            )
            return log_shape**2 / (2.0 * SHAPE_PRIOR_SD**2) - float(np.sum(log_density))

        found = minimize_scalar(loss, bounds=LOG_SHAPE_BOUNDS, method="bounded")
        shape = math.exp(float(found.x))
        return cls(shape, shape * exposure / mean)

    def ahead(self, episodes: Floats, exposure: float, horizon: float) -> Floats:
        """Expected episodes per workload over ``horizon`` units of exposure, given what it showed."""
        return np.asarray(horizon * (self.shape + episodes) / (self.rate + exposure), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Clumps:
    """
    Cells per episode in a group.

    Parameters
    ----------
    mean, mean_square
        Mean and mean square of the clump size; 1 when the group has had no episode.
    """

    mean: float
    mean_square: float

    @classmethod
    def of(cls, sizes: Floats) -> Clumps:
        """From the cells of each episode of the group."""
        if not len(sizes):
            return cls(1.0, 1.0)
        return cls(float(sizes.mean()), float(np.square(sizes).mean()))

    def shrunk(self, cells: Floats, episodes: Floats) -> Floats:
        """Clump size per workload, drawn towards the group."""
        return (cells + CLUMP_PRIOR_EPISODES * self.mean) / (episodes + CLUMP_PRIOR_EPISODES)


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    New cells ahead, per workload: shape (n_workloads,) each.

    Parameters
    ----------
    mean, variance
        Of the number of new cells.
    none
        Probability of no episode.
    """

    mean: Floats
    variance: Floats
    none: Floats


def forecast(group: GammaRate, clumps: Clumps, episodes: Floats, clump: Floats, ahead: Floats) -> Forecast:
    """
    Cells ahead of workloads with ``ahead`` expected episodes of ``clump`` cells each.

    The number of episodes is negative binomial with shape a + E and mean m, so
    ``P(0) = ((a+E) / (a+E+m))^(a+E)`` and ``Var = m * mean square clump + mean^2 / (a+E)``.
    """
    shape = group.shape + episodes
    mean = ahead * clump
    variance = ahead * clumps.mean_square + np.square(mean) / shape
    none = np.exp(shape * (np.log(shape) - np.log(shape + ahead)))
    return Forecast(mean, variance, none)


def count_interval(mean: float, variance: float, ends: tuple[float, float] = INTERVAL) -> tuple[int, int]:
    """
    Interval of a count matched to mean and variance: negative binomial, or Poisson if not over-dispersed.

    Examples
    --------
    >>> count_interval(0.0, 0.0), count_interval(4.0, 4.0), count_interval(4.0, 12.0)
    ((0, 0), (1, 8), (0, 11))
    """
    low, high = count_intervals(np.array([mean]), np.array([variance]), ends)
    return int(low[0]), int(high[0])


def count_intervals(
    means: Floats, variances: Floats, ends: tuple[float, float] = INTERVAL
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """`count_interval` of many counts: lower and upper ends, in the order of the means."""
    found = np.zeros((len(ends), len(means)), dtype=np.int64)
    quantile = np.array(ends)[:, None]
    some = ~(means <= 0.0)
    plain = some & (variances <= means * (1.0 + 1e-9))
    found[:, plain] = poisson.ppf(quantile, means[plain])
    over = some & ~plain
    share = means[over] / variances[over]
    found[:, over] = nbinom.ppf(quantile, means[over] * share / (1.0 - share), share)
    low, high = found
    return low, high
