"""
Observed edges as the questions that a policy evaluator is asked.

An edge of the store knows its ends by label-set keys, addresses and names; here they become the sides
that Cilium would see, once for every replay: of proposals, of deployed policies, of an edited file.
"""

from collections.abc import Sequence
from typing import Final

from models.domain.agent import LOCAL_CLUSTER, AgentConfig, release
from models.domain.capabilities import LOCAL_DNS_IS_HOST_SINCE
from models.domain.policy import Direction, PolicySet
from models.simulation.compiled import VERDICTS, CompiledPolicies
from models.simulation.context import PolicyFlow, Side
from models.simulation.decision import Verdict
from models.simulation.edges import EdgeTable
from models.synthesis.addresses import canonical, local_dns
from models.synthesis.edges import Edge
from models.synthesis.view import ClusterView

#: Version whose meaning is taken when the cluster's is unknown; peers mean any cluster there.
DEFAULT_VERSION: Final = "1.18"
_PROTOCOLS: Final = {"ICMPV4": "ICMP", "ICMPV6": "ICMPv6", "ICMP": "ICMP"}


def agent_config(view: ClusterView) -> AgentConfig:
    """Settings of the cluster as far as they are known."""
    version = view.capabilities.version_text or DEFAULT_VERSION
    return AgentConfig(
        cilium_version=version,
        cluster_name=view.local_cluster or LOCAL_CLUSTER,
        # Pods without the cluster label, as in old records, would match no peer selector at all.
        default_local_cluster=bool(view.local_cluster) and release(version).local_cluster_default,
    )


class ObservedFlows:
    """
    Edges of a window as questions.

    Parameters
    ----------
    view
        Whose workloads and labels are meant.
    """

    def __init__(self, view: ClusterView) -> None:
        self._view = view

    def question(self, edge: Edge) -> PolicyFlow:
        """What the gate at the subject's end is asked."""
        subject, peer = Side(labels=self.labels(edge.subject)), self._peer(edge)
        direction = Direction(edge.direction)
        egress = direction is Direction.EGRESS
        protocol = _PROTOCOLS.get(edge.protocol.upper(), edge.protocol.upper())
        port = edge.icmp_type if protocol.startswith("ICMP") else edge.port
        known = port >= 0 if protocol.startswith("ICMP") else port > 0
        return PolicyFlow(
            direction=direction,
            source=subject if egress else peer,
            destination=peer if egress else subject,
            protocol=protocol or None,
            port=port if known else None,
        )

    def labels(self, label_key: str) -> tuple[str, ...] | None:
        """Labels of a pod as it is today: of the current set if this one was replaced; None: not known."""
        workload = self._view.workload(label_key)
        if workload is not None and label_key not in workload.current_keys:
            label_key = workload.current_keys[0]
        return self._view.workloads.texts.get(label_key)

    def _peer(self, edge: Edge) -> Side:
        """The other end, by what the records say of it."""
        view = self._view
        names = tuple(sorted({canonical(name) for name in edge.names}))
        if edge.peer_kind == "endpoint":
            entity = view.workloads.entities.get(edge.peer)
            return Side(entity=entity) if entity is not None else Side(labels=self.labels(edge.peer))
        if edge.peer_kind == "entity":
            return Side(entity=edge.peer, names=names)
        if edge.peer_kind in ("service", "unresolved"):
            return Side(names=names)  # a pod behind the address, but nothing says which
        version = view.capabilities.cilium_version
        if local_dns(edge.peer) and version is not None and version >= LOCAL_DNS_IS_HOST_SINCE:
            return Side(entity="host")
        return Side(ip=edge.peer or None, names=names)


def judge_edges(
    questions: Sequence[PolicyFlow], policies: PolicySet, config: AgentConfig
) -> list[tuple[Verdict, int]]:
    """
    Verdict of each question on layers 3 and 4, and the entry that decided it.

    Parameters
    ----------
    questions
        One direction each.
    policies
        Parsed for the same release.
    config
        Agent settings.

    Returns
    -------
    list of (Verdict, int)
        The entry as an index into ``policies.entries``; -1 where none decided.
    """
    judged = CompiledPolicies(policies, config).evaluate(EdgeTable.of_flows(questions))
    return [
        (VERDICTS[code], entry)
        for code, entry in zip(judged.verdict.tolist(), judged.entry.tolist(), strict=True)
    ]
