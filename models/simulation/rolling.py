"""
Rolling origin: learn on the first days, replay the days after them, again and again.

The only back-test that can fail: nothing that is tested was seen when it was learned. One implementation
of the split (`models.domain.window.splits`) serves this replay of policies and the calibration of
probabilities alike.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

import pandas as pd

from models.domain.capabilities import CapabilityHints
from models.domain.policy import PolicySet
from models.domain.window import Split, Window
from models.frames import Observations
from models.simulation.backtest import WindowBacktest, backtest


@dataclass(frozen=True, slots=True)
class OriginBacktest:
    """
    What was learned up to an origin, tested on the days after it.

    Parameters
    ----------
    split
        Which days.
    policy_count
        Objects that were learned; 0 closes nothing and so denies nothing.
    backtest
        Of the days held out, with its detail by day.
    """

    split: Split
    policy_count: int
    backtest: WindowBacktest

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """Form for reports: the two windows, the counts, each day, and the first lines."""
        return {
            "learned": _window(self.split.learned),
            "tested": _window(self.split.tested),
            "policies": self.policy_count,
            **self.backtest.to_json(limit),
        }


def _window(window: Window) -> dict[str, str]:
    return {"start": window.start.isoformat(), "end": window.end.isoformat()}


def rolling_origin(
    observe: Callable[[Window], Observations],
    learn: Callable[[Observations], PolicySet],
    splits: Iterable[Split],
    *,
    hints: CapabilityHints | None = None,
) -> tuple[OriginBacktest, ...]:
    """
    Learn on the days before every origin and replay those after it.

    Parameters
    ----------
    observe
        Observations of a part of the window: of the store, read again for each part, so that nothing
        seen after the part is in it; or of frames in memory, by `part_of`.
    learn
        Policies from observations.
    splits
        From `models.domain.window.splits`, or any others.
    hints
        What is known of the cluster.

    Returns
    -------
    tuple of OriginBacktest
        In the order of the splits; empty for a window too short to hold any days out.
    """
    found = []
    for split in splits:
        policies = learn(observe(split.learned))
        tested = backtest(observe(split.tested), policies, hints=hints)
        found.append(OriginBacktest(split, len(policies.policies), tested))
    return tuple(found)


def part_of(observations: Observations, window: Window) -> Observations:
    """
    Cut frames in memory to whole days: quick, for many origins of one window.

    What the frames do not hold by day stays whole: requests (`edge_routes`), pods per edge, DNS
    lookups, and the labels of owners seen before the end of the part. A name or a label that was learned
    later may therefore help to read an earlier day; reading the store again never does that.

    Parameters
    ----------
    observations
        Of a window that holds the part.
    window
        From midnight to midnight, UTC.
    """
    first, last = (moment.astimezone(UTC).strftime("%Y-%m-%d") for moment in (window.start, window.end))
    end_us = window.end.timestamp() * 1_000_000

    def days(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame["day"] >= first) & (frame["day"] < last)].reset_index(drop=True)

    def known(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["first_us"] < end_us].reset_index(drop=True)

    return replace(
        observations,
        window=window,
        edge_days=days(observations.edge_days),
        identities=known(observations.identities),
        pods=known(observations.pods),
        coverage=days(observations.coverage),
        http_days=days(observations.http_days),
    )
