"""HTTP requests by edge: how much of an edge a proxy recorded, and what it let pass."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from models.synthesis.edges import EDGE_KEY, Edge, EdgeTable

_KEY: Final = tuple(column for column in EDGE_KEY if column != "icmp_type")
_MEASURES: Final = ("method", "route", "day", "flows", "l7_denied", "answered", "failed")


@dataclass(slots=True)
class Requests:
    """
    What was seen of one method and path on some edges.

    Parameters
    ----------
    flows, denied
        Requests that passed the proxy, and that it refused.
    answered, failed
        Responses, and those of them with a status of 400 or higher.
    days
        Calendar days with a request that passed.
    """

    flows: int = 0
    denied: int = 0
    answered: int = 0
    failed: int = 0
    days: set[str] = field(default_factory=set)

    def add(self, day: str, flows: int, denied: int, answered: int, failed: int) -> None:
        """Count one day."""
        self.flows += flows
        self.denied += denied
        self.answered += answered
        self.failed += failed
        if flows:
            self.days.add(day)


class HttpSeen:
    """
    Requests of a window by edge.

    Parameters
    ----------
    http_days
        HTTP_DAYS (`models.frames`).
    table
        The edges of the same window.
    """

    def __init__(self, http_days: pd.DataFrame, table: EdgeTable) -> None:
        size = len(table.edges)
        self._hours = np.zeros(size, dtype=np.int64)
        np.add.at(self._hours, table.day_edge, np.bitwise_count(table.day_hours))
        self._recorded = np.zeros(size, dtype=np.int64)
        self._rows: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        place_of = {edge[1:7]: edge.place for edge in table.edges} if len(http_days) else {}
        hours: dict[tuple[int, str], int] = defaultdict(int)
        keys = zip(*(http_days[name].tolist() for name in _KEY), strict=True)
        rows = zip(*(http_days[name].tolist() for name in _MEASURES), strict=True)
        for key, row, bits in zip(keys, rows, http_days["hours"].tolist(), strict=True):
            place = place_of.get(key)
            if place is not None:
                self._rows[place].append(row)
                hours[place, row[2]] |= bits
        for (place, _), bits in hours.items():
            self._recorded[place] += bits.bit_count()

    def hours(self, edges: Iterable[Edge]) -> tuple[int, int]:
        """
        Hours with a recorded request, and hours with any traffic, summed over edges.

        The first is 0 as soon as one edge has no request at all: then a part of the pods is not inspected.
        """
        places = [edge.place for edge in edges]
        recorded = [int(self._recorded[place]) for place in places]
        total = sum(int(self._hours[place]) for place in places)
        return (sum(recorded) if all(recorded) else 0), total

    def any(self, edges: Iterable[Edge]) -> bool:
        """Whether any request was recorded on any of the edges."""
        return any(self._recorded[edge.place] for edge in edges)

    def requests(self, edges: Iterable[Edge]) -> dict[tuple[str, str], Requests]:
        """Requests of some edges by method and path, sorted."""
        found: dict[tuple[str, str], Requests] = defaultdict(Requests)
        for edge in edges:
            for method, route, *counts in self._rows.get(edge.place, ()):
                found[method, route].add(*counts)
        return dict(sorted(found.items()))
