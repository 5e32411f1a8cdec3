"""Two numbers that turn a score into a probability, held near their prior until labels insist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

Floats = npt.NDArray[np.float64]

#: Normal priors (mean, standard deviation) of slope and intercept: the score is right until shown wrong.
SLOPE_PRIOR: Final = (1.0, 0.5)
INTERCEPT_PRIOR: Final = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """
    ``p = 1 / (1 + exp(-(slope * score + intercept)))``; the slope is never below zero.

    Examples
    --------
    >>> Sigmoid().probability(np.array([0.0])).tolist()
    [0.5]
    """

    slope: float = SLOPE_PRIOR[0]
    intercept: float = INTERCEPT_PRIOR[0]

    @classmethod
    def fit(cls, scores: Floats, labels: Floats, weights: Floats, lowest: float = 0.0) -> Sigmoid:
        """
        Maximum a posteriori fit.

        Parameters
        ----------
        scores
            Log odds before calibration, finite.
        labels
            0 or 1.
        weights
            At least 0; a label of weight 0.2 counts a fifth.
        lowest
            Slope that labels cannot push it below, at least 0.
        """
        # one fixed order, so that the sums do not depend on the order of the cases
        order = np.lexsort((weights, labels, scores))
        x, y, w = scores[order], labels[order], weights[order]

        def loss(theta: Floats) -> float:
            score = theta[0] * x + theta[1]
            data = float(np.sum(w * (np.logaddexp(0.0, score) - y * score)))
            slope = ((theta[0] - SLOPE_PRIOR[0]) / SLOPE_PRIOR[1]) ** 2
            intercept = ((theta[1] - INTERCEPT_PRIOR[0]) / INTERCEPT_PRIOR[1]) ** 2
            return data + 0.5 * float(slope + intercept)

        start = np.array([SLOPE_PRIOR[0], INTERCEPT_PRIOR[0]])
        found = minimize(loss, start, method="L-BFGS-B", bounds=[(lowest, None), (None, None)])
        return cls(float(found.x[0]), float(found.x[1]))

    def probability(self, scores: Floats) -> Floats:
        """Probability of each score."""
        return np.asarray(expit(self.slope * scores + self.intercept), dtype=np.float64)
