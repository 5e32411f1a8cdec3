"""
The way to the resolver: a policy that constrains egress must let its pods resolve names.

Resolvers are the ones really asked. A workload whose own questions were not seen gets the resolvers
that the rest of the cluster asks, and the rule says that it is assumed.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from models.domain.peer import EndpointPeer, EntityPeer, LabelSelector, Peer
from models.domain.rule import Port
from models.domain.workload import Workload
from models.synthesis.candidates import Candidate
from models.synthesis.targets import Target, resolver_port_pair
from models.synthesis.view import DNS_PORT, OPENSHIFT_DNS_PORT, ClusterView, answered_questions

#: Share of the asking workloads that must use a resolver before others are assumed to use it too.
MIN_RESOLVER_SHARE: Final = 0.2

_ASSUMED_SEEN: Final = (
    "No DNS question of this workload was seen; it is given the resolver that the cluster uses."
)
_ASSUMED_DEFAULT: Final = (
    "No DNS question was seen in the whole cluster; without a resolver every connection by name would fail, "
    "so the usual one is assumed."
)
Resolver = tuple[tuple[Peer, ...], tuple[Port, ...]]


@dataclass(frozen=True, slots=True)
class AssumedResolver:
    """A resolver for workloads that were not seen asking, with the sentence that says so."""

    target: Target
    assumption: str


def _default(view: ClusterView) -> Resolver:
    """Where the distribution puts its resolver."""
    if view.capabilities.distribution == "openshift":
        labels = LabelSelector((("dns.operator.openshift.io/daemonset-dns", "default"),))
        peer = EndpointPeer("", "openshift-dns", ("DaemonSet/dns-default",), labels)
        return ((peer,), resolver_port_pair(OPENSHIFT_DNS_PORT))
    peer = EndpointPeer("", "kube-system", ("Deployment/coredns",), LabelSelector((("k8s-app", "kube-dns"),)))
    return ((peer,), resolver_port_pair(DNS_PORT))


def assumed_resolvers(view: ClusterView, candidates: Iterable[Candidate]) -> list[AssumedResolver]:
    """
    Resolvers for the workloads that were not seen asking any.

    Those inside the cluster that at least `MIN_RESOLVER_SHARE` of the asking workloads use and that answer
    them; the usual ones of the distribution when none was seen.
    """
    uses: Counter[Resolver] = Counter()
    asking: set[tuple[str, ...]] = set()
    inside = [
        one
        for one in candidates
        if one.target.dns and all(isinstance(peer, EndpointPeer | EntityPeer) for peer in one.target.peers)
    ]
    answered = {edge.place for edge in answered_questions(edge for one in inside for edge in one.edges)}
    for candidate in inside:
        if any(edge.place in answered for edge in candidate.edges):
            uses[(candidate.target.peers, candidate.target.ports)] += 1
            asking.add(candidate.workload.label_keys)
    common = [resolver for resolver, count in uses.items() if count >= MIN_RESOLVER_SHARE * len(asking)]
    reason = _ASSUMED_SEEN if common else _ASSUMED_DEFAULT
    return [
        AssumedResolver(Target(peers, ports, dns=True, flags=("assumed_dns",), reasons=(reason,)), reason)
        for peers, ports in sorted(common or [_default(view)], key=lambda one: [peer.key for peer in one[0]])
    ]


def is_resolver(view: ClusterView, workload: Workload) -> bool:
    """Whether the workload itself resolves for the cluster: it must not be sent to itself."""
    return any(key in view.resolver_ports for key in workload.label_keys)
