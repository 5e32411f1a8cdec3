"""
How many things not seen yet will show: the smoothed Good-Toulmin estimator on day-incidence.

Of Q_k things seen on exactly k of T days, about sum over k of w_k Q_k new ones show within H more days
(Orlitsky, Suresh and Wu, 2016, here in its Bernoulli-product form). Without the binomial smoothing the
alternating series explodes; with it, eight terms are enough.
"""

from __future__ import annotations

from math import comb
from typing import Final

import numpy as np
import numpy.typing as npt

from models.errors import BadInputError

#: Terms of the smoothed series (method, section 4).
TERMS: Final = 8


def good_toulmin_weights(day_count: int, horizon: int, terms: int = TERMS) -> npt.NDArray[np.float64]:
    """
    Weights w_1..w_K of the smoothed series.

    ``w_k = (-1)^(k+1) * C(H+k-1, k) / C(T, k) * P(Bin(K, 1/2) >= k)``

    Parameters
    ----------
    day_count
        T: fully observed days, at least ``terms``.
    horizon
        H: days ahead.
    terms
        K: length of the result.

    Raises
    ------
    BadInputError
        If there are fewer days than terms.

    Examples
    --------
    >>> good_toulmin_weights(14, 7).round(5).tolist()
    [0.49805, -0.29688, 0.19742, -0.13358, 0.08383, -0.04447, 0.01758, -0.00391]
    """
    if day_count < terms:
        raise BadInputError(f"{day_count} days are too few for a series of {terms} terms")
    tail = (
        np.array([sum(comb(terms, j) for j in range(k, terms + 1)) for k in range(1, terms + 1)]) / 2.0**terms
    )
    ratio = np.array([comb(horizon + k - 1, k) / comb(day_count, k) for k in range(1, terms + 1)])
    sign = np.where(np.arange(terms) % 2 == 0, 1.0, -1.0)
    return np.asarray(sign * ratio * tail, dtype=np.float64)


def incidence_counts(days_seen: npt.NDArray[np.int64], terms: int = TERMS) -> npt.NDArray[np.int64]:
    """Q_1..Q_K: how many things were seen on exactly k days."""
    return np.bincount(np.clip(days_seen, 0, terms + 1), minlength=terms + 2)[1 : terms + 1].astype(np.int64)


def expected_unseen(days_seen: npt.NDArray[np.int64], day_count: int, horizon: int) -> float:
    """
    New things expected within the horizon; the raw series, which may be below zero.

    Returns ``0.0`` when the window is shorter than the series: too little seen to extrapolate.
    """
    if day_count < TERMS:
        return 0.0
    return float(good_toulmin_weights(day_count, horizon) @ incidence_counts(days_seen))
