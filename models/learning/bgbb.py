"""
The beta-geometric / beta-Bernoulli likelihood (Fader, Hardie and Shang, 2010), on tables.

An alive cell shows on each day with probability p ~ Beta(alpha, beta); before each opportunity it dies
with probability theta ~ Beta(gamma, delta). With x' returns in n opportunities, the last at t_x,

    L = B(alpha+x', beta+n-x')/B(alpha, beta) * B(gamma, delta+n)/B(gamma, delta)
      + sum over i in [0, n-t_x) of
        B(alpha+x', beta+t_x-x'+i)/B(alpha, beta) * B(gamma+1, delta+t_x+i)/B(gamma, delta).

The summand depends on x' and m = t_x+i only, so all triples up to n share one table of partial sums;
everything stays in logarithms, because 63 days at extreme parameters underflow a double.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import betaln

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Standard deviation of the normal prior on each log parameter (method, section 3).
PRIOR_SD: Final = 3.0
#: Starting points of the search, as log parameters: flat, and a typical estate.
STARTS: Final = ((0.0, 0.0, 0.0, 0.0), (0.2, -0.3, -0.4, 1.0))
#: Nelder-Mead stops when the log posterior and the log parameters move less than this.
TOLERANCE: Final = 1e-3
MAX_EVALUATIONS: Final = 2000


@dataclass(frozen=True, slots=True)
class BgBb:
    """
    Parameters of one class of cells, all above zero.

    Examples
    --------
    >>> model = BgBb(1.20, 0.75, 0.66, 2.78)
    >>> triple = np.array([3]), np.array([6]), np.array([6])
    >>> [round(float(v[0]), 4) for v in (model.alive(*triple), model.need(*triple, 5))]
    [0.9301, 0.8373]
    """

    alpha: float
    beta: float
    gamma: float
    delta: float

    def log_likelihood(self, returns: Ints, last: Ints, opportunities: Ints) -> Floats:
        """
        Log likelihood of each triple (x', t_x, n).

        Parameters
        ----------
        returns
            x': opportunities with presence.
        last
            t_x: index of the last presence, 0 when x' = 0.
        opportunities
            n: full days after first sight.
        """
        return _log_likelihood(self, returns, last, opportunities)

    def need(self, returns: Ints, last: Ints, opportunities: Ints, horizon: int) -> Floats:
        """Probability of at least one presence in the ``horizon`` days after the window."""
        now = self.log_likelihood(returns, last, opportunities)
        silent = self.log_likelihood(returns, last, opportunities + horizon)
        return np.asarray(np.clip(-np.expm1(silent - now), 0.0, 1.0), dtype=np.float64)

    def alive(self, returns: Ints, last: Ints, opportunities: Ints) -> Floats:
        """Probability that the cell is still alive for the opportunity after the window."""
        survived = (
            betaln(self.alpha + returns, self.beta + opportunities - returns)
            - betaln(self.alpha, self.beta)
            + betaln(self.gamma, self.delta + opportunities + 1)
            - betaln(self.gamma, self.delta)
        )
        alive = np.exp(survived - self.log_likelihood(returns, last, opportunities))
        return np.asarray(np.clip(alive, 0.0, 1.0), dtype=np.float64)

    @classmethod
    def fit(cls, returns: Ints, last: Ints, opportunities: Ints, counts: Floats) -> Self:
        """
        Maximum a posteriori parameters of triples with multiplicity.

        Parameters
        ----------
        returns, last, opportunities
            Distinct triples, shape (n_triples,).
        counts
            How many cells have each triple. None at all gives the mode of the prior.

        Returns
        -------
        BgBb
            The better of the two searches; ties go to the first.
        """

        def loss(logs: Floats) -> float:
            log_prior = -float(np.square(logs).sum()) / (2.0 * PRIOR_SD**2)
            model = cls(*(float(v) for v in np.exp(logs)))
            return -log_prior - float(counts @ model.log_likelihood(returns, last, opportunities))

        options = {"xatol": TOLERANCE, "fatol": TOLERANCE, "maxfev": MAX_EVALUATIONS}
        found = [minimize(loss, start, method="Nelder-Mead", options=options) for start in STARTS]
        best = min(found, key=lambda result: float(result.fun))
        return cls(*(float(v) for v in np.exp(best.x)))

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Alpha, beta, gamma, delta."""
        alpha, beta, gamma, delta = astuple(self)
        return alpha, beta, gamma, delta


def _log_likelihood(model: BgBb, returns: Ints, last: Ints, opportunities: Ints) -> Floats:
    if not len(returns):
        return np.zeros(0)
    alive = (
        betaln(model.alpha + returns, model.beta + opportunities - returns)
        - betaln(model.alpha, model.beta)
        + betaln(model.gamma, model.delta + opportunities)
        - betaln(model.gamma, model.delta)
    )
    died = _died(model, returns, last, opportunities)
    return np.asarray(np.logaddexp(alive, died), dtype=np.float64)


def _died(model: BgBb, returns: Ints, last: Ints, opportunities: Ints) -> Floats:
    """Log of the sum over the day of death; minus infinity when the last day shows presence."""
    ends, end_of = np.unique(opportunities, return_inverse=True)
    longest = int(ends[-1])
    hits, day = np.arange(int(returns.max()) + 1)[:, None], np.arange(max(longest, 1))[None, :]
    term = np.full((len(hits), max(longest, 1)), -np.inf)
    valid = np.broadcast_to(day >= hits, term.shape)
    misses = np.where(valid, day - hits, 0)
    term[valid] = (
        betaln(model.alpha + hits, model.beta + misses)
        - betaln(model.alpha, model.beta)
        + betaln(model.gamma + 1.0, model.delta + day)
        - betaln(model.gamma, model.delta)
    )[valid]
    # partial[m, x', k] = log of the sum of term[x', m .. ends[k]-1], filled from the newest day back
    partial = np.full((longest + 1, len(hits), len(ends)), -np.inf)
    for m in range(longest - 1, -1, -1):
        later = int(np.searchsorted(ends, m, side="right"))  # windows that end after day m
        np.logaddexp(partial[m + 1, :, later:], term[:, m, None], out=partial[m, :, later:])
    return np.asarray(partial[last, returns, end_of], dtype=np.float64)
