"""
The distinct edges of a window, folded from their days in one pass.

The days are many (hundreds of thousands), the edges few (tens of thousands): everything per day is done
here with vectorised operations, everything later loops over `Edge` alone.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.frames import Observations, changes
from models.synthesis.cell_pods import pod_names

#: What makes two edge-days the same edge.
EDGE_KEY: Final = ("subject", "direction", "peer_kind", "peer", "protocol", "port", "icmp_type")
_SUMS: Final = ("flows", "connections", "answered", "reset", "audited", "denied", "l7_denied", "dropped")
_MAX_SAMPLES: Final = 3
#: Place of an edge that is in no table.
NO_PLACE: Final = -1
_DAY_US: Final = 24 * 3600 * 1_000_000


Ints = npt.NDArray[np.int64]


class Edge(NamedTuple):
    """
    One edge over the whole window; the columns of ``EDGE_DAYS``, folded.

    ``working_days`` are the days on which it passed; ``visible_days`` those of them on which a reply
    would have been seen; ``answered_days`` those on which one was. ``aggregated`` holds only if every
    record was; ``own_end`` if any was seen at the subject's end. Texts of a kind are distinct, and sorted but
    for samples. The names of pods are there where they were two at most, so that all of them are known.
    """

    place: int
    subject: str
    direction: str
    peer_kind: str
    peer: str
    protocol: str
    port: int
    icmp_type: int
    flows: int
    connections: int
    answered: int
    reset: int
    audited: int
    denied: int
    l7_denied: int
    dropped: int
    days: int
    working_days: int
    visible_days: int
    answered_days: int
    first_us: int
    last_us: int
    aggregated: bool
    own_end: bool
    names: tuple[str, ...]
    names_from: tuple[str, ...]
    drop_reasons: tuple[str, ...]
    samples: tuple[str, ...]
    policies: tuple[str, ...]
    subject_pods: int
    peer_pods: int
    subject_pod_names: tuple[str, ...]
    peer_pod_names: tuple[str, ...]
    dns: bool

    @property
    def working(self) -> int:
        """Records that passed, those that only an audit mode let through included."""
        return self.flows + self.audited

    @property
    def unanswered(self) -> bool:
        """Whether nothing ever answered although every reply would have been seen; a reset is no answer."""
        return self.visible_days == self.working_days and not self.answered_days


class EdgeTable(NamedTuple):
    """
    Distinct edges, and the days of each.

    Parameters
    ----------
    edges
        Sorted by key; ``edges[i].place == i``.
    row_edge
        Place of the edge of every row of ``edge_days``, in the order of that frame.
    day_edge, day_number, day_hours
        One element per edge-day that passed: place of the edge, day as an index into ``days``, its hours as
        bits.
    days
        Days with any edge, sorted.
    """

    edges: list[Edge]
    row_edge: Ints
    day_edge: Ints
    day_number: Ints
    day_hours: Ints
    days: tuple[str, ...]


def _texts(
    frame: pd.DataFrame, place: Ints, starts: npt.NDArray[np.bool_], column: str, size: int
) -> list[tuple[str, ...]]:
    """Distinct comma-separated texts of a column per edge, sorted; ``starts``: where an edge's rows begin."""
    rows = np.flatnonzero((starts | changes(frame, [column])) & (frame[column] != "").to_numpy(dtype=bool))
    found: dict[int, set[str]] = {}
    for at, text in zip(place[rows].tolist(), frame[column].iloc[rows].tolist(), strict=True):
        found.setdefault(at, set()).update(text.split(","))
    return [tuple(sorted(found[at] - {""})) if at in found else () for at in range(size)]


def _samples(frame: pd.DataFrame, place: Ints, day: Ints, size: int) -> list[tuple[str, ...]]:
    """Uuids from the first and the last days of an edge: how it began and that it still happens."""
    rows = np.flatnonzero((frame["samples"] != "").to_numpy(dtype=bool))
    when = place[rows] * (int(day.max()) + 1) + day[rows]
    if np.any(np.diff(when) <= 0):
        texts = frame["samples"].iloc[rows]
        ordered = pd.DataFrame({"when": when, "text": texts.to_numpy()}).sort_values(
            ["when", "text"], kind="stable"
        )
        rows = rows[ordered.index.to_numpy()]
    found: list[tuple[str, ...]] = [()] * size
    bounds = np.flatnonzero(np.diff(place[rows], prepend=-1, append=size))
    first = frame["samples"].iloc[rows[bounds[:-1]]].tolist()
    last = frame["samples"].iloc[rows[bounds[1:] - 1]].tolist()
    for at, begin, end in zip(place[rows[bounds[:-1]]].tolist(), first, last, strict=True):
        found[at] = tuple(dict.fromkeys([*begin.split(",")[: _MAX_SAMPLES - 1], end.split(",")[-1]]))
    return found


def _pods(observations: Observations, keys: pd.DataFrame) -> list[Sequence[Any]]:
    """Distinct pods at both ends, 0 where none was recorded, and names of pods at both ends."""
    pods = observations.edge_pods.drop_duplicates(list(EDGE_KEY))
    joined = keys.merge(pods, on=list(EDGE_KEY), how="left")
    counts = [joined[f"{pod}s"].fillna(0).astype("int64").tolist() for pod in ("subject_pod", "peer_pod")]
    ends = [
        [joined[f"{pod}_{end}"].fillna("").tolist() for end in ("min", "max")]
        for pod in ("subject_pod", "peer_pod")
    ]
    names = [list(map(pod_names, count, *pair)) for count, pair in zip(counts, ends, strict=True)]
    return [*counts, *names]


def _dns(observations: Observations, keys: pd.DataFrame) -> list[bool]:
    """Whether DNS questions were seen on the edge."""
    columns = [column for column in EDGE_KEY if column != "icmp_type"]
    routes = observations.edge_routes
    asked = routes[routes["l7_kind"] == "dns"][columns].drop_duplicates()
    joined = keys.merge(asked.assign(dns=True), on=columns, how="left")
    return joined["dns"].eq(True).tolist()


def fold_edges(observations: Observations) -> EdgeTable:
    """
    Fold the edge-days of a window to its distinct edges.

    Parameters
    ----------
    observations
        Of one cluster; ``edge_days``, ``edge_pods`` and ``edge_routes``.

    Returns
    -------
    EdgeTable
        Independent of the order of rows; a row that occurs twice counts twice.
    """
    frame = observations.edge_days
    if frame.empty:
        none = np.zeros(0, dtype=np.int64)
        return EdgeTable([], none, none, none, none, ())
    starts = changes(frame, EDGE_KEY)
    named = frame.loc[starts, list(EDGE_KEY)].reset_index(drop=True)
    groups = named.groupby(list(EDGE_KEY), sort=True, observed=True)
    place = groups.ngroup().to_numpy(dtype=np.int64)[np.cumsum(starts) - 1]
    size = groups.ngroups
    sums = frame[list(_SUMS)].groupby(place, sort=True).sum()
    working = ((frame["flows"] + frame["audited"]) > 0).to_numpy(dtype=bool)
    visible = working & frame["replies_visible"].to_numpy(dtype=bool)
    answered = visible & (frame["answered"] > frame["reset"]).to_numpy(dtype=bool)
    day_codes, days = pd.factorize(frame["day"], sort=True)

    def distinct_days(kept: npt.NDArray[np.bool_]) -> Ints:
        pairs = place[kept] * len(days) + day_codes[kept]
        if np.any(np.diff(pairs) <= 0):
            pairs = np.unique(pairs)
        return np.bincount(pairs // max(len(days), 1), minlength=size)

    grouped = frame[["first_us", "last_us", "aggregated", "own_end"]].groupby(place, sort=True)
    folded = {
        "days": distinct_days(np.ones(len(frame), dtype=bool)),
        "working_days": distinct_days(working),
        "visible_days": distinct_days(visible),
        "answered_days": distinct_days(answered),
        "first_us": grouped["first_us"].min().to_numpy(),
        "last_us": grouped["last_us"].max().to_numpy(),
        "aggregated": grouped["aggregated"].all().to_numpy(),
        "own_end": grouped["own_end"].any().to_numpy(),
    }
    keys = groups.size().index.to_frame(index=False)
    columns: list[Sequence[Any]] = [
        range(size),
        *(keys[column].tolist() for column in EDGE_KEY),
        *(sums[column].tolist() for column in _SUMS),
        *(values.tolist() for values in folded.values()),
        *(_texts(frame, place, starts, name, size) for name in ("peer_names", "names_from", "drop_reasons")),
        _samples(frame, place, day_codes, size),
        _texts(frame, place, starts, "policies", size),
        *_pods(observations, keys),
        _dns(observations, keys),
    ]
    return EdgeTable(
        edges=[Edge(*values) for values in zip(*columns, strict=True)],
        row_edge=place,
        day_edge=place[working],
        day_number=day_codes[working].astype(np.int64),
        day_hours=frame["hour_bits"].to_numpy()[working].astype(np.int64),
        days=tuple(str(day) for day in days),
    )


def days_in_turn(edges: Iterable[tuple[Edge, int]]) -> int:
    """
    Days of one contact, as far as its edges and the days of each prove it.

    A release that changes labels parts a contact into edges that come one after the other: their days add up.
    Edges of pods that were there at the same time may have worked on the same days.
    """
    chains: list[tuple[int, int]] = []  # last day and days of a chain of edges
    for edge, own in sorted(edges, key=lambda pair: (pair[0].last_us, pair[0].first_us, pair[1])):
        first, last = edge.first_us // _DAY_US, edge.last_us // _DAY_US
        before = max((days - (end == first) for end, days in chains if end <= first), default=0)
        chains.append((last, before + own))
    return max(days for _, days in chains)
