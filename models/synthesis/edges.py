"""
The distinct edges of a window, folded from their days in one pass.

The days are many (hundreds of thousands), the edges few (tens of thousands): everything per day is done
here with vectorised operations, everything later loops over `Edge` alone.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from models.frames import Observations

#: What makes two edge-days the same edge.
EDGE_KEY: Final = ("subject", "direction", "peer_kind", "peer", "protocol", "port", "icmp_type")
_SUMS: Final = ("flows", "connections", "answered", "reset", "audited", "denied", "l7_denied", "dropped")
_MAX_SAMPLES: Final = 3


class Edge(NamedTuple):
    """
    One edge over the whole window; the columns of ``EDGE_DAYS``, folded.

    ``working_days`` are the days on which it passed; ``visible_days`` those of them on which a reply
    would have been seen; ``answered_days`` those on which one was. ``aggregated`` holds only if every
    record was; ``own_end`` if any was seen at the subject's end.
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
    dns: bool

    @property
    def working(self) -> int:
        """Records that passed, those that only an audit mode let through included."""
        return self.flows + self.audited


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
        One element per edge-day that passed: place of the edge, day as an index into ``days``, hours.
    days
        Days with any edge, sorted.
    """

    edges: list[Edge]
    row_edge: "np.ndarray[Any, np.dtype[np.int64]]"
    day_edge: "np.ndarray[Any, np.dtype[np.int64]]"
    day_number: "np.ndarray[Any, np.dtype[np.int64]]"
    day_hours: "np.ndarray[Any, np.dtype[np.int64]]"
    days: tuple[str, ...]


def _texts(frame: pd.DataFrame, place: "pd.Series[int]", column: str, size: int) -> list[tuple[str, ...]]:
    """Distinct comma-separated texts of a column per edge, sorted."""
    found: list[set[str]] = [set() for _ in range(size)]
    pairs = pd.DataFrame({"place": place, "text": frame[column]})
    pairs = pairs[pairs["text"] != ""].drop_duplicates()
    for at, text in zip(pairs["place"].tolist(), pairs["text"].tolist(), strict=True):
        found[at].update(text.split(","))
    return [tuple(sorted(texts - {""})) for texts in found]


def _samples(frame: pd.DataFrame, place: "pd.Series[int]", size: int) -> list[tuple[str, ...]]:
    """Uuids from the first and the last days of an edge: how it began and that it still happens."""
    rows = pd.DataFrame({"place": place, "text": frame["samples"], "day": frame["day"]})
    rows = rows[rows["text"] != ""].sort_values(["place", "day", "text"], kind="stable")
    found: list[tuple[str, ...]] = [()] * size
    grouped = rows.groupby("place", sort=False)["text"]
    for (at, first), last in zip(grouped.first().items(), grouped.last(), strict=True):
        texts = dict.fromkeys([*first.split(",")[: _MAX_SAMPLES - 1], last.split(",")[-1]])
        found[int(str(at))] = tuple(texts)
    return found


def _pods(observations: Observations, keys: pd.DataFrame) -> tuple[Sequence[int], Sequence[int]]:
    """Distinct pods at both ends, 0 where none was recorded."""
    pods = observations.edge_pods[[*EDGE_KEY, "subject_pods", "peer_pods"]]
    joined = keys.merge(pods.drop_duplicates(list(EDGE_KEY)), on=list(EDGE_KEY), how="left")
    return (
        joined["subject_pods"].fillna(0).astype("int64").tolist(),
        joined["peer_pods"].fillna(0).astype("int64").tolist(),
    )


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
    groups = frame.groupby(list(EDGE_KEY), sort=True, observed=True)
    place = groups.ngroup()
    size = groups.ngroups
    sums = groups[list(_SUMS)].sum()
    working = (frame["flows"] + frame["audited"]) > 0
    visible = working & frame["replies_visible"]
    answered = visible & (frame["answered"] > frame["reset"])
    day_codes, days = pd.factorize(frame["day"], sort=True)

    def distinct_days(mask: "pd.Series[bool]") -> "np.ndarray[Any, np.dtype[np.int64]]":
        kept = mask.to_numpy(dtype=bool)
        pairs = np.unique(place.to_numpy()[kept] * len(days) + day_codes[kept])
        return np.bincount(pairs // max(len(days), 1), minlength=size)

    everything = pd.Series(True, index=frame.index)
    folded = {
        "days": distinct_days(everything),
        "working_days": distinct_days(working),
        "visible_days": distinct_days(visible),
        "answered_days": distinct_days(answered),
        "first_us": groups["first_us"].min().to_numpy(),
        "last_us": groups["last_us"].max().to_numpy(),
        "aggregated": groups["aggregated"].all().to_numpy(),
        "own_end": groups["own_end"].any().to_numpy(),
    }
    keys = sums.index.to_frame(index=False)
    subject_pods, peer_pods = _pods(observations, keys)
    columns: list[Sequence[Any]] = [
        range(size),
        *(keys[column].tolist() for column in EDGE_KEY),
        *(sums[column].tolist() for column in _SUMS),
        *(values.tolist() for values in folded.values()),
        *(_texts(frame, place, column, size) for column in ("peer_names", "names_from", "drop_reasons")),
        _samples(frame, place, size),
        _texts(frame, place, "policies", size),
        subject_pods,
        peer_pods,
        _dns(observations, keys),
    ]
    kept = working.to_numpy(dtype=bool)
    return EdgeTable(
        edges=[Edge(*values) for values in zip(*columns, strict=True)],
        row_edge=place.to_numpy().astype(np.int64),
        day_edge=place.to_numpy()[kept].astype(np.int64),
        day_number=day_codes[kept].astype(np.int64),
        day_hours=frame["hours"].to_numpy()[kept].astype(np.int64),
        days=tuple(str(day) for day in days),
    )
