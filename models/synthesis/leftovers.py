"""What no rule allows, listed so that a person can read it and nothing vanishes."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from models.domain.proposal import LeftOut
from models.synthesis.candidates import Excluded
from models.synthesis.edges import Edge, days_in_turn
from models.synthesis.evidence import SECOND_US
from models.synthesis.reasons import HELD_BACK, WHY
from models.synthesis.view import ClusterView

MAX_PEERS_LISTED: Final = 25  # per direction and reason; the others share one line with their number
MAX_PORTS_LISTED: Final = 8
#: Said of what a rule for many lets pass although it was left out.
LET_IN: Final = "It passes all the same: a rule for many lets it in, and none can leave one of them out."


class _Group(NamedTuple):
    """What the edges of some lines have in common."""

    direction: str
    reason: str
    let_in: bool


def peer_text(view: ClusterView, edge: Edge) -> str:
    """The other side, for people."""
    if edge.peer_kind == "endpoint":
        workload = view.workload(edge.peer)
        if workload is not None:
            return f"{workload.title} in {workload.namespace}"
        return view.workloads.entities.get(edge.peer, "unknown pod")
    names = f" ({', '.join(edge.names)})" if edge.names else ""
    return f"{edge.peer or 'unknown'}{names}"


def port_text(edge: Edge) -> str:
    """``TCP/8080``, ``ICMPv4 type 8``, ``VRRP``."""
    if edge.protocol.upper().startswith("ICMP"):
        return f"{edge.protocol} type {edge.icmp_type}"
    return f"{edge.protocol}/{edge.port}" if edge.port >= 0 else edge.protocol


def _ports(edges: Iterable[Edge]) -> str:
    ports = sorted({(edge.protocol, edge.port, port_text(edge)) for edge in edges})
    shown = ", ".join(text for _, _, text in ports[:MAX_PORTS_LISTED])
    more = len(ports) - MAX_PORTS_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def _line(group: _Group, peer: str, edges: list[Edge]) -> LeftOut:
    return LeftOut(
        direction=group.direction,
        reason=group.reason,
        peer=peer,
        port=_ports(edges),
        flows=sum(edge.working for edge in edges),
        denied=sum(edge.denied + edge.l7_denied + edge.dropped for edge in edges),
        days_seen=days_in_turn((edge, edge.days) for edge in edges),
        edges=len(edges),
        first_us=min(edge.first_us for edge in edges) // SECOND_US * SECOND_US,
        last_us=max(edge.last_us for edge in edges) // SECOND_US * SECOND_US,
        why=f"{WHY[group.reason]} {LET_IN}" if group.let_in else WHY[group.reason],
        works=not group.let_in and any(works(edge) for edge in edges),
        let_in=group.let_in,
    )


def works(edge: Edge) -> bool:
    """Whether the edge worked as far as could be seen: it passed, and was answered or could not be."""
    if not edge.working:
        return False
    connects = edge.protocol.upper() in ("TCP", "SCTP")
    return bool(edge.answered_days) or edge.visible_days < edge.working_days or not connects


def left_out(
    view: ClusterView, excluded: Iterable[Excluded], lets_in: Callable[[Edge], bool]
) -> tuple[LeftOut, ...]:
    """
    Excluded edges by direction, reason and peer, sorted.

    ``days_seen`` of a line is how many days its edges prove (`models.synthesis.edges.days_in_turn`).

    Parameters
    ----------
    view
        Who is who.
    excluded
        The edges.
    lets_in
        Whether a rule lets an edge pass that is held back or was rejected by name.
    """
    groups: dict[_Group, dict[str, list[Edge]]] = defaultdict(lambda: defaultdict(list))
    for one in excluded:
        group = _Group(one.edge.direction, one.reason, one.reason in HELD_BACK and lets_in(one.edge))
        groups[group][peer_text(view, one.edge)].append(one.edge)
    lines: list[LeftOut] = []
    for group, by_peer in groups.items():
        ranked = sorted(by_peer, key=lambda peer: (-sum(e.working + e.denied for e in by_peer[peer]), peer))
        for peer in ranked[:MAX_PEERS_LISTED]:
            edges = by_peer[peer]
            lines.append(_line(group, peer, edges))
        rest = [edge for peer in ranked[MAX_PEERS_LISTED:] for edge in by_peer[peer]]
        if rest:
            others = f"{len(ranked) - MAX_PEERS_LISTED} other peers"
            lines.append(_line(group, others, rest))
    return tuple(sorted(lines))
