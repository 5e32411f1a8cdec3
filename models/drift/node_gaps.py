"""
A node whose exporter was silent for some hours and came back: what happened there then is not known.

A node that is new, replaced or scaled away is no gap: only one that delivered before and after counts, in a
cluster whose nodes deliver in every hour of an ordinary night.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: Whole hours in a row without a record of the node below which it was merely restarted.
MIN_GAP_HOURS: Final = 2
#: Share of the nights before on which a node fell silent too from which silence says nothing here: a node
#: with few pods, or one that is stopped at night.
MAX_USUAL: Final = 0.2


@dataclass(frozen=True, slots=True)
class NodeGap:
    """
    The longest gap of a night.

    Parameters
    ----------
    nodes, of_nodes
        How many were silent at once, of how many.
    first_hour, last_hour
        First and last silent hour, in hours since the epoch.
    """

    nodes: int
    of_nodes: int
    first_hour: int
    last_hour: int

    @property
    def hours(self) -> int:
        """Length in whole hours."""
        return self.last_hour - self.first_hour + 1


def node_gap(night: "pd.DataFrame", history: "pd.DataFrame | None") -> NodeGap | None:
    """
    Find the longest stretch in which a node was silent that delivered before and after it.

    Parameters
    ----------
    night, history
        COVERAGE rows (`models.frames`) of the window and of the days before it.

    Returns
    -------
    NodeGap or None
        ``None`` also where the days before it had such gaps as often as not.
    """
    found = max(_gaps(night), key=lambda gap: (gap.hours, gap.nodes, -gap.first_hour), default=None)
    if found is None or history is None or history.empty:
        return found
    days = [rows for _, rows in history.groupby("day", sort=True)]
    usual = sum(any(True for _ in _gaps(rows)) for rows in days)
    return found if usual <= MAX_USUAL * len(days) else None


def _gaps(frame: "pd.DataFrame") -> Iterator[NodeGap]:
    """Stretches of hours with fewer nodes than were there, and than in the hour before and the hour after."""
    hourly = frame.groupby("hour", sort=True)[["nodes", "expected_nodes"]].max()
    hours, nodes = hourly.index.to_numpy(dtype=np.int64), hourly["nodes"].to_numpy(dtype=np.int64)
    there = hourly["expected_nodes"].to_numpy(dtype=np.int64)
    if not len(nodes) or there.max() > nodes.max():
        return  # never all of them at once: one took the place of another
    level = int(nodes.max())
    full = np.flatnonzero(nodes == level)
    for left, right in pairwise(full.tolist()):
        first, last = int(hours[left]) + 1, int(hours[right]) - 1
        between = nodes[left + 1 : right]
        # An hour without any record at all is missing for every node and is told as such.
        heard = between.min(initial=level) > 0 and len(between) == last - first + 1
        # Where fewer were there, the others had left and came, or others came in their place.
        if len(between) >= MIN_GAP_HOURS and heard and there[left + 1 : right].min() == level:
            yield NodeGap(level - int(between.max()), level, first, last)
