"""Ends of edges as findings name them: the workload behind a label set, the peer a rule would name."""

from models.domain.cidr import parse_address
from models.domain.peer import CidrPeer, EntityPeer, FqdnPeer, Peer
from models.domain.workload import Workload
from models.drift.finding import SubjectRef
from models.synthesis.addresses import exact_prefix, writable_names
from models.synthesis.edges import Edge
from models.synthesis.targets import Target, edge_target, endpoint_peer
from models.synthesis.view import ClusterView


def subject_of(workload: Workload) -> SubjectRef:
    """A workload as the subject of a finding."""
    labels = () if workload.selector is None else workload.selector.labels
    return SubjectRef(workload.namespace, " + ".join(workload.members), labels)


def peer_of(view: ClusterView, edge: Edge) -> Peer:
    """
    The other side of an edge: as a rule would name it, else by what is known of it.

    Unlike a rule's peer it always exists, for a finding has to name what no rule can.
    """
    target = edge_target(view, edge)
    if isinstance(target, Target):
        return target.peers[0]
    workload = view.workload(edge.peer)
    if edge.peer_kind == "endpoint" and workload is not None:
        return endpoint_peer(view, workload)
    entity = view.workloads.entities.get(edge.peer) if edge.peer_kind == "endpoint" else None
    if entity is not None or edge.peer_kind == "entity":
        return EntityPeer(entity or edge.peer)
    if names := writable_names(edge.names):
        return FqdnPeer(names[0])
    return CidrPeer(exact_prefix(edge.peer)) if parse_address(edge.peer) else EntityPeer("unknown")


def port_of(edge: Edge) -> tuple[str, int]:
    """Protocol and port, or ICMP type, of an edge."""
    icmp = edge.protocol.upper().startswith("ICMP")
    return edge.protocol, edge.icmp_type if icmp else edge.port


def verb_of(direction: str) -> str:
    """``to`` or ``from``."""
    return "to" if direction == "egress" else "from"


def ports_text(ports: tuple[tuple[str, int], ...], limit: int = 4) -> str:
    """Ports for sentences."""
    shown = [f"{protocol}/{port}" if port >= 0 else protocol for protocol, port in ports[:limit]]
    more = len(ports) - limit
    return ", ".join(shown) + (f" and {more} more ports" if more > 0 else "")
