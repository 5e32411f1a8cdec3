"""Counts that can be added over worlds, and forecasts that can be pooled."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

ALL = "all"


@dataclass(slots=True)
class Measured:
    """
    What one proposer did in one world.

    Parameters
    ----------
    counts
        (metric, part, hits, total); the figure is their quotient, whatever is pooled.
    forecasts
        (kind, predicted, happened): probabilities and what came true.
    intervals
        (kind, low, high, actual): forecasts of numbers.
    """

    counts: list[tuple[str, str, float, float]] = field(default_factory=list)
    forecasts: list[tuple[str, float, float]] = field(default_factory=list)
    intervals: list[tuple[str, float, float, float]] = field(default_factory=list)

    def add(self, metric: str, hits: float, total: float, part: str = ALL) -> None:
        """Count hits of a total."""
        self.counts.append((metric, part, float(hits), float(total)))

    def forecast(self, kind: str, predicted: float | None, happened: bool) -> None:
        """Keep a forecast; one that was not given counts as missing."""
        self.add(f"{kind}_given", predicted is not None, 1)
        if predicted is not None:
            self.forecasts.append((kind, float(predicted), float(happened)))


def count_frame(counts: Iterable[tuple[str, str, float, float]]) -> pd.DataFrame:
    """Counts as a frame: ``metric part hits total``, added up."""
    frame = pd.DataFrame(list(counts), columns=["metric", "part", "hits", "total"])
    return frame.groupby(["metric", "part"], as_index=False, sort=True)[["hits", "total"]].sum()
