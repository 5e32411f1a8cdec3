"""
Cells: the statistical unit, one thing that one rule would admit.

A cell is (subject role, direction, peer, protocol, port) *after* generalisation. The maps from label
sets to roles, from peers to patterns and from ports to ranges come from the estimators of this package;
an edge without an entry in a map keeps its own value. Therefore every edge falls into exactly one cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning.base import CELL, require

#: Columns that name a cell; ``port_end`` equals ``port`` unless a range was accepted.
CELL_KEY: Final = (
    "subject",
    "direction",
    "peer_kind",
    "peer",
    "protocol",
    "port",
    "port_end",
    "icmp_type",
)

#: Columns of EDGE_DAYS that name an edge.
EDGE_KEY: Final = ("subject", "direction", "peer_kind", "peer", "peer_names", "protocol", "port", "icmp_type")

INTERNAL: Final = "internal"
EXTERNAL: Final = "external"
INFRASTRUCTURE: Final = "infrastructure"
ZONES: Final = (EXTERNAL, INFRASTRUCTURE, INTERNAL)

#: Entities that stand for addresses outside the cluster; every other entity is platform.
_OUTSIDE_ENTITIES: Final = ("world", "world-ipv4", "world-ipv6")

PeerMap = Mapping[tuple[str, str], tuple[str, str]]
SubjectPeerMap = Mapping[tuple[str, str, str], tuple[str, str]]


def to_cells(
    edges: pd.DataFrame,
    subjects: Mapping[str, str] | None = None,
    peers: PeerMap | None = None,
    peers_of_subject: SubjectPeerMap | None = None,
    ranges: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """
    Rows of edges with the columns of their cell in place of their own.

    Parameters
    ----------
    edges
        Rows with `EDGE_KEY`; further columns are kept.
    subjects
        Label-set key to role or workload. Also applied to peers of kind ``endpoint``.
    peers
        (peer kind, peer) to (peer kind, peer), applied to every subject after names took the place
        of addresses: an ``ip`` with names becomes ``("fqdn", names)``.
    peers_of_subject
        (subject, peer kind, peer) to (peer kind, peer); more specific, so it wins over ``peers``.
    ranges
        Accepted port ranges: subject, direction, peer_kind, peer, protocol, port, port_end.

    Returns
    -------
    pandas.DataFrame
        The input's rows in the input's order with `CELL_KEY` columns.

    Raises
    ------
    BadInputError
        If a key column is missing.
    """
    require(edges, EDGE_KEY, "edges")
    cells = edges.copy()
    names = cells["peer_names"].fillna("")
    named = (cells["peer_kind"] == "ip") & (names != "")
    cells["peer"] = cells["peer"].where(~named, names)
    cells["peer_kind"] = cells["peer_kind"].where(~named, "fqdn")
    if subjects:
        endpoint = cells["peer_kind"] == "endpoint"
        cells["peer"] = cells["peer"].where(~endpoint, _mapped(cells["peer"], subjects))
        cells["subject"] = _mapped(cells["subject"], subjects)
    cells = _map_peers(cells, peers or {}, peers_of_subject or {})
    cells["port_end"] = cells["port"]
    if ranges is not None and len(ranges):
        cells = _map_ports(cells, ranges)
    return cells.drop(columns=["peer_names"])


def _mapped(values: pd.Series[Any], mapping: Mapping[str, str]) -> pd.Series[Any]:
    found: pd.Series[Any] = values.map(dict(mapping))
    return found.where(found.notna(), values)


def _map_peers(cells: pd.DataFrame, peers: PeerMap, by_subject: SubjectPeerMap) -> pd.DataFrame:
    if not peers and not by_subject:
        return cells
    keys = ["subject", "peer_kind", "peer"]
    distinct = cells[keys].drop_duplicates()
    targets = [
        by_subject.get((subject, kind, peer), peers.get((kind, peer), (kind, peer)))
        for subject, kind, peer in distinct.itertuples(index=False)
    ]
    renamed = distinct.assign(
        to_kind=[kind for kind, _ in targets],
        to_peer=[peer for _, peer in targets],
    )
    merged = cells.merge(renamed, on=keys, how="left", validate="many_to_one")
    merged.index = cells.index
    merged["peer_kind"], merged["peer"] = merged["to_kind"], merged["to_peer"]
    return merged.drop(columns=["to_kind", "to_peer"])


def _map_ports(cells: pd.DataFrame, ranges: pd.DataFrame) -> pd.DataFrame:
    group = ["subject", "direction", "peer_kind", "peer", "protocol"]
    port, end = cells["port"].to_numpy(copy=True), cells["port_end"].to_numpy(copy=True)
    rows = cells.groupby(group, sort=True).indices
    for row in ranges.sort_values([*group, "port"]).itertuples(index=False):
        key = (row.subject, row.direction, row.peer_kind, row.peer, row.protocol)
        members = rows.get(key)
        if members is None:
            continue
        own = cells["port"].to_numpy()[members]
        inside = members[(own >= row.port) & (own <= row.port_end)]
        port[inside], end[inside] = row.port, row.port_end
    return cells.assign(port=port, port_end=end)


def cell_ids(frame: pd.DataFrame) -> pd.Series[str]:
    """
    Readable, stable and unique text per cell.

    Parameters
    ----------
    frame
        Rows with `CELL_KEY`.

    Returns
    -------
    pandas.Series
        ``subject|direction|peer kind|peer|protocol|port[-end][|icmp type]``; a bar or a percent sign
        inside a part is percent-encoded, so that hostile names cannot forge another cell.

    Examples
    --------
    >>> frame = pd.DataFrame([["web", "egress", "fqdn", "a|b", "TCP", 443, 443, -1]], columns=CELL_KEY)
    >>> cell_ids(frame).iloc[0]
    'web|egress|fqdn|a%7Cb|TCP|443'
    """
    require(frame, CELL_KEY, "cells")
    texts = [
        frame[column].astype(str) for column in ("subject", "direction", "peer_kind", "peer", "protocol")
    ]
    escaped = [
        text.str.replace("%", "%25", regex=False).str.replace("|", "%7C", regex=False) for text in texts
    ]
    ids = escaped[0]
    for part in escaped[1:]:
        ids = ids + "|" + part
    port = frame["port"].astype(str)
    ranged = frame["port_end"] != frame["port"]
    ids = ids + "|" + port.where(~ranged, port + "-" + frame["port_end"].astype(str))
    icmp = frame["icmp_type"]
    return ids.where(icmp < 0, ids + "|" + icmp.astype(str)).rename(CELL)


def cell_parts(cell: str) -> list[str]:
    """
    Parts of an id of `cell_ids`, as they were.

    Examples
    --------
    >>> cell_parts("web|egress|fqdn|a%7Cb|TCP|443")
    ['web', 'egress', 'fqdn', 'a|b', 'TCP', '443']
    """
    return [part.replace("%7C", "|").replace("%25", "%") for part in cell.split("|")]


def group_codes(frame: pd.DataFrame, columns: tuple[str, ...]) -> tuple[npt.NDArray[np.int64], pd.DataFrame]:
    """
    Integer code per row and the distinct keys, in sorted order.

    Much faster than grouping by eight text columns: each column is factorised once and the codes are
    combined; ranks are squeezed after each column, so they cannot overflow.

    Returns
    -------
    tuple
        Code per row, shape (n_rows,), and the keys, one row per code.
    """
    codes = np.zeros(len(frame), dtype=np.int64)
    for column in columns:
        part, levels = pd.factorize(frame[column], sort=True)
        _, codes = np.unique(codes * max(len(levels), 1) + part, return_inverse=True)
    _, first = np.unique(codes, return_index=True)
    keys = frame[list(columns)].iloc[first].reset_index(drop=True)
    return codes.astype(np.int64), keys


def zones(frame: pd.DataFrame) -> pd.Series[str]:
    """
    Zone of each cell's peer: ``internal``, ``external`` or ``infrastructure``.

    Names, prefixes and public addresses are external. A private address is external too when it could
    not be tied to anything in the cluster: somebody else answers there.

    Examples
    --------
    >>> zones(pd.DataFrame({"peer_kind": ["endpoint", "entity", "ip"],
    ...                     "peer": ["db", "host", "1.1.1.1"]})).tolist()
    ['internal', 'infrastructure', 'external']
    """
    require(frame, ("peer_kind", "peer"), "cells")
    kind = frame["peer_kind"]
    outside = kind.isin(["ip", "fqdn", "cidr", "unresolved"])
    outside |= (kind == "entity") & frame["peer"].isin(_OUTSIDE_ENTITIES)
    platform = (kind == "entity") & ~outside
    zone = np.select([platform.to_numpy(), outside.to_numpy()], [INFRASTRUCTURE, EXTERNAL], default=INTERNAL)
    return pd.Series(zone, index=frame.index, name="zone", dtype="str")
