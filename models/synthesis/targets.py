"""
The peer and port that a rule for an edge would name, or the reason why none can.

Order of preference: workload, entity, name, address. Whether the traffic deserves a rule at all
(answered, not refused) is decided afterwards, on all edges that share a target.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from models.domain.capabilities import LOCAL_DNS_IS_HOST_SINCE
from models.domain.peer import (
    EVERY_NAMESPACE,
    WORLD,
    CidrPeer,
    EndpointPeer,
    EntityPeer,
    FqdnPeer,
    LabelSelector,
    Peer,
)
from models.domain.rule import Port, Widening
from models.domain.workload import Workload
from models.synthesis.addresses import LOCAL_DNS, classify, exact_prefix, local_dns, writable_names
from models.synthesis.edges import Edge
from models.synthesis.view import ClusterView, is_dns

_PORT_PROTOCOLS: Final = frozenset({"TCP", "UDP", "SCTP"})
_ICMP: Final = {"ICMP": "ICMPv4", "ICMPV4": "ICMPv4", "ICMPV6": "ICMPv6"}
#: Types that open an exchange; the others answer one or report an error about one.
_ICMP_REQUESTS: Final = {"ICMPv4": frozenset({8, 13}), "ICMPv6": frozenset({128})}
_RULED_ENTITIES: Final = frozenset({"host", "remote-node", "kube-apiserver", "ingress"})
_UNRULED_ENTITIES: Final = {
    "health": "health",
    "init": "initialising_peer",
    "unmanaged": "unmanaged_peer",
    "unknown": "unresolved",
    "": "unresolved",
}


#: Flag of a client from outside whose address is not known: admitted only by a rule for the world.
ADDRESS_UNKNOWN: Final = "address_unknown"
#: Workloads that a sentence names.
_SHOWN: Final = 4
_NODES: Final = (
    "Nodes: this admits every process in the host network of every node. The local node is included "
    "because such a peer changes sides when pods are rescheduled."
)


@dataclass(frozen=True, slots=True)
class Target:
    """
    What a rule would name.

    Parameters
    ----------
    peers
        Usually one; all names of an address, or a node in both its roles.
    ports
        One port; both protocols of a resolver.
    dns
        The peer is a resolver and the edge asks it.
    outside
        The peer is an address or name outside the cluster.
    flags
        Sorted codes for the reviewer.
    reasons
        Sentences for the reviewer.
    widening
        How it opens more than was seen; ``what`` is the title of the peer.
    """

    peers: tuple[Peer, ...]
    ports: tuple[Port, ...]
    dns: bool = False
    outside: bool = False
    flags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    widening: tuple[Widening, ...] = ()


def edge_port(edge: Edge) -> Port | str:
    """Port of an edge, or the reason why no rule can name it."""
    return _port(edge.protocol, edge.port, edge.icmp_type)


@lru_cache(maxsize=65536)  # few ports, and every edge is asked about
def _port(named: str, port: int, icmp_type: int) -> Port | str:
    protocol = named.upper()
    if icmp := _ICMP.get(protocol):
        return Port(icmp, icmp_type) if icmp_type in _ICMP_REQUESTS[icmp] else "icmp_reply"
    if protocol not in _PORT_PROTOCOLS:
        return "unsupported_protocol"
    return Port(protocol, port) if 0 < port < 65536 else "no_port"


def endpoint_peer(view: ClusterView, workload: Workload) -> EndpointPeer:
    """Peer form of a workload; without a usable label, every pod of its namespace."""
    return EndpointPeer(
        cluster=workload.cluster if view.foreign(workload) else "",
        namespace=workload.namespace,
        workloads=workload.identity,
        selector=workload.selector or LabelSelector(),
    )


def resolver_port_pair(port: int) -> tuple[Port, ...]:
    """Both protocols of a resolver: a truncated answer is asked for again over TCP."""
    return (Port("TCP", port), Port("UDP", port))


def _to_workload(view: ClusterView, edge: Edge, port: Port) -> Target | str:
    entity = view.workloads.entities.get(edge.peer)
    if entity is not None:
        return _to_entity(view, edge, entity, port)
    peer = view.workload(edge.peer)
    if peer is None:
        return "unresolved"
    resolver = view.resolver_ports.get(edge.peer if edge.direction == "egress" else edge.subject)
    dns = not port.icmp and (resolver == port.number or is_dns(edge))
    if (
        resolver == port.number
        and dns
        and edge.direction == "ingress"
        and view.posture != "strict"
        and not view.foreign(peer)
    ):
        return Target(
            (EndpointPeer("", EVERY_NAMESPACE, (), LabelSelector()),),
            resolver_port_pair(port.number),
            flags=("every_pod",),
            reasons=("This is a resolver of the cluster: every pod, new ones too, has to reach it.",),
        )
    if peer.gone and view.posture != "generous":
        return "stale_peer"
    flags: list[str] = []
    reasons: list[str] = []
    if peer.selector is None:
        flags += ["wide_peer", "needs_review"]
        reasons.append(_why_wide(view, peer))
    if "indistinguishable" in peer.flags:
        flags.append("indistinguishable_peer")
        reasons.append(f"{' and '.join(peer.members)} cannot be told apart by stable labels.")
    if peer.gone:
        flags += ["stale_peer", "needs_review"]
        reasons.append(f"{peer.title} fell silent long before the window ended; perhaps it no longer exists.")
    if peer.ownerless:
        flags += ["ownerless_peer", "needs_review"]
        reasons.append(f"{peer.title} is a bare pod without an owner, as a debugging session makes one.")
    ports = resolver_port_pair(port.number) if dns else (port,)
    asks = dns and edge.direction == "egress"
    named = endpoint_peer(view, peer)
    if peer.selector is None:
        # All that no label tells apart are one peer: each by itself would be the same selector once more.
        named = replace(named, workloads=())
    return Target((named,), ports, dns=asks, flags=tuple(flags), reasons=tuple(reasons))


def _why_wide(view: ClusterView, peer: Workload) -> str:
    """Why a rule admits a whole namespace, the same for everybody in it that no label selects."""
    place = (peer.cluster, peer.namespace)
    nameless = sorted(
        {
            one.title
            for one in view.workloads.all
            if (one.cluster, one.namespace) == place and one.selector is None
        }
    )
    more = f" and {len(nameless) - _SHOWN} more" if len(nameless) > _SHOWN else ""
    return (
        f"No stable label selects {', '.join(nameless[:_SHOWN])}{more}, "
        f"so every pod of {peer.namespace} is admitted."
    )


def _to_entity(view: ClusterView, edge: Edge, entity: str, port: Port) -> Target | str:
    if entity in _UNRULED_ENTITIES:
        return _UNRULED_ENTITIES[entity]
    if entity.startswith("world"):
        return _to_outside(view, edge, port)
    if entity not in _RULED_ENTITIES:
        return "unknown_entity"
    if entity == "host" and edge.direction == "ingress":
        return "implicit_host"
    dns = edge.direction == "egress" and is_dns(edge)
    ports = resolver_port_pair(port.number) if dns else (port,)
    if entity == "remote-node" and not (view.posture == "strict" and edge.direction == "egress"):
        return Target(
            (EntityPeer("host"), EntityPeer("remote-node")),
            ports,
            dns=dns,
            flags=("node_entity",),
            reasons=(_NODES,),
        )
    flags = ("node_entity",) if entity in ("host", "remote-node") else ()
    return Target((EntityPeer(entity),), ports, dns=dns, flags=flags)


def _resolver_outside(view: ClusterView, edge: Edge, kind: str) -> Target:
    """A resolver that is an address: LocalDNS of the node, or one outside the cluster."""
    ports = resolver_port_pair(edge.port)
    if local_dns(edge.peer):
        cidr, host = CidrPeer(str(LOCAL_DNS)), EntityPeer("host")
        version = view.capabilities.cilium_version
        reason = "LocalDNS of the node: an address up to Cilium 1.16, the host from 1.17."
        if version is None:
            return Target((cidr, host), ports, dns=True, flags=("local_dns",), reasons=(reason,))
        peer: Peer = host if version >= LOCAL_DNS_IS_HOST_SINCE else cidr
        return Target((peer,), ports, dns=True, flags=("local_dns",), reasons=(reason,))
    flags = ["external_resolver", "needs_review"]
    if kind == "metadata":
        flags.append("metadata")
    if kind == "link_local":
        flags = ["local_dns"]
    return Target(
        (CidrPeer(exact_prefix(edge.peer)),),
        ports,
        dns=True,
        outside=kind not in ("link_local", "metadata"),
        flags=tuple(sorted(flags)),
        reasons=("A resolver that is not the cluster's own.",) if kind != "link_local" else (),
    )


def _to_outside(view: ClusterView, edge: Edge, port: Port) -> Target | str:
    """Names where they can be enforced, else the exact address."""
    kind = classify(edge.peer)
    dns = edge.direction == "egress" and is_dns(edge)
    if kind == "multicast" or (kind == "link_local" and not dns):
        return kind
    names = writable_names(edge.names) if edge.direction == "egress" and not dns else ()
    if names and view.capabilities.fqdn and kind != "metadata":
        flags = ("shared_address",) if len(names) > 1 else ()
        reasons = (f"One address was known by {len(names)} names; all are allowed.",) if flags else ()
        return Target(tuple(map(FqdnPeer, names)), (port,), outside=True, flags=flags, reasons=reasons)
    nameless_world = edge.peer_kind == "entity" or edge.aggregated
    if edge.direction == "ingress" and nameless_world:
        return Target((WORLD,), (port,), outside=True, flags=(ADDRESS_UNKNOWN,))
    if kind == "unresolved" or edge.aggregated:
        return "address_unknown" if edge.aggregated or edge.peer_kind == "entity" else "unresolved"
    if dns:
        return _resolver_outside(view, edge, kind)
    return Target(
        (CidrPeer(exact_prefix(edge.peer)),),
        (port,),
        outside=True,
        flags=tuple(sorted(_address_flags(kind, edge))),
        reasons=tuple(_address_reasons(kind, names, edge)),
    )


def _address_flags(kind: str, edge: Edge) -> list[str]:
    if kind == "metadata":
        return ["metadata", "needs_review"]
    if kind == "private":
        return ["private_address"]
    return ["needs_review", "outside_client" if edge.direction == "ingress" else "address_only"]


def _address_reasons(kind: str, names: tuple[str, ...], edge: Edge) -> list[str]:
    if kind == "metadata":
        return ["A metadata or platform service: whoever reaches it may get the node's credentials."]
    if names:
        known = ", ".join(names)
        return [f"Known as {known}, but the cluster is taken to have no DNS policy; the address may change."]
    if kind == "private":
        return ["A private address that is no pod and no node; it is kept exact."]
    if edge.direction == "ingress":
        return ["An address outside the cluster connected to this port and was answered."]
    return ["No DNS name is known for this address; it was contacted directly or its lookup was not seen."]


def edge_target(view: ClusterView, edge: Edge) -> Target | str:
    """
    What a rule for the edge would name.

    Returns
    -------
    Target or str
        A code of `models.synthesis.reasons.WHY` when no rule can name the peer or the port.
    """
    port = edge_port(edge)
    if isinstance(port, str):
        return port
    match edge.peer_kind:
        case "endpoint":
            return _to_workload(view, edge, port)
        case "entity":
            return _to_entity(view, edge, edge.peer, port)
        case "ip":
            return _to_outside(view, edge, port)
        case "service":
            return "service_address"
        case _:
            return "unresolved"
