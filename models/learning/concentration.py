"""How far traffic comes from fewer replicas than it would spread over, had each an equal share."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

#: Replicas below which "only one replica shows it" says nothing (method, section 5).
MIN_REPLICAS: Final = 3
#: Concentration where nothing is known.
UNKNOWN_CONCENTRATION: Final = 0.5

Floats = npt.NDArray[np.float64]


def concentration(seen: Floats | float, replicas: Floats | float, attempts: Floats | float) -> Floats:
    """
    How far attempts came from fewer replicas than they would spread over (method, section 5).

    Parameters
    ----------
    seen, replicas
        Distinct pods that made the attempts, and pods that the workload runs; NaN is unknown.
    attempts
        How many there were.

    Returns
    -------
    numpy.ndarray
        In [0, 1], 1 for all from one; `UNKNOWN_CONCENTRATION` where nothing can be told.

    Examples
    --------
    >>> concentration(np.array([1.0, 4.0, 1.0]), 4.0, np.array([50.0, 50.0, 1.0])).tolist()
    [1.0, 0.0, 0.5]
    """
    known = (np.asarray(seen) >= 1) & (np.asarray(replicas) >= MIN_REPLICAS)  # NaN compares false
    count = np.where(known, replicas, MIN_REPLICAS)
    spread = count * (1.0 - (1.0 - 1.0 / count) ** np.maximum(attempts, 1.0))
    tellable = known & (spread > 1.5)  # one attempt comes from one replica, whoever made it
    raw = 1.0 - (np.asarray(seen) - 1.0) / np.where(tellable, spread - 1.0, 1.0)
    return np.where(tellable, np.clip(raw, 0.0, 1.0), UNKNOWN_CONCENTRATION)
