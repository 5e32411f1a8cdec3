"""On which days a label set was seen, and whether its workload has fallen silent for good."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain, pairwise
from typing import Final

import numpy as np
import pandas as pd

from models.frames import Observations

#: Days of silence after which a workload that was seen daily is gone; shorter silences are weekends.
MIN_SILENT_DAYS: Final = 3
#: A silence this many times longer than any earlier gap between two days is not a rhythm.
SILENCE_PER_GAP: Final = 2
#: Workloads that run to completion are silent between runs; monthly ones for 31 days.
PERIODIC_SILENT_DAYS: Final = 35
#: A workload seen on one day only says nothing about its rhythm; a weekly one returns within 7 days.
SINGLE_DAY_SILENT_DAYS: Final = 8


@dataclass(frozen=True, slots=True)
class Activity:
    """
    Days of sight by label set.

    Parameters
    ----------
    days
        Day ordinals (proleptic Gregorian) by label-set key.
    last_day
        Last day on which the cluster was listened to.
    """

    days: Mapping[str, frozenset[int]]
    last_day: int

    @classmethod
    def of(cls, observations: Observations) -> "Activity":
        """Days on which a label set called somebody, or was called and did not keep silent."""
        frame = observations.edge_days
        egress, silent = frame["direction"] == "egress", _silent(frame)
        endpoint = frame["peer_kind"] == "endpoint"
        days: dict[str, set[int]] = {}
        for end, signs in (("subject", egress | ~silent), ("peer", endpoint & ~(egress & silent))):
            for key, day in _distinct(frame.loc[signs, [end, "day"]]):
                days.setdefault(key, set()).add(date.fromisoformat(day).toordinal())
        coverage = observations.coverage
        listened = coverage["day"][(coverage["nodes"] > 0) & (coverage["flows"] > 0)].unique()
        last_day = max(
            [
                *chain.from_iterable(days.values()),
                *(date.fromisoformat(str(day)).toordinal() for day in listened),
            ],
            default=0,
        )
        return cls({key: frozenset(value) for key, value in days.items()}, last_day)

    def gone(self, keys: Iterable[str], *, periodic: bool) -> bool:
        """
        Whether a workload fell silent for longer than its own rhythm explains.

        Parameters
        ----------
        keys
            Its label sets.
        periodic
            It is a CronJob or Job.
        """
        seen = sorted(set().union(*(self.days.get(key, frozenset()) for key in keys)))
        if not seen:
            return False
        silent = self.last_day - seen[-1]
        if periodic:
            return silent >= PERIODIC_SILENT_DAYS
        if len(seen) == 1:
            return silent >= SINGLE_DAY_SILENT_DAYS
        gap = max(later - earlier for earlier, later in pairwise(seen))
        return silent >= max(MIN_SILENT_DAYS, SILENCE_PER_GAP * gap + 1)


def _distinct(rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Distinct pairs of two columns of texts: by number, for texts are few and rows many."""
    (one, ones), (other, others) = (pd.factorize(rows[column]) for column in rows.columns)
    pairs = np.unique(one * max(len(others), 1) + other)
    names, more = ones.tolist(), others.tolist()
    yield from ((names[pair // len(more)], more[pair % len(more)]) for pair in pairs.tolist())


def _silent(edges: pd.DataFrame) -> "pd.Series[bool]":
    """Edge-days without an answer although one would have been seen: no sign of life of the server."""
    connects = edges["protocol"].isin(("TCP", "SCTP")) & (edges["flows"] > 0)
    unheard = (edges["answered"] == 0) & (edges["reset"] == 0)
    return connects & unheard & edges["replies_visible"].astype(bool)
