"""
The question asked of an evaluator: one flow, seen from one end or from both.

What a flow does not say stays ``None`` and only matters where a rule asks for it: then the answer is
"unknown", with the missing thing named. An empty tuple means "known to be none".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from models.domain.agent import AgentConfig
from models.domain.cidr import Address, parse_address
from models.domain.labels import ANY_SOURCE, CLUSTER_KEY, K8S, RESERVED, LabelSet
from models.domain.policy import Direction

__all__ = [
    "AgentConfig",
    "DnsQuestion",
    "HttpRequest",
    "L7Request",
    "PolicyFlow",
    "ResolvedSide",
    "Side",
    "TlsHello",
    "config_for",
    "resolve",
]

WORLD_LABELS: Final = ("world", "world-ipv4", "world-ipv6")
UNMANAGED: Final = ("remote-node", "unmanaged", *WORLD_LABELS)  # never the subject of a gate


@dataclass(frozen=True, slots=True)
class Side:
    """
    One end of a flow, by whatever is known of it.

    Parameters
    ----------
    labels
        Identity labels as Hubble prints them; with `entity`, extra ones. ``None``: not known.
    ip
        Address; a side with nothing else is outside the cluster.
    names
        DNS names that the node of the subject had learned for the address.
    entity
        The reserved identity itself (``world``, ``host``, …). A ``kube-apiserver`` with an `ip` is
        outside the cluster, without one it is a node.
    named_ports
        Container ports of a pod: (name, number, protocol).
    """

    labels: tuple[str, ...] | None = None
    ip: str | None = None
    names: tuple[str, ...] | None = None
    entity: str | None = None
    named_ports: tuple[tuple[str, int, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; a field that is ``None`` was not recorded. `path` includes the query."""

    method: str | None = None
    path: str | None = None
    host: str | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """One question to the DNS proxy."""

    name: str


@dataclass(frozen=True, slots=True)
class TlsHello:
    """The server name of a TLS handshake."""

    server_name: str


L7Request = HttpRequest | DnsQuestion | TlsHello


@dataclass(frozen=True, slots=True)
class PolicyFlow:
    """
    One request for a connection.

    Parameters
    ----------
    direction
        Whose policy is asked: ``INGRESS`` the destination's, ``EGRESS`` the source's, ``None`` both.
    source, destination
        Client and server, whatever the direction.
    protocol
        ``TCP``, ``UDP``, ``SCTP``, ``ICMP``, ``ICMPv6``, …; ``None`` when not known.
    port
        Destination port after service translation; for ICMP the type. ``None`` when not known.
    l7
        One request; ``None`` asks for layers 3 and 4 only, and a redirect then counts as allowed.
    reply
        A reply of a tracked connection, which policy never sees.
    """

    direction: Direction | None
    source: Side
    destination: Side
    protocol: str | None = None
    port: int | None = None
    l7: L7Request | None = None
    reply: bool = False

    def subject(self, direction: Direction) -> Side:
        """The end whose policy is asked in a direction."""
        return self.destination if direction is Direction.INGRESS else self.source

    def peer(self, direction: Direction) -> Side:
        """The other end."""
        return self.source if direction is Direction.INGRESS else self.destination


@dataclass(frozen=True, slots=True)
class ResolvedSide:
    """
    A side as the policy engine sees it.

    Parameters
    ----------
    labels
        Identity labels; ``None`` when the identity is not known.
    address
        ``None`` when not known.
    names
        Learned DNS names; ``None`` when not known.
    outside
        Carries a world label, so prefixes and names may select it.
    exact
        The reserved identity itself: no prefix but ``/0`` and no name selects it.
    """

    labels: LabelSet | None
    address: Address | None = None
    names: tuple[str, ...] | None = None
    outside: bool = False
    exact: bool = False
    named_ports: tuple[tuple[str, int, str], ...] | None = field(default=None)

    @property
    def host(self) -> bool:
        """The local host, subject of node policies."""
        return self.labels is not None and self.labels.reserved("host")

    def left_alone(self, config: AgentConfig) -> bool:
        """Whether the agent enforces nothing here because it takes the endpoint for the host."""
        if config.host_firewall or self.labels is None:
            return False
        source = ANY_SOURCE if config.release.any_host_label else RESERVED
        return self.labels.lookup(source, "host") is not None

    @property
    def initialising(self) -> bool:
        """Carries a label ``init`` of *any* source: the agent always enforces it."""
        return self.labels is not None and self.labels.lookup(ANY_SOURCE, "init") is not None

    @property
    def managed(self) -> bool:
        """An endpoint that policies may select: a pod, health, ingress or init endpoint, or the host."""
        if self.labels is None or not self.labels.labels:
            return False
        return not any(self.labels.reserved(name) for name in UNMANAGED)


def resolve(side: Side, config: AgentConfig) -> ResolvedSide:
    """
    Give a side the labels that Cilium's identity would carry.

    Parameters
    ----------
    side
        As observed.
    config
        Dual stack changes the world label.
    """
    address = parse_address(side.ip) if side.ip else None
    texts = set(side.labels or ())
    exact = False
    if side.entity is not None:
        texts.add(f"{RESERVED}:{side.entity}")
        exact = side.entity in WORLD_LABELS and address is None
        if side.entity == "kube-apiserver":
            texts.add(f"{RESERVED}:{'world' if address else 'remote-node'}")
    elif side.labels is None and address is not None:
        texts.add(f"{RESERVED}:world")
    if not texts and side.labels is None:
        return ResolvedSide(None, address, side.names, named_ports=side.named_ports)
    if config.dual_stack and f"{RESERVED}:world" in texts and address is not None:
        if config.release.split_world:
            texts.discard(f"{RESERVED}:world")
        texts.add(f"{RESERVED}:world-ipv{address.version}")
    labels = LabelSet.of(texts)
    outside = any(labels.reserved(name) for name in WORLD_LABELS)
    return ResolvedSide(labels, address, side.names, outside, exact, side.named_ports)


def config_for(flow: PolicyFlow, cilium_version: str) -> AgentConfig:
    """
    Settings as a flow shows them: the own cluster is that of the pod whose policy is asked.

    Records without cluster labels come from pipelines that cut them; there a peer selector means any
    cluster, or it would select nobody.

    Parameters
    ----------
    flow
        As observed.
    cilium_version
        Release to answer for.
    """
    ends = (flow.subject(flow.direction),) if flow.direction else (flow.source, flow.destination)
    names = (LabelSet.of(end.labels or ()).lookup(K8S, CLUSTER_KEY) for end in ends)
    cluster = next((name for name in names if name), None)
    if cluster is None:
        return AgentConfig(cilium_version=cilium_version, default_local_cluster=False)
    return AgentConfig(cilium_version=cilium_version, cluster_name=cluster)
