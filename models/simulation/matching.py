"""
Does one entry's peer part, or port part, cover a flow? Yes, no, or unknown with the reason.

``None`` is "unknown" throughout this module; it never decays into yes or no.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from models.domain.agent import AgentConfig
from models.domain.cidr import CidrSelector
from models.domain.fqdn import FqdnSelector
from models.domain.labels import CLUSTER_KEY, K8S, LabelSet
from models.domain.policy import EntitySelector, Entry, PeerSelector, PortRule, UndecidablePeer
from models.domain.portset import PortRange
from models.domain.selector import EndpointSelector
from models.simulation.context import WORLD_LABELS, ResolvedSide

PROTOCOL_BITS: Final = 8  # length of the protocol in the datapath's key
PORT_BITS: Final = 16  # length of a port in it

CLUSTER_ENTITIES: Final = ("host", "remote-node", "init", "ingress", "health", "unmanaged", "kube-apiserver")


def entity_matches(entity: str, labels: LabelSet, cluster_name: str) -> bool:
    """
    Whether an identity belongs to an entity (``pkg/policy/api/entity.go``).

    Parameters
    ----------
    entity
        As in a policy.
    labels
        Of the identity.
    cluster_name
        The own cluster's.
    """
    match entity:
        case "all":
            return True
        case "world":
            return any(labels.reserved(name) for name in WORLD_LABELS)
        case "cluster" | "cluster-mesh":
            if any(labels.reserved(name) for name in CLUSTER_ENTITIES):
                return True
            cluster = labels.lookup(K8S, CLUSTER_KEY)
            return cluster is not None and (entity == "cluster-mesh" or cluster == cluster_name)
        case _:
            return labels.reserved(entity)


def cidr_matches(selector: CidrSelector, side: ResolvedSide, config: AgentConfig) -> bool | None:
    """
    Whether a prefix selects a side: outside addresses only, nodes by setting, pods never.

    Returns
    -------
    bool or None
        ``None`` when the address of an outside side is not known and matters.
    """
    if side.labels is None:
        return None
    everything = selector.prefix.prefixlen == 0
    node = config.cidr_matches_nodes and side.labels.reserved("remote-node") and not everything
    if not (side.outside or node):
        return False
    if side.address is not None:
        return selector.contains(side.address)
    if not everything or selector.excepted:
        return everything if side.exact else None
    if config.dual_stack:
        return side.labels.reserved(f"world-ipv{selector.prefix.version}") or None
    return selector.prefix.version == 4


def fqdn_matches(selector: FqdnSelector, side: ResolvedSide, config: AgentConfig) -> bool | None:
    """Whether a name learned for an outside address is selected; ``None`` when names are not known."""
    if side.labels is None:
        return None
    if not side.outside or side.exact:
        return False
    if side.names is None:
        return None
    deep = config.release.deep_wildcards
    return any(selector.matches(name, deep_wildcards=deep) for name in side.names)


def peer_matches(
    peer: PeerSelector, side: ResolvedSide, config: AgentConfig, required: EndpointSelector | None = None
) -> bool | None:
    """
    Whether one peer selector selects a side.

    Parameters
    ----------
    peer
        Any form.
    side
        The other end.
    config
        Agent settings.
    required
        Conditions of ``fromRequires``/``toRequires`` for this subject, ANDed to endpoint selectors.
    """
    if is_wildcard(peer) and required is None:
        return True
    if side.labels is None or isinstance(peer, UndecidablePeer):
        return None
    if isinstance(peer, CidrSelector):
        return cidr_matches(peer, side, config)
    if isinstance(peer, FqdnSelector):
        return fqdn_matches(peer, side, config)
    if isinstance(peer, EntitySelector):
        return entity_matches(peer.entity, side.labels, config.cluster_name)
    selected = peer.matches(side.labels, config.peer_cluster)
    return selected and (required is None or required.matches(side.labels))


def any_of(answers: Iterable[bool | None]) -> bool | None:
    """
    Three-valued OR.

    Examples
    --------
    >>> any_of([False, None]), any_of([None, True]), any_of([])
    (None, True, False)
    """
    unknown = False
    for answer in answers:
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False


@dataclass(frozen=True, slots=True)
class PortMatch:
    """
    How a port element covers a flow.

    Parameters
    ----------
    rule
        The element; ``None`` for an entry without ports.
    bits
        Length of the protocol and port prefix in the datapath's key: 0 without protocol, 8 for a
        protocol, up to 24 for one port.
    exact
        One port by number or name, not a range and not every port (DNS rules count only there).
    """

    rule: PortRule | None
    bits: int
    exact: bool


def port_matches(
    rule: PortRule, protocol: str | None, port: int | None, destination: ResolvedSide
) -> PortMatch | bool | None:
    """
    How a port element covers a protocol and port.

    Returns
    -------
    PortMatch, False or None
        The best match, ``False`` for none, ``None`` when protocol, port or the names of the
        destination's ports are not known and matter.
    """
    if not rule.ports and not rule.named:
        return False
    if protocol is None:
        return None
    answers = [_by_number(rule, numbers, port) for numbers in rule.ports if numbers.protocol == protocol]
    answers += [
        _by_name(rule, name.name, protocol, port, destination)
        for name in rule.named
        if protocol in name.protocols
    ]
    found = [answer for answer in answers if isinstance(answer, PortMatch)]
    if found:
        return max(found, key=lambda match: (match.bits, match.exact))
    return None if None in answers else False


def _by_number(rule: PortRule, numbers: PortRange, port: int | None) -> PortMatch | bool | None:
    if numbers.every_port:
        return PortMatch(rule, PROTOCOL_BITS, exact=False)
    if port is None:
        return None
    if not numbers.contains(port):
        return False
    bits = PROTOCOL_BITS + numbers.prefix_length_at(port)
    return PortMatch(rule, bits, exact=numbers.first == numbers.last)


def _by_name(
    rule: PortRule, name: str, protocol: str, port: int | None, destination: ResolvedSide
) -> PortMatch | bool | None:
    if destination.named_ports is None or port is None:
        return None
    wanted = (name, port, protocol)
    if any((known.lower(), number, proto) == wanted for known, number, proto in destination.named_ports):
        return PortMatch(rule, PROTOCOL_BITS + PORT_BITS, exact=True)
    return False


def is_wildcard(peer: PeerSelector) -> bool:
    """Whether a peer selector selects every identity, so that no identity has to be known."""
    if isinstance(peer, EndpointSelector):
        return not peer.requirements and not peer.cluster_by_default
    return isinstance(peer, EntitySelector) and peer.entity == "all"


def is_wildcard_peer(entry: Entry) -> bool:
    """Whether an entry's peers are every identity, so its map entries carry no identity."""
    return entry.peers is None or any(is_wildcard(peer) for peer in entry.peers)
