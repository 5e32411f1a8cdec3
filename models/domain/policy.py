"""
Policies in one form, whatever object they came from: entries, each with its place.

CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy and NetworkPolicy all become a flat tuple of
`Entry`. Order, names and kinds never change a verdict; they are kept to say which rule decided.
"Key absent" (``None``) and "empty list" (``()``) mean different things and are kept apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from models.domain.cidr import CidrSelector
from models.domain.fqdn import FqdnSelector
from models.domain.portset import PortRange
from models.domain.selector import EndpointSelector

CILIUM_POLICY: Final = "CiliumNetworkPolicy"
CLUSTERWIDE_POLICY: Final = "CiliumClusterwideNetworkPolicy"
KUBERNETES_POLICY: Final = "NetworkPolicy"
POLICY_KINDS: Final = (CILIUM_POLICY, CLUSTERWIDE_POLICY, KUBERNETES_POLICY)


class Direction(StrEnum):
    """Direction seen from the subject, the selected endpoint."""

    INGRESS = "ingress"
    EGRESS = "egress"


@dataclass(frozen=True, slots=True, order=True)
class PolicyRef:
    """Which object: its kind, namespace (empty when clusterwide) and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class RuleRef:
    """
    The place of a rule: its object and its path in the manifest.

    Parameters
    ----------
    policy
        The object.
    direction
        Which section.
    path
        ``egress[3]``, ``specs[1].ingressDeny[0].toPorts[2]``, from the object's ``spec``.
    denies
        Whether the rule is in a deny section.
    """

    policy: PolicyRef
    direction: Direction
    path: str
    denies: bool = False

    def __str__(self) -> str:
        return f"{self.policy} {self.path}"


@dataclass(frozen=True, slots=True)
class EntitySelector:
    """A reserved group of peers: ``world``, ``cluster``, ``host`` and the like."""

    entity: str

    def __str__(self) -> str:
        return f"entity {self.entity}"


@dataclass(frozen=True, slots=True)
class UndecidablePeer:
    """
    A peer whose members are not known here.

    Parameters
    ----------
    reason
        Which construct, and what would have to be known.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


PeerSelector = EndpointSelector | EntitySelector | CidrSelector | FqdnSelector | UndecidablePeer


@dataclass(frozen=True, slots=True)
class NamedPort:
    """
    A container port by name.

    Parameters
    ----------
    name
        Lower case.
    protocols
        Values of `models.domain.portset.Protocol` the named port may have.
    """

    name: str
    protocols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """
    One ``headerMatches`` element.

    Parameters
    ----------
    name
        Header name, case-insensitive.
    value
        Exact value; ``None`` when it is in a secret and so unknown here.
    lenient
        ``mismatch`` is set: the request passes all the same.
    """

    name: str
    value: str | None
    lenient: bool


@dataclass(frozen=True, slots=True)
class HttpRule:
    """
    One ``http`` element; fields are ANDed, an absent one is ``None`` and matches everything.

    Parameters
    ----------
    method, path, host
        RE2 expressions for the whole value.
    headers
        ``Name: value`` exact, or ``Name`` present.
    header_matches
        Named values.
    """

    method: str | None = None
    path: str | None = None
    host: str | None = None
    headers: tuple[str, ...] = ()
    header_matches: tuple[HeaderMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class L7Rules:
    """
    What a port element asks of a request; at most one of the members is non-empty.

    Parameters
    ----------
    http, dns
        Accepted requests and questions.
    server_names
        Accepted TLS server names.
    other
        A protocol Portolan does not read (Kafka, proxylib, a custom listener), by name.
    """

    http: tuple[HttpRule, ...] = ()
    dns: tuple[FqdnSelector, ...] = ()
    server_names: tuple[str, ...] = ()
    other: str | None = None


@dataclass(frozen=True, slots=True)
class PortRule:
    """
    One ``toPorts`` or ``icmps`` element.

    Parameters
    ----------
    path
        Its place, such as ``egress[3].toPorts[0]``.
    ports
        Numbers; ORed with `named`. Both empty: matches nothing.
    named
        Ports by name.
    l7
        ``None`` when it has no layer 7 rules.
    """

    path: str
    ports: tuple[PortRange, ...]
    named: tuple[NamedPort, ...] = ()
    l7: L7Rules | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One allow or deny entry of one direction.

    Parameters
    ----------
    policy, path
        Where it stands.
    direction
        Seen from the subject.
    denies
        From a deny section.
    subject
        Whom it selects.
    node_subject
        The subject is nodes (``nodeSelector``), not endpoints.
    peers
        ORed; ``None``: no peer key, so every peer if there are ports; ``()``: nobody.
    ports
        ORed; ``None``: every protocol and port, if there are peers.
    default_deny
        Switches the subject to default deny in this direction.
    authentication
        ``required`` or another mode; the verdict is then conditional on it.
    required_peer
        Conditions of ``fromRequires``/``toRequires`` (up to 1.18), ANDed to every endpoint peer of
        the direction for all rules on the subject.
    """

    policy: PolicyRef
    path: str
    direction: Direction
    denies: bool
    subject: EndpointSelector
    node_subject: bool
    peers: tuple[PeerSelector, ...] | None
    ports: tuple[PortRule, ...] | None
    default_deny: bool = True
    authentication: str | None = None
    required_peer: EndpointSelector | None = None

    @property
    def meaning(self) -> tuple[object, ...]:
        """What it says, without its place: a rule that was moved keeps it."""
        ports = None if self.ports is None else tuple((r.ports, r.named, r.l7) for r in self.ports)
        return (
            self.direction,
            self.denies,
            self.subject,
            self.node_subject,
            self.peers,
            ports,
            self.default_deny,
            self.authentication,
            self.required_peer,
        )

    def ref(self, port_rule: PortRule | None = None) -> RuleRef:
        """Its place, or that of one of its port elements."""
        path = self.path if port_rule is None else port_rule.path
        return RuleRef(self.policy, self.direction, path, self.denies)


@dataclass(frozen=True, slots=True)
class Rejected:
    """
    An object Cilium refuses; it enforces nothing.

    Parameters
    ----------
    policy
        Which object.
    reasons
        Every problem found, with its path.
    """

    policy: PolicyRef
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicySet:
    """
    Every entry of a set of objects, and what was refused.

    Parameters
    ----------
    entries
        Sorted by policy and path, so equal sets are equal whatever order they were read in.
    rejected
        Sorted by object.
    sources
        The manifests by object, for explanations that quote or change them.
    """

    entries: tuple[Entry, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    sources: Mapping[PolicyRef, Mapping[str, object]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def policies(self) -> tuple[PolicyRef, ...]:
        """Objects with at least one entry, sorted."""
        return tuple(sorted({entry.policy for entry in self.entries}))
