"""Draws that the parts of the generator share."""

from typing import Final

import numpy as np

from jobs.evaluation.nouns import ALWAYS, WORKDAYS, Rhythm

#: Share of working links that rest at weekends.
WORKDAY_SHARE: Final = 0.25


def happens(rng: np.random.Generator, share: float) -> bool:
    """Whether something happens that does so in a share of cases."""
    return bool(rng.random() < share)


def busy(rng: np.random.Generator) -> float:
    """Records a day of a working link: tens to thousands."""
    return float(np.clip(rng.lognormal(5.5, 1.0), 20.0, 5000.0))


def rare(rng: np.random.Generator) -> float:
    """Records on a day of use of a rare link."""
    return float(rng.integers(1, 6))


def steady(rng: np.random.Generator) -> Rhythm:
    """Every day, or every working day."""
    return Rhythm(WORKDAYS) if happens(rng, WORKDAY_SHARE) else Rhythm(ALWAYS)
