"""
How much of its pods' policy map a proposal needs, and which rule a person has to look at where that is much.

One map holds both directions of a pod. A rule costs the identities that its peers stand for times the
prefixes into which its ports split (policy reference, section 6.1). What does not fit is refused, whatever
the policy says. Distinct label sets of the window stand for the identities of the cluster.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from models.domain.agent import MAP_SIZE
from models.domain.peer import EVERY_NAMESPACE, EndpointPeer, EntityPeer, FqdnPeer
from models.domain.portset import PortRange, Protocol
from models.domain.rule import Port, Rule
from models.learning.workloads import Workloads

#: Entries that a proposal may need (method, section 7): below the size of the map, as identities come and go.
MAP_BUDGET: Final = 12_000
#: Flag of the costliest rule of a proposal that needs more.
CROWDS_MAP: Final = "crowds_policy_map"
_EVERY_POD: Final = frozenset({"all", "cluster"})
#: Cluster and labels of some pods.
_LabelSet = tuple[str, Mapping[str, str]]


class MapBudget:
    """
    What rules cost in a cluster.

    Parameters
    ----------
    workloads
        Who is who.
    """

    def __init__(self, workloads: Workloads) -> None:
        self._pods: dict[str, list[_LabelSet]] = defaultdict(list)
        for key, workload in workloads.by_label_key.items():
            self._pods[workload.namespace].append((workload.cluster, workloads.labels[key]))
        self._everybody = [one for pods in self._pods.values() for one in pods]

    def marked(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """Rules of one proposal; the costliest flagged for review if all need more than `MAP_BUDGET`."""
        if sum(self._at_most(rule) for rule in rules) <= MAP_BUDGET:
            return tuple(rules)
        needed = [self.entries(rule) for rule in rules]
        total, most = sum(needed), needed.index(max(needed))
        if total <= MAP_BUDGET:
            return tuple(rules)
        why = (
            f"A pod needs about {_rounded(total)} of the {MAP_SIZE:,} entries of its policy map, about "
            f"{_rounded(needed[most])} of them for this rule: what does not fit is refused. Allow less, or "
            "enlarge the map (bpf-policy-map-max)."
        )
        flags = tuple(sorted({*rules[most].flags, CROWDS_MAP, "needs_review"}))
        costliest = replace(rules[most], flags=flags, reasons=(*rules[most].reasons, why))
        return (*rules[:most], costliest, *rules[most + 1 :])

    def entries(self, rule: Rule) -> int:
        """Policy-map entries of a rule at one pod."""
        if isinstance(rule.peer, EndpointPeer):
            identities = sum(self._selected(one) for one in rule.peer.each)
        elif isinstance(rule.peer, EntityPeer) and rule.peer.entity in _EVERY_POD:
            identities = len(self._everybody)
        else:
            identities = len(rule.peer.each) if isinstance(rule.peer, FqdnPeer) else 1
        return identities * _prefixes(rule.ports)

    def _at_most(self, rule: Rule) -> int:
        """No fewer than `entries`, without a look at any label."""
        if not isinstance(rule.peer, EndpointPeer):
            return self.entries(rule)
        return sum(len(self._around(one)) for one in rule.peer.each) * _prefixes(rule.ports)

    def _around(self, peer: EndpointPeer) -> Sequence[_LabelSet]:
        """Label sets of the peer's namespace."""
        return self._everybody if peer.namespace == EVERY_NAMESPACE else self._pods.get(peer.namespace, ())

    def _selected(self, peer: EndpointPeer) -> int:
        return sum(
            peer.cluster in {"", cluster} and peer.selector.matches(labels)
            for cluster, labels in self._around(peer)
        )


def _prefixes(ports: Sequence[Port]) -> int:
    """Into how many prefixes ports split; an ICMP type is one."""
    return sum(
        PortRange(Protocol(port.protocol), port.number, port.end).mask_count if port.end else 1
        for port in ports
    )


def _rounded(entries: int) -> str:
    """Two significant digits, so that a policy does not change with every pod that comes or goes."""
    return f"{float(f'{entries:.2g}'):,.0f}"
