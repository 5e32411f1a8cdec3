"""
What each workload does, in words that a workload of the same role elsewhere would share.

A peer in the own namespace is named by its kind of workload alone, so that two tenants that call "their
own database" show the same cell; a peer elsewhere is named with its namespace, because the shared service
is the same one for all.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

import pandas as pd

from models.domain.workload import Workload
from models.synthesis.addresses import writable_names
from models.synthesis.candidates import never_answered, refused
from models.synthesis.edges import Edge
from models.synthesis.targets import edge_port
from models.synthesis.view import ClusterView

#: Number at the end of a name: the ordinal of a shard, of a replica set of databases, of a tenant.
_ORDINAL: Final = re.compile(r"(?<=[a-z0-9])-[0-9]+$|(?<=[a-z])[0-9]+$")


_OPPOSITE: Final = {"egress": "ingress", "ingress": "egress"}


def stem(name: str) -> str:
    """
    Name without the ordinal at its end.

    Examples
    --------
    >>> stem("index-shard-12"), stem("web"), stem("42")
    ('index-shard', 'web', '42')
    """
    return _ORDINAL.sub("", name) or name


def kind_key(workload: Workload) -> str:
    """Kind and stem of a workload's name; "" for one that several owners share."""
    if len(workload.identity) > 1:
        return ""
    kind, _, name = workload.identity[0].partition("/")
    return f"{kind}/{stem(name)}"


def workload_key(workload: Workload) -> str:
    """Text that names a workload in a cluster and outlives a change of its labels."""
    return f"{workload.cluster}/{workload.namespace}/{'+'.join(workload.identity)}"


def _title(namespace: str, peer: Workload) -> str:
    """Name of a peer as workloads of a namespace see it."""
    name = kind_key(peer) or "+".join(peer.members)
    return f"own:{name}" if peer.namespace == namespace else f"{peer.namespace}/{name}"


def _peer_name(view: ClusterView, namespace: str, edge: Edge) -> str:
    if edge.peer_kind == "endpoint":
        entity = view.workloads.entities.get(edge.peer)
        peer = view.workload(edge.peer)
        if entity is not None or peer is None:
            return entity or ""
        return _title(namespace, peer)
    names = writable_names(edge.names) if edge.direction == "egress" else ()
    return names[0] if names else edge.peer


def profiles(
    view: ClusterView, edges: Sequence[Edge], held: Collection[int]
) -> tuple[pd.DataFrame, dict[str, dict[str, frozenset[int]]]]:
    """
    Cells of every workload that can be selected.

    Parameters
    ----------
    view
        Who is who.
    edges
        All of the window.
    held
        Places of edges that are held back: they say nothing about a role.

    Returns
    -------
    tuple
        ``workload`` (`workload_key`) and ``cell``, sorted; and by workload the cells that are held
        back of it or towards it, with the places of their edges.
    """
    rows: set[tuple[str, str]] = set()
    refusals: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for edge in edges:
        workload = view.workload(edge.subject)
        port = edge_port(edge)
        if workload is None or workload.selector is None or isinstance(port, str):
            continue
        if refused(edge) or never_answered(edge):
            continue
        peer = _peer_name(view, workload.namespace, edge)
        cell = f"{edge.direction}|{peer}|{port.text}"
        if edge.place in held:
            refusals[workload_key(workload)][cell].add(edge.place)
            other = view.workload(edge.peer) if edge.peer_kind == "endpoint" else None
            if other is not None:
                seen = _OPPOSITE[edge.direction]
                mirrored = f"{seen}|{_title(other.namespace, workload)}|{port.text}"
                refusals[workload_key(other)][mirrored].add(edge.place)
        elif peer and peer != "host":
            rows.add((workload_key(workload), cell))
    frame = pd.DataFrame(sorted(rows), columns=["workload", "cell"])
    held_back = {
        key: {cell: frozenset(places) for cell, places in found.items()} for key, found in refusals.items()
    }
    return frame, held_back
