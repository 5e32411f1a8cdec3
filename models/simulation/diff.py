"""
Semantic diff of two policy sets: which edges become allowed or denied, not which lines changed.

Over observed edges it is exact for what was seen. Over `probe_flows`, made from the rules themselves (one
per rule and border of its ports), it finds changes that no traffic has touched yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.domain.agent import AgentConfig
from models.domain.cidr import CidrSelector
from models.domain.fqdn import FqdnSelector
from models.domain.labels import ANY_SOURCE, CLUSTER_KEY, K8S, NAMESPACE_KEY
from models.domain.policy import Direction, EntitySelector, Entry, PeerSelector, PolicySet
from models.domain.portset import MAX_PORT
from models.domain.selector import EndpointSelector, Operator
from models.simulation.compiled import VERDICTS, CompiledPolicies
from models.simulation.context import PolicyFlow, Side
from models.simulation.decision import Verdict
from models.simulation.edges import EdgeTable

#: Label of a pod that no rule names; anything may carry it, so it is not Cilium's and not anybody's.
STRANGER_KEY: Final = "portolan-probe"
#: Ports that stand for all of them, where a rule names none.
EVERY_PORT: Final = (("TCP", 1), ("UDP", 1), ("ICMP", 8))


@dataclass(frozen=True, slots=True)
class EdgeChange:
    """
    One edge that two policy sets treat differently.

    Parameters
    ----------
    edge
        Row of the edge table.
    before, after
        Verdicts.
    before_entry, after_entry
        Deciding entries (index into each set's entries), -1 for none.
    """

    edge: int
    before: Verdict
    after: Verdict
    before_entry: int
    after_entry: int


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """
    What changes between two policy sets.

    Parameters
    ----------
    changes
        In order of the edges.
    unchanged
        Edges with the same verdict.
    """

    changes: tuple[EdgeChange, ...]
    unchanged: int

    def to(self, verdict: Verdict) -> tuple[EdgeChange, ...]:
        """Changes that end in a verdict."""
        return tuple(change for change in self.changes if change.after is verdict)


def compare_policies(
    before: PolicySet, after: PolicySet, edges: EdgeTable, config: AgentConfig | None = None
) -> PolicyDiff:
    """
    Judge every edge by both sets.

    Parameters
    ----------
    before, after
        Parsed for the same release.
    edges
        Observed edges, or those of `probe_flows`.
    config
        Agent settings.
    """
    old = CompiledPolicies(before, config).evaluate(edges)
    new = CompiledPolicies(after, config).evaluate(edges)
    differs = np.flatnonzero(old.verdict != new.verdict)
    changes = tuple(
        EdgeChange(
            int(row),
            VERDICTS[old.verdict[row]],
            VERDICTS[new.verdict[row]],
            int(old.entry[row]),
            int(new.entry[row]),
        )
        for row in differs
    )
    return PolicyDiff(changes, len(edges) - len(changes))


def probe_flows(before: PolicySet, after: PolicySet, limit: int) -> tuple[list[PolicyFlow], int]:
    """
    Probes of the rules that only one of two sets has, wherever they stand in it.

    Parameters
    ----------
    before, after
        Which of them is which does not matter.
    limit
        Most probes to give.

    Returns
    -------
    (list of PolicyFlow, int)
        For every such rule a subject, every form of its peers and strangers, and the ports at and beside
        its borders; sorted. And how many more there are.
    """
    old, new = ({entry.meaning: entry for entry in one.entries} for one in (before, after))
    differing = [old[key] for key in old if key not in new] + [new[key] for key in new if key not in old]
    flows = {flow: None for entry in differing for flow in _probe(entry)}
    return sorted(flows, key=repr)[:limit], max(0, len(flows) - limit)


def _probe(entry: Entry) -> Iterator[PolicyFlow]:
    subject = example_pod(entry.subject)
    peers = [side for peer in entry.peers or () for side in _examples(peer)]
    # What a default deny closes shows only in peers that the rule does not name.
    peers += [Side(entity="world"), Side(entity="remote-node"), _stranger(entry.subject)]
    for peer in peers:
        for protocol, port in sorted(_ports(entry)):
            ingress = entry.direction is Direction.INGRESS
            ends = (peer, subject) if ingress else (subject, peer)
            yield PolicyFlow(entry.direction, *ends, protocol, port)


def _stranger(subject: EndpointSelector) -> Side:
    """Describe a pod beside the subject that no rule names by its labels."""
    near = tuple(r for r in subject.requirements if r.key == NAMESPACE_KEY)
    labels = example_pod(EndpointSelector(near)).labels or ()
    return Side((*labels, f"{K8S}:{STRANGER_KEY}"), named_ports=())


def _ports(entry: Entry) -> set[tuple[str, int]]:
    if entry.ports is None:
        return set(EVERY_PORT)
    found = set()
    for rule in entry.ports:
        for numbers in rule.ports:
            for port in (numbers.first - 1, numbers.first, numbers.last, numbers.last + 1):
                if 0 < port <= MAX_PORT:
                    found.add((numbers.protocol.value, port))
    return found


def example_pod(selector: EndpointSelector) -> Side:
    """Describe an endpoint that fulfils a selector's equalities; its other conditions it may or may not."""
    labels = {}
    for r in selector.requirements:
        source = K8S if r.source == ANY_SOURCE else r.source
        if r.operator is Operator.IN:
            labels[r.key] = f"{source}:{r.key}={r.values[0]}"
        elif r.operator is Operator.EXISTS:
            labels.setdefault(r.key, f"{source}:{r.key}=probe")
    labels.setdefault(CLUSTER_KEY, f"{K8S}:{CLUSTER_KEY}=default")
    return Side(tuple(sorted(labels.values())), named_ports=())


def _examples(peer: PeerSelector) -> Iterator[Side]:
    if isinstance(peer, EntitySelector):
        yield Side(entity="world" if peer.entity in ("all", "cluster", "none") else peer.entity, names=())
    elif isinstance(peer, CidrSelector):
        for prefix in (peer.prefix, *peer.excepted):
            yield Side(ip=str(prefix.network_address), names=())
            yield Side(ip=str(prefix.broadcast_address), names=())
    elif isinstance(peer, FqdnSelector):
        name = peer.name if peer.name is not None else (peer.pattern or "").replace("*", "probe")
        yield Side(ip="192.0.2.1", names=(name,))
    elif isinstance(peer, EndpointSelector):
        yield example_pod(peer)
